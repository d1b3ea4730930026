"""Artifacts on disk, by a hash of all that they depend on: safe under concurrent use, bounded, least recently used out.

An entry is a checksum, a newline and compressed JSON. It is written beside its place and renamed, so that a reader
sees a whole entry or none; what a crash or a bad disk leaves is told by the checksum and compiled again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from backends.compilers.artifact import Compiled, from_json, to_json
from ir.diagnostics import fail

FOLDER_VARIABLE = "TWILL_CACHE_DIR"
SIZE_VARIABLE = "TWILL_CACHE_BYTES"
DEFAULT_MAX_BYTES = 2**30
# After an eviction this share of the limit is in use, so that not every entry causes the next one.
_KEPT_SHARE = 0.9
# To look for what can go takes long in a full folder: one of so many keys does it, and whatever is large.
_SCANS = "0"
_LARGE_PART = 1000
_SUFFIX = ".artifact"
_TEMPORARY = ".tmp"
_STALE_S = 3600.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cache:
    """A folder of artifacts that holds up to `max_bytes`; 0 switches it off. Nothing that it meets on disk is fatal."""

    folder: Path
    max_bytes: int = DEFAULT_MAX_BYTES

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> Cache:
        """The user's cache: TWILL_CACHE_DIR, else twill/ in XDG_CACHE_HOME or ~/.cache; TWILL_CACHE_BYTES bounds it.

        Raises UserError (bad-value) where the bound is no number of bytes.
        """
        base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(environment.get(FOLDER_VARIABLE) or Path(base) / "twill")
        text = environment.get(SIZE_VARIABLE, str(DEFAULT_MAX_BYTES))
        if not text.isdecimal():
            remedy = "write a number of bytes, 0 for no cache"
            raise fail("bad-value", f"{SIZE_VARIABLE} is `{text}`", remedy=remedy)
        return Cache(folder, int(text))

    @staticmethod
    def off() -> Cache:
        """A cache that keeps nothing."""
        return Cache(Path(), 0)

    def get(self, key: str) -> str | None:
        """The text of an entry, None where there is none or it is damaged (it is removed then)."""
        if not self.max_bytes:
            return None
        path = self._path(key)
        try:
            text = _unpack(path.read_bytes())
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, zlib.error) as error:
            _log.warning("cache entry %s is unusable and is made again: %s", path, error)
            self.drop(key)
            return None
        return text

    def put(self, key: str, text: str) -> None:
        """Keep a text, and remove what has not been used for longest where the cache is full."""
        packed = _pack(text)
        if len(packed) > self.max_bytes:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(self._path(key), packed)
            if key.endswith(_SCANS) or len(packed) >= self.max_bytes // _LARGE_PART:
                self._evict()
        except OSError as error:
            _log.warning("cache folder %s cannot be used: %s", self.folder, error)

    def drop(self, key: str) -> None:
        """Remove an entry, if it can be."""
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("cache entry %s cannot be removed: %s", self._path(key), error)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _evict(self) -> None:
        with os.scandir(self.folder) as entries:
            files = sorted((entry.stat().st_mtime, entry.stat().st_size, entry.path) for entry in _present(entries))
        total = sum(size for _, size, path in files if path.endswith(_SUFFIX))
        limit = self.max_bytes if total <= self.max_bytes else int(self.max_bytes * _KEPT_SHARE)
        for used, size, path in files:
            if path.endswith(_TEMPORARY) and used < time.time() - _STALE_S:
                Path(path).unlink(missing_ok=True)
            elif path.endswith(_SUFFIX) and total > limit:
                Path(path).unlink(missing_ok=True)
                total -= size


def cached(cache: Cache | None, parts: Iterable[str], make: Callable[[], Compiled]) -> Compiled:
    """The artifact that `parts` determine: out of the cache, else made and kept. None is the user's cache."""
    chosen = Cache.from_environment() if cache is None else cache
    if not chosen.max_bytes:
        return make()
    key = content_key(parts)
    found = _read(chosen, key)
    if found is None:
        found = make()
        chosen.put(key, to_json(found))
    return found


def cached_text(cache: Cache | None, parts: Iterable[str], make: Callable[[], str]) -> str:
    """The text that `parts` determine, as `cached`."""
    chosen = Cache.from_environment() if cache is None else cache
    if not chosen.max_bytes:
        return make()
    key = content_key(parts)
    found = chosen.get(key)
    if found is None:
        found = make()
        chosen.put(key, found)
    return found


def content_key(parts: Iterable[str]) -> str:
    """A hash of texts, of where one ends and the next begins, and of the form of an artifact.

    >>> content_key(["ab", "c"]) == content_key(["a", "bc"])
    False
    """
    form = ",".join(field.name for field in fields(Compiled))
    lengths = "".join(f"{len(part)}:{part}" for part in (form, *parts))
    return hashlib.sha256(lengths.encode("utf-8", errors="surrogatepass")).hexdigest()


def _read(cache: Cache, key: str) -> Compiled | None:
    text = cache.get(key)
    if text is None:
        return None
    try:
        return from_json(text)
    except (ValueError, TypeError, KeyError) as error:
        _log.warning("cache entry %s has another form and is made again: %s", key, error)
        cache.drop(key)
        return None


def _pack(text: str) -> bytes:
    body = zlib.compress(text.encode("utf-8"), 1)
    return hashlib.sha256(body).hexdigest().encode("ascii") + b"\n" + body


def _unpack(data: bytes) -> str:
    checksum, _, body = data.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode("ascii") != checksum:
        raise ValueError("the checksum does not match")
    return zlib.decompress(body).decode("utf-8")


def _write(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(suffix=_TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _present(entries: Iterable[os.DirEntry[str]]) -> Iterable[os.DirEntry[str]]:
    """Entries that are still there: another process may remove one at any time."""
    for entry in entries:
        try:
            entry.stat()
        except FileNotFoundError:
            continue
        yield entry
