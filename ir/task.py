"""The task file: a kernel, its arguments, launch, sizes and reference, read from TOML into frozen values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ir.argument import ALIGNMENT, Argument, read_argument
from ir.diagnostics import fail
from ir.document import Document, TableReader
from ir.entry import LANGUAGES, SUFFIXES, Constant, is_entry, language_of, literal, name_expression
from ir.expression import Expression

Sizes = Mapping[str, int]

# Inputs beside a task's distributions for which its kernel must be right, see backends.run.regimes.
REGIMES = ("high", "low", "wide", "equal", "sorted")
# All that a task has at once; no task names it.
MIXED = "mixed"
SIZE_SETS = ("search", "verify", "report")
STANDARDS = ("c++17", "c++20")
TARGET = re.compile(r"sm_\d+[af]?")


@dataclass(frozen=True)
class Launch:
    """How a kernel is started: the grid is in programs (Triton, Gluon) or blocks (CUDA).

    The num_* are for Triton and Gluon; `block` in threads, the dynamic `smem_bytes` and `cluster` in blocks are
    for CUDA. All blocks of a cooperative launch are resident at once.
    """

    grid: tuple[Expression, ...]
    num_warps: int = 4
    num_stages: int = 3
    num_ctas: int = 1
    block: tuple[Expression, ...] = ()
    smem_bytes: Expression = field(default=Expression.parse("0"))
    cluster: tuple[Expression, ...] = ()
    cooperative: bool = False


@dataclass(frozen=True)
class CompileOptions:
    """Options for a CUDA compiler: macros as name -> text, C++ standard, folders of headers."""

    defines: Mapping[str, str] = field(default_factory=dict)
    std: str = "c++17"
    fast_math: bool = False
    include: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Task:
    """A kernel and all that is needed to run it, to check it and to time it.

    `language` is triton, gluon or cuda; `entry` of a CUDA kernel may have template arguments.
    The reference is called with keywords: of the inputs, scalars and constants, those that its parameters
    name. It returns a dict from output name to tensor, and computes in the precision of what it is given.
    `tolerance` bounds the largest error relative to the output's scale; None derives it from the dtype.
    `regimes` names the inputs beside the distributions for which the kernel must be right, too: by default all.
    `sizes` has the sets search, verify and report; each is a tuple of symbol -> integer.
    """

    name: str
    variant_name: str
    source: Path
    language: str
    entry: str
    reference_file: Path
    reference_function: str
    targets: tuple[str, ...]
    arguments: tuple[Argument, ...]
    constants: Mapping[str, Constant]
    launch: Launch
    compile: CompileOptions
    sizes: Mapping[str, tuple[Sizes, ...]]
    tolerance: float | None
    regimes: tuple[str, ...]
    document: Document = field(repr=False, compare=False)

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants that the file defines."""
        return tuple(self.document.data.get("variant", {}))

    @property
    def inputs(self) -> tuple[Argument, ...]:
        """The tensors that the kernel reads, in order."""
        return tuple(a for a in self.arguments if a.kind != "scalar" and a.is_input)

    @property
    def outputs(self) -> tuple[Argument, ...]:
        """The tensors that the kernel writes, in order."""
        return tuple(a for a in self.arguments if a.is_output)

    def variant(self, name: str) -> Task:
        """The same task with the overrides of `[variant.<name>]`; raises UserError for an unknown name."""
        if name not in self.variants:
            remedy = f"the variants are: {', '.join(self.variants) or 'none'}"
            raise fail("unknown-variant", f"task {self.name} has no variant `{name}`", self.document.place(), remedy)
        task = _task(self.document.overridden(f"variant.{name}"), name)
        for key in task.constants.keys() - self.constants.keys():
            place = task.document.place(f"constants.{key}")
            remedy = f"a variant changes constants; the constants are: {', '.join(self.constants)}"
            raise fail("unknown-key", f"unknown constant `{key}`", place, remedy)
        return task

    def all_variants(self) -> tuple[Task, ...]:
        """The task itself, then each of its variants."""
        return (self, *map(self.variant, self.variants))

    def values(self, sizes: Sizes) -> dict[str, int]:
        """What expressions see: the size symbols and the integer constants."""
        return {**{k: v for k, v in self.constants.items() if isinstance(v, int)}, **sizes}

    def grid(self, sizes: Sizes) -> tuple[int, int, int]:
        """Programs or blocks along x, y and z."""
        return self._extents(self.launch.grid, sizes)

    def block(self, sizes: Sizes) -> tuple[int, int, int]:
        """Threads of a CUDA block along x, y and z."""
        return self._extents(self.launch.block, sizes)

    def cluster(self, sizes: Sizes) -> tuple[int, int, int]:
        """Blocks of a CUDA cluster along x, y and z; (1, 1, 1) where there is none."""
        return self._extents(self.launch.cluster, sizes)

    def smem_bytes(self, sizes: Sizes) -> int:
        """Dynamic shared memory of a CUDA block."""
        return self.launch.smem_bytes.evaluate(self.values(sizes))

    @property
    def name_expression(self) -> str:
        """The C++ name of a CUDA kernel, as NVRTC takes it: constants replaced in the template arguments."""
        return name_expression(self.entry, self.constants)

    def triton_signature(self) -> dict[str, str]:
        """Parameter -> Triton type, arguments first and then constants, as `ASTSource` wants it."""
        values = self.values({})
        types = {a.parameter: a.triton_type(values) for a in self.arguments}
        return types | dict.fromkeys(self.constants, "constexpr")

    def triton_attributes(self, sizes: Sizes) -> dict[tuple[int], list[list[Any]]]:
        """Divisibility by 16 that Triton's launcher would find at these sizes, as `ASTSource` wants it.

        Tensors count as aligned: the allocator aligns them to at least 256 bytes.
        """
        values = self.values(sizes)
        aligned = [i for i, a in enumerate(self.arguments) if a.is_aligned(values)]
        return {(i,): [["tt.divisibility", ALIGNMENT]] for i in aligned}

    def _extents(self, extents: tuple[Expression, ...], sizes: Sizes) -> tuple[int, int, int]:
        values = self.values(sizes)
        x, y, z, *_ = *(e.evaluate(values) for e in extents), 1, 1, 1
        return x, y, z


def load_task(path: str | Path) -> Task:
    """Read a task file, or the `task.toml` of a folder; raises UserError that lists every fault with its line.

    Every variant is checked too.
    """
    file = Path(path)
    file = file / "task.toml" if file.is_dir() else file
    task = _task(Document.read(file), "")
    task.all_variants()
    return task


def task_of(document: Document, variant_name: str = "") -> Task:
    """The task that a document tells of which nothing has read yet; raises UserError that lists every fault."""
    return _task(document, variant_name)


def task_files(root: str | Path) -> tuple[Path, ...]:
    """Every task file in a folder of kernels or in one kernel's folder, sorted; deeper files are no tasks (pins)."""
    return tuple(sorted({*Path(root).glob("*.toml"), *Path(root).glob("*/*.toml")}))


# One reader for each kind of table; `symbols` are the names that expressions may use.


def _task(document: Document, variant: str) -> Task:
    root = document.root()
    sizes = _sizes(root.table("sizes"))
    constants = root.table("constants").entries((bool, int, float, str), "a number, a string, true or false")
    symbols = frozenset(constants).union(*(row for rows in sizes.values() for row in rows))
    source, _ = root.file("source")
    entry = root.text("entry")
    language = _language(root, source, entry)
    reference_file, reference_function = root.file("reference")
    root.has("variant")
    task = Task(
        name=root.text("name"),
        variant_name=variant,
        source=source,
        language=language,
        entry=entry,
        reference_file=reference_file,
        reference_function=reference_function or "reference",
        targets=_targets(root),
        arguments=tuple(read_argument(row, symbols, language) for row in root.list_of_tables("argument")),
        constants=constants,
        launch=_LAUNCHES[language](root.table("launch"), symbols),
        compile=_compile(root.table("compile"), constants) if language == "cuda" else CompileOptions(),
        sizes=sizes,
        tolerance=root.number("tolerance"),
        regimes=_regimes(root),
        document=document,
    )
    document.finish()
    return task


def _sizes(table: TableReader) -> dict[str, tuple[Sizes, ...]]:
    rows = {key: table.list_of_tables(key) for key in SIZE_SETS}
    symbols = {symbol for readers in rows.values() for row in readers for symbol in row.data}
    for row in (row for readers in rows.values() for row in readers):
        for symbol in sorted(symbols - row.data.keys()):
            row.fault("missing-symbol", f"a size set lacks `{symbol}`", symbol, "every size set gives every symbol")
    return {key: tuple(row.entries((int,), "an integer") for row in rows[key]) for key in SIZE_SETS}


def _language(root: TableReader, source: Path, entry: str) -> str:
    language = language_of(source, entry)
    if language is None:
        remedy = f"a kernel is in a file with the suffix {' or '.join(SUFFIXES)}"
        root.fault("bad-value", f"`source` has the suffix `{source.suffix}`", "source", remedy)
        return LANGUAGES[0]
    if entry and not is_entry(entry, language):
        remedy = "a CUDA kernel is `name` or `name<arguments>`, any other a name"
        root.fault("bad-value", f"`entry` is `{entry}`, which is no {language} kernel's name", "entry", remedy)
    return language


def _targets(root: TableReader) -> tuple[str, ...]:
    targets = root.texts("targets")
    for target in targets:
        if not TARGET.fullmatch(target):
            root.fault("bad-value", f"`targets` has `{target}`", "targets", "a target is written sm_90 or sm_90a")
    return targets


def _regimes(root: TableReader) -> tuple[str, ...]:
    names = root.texts("regimes", REGIMES)
    for name in names:
        if name not in REGIMES:
            root.fault("bad-value", f"`regimes` has `{name}`", "regimes", f"regimes: {', '.join(REGIMES)}")
    return names


def _triton_launch(table: TableReader, symbols: frozenset[str]) -> Launch:
    return Launch(
        grid=table.expressions("grid", symbols),
        num_warps=table.count("num_warps", 4),
        num_stages=table.count("num_stages", 3),
        num_ctas=table.count("num_ctas", 1),
        cooperative=table.flag("cooperative"),
    )


def _cuda_launch(table: TableReader, symbols: frozenset[str]) -> Launch:
    return Launch(
        grid=table.expressions("grid", symbols),
        block=table.expressions("block", symbols),
        smem_bytes=table.expression("smem_bytes", symbols),
        cluster=table.expressions("cluster", symbols, ()),
        cooperative=table.flag("cooperative"),
    )


_LAUNCHES = {"triton": _triton_launch, "gluon": _triton_launch, "cuda": _cuda_launch}


def _compile(table: TableReader, constants: Mapping[str, Constant]) -> CompileOptions:
    """A define that is the name of a constant gets its value."""
    defines = table.table("defines").entries((bool, int, float, str), "a number, a string, true or false")
    return CompileOptions(
        defines={name: literal(constants.get(str(value), value)) for name, value in defines.items()},
        std=table.text("std", STANDARDS[0], STANDARDS),
        fast_math=table.flag("fast_math"),
        include=table.folders("include"),
    )
