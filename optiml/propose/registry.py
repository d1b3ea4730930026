"""The text of `--proposer` becomes a proposer; what one needs is imported when it is named."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ir.diagnostics import Diagnostic, UserError, fail
from optiml.propose.bandit import Bandit
from optiml.propose.llm.options import ModelOptions
from optiml.propose.protocol import Proposer
from optiml.search.budget import Budget


@dataclass(frozen=True)
class Kind:
    """One kind of proposer: the module of optiml.propose and the class there.

    argument: what stands after the colon; none where it is empty. is_model: the class is a provider of answers.
    is_path: the argument is a file or folder.
    """

    module: str
    attribute: str
    help: str
    argument: str = ""
    is_model: bool = False
    is_path: bool = False

    def usage(self, name: str) -> str:
        """How it is written."""
        return f"{name}:{self.argument}" if self.argument else name


KINDS: Mapping[str, Kind] = {
    "rules": Kind("from_rules", "RulesProposer", "rewrites of the source"),
    "twill": Kind("twill", "TwillProposer", "what the optimal schedule of the kernel's loop says"),
    "llm:openai": Kind("llm.openai_api", "OpenAiProvider", "OpenAI or a server that speaks like it", "MODEL", True),
    "llm:anthropic": Kind("llm.anthropic_api", "AnthropicProvider", "Anthropic", "MODEL", True),
    "cmd": Kind("llm.command", "CommandProvider", "a program: prompt on stdin, answer on stdout", "COMMAND", True),
    "dir": Kind("llm.folder", "FolderProvider", "a folder of prompts and answers", "FOLDER", True, True),
    "replay": Kind("replay", "ReplayProposer", "what was proposed in a run, once more", "RUN.optiml", is_path=True),
}
# A `+` inside a command or a path is no end of a member: one must begin after it.
_JOINT = re.compile(rf"\+(?=(?:{'|'.join(KINDS)})(?:[:+]|$))")


def make_proposer(text: str, options: ModelOptions, budget: Budget) -> Proposer:
    """What a text such as `rules+llm:openai:MODEL` names. Nothing is asked or connected yet.

    Raises UserError: unknown-proposer, bad-proposer; unknown-price where a limit of cost could not be kept.
    """
    members: list[Proposer] = [_member(part, options) for part in _JOINT.split(text)]
    priceless = [m.name for m in members if getattr(m, "has_price", True) is False]
    if budget.cost is not None and priceless:
        told = f"what {priceless[0]} costs is not known, so a limit of cost could not be kept"
        raise fail("unknown-price", told, remedy="give the price of a model with --price IN,OUT, or no --cost-limit")
    if len(members) == 1:
        (alone,) = members
        return alone
    names = [m.name for m in members]
    if len(set(names)) < len(names) or "replay" in names:
        raise fail("bad-proposer", f"`{text}` mixes what cannot be told apart", remedy="each once, and `replay` alone")
    return Bandit(members, frozenset(m.name for m in members if hasattr(m, "has_price")), budget)


def make_ready(proposer: Proposer) -> None:
    """Raises UserError where it is known now that a proposer cannot work: a package, a key or a file is missing."""
    for member in _members(proposer):
        check: Callable[[], None] = getattr(member, "ready", lambda: None)
        check()


def watch(proposer: Proposer, progress: Callable[[str], None], warn: Callable[[Diagnostic], None]) -> None:
    """Have every call of a model told before it is made, and warned of what a mixture does without."""
    listen: Callable[..., None] = getattr(proposer, "watch", lambda _progress, _warn: None)
    listen(progress, warn)


def _members(proposer: Proposer) -> Sequence[Any]:
    return proposer.members if isinstance(proposer, Bandit) else [proposer]


def from_anywhere(text: str) -> str:
    """The text with folders and runs made absolute, so that it names the same from any folder; a command stays."""
    return "+".join(_absolute(part) for part in _JOINT.split(text))


def _absolute(part: str) -> str:
    name, _, argument = part.partition(":")
    kind = KINDS.get(name)
    return f"{name}:{Path(argument).absolute()}" if kind is not None and kind.is_path and argument else part


def _member(text: str, options: ModelOptions) -> Any:
    name = next((n for n in KINDS if text == n or text.startswith(f"{n}:")), None)
    if name is None:
        raise _unknown(text)
    kind, argument = KINDS[name], text[len(name) + 1 :]
    if bool(argument) != bool(kind.argument):
        raise fail("bad-proposer", f"`{text}` should be `{kind.usage(name)}`", remedy=kind.help)
    made = getattr(import_module(f"optiml.propose.{kind.module}"), kind.attribute)
    if not kind.is_model:
        return made(argument) if argument else made()
    from optiml.propose.llm.proposer import LlmProposer

    return LlmProposer(made(argument, options), options)


def _unknown(text: str) -> UserError:
    known = ", ".join(kind.usage(name) for name, kind in KINDS.items())
    return fail("unknown-proposer", f"there is no proposer `{text}`", remedy=f"{known}, or several joined by +")
