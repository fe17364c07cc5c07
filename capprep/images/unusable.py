"""Why a file cannot become a training picture."""

from __future__ import annotations


class Unusable(Exception):
    """A file that cannot become a training picture.

    Attributes:
        reason: A stable code such as `truncated`.
        message: One sentence for people.
        retry: True where it may be no fault of the file.
    """

    def __init__(self, reason: str, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry = retry
