"""Folders searched, files read or refused with a reason."""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capprep.errors import DatasetError
from capprep.images import files
from capprep.images.files import Entry, Opener
from capprep.images.unusable import Unusable

from .searching import scan


def put(folder: Path, *names: str | bytes) -> None:
    """Files that hold their own names."""
    for name in names:
        path = Path(os.fsdecode(os.path.join(os.fsencode(folder), os.fsencode(name))))  # noqa: PTH118
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(path.name))


def found(folder: Path, *, recursive: bool = True) -> dict[str, str]:
    """What a scan of a folder finds, by its path within it, and the reasons."""
    entries = scan([folder], recursive=recursive)
    return {os.path.relpath(entry.path, folder): entry.reason for entry in entries}


def reason(entry: Entry) -> str:
    with Opener() as opener, pytest.raises(Unusable) as caught:
        opener.read(entry)
    assert caught.value.message
    return caught.value.reason


# --- what is found -------------------------------------------------------------------------------


def test_folders_are_searched_to_the_bottom_for_picture_suffixes_in_any_case(tmp_path: Path) -> None:
    put(tmp_path, "b.JPG", "a.png", "deep/er/c.webp", "notes.txt", ".hidden.png", ".git/x.png", "skip/y.png", "png")
    skip = [tmp_path / "skip"]
    expected = ["a.png", "b.JPG", "deep/er/c.webp"]
    assert [os.path.relpath(entry.path, tmp_path) for entry in scan([tmp_path], skip)] == expected
    with pytest.raises(DatasetError, match="does not exist"):
        scan([tmp_path / "nowhere"])
    with pytest.raises(DatasetError, match="does not exist"):
        scan([tmp_path / "a.png" / "x"])


def test_a_file_named_itself_is_taken_whatever_its_suffix(tmp_path: Path) -> None:
    put(tmp_path, "notes.txt", ".hidden")
    named = [tmp_path / "notes.txt", tmp_path / ".hidden"]
    assert {entry.path for entry in scan(named)} == set(map(str, named))


def test_only_the_folder_itself_is_searched_where_that_is_asked_for(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "deep/b.png", "folder.png/c.png")
    (tmp_path / "link").symlink_to("/usr")
    assert found(tmp_path, recursive=False) == {"a.png": ""}


def test_size_and_time_of_a_file_come_with_it(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    os.utime(tmp_path / "a.png", ns=(0, 1_234_567_890_123_456_789))
    (entry,) = scan([tmp_path])
    assert (entry.bytes, entry.stamp) == (len("a.png"), 1_234_567_890_123_456_789)


def test_names_of_any_bytes_are_found_and_read(tmp_path: Path) -> None:
    names = [
        b"new\nline.png",
        b"not\xff\xfeutf8.png",
        b"n" * 251 + b".png",
        b"a.jpg",
        b"a.png",
        b"IMG.JPG",
        b"-rf.png",
        b"%s%n.png",
        b"tab\t\x1b[31m.png",
        "e\u0301.png".encode(),
        "\u00e9.png".encode(),
    ]
    put(tmp_path, *names)
    entries = scan([tmp_path])
    with Opener() as opener:
        assert {opener.read(entry) for entry in entries} == set(names)
    assert {os.path.basename(entry.key) for entry in entries} == set(names)  # noqa: PTH119
    assert len(entries) == len(names)


def test_a_scan_is_sorted_by_bytes_and_says_the_same_every_time(tmp_path: Path) -> None:
    put(tmp_path, "b.png", "B.png", "a/x.png", "a.png", b"\xff.png", "\u00e9.png", "a b.png")
    entries = scan([tmp_path])
    keys = [entry.key for entry in entries]
    assert keys == sorted(keys)
    assert scan([tmp_path]) == entries


def test_what_lies_under_several_places_is_found_once(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "sub/b.png")
    places = [tmp_path / "sub", tmp_path, tmp_path / "sub" / "b.png", tmp_path / "sub" / ".."]
    assert scan(places) == scan([tmp_path])


def test_of_two_ways_to_find_a_file_the_one_that_can_be_read_counts(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "sub/b.png")
    (tmp_path / "sub" / "link.png").symlink_to(tmp_path / "a.png")
    (outside,) = (entry for entry in scan([tmp_path / "sub"]) if entry.reason)
    assert outside.reason == "outside"
    for places in ([tmp_path / "sub", tmp_path], [tmp_path, tmp_path / "sub"]):
        assert not any(entry.reason for entry in scan(places))


def test_our_own_folders_are_never_searched_however_they_are_named(tmp_path: Path) -> None:
    put(tmp_path, "raw/a.png", "dataset/b.png")
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "raw" / "b.png").symlink_to(tmp_path / "dataset" / "b.png")
    (tmp_path / "raw" / "all").symlink_to(tmp_path / "dataset")
    for place in (tmp_path, tmp_path / "raw" / "..", tmp_path / "link"):
        (entry,) = scan([place], skip=[tmp_path / "dataset"])
        assert entry.path == str(tmp_path / "raw" / "a.png")
    with pytest.raises(DatasetError, match="keeps its own work"):
        scan([tmp_path / "link" / "dataset"], skip=[tmp_path / "dataset"])


# --- links, pipes, closed folders ----------------------------------------------------------------


def test_a_link_to_a_file_within_the_place_is_a_picture_under_its_own_name(tmp_path: Path) -> None:
    put(tmp_path, "sub/a.png", ".store/0001")
    (tmp_path / "b.png").symlink_to("sub/a.png")
    (tmp_path / "c.png").symlink_to(".store/0001")
    assert found(tmp_path) == {"sub/a.png": "", "b.png": "", "c.png": ""}


def test_links_that_lead_out_are_not_followed_but_named(tmp_path: Path) -> None:
    put(tmp_path, "raw/a.png", "raw-other/secret.png")
    raw = tmp_path / "raw"
    (raw / "file.png").symlink_to("../raw-other/secret.png")
    (raw / "folder").symlink_to(tmp_path / "raw-other")
    (raw / "twice.png").symlink_to("file.png")
    (raw / "text.txt").symlink_to("../raw-other/secret.png")
    (raw / ".hidden.png").symlink_to("../raw-other/secret.png")
    assert found(raw) == {"a.png": "", "file.png": "outside", "folder": "outside", "twice.png": "outside"}
    entries = {Path(entry.path).name: entry for entry in scan([raw])}
    assert "name that file itself" in entries["file.png"].message
    assert "name that folder itself" in entries["folder"].message
    assert reason(entries["file.png"]) == "outside"
    # and that does it
    assert not any(entry.reason for entry in scan([raw / "file.png", raw / "folder"]))


def test_links_that_lead_nowhere_or_in_circles_are_named_and_end(tmp_path: Path) -> None:
    put(tmp_path, "deep/a.png")
    (tmp_path / "gone.png").symlink_to("nothing.png")
    (tmp_path / "far.png").symlink_to("/nothing/at/all.png")
    (tmp_path / "self.png").symlink_to("self.png")
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    (tmp_path / "folder").symlink_to("deep")
    (tmp_path / "gone").symlink_to("nothing")
    expected = {"deep/a.png": "", "gone.png": "unreadable", "far.png": "unreadable", "self.png": "unreadable"}
    assert found(tmp_path) == expected
    with pytest.raises(DatasetError, match="cannot be opened"):
        scan([tmp_path / "self.png"])


def test_pipes_sockets_and_devices_are_named_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe.zip")
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.path.relpath(tmp_path / "socket.png"))
        found_ones = {Path(entry.path).name: entry for entry in scan([tmp_path])}
    assert {name: entry.reason for name, entry in found_ones.items()} == dict.fromkeys(
        ("pipe.png", "pipe.zip", "device.png", "socket.png"), "unreadable"
    )
    assert "pipe" in found_ones["pipe.png"].message
    assert "socket" in found_ones["socket.png"].message
    assert "device" in found_ones["device.png"].message
    assert [entry.reason for entry in scan([tmp_path / "pipe.txt"])] == ["unreadable"]
    with pytest.raises(Unusable, match="socket"):
        files.read(tmp_path / "socket.png")


def test_a_folder_that_cannot_be_opened_is_named_and_the_rest_is_searched(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    # longer than any path may be, which stops even those who may open everything
    name, depth = "d" * 250, 17
    above = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=above)
        below = os.open(name, os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = below
    os.close(above)
    try:
        closed, open_one = sorted(scan([tmp_path]), key=lambda entry: entry.reason, reverse=True)
        assert (closed.reason, open_one.path) == ("unreadable", str(tmp_path / "a.png"))
        assert reason(closed) == "unreadable"
    finally:
        shutil.rmtree(tmp_path / name)


def test_a_folder_closed_to_us_is_named(tmp_path: Path) -> None:
    put(tmp_path, "closed/a.png", "b.png")
    tmp_path.chmod(0o755)
    code = (
        "import os; from capprep.images import files; from pathlib import Path\n"
        f"for e in files.scan([Path({str(tmp_path)!r})]): print(os.path.basename(e.path), e.reason)"
    )
    # root may open everything, so without the rights that make it root
    unprivileged = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if unprivileged and shutil.which("setpriv") is None:
        pytest.skip("root without setpriv opens every folder")
    (tmp_path / "closed").chmod(0)
    try:
        ran = subprocess.run([*unprivileged, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert ran.stdout.split() == ["b.png", "closed", "unreadable"]


# --- entries -------------------------------------------------------------------------------------

PATHS = st.binary(min_size=1).filter(lambda name: b"\0" not in name).map(lambda name: os.fsdecode(b"/" + name))
MEMBERS = st.text(st.characters(codec="utf-8")) | st.binary().map(lambda name: name.decode("utf-8", "surrogateescape"))


@given(PATHS, MEMBERS)
def test_a_key_tells_path_and_member_apart_for_any_names(path: str, member: str) -> None:
    assert files.split(Entry(path, member).key) == (path, member)


def test_entries_are_small_and_can_be_handed_to_another_process(tmp_path: Path) -> None:
    put(tmp_path, *(f"{number:04}.png" for number in range(1000)))
    tracemalloc.start()
    entries = list(files.scan([tmp_path]))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / len(entries) < 300 + len(str(tmp_path))
    assert pickle.loads(pickle.dumps(entries)) == entries


# --- read and seen again -------------------------------------------------------------------------


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "device.png").symlink_to("/dev/zero")
    for name, expected in [
        ("pipe.png", "unreadable"),
        ("folder.png", "unreadable"),
        ("gone.png", "unreadable"),
        ("device.png", "unreadable"),
        ("empty.png", "empty"),
    ]:
        with pytest.raises(Unusable) as caught:
            files.read(tmp_path / name)
        assert caught.value.reason == expected
        assert reason(Entry(str(tmp_path / name))) == expected


def test_a_pipe_in_the_place_of_a_file_seen_before_is_not_waited_for(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    (entry,) = scan([tmp_path])
    (tmp_path / "a.png").unlink()
    os.mkfifo(tmp_path / "a.png")
    assert reason(entry) == "unreadable"


def test_a_file_over_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(files.MAX_FILE_BYTES + 1)  # a hole: it takes no room
    with pytest.raises(Unusable, match="limit"):
        files.read(tmp_path / "a.png")
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 4)
    (tmp_path / "a.png").write_bytes(b"1234")
    assert files.read(tmp_path / "a.png") == b"1234"


def test_a_file_known_before_is_seen_again_as_it_is_now(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "sub/b.png", "text.txt")
    for entry in scan([tmp_path, tmp_path / "text.txt"]):
        assert files.revisit(entry.path) == [entry]
    (before,) = files.revisit(str(tmp_path / "a.png"))
    (tmp_path / "a.png").write_bytes(b"changed")
    (after,) = files.revisit(before.path)
    assert (after.key, after.bytes) == (before.key, 7)
    assert files.revisit(str(tmp_path / "sub")) == []
    (tmp_path / "a.png").unlink()
    assert files.revisit(before.path) == []
    assert files.revisit(before.path + "/below") == []
    (tmp_path / "self.png").symlink_to("self.png")
    assert [entry.reason for entry in files.revisit(str(tmp_path / "self.png"))] == ["unreadable"]
