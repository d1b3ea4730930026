"""What ends a launch on a GPU, by the driver's error: a fault of the kernel, or a launch that was refused."""

from __future__ import annotations

from backends.cuda.driver import DriverError
from backends.findings import Finding
from ir.diagnostics import UserError, fail

_KERNEL_FAULTS = {
    "CUDA_ERROR_ILLEGAL_ADDRESS": ("out-of-bounds", "the kernel accessed memory that is not allocated"),
    "CUDA_ERROR_MISALIGNED_ADDRESS": ("misaligned", "the kernel accessed memory at an address of the wrong alignment"),
    "CUDA_ERROR_INVALID_ADDRESS_SPACE": ("wrong-space", "the kernel used an address of another state space"),
    "CUDA_ERROR_INVALID_PC": ("illegal-instruction", "the kernel jumped to where there is no code"),
    "CUDA_ERROR_ILLEGAL_INSTRUCTION": ("illegal-instruction", "the kernel executed an illegal instruction"),
    "CUDA_ERROR_HARDWARE_STACK_ERROR": ("stack-overflow", "the kernel's call stack was overrun or corrupted"),
    "CUDA_ERROR_ASSERT": ("assertion", "an assertion of the kernel does not hold"),
    "CUDA_ERROR_LAUNCH_FAILED": ("launch-failed", "the GPU gave up the launch and does not say why"),
    "CUDA_ERROR_LAUNCH_TIMEOUT": ("time-limit", "the driver ended the launch, which kept a display waiting"),
    "CUDA_ERROR_TENSOR_MEMORY_LEAK": ("tensor-memory", "the kernel did not give back its tensor memory"),
}
"""CUresult -> rule and message. After these the process can use the GPU no more, so says the driver API of each."""


def kernel_fault(error: DriverError) -> Finding:
    """The fault that the driver reports where it waits for a launch; raises other errors on."""
    if error.code not in _KERNEL_FAULTS:
        raise error
    rule, message = _KERNEL_FAULTS[error.code]
    return Finding(rule, f"{message} ({error.code}); a GPU does not say where: the emulated device does")


def refused(entry: str, error: DriverError) -> UserError:
    """The error for a launch that never began."""
    return fail("bad-launch", f"the driver refuses to launch `{entry}`: {error.code}")
