"""PTX to machine code through NVIDIA's assembler; what it reports of registers, spills and shared memory."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from backends.compilers.architecture import capability_of
from backends.compilers.artifact import Compiled, Resources
from backends.compilers.entry_header import ptx_version
from ir.diagnostics import Diagnostic, ExitCode, Location, UserError, fail, missing

DEFAULT_TIMEOUT_S = 120.0
_DEFAULT_LEVEL = 3
# From this capability on Triton brings a newer assembler of another name.
_NEWER_FROM = 90
_RELEASE = re.compile(r"release (\d+)\.(\d+)")
_ERROR = re.compile(r"^ptxas\S* (?P<file>.*?), line (?P<line>\d+); (?P<kind>error|fatal)\s*:\s*(?P<text>.*)$")
_PLACELESS = re.compile(r"^ptxas\S* (?:fatal|error)\s*:\s*(?P<text>.*)$")
_ENTRY = re.compile(r"(?:Compiling entry function|Function properties for) '?([\w$]+)'?")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"Used (\d+) registers")
_SMEM = re.compile(r"(\d+) bytes smem")
_BARRIERS = re.compile(r"used (\d+) barriers")
_LOC = re.compile(r"^\s*\.loc\s+(\d+)\s+(\d+)\s+(\d+)")
_FILE = re.compile(r'^\s*\.file\s+(\d+)\s+"([^"\n]*)"', re.MULTILINE)


class CompileTimeoutError(UserError):
    """A compiler was stopped at its time limit; says nothing about the source."""

    def __init__(self, tool: str, timeout_s: float, location: Location | None = None) -> None:
        remedy = "give more time, or a smaller kernel"
        found = Diagnostic("compile-timeout", f"{tool} did not end within {timeout_s:g} s", location, remedy)
        super().__init__(found, exit_code=ExitCode.TIME_LIMIT)


@dataclass(frozen=True)
class AssemblerOptions:
    """How to assemble. `line_info`: machine code keeps the `.loc` lines. `fuse`: a * b + c may become one fma.

    `extra`: further arguments of ptxas, as they are.
    """

    line_info: bool = True
    fuse: bool = True
    level: int = _DEFAULT_LEVEL
    max_registers: int | None = None
    extra: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """Arguments of ptxas."""
        return (
            *(("-lineinfo",) if self.line_info else ()),
            *(() if self.fuse else ("--fmad=false",)),
            *(() if self.level == _DEFAULT_LEVEL else (f"--opt-level={self.level}",)),
            *(() if self.max_registers is None else (f"--maxrregcount={self.max_registers}",)),
            *self.extra,
        )


@dataclass(frozen=True)
class Assembled:
    """Machine code, and resources of each entry by name. `version`: CUDA release of the assembler."""

    cubin: bytes
    resources: Mapping[str, Resources]
    version: str
    log: str


def assemble(
    ptx: str,
    architecture: str,
    options: AssemblerOptions = AssemblerOptions(),
    file: str = "<ptx>",
    timeout_s: float = DEFAULT_TIMEOUT_S,
    tool: str | Path | None = None,
) -> Assembled:
    """Assemble a PTX text, which `file` names in diagnostics, for an architecture (`sm_90a`).

    Raises UserError: ptx-error with the line of the PTX and the source line that it stems from, unknown-architecture,
    missing-part; CompileTimeoutError.
    """
    capability_of(architecture)
    chosen = str(tool) if tool else str(find_ptxas(architecture, ptx_version(ptx)))
    with tempfile.TemporaryDirectory(prefix="ptxas-") as folder:
        source, target = Path(folder) / "kernel.ptx", Path(folder) / "kernel.cubin"
        source.write_text(ptx, encoding="utf-8")
        arguments = [chosen, "-v", *options.arguments, f"--gpu-name={architecture}", str(source), "-o", str(target)]
        run = run_tool(arguments, timeout_s, Location(file))
        log = run.stderr.replace(str(source), file)
        if run.returncode != 0:
            raise _refusal(ptx, file, log, run.returncode)
        return Assembled(target.read_bytes(), parse_resources(log), ".".join(map(str, tool_release(chosen))), log)


def with_machine_code(artifact: Compiled, assembled: Assembled) -> Compiled:
    """The artifact with what the assembler made of its PTX."""
    resources = assembled.resources[artifact.entry]
    return replace(
        artifact,
        cubin=assembled.cubin,
        resources=resources,
        static_smem_bytes=resources.static_smem_bytes,
        versions={**artifact.versions, "ptxas": assembled.version},
        log=assembled.log,
    )


def run_tool(arguments: list[str], timeout_s: float, place: Location | None = None) -> subprocess.CompletedProcess[str]:
    """Run one of NVIDIA's tools to its end. Raises CompileTimeoutError, UserError (missing-part: it does not start)."""
    try:
        return subprocess.run(
            arguments, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise CompileTimeoutError(Path(arguments[0]).name, timeout_s, place) from None
    except OSError as error:
        raise missing(f"{arguments[0]} ({error.strerror})", "pip install 'triton>=3.6,<3.10'") from error


def parse_resources(log: str) -> dict[str, Resources]:
    """Entry -> resources, from what `ptxas -v` prints.

    >>> parse_resources("Compiling entry function 'k' for 'sm_90'\\nUsed 24 registers, 256 bytes smem")["k"].registers
    24
    """
    found: dict[str, dict[str, int]] = {}
    name = ""
    for line in log.splitlines():
        if entry := _ENTRY.search(line):
            name = entry[1]
        if stack := _STACK.search(line):
            keys = ("stack_bytes", "spill_store_bytes", "spill_load_bytes")
            found.setdefault(name, {}).update(zip(keys, map(int, stack.groups()), strict=True))
        if used := _REGISTERS.search(line):
            smem, barriers = _SMEM.search(line), _BARRIERS.search(line)
            found.setdefault(name, {}).update(
                registers=int(used[1]),
                static_smem_bytes=int(smem[1]) if smem else 0,
                barriers=int(barriers[1]) if barriers else 0,
            )
    return {name: Resources(**numbers) for name, numbers in found.items() if "registers" in numbers}


def find_ptxas(architecture: str, version: tuple[int, int] = (0, 0)) -> Path:
    """An assembler that reads this version of PTX: of Triton's wheel, of a CUDA wheel or toolkit, or on PATH.

    Raises UserError: missing-part where there is none, ptx-too-new where all are too old.
    """
    tools = [path for path in _candidates(capability_of(architecture)) if path.is_file()]
    if not tools:
        raise missing("ptxas", "pip install 'triton>=3.6,<3.10'", "PTX can be read and emulated without it")
    newest = max(tools, key=lambda path: tool_release(str(path)))
    fitting = (path for path in tools if newest_ptx(tool_release(str(path))) >= version)
    chosen = next(fitting, None)
    if chosen is None:
        known = ".".join(map(str, newest_ptx(tool_release(str(newest)))))
        message = f"the text is PTX {version[0]}.{version[1]}, and the newest assembler here reads up to {known}"
        raise fail("ptx-too-new", message, remedy="install a newer one: pip install nvidia-cuda-nvcc")
    return chosen


@functools.cache
def tool_release(path: str) -> tuple[int, int]:
    """CUDA release of one of NVIDIA's tools, (0, 0) where it does not say."""
    found = _RELEASE.search(run_tool([path, "--version"], DEFAULT_TIMEOUT_S).stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def newest_ptx(release: tuple[int, int]) -> tuple[int, int]:
    """The PTX version that came with a CUDA release. Source: PTX ISA, release notes, table of PTX versions.

    >>> newest_ptx((12, 4)), newest_ptx((12, 9)), newest_ptx((13, 1))
    ((8, 4), (8, 8), (9, 1))
    """
    major, minor = release
    if major == 12 and minor >= 6:
        return 8, minor - 1
    return major - 4, minor


def tool_folders() -> Iterator[Path]:
    """Folders where NVIDIA's command-line tools may be: Triton's wheel, CUDA wheels, a toolkit."""
    if folder := _package("triton"):
        yield folder / "backends" / "nvidia" / "bin"
    if folder := _package("nvidia"):
        yield from sorted(folder.glob("*/bin"))
    for name in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(name):
            yield Path(os.environ[name]) / "bin"


def _candidates(capability: int) -> Iterator[Path]:
    names = ("ptxas-blackwell", "ptxas") if capability >= _NEWER_FROM else ("ptxas", "ptxas-blackwell")
    variables = {"ptxas": "TRITON_PTXAS_PATH", "ptxas-blackwell": "TRITON_PTXAS_BLACKWELL_PATH"}
    yield from (Path(os.environ[variables[name]]) for name in names if os.environ.get(variables[name]))
    for folder in tool_folders():
        yield from (folder / name for name in names)
    if on_path := shutil.which("ptxas"):
        yield Path(on_path)


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def assembler_errors(ptx: str, file: str, log: str) -> list[Diagnostic]:
    """Every error of a log that has a line, at that line of the PTX, each once."""
    lines = ptx.splitlines()
    found = [placed for line in log.splitlines() if (placed := _ERROR.match(line))]
    return list(dict.fromkeys(_diagnostic(ptx, lines, file, placed) for placed in found))


def _refusal(ptx: str, file: str, log: str, status: int) -> UserError:
    """Every error of the log at its line of the PTX."""
    if placed := assembler_errors(ptx, file, log):
        return UserError(*placed)
    loose = [found["text"] for line in log.splitlines() if (found := _PLACELESS.match(line))]
    message = "; ".join(loose) or f"ptxas ends with status {status}: {log.strip()[-400:]}"
    return fail("ptx-error", message, Location(file))


def _diagnostic(ptx: str, lines: list[str], file: str, found: re.Match[str]) -> Diagnostic:
    number = int(found["line"])
    text = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    origin = source_line(ptx, number)
    remedy = f"generated from {origin}" if origin else ""
    quoted = f" in `{text}`" if text else ""
    return Diagnostic("ptx-error", f"{found['text']}{quoted}", Location(file, number), remedy)


def source_line(ptx: str, number: int) -> Location | None:
    """The place in the source that a line of PTX was generated from, by the last `.loc` before it."""
    files = {found[1]: found[2] for found in _FILE.finditer(ptx)}
    for line in reversed(ptx.splitlines()[:number]):
        if found := _LOC.match(line):
            return Location(files.get(found[1], "?"), int(found[2]), int(found[3]))
    return None
