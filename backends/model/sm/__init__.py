"""An event-driven simulator of one streaming multiprocessor (SM) that executes real machine code with its control bits.

Issue. Four sub-cores; the warps of a CTA go to them in turn. A sub-core issues one instruction of one warp a cycle:
from the warp that issued last if it can go on and did not yield, else from the youngest that can (compiler-guided
greedy then youngest). A warp can issue when the stall count of its last instruction has run out, when the scoreboards
in the wait mask are clear, when no barrier holds it, and when the instruction's pipe is free. Fixed latencies are the
compiler's stall counts; the six scoreboards of a warp hold back what depends on anything else.

Pipes. An instruction holds its pipe for 32 lanes over the pipe's width, which the assembler's stall counts tell for
fixed latencies, and the machine file for the others: FP64, MUFU and conversions, tensor, tensor memory. Each of the
two register banks of a sub-core reads one register a cycle, less what the reuse cache holds, and operands have three
cycles to be read; what comes late stops the issue.

Memory. A sub-core queues four accesses beyond the one at hand and computes addresses in 4 cycles each. The SM's one LSU
accepts a request every cycle or two, and is held by each for its wavefronts (128 bytes of shared memory or L1) and for
a quarter of a cycle for each 128-byte line; results come back at 64 bytes a cycle for each sub-core. Sectors that miss
go to the L2, those that miss there to the DRAM: a latency each, and a rate that is the SM's share of the chip's, so
that what is in flight follows from Little's law. No limit of outstanding misses is modelled: none is published.
Requests hit or miss as a whole, as often as their shares say.

Waiting. A barrier takes 2 cycles for each warp and 21 for all. Asynchronous copies, bulk copies, wgmma and tcgen05 are
servers with an interval and a latency. An mbarrier completes when its arrivals are there, counted over the turns of
the loops; whoever waits for that completion goes on then. Fences, shuffles, votes, conversions: a latency each.

Loops. The turns of a loop are simulated until time and progress of all warps repeat, and then skipped, inner loops
before outer ones; where they are uneven, from a longer sample. The error is a few per cent at most where CTAs of
different progress share the SM. The result says if turns were skipped, and if they were not yet even.

Order of requests. A unit that is shared serves requests in the order in which they were issued, in its first free
cycles: nothing is polled. Instruction caches: a jump farther than the first one reaches costs a miss; other code is
taken to be there. Constant operands are taken to be cached.

An opcode in no table, an access without a cost, an mbarrier of unknown use: each takes a default that the result
states. Sources: Huerta et al., Analyzing Modern NVIDIA GPU cores, MICRO 2025, for the sub-core and the LSU; every
number, with its source, is in the machine file. Times are cycles of the SM's clock.
"""

from backends.model.sm.costs import BarrierUse, MemoryCost, TensorShape
from backends.model.sm.result import STALLS, Issue, SmResult
from backends.model.sm.simulate import simulate
from backends.model.sm.trace import Repeat, Run, Step, WarpTrace, executed_blocks

__all__ = [
    "STALLS",
    "BarrierUse",
    "Issue",
    "MemoryCost",
    "Repeat",
    "Run",
    "SmResult",
    "Step",
    "TensorShape",
    "WarpTrace",
    "executed_blocks",
    "simulate",
]
