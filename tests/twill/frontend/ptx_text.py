"""Hand-written PTX for the tests: a kernel around a loop body."""

HEAD = """.version 8.4
.target sm_90a
.address_size 64

.visible .entry k(
	.param .u64 k_param_0,
	.param .u32 k_param_1
)
.maxntid 128, 1, 1
{
	.reg .pred %p<10>;
	.reg .b16 %h<10>;
	.reg .b32 %r<100>;
	.reg .f32 %f<100>;
	.reg .f64 %d<10>;
	.reg .b64 %rd<50>;
	.shared .align 16 .b8 buffer[1024];
"""

COUNTED = """	mov.u32 %r0, 0;
LOOP:
{body}
	add.s32 %r0, %r0, {step};
	setp.lt.s32 %p0, %r0, {bound};
	@%p0 bra LOOP;
"""


def kernel(statements: str) -> str:
    """A PTX file with one kernel of these statements."""
    return f"{HEAD}{statements}\tret;\n}}\n"


def counted(body: str, bound: str = "64", step: str = "1") -> str:
    """A PTX file with one counted loop around `body`; %r0 counts, %p0 is the test."""
    return kernel(COUNTED.format(body=body, bound=bound, step=step))
