"""A first correct Triton kernel for a model: elementwise, reductions of rows, or a matrix product and more.

It is written to be right and to be read: one program for a block of elements, a row, or a tile; each reduction is a
loop of its own. To make it fast is what the search is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ir.diagnostics import Diagnostic, UserError
from optiml.importing.evaluation import Body, Evaluator
from optiml.importing.indices import Index, extents, product, reshape, unravel
from optiml.importing.operations import ACCUMULATE, Reduction, base_name, reduction_of, unsupported
from optiml.importing.trace import Node, Trace

_PRODUCTS = ("mm", "bmm")
_ROW_BLOCK, _FLAT_BLOCK = 512, 1024
_TILE = {"BLOCK_M": 32, "BLOCK_N": 32, "BLOCK_K": 32}


@dataclass(frozen=True)
class FirstKernel:
    """Statements of a kernel, its compile-time constants, and the grid in the kernel's names of sizes."""

    family: str
    lines: tuple[str, ...]
    constants: Mapping[str, int]
    grid: tuple[str, ...]


def first_kernel(trace: Trace, taken: set[str], out: str = "out") -> FirstKernel:
    """The kernel of a traced model, which stores to `out`_ptr; it gives no name of `taken`.

    Raises UserError `unsupported-operation`, and where the model has not one output of numbers.
    """
    _check(trace)
    ranks = {t.name: len(t.shape) for t in trace.tensors} | {n.name: len(n.shape) for n in trace.nodes}
    reductions = [r for n in trace.nodes if (r := reduction_of(n, ranks)) is not None]
    products = [n for n in trace.nodes if base_name(n) in _PRODUCTS]
    evaluator = Evaluator(trace, Body(set(taken)), f"{out}_ptr")
    if products:
        if len(products) > 1 or reductions:
            raise unsupported((products[1:] or [r.node for r in reductions])[0], "beside another matrix product")
        return _product(evaluator, products[0])
    return _rows(evaluator, reductions) if reductions else _elementwise(evaluator)


def _check(trace: Trace) -> None:
    if len(trace.outputs) != 1:
        message = f"the model returns {len(trace.outputs)} tensors; a first kernel has one output"
        raise UserError(Diagnostic("several-outputs", message, remedy="hand in a kernel of your own: --kernel FILE"))
    if trace.outputs[0] not in {n.name for n in trace.nodes}:
        raise UserError(Diagnostic("no-operation", "the model returns what it is given"))
    for t in trace.tensors:
        if t.dtype not in ("float32", "float16", "bfloat16", "bool"):
            message = f"`{t.name}` is a tensor of {t.dtype}; first kernels compute in fp32"
            raise UserError(Diagnostic("unsupported-dtype", message, remedy="hand in a kernel: --kernel FILE"))


def _elementwise(e: Evaluator) -> FirstKernel:
    out = e.trace.outputs[0]
    dims, body = e.dims(out), e.body
    count = product(dims)
    body.add("offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)")
    body.add(f"inside = offs < {count}")
    e.masks["offs"] = "inside"
    e.stored(out, unravel("offs", dims))
    return FirstKernel("elementwise", tuple(body.lines), {"BLOCK": _FLAT_BLOCK}, (f"cdiv({count}, BLOCK)",))


@dataclass(frozen=True)
class _Space:
    """What is reduced: the extents of the source, and the axes that go."""

    dims: tuple[str, ...]
    axes: tuple[int, ...]

    @property
    def rows(self) -> str:
        return product([d for i, d in enumerate(self.dims) if i not in self.axes])

    @property
    def width(self) -> str:
        return product([self.dims[i] for i in self.axes])

    def index(self) -> tuple[Index, ...]:
        """Of the element `cols` of `row`."""
        kept = iter(unravel("row", [d for i, d in enumerate(self.dims) if i not in self.axes]))
        gone = iter(unravel("cols", [self.dims[i] for i in self.axes]))
        return tuple(next(gone) if i in self.axes else next(kept) for i in range(len(self.dims)))

    def reduced(self, rank: int) -> tuple[Index, ...]:
        """Of the row's result, with the axes that went as extents of 1 or left out."""
        index = self.index()
        kept = [i for n, i in enumerate(index) if n not in self.axes]
        return (
            tuple(Index("0") if n in self.axes else i for n, i in enumerate(index))
            if rank == len(index)
            else tuple(kept)
        )


def _rows(e: Evaluator, reductions: list[Reduction]) -> FirstKernel:
    spaces = {r.node.name: _Space(e.dims(r.source), r.axes) for r in reductions}
    space = spaces[reductions[0].node.name]
    for r in reductions:
        if spaces[r.node.name] != space:
            raise unsupported(r.node, "beside a reduction over other axes")
    out, body = e.trace.outputs[0], e.body
    body.add("row = tl.program_id(0).to(tl.int64)")
    e.masks["cols"] = "inside"
    for r in reductions:
        e.pinned[r.node.name] = (_texts(space.reduced(len(r.node.shape))), _reduced(e, r, space))
    dims = e.dims(out)
    if dims == space.dims:
        with _over(e, space):
            e.stored(out, space.index())
    elif product(dims) == space.rows:
        kept = [d for i, d in enumerate(space.dims) if i not in space.axes]
        e.stored(out, reshape(unravel("row", kept), kept, dims))
    else:
        raise unsupported(e.nodes[out], "its shape is neither that of the rows nor of their elements")
    return FirstKernel("rows", tuple(body.lines), {"BLOCK": _ROW_BLOCK}, (space.rows,))


def _texts(index: tuple[Index, ...]) -> tuple[str, ...]:
    return tuple(i.text for i in index)


def _reduced(e: Evaluator, r: Reduction, space: _Space) -> str:
    """Write the loop of a reduction; the variable with its result."""
    name = r.node.name
    if r.kind in ACCUMULATE:
        return _accumulated(e, r, space, name, r.kind)
    total = _accumulated(e, r, space, f"{name}_sum", "sum")
    if r.kind == "mean":
        return e.body.bound(name, f"{total} / ({space.width})")
    mean = e.body.bound(f"{name}_mean", f"{total} / ({space.width})")
    squares = _accumulated(e, r, space, f"{name}_squares", "sum", f"({{0}} - {mean}) * ({{0}} - {mean})")
    return e.body.bound(name, f"{squares} / ({space.width} - {r.correction:g})")


def _accumulated(e: Evaluator, r: Reduction, space: _Space, name: str, kind: str, term: str = "{0}") -> str:
    start, combine, finish = ACCUMULATE[kind]
    sums = e.body.bound(f"{name}_lanes", f"tl.full([BLOCK], {start}, tl.float32)")
    with _over(e, space):
        value = term.format(e.value(r.source, space.index()))
        masked = f"tl.where(inside, {value}, {start})"
        e.body.add(f"{sums} = {combine.format(sums, masked)}")
    return e.body.bound(name, finish.format(sums))


@contextmanager
def _over(e: Evaluator, space: _Space) -> Iterator[None]:
    """Within a loop over the columns of the row, a block at a time."""
    with e.loop(f"for start in tl.range(0, {space.width}, BLOCK):"):
        e.body.add("cols = start + tl.arange(0, BLOCK)")
        e.body.add(f"inside = cols < {space.width}")
        yield


def _product(e: Evaluator, node: Node) -> FirstKernel:
    """A tile of the product, then everything after it, elementwise."""
    a, b, body, out = node.args[0].name, node.args[1].name, e.body, e.trace.outputs[0]
    m, n = extents(node.shape)[-2:]
    k, batch = e.dims(a)[-1], extents(node.shape)[:-2]
    body.add("rows = (tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M))[:, None]")
    body.add("cols = (tl.program_id(1).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N))[None, :]")
    if batch:
        body.add("batch_index = tl.program_id(2).to(tl.int64)")
    which = tuple(Index("batch_index") for _ in batch)
    e.masks |= {"rows": f"rows < {m}", "cols": f"cols < {n}", "ks": f"ks < {k}", "kt": f"kt < {k}"}
    body.add("acc = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)")
    with e.loop(f"for start in tl.range(0, {k}, BLOCK_K):"):
        body.add("ks = (start + tl.arange(0, BLOCK_K))[None, :]")
        body.add("kt = (start + tl.arange(0, BLOCK_K))[:, None]")
        left = f"tl.where({e.masks['ks']}, {e.value(a, (*which, Index('rows'), Index('ks')))}, 0.0)"
        right = f"tl.where({e.masks['kt']}, {e.value(b, (*which, Index('kt'), Index('cols')))}, 0.0)"
        body.add(f'acc = tl.dot({left}, {right}, acc, input_precision="ieee")')
    place = (*which, Index("rows"), Index("cols"))
    e.pinned[node.name] = (_texts(place), "acc")
    if product(e.dims(out)) != product(extents(node.shape)) and len(e.dims(out)) <= len(place):
        raise unsupported(e.nodes[out], "its shape is not that of the product")
    e.stored(out, reshape(place, extents(node.shape), e.dims(out)))
    grid = (f"cdiv({m}, BLOCK_M)", f"cdiv({n}, BLOCK_N)", *batch)
    return FirstKernel("product", tuple(body.lines), _TILE, grid)
