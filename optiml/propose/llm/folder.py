"""A folder as a provider: it writes numbered prompts and waits for the answer of the same number.

A person answers with an editor, an agent with a loop; who writes an answer in one go renames it into its place.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from ir.diagnostics import Location, fail
from optiml.propose.llm.options import ModelOptions
from optiml.propose.llm.provider import MOST_CHARACTERS, End, Reply, Request
from optiml.propose.llm.script import as_text

PROMPT, ANSWER = "-prompt.md", "-answer.md"
_LOOK_S = 0.05
# An answer counts once it has not changed for so many looks.
_STEADY_LOOKS = 4


class FolderProvider:
    """The number of a prompt is that of the call in its run: a run that goes on finds the answers of before."""

    name = "dir"
    has_price = False

    def __init__(self, folder: str, options: ModelOptions) -> None:
        if not folder:
            raise fail("bad-proposer", "there is no folder after `dir:`", remedy="dir:FOLDER")
        self._folder, self._answer_s = Path(folder), options.answer_s

    def ready(self) -> None:
        """Make the folder. Raises UserError `bad-folder`."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise fail("bad-folder", f"no prompts can be written: {error}", Location(str(self._folder))) from None

    def ask(self, request: Request) -> Reply:
        """Write the prompt, unless it is there, and wait. Raises UserError `folder-in-use` where it is another one."""
        self.ready()
        prompt = self._folder / f"{request.label}{PROMPT}"
        text = as_text(request.messages)
        if not prompt.exists():
            beside = prompt.with_name(f".{prompt.name}.{os.getpid()}")
            beside.write_text(text, encoding="utf-8")
            beside.replace(prompt)
        elif prompt.read_text(encoding="utf-8") != text:
            raise fail("folder-in-use", "this is a prompt of another run", Location(str(prompt)), "name another folder")
        return self._awaited(self._folder / f"{request.label}{ANSWER}")

    def _awaited(self, answer: Path) -> Reply:
        started_s, before, looks = time.monotonic(), b"", 0
        while True:
            now = answer.read_bytes() if answer.is_file() else b""
            looks = looks + 1 if now and now == before else 0
            before = now
            if looks >= _STEADY_LOOKS or (now and _is_old(answer)):
                break
            if self._answer_s is not None and time.monotonic() - started_s > self._answer_s:
                return Reply("", End.TIMEOUT, detail=f"there is no {answer.name}")
            time.sleep(_LOOK_S)
        text = now.decode(errors="replace")
        return Reply(text[:MOST_CHARACTERS], End.LENGTH if len(text) > MOST_CHARACTERS else End.COMPLETE)


def _is_old(answer: Path) -> bool:
    """Written long enough ago that nobody is at it any more."""
    return time.time() - answer.stat().st_mtime > _LOOK_S * _STEADY_LOOKS
