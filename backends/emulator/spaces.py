"""Where each state space lies in the generic address space of the emulated device."""

from __future__ import annotations

# Windows of the generic address space. A 32-bit shared address is an offset in its CTA; from bit 24 up it has the rank
# of its CTA in the cluster, in its own CTA too: programs clear bit 24 to name the first CTA of a pair.
LOCAL_BASE = 0x7D00_0000_0000
SHARED_BASE = 0x7E00_0000_0000
GLOBAL_BASE = 0x7F00_0000_0000
CLUSTER_RANK_SHIFT = 24
SHARED_OFFSET_MASK = (1 << CLUSTER_RANK_SHIFT) - 1
WARP_LANES = 32
