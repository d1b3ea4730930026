"""The cache: concurrent use, damage, its bound, its switches."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from backends.compilers.artifact import Compiled, Parameter, Resources, Scratch, TensorMapLayout, from_json, to_json
from backends.compilers.cache import DEFAULT_MAX_BYTES, Cache, cached, content_key
from ir.diagnostics import Diagnostic, Location, UserError

LAYOUT = TensorMapLayout(3, 6, 2, (128, 64))
ARTIFACT = Compiled(
    language="triton",
    entry="k",
    architecture="sm_90a",
    ptx=".version 8.0",
    cubin=bytes(range(256)),
    parameters=(Parameter("tensor-map", "fp16", 128, 64, "x", (1,), tensor_map=LAYOUT),),
    block=(128, 1, 1),
    cluster=(2, 1, 1),
    global_scratch=Scratch(128, 128),
    resources=Resources(24, spill_store_bytes=4),
    constants={"BLOCK": 64, "NAME": "fp16", "NONE": None},
    warnings=(Diagnostic("cuda-warning", "unused", Location("k.cu", 1, 2)),),
)


def _entries(cache: Cache) -> list[Path]:
    return sorted(cache.folder.glob("*.artifact"))


def _never() -> Compiled:
    raise AssertionError("it is in the cache")


def test_an_artifact_comes_back() -> None:
    assert from_json(to_json(ARTIFACT)) == ARTIFACT


def test_what_is_kept_is_not_made_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cached(cache, ["a"], lambda: ARTIFACT) == ARTIFACT
    assert cached(cache, ["a"], _never) == ARTIFACT
    with pytest.raises(AssertionError):
        cached(cache, ["b"], _never)


def _damages() -> dict[str, bytes]:
    cache_text = b"x" * 64 + b"\n"
    return {"empty": b"", "text": b"not an entry", "checksum": cache_text + b"body", "binary": os.urandom(100)}


@pytest.mark.parametrize("kind", [*_damages(), "torn", "flipped"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, kind: str) -> None:
    cache = Cache(tmp_path)
    cached(cache, ["a"], lambda: ARTIFACT)
    (path,) = _entries(cache)
    whole = path.read_bytes()
    flipped = whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:]
    path.write_bytes({**_damages(), "torn": whole[: len(whole) // 2], "flipped": flipped}[kind])
    made: list[int] = []
    assert cached(cache, ["a"], lambda: made.append(1) or ARTIFACT) == ARTIFACT  # type: ignore[func-returns-value]
    assert made == [1]
    assert cached(cache, ["a"], _never) == ARTIFACT


@pytest.mark.parametrize("text", ["[]", "{}", '{"language": 1}', '{"unknown": 1}', "null"])
def test_an_entry_of_another_form_is_made_again(tmp_path: Path, text: str) -> None:
    cache = Cache(tmp_path)
    cache.put(content_key(["a"]), text)
    assert cached(cache, ["a"], lambda: ARTIFACT) == ARTIFACT
    assert cached(cache, ["a"], _never) == ARTIFACT


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    text = [os.urandom(512).hex() for _ in range(14)]
    Cache(tmp_path).put("0", text[0])
    (first,) = _entries(Cache(tmp_path))
    cache = Cache(tmp_path, int(10.5 * first.stat().st_size))
    for index in range(10):
        cache.put(f"{index}", text[index])
        os.utime(tmp_path / f"{index}.artifact", (index + 1, index + 1))
    assert len(_entries(cache)) == 10 and cache.get("0") == text[0]
    for index in range(10, 14):
        cache.put(f"{index}", text[index])
        assert sum(path.stat().st_size for path in _entries(cache)) <= cache.max_bytes
    left = {path.stem for path in _entries(cache)}
    assert {"0", "9", "13"} <= left and not {"1", "2", "3"} & left


def test_an_entry_above_the_bound_is_not_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 100)
    cache.put("a", os.urandom(500).hex())
    assert not _entries(cache)


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    old, new = tmp_path / "old.tmp", tmp_path / "new.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    Cache(tmp_path).put("0", "text")
    assert not old.exists() and new.exists()


def test_off_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made: list[int] = []
    for _ in range(2):
        cached(Cache.off(), ["a"], lambda: made.append(1) or ARTIFACT)  # type: ignore[func-returns-value]
    assert made == [1, 1] and not list(tmp_path.rglob("*.artifact"))


def test_the_environment_chooses(tmp_path: Path) -> None:
    assert Cache.from_environment({}) == Cache(Path.home() / ".cache" / "twill", DEFAULT_MAX_BYTES)
    assert Cache.from_environment({"XDG_CACHE_HOME": "/x"}).folder == Path("/x/twill")
    both = {"XDG_CACHE_HOME": "/x", "TWILL_CACHE_DIR": "/y", "TWILL_CACHE_BYTES": "1000"}
    assert Cache.from_environment(both) == Cache(Path("/y"), 1000)
    assert Cache.from_environment({"TWILL_CACHE_BYTES": "0"}).max_bytes == 0
    with pytest.raises(UserError, match=r"TWILL_CACHE_BYTES is `1G` \[bad-value\]"):
        Cache.from_environment({"TWILL_CACHE_BYTES": "1G"})


def test_a_folder_that_cannot_be_used_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    cache = Cache(file / "below")
    assert cached(cache, ["a"], lambda: ARTIFACT) == ARTIFACT


def _work(folder: str, seed: int, failures: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    """Many gets and puts on few keys under a bound that holds half of them, with damage now and then."""
    cache = Cache(Path(folder), 6000)
    for step in range(150):
        key = str((seed * 7 + step) % 12)
        text = key * 1000 + os.urandom(200).hex()
        found = cache.get(key)
        if found is not None and found[:1000] != (key * 1000)[:1000]:
            failures.put((key, found[:20]))
        cache.put(key, text)
        if step % 29 == 0:
            path = cache.folder / f"{key}.artifact"
            if path.exists():
                path.write_bytes(b"torn")


def test_concurrent_processes_read_whole_entries_or_none(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    failures = context.Queue()
    workers = [context.Process(target=_work, args=(str(tmp_path), seed, failures)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert failures.empty()
    assert not list(tmp_path.glob("*.tmp"))
    assert sum(path.stat().st_size for path in tmp_path.glob("*.artifact")) <= 6000 + 4 * 1500
