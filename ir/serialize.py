"""The JSON form of graphs and schedules: read, write, JSON Schema; documented by `twill schema`."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ir.diagnostics import Diagnostic, Location, UserError, fail
from ir.graph import DependenceGraph, Edge, Invariant, Op
from ir.json_place import locate
from ir.machine import Machine
from ir.schedule import Schedule

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

SCHEMA_VERSION = 1
_KNOWN_KEYS = {
    "ops": Op,
    "edges": Edge,
    "invariants": Invariant,
    "machine": Machine,
    "graph": DependenceGraph,
}
T = TypeVar("T")


def read_graph(path: Path) -> tuple[DependenceGraph, Machine | str | None]:
    """A bare graph document and its machine (inline, by name, or None). Raises UserError with file:line:col."""
    text, document = _read_document(path)
    document.setdefault("name", path.stem)
    machine = document.pop("machine", None)
    if isinstance(machine, Mapping):
        machine = _decode(Machine, dict(machine), text, path, ("machine",))
    elif not isinstance(machine, str | None):
        raise _error(text, path, ("machine",), "wrong-type", "machine must be a name or an object")
    return _decode(DependenceGraph, document, text, path, ()), machine


def read_schedule(path: Path) -> Schedule:
    """A schedule document as `write_schedule` made it. Raises UserError with file:line:col."""
    text, document = _read_document(path)
    return _decode(Schedule, document, text, path, ())


def graph_document(graph: DependenceGraph, machine: Machine | str | None = None) -> dict[str, Any]:
    """The graph as a JSON object that `read_graph` reads back."""
    body = _adapter(DependenceGraph).dump_python(graph, mode="json")
    name = _adapter(Machine).dump_python(machine, mode="json") if isinstance(machine, Machine) else machine
    return {"schema_version": SCHEMA_VERSION, "kind": "graph", "machine": name, **body}


def schedule_document(schedule: Schedule) -> dict[str, Any]:
    """The schedule as a JSON object that `read_schedule` reads back; wall-clock numbers only under `timing`."""
    body = _adapter(Schedule).dump_python(schedule, mode="json")
    return {"schema_version": SCHEMA_VERSION, "kind": "schedule", **body}


def to_text(document: Mapping[str, Any]) -> str:
    """Stable text of a document: the same bytes for the same content."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of both documents."""
    schemas = {"graph": _document_schema(DependenceGraph), "schedule": _document_schema(Schedule)}
    definitions: dict[str, Any] = {}
    for schema in schemas.values():
        definitions.update(schema.pop("$defs", {}))
    definitions["Machine"] = _document_schema(Machine)
    machine = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Machine"}, {"type": "null"}]}
    schemas["graph"]["properties"]["machine"] = machine
    schemas["graph"]["required"].remove("name")
    for kind, schema in schemas.items():
        schema["properties"]["schema_version"] = {"const": SCHEMA_VERSION}
        schema["properties"]["kind"] = {"const": kind}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Twill graphs and schedules, version {SCHEMA_VERSION}",
        "oneOf": list(schemas.values()),
        "$defs": definitions,
    }


def _adapter(cls: type[T]) -> TypeAdapter[T]:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def _document_schema(cls: type[Any]) -> dict[str, Any]:
    return _adapter(cls).json_schema()


def _read_document(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text, parse_constant=_refuse_constant)
    except OSError as error:
        raise fail("unreadable-file", f"cannot read: {error.strerror}", Location(str(path))) from None
    except json.JSONDecodeError as error:
        place = Location(str(path), error.lineno, error.colno)
        raise fail("invalid-json", f"not JSON: {error.msg}", place) from None
    except (ValueError, RecursionError) as error:
        raise fail("invalid-json", f"not JSON: {error}", Location(str(path))) from None
    if not isinstance(document, dict):
        raise fail("invalid-json", "the document must be a JSON object", Location(str(path), 1, 1))
    version = document.pop("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        message = f"schema_version {version!r} is not supported, this version reads {SCHEMA_VERSION}"
        raise _error(text, path, ("schema_version",), "schema-version", message)
    document.pop("kind", None)
    return text, document


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _decode(cls: type[T], document: dict[str, Any], text: str, path: Path, prefix: tuple[str, ...]) -> T:
    from pydantic import ValidationError

    try:
        return _adapter(cls).validate_python(document)
    except ValidationError as error:
        raise UserError(*_diagnostics(cls, error, text, path, prefix)) from None


def _diagnostics(
    cls: type[Any], error: ValidationError, text: str, path: Path, prefix: tuple[str, ...]
) -> list[Diagnostic]:
    return [_diagnostic(cls, dict(item), text, path, prefix) for item in error.errors()[:20]]


def _diagnostic(cls: type[Any], item: dict[str, Any], text: str, path: Path, prefix: tuple[str, ...]) -> Diagnostic:
    where = (*prefix, *item["loc"])
    name = ".".join(map(str, where))
    if item["type"] == "unexpected_keyword_argument":
        near = difflib.get_close_matches(str(where[-1]), _known_keys(cls, where), n=1)
        remedy = f"the nearest known key is {near[0]!r}" if near else "`twill schema` lists the known keys"
        return _place(text, path, where, "unknown-key", f"unknown key {name!r}", remedy)
    message = f"{name}: {item['msg']}"
    return _place(text, path, where, "invalid-value", message, "`twill schema` prints the schema")


def _known_keys(cls: type[Any], where: tuple[str | int, ...]) -> list[str]:
    owner = next((_KNOWN_KEYS[part] for part in reversed(where[:-1]) if part in _KNOWN_KEYS), cls)
    return [f.name for f in fields(owner)] if is_dataclass(owner) else []


def _place(
    text: str, path: Path, where: tuple[str | int, ...], rule: str, message: str, remedy: str = ""
) -> Diagnostic:
    line, column = locate(text, where)
    return Diagnostic(rule, message, Location(str(path), line, column), remedy)


def _error(text: str, path: Path, where: tuple[str, ...], rule: str, message: str) -> UserError:
    return UserError(_place(text, path, where, rule, message))
