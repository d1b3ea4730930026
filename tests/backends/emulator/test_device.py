"""The device as programs see it: modules, buffers, arguments, limits, special registers and variables."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest

from backends.device import LaunchConfig
from backends.emulator import engines
from backends.emulator.batch import Settings
from backends.emulator.device import Emulator
from ir.diagnostics import ExitCode, UserError
from tests.backends.emulator.engine import kernel, run, values

PLAIN = kernel("st.global.u32 [%rd90], 1;")
SCALARS = """
.version 8.0
.target sm_80
.address_size 64
.visible .entry first(.param .u64 p, .param .u32 i, .param .f32 f, .param .u8 b, .param .align 8 .b8 s[24]) {
    .reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .b16 %h<9>;
    ld.param.u64 %rd1, [p]; ld.param.u32 %r1, [i]; ld.param.b32 %r2, [f]; ld.param.u8 %h1, [b];
    ld.param.u32 %r4, [s+20];
    cvt.u32.u16 %r3, %h1; st.global.v4.u32 [%rd1], {%r1, %r2, %r3, %r4}; ret;
}
.visible .entry second() { ret; }
"""


def rules(error: pytest.ExceptionInfo[UserError]) -> set[str]:
    return {d.rule for d in error.value.diagnostics}


def launch(ptx: str, config: LaunchConfig, arguments: list[Any], entry: str | None = None) -> Any:
    device = Emulator()
    return device.launch(device.load(ptx, entry), config, arguments)


ONE = LaunchConfig((1, 1, 1), (1, 1, 1))


def test_scalars_structs_and_entries() -> None:
    device = Emulator()
    out = device.allocate(16)
    arguments = [out, -2, 1.5, np.uint8(200), bytes(range(24))]
    assert device.launch(device.load(SCALARS, "first"), ONE, arguments).is_clean
    got = device.read(out, np.uint32, (4,))
    assert got.tolist() == [0xFFFFFFFE, 0x3FC00000, 200, int.from_bytes(bytes(range(20, 24)), "little")]


@pytest.mark.parametrize("arguments", [
    [], [1], [0, 1, 1.0, 1], [0, 1 << 32, 1.0, 1, bytes(24)], [0, 1.5, 1.0, 1, bytes(24)], [0, 1, 1.0, 256, bytes(24)],
    [0, 1, 1.0, 1, bytes(23)], [0, 1, np.float64(1), 1, bytes(24)], [1.5, 1, 1.0, 1, bytes(24)],
])  # fmt: skip
def test_bad_arguments(arguments: list[Any]) -> None:
    with pytest.raises(UserError) as error:
        launch(SCALARS, ONE, arguments, "first")
    assert rules(error) == {"bad-arguments"}


@pytest.mark.parametrize("name", [None, "third"])
def test_unknown_entries(name: str | None) -> None:
    with pytest.raises(UserError) as error:
        Emulator().load(SCALARS, name)
    assert rules(error) == {"unknown-kernel"}
    assert "first, second" in str(error.value)


@pytest.mark.parametrize(("grid", "block", "shared", "cluster"), [
    ((0, 1, 1), (1, 1, 1), 0, (1, 1, 1)), ((1, 1, 1), (1025, 1, 1), 0, (1, 1, 1)),
    ((1, 1, 1), (1, 1, 65), 0, (1, 1, 1)), ((1, 65536, 1), (1, 1, 1), 0, (1, 1, 1)),
    ((1, 1, 1), (32, 32, 2), 0, (1, 1, 1)), ((1, 1, 1), (1, 1, 1), 300_000, (1, 1, 1)),
    ((3, 1, 1), (1, 1, 1), 0, (2, 1, 1)), ((1, 1, 1), (-1, 1, 1), 0, (1, 1, 1)), ((2, 1, 1), (1, 1, 1), 0, (0, 1, 1)),
    ((1, 1, 1), (1, 1, 1), -8, (1, 1, 1)),
])  # fmt: skip
def test_launches_that_the_driver_refuses(grid: Any, block: Any, shared: int, cluster: Any) -> None:
    with pytest.raises(UserError) as error:
        launch(PLAIN, LaunchConfig(grid, block, shared, cluster), [0])
    assert rules(error) == {"bad-launch"}


@pytest.mark.parametrize(("target", "limit"), [("sm_80", 163), ("sm_89", 99), ("sm_90a", 227), ("sm_120a", 99)])
def test_shared_memory_is_what_the_architecture_has(target: str, limit: int) -> None:
    ptx = kernel("").replace(".target sm_90", f".target {target}")
    assert f".target {target}\n" in ptx
    assert launch(ptx, LaunchConfig((1, 1, 1), (1, 1, 1), limit * 1024), [0]).fault is None
    with pytest.raises(UserError) as error:
        launch(ptx, LaunchConfig((1, 1, 1), (1, 1, 1), limit * 1024 + 16), [0])
    assert rules(error) == {"bad-launch"}


def test_an_architecture_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UserError) as error:
        launch(PLAIN.replace(".target sm_90", ".target sm_139"), LaunchConfig((1, 1, 1), (1, 1, 1)), [0])
    assert rules(error) == {"unknown-architecture"}


def test_required_block() -> None:
    ptx = PLAIN.replace("(.param .u64 p0)", "(.param .u64 p0) .reqntid 64")
    with pytest.raises(UserError) as error:
        launch(ptx, LaunchConfig((1, 1, 1), (32, 1, 1)), [0])
    assert rules(error) == {"bad-launch"}


def test_out_of_memory_leaves_the_device_usable() -> None:
    device = Emulator(capacity_bytes=1 << 20)
    held = device.allocate(1 << 19)
    with pytest.raises(MemoryError):
        device.allocate(1 << 20)
    device.free(held)
    assert device.allocate((1 << 20) - 4096).nbytes == (1 << 20) - 4096


def test_use_after_free_and_poison() -> None:
    device = Emulator()
    loaded = device.load(PLAIN)
    buffer = device.allocate(64)
    assert (device.read(buffer, np.uint8, (64,)) == 0xFF).all()
    device.free(buffer)
    result = device.launch(loaded, ONE, [buffer])
    assert result.fault is not None
    assert result.fault.rule == "out-of-bounds"
    other = device.allocate(64)
    assert device.launch(loaded, ONE, [other]).is_clean


@pytest.mark.parametrize("use", ["free", "write", "read"])
def test_a_freed_buffer_is_refused(use: str) -> None:
    device = Emulator()
    buffer = device.allocate(64)
    device.free(buffer)
    uses = {"free": lambda: device.free(buffer), "write": lambda: device.write(buffer, np.zeros(4)),
            "read": lambda: device.read(buffer, np.uint8, (4,))}  # fmt: skip
    with pytest.raises(UserError) as error:
        uses[use]()
    assert rules(error) == {"bad-buffer"}


def test_copies_that_do_not_fit() -> None:
    device = Emulator()
    buffer = device.allocate(8)
    for use in (lambda: device.write(buffer, np.zeros(2)), lambda: device.read(buffer, np.float64, (2,))):
        with pytest.raises(UserError) as error:
            use()
        assert rules(error) == {"bad-copy"}


def test_module_variables_and_relocations() -> None:
    module = """
        .global .align 4 .u32 table[4] = {1, 2, 3};
        .const .align 4 .f32 half = 0f3F000000;
        .global .align 8 .u64 where[2] = {table+8, generic(half)};
    """
    body = """
        mov.u64 %rd1, where; ld.global.u64 %rd2, [%rd1]; ld.global.u64 %rd3, [%rd1+8];
        ld.u32 %r10, [%rd2]; ld.u32 %r11, [%rd3]; ld.const.u32 %r12, [half]; ld.global.u32 %r13, [table+12];
        st.global.v4.u32 [%rd90], {%r10, %r11, %r12, %r13};
        ld.global.u32 %r14, [table]; add.u32 %r14, %r14, 5; st.global.u32 [table], %r14; st.global.u32 [%rd90+16], %r14;
    """
    device = Emulator()
    loaded = device.load(kernel(body, module=module))
    out = device.allocate(20)
    for launches in (1, 2):
        assert device.launch(loaded, ONE, [out]).is_clean
        assert device.read(out, np.uint32, (5,)).tolist() == [3, 0x3F000000, 0x3F000000, 0, 1 + 5 * launches]


def test_dynamic_shared_memory() -> None:
    module = ".extern .shared .align 16 .b8 dynamic[];"
    declarations = ".shared .align 4 .b8 fixed[20];"
    body = """
        mov.u32 %r10, fixed; mov.u32 %r11, dynamic; sub.u32 %r12, %r11, %r10; mov.u32 %r13, %dynamic_smem_size;
        mov.u32 %r14, %total_smem_size; st.global.v4.u32 [%rd90], {%r12, %r13, %r14, %r11};
        mad.lo.u32 %r15, %r0, 4, %r11; st.shared.u32 [%r15], %r0;
    """
    ptx = kernel(body, declarations=declarations, module=module)
    got = values(ptx, [np.zeros(4, np.uint32)], shared_bytes=128, block=24)[0]
    assert got[1] == 128
    assert got[0] >= 20
    assert got[3] % 16 == 0
    assert run(ptx, [np.zeros(4, np.uint32)], shared_bytes=0, block=32).rule == "out-of-bounds"


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_special_registers(engine: str) -> None:
    names = (
        "%tid.x", "%tid.y", "%tid.z", "%ntid.x", "%ntid.y", "%ntid.z", "%ctaid.x", "%nctaid.x", "%laneid", "%warpid",
        "%nwarpid", "%lanemask_eq", "%lanemask_lt", "%lanemask_le", "%lanemask_gt", "%lanemask_ge",
    )  # fmt: skip
    block, grid = (5, 3, 4), 3
    stores = "".join(f"mov.u32 %r10, {n}; st.global.u32 [%rd5+{4 * i}], %r10;" for i, n in enumerate(names))
    body = f"""
        mov.u32 %r3, %tid.y; mov.u32 %r4, %tid.z; mad.lo.u32 %r5, %r4, 3, %r3; mad.lo.u32 %r5, %r5, 5, %r0;
        mov.u32 %r6, %ctaid.x; mad.lo.u32 %r5, %r6, 60, %r5;
        mul.wide.u32 %rd5, %r5, {4 * len(names)}; add.s64 %rd5, %rd90, %rd5; {stores}
    """
    got = values(kernel(body), [np.zeros((grid * 60, len(names)), np.uint32)], grid=grid, block=block, engine=engine)[0]
    thread, cta = np.tile(np.arange(60), grid), np.repeat(np.arange(grid), 60)
    lane = thread % 32
    bit = 1 << lane
    wanted = (thread % 5, thread // 5 % 3, thread // 15, 5, 3, 4, cta, grid, lane, thread // 32, 2, bit, bit - 1,
              2 * bit - 1, (1 << 32) - 2 * bit, (1 << 32) - bit)  # fmt: skip
    np.testing.assert_array_equal(got, np.stack([np.broadcast_to(w, thread.shape) for w in wanted], axis=1))


TABLE = """
    shl.b64 %rd1, %rd0, 2; add.s64 %rd1, %rd90, %rd1; rem.u32 %r3, %r0, {rem};
    table: .branchtargets A, B, C;
    brx.idx %r3, table;
    A: mov.u32 %r4, 10; bra END;
    B: mov.u32 %r4, 20; bra END;
    C: mov.u32 %r4, 30;
    END: st.global.u32 [%rd1], %r4;
"""


def test_branch_tables() -> None:
    got = values(kernel(TABLE.format(rem=3)), [np.zeros(50, np.uint32)], block=50)[0]
    np.testing.assert_array_equal(got, (np.arange(50) % 3 + 1) * 10)
    launched = run(kernel(TABLE.format(rem=4)), [np.zeros(50, np.uint32)], block=50)
    assert launched.rule == "bad-branch"
    assert launched.result.fault is not None
    assert launched.result.fault.thread is not None
    assert launched.result.fault.thread.thread == (3, 0, 0)


RACE = """
    shl.b64 %rd1, %rd0, 2; add.s64 %rd1, %rd91, %rd1; shr.u32 %r3, %r0, 5; mov.u32 %r4, 0;
    L: atom.global.add.u32 %r5, [%rd90], 1; add.u32 %r4, %r4, 1; rem.u32 %r6, %r5, 3; setp.lt.u32 %p1, %r4, 300;
    setp.ne.u32 %p2, %r6, 0; @%p2 bra M; add.u32 %r4, %r4, %r3;
    M: @%p1 bra L; st.global.u32 [%rd1], %r5;
"""


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_a_seed_gives_the_same_launch_again(engine: str) -> None:
    def tickets(seed: int) -> bytes:
        buffers = [np.zeros(1, np.uint32), np.zeros(512, np.uint32)]
        return values(kernel(RACE, 2), buffers, block=128, grid=4, seed=seed, engine=engine)[1].tobytes()

    assert tickets(1) == tickets(1)
    if engine == "numpy":
        assert len({tickets(seed) for seed in range(6)}) > 1


def test_settings_hold_for_later_launches() -> None:
    device = Emulator(Settings(instruction_budget=3))
    out = device.allocate(4)
    loaded = device.load(PLAIN)
    first = device.launch(loaded, ONE, [out])
    assert first.fault is not None
    assert first.fault.rule == "budget-spent"
    device.settings = Settings()
    assert device.launch(loaded, ONE, [out]).is_clean


def test_a_limit_of_nominal_seconds_counts_all_batches_and_no_clock() -> None:
    many = LaunchConfig((4000, 1, 1), (256, 1, 1))
    faults = []
    for limit_s in (inf, 0.005):
        device = Emulator(Settings(engine="numpy", cost_limit_s=limit_s))
        faults.append(device.launch(device.load(PLAIN), many, [device.allocate(4)]).fault)
    assert faults[0] is None
    assert faults[1] is not None and faults[1].rule == "budget-spent" and "0.005 s" in faults[1].message


def test_an_engine_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def launch_with(engine: str) -> None:
        device = Emulator(Settings(engine=engine))
        buffer = device.allocate(64)
        device.launch(device.load(PLAIN), ONE, [buffer])

    with pytest.raises(UserError) as unknown:
        launch_with("fast")
    assert rules(unknown) == {"unknown-engine"}
    monkeypatch.setattr(engines, "find_spec", lambda _name: None)
    with pytest.raises(UserError) as missing:
        launch_with("native")
    assert rules(missing) == {"missing-part"}
    assert missing.value.exit_code == ExitCode.MISSING
    launch_with("auto")
