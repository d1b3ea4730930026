"""The judge's answer: which bottleneck, by what numbers, and what to change first."""

from __future__ import annotations

from dataclasses import dataclass

from optiml.propose.llm.fences import blocks, fenced
from optiml.propose.llm.provider import Reply
from optiml.propose.llm.reading import Fault, Rejected, header_of, unusable
from optiml.propose.protocol import LIMITERS

_CHARACTERS = 600


@dataclass(frozen=True)
class Diagnosis:
    """One bottleneck of LIMITERS; the texts are the judge's own words."""

    limiter: str
    evidence: str
    advice: str

    def text(self) -> str:
        """For the editor, to whom it is data like all else."""
        return fenced(f"limiter: {self.limiter}\nevidence: {self.evidence}\nadvice: {self.advice}", "text")


def read_diagnosis(reply: Reply) -> Diagnosis | Rejected:
    """The diagnosis of an answer; a block without an end, or none around the object, is forgiven."""
    wrong = unusable(reply)
    if wrong is not None:
        return wrong
    text = reply.text.strip()
    found = header_of(list(blocks(f"```json\n{text}\n```" if text.startswith("{") else text)))
    if isinstance(found, Rejected):
        return found
    if found.get("limiter") not in LIMITERS:
        return Rejected(Fault.MALFORMED, f"`limiter` must be one of {', '.join(LIMITERS)}")
    words = (" ".join(str(found.get(name, "")).split())[:_CHARACTERS] for name in ("evidence", "advice"))
    return Diagnosis(str(found["limiter"]), *words)
