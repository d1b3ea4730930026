"""TTGIR, in which Triton chose the places, lowers to the same work as the TTIR that it came from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from backends.compilers.python_source import import_file
from backends.compilers.triton_adaptor import backend, new_context
from backends.machines import load_machine
from ir.diagnostics import Location, UserError
from ir.graph import DependenceGraph
from ir.loop import Kernel, Operation, Value
from ir.task import load_task
from ir.types import Type
from tests.twill.lowering.loops import gemm
from twill.frontend.load import FrontendOptions, load_kernel
from twill.frontend.triton import find_kernel
from twill.lowering import lower
from twill.lowering.layouts import without_layouts
from twill.pipeline import choose_loop

KERNELS = Path(__file__).parents[3] / "kernels"


def ttgir(folder: str, capability: int, path: Path) -> Path:
    """Compile a shipped kernel as far as TTGIR, with pipelining off."""
    from triton.compiler.compiler import ASTSource

    task = load_task(KERNELS / folder)
    function: Any = find_kernel(import_file(task.source), task.entry, Location(str(task.source)))
    while hasattr(function, "fn") and not hasattr(function, "src"):
        function = function.fn
    cuda = backend(capability)
    options = cuda.parse_options({"num_warps": task.launch.num_warps, "num_stages": 1})
    context = new_context(capability)
    source = ASTSource(function, task.triton_signature(), dict(task.constants), task.triton_attributes(_sizes(task)))
    helpers = cuda.get_codegen_implementation(options), cuda.get_module_map()
    module = cuda.make_ttir(source.make_ir(cuda.target, options, *helpers, context), {}, options, capability)
    path.write_text(str(cuda.make_ttgir(module, {}, options, capability)))
    return path


def _sizes(task: Any) -> dict[str, int]:
    return dict(next(iter(task.sizes["report"])))


def work(g: DependenceGraph) -> Counter[tuple[str | None, str]]:
    """Cycles and footprints by unit."""
    total: Counter[tuple[str | None, str]] = Counter()
    for op in g.ops:
        total[op.unit, "cycles"] += op.occupancy_cycles
        total[op.unit, "smem_bytes"] += op.smem_bytes
        total[op.unit, "tmem_columns"] += op.tmem_columns
    return total


@pytest.mark.parametrize("machine", ["a100", "h100", "b200"])
@pytest.mark.parametrize(
    "folder", ["gemm", "attention_forward", "attention_forward_descriptor", "attention_backward", "linear_attention"]
)
def test_the_same_work_as_from_ttir(folder: str, machine: str, tmp_path: Path) -> None:
    target = load_machine(machine)
    options = FrontendOptions(architecture=target.architecture)
    capability = int(target.architecture.removeprefix("sm_"))
    graphs = []
    for source in (KERNELS / folder, ttgir(folder, capability, tmp_path / "kernel.ttgir")):
        kernel = load_kernel(source, options)
        graphs.append(lower(kernel, choose_loop(kernel, None), target))
    assert work(graphs[0]) == work(graphs[1])
    assert len(graphs[0].ops) == len(graphs[1].ops)
    assert Counter(e.distance for e in graphs[0].edges) == Counter(e.distance for e in graphs[1].edges)


def test_ttir_comes_back_as_it_is() -> None:
    kernel, loop = gemm()
    assert without_layouts(kernel, loop) == (kernel, loop)


@pytest.mark.parametrize("opcode", ["ttg.async_copy_global_to_local", "ttg.memdesc_index", "ttng.anything_new"])
def test_pipelined_code_is_refused_with_its_place(opcode: str) -> None:
    kernel, loop = gemm()
    strange = Operation(opcode, ("a",), (Value("v", Type("f16", (64,))),), location=Location("kernel.ttgir", 7, 3))
    changed = loop.__class__(**{**vars(loop), "body": (*loop.body, strange)})
    body = tuple(changed if item is loop else item for item in kernel.body)
    whole = Kernel(kernel.name, kernel.arguments, body, kernel.source, dialect="ttgir")
    with pytest.raises(UserError, match=rf"kernel\.ttgir:7:3: error: `{opcode}` belongs to code .*pipelined-ttgir"):
        lower(whole, changed, load_machine("h100"))
