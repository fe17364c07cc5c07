"""Every error a user can cause, each with its exit status and with what to do next.

CapprepError (1)
├── ConfigError (2)       an option, a setting or an argument that cannot be right
├── WorkspaceError        no workspace here, or one that this version cannot use
├── DatasetError          the pictures or texts at hand do not allow what was asked
├── ModelError            a model that cannot be used
│   ├── ModelMissing      its files are not on this machine and could not be fetched
│   ├── ModelCorrupt      a file is not the one that models.lock names
│   └── ModelMismatch     a file is fine and of the wrong kind
├── DeviceError           the device asked for is not there
├── MissingExtra          an optional dependency is not installed
└── CheckpointError       a hypernetwork or a run that cannot be read or continued

`cli` turns them into text and status in one place; nothing else calls `sys.exit`.
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_SOME_FAILED = 3


class CapprepError(Exception):
    """Something a user caused or can mend.

    Args:
        message: What is wrong, in one sentence, naming the file or option.
        hint: What to do next, in one sentence; shown on a line of its own.
    """

    exit_status = EXIT_ERROR

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(CapprepError):
    """An option, a setting or an argument that cannot be right."""

    exit_status = EXIT_USAGE


class WorkspaceError(CapprepError):
    """No workspace here, or one that this version cannot use."""


class DatasetError(CapprepError):
    """The pictures or texts at hand do not allow what was asked."""


class ModelError(CapprepError):
    """A model that cannot be used."""


class ModelMissing(ModelError):
    """A model's files are not on this machine and could not be fetched."""


class ModelCorrupt(ModelError):
    """A file is not the one that `models.lock` names."""


class ModelMismatch(ModelError):
    """A file is whole and of the wrong kind."""


class DeviceError(CapprepError):
    """The device asked for is not there."""


class MissingExtra(CapprepError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package {package}, which is not installed",
            f'install it with: pip install "capprep[{extra}]"',
        )


class CheckpointError(CapprepError):
    """A hypernetwork file or a training run that cannot be read or continued."""
