"""How many rows a network is given at once: as many as fit into memory, found out by running out of it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from capprep.errors import DeviceError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_OUT_OF_MEMORY = (
    "out of memory",  # CUDA itself, through torch or onnxruntime
    "failed to allocate memory",  # onnxruntime's arenas
    "can't allocate memory",  # torch's allocator for the CPU
    "bad allocation",
    "bad_alloc",
    "alloc_failed",  # cuBLAS and cuDNN name their status
    "allocation_failed",
)


class AdaptiveBatch:
    """Gives a network its rows in portions, from then on half as many whenever memory runs out.

    The limit is never raised again: what did not fit once would cost the same failure at every batch.

    Attributes:
        limit: The most rows at once; None as long as memory has sufficed.
    """

    def __init__(self) -> None:
        self.limit: int | None = None

    def __call__(self, rows: Sequence[Item], work: Callable[[Sequence[Item]], Iterable[Answer]]) -> list[Answer]:
        """An answer for each row, in order.

        Args:
            rows: Any number.
            work: Answers as many rows as it is given; it is asked again about rows for which memory ran out.

        Raises:
            DeviceError: There is not enough memory for one row alone.
        """
        answers: list[Answer] = []
        while len(answers) < len(rows):
            portion = rows[len(answers) : len(answers) + (self.limit or len(rows))]
            try:
                # as a whole: an iterator that fails half way must not leave a half behind
                answers.extend(list(work(portion)))
            except Exception as error:
                if not out_of_memory(error):
                    raise
                if len(portion) == 1:
                    raise DeviceError(
                        f"there is not enough memory for one picture or text at a time ({_first_line(error)})",
                        "close other programs, use --device cpu, or use a smaller model",
                    ) from error
                self.limit = (len(portion) + 1) // 2
            else:
                continue
            # behind the except block: until then the error's frames hold what was allocated
            _release()
        return answers


def out_of_memory(error: BaseException) -> bool:
    """Whether a network failed because memory ran out, whatever library and device it was.

    Only torch on CUDA and Python itself have a type for it; the others say it in words.
    """
    kind = type(error)
    if isinstance(error, MemoryError) or any(base.__name__ == "OutOfMemoryError" for base in kind.__mro__):
        return True
    native = isinstance(error, RuntimeError) or kind.__module__.startswith("onnxruntime")
    return native and any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def _release() -> None:
    """Give back what a failed batch left, so that other libraries on the device can have it too."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
