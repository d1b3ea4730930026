"""Advice: for each rule the least evidence that calls for it, and the same evidence on the other side of its bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backends.machines import load_machine
from backends.model.occupancy import Footprint, occupancy
from backends.model.report.advice import RULES, Evidence, advice
from backends.model.report.lines import SourceLine
from ir.diagnostics import Location
from tests.backends.model.report.profiles import report

LINE = SourceLine(
    location=Location("/somewhere/file.cu", 41), text="x", machine_instructions=4, instructions=1000.0,
    instruction_share=1.0, global_requests=100.0, global_sectors=400.0, global_sectors_ideal=400.0, l1_hit_share=0.0,
    l2_hit_share=0.0, shared_requests=100.0, shared_wavefronts=100.0, shared_wavefronts_ideal=100.0, stall_share=1.0,
    stall="wait", by_stall={"wait": 0.6, "long_scoreboard": 0.4},
)  # fmt: skip
# Of which no rule says anything.
WELL = Evidence(
    machine=load_machine("a6000"), footprint=Footprint(256, 32, 0), lines=(LINE,), limiter="latency",
    busy={"issue": 0.5, "dram": 0.3}, stall="wait", stalls={"wait": 0.6, "long_scoreboard": 0.4}, resident=6,
    ctas=84 * 6 * 40, sms=84, unique_bytes=1e6, dram_bytes=1e6,
)  # fmt: skip


def _line(**changes: Any) -> dict[str, Any]:
    return {"lines": (LINE, replace(LINE, **changes))}


# Rule -> (evidence that calls for it, evidence that just does not, words of the message).
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "launch-bound": ({"launch_share": 0.31}, {"launch_share": 0.29}, "31% of the time"),
    "small-grid": ({"ctas": 80}, {"ctas": 84}, "80 CTAs leave 4 of 84 SMs without work"),
    "cta-rate": ({"cta_rate_share": 0.95}, {"cta_rate_share": 0.85}, "takes 95% of the time"),
    "limited-by-unit": (
        {"limiter": "fma", "busy": {"fma": 0.8, "issue": 0.5}},
        {"limiter": "latency", "busy": {"fma": 0.59, "issue": 0.5}},
        "fma is 80% busy",
    ),
    "latency-bound": (
        {"busy": {"issue": 0.39}},
        {"busy": {"issue": 0.41}},
        "60% of stalls are wait, most of them at file.cu:41",
    ),
    "bank-conflicts": (
        _line(shared_wavefronts=300.0),
        _line(shared_wavefronts=120.0),
        "50% of shared wavefronts are conflicts at file.cu:41: 3 a request where 1 would do",
    ),
    "uncoalesced": (
        _line(global_sectors=1200.0),
        _line(global_sectors=460.0),
        "50% of global sectors are not needed at file.cu:41: 12 a request where 4 would do",
    ),
    "refetched": (
        {"busy": {"dram": 0.7, "issue": 0.5}, "dram_bytes": 2e6},
        {"busy": {"dram": 0.7, "issue": 0.5}, "dram_bytes": 1.2e6},
        "DRAM moves 2 MB, 2 times the 1 MB that are touched",
    ),
    # 65536 registers: 4 warps of 255 (256 x 32) and 8 warps a CTA allow one, of 128 two.
    "occupancy-registers": (
        {"footprint": Footprint(256, 255, 0), "resident": 1},
        {"footprint": Footprint(256, 80, 0), "resident": 3},
        "255 registers a thread allow 1 CTAs an SM; 128 would allow 2",
    ),
    # 100 KiB of the SM, 1 KiB of each CTA for the system.
    "occupancy-smem": (
        {"footprint": Footprint(256, 32, 60000), "resident": 1},
        {"footprint": Footprint(256, 32, 24 << 10), "resident": 4},
        "60000 B of shared memory allow 1 CTAs an SM; 50176 B would allow 2",
    ),
    "tail": (
        {"ctas": 84 * 6 * 2 + 1},
        {"ctas": 84 * 6 * 3},
        "2 waves take the time of 3: the last has 1 CTAs for 504 places",
    ),
    "spills": ({"spill_bytes": 8}, {"spill_bytes": 0}, "8 B a thread are spilled"),
}  # fmt: skip


def test_every_rule_has_a_case():
    assert [rule.name for rule in RULES] == list(dict.fromkeys(rule.name for rule in RULES))
    assert {rule.name for rule in RULES} == set(CASES)
    assert all(rule.text for rule in RULES)


def test_nothing_is_said_where_all_is_well():
    assert advice(WELL) == ()


@pytest.mark.parametrize("name", CASES)
def test_a_rule_speaks_when_it_should(name: str):
    changes, _other, words = CASES[name]
    found = [d for d in advice(replace(WELL, **changes)) if d.rule == name]
    assert len(found) == 1
    assert words in found[0].message
    assert found[0].remedy


@pytest.mark.parametrize("name", CASES)
def test_a_rule_is_silent_when_it_should_be(name: str):
    _changes, other, _words = CASES[name]
    assert name not in [d.rule for d in advice(replace(WELL, **other))]


@pytest.mark.parametrize("name", ["occupancy-registers", "occupancy-smem"])
def test_the_number_that_lifts_occupancy_is_the_largest_that_does(name: str):
    changes, _other, _words = CASES[name]
    held = changes["footprint"]
    field, step = ("registers", 1) if "registers" in name else ("smem_bytes", 128)
    (found,) = [d for d in advice(replace(WELL, **changes)) if d.rule == name]
    lifted = int(found.message.split("; ")[1].split()[0])
    ctas = [occupancy(replace(held, **{field: n}), WELL.machine).ctas for n in (lifted, lifted + step)]
    assert ctas == [changes["resident"] + 1, changes["resident"]]


def test_more_warps_do_not_help_a_unit_that_is_full():
    changes, _other, _words = CASES["occupancy-registers"]
    full = replace(WELL, **changes, busy={"fma": 0.81, "issue": 0.5}, limiter="fma")
    assert "occupancy-registers" not in [d.rule for d in advice(full)]


def test_the_place_goes_with_the_finding():
    (found,) = [d for d in advice(replace(WELL, **CASES["bank-conflicts"][0])) if d.rule == "bank-conflicts"]
    assert found.location == LINE.location


@pytest.mark.parametrize(
    ("kernel", "rule", "words"),
    [
        ("transpose", "uncoalesced", "kernel.cu:12"),
        ("transpose:shared", "bank-conflicts", "32 a request where 1 would do"),
        ("vector_add", "launch-bound", "% of the time is the launch itself"),
    ],
)
def test_real_kernels(kernel: str, rule: str, words: str):
    sizes = "N=4096" if kernel == "vector_add" else ""
    found = {d.rule: d for d in report(kernel, sizes=sizes).advice}
    assert words in found[rule].message
    padded = report("transpose:padded").advice
    assert "bank-conflicts" not in [d.rule for d in padded]
