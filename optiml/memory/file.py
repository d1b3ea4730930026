"""The memory's file: SQLite in the user's data folder, which several runs may read and write at once."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ir.diagnostics import Location, UserError, fail
from optiml.memory.record import Record, record_document, record_of

FILE_VARIABLE = "OPTIML_MEMORY_FILE"
UNUSABLE = "memory-unusable"
_VERSION = 1
# How long a run waits for another one that is writing.
_WAIT_S = 10.0
# Records that a run chooses from: the newest.
_MOST = 20_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, language TEXT NOT NULL, record TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS offers (question TEXT PRIMARY KEY, digests TEXT NOT NULL) WITHOUT ROWID;
"""
Choose = Callable[[Sequence[Record]], Sequence[Record]]


def memory_path(environment: Mapping[str, str] = os.environ) -> Path:
    """OPTIML_MEMORY_FILE, else optiml/memory.sqlite in XDG_DATA_HOME or ~/.local/share."""
    base = environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(environment.get(FILE_VARIABLE) or Path(base) / "optiml" / "memory.sqlite")


@dataclass(frozen=True)
class MemoryFile:
    """Records, and what was offered to whom. Every method raises UserError `memory-unusable` where the file is broken,
    cannot be written, or is locked for long."""

    path: Path

    def records(self, language: str = "") -> tuple[Record, ...]:
        """All of a language, or all, in the order in which they were learnt."""
        if not self.path.exists():
            return ()
        with self._connected() as connection:
            return _records(connection, language)

    def add(self, records: Iterable[Record]) -> int:
        """Keep those that are not known, and say how many."""
        rows = [(r.digest, r.language, json.dumps(record_document(r))) for r in records]
        if not rows:
            return 0
        with self._connected() as connection:
            before = connection.total_changes
            statement = "INSERT OR IGNORE INTO records (digest, language, record) VALUES (?, ?, ?)"
            connection.executemany(statement, rows)
            return connection.total_changes - before

    def offered(self, question: str, language: str, choose: Choose) -> tuple[Record, ...]:
        """What was offered to this question before, else what is chosen now, which is written down."""
        with self._connected() as connection:
            records = _records(connection, language)
            row = connection.execute("SELECT digests FROM offers WHERE question = ?", (question,)).fetchone()
            if row is not None:
                known = {r.digest: r for r in records}
                return tuple(known[digest] for digest in json.loads(row[0]) if digest in known)
            found = tuple(choose(records[-_MOST:]))
            text = json.dumps([r.digest for r in found])
            connection.execute("INSERT INTO offers VALUES (?, ?)", (question, text))
            return found

    def clear(self) -> int:
        """Forget everything, and say how many records there were; a file that is no memory any more is removed."""
        if not self.path.exists():
            return 0
        try:
            with self._connected() as connection:
                count = int(connection.execute("SELECT count(*) FROM records").fetchone()[0])
                connection.execute("DELETE FROM records")
                connection.execute("DELETE FROM offers")
                return count
        except UserError as error:
            if isinstance(error.__cause__, sqlite3.OperationalError | OSError):
                raise
            self.path.unlink()
            return 0

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """One transaction, in which nobody else writes."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=_WAIT_S)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        try:
            connection.execute("BEGIN IMMEDIATE")
            _prepare(connection)
            yield connection
            connection.execute("COMMIT")
        except (sqlite3.Error, ValueError, UserError) as error:
            raise self._unusable(error) from error
        finally:
            connection.close()

    def _unusable(self, error: Exception) -> UserError:
        remedy = "forget it: optiml memory clear; name another file in OPTIML_MEMORY_FILE; or do without: --no-memory"
        return fail(UNUSABLE, f"the memory of earlier runs cannot be used: {error}", Location(str(self.path)), remedy)


def _prepare(connection: sqlite3.Connection) -> None:
    """Tables in a new file; an error for a file of another kind."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, _VERSION):
        raise fail("bad-version", f"it is of version {version}, not {_VERSION}")
    if not version:
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def _records(connection: sqlite3.Connection, language: str) -> tuple[Record, ...]:
    rows = connection.execute("SELECT record FROM records WHERE ?1 = '' OR language = ?1 ORDER BY id", (language,))
    return tuple(record_of(json.loads(text)) for (text,) in rows)
