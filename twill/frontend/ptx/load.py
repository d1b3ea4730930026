"""PTX file to `ir.loop.Kernel`: one Loop for each natural loop; innermost ones carry their instructions in SSA form.

Code outside innermost loops is not part of the kernel. What a loop takes from there is defined by one `ptx.live_in`
operation in front of it, and known integers by `ptx.constant`. Attributes of an instruction: `text` (as in the file),
`immediates` (its integer literals), `exit` (may leave the loop), `spin` (a wait that is repeated until it succeeds),
`partial` (its last operands are old values that it keeps where its predicates do not hold), and for each memory access
i `access<i>_space`, `_write`, `_base` (a value name, `@symbol`, or empty: unknown), `_offset`, `_extent`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backends.ptx.parser import read_ptx
from backends.ptx.syntax import Function, Immediate, Module, Register, Symbol
from ir.diagnostics import Location, fail
from ir.loop import Attribute, Carried, Kernel, Loop, Operation, Predicate, Value
from twill.frontend.ptx.counted import Count, count, initial_constants
from twill.frontend.ptx.flow import Flow, NaturalLoop, control_flow
from twill.frontend.ptx.liveness import live_in
from twill.frontend.ptx.opcodes import Access, value_type
from twill.frontend.ptx.region import Region, convert
from twill.frontend.ptx.ssa import Body, Definition, Incoming, Reference, Step, to_ssa

_WARP_THREADS = 32


def ptx_entries(path: str | Path) -> tuple[str, ...]:
    """Names of the kernels in a PTX file; raises UserError if it is none."""
    return tuple(f.name for f in read_ptx(path).entries)


def load_ptx(path: str | Path, entry: str | None = None) -> Kernel:
    """The kernel of a PTX file; `file.ptx:entry` (or `entry`) chooses where there are several.

    Raises UserError for a missing or malformed file (with line and column), or an entry that is not there. A loop that
    cannot be scheduled is no error: its `refusal` says why.
    """
    file, chosen = _split(str(path), entry)
    return kernel_of(read_ptx(file), chosen, file)


def kernel_of(module: Module, entry: str | None, file: str) -> Kernel:
    """The kernel of a PTX module, see `load_ptx`; `file` is what the kernel says it is from."""
    function = _choose(module.entries, entry, file)
    return _kernel(function, control_flow(function), file)


def _split(path: str, entry: str | None) -> tuple[str, str | None]:
    stem, colon, name = path.rpartition(":")
    return (stem, name) if colon and stem.endswith(".ptx") else (path, entry)


def _choose(entries: tuple[Function, ...], name: str | None, file: str) -> Function:
    names = ", ".join(e.name for e in entries)
    if not entries:
        raise fail("ptx-no-entry", "the file has no kernel (`.entry`)", Location(file))
    if name is None:
        if len(entries) > 1:
            remedy = f"choose one: {file}:{entries[0].name}"
            raise fail("ptx-several-entries", f"the file has {len(entries)} kernels: {names}", Location(file), remedy)
        return entries[0]
    found = next((e for e in entries if e.name == name), None)
    if found is None:
        raise fail("ptx-no-entry", f"there is no kernel `{name}`", Location(file), f"the kernels are: {names}")
    return found


def _kernel(function: Function, flow: Flow, file: str) -> Kernel:
    builder = _Builder(flow, live_in(flow))
    body = tuple(item for i, loop in enumerate(flow.loops) for item in builder.loop(loop, str(i)))
    return Kernel(
        name=function.name,
        arguments=tuple(Value(p.name, value_type(Register(p.name, p.type))) for p in function.parameters),
        body=body,
        source=file,
        dialect="ptx",
        warps=max(1, (function.threads or 128) // _WARP_THREADS),
        location=function.location,
    )


@dataclass
class _Builder:
    """Makes loops of one function; value names are unique in it."""

    flow: Flow
    live: Mapping[int, frozenset[Register]]
    used: dict[str, int] = field(default_factory=dict)

    def unique(self, name: str) -> str:
        """The name itself the first time, then with a number."""
        self.used[name] = self.used.get(name, -1) + 1
        return name if not self.used[name] else self.unique(f"{name}.{self.used[name]}")

    def loop(self, loop: NaturalLoop, name: str, parent: NaturalLoop | None = None) -> tuple[Operation | Loop, ...]:
        """The loop, after the operations that define what it takes from outside."""
        location = self._location(loop)
        if loop.irreducible:
            why = "its control flow is irreducible: the cycle can be entered at several places"
            return (Loop(name, None, location=location, refusal=why),)
        if loop.children:
            inside = tuple(x for i, child in enumerate(loop.children) for x in self.loop(child, f"{name}.{i}", loop))
            return (Loop(name, None, body=inside, location=location),)
        region = convert(self.flow, loop)
        refusal = region.refusal or _call(region)
        if refusal:
            return (Loop(name, None, location=location, refusal=refusal),)
        body = to_ssa(region, self.live)
        constants = initial_constants(self.flow, loop, parent)
        return _LoopMaker(self, name, location, body, constants, count(body, constants)).make()

    def _location(self, loop: NaturalLoop) -> Location | None:
        """Where the source has the loop, else where the PTX has it."""
        instructions = [i for b in sorted(loop.blocks) for i in self.flow.blocks[b].instructions]
        placed = [i.origin for i in instructions if i.origin]
        own = instructions[0].place.file if instructions and instructions[0].place else ""
        return next((p for p in placed if p.file != own), placed[0] if placed else None)


def _call(region: Region) -> str:
    calls = (i for b in region.blocks for i in b.instructions if i.base == "call")
    found = next(calls, None)
    return f"it calls a function that cannot be seen into: `{found.text}` at {found.place}" if found else ""


@dataclass
class _LoopMaker:
    builder: _Builder
    name: str
    location: Location | None
    body: Body
    constants: Mapping[Register, int]
    counted: Count | None
    names: dict[Reference, str] = field(default_factory=dict)
    live_in: list[Value] = field(default_factory=list)
    before: list[Operation] = field(default_factory=list)

    def make(self) -> tuple[Operation | Loop, ...]:
        """The `ptx.live_in` operation, constants, and the loop."""
        initial = {r: self._outside(r, f"{_plain(r)}.init") for r in self.body.carried}
        for register in self.body.carried:
            self.names[Incoming(register)] = self.builder.unique(f"{_plain(register)}.in")
        operations = tuple(self._operation(step, i) for i, step in enumerate(self.body.steps))
        carried = tuple(self._carried(r, last, initial[r]) for r, last in self.body.carried.items())
        found = self.counted
        lower, upper, step = self._bounds(found, initial) if found else ("", "", "")
        loop = Loop(
            name=self.name,
            induction=None,
            lower=lower,
            upper=upper,
            step=step,
            carried=carried,
            body=operations,
            trip_count=found.trip_count if found else None,
            attributes={"counted": found is not None},
            location=self.location,
        )
        if self.live_in:
            self.before.append(Operation("ptx.live_in", results=tuple(self.live_in), location=self.location))
        return (*self.before, loop)

    def _outside(self, register: Register, name: str) -> str:
        value = Value(self.builder.unique(name), value_type(register))
        if register in self.constants:
            self._constant(value, self.constants[register])
        else:
            self.live_in.append(value)
        return value.name

    def _constant(self, result: Value, value: int) -> None:
        self.before.append(Operation("ptx.constant", results=(result,), attributes={"value": value}))

    def _carried(self, register: Register, last: Reference, initial: str) -> Carried:
        kind = value_type(register)
        result = Value(self.builder.unique(f"{_plain(register)}.out"), kind)
        return Carried(Value(self._reference(Incoming(register)), kind), initial, self._reference(last), result)

    def _reference(self, reference: Reference) -> str:
        if reference not in self.names:
            name = _plain(reference.register)
            outside = isinstance(reference, Incoming)
            self.names[reference] = self._outside(reference.register, name) if outside else self.builder.unique(name)
        return self.names[reference]

    def _operation(self, step: Step, index: int) -> Operation:
        instruction = step.instruction
        operands = [self._reference(r) for r in step.operands]
        kept = [self._reference(r) for r in step.kept.values()]
        results = tuple(Value(self._defined(r, index), value_type(r)) for r in dict.fromkeys(step.effects.defines))
        attributes: dict[str, Attribute] = {"text": instruction.text}
        if numbers := tuple(o.value for o in instruction.operands if isinstance(o, Immediate) and o.value is not None):
            attributes["immediates"] = numbers
        flags = {"exit": index in self.body.exits, "spin": instruction.spin, "partial": bool(kept)}
        attributes |= {flag: True for flag, holds in flags.items() if holds}
        for number, access in enumerate(step.effects.accesses):
            attributes |= self._access(f"access{number}", access, step)
        return Operation(
            instruction.opcode,
            (*operands, *kept),
            results,
            attributes,
            tuple(Predicate(self._reference(value), expected) for value, expected in step.predicates),
            location=instruction.origin,
        )

    def _defined(self, register: Register, index: int) -> str:
        return self._reference(Definition(register, index))

    def _access(self, prefix: str, access: Access, step: Step) -> dict[str, Attribute]:
        base = ""
        if isinstance(access.base, Symbol):
            base = f"@{access.base.name}"
        elif access.base is not None:
            base = self._reference(step.operands[step.effects.reads.index(access.base)])
        return {
            f"{prefix}_space": access.space,
            f"{prefix}_write": access.write,
            f"{prefix}_base": base,
            f"{prefix}_offset": access.offset,
            f"{prefix}_extent": access.extent,
        }

    def _bounds(self, found: Count, initial: Mapping[Register, str]) -> tuple[str, str, str]:
        """Names of lower bound, upper bound and step."""

        def name(value: Register | int) -> str:
            if isinstance(value, Register):
                return self._reference(Incoming(value))
            result = Value(self.builder.unique(f"c{value}"), value_type(found.induction))
            self._constant(result, value)
            return result.name

        return initial[found.induction], name(found.bound), name(found.step)


def _plain(register: Register) -> str:
    return register.name.lstrip("%")
