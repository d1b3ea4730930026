"""Examples of rules: a kernel as text, with a task made up around it, and what a rule makes of it."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from ir.document import Document
from ir.task import Task, task_of
from optiml.candidate import Candidate
from optiml.propose.protocol import Rule, Unit

_ENTRY = "f"


def show(
    rule: Rule, text: str, arguments: str = "", detail: str = "", language: str = "cuda", **overrides: Any
) -> None:
    """Print the first result of a rule (whose tag has `detail` in it) on the kernel `f`, then what it overrides.

    `arguments`: `in:x out:y n` are two tensors of fp32 and a scalar; `in:x:fp16:64,2` has another type and shape.
    """
    edits = (e for e in rule.rewrites(example_unit(text, arguments, language, **overrides)) if detail in e.tag)
    edit = next(edits, None)
    if edit is None:
        print("does not apply")
        return
    print("\n".join(line.rstrip() for line in edit.result.source.strip().splitlines() if line.strip()))
    given = {_key(name): value for name, value in overrides.items()}
    changed = {k: v for k, v in edit.result.overrides.items() if given.get(k) != v}
    for key, value in changed.items():
        print(f"// {key} = {value}")


def example_unit(text: str, arguments: str = "", language: str = "cuda", **overrides: Any) -> Unit:
    """A unit around a text; `launch_block=[32]` overrides `launch.block`."""
    changes = {_key(name): value for name, value in overrides.items()}
    return Unit(Candidate(language, text, changes), _task(arguments, language))


def _key(name: str) -> str:
    return name.replace("_", ".", 1)


def _task(arguments: str, language: str) -> Task:
    folder, suffix = Path(_folder().name), ".cu" if language == "cuda" else ".py"
    (folder / f"kernel{suffix}").write_text("")
    (folder / "reference.py").write_text("def reference(): ...\n")
    launch: dict[str, Any] = {"grid": ["cdiv(N, 256)"]} | ({"block": [256]} if language == "cuda" else {})
    sizes = [{"N": 1024}]
    data = {
        "name": "example",
        "source": f"kernel{suffix}",
        "entry": _ENTRY,
        "reference": "reference.py",
        "targets": ["sm_80"],
        "argument": [_argument(a) for a in arguments.split()],
        "launch": launch,
        "sizes": {"search": sizes, "verify": sizes, "report": sizes},
    }
    return task_of(Document(folder / "task.toml", data, {}))


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Lives as long as the process: a task's reference is read when somebody asks for it."""
    return tempfile.TemporaryDirectory()


def _argument(text: str) -> dict[str, Any]:
    role, _, rest = text.partition(":")
    name, dtype, extent, *_ = [*rest.split(":"), "", ""]
    if not name:
        return {"name": text, "kind": "scalar", "dtype": "i32", "value": "N"}
    return {"name": name, "role": role, "dtype": dtype or "fp32", "shape": (extent or "N").split(",")}
