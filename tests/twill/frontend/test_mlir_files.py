"""TTIR and TTGIR files: they give the kernel that the source gives, and no file can hurt the process."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest
import triton
from names_check import check_names

from ir.diagnostics import Diagnostic, Location, UserError
from ir.loop import Loop, Operation
from ir.types import Memory
from twill.frontend import isolation
from twill.frontend.isolation import parse_isolated
from twill.frontend.load import FrontendOptions, load_kernel
from twill.frontend.loops import loop_tree

# The descriptor's type is written differently before.
needs_new_ttgir = pytest.mark.skipif(
    tuple(map(int, triton.__version__.split(".")[:2])) < (3, 8), reason="the TTGIR file is of Triton 3.8 or later"
)
DATA = Path(__file__).parent / "data"
ATTENTION = DATA / "attention.ttir"
SPECIALIZED = DATA / "gemm_warp_specialized.ttgir"
TEXT = """\
module {
  tt.func public @f(%p: !tt.ptr<f32>, %n: i32) {
    %c0 = arith.constant 0 : i32
    %c1 = arith.constant 1 : i32
    %x = arith.constant 1.0 : f32
    scf.for %i = %c0 to %n step %c1 : i32 {
      tt.store %p, %x : !tt.ptr<f32>
    }
    tt.return
  }
}
"""


def write(tmp_path: Path, text: str, name: str = "mine.ttir") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def refused(path: Path | str) -> Diagnostic:
    with pytest.raises(UserError) as raised:
        load_kernel(path)
    return raised.value.diagnostics[0]


def test_a_file_without_places_has_those_of_its_own_lines(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT)
    kernel = load_kernel(path)
    (row,) = loop_tree(kernel)
    assert row.location == Location(str(path), 6, 5) and row.trip_count is None
    (loop,) = kernel.loops()
    assert (
        loop.induction is not None and loop.induction.name == "i" and [a.name for a in kernel.arguments] == ["p", "n"]
    )
    assert isinstance(loop.body[0], Operation) and loop.body[0].operands == ("p", "x.constant")
    assert (kernel.name, kernel.dialect, kernel.warps, kernel.source) == ("f", "ttir", 4, str(path))
    assert load_kernel(f"{path}:f", FrontendOptions(num_warps=8)).warps == 8


@needs_new_ttgir
def test_a_warp_specialized_ttgir_has_a_loop_for_each_partition() -> None:
    kernel = load_kernel(SPECIALIZED)
    check_names(kernel)
    assert (kernel.dialect, kernel.warps) == ("ttgir", 4)
    mma, load = kernel.loops()
    assert "ttng.tc_gen5_mma" in opcodes(mma) and "ttng.async_tma_copy_global_to_local" in opcodes(load)
    # Buffers that the partitions capture are those that the kernel allocates.
    allocated = {v.name for op in kernel.body if isinstance(op, Operation) for v in op.results if "alloc" in op.opcode}
    used = {name for op in mma.body if isinstance(op, Operation) for name in op.operands}
    assert used & allocated
    memories = {v.type.memory for op in kernel.body if isinstance(op, Operation) for v in op.results}
    assert memories == {Memory.REGISTERS, Memory.SHARED, Memory.TENSOR}


def opcodes(loop: Loop) -> set[str]:
    return {item.opcode for item in loop.body if isinstance(item, Operation)}


def test_the_loop_of_a_file_is_the_loop_of_its_source() -> None:
    kernel = load_kernel(ATTENTION)
    check_names(kernel)
    (loop,) = kernel.loops()
    assert {"tt.load", "tt.dot", "math.exp2", "tt.reduce"} <= opcodes(loop)
    assert [c.result.name for c in loop.carried] == [
        "k_ptrs.out", "v_ptrs.out", "row_max.out", "row_sum.out", "acc.out",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("step %c1", "step %c2", (6, 33), "use of undeclared SSA value name"),
        ("tt.store %p, %x", "tt.stare %p, %x", (7, 7), "custom op 'tt.stare' is unknown"),
        ("%x : !tt.ptr<f32>", "%n : !tt.ptr<f32>", (7, 20), "use of value '%n' expects different type"),
        ("0 : i32", "x : i32", (3, 25), "expected attribute value"),
    ],
)
def test_what_triton_cannot_parse_is_told_at_its_place(
    tmp_path: Path, old: str, new: str, place: tuple[int, int], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, TEXT.replace(old, new, 1))
    diagnostic = refused(path)
    assert diagnostic.rule == "mlir-syntax" and message in diagnostic.message
    assert diagnostic.location == Location(str(path), *place)
    assert capfd.readouterr() == ("", "")


def test_which_kernel(tmp_path: Path) -> None:
    function = TEXT.removeprefix("module {\n").removesuffix("}\n")
    two = write(tmp_path, f"module {{\n{function}{function.replace('@f', '@g')}}}\n")
    assert refused(two).rule == "several-kernels" and refused(two).remedy == f"choose one: {two}:f, {two}:g"
    assert load_kernel(f"{two}:g").name == "g"
    assert refused(f"{two}:h").rule == "unknown-kernel"
    assert refused(write(tmp_path, "module {\n}\n", "none.mlir")).rule == "no-kernel"
    assert refused(write(tmp_path, "", "empty.ttir")).rule == "no-kernel"
    assert refused(tmp_path / "missing.ttir").rule == "missing-file"


@needs_new_ttgir
def test_a_file_that_ends_the_parser_is_refused_and_the_next_one_is_read(tmp_path: Path) -> None:
    text = SPECIALIZED.read_text()
    bad = write(tmp_path, re.sub(r"warp = \[\[32, 0\], \[64, 0\]\]", "warp = [[32, 128], [64, 0]]", text), "bad.ttgir")
    assert bad.read_text() != text
    diagnostic = refused(bad)
    assert diagnostic.rule == "mlir-crash" and "Layout is expected to be surjective" in diagnostic.message
    assert load_kernel(SPECIALIZED).name == "mm"


def test_a_parser_that_does_not_answer_is_ended() -> None:
    while isolation._current:  # one that still has to start cannot answer at once
        isolation._current.pop().end()
    with pytest.raises(UserError, match="within 0 s") as raised:
        parse_isolated(ATTENTION, 90, timeout_s=0)
    assert raised.value.diagnostics[0].rule == "mlir-timeout"
    assert load_kernel(ATTENTION).loops()


@needs_new_ttgir
def test_one_parser_serves_all_good_files_and_none_after_a_bad_one(tmp_path: Path) -> None:
    bad = write(tmp_path, "nonsense")
    load_kernel(ATTENTION)
    first = isolation._current[0].process.pid
    load_kernel(SPECIALIZED)
    assert isolation._current[0].process.pid == first
    assert refused(bad).location == Location(str(bad), 1, 1)
    load_kernel(ATTENTION)
    assert isolation._current[0].process.pid != first


TOKENS = [
    "0",
    "-1",
    "128",
    "i1",
    "f8E4M3FN",
    "tensor<",
    ">",
    "%x",
    "@f",
    "bf16",
    '"',
    "!tt.ptr<f16>",
    "9" * 20,
    "{",
    "}",
]


def mutated(text: str, rng: random.Random) -> str:
    """The text with a few lines, tokens, characters or numbers changed, or its end cut off."""
    lines = text.splitlines()
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        if not lines:
            break
        rng.choice([_lines, _lines, _token, _token, _character, _number, _cut])(lines, rng)
    return "\n".join(lines)


def _lines(lines: list[str], rng: random.Random) -> None:
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    how = rng.randrange(3)
    if how == 0:
        del lines[i]
    elif how == 1:
        lines.insert(i, lines[j])
    else:
        lines[i], lines[j] = lines[j], lines[i]


def _token(lines: list[str], rng: random.Random) -> None:
    i = rng.randrange(len(lines))
    tokens = re.findall(r"\w+|\W", lines[i]) or [""]
    tokens[rng.randrange(len(tokens))] = rng.choice(TOKENS)
    lines[i] = "".join(tokens)


def _character(lines: list[str], rng: random.Random) -> None:
    i = rng.randrange(len(lines))
    j = rng.randrange(len(lines[i]) + 1)
    lines[i] = lines[i][:j] + rng.choice(["", chr(rng.randrange(32, 127)), "\u00e9"]) + lines[i][j + rng.randrange(4) :]


def _number(lines: list[str], rng: random.Random) -> None:
    i = rng.randrange(len(lines))
    found = list(re.finditer(r"\d+", lines[i]))
    if found:
        chosen = rng.choice(found)
        value = rng.choice([0, 1, 2, 3, 7, 16, 32, 64, 128, 256, 1 << 31])
        lines[i] = f"{lines[i][: chosen.start()]}{value}{lines[i][chosen.end() :]}"


def _cut(lines: list[str], rng: random.Random) -> None:
    if rng.random() < 0.2:
        del lines[rng.randrange(len(lines)) :]


def fuzz(folder: Path, count: int, seed: int) -> Counter[str]:
    """What becomes of `count` mutated files; anything but a kernel or a UserError with a place fails."""
    rng = random.Random(seed)
    texts = [ATTENTION.read_text(), SPECIALIZED.read_text(), TEXT]
    outcomes: Counter[str] = Counter()
    for number in range(count):
        path = write(folder, mutated(rng.choice(texts), rng), f"{number}.ttir")
        try:
            kernel = load_kernel(path)
        except UserError as error:
            outcomes[error.diagnostics[0].rule] += 1
            assert all(d.location is not None and d.message for d in error.diagnostics), path
        else:
            outcomes["kernel"] += 1
            check_names(kernel)
        path.unlink()
    return outcomes


def test_mutated_files_give_a_kernel_or_a_diagnostic(tmp_path: Path) -> None:
    outcomes = fuzz(tmp_path, 100, seed=0)
    assert outcomes["kernel"] > 5 and outcomes["mlir-syntax"] > 20


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_many_mutated_files_give_a_kernel_or_a_diagnostic(tmp_path: Path) -> None:
    outcomes = fuzz(tmp_path, 5000, seed=1)
    print(outcomes)
    assert outcomes.total() == 5000 and set(outcomes) <= {
        "kernel", "mlir-syntax", "mlir-crash", "no-kernel", "several-kernels", "unstructured-control-flow",
    }  # fmt: skip
