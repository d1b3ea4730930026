"""The published measurements, as files beside this one hold them: boxes, tables of single instructions, ladders."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backends.machines import load_machine
from ir.machine import Machine

FOLDER = Path(__file__).parent / "fidelity"
KERNELS = Path(__file__).parents[1] / "kernels"
SGEMM = {"M": 4096, "N": 4096, "K": 4096}
SGEMM_FLOP = 2.0 * 4096**3
SGEMM_SOURCE = "Boehm, SGEMM_CUDA, and forks of it"
# Kernel of kernels/stream -> its task file, and bytes moved for one element of N.
STREAMS = {
    "read": ("read", 8),
    "copy": ("task", 16),
    "scale": ("scale", 16),
    "triad": ("triad", 24),
    "reduction": ("reduction", 8),
}
STREAM_SIZES = {"N": 1 << 26}


@dataclass(frozen=True)
class Box:
    """A machine that was measured: its model's machine, with the rates that are different changed."""

    name: str
    machine: Machine
    clocks_known: bool
    sources: Mapping[str, str]


@dataclass(frozen=True)
class Rung:
    """A kernel whose time was published: task file, variant, changed constants,
    sizes. limiters: what may be named, if written down."""

    label: str
    task: str
    variant: str
    sizes: Mapping[str, int]
    published_us: float
    limiters: tuple[str, ...] = ()
    constants: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Ladder:
    """Kernels of one box, in order. noise: how far two measurements of them are apart, where there are two."""

    name: str
    box: Box
    source: str
    rungs: tuple[Rung, ...]
    noise: float | None = None
    kernel_class: str = "plain"


@dataclass(frozen=True)
class Row:
    """One entry of a table of instructions: constants of the kernel, cycles published."""

    constants: Mapping[str, int]
    published: float


@dataclass(frozen=True)
class UnitTable:
    """A table of single instructions on one box; `within` is what the model is asked to keep to, as a share."""

    name: str
    box: Box
    source: str
    task: str
    variant: str
    constants: Mapping[str, int]
    work: float
    within: float
    rows: tuple[Row, ...] = field(default=())
    unrolls: tuple[int, ...] = (16, 32)


def boxes() -> dict[str, Box]:
    """Every box of boxes.toml."""
    return {name: _box(name, data) for name, data in _toml("boxes.toml").items()}


def unit_tables() -> list[UnitTable]:
    """units.toml and strides.csv, a table for each box."""
    known = boxes()
    found = [
        UnitTable(
            t["name"], known[box], t["source"], t["task"], t.get("variant", ""), t.get("constants", {}),
            t.get("work", 1), t["within"], tuple(_row(r) for r in rows), tuple(t.get("unrolls", (16, 32))),
        )
        for t in _toml("units.toml")["table"]
        for box, rows in t["rows"].items()
    ]  # fmt: skip
    return [*found, *_strides(known)]


def ladders() -> list[Ladder]:
    """SGEMM on every box, and the streaming kernels of every box."""
    known = boxes()
    return [*_sgemm(known), *_streams(known)]


def memory_issue() -> list[tuple[int, int, int, int]]:
    """(sub-cores active, sub-core, number of the load, cycle), of memory_issue.csv."""
    return [(int(r["active"]), int(r["sub_core"]), int(r["load"]), int(r["cycle"])) for r in _csv("memory_issue.csv")]


def _box(name: str, data: Mapping[str, Any]) -> Box:
    machine = load_machine(data["machine"])
    rates = data.get("rates", {})
    sources = {key: entry["source"] for key, entry in rates.items()}
    changed = replace(
        machine,
        name=name,
        rates={**machine.rates, **{key: float(entry["value"]) for key, entry in rates.items()}},
        spreads={key: ends for key, ends in machine.spreads.items() if key not in rates},
    )
    return Box(name, changed, data.get("clocks_known", True), sources)


def _row(data: Mapping[str, Any]) -> Row:
    return Row({k: v for k, v in data.items() if k != "published"}, data["published"])


def _strides(known: Mapping[str, Box]) -> list[UnitTable]:
    """32 warps, each with one instruction in a step; the loop's own overhead runs beside the loads of others."""
    rows = _csv("strides.csv")
    return [
        UnitTable(
            f"{element} loads by stride", known[box], "RRZE gpu-benches gpu-strides", "memory/strides.toml", "",
            {"BLOCK": 1024, "WORDS": words}, 32, 0.05,
            tuple(Row({"STRIDE": int(r["stride"])}, float(r[box])) for r in rows if r["element"] == element and r[box]),
            (16,),
        )
        for element, words in (("float", 1), ("double", 2))
        for box in ("a100", "a40", "h200")
        if (element, box) != ("double", "a40")
    ]  # fmt: skip


def _sgemm(known: Mapping[str, Box]) -> list[Ladder]:
    rows = _csv("sgemm_ladder.csv")
    expected = {r["number"]: r for r in _toml("limiters.toml")["rung"]}
    twins = {"rtx4090_a": "rtx4090_b", "rtx4090_b": "rtx4090_a", "a100_pcie": "a100_sxm", "a100_sxm": "a100_pcie"}
    found = []
    for box in (name for name in rows[0] if name not in ("rung", "variant")):
        width = "narrow" if known[box].machine.rates["fp32_lanes_per_cycle"] < 128 else "wide"
        rungs = tuple(
            Rung(
                f"{r['rung']} {r['variant'] or 'naive'}", "sgemm", r["variant"], SGEMM,
                SGEMM_FLOP / float(r[box]) / 1e3, tuple(expected[int(r["rung"])][width]),
            )
            for r in rows
        )  # fmt: skip
        other = twins.get(box)
        noise = max(abs(float(r[box]) / float(r[other]) - 1) for r in rows) if other else None
        found.append(Ladder("SGEMM", known[box], SGEMM_SOURCE, rungs, noise))
    return found


def _streams(known: Mapping[str, Box]) -> list[Ladder]:
    found: dict[str, list[Rung]] = {}
    for r in _csv("stream.csv"):
        file, nbytes = STREAMS[r["kernel"]]
        published_us = STREAM_SIZES["N"] * nbytes / float(r["gbyte_per_s"]) / 1e3
        block, smem_kib = r["block"], r["smem_kib"]
        constants = {"BLOCK": int(block), "SMEM": 1024 * int(smem_kib)} if block else {}
        label = " ".join(part for part in (r["kernel"], r["variant"], block and f"2 x {block} threads") if part)
        found.setdefault(r["box"], []).append(
            Rung(label, f"stream/{file}.toml", r["variant"], STREAM_SIZES, published_us, constants=constants)
        )
    return [
        Ladder("bandwidth", known[box], "RRZE gpu-benches; Luo et al.; B200 survey", tuple(r), kernel_class="memory")
        for box, r in found.items()
    ]


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / name).read_text(encoding="utf-8"))


def _csv(name: str) -> Sequence[dict[str, str]]:
    """Rows of a CSV file; lines that begin with # say where it is from."""
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))
