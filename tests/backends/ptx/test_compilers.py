"""Every PTX that the real compilers write parses, with its registers, places and shared memory."""

import time

import pytest

from backends.ptx import parse_ptx
from backends.ptx.syntax import Instruction, Module, registers
from tests.backends.ptx.compiled import TASKS, nvrtc_ptx, triton_ptx

CAPABILITIES = (80, 90, 100)
# A quarter of them here, the rest in the slow test.
ALL = [(name, c) for name in sorted(TASKS) for c in CAPABILITIES if f"sm_{c}" in TASKS[name].targets]
FAST, SLOW = ALL[::4], [pair for i, pair in enumerate(ALL) if i % 4]
SECONDS_FOR_5000_LINES = 0.5

CUDA = r"""
struct Big { int a[40]; double d; };
struct Mixed { char c; int *p; short s; };
typedef float (*Function)(float);
__device__ int counter = 7;
__device__ int *pointer = &counter + 1;
__constant__ float table[4] = {1.0f, 2.5f, -3.0f, 4.0f};
__device__ const char *names[2] = {"a", "b"};
__device__ Mixed mixed = {1, &counter, 3};
extern __shared__ float dynamic[];
__device__ __noinline__ float twice(float x) { return x * 2 + counter; }
__device__ __noinline__ float thrice(float x) { return x * 3; }
__device__ Function functions[2] = {twice, thrice};
extern "C" __global__ void __launch_bounds__(128, 2) k(float *x, Big b, int n) {
  __shared__ float tile[32][33];
  float local[20];
  for (int i = 0; i < 20; i++) local[i] = x[i * n];
  tile[threadIdx.x][threadIdx.y] = x[n] + b.a[n] + local[n % 20];
  __syncthreads();
  switch (n) {
    case 0: x[0] = 1; break;
    case 1: x[1] = 3; break;
    case 2: x[9] = twice(x[3]); break;
    case 3: x[4] = 9; break;
    case 4: x[5] = sinf(x[5]); break;
  }
  x[n] = tile[n][3] + table[n] + functions[n & 1](x[n]) + dynamic[n] + *pointer + names[n][0] + *mixed.p;
  printf("%d %f\n", n, x[0]);
}
extern "C" __global__ void __cluster_dims__(2, 1, 1) c(double *x) { x[threadIdx.x] *= 0.1; }
"""


def check(module: Module) -> None:
    """What must hold in any module that a compiler wrote."""
    assert module.entries
    for function in module.functions:
        steps = [s for s in function.statements if isinstance(s, Instruction)]
        used = {r for s in steps for o in s.operands for r in registers(o)} | {
            s.guard.register for s in steps if s.guard
        }
        assert used == set(function.registers)
        assert all(s.place and s.location for s in steps)
        assert len({v.name for v in function.variables}) == len(function.variables)


def parse_compiled(name: str, capability: int) -> None:
    pytest.importorskip("torch")
    module = parse_ptx(triton_ptx(name, capability), "k.ptx")
    check(module)
    (entry,) = module.entries
    assert module.target.startswith(f"sm_{capability}")
    assert entry.attributes.required_threads == (32 * TASKS[name].launch.num_warps, 1, 1)
    assert entry.location.file.endswith("kernel.py")


@pytest.fixture(autouse=True)
def compilers() -> None:
    pytest.importorskip("triton")


@pytest.mark.parametrize(("name", "capability"), FAST)
def test_triton_kernels(name: str, capability: int) -> None:
    parse_compiled(name, capability)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "capability"), SLOW)
def test_triton_kernels_elsewhere(name: str, capability: int) -> None:
    parse_compiled(name, capability)


@pytest.mark.parametrize("flags", [("-lineinfo",), ("-G",), ()])
def test_cuda_kernels(flags: tuple[str, ...]) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    module = parse_ptx(nvrtc_ptx(CUDA, "--gpu-architecture=compute_90a", *flags), "k.ptx")
    check(module)
    by_name = {f.name: f for f in module.functions if not f.is_declaration}
    assert by_name["k"].attributes.max_threads == (128, 1, 1)
    assert by_name["k"].attributes.min_ctas == 2
    assert by_name["c"].attributes.cluster == (2, 1, 1)
    variables = {v.name: v for v in module.variables}
    (relocation,) = variables["pointer"].relocations
    assert (relocation.symbol, relocation.addend, relocation.is_generic) == ("counter", 4, True)
    assert [r.symbol for r in variables["functions"].relocations] == ["_Z5twicef", "_Z6thricef"]
    assert variables["dynamic"].elements is None


def test_speed() -> None:
    """The best of three, so that a busy machine does not matter."""
    pytest.importorskip("torch")
    text = triton_ptx("attention_forward", 90)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        parse_ptx(text)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) * 5000 / text.count("\n") < SECONDS_FOR_5000_LINES
