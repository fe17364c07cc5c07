"""Pictures for every test."""

from __future__ import annotations

import io
import socket

import numpy as np
import pytest
import torch
from PIL import Image

# the models here are so small that handing work to a second thread takes longer than the work
torch.set_num_threads(1)


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


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever asks for a connection fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
