"""Every opcode form in the PTX of the shipped tasks: where it is met, and which engine has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from backends.compilers.task import compile_task
from backends.emulator.arena import Arena
from backends.emulator.calls import inlined
from backends.emulator.launch import load_variables
from backends.emulator.native.engine import native_cuts
from backends.emulator.program import Program, build_program, parameter_places
from backends.emulator.translate.builder import BlockBuilder
from backends.emulator.translate.table import emitter_of, ends_block
from backends.ptx import parse_ptx
from ir.diagnostics import UserError
from ir.task import Task, load_task, task_files

ROOT = Path(__file__).parents[3]
# Their native form is made with the block that they end.
_BRANCHES = ("bra", "ret", "exit")


@dataclass
class Form:
    """An opcode: in which programs it is, how often, how often with a native form, and what was refused."""

    programs: set[str] = field(default_factory=set)
    count: int = 0
    native: int = 0
    refused: set[str] = field(default_factory=set)


# Architectures by how much of their own they have; of one generation's consumer parts the code is `sm_80`'s.
_RICHEST = ("sm_80", "sm_86", "sm_89", "sm_120", "sm_90", "sm_100")


def programs(languages: tuple[str, ...], everything: bool = True) -> Iterator[tuple[str, Task, str]]:
    """(name, task, target) of each program to compile: all variants and targets, or one of each task."""
    for file in task_files(ROOT / "kernels"):
        task = load_task(file)
        for one in task.all_variants() if everything else (task,):
            if one.language in languages:
                for target in one.targets if everything else (max(one.targets, key=_RICHEST.index),):
                    yield f"{one.name} {one.variant_name} {target}".replace("  ", " "), one, target


def collect(chosen: Iterable[tuple[str, Task, str]]) -> dict[str, Form]:
    """The forms of all these programs, by opcode."""
    forms: dict[str, Form] = {}
    for name, task, target in chosen:
        compiled = compile_task(task, task.sizes["verify"][0], target, cubin=False)
        module = parse_ptx(compiled.ptx, name)
        addresses = load_variables(module, Arena())
        for entry in module.entries:
            places = {key: place for key, (place, _) in parameter_places(entry)[0].items()}
            _add(forms, name, build_program(module, inlined(module, entry), ends_block), {**addresses, **places})
    return forms


def _add(forms: dict[str, Form], name: str, program: Program, addresses: dict[str, int]) -> None:
    native = native_cuts(program, {symbol: index for index, symbol in enumerate(addresses)})
    for number, block in enumerate(program.blocks):
        builder = BlockBuilder(program, number, addresses)
        for index in block:
            instruction = builder.begin(index)
            form = forms.setdefault(instruction.opcode, Form())
            form.programs.add(name)
            form.count += 1
            form.native += native[index]
            try:
                emitter_of(instruction.opcode)(builder, instruction)
            except UserError as error:
                form.refused.add(str(error).splitlines()[0])


def table(forms: dict[str, Form]) -> str:
    """One line for each opcode."""
    lines = [f"{'opcode':66} {'programs':>8} {'count':>7} {'native':>7}  NumPy"]
    for opcode, form in sorted(forms.items()):
        state = "refused: " + "; ".join(sorted(form.refused)) if form.refused else "yes"
        lines.append(f"{opcode:66} {len(form.programs):8} {form.count:7} {form.native:7}  {state}")
    return "\n".join(lines)


def main() -> None:
    """Print the table of all tasks, variants and targets."""
    forms = collect(programs(("cuda", "triton", "gluon")))
    print(table(forms))
    total = sum(form.count for form in forms.values())
    native = sum(form.native for form in forms.values())
    print(f"{len(forms)} opcode forms, {total} instructions, {native} of them with a native form")


if __name__ == "__main__":
    main()
