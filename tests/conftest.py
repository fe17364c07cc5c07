"""Pictures for every test."""

from __future__ import annotations

import io
import re
import signal
import socket
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image

from capprep.toybox.shapes import KINDS
from capprep.toybox.world import plural

# on a machine that others use too, how long one example takes says nothing
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# the models here are so small that handing work to a second thread takes longer than the work
torch.set_num_threads(1)

# a shell starts a background job deaf to Ctrl-C, and so would be every process it starts
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def pictures() -> list[bytes]:
    """Five small PNG files of noise, all different."""
    contents = []
    for seed in range(5):
        pixels = np.random.default_rng(seed).integers(0, 256, (64 + seed, 80, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        contents.append(buffer.getvalue())
    return contents


@pytest.fixture(scope="session")
def oracle() -> Callable[[str], NDArray[np.float32]]:
    """A matcher that reads the drawn world without a mistake: where it puts a text, and a picture that shows it.

    Each word has its own direction; a text lies where its words' directions add up to.
    """
    singular = {plural(kind): kind for kind in KINDS}

    def direction(word: str) -> NDArray[np.float64]:
        return np.random.default_rng(list(word.encode())).normal(size=96)

    def vector(text: str) -> NDArray[np.float32]:
        words = [singular.get(word, word) for word in re.findall(r"[a-z]+", text)]
        total = sum((direction(word) for word in words if word not in ("a", "an", "on", "at", "of")), np.zeros(96))
        return (total / max(float(np.linalg.norm(total)), 1e-9)).astype(np.float32)

    return vector


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever asks for a connection fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
