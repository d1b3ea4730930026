"""A pretended GPU: lets a script written for CUDA run on a machine without one, with every kernel launch handed over.

Where torch has a real GPU, only the launches are taken. Otherwise, inside `pretended_gpu`:
* tensors that a script asks to have on `cuda` are made on the CPU, and say that they are on `cuda:0`;
* torch.cuda and Triton's driver describe a device of the chosen compute capability;
* benchmarks call their function once and report 1 ms; comparisons of results (`allclose`, `assert_close`) pass, since
  no kernel has computed anything, unless the recorder `computes`: then they are made, and warm-ups are no launches.
An autotuned kernel is launched once, with its first configuration that survives the script's own pruning.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from backends.compilers.architecture import shared_limit_bytes
from backends.compilers.triton_adaptor import require_triton
from ir.diagnostics import missing

# Launches are handed to one of these: kernel, arguments by parameter name, launch options, grid.
Recorder = Callable[[Any, Mapping[str, Any], Mapping[str, Any], tuple[int, ...]], None]

# Streaming multiprocessors by compute capability.
# Source: NVIDIA data sheets of A100, RTX 3090, RTX 4090, H100 SXM, B200, RTX 5090.
_MULTIPROCESSORS = {80: 108, 86: 82, 89: 128, 90: 132, 100: 148, 103: 148, 120: 170}
_DEFAULT_CAPABILITY = 90
_BENCHMARK_MS = 1.0


@contextlib.contextmanager
def pretended_gpu(capability: int, record: Recorder, with_torch: bool = True, computes: bool = False) -> Iterator[None]:
    """Run CUDA code within; see the module. `with_torch` False leaves torch alone, which saves its import.

    `computes`: the recorder runs the kernels that it is handed, so that results mean something.
    """
    require_triton()
    with contextlib.ExitStack() as stack:
        for replacement in _triton_replacements(record, computes):
            stack.enter_context(_replaced(*replacement))
        if not (with_torch and _torch_has_gpu()):
            stack.enter_context(_pretended_driver(capability))
            stack.enter_context(_pretended_torch(capability, computes) if with_torch else contextlib.nullcontext())
        yield


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute has another value within; one that is not there is left alone."""
    if not hasattr(owner, name):
        yield
        return
    saved = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, saved)


def _torch_has_gpu() -> bool:
    try:
        import torch
    except ImportError:
        raise missing("torch", "pip install torch", "kernels that do not import it can be read") from None
    return bool(torch.cuda.is_available())


# Triton: launches, autotuning, benchmarks, driver.


def _triton_replacements(record: Recorder, computes: bool) -> list[tuple[Any, str, Any]]:
    import triton.testing
    from triton.runtime.autotuner import Autotuner
    from triton.runtime.jit import JITFunction

    def run(kernel: Any, *args: Any, grid: Any, **options: Any) -> _Compiled:
        is_warmup = options.pop("warmup", False)
        bound, rest = _bind(kernel, args, options)
        if not (is_warmup and computes):
            record(kernel, bound, rest, _grid(grid, bound))
        return _Compiled(kernel, record, bound, rest)

    return [
        (JITFunction, "run", run),
        (Autotuner, "run", _tuned_run),
        (triton.testing, "do_bench", _benchmark),
        (triton.testing, "do_bench_cudagraph", _benchmark),
    ]


def _bind(kernel: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments by parameter, and the options that are no parameters."""
    own = {name: value for name, value in options.items() if name in kernel.signature.parameters}
    bound = kernel.signature.bind(*args, **own)
    bound.apply_defaults()
    return dict(bound.arguments), {name: value for name, value in options.items() if name not in own}


def _grid(grid: Any, arguments: Mapping[str, Any]) -> tuple[int, ...]:
    sizes = grid(arguments) if callable(grid) else grid
    sizes = sizes if isinstance(sizes, tuple | list) else (sizes,)
    return tuple(int(n) for n in sizes)


class _Compiled:
    """What a launch returns: a kernel that can be launched again, with a plausible use of resources."""

    n_regs = 128
    n_spills = 0

    def __init__(self, kernel: Any, record: Recorder, bound: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        self._relaunch: Callable[[tuple[int, ...]], None] = lambda grid: record(kernel, bound, options, grid)
        self.metadata = SimpleNamespace(shared=49152, num_warps=options.get("num_warps", 4), name=kernel.__name__)
        self.asm: dict[str, str] = {}

    def _init_handles(self) -> None:
        """Nothing is to be loaded."""

    def __getitem__(self, grid: Any) -> Callable[..., None]:
        return lambda *_arguments, **_options: self._relaunch(_grid(grid, {}))


def _tuned_run(tuner: Any, *args: Any, **options: Any) -> Any:
    """Autotuner.run without measurements."""
    tuner.nargs = dict(zip(tuner.arg_names, args, strict=False))
    config = tuner.prune_configs(options)[0] if len(tuner.configs) > 1 else tuner.configs[0]
    tuner.best_config = config
    if config.pre_hook is not None:
        config.pre_hook({**tuner.nargs, **options, **config.all_kwargs()})
    return tuner.fn.run(*args, **{**options, **config.all_kwargs()})


def _benchmark(function: Callable[[], Any], *_args: Any, quantiles: Any = None, **_options: Any) -> Any:
    function()
    return [_BENCHMARK_MS] * len(quantiles) if quantiles else _BENCHMARK_MS


@contextlib.contextmanager
def _pretended_driver(capability: int) -> Iterator[None]:
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    def device() -> Any:
        import torch

        return torch.device("cuda", 0)

    pretended = SimpleNamespace(
        get_current_target=lambda: GPUTarget("cuda", capability, 32),
        get_current_device=lambda: 0,
        set_current_device=lambda _device: None,
        get_current_stream=lambda _device=0: 0,
        get_active_torch_device=device,
        get_device_capability=lambda _device=0: divmod(capability, 10),
        get_benchmarker=lambda: _benchmark,
        utils=SimpleNamespace(get_device_properties=lambda _device=0: _triton_properties(capability)),
    )
    with _replaced(driver, "_active", pretended):
        yield


def _triton_properties(capability: int) -> dict[str, int]:
    return {
        "max_shared_mem": shared_limit_bytes(capability),
        "multiprocessor_count": _MULTIPROCESSORS.get(capability, _MULTIPROCESSORS[_DEFAULT_CAPABILITY]),
        "max_num_regs": 65536,
        "warpSize": 32,
        "sm_clock_rate": 1_500_000,
        "mem_clock_rate": 1_500_000,
        "mem_bus_width": 4096,
    }


# Torch: devices.


@contextlib.contextmanager
def _pretended_torch(capability: int, computes: bool) -> Iterator[None]:
    import torch

    with contextlib.ExitStack() as stack:
        for name, value in _cuda_functions(capability).items():
            stack.enter_context(_replaced(torch.cuda, name, value))
        stack.enter_context(_replaced(torch, "set_default_device", lambda *_a: None))
        passing = (
            (torch, "allclose", lambda *_a, **_k: True),
            (torch.testing, "assert_close", lambda *_a, **_k: None),
        )
        for owner, name, value in () if computes else passing:
            stack.enter_context(_replaced(owner, name, value))
        stack.enter_context(_on_cpu())
        yield


def _on_cpu() -> Any:
    """A torch function mode that turns `cuda` into `cpu`, and lets tensors say the opposite."""
    import torch
    from torch.overrides import TorchFunctionMode

    said: dict[Any, Any] = {
        torch.Tensor.device.__get__: torch.device("cuda", 0),
        torch.Tensor.is_cuda.__get__: True,
        torch.Tensor.get_device: 0,
    }

    def moved(value: Any) -> Any:
        is_cuda = isinstance(value, torch.device | str) and str(value).startswith("cuda")
        return torch.device("cpu") if is_cuda else value

    class OnCpu(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(
            self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            if func in said:
                return said[func]
            if func is torch.device:
                return func(*args, **(kwargs or {}))
            if func is torch.Tensor.cuda:
                return args[0]
            options = {name: moved(value) for name, value in (kwargs or {}).items() if name != "pin_memory"}
            return func(*map(moved, args), **options)

    return OnCpu()


def _cuda_functions(capability: int) -> dict[str, Any]:
    """Replacements for what scripts use of torch.cuda."""
    major, minor = divmod(capability, 10)
    known = _triton_properties(capability)
    properties = SimpleNamespace(
        name=f"pretended sm_{capability}",
        major=major,
        minor=minor,
        multi_processor_count=known["multiprocessor_count"],
        total_memory=80 * 2**30,
        shared_memory_per_block_optin=known["max_shared_mem"],
        shared_memory_per_multiprocessor=known["max_shared_mem"],
        regs_per_multiprocessor=known["max_num_regs"],
        warp_size=known["warpSize"],
        L2_cache_size=50 * 2**20,
    )
    returning: dict[str, Any] = {
        "is_available": True,
        "is_initialized": True,
        "current_device": 0,
        "device_count": 1,
        "get_device_name": properties.name,
        "get_device_capability": (major, minor),
        "get_device_properties": properties,
        "memory_allocated": 0,
        "max_memory_allocated": 0,
        "mem_get_info": (2**36, 2**36),
        "is_current_stream_capturing": False,
        **dict.fromkeys(("synchronize", "set_device", "empty_cache", "manual_seed", "manual_seed_all", "init")),
        **dict.fromkeys(("reset_peak_memory_stats", "reset_max_memory_allocated", "ipc_collect")),
    }
    functions: dict[str, Any] = {name: _constantly(value) for name, value in returning.items()}
    contexts = dict.fromkeys(("device", "stream", "device_of"), _Context)
    # Types, as torch has them: libraries write `torch.cuda.Stream | None`.
    streams = dict.fromkeys(("Stream", "Event", "current_stream", "default_stream"), _Stream)
    return {**functions, **contexts, **streams}


def _constantly(value: Any) -> Callable[..., Any]:
    return lambda *_args, **_options: value


class _Context(contextlib.nullcontext[None]):
    """A device or stream that is the only one."""

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        super().__init__()


class _Stream:
    """A CUDA stream or event on which everything is done already."""

    cuda_stream = 0

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        """Device and priority, or flags, say nothing here."""

    def synchronize(self, *_arguments: Any) -> None:
        """Nothing runs."""

    record = wait = wait_stream = wait_event = record_event = synchronize

    def query(self) -> bool:
        """Everything is done."""
        return True

    def elapsed_time(self, _other: Any) -> float:
        """Milliseconds."""
        return _BENCHMARK_MS
