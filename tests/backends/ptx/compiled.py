"""PTX from the real compilers, with no GPU: Triton for the shipped kernels, NVRTC for CUDA C++."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from ir.task import Task, load_task, task_files

ROOT = Path(__file__).parents[3]
TASKS = {t.name: t for t in map(load_task, task_files(ROOT / "kernels")) if t.language == "triton"}


def _function(task: Task) -> Any:
    spec = importlib.util.spec_from_file_location(f"{task.source.parent.name}_ptx", task.source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, task.entry)


def triton_ptx(name: str, capability: int) -> str:
    """The PTX of a shipped kernel; the stages after it (assembling) are left out."""
    from triton._C.libtriton import ir
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.compiler.compiler import make_backend

    task = TASKS[name]
    target = GPUTarget("cuda", capability, 32)
    backend = make_backend(target)
    launch = {"num_warps": task.launch.num_warps, "num_stages": task.launch.num_stages}
    options = backend.parse_options(launch)
    attributes = task.triton_attributes(task.sizes["report"][0])
    source = ASTSource(_function(task), task.triton_signature(), dict(task.constants), attributes)
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    implementation = backend.get_codegen_implementation(options)
    module = source.make_ir(target, options, implementation, backend.get_module_map(), context)
    stages: dict[str, Any] = {}
    backend.add_stages(stages, options, source.language)
    metadata = {"target": target, **options.__dict__}
    for stage in ("ttir", "ttgir", "llir", "ptx"):
        module = stages[stage](module, metadata)
    assert isinstance(module, str)
    return module


def nvrtc_ptx(source: str, *flags: str) -> str:
    """The PTX of a CUDA C++ source."""
    from cuda.bindings import nvrtc

    def checked(result: tuple[Any, ...]) -> Any:
        assert result[0] == nvrtc.nvrtcResult.NVRTC_SUCCESS, result[0]
        return result[1] if len(result) > 1 else None

    program = checked(nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], []))
    options = [flag.encode() for flag in flags]
    checked(nvrtc.nvrtcCompileProgram(program, len(options), options))
    text = b" " * checked(nvrtc.nvrtcGetPTXSize(program))
    checked(nvrtc.nvrtcGetPTX(program, text))
    return text.rstrip(b"\0").decode()
