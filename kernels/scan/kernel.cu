// Inclusive prefix sums of integers (modulo 2^32).

constexpr unsigned FULL_WARP = 0xffffffffu;

// What a tile has told the others: nothing, the sum of its own elements, or the sum of all elements up to its end.
enum Status : unsigned { EMPTY = 0, TILE_SUM = 1, PREFIX = 2 };

// Status and value travel in one 8-byte word, so that one access moves both and no fence is needed between them.
__device__ void publish(unsigned long long* state, Status status, unsigned value) {
    unsigned long long word = static_cast<unsigned long long>(status) << 32 | value;
    asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(state), "l"(word) : "memory");
}

__device__ unsigned long long observed(const unsigned long long* state) {
    unsigned long long word;
    asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(word) : "l"(state) : "memory");
    return word;
}

__device__ unsigned warp_inclusive(unsigned value, int lane) {
    for (int distance = 1; distance < 32; distance *= 2) {
        unsigned before = __shfl_up_sync(FULL_WARP, value, distance);
        if (lane >= distance) value += before;
    }
    return value;
}

// The sum of all tiles before this one: the first warp looks back over 32 of them at a time, spins until each has told
// something, and stops at the nearest one that knows its prefix.
__device__ unsigned look_back(const unsigned long long* states, int tile, int lane) {
    unsigned sum = 0;
    for (int last = tile - 1; last >= 0; last -= 32) {
        int mine = last - lane;
        unsigned long long word = static_cast<unsigned long long>(PREFIX) << 32;
        if (mine >= 0)
            do word = observed(states + mine);
            while (word >> 32 == EMPTY);
        unsigned prefixes = __ballot_sync(FULL_WARP, word >> 32 == PREFIX);
        int nearest = prefixes ? __ffs(prefixes) - 1 : 31;
        unsigned part = lane <= nearest ? static_cast<unsigned>(word) : 0;
        for (int distance = 16; distance > 0; distance /= 2) part += __shfl_xor_sync(FULL_WARP, part, distance);
        sum += part;
        if (prefixes) break;
    }
    return sum;
}

// One pass (Merrill and Garland's decoupled look-back). Tiles are handed out by a ticket, so that whoever waits waits
// for a block that has started. `states` (one for each tile) and `ticket` are 0 at the start.
template <int THREADS, int ITEMS>
__global__ void scan_look_back(const unsigned* __restrict__ x, unsigned* __restrict__ y, unsigned long long* states,
                               int* ticket, int n) {
    constexpr int WARPS = THREADS / 32;
    __shared__ unsigned warp_sums[WARPS];
    __shared__ unsigned before;
    __shared__ int my_tile;
    int lane = threadIdx.x % 32;
    int warp = threadIdx.x / 32;
    if (threadIdx.x == 0) my_tile = atomicAdd(ticket, 1);
    __syncthreads();
    int tile = my_tile;
    int first = (tile * THREADS + threadIdx.x) * ITEMS;

    unsigned items[ITEMS];
    unsigned sum = 0;
    for (int i = 0; i < ITEMS; ++i) items[i] = sum += first + i < n ? x[first + i] : 0;
    unsigned inclusive = warp_inclusive(sum, lane);
    if (lane == 31) warp_sums[warp] = inclusive;
    __syncthreads();

    if (warp == 0) {
        unsigned sums = warp_inclusive(lane < WARPS ? warp_sums[lane] : 0, lane);
        unsigned total = __shfl_sync(FULL_WARP, sums, 31);
        if (lane < WARPS) warp_sums[lane] = sums;
        if (lane == 0 && tile > 0) publish(states + tile, TILE_SUM, total);
        unsigned prefix = look_back(states, tile, lane);
        if (lane == 0) publish(states + tile, PREFIX, prefix + total);
        if (lane == 0) before = prefix;
    }
    __syncthreads();

    unsigned start = before + (warp > 0 ? warp_sums[warp - 1] : 0) + inclusive - sum;
    for (int i = 0; i < ITEMS; ++i)
        if (first + i < n) y[first + i] = start + items[i];
}

// One block for the whole vector, chunk by chunk; in each the work-efficient scan (Blelloch): a sweep up the tree that
// adds, and one down it that hands the prefixes to the leaves.
template <int THREADS>
__global__ void scan_work_efficient(const unsigned* __restrict__ x, unsigned* __restrict__ y, int n) {
    constexpr int CHUNK = 2 * THREADS;
    __shared__ unsigned tree[CHUNK];
    int t = threadIdx.x;
    unsigned carry = 0;
    for (int start = 0; start < n; start += CHUNK) {
        unsigned low = start + t < n ? x[start + t] : 0;
        unsigned high = start + t + THREADS < n ? x[start + t + THREADS] : 0;
        tree[t] = low;
        tree[t + THREADS] = high;
        for (int distance = 1; distance < CHUNK; distance *= 2) {
            __syncthreads();
            int i = (t + 1) * 2 * distance - 1;
            if (i < CHUNK) tree[i] += tree[i - distance];
        }
        __syncthreads();
        unsigned total = tree[CHUNK - 1];
        __syncthreads();
        if (t == 0) tree[CHUNK - 1] = 0;
        for (int distance = CHUNK / 2; distance > 0; distance /= 2) {
            __syncthreads();
            int i = (t + 1) * 2 * distance - 1;
            if (i < CHUNK) {
                unsigned left = tree[i - distance];
                tree[i - distance] = tree[i];
                tree[i] += left;
            }
        }
        __syncthreads();
        if (start + t < n) y[start + t] = carry + tree[t] + low;
        if (start + t + THREADS < n) y[start + t + THREADS] = carry + tree[t + THREADS] + high;
        carry += total;
        // A thread reads back its own two leaves alone, and writes the same two next: no barrier is needed here.
    }
}
