"""What NVIDIA's tools read out of machine code: SASS text, and resources of each entry."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from backends.compilers.artifact import Resources
from backends.compilers.ptxas import DEFAULT_TIMEOUT_S, run_tool, tool_folders
from ir.diagnostics import fail, missing

_FUNCTION = re.compile(r"^\s*Function (?P<name>[\w$]+):\s*$")
_NUMBERS = re.compile(r"(\w+):(\d+)")


def sass(cubin: bytes, line_info: bool = False, timeout_s: float = DEFAULT_TIMEOUT_S) -> str:
    """Machine code as nvdisasm writes it, with source lines if asked. Raises UserError: missing-part, bad-cubin."""
    return disassembly(cubin, ("--print-line-info",) if line_info else (), timeout_s)


def disassembly(cubin: bytes, arguments: Sequence[str], timeout_s: float = DEFAULT_TIMEOUT_S) -> str:
    """What nvdisasm writes with these arguments. Raises UserError: missing-part, bad-cubin."""
    return _read(cubin, "nvdisasm", arguments, timeout_s)


def disassembler() -> str:
    """What tells it from another one: its file, and when that was written. Raises UserError: missing-part."""
    path = _tool("nvdisasm")
    return f"{path}:{path.stat().st_mtime_ns}"


def resources(cubin: bytes, timeout_s: float = DEFAULT_TIMEOUT_S) -> dict[str, Resources]:
    """Entry -> registers, stack and shared memory, for machine code whose compiler's log is not at hand.

    Static shared memory includes what the system keeps for itself (1 KiB on newer machines), and spills are not told
    apart from other stack. Raises UserError: missing-part, bad-cubin.
    """
    found, name = {}, ""
    for line in _read(cubin, "cuobjdump", ("--dump-resource-usage",), timeout_s).splitlines():
        if entry := _FUNCTION.match(line):
            name = entry["name"]
        elif name and "REG:" in line:
            numbers = {key: int(value) for key, value in _NUMBERS.findall(line)}
            found[name] = Resources(numbers["REG"], numbers.get("STACK", 0), static_smem_bytes=numbers.get("SHARED", 0))
    return found


def _read(cubin: bytes, tool: str, arguments: Sequence[str], timeout_s: float) -> str:
    path = _tool(tool)
    with tempfile.TemporaryDirectory(prefix="cubin-") as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(cubin)
        run = run_tool([str(path), *arguments, str(file)], timeout_s)
    if run.returncode != 0:
        raise fail("bad-cubin", f"{tool} refuses it: {run.stderr.strip().replace(str(file), 'the cubin')}")
    return run.stdout


def _tool(name: str) -> Path:
    path = next((folder / name for folder in tool_folders() if (folder / name).is_file()), None)
    if path is None:
        raise missing(name, "pip install 'triton>=3.6,<3.10'", "kernels can be compiled without it")
    return path
