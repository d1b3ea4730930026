"""The files of a first task: what the facts of a kernel give, a TODO by name for what they do not."""

from __future__ import annotations

import keyword
from pathlib import Path
from typing import Any

from ir.diagnostics import Location, fail
from optiml.scaffold.facts import Facts, Parameter
from optiml.scaffold.layout import Layout
from optiml.store.toml import toml_text

_TARGETS = ["sm_80", "sm_90"]
# A scalar that leaves no product as it is.
_SCALAR = 0.75
# Sizes by how many there are: to search, to verify, to report. Unlike ones, so that no two are taken for each other.
_SIZES: dict[int, tuple[tuple[int, ...], tuple[tuple[int, ...], ...], tuple[int, ...]]] = {
    1: ((8192,), ((1,), (33,), (1000,)), (1 << 24,)),
    2: ((256, 192), ((1, 1), (33, 67), (100, 20)), (4096, 4096)),
    3: ((8, 96, 64), ((1, 1, 1), (3, 33, 67), (2, 70, 50)), (64, 1024, 1024)),
}
_MANY = ((4, 8, 32, 16), ((1, 1, 1, 1), (3, 5, 7, 9)), (16, 32, 256, 128))


def scaffold(source: Path, entry: str = "") -> dict[str, str]:
    """File name -> text: the task file and a reference to be written.

    Raises UserError: missing-file, no-kernel, several-kernels, unsupported-source, user-code-error.
    """
    draft = _Draft(source, kernel_facts(source, entry))
    return {"task.toml": draft.task_text(), "reference.py": draft.reference_text()}


def kernel_facts(source: Path, entry: str = "") -> Facts:
    """What a file says of a kernel, of the only one where `entry` is empty. Raises UserError as `scaffold` does."""
    from optiml.scaffold.cuda import cuda_kernels
    from optiml.scaffold.triton import triton_kernels

    if not source.is_file():
        raise fail("missing-file", f"there is no file {source}")
    readers = {".cu": cuda_kernels, ".py": triton_kernels}
    if source.suffix not in readers:
        raise fail("unsupported-source", f"a kernel is in a .cu or .py file, not {source.suffix or 'this'}")
    found = {f.entry: f for f in readers[source.suffix](source.read_text(encoding="utf-8"))}
    return found[_chosen(list(found), entry, source)]


def _chosen(found: list[str], entry: str, source: Path) -> str:
    place = Location(str(source))
    if not found or (entry and entry not in found):
        what = f"no kernel `{entry}`" if entry else "no kernel"
        raise fail("no-kernel", f"there is {what} here", place, f"kernels: {', '.join(found) or 'none'}")
    if not entry and len(found) > 1:
        raise fail("several-kernels", f"{len(found)} kernels here", place, f"--entry {'|'.join(found)}")
    return entry or found[0]


class _Draft:
    """A task in the making; `todo` are the things that the source does not tell."""

    def __init__(self, source: Path, facts: Facts) -> None:
        self.source, self.facts, self.layout = source, facts, Layout(facts)
        guessed = ", ".join(f"`{p.name}`" for p in facts.parameters if p.is_guessed)
        self.todo = [f"dtype of {guessed}: fp32 is a guess"] if guessed else []
        self.tensors = {p.name: self._tensor(p) for p in facts.parameters if p.role}
        self.grid = self._grid()
        self.todo += self._scalars()
        narrow = self.layout.within_blocks() if source.suffix == ".cu" else ()
        self.todo += [f"launch.block: `{name}` must go up to {bound} within one block" for name, bound in narrow]

    def task_text(self) -> str:
        """The task file."""
        facts, is_cuda = self.facts, self.source.suffix == ".cu"
        data: dict[str, Any] = {
            "name": facts.entry,
            "source": self.source.name,
            "entry": facts.instance,
            "reference": "reference.py:reference",
            "targets": _TARGETS,
            "argument": [self._argument(p) for p in facts.parameters if not p.is_constant],
            **({"constants": dict(facts.constants)} if facts.constants else {}),
            "launch": {"grid": self.grid, **facts.launched(is_cuda)},
            "sizes": self._sizes(),
        }
        self.todo.append("reference.py: what the kernel computes")
        head = [f"# The task of `{facts.entry}`, read off its source by `optiml init`.", *self._todo_lines()]
        return "\n".join([*head, "# Then: optiml check TASK", toml_text(data)])

    def reference_text(self) -> str:
        """A function whose body is the user's to write."""
        inputs = [f"{_own(p.name)}: torch.Tensor" for p in self.facts.parameters if p.role in ("in", "inout")]
        scalars = [f"{_own(p.name)}: float" for p in self.facts.parameters if _is_number(p)]
        outputs = [_own(p.name) for p in self.facts.parameters if p.role in ("out", "inout")]
        returned = ", ".join(f'"{name}": ...' for name in outputs)
        return (
            f'"""What `{self.facts.entry}` computes, in PyTorch."""\n\nimport torch\n\n\n'
            f"def reference({', '.join([*inputs, *scalars])}) -> dict[str, torch.Tensor]:\n"
            f'    """Return {{{returned}}} in the precision of what is given; it is called in fp64 too.\n\n'
            f"    Further parameters it may have: {', '.join(self._symbols()) or 'none'}.\n"
            f'    """\n'
            f'    raise NotImplementedError("TODO: write what the kernel computes")\n'
        )

    def _todo_lines(self) -> list[str]:
        return [f"# TODO {text}" for text in self.todo]

    def _tensor(self, p: Parameter) -> list[str | int]:
        shape = self.layout.shape(p.name)
        symbols = [self.layout.symbol(name) for name in self.facts.whole]
        found = list(shape) or symbols[:1] or ["N"]
        if not self.layout.is_certain(p.name):
            self.todo.append(f"shape of `{p.name}`: its indices do not tell, [{', '.join(found)}] is a guess")
        return [int(e) if e.isdigit() else e for e in found]

    def _scalars(self) -> list[str]:
        """Sizes of which the source does not say what they are."""
        told = {*self.facts.bounds.values(), *self.layout.strides}
        unknown = [name for name in self.facts.whole if name not in told]
        gapless = [
            f"value of `{s}`: {extent} is a guess, of rows without gaps" for s, extent in self.layout.strides.items()
        ]
        return [f"value of `{name}`: nothing is compared with it" for name in unknown] + gapless

    def _grid(self) -> list[str]:
        grid = self.layout.grid
        if "?" in grid or not grid:
            self.todo.append("launch.grid: how many programs there are")
        known = [text if text != "?" else "1" for text in grid]
        return known or ["1"]

    def _argument(self, p: Parameter) -> dict[str, Any]:
        name = _own(p.name)
        told = {"name": name} | ({"parameter": p.name} if name != p.name else {})
        if p.role:
            return {**told, "role": p.role, "dtype": p.dtype, "shape": self.tensors[p.name]}
        return {**told, "kind": "scalar", "dtype": p.dtype, "value": _SCALAR if _is_number(p) else self._size(p)}

    def _size(self, p: Parameter) -> str:
        return self.layout.symbol(p.name)

    def _symbols(self) -> list[str]:
        """Sizes, in the order in which tensors and scalars mention them."""
        scalars = [self.layout.symbol(name) for name in self.facts.whole]
        known = [e for shape in self.tensors.values() for e in shape if isinstance(e, str)]
        fixed = {*self.facts.constants}
        return list(dict.fromkeys(s for s in (*scalars, *known, *self.layout.sizes.values()) if s not in fixed))

    def _sizes(self) -> dict[str, list[dict[str, int]]]:
        symbols = self._symbols()
        search, verify, report = _SIZES.get(len(symbols), _MANY)

        def row(extents: tuple[int, ...]) -> dict[str, int]:
            return {s: extents[i % len(extents)] for i, s in enumerate(symbols)}

        return {"search": [row(search)], "verify": [row(v) for v in verify], "report": [row(report)]}


def _is_number(p: Parameter) -> bool:
    return not p.role and not p.is_constant and not p.dtype.startswith("i")


def _own(name: str) -> str:
    """What the reference calls it: without `_ptr`, and no word of Python's."""
    short = name.removesuffix("_ptr")
    return f"{short}_" if keyword.iskeyword(short) else short
