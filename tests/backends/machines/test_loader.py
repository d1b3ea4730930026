"""Machine files: what ships is complete and sourced, and each fault of a file is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.machines import load_machine, machine_names, rate, rate_table
from backends.machines.loader import FOLDER
from ir.diagnostics import Diagnostic, UserError

TEXT = (FOLDER / "h100.toml").read_text(encoding="utf-8")


def diagnostics(tmp_path: Path, text: str) -> tuple[Diagnostic, ...]:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_machine(path)
    return caught.value.diagnostics


def test_names() -> None:
    assert set(machine_names()) >= {"a100", "a6000", "h100", "h200", "b200", "rtx4090", "rtx5090"}


@pytest.mark.parametrize("name", machine_names())
def test_every_number_has_its_source(name: str) -> None:
    machine = load_machine(name)
    assert machine.name == name
    keys = {f"units.{unit}" for unit in machine.units} | {f"rates.{key}" for key in machine.rates}
    assert keys <= machine.sources.keys()
    assert all(len(source) > 3 for source in machine.sources.values())


@pytest.mark.parametrize("name", ["a100", "a6000", "rtx4090", "rtx5090"])
def test_machines_without_asynchronous_tensor_cores_have_one_stream(name: str) -> None:
    machine = load_machine(name)
    assert not machine.warp_specialization
    assert machine.max_groups == 1
    assert "tma" not in machine.units


@pytest.mark.parametrize(
    ("name", "tera"),
    [("a100", 312.0), ("h100", 989.4), ("rtx4090", 165.2), ("rtx5090", 209.5), ("a6000", 154.8)],
)
def test_tensor_rate_gives_the_published_peak(name: str, tera: float) -> None:
    machine = load_machine(name)
    flops = rate(machine, "tensor_fp16_flop_per_cycle") * rate(machine, "sm_count") * rate(machine, "clock_mhz")
    assert flops / 1e6 == pytest.approx(tera, rel=0.01)


def test_a_path_is_a_machine_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace('name = "h100"', 'name = "mine"'), encoding="utf-8")
    assert load_machine(path).name == "mine"
    assert load_machine(str(path)).smem_bytes == 227 * 1024


def test_unknown_machine_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no machine 'H10'.*unknown-machine") as caught:
        load_machine("H10")
    assert "did you mean h100" in caught.value.diagnostics[0].remedy


def test_missing_file() -> None:
    with pytest.raises(UserError, match="missing-file"):
        load_machine("no/such.toml")


def test_missing_rate_is_named() -> None:
    with pytest.raises(UserError, match="states no rate `tensor_fp8_flop_per_cycle`"):
        rate(load_machine("a100"), "tensor_fp8_flop_per_cycle")


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("smem_bytes = {", "shared_bytes = {", "missing-key"),
        ("smem_bytes = {", "shared_bytes = {", "unknown-key"),
        ("value = 232448", "value = -1", "bad-value"),
        ("value = 232448", 'value = "227K"', "bad-value"),
        ("value = 232448, ", "", "missing-key"),
        ("value = true", "value = 1", "bad-type"),
        ("tensor = { value = 1", "tensor = { value = 0", "bad-value"),
        ('description = "', 'descrption = "', "missing-key"),
    ],
)
def test_fault_is_named_with_its_line(tmp_path: Path, old: str, new: str, rule: str) -> None:
    assert old in TEXT
    found = diagnostics(tmp_path, TEXT.replace(old, new, 1))
    match = [d for d in found if d.rule == rule]
    assert match
    assert match[0].location is not None
    assert match[0].location.file.endswith("mine.toml")


def test_fault_line_and_column(tmp_path: Path) -> None:
    (fault,) = diagnostics(tmp_path, TEXT.replace("value = 232448", "value = -1"))
    line = 1 + TEXT[: TEXT.index("232448")].count("\n")
    assert fault.location is not None
    assert (fault.location.line, fault.location.column) == (line, len("smem_bytes = { ") + 1)


def test_a_number_without_source_is_refused(tmp_path: Path) -> None:
    line = next(line for line in TEXT.splitlines() if line.startswith("clock_mhz"))
    (fault,) = diagnostics(tmp_path, TEXT.replace(line, "clock_mhz = 1830"))
    assert fault.rule == "missing-source"
    assert "clock_mhz = { value = 1830" in fault.remedy


def test_a_machine_without_units_is_refused(tmp_path: Path) -> None:
    start, end = TEXT.index("[units]"), TEXT.index("[limits]")
    found = diagnostics(tmp_path, TEXT[:start] + "[units]\n" + TEXT[end:])
    assert "no functional units" in found[0].message


def test_a_spread_encloses_its_value(tmp_path: Path) -> None:
    machine = load_machine("h100")
    low, high = machine.spreads["l1_hit_latency_cycles"]
    assert low <= rate(machine, "l1_hit_latency_cycles") <= high
    (fault,) = diagnostics(tmp_path, TEXT.replace("low = 31, high = 41", "low = 33, high = 41"))
    assert fault.rule == "bad-value" and "33, 32, 41" in fault.message


def test_a_table_may_be_that_of_another_machine(tmp_path: Path) -> None:
    borrowed, own = (rate_table(load_machine(name), "memory_latency") for name in ("h100", "a6000"))
    assert borrowed == own and len(own.rows) == 27
    with pytest.raises(UserError, match=r"states no table `tcgen05`.*missing-table"):
        rate_table(load_machine("a100"), "tcgen05")
    (fault,) = diagnostics(tmp_path, TEXT.replace('["SS", 8, 18]', '["SS", 8]'))
    assert fault.rule == "bad-value" and "`wgmma` must have `rows` of 3 cells" in fault.message
