"""The texts of --proposer: each kind is made, each mistake is told with what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir.diagnostics import UserError
from optiml.propose.bandit import Bandit
from optiml.propose.llm.options import ModelOptions
from optiml.propose.registry import KINDS, from_anywhere, make_proposer, make_ready
from optiml.search.budget import Budget

EXAMPLES = {
    "rules": "rules", "twill": "twill", "llm:openai:gpt-5.5": "llm:openai:gpt-5.5",
    "llm:anthropic:claude-opus-4-5": "llm:anthropic:claude-opus-4-5", "cmd:agent --print": "cmd:agent",
    "dir:talk": "dir", "replay:run.optiml": "replay", "rules+twill": "rules+twill",
    "rules+cmd:g++ -E+dir:a+b": "rules+cmd:g+++dir",
    "llm:openai:org/model:free+rules": "llm:openai:org/model:free+rules",
}  # fmt: skip


def made(text: str, options: ModelOptions = ModelOptions(), budget: Budget = Budget()):  # type: ignore[no-untyped-def] # noqa: B008
    return make_proposer(text, options, budget)


@pytest.mark.parametrize(("text", "name"), EXAMPLES.items())
def test_every_text_makes_its_proposer(text: str, name: str) -> None:
    assert made(text).name == name


def test_every_kind_has_an_example() -> None:
    assert all(any(text == kind or text.startswith(f"{kind}:") for text in EXAMPLES) for kind in KINDS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("oracle", "llm:openai:MODEL"), ("", "rules"), ("rules+", "unknown-proposer"),
        ("rules+oracle", "unknown-proposer"), ("rules:fast", "bad-proposer"), ("llm:openai", "llm:openai:MODEL"),
        ("dir:", "dir:FOLDER"), ("cmd:", "cmd:COMMAND"),
        ("rules+rules", "bad-proposer"), ("rules+replay:x", "bad-proposer"), ('cmd:"', "bad-proposer"),
        ("llm:mistral:x", "unknown-proposer"),
    ],
)  # fmt: skip
def test_a_bad_text_says_what_there_is(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        made(text)


def test_a_limit_of_cost_needs_a_price() -> None:
    budget = Budget(cost=1.0)
    for text in ("llm:openai:unheard-of", "cmd:agent", "rules+dir:x"):
        with pytest.raises(UserError, match="unknown-price"):
            made(text, budget=budget)
    for text in ("rules", "llm:openai:gpt-5.5", "rules+llm:anthropic:claude-opus-5"):
        made(text, budget=budget)
    made("llm:openai:unheard-of", ModelOptions(input_price=0.0, output_price=0.0), budget)


def test_what_is_missing_is_told_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    for text, says in {
        "rules+llm:anthropic:claude-opus-5": "missing-key",
        f"replay:{tmp_path / 'none'}": "missing-file",
        "rules+cmd:no-such-agent": "missing-part",
    }.items():
        with pytest.raises(UserError, match=says):
            make_ready(made(text))
    make_ready(made("rules+twill"))


def test_paths_are_the_same_from_any_folder() -> None:
    here = Path.cwd()
    assert from_anywhere("rules+dir:talk+replay:r") == f"rules+dir:{here}/talk+replay:{here}/r"
    assert from_anywhere("cmd:agent dir:x") == "cmd:agent dir:x"


def test_a_mixture_knows_who_costs_money() -> None:
    found = made("rules+llm:openai:gpt-5.5")
    assert isinstance(found, Bandit) and [m.name for m in found.members] == ["rules", "llm:openai:gpt-5.5"]
