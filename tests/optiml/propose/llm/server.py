"""A scripted server on a real socket: each request gets the next of its scripts, and is kept."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message as EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers one request by a script."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(json.loads(body))
        self.server.headers.append(self.headers)
        self.server.times_s.append(time.monotonic())
        script = self.server.scripts.pop(0) if self.server.scripts else self.server.otherwise
        script(self)

    def respond(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()

    def event(self, data: str, name: str = "") -> None:
        head = f"event: {name}\n" if name else ""
        self.wfile.write(f"{head}data: {data}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_arguments: Any) -> None: ...


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, scripts: list[Script]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scripts = scripts
        self.asked: list[dict[str, Any]] = []
        self.headers: list[EmailMessage] = []
        self.times_s: list[float] = []
        self.otherwise: Script = status(500, "there is no script for this request")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def serving(*scripts: Script) -> Iterator[Server]:
    server = Server(list(scripts))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def status(code: int, message: str, **headers: str) -> Script:
    return lambda h: h.respond(code, json.dumps({"error": {"message": message}}).encode(), **headers)


def raw(body: bytes, **headers: str) -> Script:
    return lambda h: h.respond(200, body, **headers)


# Chat completions, as OpenAI streams them.


def chunk(content: str | None = None, finish: str | None = None, **delta: Any) -> str:
    return json.dumps(
        {
            "id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m",
            "choices": [{"index": 0, "delta": {"content": content, **delta}, "finish_reason": finish}],
        }
    )  # fmt: skip


def usage(read: int, written: int) -> str:
    counts = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return json.dumps(
        {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [], "usage": counts}
    )


@dataclass
class Says:
    """A streamed answer, in pieces of a few characters."""

    text: str
    finish: str | None = "stop"
    read: int = 100
    written: int = 10
    delta: dict[str, Any] = field(default_factory=dict)
    pause_s: float = 0.0

    def __call__(self, handler: Handler) -> None:
        handler.begin_stream()
        for start in range(0, len(self.text), 40):
            handler.event(chunk(self.text[start : start + 40]))
            time.sleep(self.pause_s)
        if self.finish is not None:
            handler.event(chunk(None, self.finish, **self.delta))
            handler.event(usage(self.read, self.written))
            handler.event("[DONE]")


def sse(*events: str) -> Script:
    """Events as they are, well formed or not."""

    def script(handler: Handler) -> None:
        handler.begin_stream()
        for event in events:
            handler.event(event)

    return script


def silent(seconds: float) -> Script:
    """Accepts the request and says nothing for a while."""

    def script(handler: Handler) -> None:
        time.sleep(seconds)
        handler.close_connection = True

    return script


def stalled(text: str, seconds: float) -> Script:
    """Begins an answer and then says nothing for a while."""

    def script(handler: Handler) -> None:
        handler.begin_stream()
        handler.event(chunk(text))
        time.sleep(seconds)

    return script


def cut_off(text: str) -> Script:
    """Breaks the connection in the middle of an answer that said how long it would be."""

    def script(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        handler.event(chunk(text))
        handler.close_connection = True

    return script


# Messages, as Anthropic streams them.


def anthropic_says(text: str, stop: str = "end_turn", read: int = 100, written: int = 10) -> Script:
    message = {
        "id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": read, "output_tokens": 1, "cache_read_input_tokens": 7},
    }  # fmt: skip
    events: list[tuple[str, dict[str, Any]]] = [
        ("message_start", {"message": message}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        *(
            ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": text[i : i + 40]}})
            for i in range(0, len(text), 40)
        ),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": written}}),
        ("message_stop", {}),
    ]

    def script(handler: Handler) -> None:
        handler.begin_stream()
        for name, data in events:
            handler.event(json.dumps({"type": name, **data}), name)

    return script
