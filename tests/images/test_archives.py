"""Pictures in archives: found and read in place, whatever else is in there."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capprep.images import files
from capprep.images.files import Opener
from capprep.images.unusable import Unusable

from .archiving import KINDS, noise, outcomes, packed, tarred, zipped
from .searching import scan

EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
EVERY_TAR = pytest.mark.parametrize("kind", ["gnu", "pax", "gzip", "bzip2"])

# --- whole archives ------------------------------------------------------------------------------


@EVERY_KIND
def test_pictures_are_found_and_read_in_place_and_nothing_else(tmp_path: Path, kind: str) -> None:
    pictures = {"b.jpg": noise(1), "sub/A.PNG": noise(2), "./here.webp": noise(3), "../out.gif": noise(4), "e.png": b""}
    others = dict.fromkeys(
        ("b.txt", "b.json", ".hidden.jpg", "sub/._A.PNG", "__MACOSX/b.jpg", ".git/x.png", "inner.zip", "png"), b"no"
    )
    place = packed(tmp_path, kind, {**others, **pictures})
    assert outcomes(place) == {**pictures, "e.png": "empty"}
    assert scan([tmp_path]) == scan([place])
    assert list(tmp_path.iterdir()) == [place]


@EVERY_KIND
def test_pictures_come_in_the_order_in_which_they_lie_in_the_archive(tmp_path: Path, kind: str) -> None:
    names = [f"{number}.png" for number in random.Random(0).sample(range(100), 40)]
    (tmp_path / "a.png").write_bytes(b"before")
    (tmp_path / "z.png").write_bytes(b"after")
    place = packed(tmp_path, kind, [(name, name.encode()) for name in names])
    entries = scan([tmp_path])
    assert [entry.member for entry in entries] == ["", *names, ""]
    assert sorted(scan([tmp_path / "z.png", place, tmp_path / "a.png"]), key=lambda entry: entry.order) == entries


SAFE_NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=150)


@settings(max_examples=25, deadline=None)
@given(contents=st.dictionaries(SAFE_NAMES.map(lambda name: f"x{name}.png"), st.binary(min_size=1), max_size=5))
@example(contents={"n" * 300 + ".png": b"long", "d" * 90 + "/" + "e" * 99 + ".png": b"prefix", "new\nline.png": b"1"})
@pytest.mark.parametrize("kind", ["stored", "deflated", "gnu", "pax", "gzip"])
def test_any_names_and_contents_are_read_as_they_were_packed(kind: str, contents: dict[str, bytes]) -> None:
    shown = {
        name: content
        for name, content in contents.items()
        if not any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))
    }
    with tempfile.TemporaryDirectory() as folder:
        assert outcomes(packed(Path(folder), kind, contents)) == shown


@EVERY_TAR
def test_names_in_a_tar_may_be_any_bytes(tmp_path: Path, kind: str) -> None:
    name = b"\xff\xfe" + b"n" * 120 + b"\n.png"
    place = packed(tmp_path, kind, {os.fsdecode(name): b"content"})
    (entry,) = scan([place])
    assert entry.key == os.fsencode(place) + b"\0" + name
    assert outcomes(place) == {os.fsdecode(name): b"content"}


def test_names_in_a_zip_are_read_as_their_flag_says(tmp_path: Path) -> None:
    place = tmp_path / "a.zip"
    place.write_bytes(zipped({"?.jpg": b"content"}).replace(b"?.jpg", b"\x84.jpg"))
    assert outcomes(place) == {"ä.jpg": b"content"}
    place.write_bytes(zipped({"ä.jpg": b"content"}).replace("ä.jpg".encode(), b"\xff\xfe.jpg"))
    assert outcomes(place) == {"a.zip": "corrupt"}


@pytest.mark.parametrize("kind", ["deflated", "gnu", "pax", "gzip"])
def test_of_two_pictures_with_one_name_the_later_counts(tmp_path: Path, kind: str) -> None:
    twice = [("a.png", b"first"), ("b.png", b"other"), ("a.png", b"second")]
    if kind == "deflated":
        with pytest.warns(UserWarning, match="Duplicate"):
            place = packed(tmp_path, kind, twice)
    else:
        place = packed(tmp_path, kind, twice)
    assert outcomes(place) == {"a.png": b"second", "b.png": b"other"}


def test_the_kind_of_archive_is_what_it_holds(tmp_path: Path) -> None:
    for name, content in {
        "packed.tar": tarred({"a.png": b"1"}, "w:gz"),
        "plain.tgz": tarred({"b.png": b"2"}),
        "zip.tar": zipped({"c.png": b"3"}),
        "started.zip": b"#!/bin/sh\n" + zipped({"d.png": b"4"}),
        "wrong.tar": b"not an archive at all" * 99,
        "wrong.zip": b"not an archive at all" * 99,
        "empty.tar": b"",
        "none.tar": tarred({}),
        "none.zip": zipped({}),
    }.items():
        (tmp_path / name).write_bytes(content)
    pictures = {"a.png": b"1", "b.png": b"2", "c.png": b"3", "d.png": b"4"}
    assert outcomes(tmp_path) == {**pictures, "wrong.tar": "corrupt", "wrong.zip": "corrupt", "empty.tar": "empty"}


def test_links_to_archives_follow_the_rule_for_pictures(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    packed(tmp_path, "gnu", {"a.png": b"1"})
    (tmp_path / "raw" / "link.tar").symlink_to("../archive.tar")
    assert outcomes(tmp_path / "raw") == {"link.tar": "outside"}
    assert {Path(entry.path).name for entry in scan([tmp_path])} == {"archive.tar", "link.tar"}
    assert [entry.member for entry in files.revisit(str(tmp_path / "archive.tar"))] == ["a.png"]


@EVERY_TAR
def test_links_devices_pipes_and_folders_in_a_tar_are_no_pictures(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "a.tar"
    form, mode = {"pax": (tarfile.PAX_FORMAT, ""), "gzip": (tarfile.GNU_FORMAT, "gz")}.get(
        kind, (tarfile.GNU_FORMAT, "")
    )
    with tarfile.open(place, f"w:{mode}", format=form) as archive:  # type: ignore[call-overload]
        special = (
            tarfile.SYMTYPE,
            tarfile.LNKTYPE,
            tarfile.CHRTYPE,
            tarfile.BLKTYPE,
            tarfile.FIFOTYPE,
            tarfile.DIRTYPE,
        )
        for number, what in enumerate(special):
            info = tarfile.TarInfo(f"{number}.png")
            info.type, info.linkname, info.devmajor, info.devminor = what, "/etc/passwd", 1, 5
            info.size = 5000  # of which nothing follows
            archive.addfile(info)
            real = tarfile.TarInfo(f"real{number}.png")
            real.size = 3
            archive.addfile(real, io.BytesIO(b"abc"))
    assert outcomes(place) == {f"real{number}.png": b"abc" for number in range(6)}


def test_symbolic_links_in_a_zip_are_no_pictures(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, mode in {"link.png": 0o120777, "folder.png/": 0o40755, "real.png": 0o100644}.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, b"/etc/passwd")
    assert outcomes(tmp_path) == {"real.png": b"/etc/passwd"}


@pytest.mark.skipif(shutil.which("tar") is None, reason="needs the program tar")
@pytest.mark.parametrize("form", ["gnu", "posix"])
def test_a_file_packed_with_holes_is_refused_and_those_after_it_are_read(tmp_path: Path, form: str) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    with (raw / "a.png").open("wb") as file:
        for at in range(1, 40):  # more pieces than one header holds
            file.seek(at << 20)
            file.write(b"x")
    (raw / "b.png").write_bytes(noise(1))
    place = tmp_path / "a.tar"
    subprocess.run(["tar", "-S", "-C", raw, f"--format={form}", "-cf", place, "a.png", "b.png"], check=True)
    assert outcomes(place) == {"a.png": "unreadable", "b.png": noise(1)}


# --- reading -------------------------------------------------------------------------------------


@EVERY_KIND
def test_reading_in_order_opens_an_archive_once(tmp_path: Path, kind: str) -> None:
    place = packed(tmp_path, kind, {f"{number}.png": noise(number) for number in range(50)})
    entries = scan([place])
    with Opener() as opener:
        first = opener.read(entries[0])
        place.unlink()
        assert [first, *map(opener.read, entries[1:])] == [noise(number) for number in range(50)]


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts what was read as Linux does")
def test_reading_in_order_unpacks_an_archive_once(tmp_path: Path) -> None:
    def bytes_read() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    place = packed(tmp_path, "gzip", {f"{number}.png": noise(number, 50_000) for number in range(40)})
    before = bytes_read()
    entries = scan([place])
    with Opener() as opener:
        for entry in entries:
            opener.read(entry)
    assert bytes_read() - before < 2.5 * place.stat().st_size


@EVERY_KIND
def test_pictures_are_read_in_any_order_and_from_many_archives(tmp_path: Path, kind: str) -> None:
    expected = {}
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        contents = {f"{index}.png": noise(10 * number + index) for index in range(5)}
        place = packed(folder, kind, contents)
        expected.update({(str(place), name): content for name, content in contents.items()})
    entries = scan([tmp_path])
    random.Random(1).shuffle(entries)
    with Opener() as opener:
        assert {(entry.path, entry.member): opener.read(entry) for entry in entries} == expected


@EVERY_KIND
def test_an_archive_that_changed_after_it_was_listed_is_not_read(tmp_path: Path, kind: str) -> None:
    place = packed(tmp_path, kind, {"a.png": b"one", "b.png": b"two"})
    os.utime(place, ns=(0, 10**18))
    entries = scan([place])
    packed(tmp_path, kind, {"a.png": b"new", "b.png": b"tow"})
    for entry in entries:
        with Opener() as opener, pytest.raises(Unusable, match="changed") as caught:
            opener.read(entry)
        assert (caught.value.reason, caught.value.retry) == ("unreadable", True)


@EVERY_KIND
def test_other_content_of_the_same_size_and_date_has_another_stamp(tmp_path: Path, kind: str) -> None:
    (before,) = scan([packed(tmp_path, kind, {"a.png": b"one"})])
    (after,) = scan([packed(tmp_path, kind, {"a.png": b"two"})])
    assert (before.key, before.bytes) == (after.key, after.bytes)
    assert before.stamp != after.stamp


def test_a_picture_in_a_zip_keeps_its_stamp_where_only_others_change(tmp_path: Path) -> None:
    (before,) = scan([packed(tmp_path, "deflated", {"a.png": b"one"})])
    after, _ = scan([packed(tmp_path, "deflated", {"a.png": b"one", "b.png": b"two"})])
    assert before == after


@pytest.mark.parametrize("field", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_stamps_fit_the_integers_of_a_database(tmp_path: Path, field: bytes) -> None:
    content = bytearray(zipped({"a.png": b"one"}))
    start = content.index(b"PK\1\2")
    content[start + 12 : start + 20] = 2 * field  # time, date and CRC
    (tmp_path / "a.zip").write_bytes(content)
    (entry,) = scan([tmp_path])
    assert 0 <= entry.stamp < 1 << 63
    assert outcomes(tmp_path) == {"a.png": "corrupt"}
