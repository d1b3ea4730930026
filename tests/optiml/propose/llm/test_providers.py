"""The client libraries against a server on a real socket: streams, limits, and every way in which an answer fails."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from ir.diagnostics import ExitCode, UserError
from optiml.propose.exchange import Message, Usage
from optiml.propose.llm.anthropic_api import AnthropicProvider
from optiml.propose.llm.command import CommandProvider
from optiml.propose.llm.folder import FolderProvider
from optiml.propose.llm.openai_api import OpenAiProvider
from optiml.propose.llm.options import ModelOptions
from optiml.propose.llm.provider import MOST_CHARACTERS, End, Reply, Request
from tests.optiml.propose.llm.server import (
    Says,
    Script,
    Server,
    anthropic_says,
    chunk,
    cut_off,
    raw,
    serving,
    silent,
    sse,
    stalled,
    status,
    usage,
)

ASKED = Request("0000-0", (Message("system", "Be brief."), Message("user", "A kernel?")))
TEXT = "One answer, in several pieces, with ünicode and a ```fence```.\n" * 3


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def openai(server: Server, **options: float) -> OpenAiProvider:
    given = {"answer_s": 5.0, "retries": 0, **options}
    return OpenAiProvider("tiny", ModelOptions(base_url=server.url, **given))  # type: ignore[arg-type]


def answered(*scripts: Script, **options: float) -> Reply:
    with serving(*scripts) as server:
        return openai(server, **options).ask(ASKED)


def test_a_stream_becomes_a_reply_with_tokens_and_cost() -> None:
    with serving(Says(TEXT, read=1000, written=200)) as server:
        reply = openai(server, input_price=2.0, output_price=10.0).ask(ASKED)
        (asked,) = server.asked
    assert reply == Reply(TEXT, End.COMPLETE, Usage(1000, 200, 0.004), "stop")
    assert asked["stream"] and asked["stream_options"] == {"include_usage": True} and asked["model"] == "tiny"
    assert asked["messages"] == [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "A kernel?"}
    ]  # fmt: skip


def test_without_a_price_tokens_are_counted_and_the_cost_is_unknown() -> None:
    with serving(Says("x")) as server:
        provider = openai(server)
        assert not provider.has_price
        assert provider.ask(ASKED).usage == Usage(100, 10, None)


ENDS: dict[str, tuple[Script, End]] = {
    "length": (Says("half a ker", finish="length"), End.LENGTH),
    "filter": (Says("", finish="content_filter"), End.REFUSAL),
    "refusal": (sse(chunk(None, None, refusal="I will not."), chunk(None, "stop"), usage(5, 5), "[DONE]"), End.REFUSAL),
    "empty": (Says(""), End.COMPLETE),
    "no end": (Says("half", finish=None), End.BROKEN),
    "no JSON": (raw(b"<html>proxy</html>", Content_Type="text/html"), End.BROKEN),
    "not a stream": (raw(b'{"choices": []}'), End.BROKEN),
    "bad event": (sse(chunk("half"), "{not json"), End.BROKEN),
    "event of a wrong type": (sse("[1, 2]", "17", "null"), End.BROKEN),
    "wrong fields": (sse('{"choices": 3}', '{"choices": [{"delta": []}]}', '{"choices": [null]}'), End.BROKEN),
    "error in the stream": (sse(chunk("half"), '{"error": {"message": "out of memory"}}'), End.BROKEN),
    "connection cut": (cut_off("half"), End.BROKEN),
    "500": (status(500, "crashed"), End.UNREACHABLE),
    "429": (status(429, "too many", Retry_After="0"), End.UNREACHABLE),
}


@pytest.mark.parametrize(("script", "end"), ENDS.values(), ids=ENDS)
def test_how_an_answer_ends_is_typed(script: Script, end: End) -> None:
    reply = answered(script)
    assert reply.end is end, reply
    assert end is End.COMPLETE or reply.detail


def test_a_server_that_says_nothing_runs_into_the_time_limit() -> None:
    started = time.monotonic()
    assert answered(silent(4.0), answer_s=0.4).end is End.TIMEOUT
    assert time.monotonic() - started < 3.0


def test_a_server_that_stalls_in_the_middle_runs_into_the_time_limit() -> None:
    assert answered(stalled("half", 4.0), answer_s=0.4).end is End.TIMEOUT


def test_a_server_that_never_ends_runs_into_the_time_limit() -> None:
    started = time.monotonic()
    reply = answered(Says("word " * 4000, pause_s=0.05), answer_s=0.5)
    assert reply.end is End.TIMEOUT and reply.text.startswith("word")
    assert time.monotonic() - started < 3.0


def test_a_flood_is_cut() -> None:
    reply = answered(sse(*[chunk("x" * 50_000)] * 12))
    assert reply.end is End.LENGTH and len(reply.text) == MOST_CHARACTERS


def test_a_server_that_is_down_is_unreachable() -> None:
    with serving() as server:
        url = server.url
    reply = OpenAiProvider("tiny", ModelOptions(base_url=url, retries=0)).ask(ASKED)
    assert reply.end is End.UNREACHABLE and url in reply.detail


def test_a_rate_limit_is_waited_for() -> None:
    scripts = status(429, "slow down", Retry_After="1"), status(500, "hiccup"), Says("at last")
    with serving(*scripts) as server:
        assert openai(server, retries=2).ask(ASKED).text == "at last"
        first, second, _third = server.times_s
    assert second - first >= 1.0


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
def test_what_no_other_call_would_change_ends_the_run(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
    with serving(status(code, "no such key: sk-secret-0123456789")) as server, pytest.raises(UserError) as caught:
        openai(server).ask(ASKED)
    assert caught.value.exit_code == ExitCode.MISSING
    assert "sk-secret" not in str(caught.value) and "[OPENAI_API_KEY]" in str(caught.value)


def test_the_key_is_sent_and_a_server_of_ones_own_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Says("a"), Says("b")) as server:
        openai(server).ask(ASKED)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
        openai(server).ask(ASKED)
        assert server.headers[1]["Authorization"] == "Bearer sk-secret-0123456789"
        assert "secret" not in server.headers[0]["Authorization"]


def test_a_missing_key_is_told_before_the_first_call() -> None:
    for provider in (OpenAiProvider("m", ModelOptions()), AnthropicProvider("m", ModelOptions())):
        with pytest.raises(UserError, match="missing-key") as caught:
            provider.ready()
        assert caught.value.exit_code == ExitCode.MISSING


def test_a_missing_library_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    with pytest.raises(UserError, match=r"twill-optiml\[llm\]") as caught:
        OpenAiProvider("m", ModelOptions()).ready()
    assert caught.value.exit_code == ExitCode.MISSING


# Anthropic.


@pytest.fixture
def anthropic_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-0123456789")


def anthropic(server: Server, monkeypatch: pytest.MonkeyPatch, model: str = "claude-opus-4-5") -> AnthropicProvider:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url.removesuffix("/v1"))
    return AnthropicProvider(model, ModelOptions(answer_s=2.0, retries=1))


def test_messages_are_streamed_and_priced(monkeypatch: pytest.MonkeyPatch, anthropic_key: None) -> None:
    with serving(anthropic_says(TEXT, read=993, written=200)) as server:
        reply = anthropic(server, monkeypatch).ask(ASKED)
        (asked,) = server.asked
    assert reply == Reply(TEXT, End.COMPLETE, Usage(1000, 200, 0.01), "end_turn")
    assert asked["system"] == "Be brief." and asked["messages"] == [{"role": "user", "content": "A kernel?"}]


ANTHROPIC_ENDS: dict[str, tuple[list[Script], End]] = {
    "length": ([anthropic_says("half", "max_tokens")], End.LENGTH),
    "refusal": ([anthropic_says("", "refusal")], End.REFUSAL),
    "overloaded": ([status(529, "overloaded")] * 2, End.UNREACHABLE),
    "bad event": ([sse("{not json")], End.BROKEN),
    "no stream": ([raw(b"<html/>", Content_Type="text/html")], End.BROKEN),
    "silence": ([silent(3.0)] * 2, End.TIMEOUT),
    "connection cut": ([cut_off("half")], End.BROKEN),
    "stalled": ([stalled("half", 4.0)], End.TIMEOUT),
}


@pytest.mark.parametrize(("scripts", "end"), ANTHROPIC_ENDS.values(), ids=ANTHROPIC_ENDS)
def test_how_a_message_ends_is_typed(
    scripts: list[Script], end: End, monkeypatch: pytest.MonkeyPatch, anthropic_key: None
) -> None:
    with serving(*scripts) as server:
        assert anthropic(server, monkeypatch).ask(ASKED).end is end


# Commands.


def python(code: str) -> str:
    return f"{sys.executable} -c '{code}'"


def commanded(code: str, answer_s: float = 20.0) -> Reply:
    return CommandProvider(python(code), ModelOptions(answer_s=answer_s, retries=0)).ask(ASKED)


def test_a_command_reads_the_prompt_and_answers() -> None:
    reply = commanded("import sys; print(sys.stdin.read().upper(), end=str())")
    assert reply.end is End.COMPLETE and "BE BRIEF." in reply.text and "A KERNEL?" in reply.text


def test_a_command_that_fails_is_told_with_what_it_said() -> None:
    reply = commanded('import sys; sys.exit("no credit left")')
    assert reply.end is End.UNREACHABLE and "no credit left" in reply.detail


def test_a_command_that_fails_is_started_again(tmp_path: Path) -> None:
    count = tmp_path / "count"
    code = f"""import pathlib, sys
count = pathlib.Path("{count}")
count.write_text(count.read_text() + "x" if count.exists() else "x")
sys.exit("busy") if len(count.read_text()) < 3 else print("at last")"""
    (tmp_path / "agent.py").write_text(code)
    reply = CommandProvider(f"{sys.executable} {tmp_path / 'agent.py'}", ModelOptions(retries=2)).ask(ASKED)
    assert (reply.text, reply.end, len(count.read_text())) == ("at last\n", End.COMPLETE, 3)


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        "import os, time; os.close(1); time.sleep(60)",
        'import subprocess, sys; subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"])',
    ],
)
def test_a_command_that_does_not_end_is_ended_with_all_it_started(code: str) -> None:
    started = time.monotonic()
    assert commanded(code, answer_s=0.7).end is End.TIMEOUT
    assert time.monotonic() - started < 5.0


def test_a_command_that_floods_is_cut() -> None:
    reply = commanded('while True: print("x" * 10000)')
    assert reply.end is End.LENGTH and len(reply.text) == MOST_CHARACTERS


def test_a_command_that_is_not_there_is_told_before_the_first_call() -> None:
    with pytest.raises(UserError, match="missing-part"):
        CommandProvider("no-such-agent --fast", ModelOptions()).ready()


# Folders.


def test_a_folder_gets_the_prompt_and_gives_the_answer(tmp_path: Path) -> None:
    provider = FolderProvider(str(tmp_path / "talk"), ModelOptions(answer_s=0.3))
    assert provider.ask(ASKED).end is End.TIMEOUT
    prompt = tmp_path / "talk" / "0000-0-prompt.md"
    assert "Be brief." in prompt.read_text() and [p.name for p in prompt.parent.iterdir()] == [prompt.name]
    written = prompt.stat().st_mtime_ns
    (tmp_path / "talk" / "0000-0-answer.md").write_text(TEXT)
    assert provider.ask(ASKED) == Reply(TEXT)
    assert prompt.stat().st_mtime_ns == written, "a prompt that is there is left alone"


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0000-0-prompt.md").write_text("something else")
    with pytest.raises(UserError, match="folder-in-use"):
        FolderProvider(str(tmp_path), ModelOptions()).ask(ASKED)


def test_an_answer_counts_once_it_is_written(tmp_path: Path) -> None:
    import threading

    answer = tmp_path / "0000-0-answer.md"

    def write() -> None:
        with answer.open("w") as file:
            for part in ("one ", "two ", "three"):
                file.write(part)
                file.flush()
                time.sleep(0.1)

    writer = threading.Thread(target=write)
    writer.start()
    assert FolderProvider(str(tmp_path), ModelOptions(answer_s=10.0)).ask(ASKED).text == "one two three"
    writer.join()
