"""Hostile files through the command: each costs only itself, and is named with its reason."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin

from .corpus import JOBS, Done, blocks, encoded, ingest, picture, showing, snapshot, squares, types

SIZE = 128
ARGUMENTS = ("raw", JOBS, "2", "--size", str(SIZE), "--max-upscale", "1", "--duplicates", "none", "--crop", "center")

Maker = Callable[[Path], None]
"""Puts a row's file into a folder of its own."""


@dataclass(frozen=True)
class Good:
    """A file that must give a square.

    Attributes:
        name: The file's name.
        content: Its bytes.
        picture: What a person sees in it, upright and over white.
    """

    name: str
    content: bytes
    picture: Image.Image


def exif(tag: int, value: object) -> Image.Exif:
    made = Image.Exif()
    made[tag] = value
    return made


def over_white(rgba: Image.Image) -> Image.Image:
    white = Image.new("RGBA", rgba.size, "white")
    white.alpha_composite(rgba)
    return white.convert("RGB")


def half_hidden(seed: int) -> Image.Image:
    """A picture whose left half is transparent, with colours below that nobody should see."""
    rgba = picture(seed).convert("RGBA")
    rgba.paste((255, 0, 255, 0), (0, 0, 100, 160))
    return rgba


def with_sixteen_bits(grey_HW: NDArray[np.uint8] | NDArray[np.generic]) -> bytes:
    done, buffer = cv2.imencode(".png", grey_HW.astype(np.uint16) * 257)
    assert done
    return buffer.tobytes()


def good_rows() -> Iterator[tuple[str, Good]]:
    turned = exif(ExifTags.Base.Orientation, 6)
    yield (
        "EXIF says that it was turned",
        Good("a.jpg", encoded(picture(0).transpose(Image.Transpose.ROTATE_90), "JPEG", exif=turned), picture(0)),
    )
    nowhere = exif(ExifTags.Base.Orientation, 9)
    yield "an orientation that does not exist", Good("a.jpg", encoded(picture(1), "JPEG", exif=nowhere), picture(1))
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>\xff\xfe'
    yield "XMP that is no UTF-8", Good("a.jpg", encoded(picture(2), "JPEG", xmp=xmp), picture(2))
    endless = exif(ExifTags.Base.XResolution, TiffImagePlugin.IFDRational(1, 0))
    yield "a fraction over zero in EXIF", Good("a.jpg", encoded(picture(3), "JPEG", exif=endless), picture(3))
    palette = picture(4).quantize(128)
    yield "a GIF named .jpg", Good("a.jpg", encoded(palette, "GIF"), palette.convert("RGB"))
    ink = picture(5).convert("CMYK")
    yield "ink colours", Good("a.jpg", encoded(ink, "JPEG", quality=95), ink.convert("RGB"))
    grey = picture(6).convert("L")
    yield "16 bits of grey", Good("a.png", with_sixteen_bits(np.asarray(grey)), grey.convert("RGB"))
    rgb_HWC = np.asarray(picture(7))
    yield "16 bits of colour", Good("a.png", with_sixteen_bits(rgb_HWC[..., ::-1]), picture(7))
    hidden = half_hidden(8)
    yield "colours below transparency", Good("a.png", encoded(hidden, "PNG"), over_white(hidden))
    two = half_hidden(9).convert("LA")
    yield "grey with transparency", Good("a.png", encoded(two, "PNG"), over_white(two.convert("RGBA")))
    keyed = picture(10).quantize(16)
    seen = keyed.convert("RGBA")
    colours = np.asarray(seen).copy()
    colours[np.asarray(keyed) == 3] = (0, 0, 0, 0)
    yield (
        "a transparent colour of a palette",
        Good("a.png", encoded(keyed, "PNG", transparency=3), over_white(Image.fromarray(colours))),
    )
    more = {"save_all": True, "append_images": [picture(90), picture(91)]}
    yield "an animation", Good("a.png", encoded(picture(11), "PNG", **more), picture(11))
    yield "AVIF", Good("a.avif", encoded(picture(12), "AVIF", quality=90), picture(12))
    yield "both eyes of a stereo camera", Good("a.jpg", encoded(picture(13), "MPO", **more), picture(13))
    yield "bytes after the end", Good("a.jpg", encoded(picture(14), "JPEG") + bytes(5000), picture(14))


GOOD = dict(good_rows())

# --- rows that give a reason ---------------------------------------------------------------------


def file(name: str, content: bytes) -> Maker:
    def make(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return make


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")


def local_socket(folder: Path) -> None:
    with contextlib.chdir(folder), socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.png")  # relative, because such an address is short


def dangling(folder: Path) -> None:
    (folder / "dangling.png").symlink_to("nothing.png")


def endless(folder: Path) -> None:
    (folder / "endless.png").symlink_to("endless.png")


def device(folder: Path) -> None:
    (folder / "zeros.png").symlink_to("/dev/zero")


def closed(folder: Path) -> None:
    path = folder / "closed.png"
    path.write_bytes(encoded(picture(20), "PNG"))
    path.chmod(0)


def closed_folder(folder: Path) -> None:
    inner = folder / "inner.png"
    inner.mkdir()
    (inner / "a.png").write_bytes(encoded(picture(21), "PNG"))
    inner.chmod(0)


def wrong_checksum() -> bytes:
    content = bytearray(encoded(picture(22), "PNG"))
    content[-20] ^= 1  # in the last IDAT's
    return bytes(content)


def twelve_bits() -> bytes:
    content = bytearray(encoded(picture(23), "JPEG"))
    content[content.index(b"\xff\xc0") + 4] = 12
    return bytes(content)


def huge_header() -> bytes:
    content = bytearray(encoded(picture(24), "BMP"))
    struct.pack_into("<ii", content, 18, 30000, 30000)
    return bytes(content)


BOMB = encoded(Image.new("1", (20000, 20000)), "PNG", compress_level=9)

BAD: dict[str, tuple[Maker, str]] = {
    "no bytes": (file("a.jpg", b""), "empty"),
    "a web page": (file("a.jpg", b"<!DOCTYPE html><title>404</title><p>not found"), "not_image"),
    "a text": (file("a.png", b"these are my notes, not a picture"), "not_image"),
    "a drawing in SVG": (file("a.png", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), "not_image"),
    "zeros": (file("a.webp", bytes(5000)), "not_image"),
    "a pickle": (file("a.png", b"cos\nsystem\n(S'touch pwned'\ntR."), "not_image"),
    "half a JPEG": (file("a.jpg", encoded(blocks(30), "JPEG")[:6000]), "truncated"),
    "half a PNG": (file("a.png", encoded(picture(31), "PNG")[:6000]), "truncated"),
    "a PNG with a wrong checksum": (file("a.png", wrong_checksum()), "corrupt"),
    "floats": (file("a.tif", encoded(Image.new("F", (200, 200), 0.5), "TIFF")), "unsupported_depth"),
    "a JPEG of twelve bits": (file("a.jpg", twelve_bits()), "unsupported_depth"),
    "one pixel wide": (file("a.png", encoded(Image.new("L", (1, 4000)), "PNG")), "aspect"),
    "a header that says gigabytes": (file("a.bmp", huge_header()), "too_large"),
    "400 million pixels in few bytes": (file("a.png", BOMB), "too_large"),
    "108 million pixels": (file("a.png", encoded(Image.new("1", (12000, 9000)), "PNG")), "too_large"),
    "an icon": (file("a.png", encoded(blocks(32, 32, 32), "PNG")), "too_small"),
    "a named pipe": (pipe, "unreadable"),
    "a socket": (local_socket, "unreadable"),
    "a link to nothing": (dangling, "unreadable"),
    "a link to itself": (endless, "unreadable"),
    "a link to an endless device": (device, "unreadable"),
    "a file that may not be read": (closed, "unreadable"),
    "a folder that may not be read": (closed_folder, "unreadable"),
}

# root may read everything, unless it gives that up
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
ALL_MAY_BE_READ = bool(UNPRIVILEGED) and shutil.which("setpriv") is None


@dataclass(frozen=True)
class Ran:
    """One run over all rows at once."""

    folder: Path
    done: Done
    before: dict[bytes, str]

    def left_out(self, key: str) -> list[dict[str, str]]:
        folder = f"raw/{key}/"
        return [left for left in self.done.json["left_out"] if any(s.startswith(folder) for s in left["sources"])]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("hostile")
    for key, good in GOOD.items():
        (folder / "raw" / key).mkdir(parents=True)
        (folder / "raw" / key / good.name).write_bytes(good.content)
    for key, (make, _) in BAD.items():
        (folder / "raw" / key).mkdir()
        if not (ALL_MAY_BE_READ and "may not be read" in key):
            make(folder / "raw" / key)
    before = snapshot_of_readable(folder / "raw")
    privileges = () if ALL_MAY_BE_READ else UNPRIVILEGED
    return Ran(folder, ingest(folder, *ARGUMENTS, "--json", before=privileges, expect=3), before)


def snapshot_of_readable(raw: Path) -> dict[bytes, str]:
    """See `snapshot`; what may not be read is made readable meanwhile."""
    hidden = list((raw / "a file that may not be read").iterdir())
    for path in hidden:
        path.chmod(0o400)
    found = snapshot(raw)
    for path in hidden:
        path.chmod(0)
    return found


@pytest.mark.parametrize("key", GOOD)
def test_an_odd_file_gives_its_picture(ran: Ran, key: str) -> None:
    assert ran.left_out(key) == []
    assert len(showing(squares(ran.folder / "dataset", SIZE), GOOD[key].picture)) == 1


@pytest.mark.parametrize("key", BAD)
def test_a_file_that_cannot_be_used_is_named_with_its_reason(ran: Ran, key: str) -> None:
    if "may not be read" in key and ALL_MAY_BE_READ:
        pytest.skip("this user may read everything")
    (left,) = ran.left_out(key)
    assert left["reason"] == BAD[key][1]
    assert len(left["sources"]) == 1
    assert left["message"].isprintable()
    assert len(left["message"].split()) >= 3


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("a web page", "web page"),
        ("108 million pixels", "12000x9000"),
        ("one pixel wide", "1x4000"),
        ("an icon", "4.00 times"),
        ("a named pipe", "regular file"),
        ("400 million pixels in few bytes", "a picture of 400 million pixels is over the limit of 100"),
        ("a header that says gigabytes", "900 million pixels is over"),
    ],
)
def test_the_sentence_says_what_is_wrong(ran: Ran, key: str, words: str) -> None:
    (left,) = ran.left_out(key)
    assert words in left["message"]


def test_nothing_but_the_squares_of_good_files_is_written_and_no_source_is_touched(ran: Ran) -> None:
    assert len(squares(ran.folder / "dataset", SIZE)) == len(GOOD)
    assert snapshot_of_readable(ran.folder / "raw") == ran.before
    assert sorted(path.name for path in ran.folder.iterdir()) == [".capprep", "dataset", "raw"]
    assert ran.done.err == ""


def test_animations_are_refused_where_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(GOOD["an animation"].content)
    (tmp_path / "b.png").write_bytes(encoded(picture(11), "PNG"))
    out, _ = types(tmp_path, "ingest", ".", "-w", ".", JOBS, "0", "--size", "64", "--frame", "reject", expect=3)
    assert re.search(r"a\.png +animated ", out)
    assert len(list((tmp_path / "dataset").iterdir())) == 1


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_never_ends_is_not_waited_for_where_it_is_named_itself(kind: str, tmp_path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(tmp_path / "pipe")
    done = ingest(tmp_path, {"pipe": "pipe", "device": "/dev/zero"}[kind], JOBS, "1", "--json", expect=3)
    assert list(done.reasons.values()) == ["unreadable"]


_PEAK = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)
"""
"""A small program that runs another and says its peak memory: measured from a large one, its own would be counted."""


def test_pictures_that_would_take_gigabytes_take_no_memory(tmp_path: Path) -> None:
    assert len(BOMB) < 50_000
    peaks = {}
    for kind in ("calm", "bombs"):
        raw = tmp_path / kind / "raw"
        raw.mkdir(parents=True)
        (raw / "a.png").write_bytes(encoded(picture(40), "PNG"))
        if kind == "bombs":
            for key in ("400 million pixels in few bytes", "a header that says gigabytes", "one pixel wide"):
                BAD[key][0](raw)
        done = ingest(
            tmp_path / kind,
            *("raw", JOBS, "0", "--size", "64", "--json"),
            before=(sys.executable, "-c", _PEAK),
            expect=3 if kind == "bombs" else 0,
        )
        peaks[kind] = int(done.err) * 1024
    assert peaks["bombs"] < peaks["calm"] + 30e6
