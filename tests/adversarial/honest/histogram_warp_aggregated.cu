//| task = "histogram"
//| class = "atomics"
//| does = "lanes with the same value elect one that adds for all of them"

extern "C" __global__ void histogram(const int* x, int* counts, int n) {
    for (int i = blockIdx.x * 1024 + threadIdx.x; i - threadIdx.x % 32 < n && i < (blockIdx.x + 1) * 1024; i += 256) {
        int value = i < n ? x[i] : -1;
        unsigned same = __match_any_sync(~0u, value);
        if (value >= 0 && __ffs(same) - 1 == threadIdx.x % 32) atomicAdd(&counts[value], __popc(same));
    }
}
