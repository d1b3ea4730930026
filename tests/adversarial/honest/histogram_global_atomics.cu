//| task = "histogram"
//| class = "atomics"
//| does = "adds to global memory at once"

extern "C" __global__ void histogram(const int* x, int* counts, int n) {
    for (int i = blockIdx.x * 1024 + threadIdx.x; i < n && i < (blockIdx.x + 1) * 1024; i += 256) atomicAdd(&counts[x[i]], 1);
}
