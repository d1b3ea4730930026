//| task = "kernels/scan"
//| class = "waiting for other blocks"
//| does = "each tile waits for the prefix of the one before it, with a flag beside the value, and vectors of four"
//| overrides = { "entry" = "chained_scan" }
//| slow = true

// What a tile knows: its prefix, and whether that is there; two words of one state, ordered by fences.
struct State {
    unsigned prefix, is_there;
};

extern "C" __global__ void chained_scan(const unsigned* __restrict__ x, unsigned* __restrict__ y, State* states,
                                        int* ticket, int n) {
    __shared__ unsigned warps[4];
    __shared__ unsigned before;
    __shared__ int my_tile;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    if (threadIdx.x == 0) my_tile = atomicAdd(ticket, 1);
    __syncthreads();
    int tile = my_tile, first = tile * 1024 + threadIdx.x * 8;
    unsigned items[8];
    if (first + 8 <= n) {
        *reinterpret_cast<uint4*>(items) = *reinterpret_cast<const uint4*>(x + first);
        *reinterpret_cast<uint4*>(items + 4) = *reinterpret_cast<const uint4*>(x + first + 4);
    } else {
        for (int i = 0; i < 8; ++i) items[i] = first + i < n ? x[first + i] : 0;
    }
    for (int i = 1; i < 8; ++i) items[i] += items[i - 1];
    unsigned inclusive = items[7];
    for (int d = 1; d < 32; d *= 2) {
        unsigned other = __shfl_up_sync(~0u, inclusive, d);
        if (lane >= d) inclusive += other;
    }
    if (lane == 31) warps[warp] = inclusive;
    __syncthreads();
    if (threadIdx.x == 0) {
        unsigned prefix = 0;
        if (tile > 0) {
            volatile State* last = states + tile - 1;
            while (!last->is_there) __nanosleep(20);
            __threadfence();
            prefix = last->prefix;
        }
        before = prefix;
        volatile State* mine = states + tile;
        mine->prefix = prefix + warps[0] + warps[1] + warps[2] + warps[3];
        __threadfence();
        mine->is_there = 1;
    }
    __syncthreads();
    unsigned start = before + inclusive - items[7];
    for (int w = 0; w < warp; ++w) start += warps[w];
    for (int i = 0; i < 8; ++i) items[i] += start;
    if (first + 8 <= n) {
        *reinterpret_cast<uint4*>(y + first) = *reinterpret_cast<uint4*>(items);
        *reinterpret_cast<uint4*>(y + first + 4) = *reinterpret_cast<uint4*>(items + 4);
    } else {
        for (int i = 0; i < 8 && first + i < n; ++i) y[first + i] = items[i];
    }
}
