"""An answer becomes an edit, or a typed reason why it does not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from optiml.candidate import Candidate
from optiml.edit import Edit
from optiml.propose.llm.check import fault
from optiml.propose.llm.fences import Block, blocks
from optiml.propose.llm.patch import MisfitError, patched
from optiml.propose.llm.provider import End, Reply
from optiml.propose.llm.settings import forbidden
from optiml.propose.protocol import LIMITERS, Context, Unit

_TAG = re.compile(r"[A-Za-z0-9][\w.:=,+/-]{0,79}")
_CODE = {"cuda": ("cuda", "cu", "cpp", "c++", "c"), "triton": ("python", "py"), "gluon": ("python", "py")}
_DIFF = ("diff", "patch", "udiff")
_WHY_CHARACTERS = 400
NOTHING_TAG = "none"


class Fault(StrEnum):
    """Why an answer is no edit."""

    EMPTY = "empty"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    FORBIDDEN = "forbidden"
    MISFIT = "misfit"
    UNPARSABLE = "unparsable"
    UNCHANGED = "unchanged"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Rejected:
    """An answer that is no edit. why: in words that help whoever gave it."""

    fault: Fault
    why: str

    def __str__(self) -> str:
        return f"{self.fault}: {self.why}"


_OF_END = {
    End.LENGTH: (Fault.TRUNCATED, "it was cut off at the limit of its length; a diff is shorter than the whole file"),
    End.REFUSAL: (Fault.REFUSED, "it was refused"),
}


def unusable(reply: Reply) -> Rejected | None:
    """What is wrong with a reply before it is read; None where nothing is."""
    if reply.end in _OF_END:
        return Rejected(*_OF_END[reply.end])
    return None if reply.text.strip() else Rejected(Fault.EMPTY, "it was empty")


@dataclass(frozen=True)
class EditReader:
    """Reads edits of `context.candidate`, or of `base` where another program is to be edited (a repair).

    known: keys of programs that are no news.
    """

    context: Context
    proposer: str
    base: Candidate
    known: tuple[str, ...] = ()

    def __call__(self, reply: Reply) -> Edit | Rejected:
        """The edit of an answer."""
        wrong = unusable(reply)
        if wrong is not None:
            return wrong
        parts = list(blocks(reply.text))
        if any(not block.is_closed for block in parts):
            return Rejected(Fault.TRUNCATED, "a fenced block has no end")
        header = header_of(parts)
        return header if isinstance(header, Rejected) else self._edit(header, parts)

    def _edit(self, header: Mapping[str, Any], parts: Sequence[Block]) -> Edit | Rejected:
        wrong = _header_fault(header)
        if wrong is not None:
            return wrong
        given = header.get("set") or {}
        refused = forbidden(given, Unit(self.base, self.context.task))
        if refused:
            return Rejected(Fault.FORBIDDEN, refused)
        source = self._source(parts, has_settings=bool(given))
        if isinstance(source, Rejected):
            return source
        result = Candidate(self.base.language, source, {**self.base.overrides, **given})
        if result.key in self.known:
            return Rejected(Fault.UNCHANGED, "the program is one of those that were there before")
        limiter = header.get("limiter", "")
        aimed = limiter if limiter in LIMITERS else self.context.limiter
        why = " ".join(str(header["why"]).split())[:_WHY_CHARACTERS]
        return Edit(header["tag"], aimed, why, result, self.proposer)

    def _source(self, parts: Sequence[Block], has_settings: bool) -> str | Rejected:
        diffs = [b.text for b in parts if b.info in _DIFF]
        files = [b.text for b in parts if b.info in _CODE[self.base.language]]
        if len(files) > 1 or (diffs and files):
            return Rejected(Fault.MALFORMED, "give one file or one diff, not several")
        if not diffs and not files:
            told = f"there is no block marked `diff` or `{_CODE[self.base.language][0]}`"
            return self.base.source if has_settings else Rejected(Fault.MALFORMED, told)
        try:
            text = files[0] if files else patched(self.base.source, "".join(diffs))
        except MisfitError as error:
            return Rejected(Fault.MISFIT, str(error))
        wrong = fault(text, Unit(self.base, self.context.task))
        return Rejected(Fault.UNPARSABLE, wrong) if wrong else text


def header_of(parts: Sequence[Block]) -> Mapping[str, Any] | Rejected:
    """The JSON object of an answer."""
    texts = [b.text for b in parts if b.info == "json"]
    if len(texts) != 1:
        return Rejected(Fault.MALFORMED, f"one block marked `json` is expected, there are {len(texts)}")
    try:
        found = json.loads(texts[0], parse_constant=_no_number)
        # An escape may stand for half a character, which nothing can write down.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        return Rejected(Fault.MALFORMED, f"the JSON block cannot be read: {error}")
    return found if isinstance(found, dict) else Rejected(Fault.MALFORMED, "the JSON block is no object")


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


_HEADER: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "tag": (lambda v: isinstance(v, str) and bool(_TAG.fullmatch(v)), "a short name without spaces"),
    "why": (lambda v: isinstance(v, str) and bool(v.strip()), "a sentence"),
    "limiter": (lambda v: v is None or isinstance(v, str), f"one of {', '.join(LIMITERS)}"),
    "set": (lambda v: v is None or isinstance(v, dict), "an object of task-file keys and values"),
}


def _header_fault(header: Mapping[str, Any]) -> Rejected | None:
    if header.get("tag") == NOTHING_TAG:
        return Rejected(Fault.NOTHING, str(header.get("why") or "there is nothing more to propose"))
    wrong = (f"`{name}` must be {what}" for name, (is_good, what) in _HEADER.items() if not is_good(header.get(name)))
    first = next(wrong, "")
    return Rejected(Fault.MALFORMED, first) if first else None
