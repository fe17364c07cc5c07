"""Models from a hub over HTTP: whole, broken off, wrong, refused; and what is said of each."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import try_to_load_from_cache

from capprep import hub as hubs
from capprep import store as stores
from capprep.errors import ModelCorrupt, ModelMissing
from capprep.hub import PARTIAL, PIECE, Remote, fetch
from capprep.lock import Model, Pin
from capprep.store import Store

from .fake_hub import COMMIT, FakeHub, Fault

WEIGHTS, LABELS = b"weights" * 1000, b"name,category\ncat,0\n"
LARGE = bytes(range(251)) * 100_000
KEPT = 12 * PIECE
"""What is left of a download that is broken off a little later."""


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def model(weights: bytes = WEIGHTS, *, size: int | None = None, sha256: str | None = None) -> Model:
    pins = (
        Pin("w.onnx", sha256 or sha(weights), size, "7 kB", "", labels=False),
        Pin("labels.csv", None, None, "", "main", labels=True),
    )
    return Model("m", "booru", "a model", "us/model", COMMIT, "MIT", pins)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    files = {("us/model", COMMIT, "w.onnx"): WEIGHTS, ("us/model", COMMIT, "large.bin"): LARGE}
    labels = {("us/model", revision, "labels.csv"): LABELS for revision in ("main", COMMIT)}
    with FakeHub({**files, **labels}).running() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path, hub: FakeHub) -> Callable[..., Store]:
    def made(**words: object) -> Store:
        return Store(tmp_path / "state", tmp_path / "cache", hub.endpoint, **{"waits": (0.0, 0.0), **words})  # type: ignore[arg-type]

    return made


def large(sha256: str | None = None, size: int | None = None) -> Model:
    pin = Pin("large.bin", sha256, size, "", "", labels=False)
    return Model("m", "base", "", "us/model", COMMIT, "MIT", (pin,))


def cached(tmp_path: Path, name: str) -> Path | None:
    """What the hub's own client would load."""
    found = try_to_load_from_cache("us/model", name, cache_dir=tmp_path / "cache", revision=COMMIT)
    return Path(found) if isinstance(found, str) else None


def test_a_model_is_fetched_at_its_revision_verified_and_then_found_without_the_hub(
    tmp_path: Path, hub: FakeHub, store: Callable[..., Store]
) -> None:
    found = store().find(model())
    assert found.path.read_bytes() == WEIGHTS
    assert found.labels is not None
    assert found.labels.read_bytes() == LABELS
    assert found.recorded == ("labels.csv",)  # no digest was known: recorded, and said so
    assert all(r.path.startswith(("/us/model/resolve/", "/content/us/model/")) for r in hub.requests)  # no Xet
    hub.requests.clear()
    again = Store(tmp_path / "state", tmp_path / "cache", "http://127.0.0.1:9").find(model(), fetch=False)
    assert (again.path, again.sha256, again.recorded) == (found.path, found.sha256, ())
    assert hub.requests == []


def test_a_fetched_file_is_read_once_for_its_digest(
    store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "WORTH_WATCHING", 0)  # each piece read under the file's own name is told
    told: list[str] = []
    reader = store(watch=lambda name, done, total, detail: told.append(detail))
    reader.find(large())
    assert told.count("checking") == 1  # under its temporary name
    told.clear()
    reader.find(large())
    assert told == []


def test_nobody_can_load_a_file_before_it_was_checked(tmp_path: Path, hub: FakeHub) -> None:
    blobs = tmp_path / "models--us--model" / "blobs"
    seen: list[tuple[str, bytes]] = []
    path = fetch(
        Remote("us/model", "w.onnx", COMMIT, endpoint=hub.endpoint),
        lambda part: seen.extend((file.name, part.read_bytes()) for file in blobs.iterdir()),
        cache=tmp_path,
        report=lambda done, total, detail: None,
    )
    assert seen == [(sha(WEIGHTS) + PARTIAL, WEIGHTS)]
    assert path.resolve() == blobs / sha(WEIGHTS)


def test_a_token_goes_to_the_hub_and_not_to_the_host_it_sends_us_to(
    hub: FakeHub, store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    store().find(model())
    assert {r.token for r in hub.requests if "/resolve/" in r.path} == {True}
    assert {r.token for r in hub.requests if r.path.startswith("/content/")} == {False}


def test_a_download_that_was_broken_off_goes_on_in_the_next_call_where_it_stopped(
    tmp_path: Path, hub: FakeHub, store: Callable[..., Store]
) -> None:
    hub.faults = [Fault("GET", cut=KEPT + 1000), Fault("GET", status=403)]
    with pytest.raises(ModelMissing):
        store().find(large(sha(LARGE)))
    assert cached(tmp_path, "large.bin") is None
    hub.requests.clear()
    hub.sent = 0
    steps: list[tuple[int, int]] = []
    found = store(watch=lambda name, done, total, detail: steps.append((done, total))).find(large(sha(LARGE)))
    assert found.path.read_bytes() == LARGE
    assert [r.range for r in hub.gets("large.bin")] == [f"bytes={KEPT}-"]
    assert hub.sent == len(LARGE) - KEPT
    assert steps == sorted(steps)
    assert steps[0] == (KEPT, len(LARGE))
    assert steps[-1] == (len(LARGE), len(LARGE))
    assert list((tmp_path / "cache").rglob(f"*{PARTIAL}")) == []


def test_a_connection_that_breaks_is_taken_up_again_in_the_same_call(hub: FakeHub, store: Callable[..., Store]) -> None:
    hub.faults = [Fault("GET", cut=KEPT + 1000)]
    assert store().find(large(sha(LARGE))).path.read_bytes() == LARGE
    assert [r.range for r in hub.gets("large.bin")] == ["", f"bytes={KEPT}-"]


def test_a_host_that_knows_no_ranges_gives_the_whole_file_once_more(hub: FakeHub, store: Callable[..., Store]) -> None:
    hub.faults = [Fault("GET", cut=KEPT + 1000), Fault("GET", deaf=True)]
    assert store().find(large(sha(LARGE))).path.read_bytes() == LARGE
    assert [r.range for r in hub.gets("large.bin")] == ["", f"bytes={KEPT}-"]


def test_as_long_as_more_comes_a_download_is_not_given_up(hub: FakeHub, store: Callable[..., Store]) -> None:
    hub.faults = [Fault("GET", cut=4 * PIECE + 1000) for _ in range(4)]
    assert store(waits=(0.0,)).find(large(sha(LARGE))).path.read_bytes() == LARGE
    assert [r.range for r in hub.gets("large.bin")] == ["", *(f"bytes={n * 4 * PIECE}-" for n in range(1, 5))]


@pytest.mark.parametrize("part", [LARGE + b"more", LARGE, LARGE[:-1], b""])
def test_whatever_part_was_left_the_file_is_right_in_the_end(
    tmp_path: Path, hub: FakeHub, store: Callable[..., Store], part: bytes
) -> None:
    blobs = tmp_path / "cache" / "models--us--model" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{sha(LARGE)}{PARTIAL}").write_bytes(part)
    assert store().find(large(sha(LARGE))).path.read_bytes() == LARGE
    assert hub.sent == {LARGE: 0, LARGE[:-1]: 1}.get(part, len(LARGE))


def test_a_part_with_wrong_bytes_ends_in_quarantine_and_not_in_the_cache(
    tmp_path: Path, store: Callable[..., Store]
) -> None:
    blobs = tmp_path / "cache" / "models--us--model" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{sha(LARGE)}{PARTIAL}").write_bytes(b"?" * 1000)
    with pytest.raises(ModelCorrupt):
        store().find(large(sha(LARGE)))
    assert cached(tmp_path, "large.bin") is None
    assert store().find(large(sha(LARGE))).path.read_bytes() == LARGE


def test_a_wrong_file_of_the_right_size_is_put_aside_and_the_next_pull_fetches_anew(
    tmp_path: Path, hub: FakeHub, store: Callable[..., Store]
) -> None:
    wrong = b"swapped" * 1000
    hub.swapped["w.onnx"] = wrong
    aside = tmp_path / "state" / "quarantine" / f"{sha(wrong)}-w.onnx"
    hints = []
    for _ in range(2):
        with pytest.raises(ModelCorrupt, match=r"is damaged, or not the file that models\.lock names") as caught:
            store().find(model())
        assert str(aside) in caught.value.message
        assert aside.read_bytes() == wrong
        assert cached(tmp_path, "w.onnx") is None
        assert list((tmp_path / "cache").rglob("*w.onnx*")) == []
        assert not any(p.is_file() for p in (tmp_path / "cache").glob("*/blobs/*"))
        hints.append(caught.value.hint)
    assert hints[0] == "to fetch it again: capprep models pull m"
    assert "came before" in hints[1]  # fetching a third time would not help, so something else is said
    assert len(hub.gets("w.onnx")) == 2
    hub.swapped.clear()
    assert store().find(model()).path.read_bytes() == WEIGHTS


def test_a_cached_file_that_was_damaged_is_put_aside_and_fetched_anew(
    tmp_path: Path, hub: FakeHub, store: Callable[..., Store]
) -> None:
    before = store().find(model())
    assert before.put_aside == ()
    damaged = b"Weights" + WEIGHTS[7:]
    before.path.resolve().write_bytes(damaged)
    with pytest.raises(ModelCorrupt, match=r"w\.onnx of m has the SHA-256") as caught:
        store(trust=False, record=False).find(model(), fetch=False)  # judging moves nothing
    assert "capprep models pull m" in caught.value.hint
    assert before.path.read_bytes() == damaged
    after = store().find(model())
    assert after.path.read_bytes() == WEIGHTS
    assert (after.sha256, after.put_aside) == (before.sha256, (tmp_path / f"state/quarantine/{sha(damaged)}-w.onnx",))
    assert after.put_aside[0].read_bytes() == damaged


def test_a_damaged_file_is_not_used_where_no_other_can_be_had(tmp_path: Path, store: Callable[..., Store]) -> None:
    store().find(model()).path.resolve().write_bytes(b"damaged")
    with pytest.raises(ModelCorrupt, match=r"It was moved to .*could not be fetched: the hub at 127\.0\.0\.1:9 cannot"):
        Store(tmp_path / "state", tmp_path / "cache", "http://127.0.0.1:9").find(model())
    (snapshot,) = (tmp_path / "cache").glob("*/snapshots/*")
    assert [path.name for path in snapshot.iterdir()] == ["labels.csv"]


def test_a_recorded_digest_holds_later_files_to_it(tmp_path: Path, hub: FakeHub, store: Callable[..., Store]) -> None:
    store().find(model())
    other = b"name,category\nevil,0\n"
    for revision in ("main", COMMIT):
        hub.files["us/model", revision, "labels.csv"] = other
    with pytest.raises(ModelCorrupt, match=r"labels\.csv .* not the file that was fetched first") as caught:
        Store(tmp_path / "state", tmp_path / "other", hub.endpoint).find(model())
    assert "pins.json" in caught.value.hint


def test_a_file_that_the_hub_has_in_another_size_is_refused_before_a_byte_of_it_came(
    hub: FakeHub, store: Callable[..., Store]
) -> None:
    with pytest.raises(ModelMissing, match=f"with {len(WEIGHTS)} bytes instead of 5, so it is another file"):
        store().find(model(size=5))
    assert hub.gets("w.onnx") == []


GATED = {"X-Error-Code": "GatedRepo"}
BAD_TOKEN = {"X-Error-Message": "Invalid credentials in Authorization header"}


@pytest.mark.parametrize(
    ("fault", "sentence", "advice"),
    [
        (Fault("HEAD", 404, {"X-Error-Code": "EntryNotFound"}), "no such file at revision", "newer version of capprep"),
        (Fault("HEAD", 404, {"X-Error-Code": "RevisionNotFound"}), "has no revision", "newer version of capprep"),
        (Fault("HEAD", 404, {"X-Error-Code": "RepoNotFound"}), "private, renamed or gone", "hf auth login"),
        (Fault("HEAD", 404), r"knows nothing of it \(status 404\)", "HF_ENDPOINT"),
        (Fault("HEAD", 401, GATED), "accepted its terms", "accept them on its page"),
        (Fault("HEAD", 403, GATED), "accepted its terms", "hf auth login"),
        (Fault("HEAD", 401), "private, renamed or gone", "HF_TOKEN"),
        (Fault("HEAD", 401, BAD_TOKEN), "does not accept your token", "unset HF_TOKEN"),
        (Fault("GET", 403), "where the hub keeps it, answered with status 403", "your network blocks"),
        (Fault("HEAD", 418), "status 418", "later"),
        (Fault("HEAD", 200), "is not a hub", "login page"),
        (Fault("HEAD", 200, {"ETag": '"../../evil"', "X-Repo-Commit": COMMIT}), "is not a hub", "HF_ENDPOINT"),
    ],
)
def test_what_the_hub_refuses_is_said_in_one_sentence_with_what_to_do(
    hub: FakeHub, store: Callable[..., Store], fault: Fault, sentence: str, advice: str
) -> None:
    hub.faults = [fault]
    with pytest.raises(ModelMissing, match=sentence) as caught:
        store().find(model())
    assert caught.value.message.startswith("m needs the file w.onnx (7 kB), and it could not be fetched: ")
    assert len(caught.value.message.splitlines()) == 1
    assert advice in caught.value.hint
    assert "with a network" not in caught.value.hint  # there is one
    assert len([r for r in hub.requests if r.method == "HEAD"]) == 1  # asking again would not help


def test_a_busy_hub_is_asked_again_with_pauses_and_a_word_on_each(hub: FakeHub, store: Callable[..., Store]) -> None:
    hub.faults = [Fault("HEAD", 503), Fault("HEAD", 502), Fault("GET", 503)]
    told: list[str] = []
    found = store(waits=(0.0, 0.0, 0.0), watch=lambda name, done, total, detail: told.append(detail)).find(model())
    assert found.path.read_bytes() == WEIGHTS
    assert [word for word in told if "busy" in word] == [
        f"the hub is busy (status {n}); again in 0 s" for n in (503, 502, 503)
    ]


def test_a_hub_that_stays_busy_is_given_up_after_the_last_wait(hub: FakeHub, store: Callable[..., Store]) -> None:
    hub.faults = [Fault("HEAD", 503) for _ in range(9)]
    with pytest.raises(ModelMissing, match=r"the hub is busy \(status 503 and 4 attempts\)"):
        store(waits=(0.0, 0.0, 0.0)).find(model())
    assert len(hub.requests) == 4


def test_the_pause_a_hub_asks_for_is_kept_and_has_a_bound(
    hub: FakeHub, store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "LONGEST_WAIT", 0.3)
    hub.faults = [Fault("HEAD", 429, {"Retry-After": "99999"}), Fault("HEAD", 503, {"Retry-After": "soon"})]
    started = time.monotonic()
    store().find(model())
    assert 0.3 <= time.monotonic() - started < 10


def test_a_hub_that_promises_more_than_it_has_is_given_up(hub: FakeHub, store: Callable[..., Store]) -> None:
    hub.sizes["w.onnx"] = len(WEIGHTS) + 5
    with pytest.raises(ModelMissing, match="the connection broke off") as caught:
        store(waits=(0.0,) * 4).find(model())
    assert "goes on where it stopped" in caught.value.hint
    assert len(hub.gets("w.onnx")) <= 7


def test_a_file_too_large_for_the_disk_is_not_begun(tmp_path: Path, hub: FakeHub, store: Callable[..., Store]) -> None:
    hub.sizes["w.onnx"] = 10**18
    with pytest.raises(ModelMissing, match=r"000,000.0 MB are needed and [0-9,.]+ MB are free at") as caught:
        store().find(model())
    assert str(tmp_path / "cache") in caught.value.message
    assert "HF_HOME" in caught.value.hint
    assert hub.gets("w.onnx") == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_on_the_way_is_said_to_be_full(tmp_path: Path, store: Callable[..., Store]) -> None:
    blobs = tmp_path / "cache" / "models--us--model" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{sha(WEIGHTS)}{PARTIAL}").symlink_to("/dev/full")
    with pytest.raises(ModelMissing, match="the disk is full at") as caught:
        store().find(model())
    assert "HF_HOME" in caught.value.hint


def test_a_cache_that_may_not_be_written_is_named(tmp_path: Path, store: Callable[..., Store]) -> None:
    (tmp_path / "cache").write_text("a file, and no folder")
    with pytest.raises(ModelMissing, match=r"cache.*: (Not a directory|File exists)") as caught:
        store().find(model())
    assert "HF_HOME" in caught.value.hint


def test_model_files_that_the_lock_does_not_name_are_not_loaded_by_the_way(store: Callable[..., Store]) -> None:
    found = store().find(model())
    (found.path.parent / "model.safetensors").write_bytes(b"planted")
    with pytest.raises(ModelCorrupt, match=r"model\.safetensors lies beside"):
        store().find(model())


def test_verifying_records_nothing(tmp_path: Path, hub: FakeHub, store: Callable[..., Store]) -> None:
    store().find(model())
    judge = Store(tmp_path / "other", tmp_path / "cache", hub.endpoint, trust=False, record=False)
    for _ in range(2):
        assert judge.find(model(), fetch=False).recorded == ("labels.csv",)


def test_digests_recorded_before_are_not_forgotten_in_silence(tmp_path: Path, store: Callable[..., Store]) -> None:
    store().find(model())
    (tmp_path / "state" / "pins.json").write_text('{"half')
    with pytest.raises(ModelCorrupt, match=r"pins\.json"):
        store().find(model())


def all_at_once(tmp_path: Path, hub: FakeHub) -> list[str]:
    """Three processes that want the same file: what each got for its digest."""
    code = (
        "import sys; from pathlib import Path; from capprep.lock import Model, Pin; from capprep.store import Store\n"
        "pin = Pin('large.bin', sys.argv[4], None, '', '', labels=False)\n"
        "model = Model('m', 'base', '', 'us/model', sys.argv[5], 'MIT', (pin,))\n"
        "print(Store(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]).find(model).sha256)"
    )
    arguments = [str(tmp_path / "state"), str(tmp_path / "cache"), hub.endpoint, sha(LARGE), COMMIT]
    started = [
        subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    return [process.communicate(timeout=60)[0].strip() for process in started]


def test_processes_that_fetch_at_once_get_the_file_and_ask_for_it_once(tmp_path: Path, hub: FakeHub) -> None:
    assert all_at_once(tmp_path, hub) == [sha(LARGE)] * 3
    assert [r.range for r in hub.gets("large.bin")] == [""]


def test_processes_that_find_the_same_damage_at_once_mend_it_once(
    tmp_path: Path, hub: FakeHub, store: Callable[..., Store]
) -> None:
    damaged = b"?" + LARGE[1:]
    store().find(large(sha(LARGE))).path.resolve().write_bytes(damaged)
    hub.requests.clear()
    assert all_at_once(tmp_path, hub) == [sha(LARGE)] * 3
    assert (tmp_path / "state" / "quarantine" / f"{sha(damaged)}-large.bin").read_bytes() == damaged
    assert len(hub.gets("large.bin")) == 1
