"""Archives that were cut, damaged or made to do harm: each says why, and what is whole in them is used."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import random
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from capprep.images import archives, files
from capprep.images.files import Opener

from .archiving import KINDS, noise, outcome, outcomes, packed, tarred, zipped
from .searching import scan

EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
EVERY_TAR = pytest.mark.parametrize("kind", ["gnu", "pax", "gzip", "bzip2"])


def rewritten(content: bytes, at: int, form: str, value: int, local: int | None = None) -> bytes:
    """A .zip with a field of each entry of its directory changed, and in the local headers too."""
    changed = bytearray(content)
    for mark, offset in ((b"PK\1\2", at), (b"PK\3\4", local)):
        start = content.find(mark)
        while start >= 0 and offset is not None:
            struct.pack_into(form, changed, start + offset, value)
            start = content.find(mark, start + 1)
    return bytes(changed)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (rewritten(zipped({"a.png": noise(1)}), 8, "<H", 1, 6), "unreadable"),
        (rewritten(zipped({"a.png": noise(1)}), 10, "<H", 99, 8), "unreadable"),
        (zipped({"a.png": noise(1)}, zipfile.ZIP_BZIP2), "unreadable"),
        (zipped({"a.png": noise(1)}, zipfile.ZIP_LZMA), "unreadable"),
        (rewritten(zipped({"a.png": noise(1)}), 24, "<I", 1 << 31), "too_large"),
        (rewritten(zipped({"a.png": noise(1)}), 24, "<I", 4000), "truncated"),
        (rewritten(zipped({"a.png": noise(1)}), 16, "<I", 1234), "corrupt"),
        (zipped({"a.png": noise(1)}).replace(b"PK\3\4", b"PK\3\5"), "corrupt"),
    ],
    ids=["encrypted", "method 99", "bzip2", "lzma", "2 GB", "longer than it is", "wrong check sum", "no local header"],
)
def test_a_picture_in_a_zip_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    assert outcomes(tmp_path) == {"a.png": reason}


def test_sizes_fit_the_integers_of_a_database(tmp_path: Path) -> None:
    content = zipped({"a.png": noise(1)}, zipfile.ZIP_STORED)
    start, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    entry = bytearray(content[start:end] + struct.pack("<HHQ", 1, 8, (1 << 64) - 1))
    struct.pack_into("<I", entry, 24, (1 << 32) - 1)
    struct.pack_into("<H", entry, 30, 12)
    last = bytearray(content[end:])
    struct.pack_into("<I", last, 12, len(entry))
    (tmp_path / "a.zip").write_bytes(content[:start] + entry + last)
    (found,) = scan([tmp_path])
    assert 1 << 40 < found.bytes < 1 << 63
    assert outcomes(tmp_path) == {"a.png": "too_large"}


def test_one_damaged_picture_in_a_zip_costs_no_other(tmp_path: Path) -> None:
    pictures = {f"{number}.png": noise(number) for number in range(5)}
    content = zipped(pictures, zipfile.ZIP_STORED)
    (tmp_path / "a.zip").write_bytes(content.replace(noise(2), noise(9)))
    assert outcomes(tmp_path) == {**pictures, "2.png": "corrupt"}


def test_a_zip_that_unpacks_to_more_than_it_says_takes_no_more_memory_than_it_says(tmp_path: Path) -> None:
    content = rewritten(zipped({"a.png": bytes(64 << 20)}), 24, "<I", 1000, 22)
    (tmp_path / "a.zip").write_bytes(content)
    tracemalloc.start()
    assert outcomes(tmp_path) == {"a.png": "corrupt"}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_zip_that_was_cut_is_named_itself(tmp_path: Path, share: float) -> None:
    content = zipped({f"{number}.png": noise(number) for number in range(9)})
    (tmp_path / "a.zip").write_bytes(content[: int(share * len(content))])
    assert outcomes(tmp_path) == {"a.zip": "truncated"}


def test_a_zip_with_a_damaged_directory_is_named_itself(tmp_path: Path) -> None:
    content = zipped({"a.png": noise(1), "b.png": noise(2)})
    at = content.rindex(b"PK\1\2")
    (tmp_path / "a.zip").write_bytes(content[:at] + b"XXXX" + content[at + 4 :])
    assert outcomes(tmp_path) == {"a.zip": "corrupt"}


def test_the_directory_of_a_zip_is_read_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed(tmp_path, "deflated", {f"{number}.png": b"x" for number in range(50)})
    assert len(outcomes(tmp_path)) == 50
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 1000)
    assert outcomes(tmp_path) == {"archive.ZIP": "too_large"}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_the_pictures_before_the_cut_of_a_tar_are_used_wherever_it_is_cut(tmp_path: Path, form: int) -> None:
    sizes = {"a.png": 700, "b.png": 512, "c" * 300 + ".png": 1, "d.png": 1500}
    pictures = {name: noise(size, size) for name, size in sizes.items()}
    content = tarred(pictures, form=form)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        starts = {info.name: info.offset_data for info in archive}
        end = archive.offset
    for cut in range(1, end + 512, 131):
        (tmp_path / "a.tar").write_bytes(content[:cut])
        expected: dict[str, bytes | str] = {"a.tar": "truncated"}
        for name, start in starts.items():
            if start <= cut:
                expected[name] = pictures[name] if start + sizes[name] <= cut else "truncated"
        assert outcomes(tmp_path) == expected
    (tmp_path / "a.tar").write_bytes(content[: end + 512])
    assert outcomes(tmp_path) == pictures


@pytest.mark.parametrize("kind", ["gzip", "bzip2"])
def test_the_pictures_before_the_cut_of_a_packed_tar_are_used(tmp_path: Path, kind: str) -> None:
    pictures = {f"{number}.png": noise(number, 200_000) for number in range(10)}
    place = packed(tmp_path, kind, pictures)
    content = place.read_bytes()
    place.write_bytes(content[: len(content) * 3 // 4])
    read = outcomes(place)
    assert read.pop(place.name) == "truncated"
    whole = {name: content for name, content in read.items() if isinstance(content, bytes)}
    assert whole == {name: pictures[name] for name in whole}
    assert len(whole) >= 3
    assert set(read.values()) - set(whole.values()) <= {"truncated"}


@EVERY_TAR
def test_a_damaged_header_in_a_tar_is_not_taken_for_its_end(tmp_path: Path, kind: str) -> None:
    content = bytearray(tarred({"a.png": noise(1), "b.png": noise(2), "c.png": noise(3)}))
    content[content.index(b"b.png") + 100] ^= 0xFF
    pack: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bzip2": bz2.compress}
    place = tmp_path / f"x{KINDS[kind][0]}"
    place.write_bytes(pack.get(kind, bytes)(bytes(content)))
    assert outcomes(tmp_path) == {"a.png": noise(1), place.name: "corrupt"}


def test_a_picture_that_cannot_be_unpacked_costs_none_before_it(tmp_path: Path) -> None:
    pictures = {f"{number}.png": noise(number, 1500 if number < 6 else 100) for number in range(7)}
    content = bz2.compress(tarred(pictures)[: 6 * 4 * 512 + 2 * 512])  # it ends with the last picture
    place = tmp_path / "a.tbz2"
    place.write_bytes(content)
    entries = [entry for entry in scan([place]) if entry.member]
    status = place.stat()
    # the check sum at the end, damaged after the archive was listed
    place.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))
    with Opener() as opener:
        first, again = ([outcome(opener, entry) for entry in entries] for _ in range(2))
    # unpacking reads ahead, so that some before it share its fate
    assert first == again == [*list(pictures.values())[:4], "corrupt", "corrupt", "corrupt"]


def test_damage_to_packed_data_is_seen(tmp_path: Path) -> None:
    content = bytearray(tarred({f"{number}.png": bytes(5000) + noise(number) for number in range(30)}, "w:gz"))
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    (tmp_path / "a.tgz").write_bytes(content)
    read = outcomes(tmp_path)
    assert read["a.tgz"] == "corrupt"
    assert read["0.png"] == bytes(5000) + noise(0)


def header(kind: bytes, size: bytes, name: bytes = b"x.png") -> bytes:
    """One block of a .tar with a right check sum."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:136] = b"0000644\0" + 2 * b"0000000\0" + size
    block[136:148] = b"00000000000\0"
    block[156:157], block[257:265] = kind, b"ustar\x0000"
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


NEGATIVE = b"\xff" * 10 + b"\xfe\x00"
HUGE = b"\x80" + b"\x7f" * 11
LARGE = b"\x80" + (1 << 50).to_bytes(11)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (header(b"0", NEGATIVE, b"x.txt"), "corrupt"),
        (header(b"L", NEGATIVE), "corrupt"),
        (header(b"x", NEGATIVE), "corrupt"),
        (header(b"g", NEGATIVE), "corrupt"),
        (header(b"0", HUGE), "corrupt"),
        (header(b"0", LARGE, b"x.txt"), "truncated"),
        (header(b"L", HUGE), "corrupt"),
        (header(b"x", b"%011o\0" % (1 << 17)) + bytes(1 << 17), "corrupt"),
        (header(b"x", b"%011o\0" % 60_000) + b"1" * 60_416, "corrupt"),
        (header(b"x", b"%011o\0" % 12) + b"12 size=-10\n".ljust(512, b"\0"), "corrupt"),
        (header(b"x", b"%011o\0" % 11) + b"11 size=-1\n".ljust(512, b"\0"), "corrupt"),
        (header(b"x", b"%011o\0" % 29) + b"29 size=99999999999999999999\n".ljust(512, b"\0"), "corrupt"),
        (header(b"x", b"%011o\0" % 10) + b"0 path=aa\n".ljust(512, b"\0"), "corrupt"),
        (header(b"x", b"%011o\0" % 10) + b"10 path=aa".ljust(512, b"\0"), "corrupt"),
        (header(b"x", b"%011o\0" % 10) + b"99 path=a\n".ljust(512, b"\0"), "corrupt"),
    ],
)
def test_a_header_made_to_loop_or_to_fill_the_memory_ends_the_list(tmp_path: Path, block: bytes, reason: str) -> None:
    whole = tarred({"a.png": b"first"})[:1024]
    content = whole + block + 8 * tarred({"b.png": b"later"})[:1024]
    for name, written in {"a.tar": content, "a.tgz": gzip.compress(content)}.items():
        (tmp_path / name).write_bytes(written)
        # a packed one has no size to hold against what a header says
        expected = "too_large" if (name, reason) == ("a.tgz", "truncated") else reason
        assert outcomes(tmp_path / name) == {"a.png": b"first", name: expected}


def test_a_long_chain_of_descriptions_is_just_walked(tmp_path: Path) -> None:
    record = b"15 path=it.png\n"
    chain = 3000 * (header(b"x", b"%011o\0" % len(record)) + record.ljust(512, b"\0"))
    (tmp_path / "a.tar").write_bytes(chain + tarred({"a.png": b"content"}))
    assert outcomes(tmp_path) == {"it.png": b"content"}


def test_a_packed_tar_is_unpacked_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = packed(tmp_path, "gzip", {"a.png": b"first", "big.bin": bytes(5 << 20), "b.png": b"last"})
    assert outcomes(place) == {"a.png": b"first", "b.png": b"last"}
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 1 << 20)
    assert outcomes(place) == {"a.png": b"first", place.name: "too_large"}


def test_the_headers_of_a_tar_are_read_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = packed(tmp_path, "gnu", {f"{number}.png": b"x" for number in range(9)})
    monkeypatch.setattr(archives, "MAX_HEADERS", 5)
    read = outcomes(place)
    assert len(read) == 6
    assert read[place.name] == "too_large"


def test_a_picture_in_a_tar_over_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = packed(tmp_path, "gzip", {"a.png": bytes(2000), "b.png": b"x"})
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 1000)
    assert outcomes(place) == {"a.png": "too_large", "b.png": b"x"}


REASONS = {"corrupt", "truncated", "unreadable", "too_large", "empty"}


@EVERY_KIND
def test_whatever_happens_to_an_archive_it_says_why_and_never_fails(tmp_path: Path, kind: str) -> None:
    pictures = {f"{'n' * 150 * (number % 2)}{number}.png": noise(number, 600) for number in range(6)}
    suffix, pack = KINDS[kind]
    whole, random_ = pack(pictures), random.Random(kind)
    place = tmp_path / f"a{suffix}"
    for _ in range(150):
        mutant = bytearray(whole)
        for _ in range(random_.choice((1, 1, 3, 30))):
            mutant[random_.randrange(len(mutant))] = random_.choice((0, 255, random_.randrange(256)))
        if random_.random() < 0.3:
            del mutant[random_.randrange(len(mutant)) :]
        place.write_bytes(mutant)
        for content in outcomes(place).values():
            assert content in REASONS or isinstance(content, bytes)
