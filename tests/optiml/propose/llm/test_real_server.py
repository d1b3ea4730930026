"""A real server of a real model, both from PyPI, spoken to over HTTP: `transformers serve` on the CPU."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from optiml.propose.exchange import Loose, Message
from optiml.propose.llm.openai_api import OpenAiProvider
from optiml.propose.llm.options import ModelOptions
from optiml.propose.llm.proposer import LlmProposer
from optiml.propose.llm.provider import End, Request
from tests.optiml.propose.llm.situations import answer, context
from tests.optiml.propose.llm.tiny_model import LINES

IS_INSTALLED = all(find_spec(name) for name in ("transformers", "fastapi", "uvicorn"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(500),
    pytest.mark.skipif(not IS_INSTALLED, reason="the extra `server` is not installed"),
]
DIFF = "@@\n constexpr int TILE = 32;\n-constexpr int STRIPE = 8;\n+constexpr int STRIPE = 4;\n"
TEXT = answer(DIFF, "diff", tag="stripe:4")
START_S = 240.0


@pytest.fixture(scope="module")
def url_and_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("model")
    (folder / "lines.txt").write_text(TEXT)
    maker = [sys.executable, str(Path(__file__).parent / "tiny_model.py"), str(folder / "lines.txt"), str(folder / "m")]
    subprocess.run(maker, check=True, capture_output=True, timeout=200)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = "from transformers.cli.transformers import main; main()"
    serve = ["serve", str(folder / "m"), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-c", code, *serve], stdout=log, stderr=log, env=environment)
        try:
            _await(process, port, folder / "log")
            yield f"http://127.0.0.1:{port}/v1", str(folder / "m")
        finally:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def provider(url_and_model: tuple[str, str], **options: int) -> OpenAiProvider:
    url, model = url_and_model
    given = {"output_tokens": 100, **options}
    return OpenAiProvider(model, ModelOptions(base_url=url, answer_s=120.0, edits=2, **given))


ASKED = Request("0000-0", (Message("system", "You are brief."), Message("user", "Make it faster.")))


def test_it_streams_and_counts(url_and_model: tuple[str, str]) -> None:
    reply = provider(url_and_model).ask(ASKED)
    assert (reply.text, reply.end) == (TEXT, End.COMPLETE)
    pieces = -(-len(TEXT.splitlines()) // LINES)
    assert reply.usage.output_tokens in (pieces, pieces + 1), "with the end, or without"
    assert reply.usage.input_tokens is not None and reply.usage.input_tokens > 20


def test_its_limit_of_tokens_is_told(url_and_model: tuple[str, str]) -> None:
    reply = provider(url_and_model, output_tokens=2).ask(ASKED)
    assert TEXT.startswith(reply.text) and reply.end is End.LENGTH


def test_its_answers_are_edits(url_and_model: tuple[str, str]) -> None:
    """The judge's question and the editor's have the same answer; the second edit is the first one again, twice."""
    asked, log = context("transpose"), Loose()
    model = provider(url_and_model)
    (edit,) = LlmProposer(model, ModelOptions(edits=2)).propose(replace(asked, log=log), np.random.default_rng(0))
    assert "STRIPE = 4" in edit.result.source and edit.tag == "stripe:4"
    outcomes = [e.outcome.partition(":")[0] for e in log.exchanges.values()]
    assert outcomes == ["used", "used", "unchanged", "unchanged"]
