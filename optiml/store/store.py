"""One SQLite file for each run: a transaction for each event, so that a kill loses only what was under way."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir.diagnostics import Location, fail
from optiml.candidate import Candidate
from optiml.edit import Edit
from optiml.propose.exchange import Exchange, Message, Usage
from optiml.store.schema import SCHEMA, VERSION
from optiml.verdict import Verdict, document_of, verdict_of


@dataclass(frozen=True)
class StepRow:
    """A step of the search as it was told: the edit's facts, the reward, and seconds since the run began."""

    number: int
    key: str
    parent: str
    tag: str
    limiter: str
    why: str
    proposer: str
    reward: float
    elapsed_s: float


class Store:
    """Facts, candidates, verdicts, proposals and steps of one run; every method that writes is one transaction."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection

    @staticmethod
    def create(path: Path, facts: Mapping[str, Any]) -> Store:
        """A new file with the facts of a run that begins, or one that a kill left before it had any.

        Raises UserError `run-exists` where there is a file, `bad-folder` where none can be made.
        """
        if path.exists() and not _is_blank(path):
            remedy = f"continue it: optiml resume {path}; or name another file with --run"
            raise fail("run-exists", "there is a run already", Location(str(path)), remedy)
        connection = _connected(path)
        with _transaction(connection):
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.executemany("INSERT INTO facts VALUES (?, ?)", _rows(facts))
        return Store(connection, path)

    @staticmethod
    def open(path: Path) -> Store:
        """A file that a run has made. Raises UserError: `missing-file`; `no-run` for any other file."""
        if not path.is_file():
            raise fail("missing-file", f"there is no file {path}")
        connection = _connected(path)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise fail("no-run", f"this is no run: {error}", Location(str(path))) from None
        if version != VERSION:
            raise fail("no-run", f"this is no run of version {VERSION}, but of {version}", Location(str(path)))
        return Store(connection, path)

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # Facts.

    def state(self, facts: Mapping[str, Any]) -> None:
        """Keep facts of the run under their names; a name that has a fact gets the new one."""
        with _transaction(self._connection):
            self._connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", _rows(facts))

    def facts(self) -> dict[str, Any]:
        """All facts by name."""
        return {name: json.loads(value) for name, value in self._connection.execute("SELECT * FROM facts")}

    # Candidates and their verdicts.

    def keep_verdict(self, candidate: Candidate, purpose: str, verdict: Verdict) -> None:
        """A verdict for a purpose (`search`, `confirm`) with its candidate; a later one replaces it."""
        with _transaction(self._connection):
            self._keep(candidate)
            row = (candidate.key, purpose, _text(document_of(verdict)))
            self._connection.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?)", row)

    def verdict(self, key: str, purpose: str) -> Verdict | None:
        """None where there is none yet."""
        query = "SELECT verdict FROM verdicts WHERE key = ? AND purpose = ?"
        row = self._connection.execute(query, (key, purpose)).fetchone()
        return None if row is None else verdict_of(json.loads(row[0]))

    def verdicts(self) -> dict[tuple[str, str], Verdict]:
        """All verdicts by key and purpose."""
        rows = self._connection.execute("SELECT key, purpose, verdict FROM verdicts ORDER BY key, purpose")
        return {(key, purpose): verdict_of(json.loads(text)) for key, purpose, text in rows}

    def candidate(self, key: str) -> Candidate:
        """Raises KeyError for an unknown key."""
        query = "SELECT language, source, overrides FROM candidates WHERE key = ?"
        row = self._connection.execute(query, (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return Candidate(row[0], row[1], json.loads(row[2]))

    def keys(self) -> list[str]:
        """Keys of all candidates, sorted."""
        return [row[0] for row in self._connection.execute("SELECT key FROM candidates ORDER BY key")]

    # What proposers said.

    def keep_proposal(self, number: int, key: str, edits: Sequence[Edit]) -> None:
        """The answer to the number-th question to the proposer, which was about the candidate of the key."""
        with _transaction(self._connection):
            for edit in edits:
                self._keep(edit.result)
            rows = [[e.tag, e.limiter, e.why, e.proposer, e.result.key] for e in edits]
            self._connection.execute("INSERT INTO proposals VALUES (?, ?, ?)", (number, key, _text(rows)))

    def proposal(self, number: int) -> tuple[str, tuple[Edit, ...]] | None:
        """The key and the edits; None where the question has not been asked yet."""
        row = self._connection.execute("SELECT key, edits FROM proposals WHERE number = ?", (number,)).fetchone()
        if row is None:
            return None
        return row[0], self._edits(row[1])

    def proposals(self) -> tuple[tuple[str, tuple[Edit, ...]], ...]:
        """All answers in the order of the questions: the key that each was about, and the edits."""
        rows = self._connection.execute("SELECT key, edits FROM proposals ORDER BY number").fetchall()
        return tuple((key, self._edits(edits)) for key, edits in rows)

    def _edits(self, text: str) -> tuple[Edit, ...]:
        return tuple(Edit(tag, at, why, self.candidate(key), who) for tag, at, why, who, key in json.loads(text))

    # What models were asked, by the question that they were asked for.

    def keep_exchange(self, question: int, turn: int, exchange: Exchange) -> None:
        """The turn-th call of a proposer for a question."""
        usage, messages = exchange.usage, _text([[m.role, m.text] for m in exchange.messages])
        row = (
            question, turn, exchange.proposer, exchange.role, messages, exchange.reply, exchange.ended,
            exchange.outcome, usage.input_tokens, usage.output_tokens, usage.cost, exchange.elapsed_s,
        )  # fmt: skip
        with _transaction(self._connection):
            self._connection.execute("INSERT INTO exchanges VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def exchange(self, question: int, proposer: str, turn: int) -> Exchange | None:
        """None where the call has not been made."""
        query = "SELECT * FROM exchanges WHERE question = ? AND proposer = ? AND turn = ?"
        row = self._connection.execute(query, (question, proposer, turn)).fetchone()
        return None if row is None else _exchange(row)

    def exchanges(self, question: int | None = None) -> tuple[Exchange, ...]:
        """All of them, or those of one question, in order."""
        query = "SELECT * FROM exchanges WHERE ?1 IS NULL OR question = ?1 ORDER BY question, proposer, turn"
        return tuple(map(_exchange, self._connection.execute(query, (question,))))

    # Steps.

    def keep_step(self, step: StepRow) -> None:
        """A step, once its result was told to the strategy."""
        row = tuple(getattr(step, name) for name in StepRow.__dataclass_fields__)
        with _transaction(self._connection):
            self._connection.execute("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def step(self, number: int) -> StepRow | None:
        """None where the run has not come so far."""
        row = self._connection.execute("SELECT * FROM steps WHERE number = ?", (number,)).fetchone()
        return None if row is None else StepRow(*row)

    def steps(self) -> tuple[StepRow, ...]:
        """All of them in order."""
        return tuple(StepRow(*row) for row in self._connection.execute("SELECT * FROM steps ORDER BY number"))

    def _keep(self, candidate: Candidate) -> None:
        row = (candidate.key, candidate.language, candidate.source, _text(dict(candidate.overrides)))
        self._connection.execute("INSERT OR IGNORE INTO candidates VALUES (?, ?, ?, ?)", row)


def _connected(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    except sqlite3.OperationalError as error:
        raise fail("bad-folder", f"no run can be kept here: {error}", Location(str(path))) from None
    # WAL: a reader (`optiml show`) sees the last whole event while the run goes on.
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.DatabaseError as error:
        raise fail("no-run", f"this is no run: {error}", Location(str(path))) from None
    return connection


def _is_blank(path: Path) -> bool:
    """Whether a file is a database without tables, or empty."""
    connection = sqlite3.connect(path)
    try:
        return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()


def _exchange(row: Sequence[Any]) -> Exchange:
    _question, _turn, proposer, role, messages, reply, ended, outcome, read, written, cost, elapsed_s = row
    conversation = tuple(Message(who, text) for who, text in json.loads(messages))
    usage = Usage(read, written, cost)
    return Exchange(proposer, role, conversation, reply, ended, outcome, usage, elapsed_s)


def _rows(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, _text(value)) for name, value in facts.items()]


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _text(value: Any) -> str:
    return json.dumps(value)
