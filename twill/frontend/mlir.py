"""From an MLIR module in generic form (TTIR, TTGIR) to `ir.loop.Kernel`.

Triton's Python bindings cannot list an operation's attributes, give the place of one without results, or give a
floating-point constant. MLIR's generic text form has all of it in one fixed syntax, so Triton parses and verifies the
module and prints it so (`triton_adaptor.generic_text`), and `twill.frontend.generic` reads that.

What a kernel keeps
* Operations keep their opcode, operands and order. Attributes are those of the operation, sorted, with enumerations by
  name (`inputPrecision` = tf32, `cache` = cg, `evict` = evict_first, `predicate` = slt) and defaults left out.
* `arith.constant` has `value`: a number or a bool, of a scalar or of a splat; a tuple for a tensor of integers.
* Operand order is the dialect's: tt.load (pointer, mask, other), tt.store (pointer, value, mask), tt.dot (a, b, c),
  tt.addptr (pointer, offset), tt.descriptor_load (descriptor, indices...), tt.descriptor_store (descriptor, value,
  indices...), tt.make_tensor_descriptor (base, shape..., strides...), tt.atomic_rmw (pointer, value, mask),
  arith.select (condition, true, false). Loads, stores and atomics say which optional operands are there:
  `has_mask`, `has_other`. Where a dialect groups operands, `operandSegmentSizes` has the size of each group.
* tt.reduce and tt.scan have `axis`, and the operations of their combiner by name in `combiner`.
* An `if` becomes its operations under predicates, and one arith.select (condition, then, else) for each result. An
  early return puts the rest of the kernel under the predicate that it was not taken. A loop has the predicates of the
  ifs around it; those of the operations inside start afresh.
* A call that Triton left (of a function with an early return) is inlined, unless its function is marked noinline.
* A loop that cannot be scheduled is kept, with the reason in `refusal`.
* A place is the innermost inlined frame that is not in Triton's own library; so is a variable's name.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ir.diagnostics import Location, fail
from ir.loop import Kernel
from twill.frontend.build import Builder
from twill.frontend.generic import Node, read_generic
from twill.frontend.names import assign, renamed
from twill.frontend.spelled import Spelled, nothing_spelled, spelled_in

# TTGIR fixes the number of warps, and says so on the module.
_WARPS = "ttg.num-warps"


def kernel_from_generic(text: str, source: str, name: str = "", warps: int = 4) -> Kernel:
    """The kernel `name`, or the only one, of a module's generic text; `warps` where the module does not say.

    `source` is the file that it came from; its values' own names serve where the module has no places of another file.

    Raises UserError: no-kernel, several-kernels, unknown-kernel, unstructured-control-flow, generic-syntax.
    """
    module = read_generic(text, source, _spelled(source))
    functions = {
        f.attributes["sym_name"]: f for block in module.regions[0] for f in block.nodes if f.opcode == "tt.func"
    }
    function = _chosen(functions, source, name)
    builder = Builder(functions)
    kernel = renamed(builder.kernel(function, source), assign(builder.drafts))
    return replace(
        kernel,
        dialect="ttgir" if _WARPS in module.attributes else "ttir",
        warps=module.attributes.get(_WARPS, warps),
    )


def _spelled(source: str) -> Spelled:
    path = Path(source)
    if path.suffix == ".py" or not path.is_file():
        return nothing_spelled
    return spelled_in(path.read_text(encoding="utf-8", errors="replace"))


def _chosen(functions: dict[str, Node], source: str, name: str) -> Node:
    public = {n: f for n, f in functions.items() if f.attributes.get("sym_visibility") != "private" and f.regions[0]}
    place = Location(source)
    if not public:
        raise fail("no-kernel", "the module has no public tt.func with a body", place)
    if name and name not in public:
        raise fail("unknown-kernel", f"the module has no kernel `{name}`", place, f"it has: {', '.join(public)}")
    if not name and len(public) > 1:
        remedy = f"choose one: {', '.join(f'{source}:{n}' for n in public)}"
        raise fail("several-kernels", f"the module has {len(public)} kernels", place, remedy)
    return public[name] if name else next(iter(public.values()))
