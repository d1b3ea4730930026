"""The flags about models, from the command line to the run: what is refused at once, what is counted and shown."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ir.diagnostics import ExitCode, UserError
from optiml.api import Settings, settings_of
from optiml.cli.main import optiml
from optiml.cli.spent import spent_document, spent_lines
from optiml.propose.exchange import Exchange, Usage
from optiml.propose.llm.options import ModelOptions
from optiml.store.store import Store
from tests.optiml.landscape import search

TASK = str(Path(__file__).parents[3] / "kernels" / "matvec")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(optiml, list(arguments), standalone_mode=False)


@pytest.mark.parametrize(
    ("flags", "rule", "code"),
    [
        (["-p", "oracle"], "unknown-proposer", ExitCode.USAGE),
        (["-p", "llm:openai:m"], "missing-key", ExitCode.MISSING),
        (["-p", "llm:openai:m", "--cost-limit", "1"], "unknown-price", ExitCode.USAGE),
        (["-p", "cmd:no-such-agent"], "missing-part", ExitCode.MISSING),
        (["-p", "replay:none.optiml"], "missing-file", ExitCode.USAGE),
        (["--base-url", "localhost:8000"], "bad-url", ExitCode.USAGE),
        (["--base-url", "http://me:sk-secret@localhost/v1"], "bad-url", ExitCode.USAGE),
        (["--base-url", "http://localhost/v1?api-key=sk-secret"], "bad-url", ExitCode.USAGE),
        (["--price", "cheap"], "bad-price", ExitCode.USAGE),
        (["--price", "1,-1"], "bad-price", ExitCode.USAGE),
        (["--price", "1,nan"], "bad-price", ExitCode.USAGE),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_made(
    flags: list[str], rule: str, code: ExitCode, tmp_path: Path
) -> None:
    error = run("optimize", TASK, "--run", str(tmp_path / "r"), "-q", *flags).exception
    assert isinstance(error, UserError) and error.diagnostics[0].rule == rule and error.exit_code == code
    assert "sk-secret" not in str(error)
    assert not (tmp_path / "r").exists()


def test_a_missing_library_has_its_exit_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-0123456789")
    monkeypatch.setitem(sys.modules, "anthropic", None)
    error = run("optimize", TASK, "--run", str(tmp_path / "r"), "-p", "llm:anthropic:claude-opus-5").exception
    assert isinstance(error, UserError) and error.exit_code == ExitCode.MISSING and "twill-optiml[llm]" in str(error)


def test_flags_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIML_OPTIMIZE_PRICE", "cheap")
    result = CliRunner().invoke(optiml, ["optimize", TASK], standalone_mode=False, auto_envvar_prefix="OPTIML")
    assert isinstance(result.exception, UserError) and result.exception.diagnostics[0].rule == "bad-price"


def test_settings_with_models_come_back_from_a_run() -> None:
    from dataclasses import asdict

    settings = replace(Settings("t"), models=ModelOptions("http://h/v1", 1.0, 2.0, 5, 7.0, 100, 2, False))
    assert settings_of(json.loads(json.dumps(asdict(settings)))) == settings


def call(proposer: str, outcome: str = "used", usage: Usage = Usage()) -> Exchange:  # noqa: B008
    return Exchange(proposer, "editor", (), "reply", "complete", outcome, usage, 0.5)


CALLS = (
    call("llm:openai:m", usage=Usage(1000, 200, 0.5)),
    call("dir"),
    call("llm:openai:m", "malformed: no", Usage(1200, 100, 0.25)),
    call("llm:other", usage=Usage(5, 5, None)),
    call("llm:other", usage=Usage(5, 5, 0.125)),
)


def test_what_models_took_is_added_up_for_each() -> None:
    assert spent_lines(CALLS) == [
        "dir: 1 call, 1 with a usable answer; tokens unknown; cost unknown.",
        "llm:openai:m: 2 calls, 1 with a usable answer; 2,200 tokens read, 300 written; 0.7500 USD.",
        "llm:other: 2 calls, 2 with a usable answer; 10 tokens read, 10 written; at least 0.1250 USD.",
    ]
    assert [d["cost_usd"] for d in spent_document(CALLS)] == [None, 0.75, 0.125]
    assert spent_lines(()) == []


def test_show_has_it(tmp_path: Path) -> None:
    path = tmp_path / "run.optiml"
    searched = search(path, "greedy", seed=0, budget=3)
    with Store.open(path) as store:
        for number, exchange in enumerate(CALLS):
            store.keep_exchange(number, 0, exchange)
        settings = {"task": "x", "target": "a100", "strategy": "greedy", "proposer": "steps", "seed": 0}
        store.state({"settings": settings, "winner": None, "ended": searched.ended})
        store.keep_verdict(searched.told[0].step.parent.candidate, "baseline", searched.told[0].step.parent.verdict)
    assert "llm:openai:m: 2 calls, 1 with a usable answer; 2,200 tokens read" in run("show", str(path)).output
    assert len(json.loads(run("show", str(path), "--json").output)["models"]) == 3
