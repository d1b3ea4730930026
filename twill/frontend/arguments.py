"""What each parameter of a kernel is: its type, or its constant, and where that was said.

Where a value comes from, the later the stronger: defaults and annotations of the parameters, the task file, the
autotune configuration, heuristics, and what the user says (`--arg`, `--const`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.compilers.triton_adaptor import Request
from backends.compilers.triton_function import Unwrapped, constant_value
from ir.diagnostics import Diagnostic, UserError, fail
from twill.frontend.options import FrontendOptions
from twill.frontend.signature import ArgumentType, read_argument_type

DEFAULT_WARPS = 4
DEFAULT_STAGES = 3


@dataclass(frozen=True)
class Choice:
    """Types, constants, divisibility by parameter name, and launch options, from one origin."""

    types: Mapping[str, ArgumentType] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    num_warps: int | None = None
    num_stages: int | None = None

    def over(self, weaker: Choice) -> Choice:
        """This choice where it says something, else the weaker one."""
        return Choice(
            types={**weaker.types, **self.types},
            constants={**{k: v for k, v in weaker.constants.items() if k not in self.types}, **self.constants},
            num_warps=self.num_warps if self.num_warps is not None else weaker.num_warps,
            num_stages=self.num_stages if self.num_stages is not None else weaker.num_stages,
        )


def settle(kernel: Unwrapped, options: FrontendOptions, task: Choice) -> Request:
    """Types, constants and divisibility of every parameter; raises UserError that lists all that is wrong."""
    _refuse_unknown(kernel, {*options.arguments, *options.constants})
    said, known = _said(options), _configuration(kernel, options.config_index).over(task.over(_defaults(kernel)))
    chosen = said.over(_heuristics(kernel, said.over(known)).over(known))
    types = dict(chosen.types)
    types |= {name: _constant(kernel, value) for name, value in chosen.constants.items()}
    _refuse_missing(kernel, types)
    ordered = {name: types[name] for name in kernel.parameters}
    return Request(
        signature={name: t.text for name, t in ordered.items()},
        constants={name: t.constant for name, t in ordered.items() if t.is_constant},
        attributes={
            (i,): [["tt.divisibility", t.divisibility]] for i, t in enumerate(ordered.values()) if t.divisibility > 1
        },
        capability=options.capability,
        num_warps=chosen.num_warps or DEFAULT_WARPS,
        num_stages=chosen.num_stages or DEFAULT_STAGES,
    )


def _constant(kernel: Unwrapped, value: Any) -> ArgumentType:
    return ArgumentType("constexpr", constant=constant_value(kernel, value), is_constant=True)


def _said(options: FrontendOptions) -> Choice:
    types = {name: read_argument_type(name, text) for name, text in options.arguments.items()}
    literals = {name: t.constant for name, t in types.items() if t.is_constant}
    arguments = {name: t for name, t in types.items() if not t.is_constant}
    return Choice(arguments, {**literals, **options.constants}, options.num_warps, options.num_stages)


def _defaults(kernel: Unwrapped) -> Choice:
    annotated = {p.name: p.annotation_type for p in kernel.function.params if p.annotation_type}
    types = {name: read_argument_type(name, text) for name, text in annotated.items()}
    return Choice(types, {p.name: p.default for p in kernel.function.params if p.has_default})


def _configuration(kernel: Unwrapped, index: int | None) -> Choice:
    if not kernel.configs:
        if index:
            raise fail("unknown-config", "the kernel has no @triton.autotune", kernel.location, "leave --config out")
        return Choice()
    count = len(kernel.configs)
    if not 0 <= (index or 0) < count:
        raise fail("unknown-config", f"there is no configuration {index}", kernel.location, f"write 0 to {count - 1}")
    config = kernel.configs[index or 0]
    return Choice({}, config.kwargs, config.num_warps, config.num_stages)


def _heuristics(kernel: Unwrapped, chosen: Choice) -> Choice:
    """What heuristics compute from the constants; one that asks for more is left to `_refuse_missing`."""
    known = dict(chosen.constants)
    computed: dict[str, Any] = {}
    for name, function in kernel.heuristics.items():
        try:
            computed[name] = known[name] = function(known)
        except (KeyError, TypeError, AttributeError):
            continue
    return Choice(constants=computed)


def _refuse_unknown(kernel: Unwrapped, names: Iterable[str]) -> None:
    parameters = list(kernel.parameters)
    unknown = [name for name in names if name not in parameters]
    found = []
    for name in sorted(unknown):
        near = difflib.get_close_matches(name, parameters, 1)
        remedy = (f"did you mean `{near[0]}`? " if near else "") + f"parameters: {', '.join(parameters)}"
        message = f"kernel `{kernel.function.__name__}` has no parameter `{name}`"
        found.append(Diagnostic("unknown-argument", message, kernel.location, remedy))
    if found:
        raise UserError(*found)


def _refuse_missing(kernel: Unwrapped, types: Mapping[str, ArgumentType]) -> None:
    missing = [p for p in kernel.function.params if p.name not in types]
    constants = [p.name for p in missing if p.is_constexpr]
    arguments = [p.name for p in missing if not p.is_constexpr]
    found = []
    if constants:
        remedy = "give " + " ".join(f"--const {n}=VALUE" for n in constants)
        found.append(_missing(kernel, "missing-constant", "no value for the constexpr", constants, remedy))
    if arguments:
        remedy = "give " + " ".join(f"--arg {n}=TYPE" for n in arguments) + ", TYPE as *fp16, i32, fp32"
        found.append(_missing(kernel, "missing-argument", "no type for the argument", arguments, remedy))
    if found:
        raise UserError(*found)


def _missing(kernel: Unwrapped, rule: str, what: str, names: list[str], remedy: str) -> Diagnostic:
    message = f"kernel `{kernel.function.__name__}`: {what} {', '.join(f'`{n}`' for n in names)}"
    return Diagnostic(rule, message, kernel.location, remedy)
