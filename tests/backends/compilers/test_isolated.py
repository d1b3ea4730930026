"""A compiler in a child process: results, errors, crashes and hangs come back as values or typed errors."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from backends.compilers.isolated import CompilerCrashError, isolated
from backends.compilers.ptxas import CompileTimeoutError
from ir.diagnostics import ExitCode, Location, UserError, fail

if sys.platform != "linux":
    pytest.skip("forks", allow_module_level=True)

KERNELS = Path(__file__).parents[3] / "kernels"


def test_result_comes_back() -> None:
    assert isolated(lambda: {"ptx": "x" * (1 << 20), "pid": os.getpid()}, 60.0)["pid"] != os.getpid()


def test_user_error_comes_back_whole() -> None:
    def refuse() -> None:
        raise fail("bad-thing", "3 of 2", Location("a.py", 3, 1), "use fewer")

    with pytest.raises(UserError) as caught:
        isolated(refuse, 60.0)
    (found,) = caught.value.diagnostics
    assert (found.rule, found.location, found.remedy) == ("bad-thing", Location("a.py", 3, 1), "use fewer")
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL])
def test_death_by_signal_is_named(number: signal.Signals) -> None:
    with pytest.raises(CompilerCrashError, match=number.name):
        isolated(lambda: os.kill(os.getpid(), number), 60.0)


def test_exit_without_answer_is_named() -> None:
    with pytest.raises(CompilerCrashError, match="status 3"):
        isolated(lambda: os._exit(3), 60.0)


def test_hang_ends_at_the_limit() -> None:
    started = time.monotonic()
    with pytest.raises(CompileTimeoutError, match=r"0\.3 s"):
        isolated(lambda: time.sleep(60), 0.3)
    assert time.monotonic() - started < 30


def test_compiler_crash_is_a_diagnostic_at_the_kernel() -> None:
    """Hopper's wgmma does not exist on Blackwell: LLVM aborts, this process does not."""
    from backends.compilers.cache import Cache
    from backends.compilers.task import compile_task
    from ir.task import load_task

    task = load_task(KERNELS / "gemm_warp_specialized")
    with pytest.raises(UserError) as caught:
        compile_task(task, task.sizes["verify"][0], "sm_100", Cache.off())
    (found,) = caught.value.diagnostics
    assert found.rule == "compiler-crash"
    assert "SIGABRT" in found.message
    assert "wgmma" in found.message
    assert found.location is not None
    assert found.location.line > 0
