"""Record the kernel launches of a user's own script, without a GPU, and load them back."""

from __future__ import annotations

import contextlib
import json
import runpy
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from backends.compilers.pretended_gpu import pretended_gpu
from backends.compilers.python_source import import_file, search_path, user_code
from ir.diagnostics import Location, fail
from ir.loop import Kernel
from twill.frontend.arguments import Choice
from twill.frontend.options import FrontendOptions
from twill.frontend.signature import ALIGNMENT, ArgumentType, element_name, read_argument_type
from twill.frontend.triton import find_kernel, load_function

SCHEMA_VERSION = 1
_LARGEST_I32 = 2**31 - 1
_LARGEST_I64 = 2**63 - 1


@dataclass(frozen=True)
class Launch:
    """One launch, or `count` that are alike.

    types: parameter -> type in Triton's spelling. constants: parameter -> value (`tl.fp16` a dtype, `@f` a function).
    divisible: the parameters whose value is a multiple of 16. shapes: tensor or descriptor -> extents. grid: programs.
    """

    kernel: str
    file: str
    line: int
    types: Mapping[str, str]
    constants: Mapping[str, Any]
    divisible: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    grid: tuple[int, ...]
    num_warps: int | None = None
    num_stages: int | None = None
    num_ctas: int = 1
    count: int = 1

    @property
    def summary(self) -> str:
        """One line: kernel, place, grid, shapes, constants."""
        shapes = ", ".join(f"{n}={'x'.join(map(str, s))}" for n, s in self.shapes.items())
        constants = ", ".join(f"{n}={v}" for n, v in self.constants.items())
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.kernel} at {self.file}:{self.line}, grid {self.grid}, {shapes}; {constants}{times}"


@dataclass
class _Recorder:
    """Collects launches; one that equals an earlier one is counted there."""

    launches: dict[str, Launch] = field(default_factory=dict)

    def __call__(
        self, kernel: Any, arguments: Mapping[str, Any], options: Mapping[str, Any], grid: tuple[int, ...]
    ) -> None:
        launch = _launch(kernel, arguments, options, grid)
        key = json.dumps(asdict(launch), sort_keys=True, default=str)
        known = self.launches.get(key)
        self.launches[key] = replace(known, count=known.count + 1) if known else launch


def capture(script: str | Path, argv: Sequence[str] = (), architecture: str = "") -> list[Launch]:
    """Run a script as `python script argv...` and record each Triton launch instead of executing it.

    What the script prints goes to stderr. So does what goes wrong after the first launch: no kernel computes
    anything, so the script's own checks may fail. Raises UserError: missing-file, user-code-error, no-launch.
    """
    path = Path(script).resolve()
    if not path.is_file():
        raise fail("missing-file", f"there is no file {script}")
    recorder = _Recorder()
    capability = FrontendOptions(architecture=architecture).capability
    with (
        pretended_gpu(capability, recorder),
        _arguments([str(path), *argv]),
        search_path(path.parent),
        user_code(path, recorder.launches),
    ):
        runpy.run_path(str(path), run_name="__main__")
    if not recorder.launches:
        remedy = "give it the arguments with which it launches a kernel, after its name"
        raise fail("no-launch", "the script launches no Triton kernel", Location(str(script)), remedy)
    return list(recorder.launches.values())


@contextlib.contextmanager
def _arguments(argv: list[str]) -> Iterator[None]:
    saved, sys.argv = sys.argv, argv
    try:
        yield
    finally:
        sys.argv = saved


# What Triton's launcher makes of the arguments.


def _launch(kernel: Any, arguments: Mapping[str, Any], options: Mapping[str, Any], grid: tuple[int, ...]) -> Launch:
    types = {p.name: _argument_type(p, arguments[p.name]) for p in kernel.params}
    code = kernel.fn.__code__
    return Launch(
        kernel=kernel.fn.__name__,
        file=code.co_filename,
        line=code.co_firstlineno,
        types={name: t.text for name, t in types.items() if not t.is_constant},
        constants={name: _storable(t.constant) for name, t in types.items() if t.is_constant},
        divisible=tuple(name for name, t in types.items() if t.divisibility > 1),
        shapes={name: shape for name, value in arguments.items() if (shape := _shape(value)) is not None},
        grid=grid,
        num_warps=options.get("num_warps"),
        num_stages=options.get("num_stages"),
        num_ctas=options.get("num_ctas") or 1,
    )


def _argument_type(parameter: Any, value: Any) -> ArgumentType:
    """The type of a value and what the compiler is told of it, by the rules of Triton's launcher.

    None, 1 and constexprs are constants; an integer takes 32 bits where it fits; a multiple of 16 is told, unless the
    kernel asks not to specialise on the parameter.
    """
    specialise = not parameter.do_not_specialize
    if parameter.is_constexpr or value is None or (type(value) is int and value == 1 and specialise):
        return ArgumentType("constexpr", constant=value, is_constant=True)
    if hasattr(value, "block_shape"):
        return ArgumentType(f"tensordesc<{_dtype(value.base)}{list(value.block_shape)}>")
    aligned = specialise and not parameter.do_not_specialize_on_alignment
    if hasattr(value, "data_ptr"):
        star = "*k" if parameter.is_const else "*"
        return ArgumentType(star + _dtype(value), _divisibility(value.data_ptr(), aligned))
    told = parameter.annotation_type
    if isinstance(value, bool):
        return ArgumentType(told or "i1")
    if isinstance(value, int):
        return ArgumentType(told or _integer_type(value), _divisibility(value, aligned))
    return ArgumentType(told or "fp32")


def _divisibility(value: int, specialise: bool) -> int:
    return ALIGNMENT if specialise and value % ALIGNMENT == 0 else 1


def _integer_type(value: int) -> str:
    if -_LARGEST_I32 - 1 <= value <= _LARGEST_I32:
        return "i32"
    return "i64" if value <= _LARGEST_I64 else "u64"


def _dtype(tensor: Any) -> str:
    return element_name(str(tensor.dtype).rpartition(".")[2])


def _shape(value: Any) -> tuple[int, ...] | None:
    shape = getattr(value, "shape", None)
    return tuple(int(n) for n in shape) if shape is not None else None


def _storable(value: Any) -> Any:
    """A constant as JSON has it: a dtype as `tl.fp16`, a function as `@name`; `arguments.constant_value` reads it."""
    value = getattr(value, "value", value)
    if hasattr(value, "primitive_bitwidth"):
        return f"tl.{value}"
    return f"@{value.__name__}" if callable(value) else value


# Files.


def save_launches(launches: Sequence[Launch], path: Path) -> None:
    """Write launches as JSON. Raises UserError (`unwritable-file`)."""
    document = {"schema_version": SCHEMA_VERSION, "launches": [asdict(launch) for launch in launches]}
    try:
        path.write_text(json.dumps(document, indent=2, default=str) + "\n", encoding="utf-8")
    except OSError as error:
        raise fail("unwritable-file", f"cannot write {path}: {error.strerror}") from None


def read_launches(path: Path) -> list[Launch]:
    """Read what `save_launches` wrote. Raises UserError: missing-file, bad-capture."""
    if not path.is_file():
        raise fail("missing-file", f"there is no file {path}")
    remedy = "write the file with `twill capture`"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise fail("bad-capture", error.msg, Location(str(path), error.lineno, error.colno), remedy) from None
    except UnicodeDecodeError:
        raise fail("bad-capture", "the file is no text", Location(str(path)), remedy) from None
    try:
        return [_read_launch(row) for row in document["launches"]]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise fail("bad-capture", f"the file holds no launches: {error}", Location(str(path)), remedy) from None


def _read_launch(row: Mapping[str, Any]) -> Launch:
    shapes = {name: tuple(shape) for name, shape in row["shapes"].items()}
    return Launch(**{**row, "shapes": shapes, "divisible": tuple(row["divisible"]), "grid": tuple(row["grid"])})


def load_launch(path: Path, index: str, options: FrontendOptions) -> Kernel:
    """The kernel of launch number `index`, with its types, constants and divisibility. Raises UserError."""
    launches = read_launches(path)
    number = int(index) if index.isdecimal() else (0 if not index and len(launches) == 1 else -1)
    if not 0 <= number < len(launches):
        remedy = f"write {path}#0 to {path}#{len(launches) - 1}"
        raise fail("unknown-launch", f"there is no launch `{index}` in {path}", Location(str(path)), remedy)
    launch = launches[number]
    from backends.compilers.triton_function import unwrap

    module = import_file(Path(launch.file))
    kernel = unwrap(find_kernel(module, launch.kernel, Location(launch.file, launch.line)))
    assert kernel is not None, "find_kernel returns kernels"
    types = {
        name: replace(read_argument_type(name, text), divisibility=ALIGNMENT if name in launch.divisible else 1)
        for name, text in launch.types.items()
    }
    choice = Choice(types, launch.constants, launch.num_warps, launch.num_stages)
    return load_function(kernel.function, options, choice)
