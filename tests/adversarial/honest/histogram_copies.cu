//| task = "histogram"
//| class = "shared memory"
//| does = "a copy for each warp, dynamic shared memory"
//| overrides = { "launch.smem_bytes" = 2048 }

extern "C" __global__ void histogram(const int* x, int* counts, int n) {
    extern __shared__ int mine[];
    for (int i = threadIdx.x; i < 512; i += 256) mine[i] = 0;
    __syncthreads();
    int* own = mine + threadIdx.x / 32 * 64;
    for (int i = blockIdx.x * 1024 + threadIdx.x; i < n && i < (blockIdx.x + 1) * 1024; i += 256) atomicAdd(&own[x[i]], 1);
    __syncthreads();
    if (threadIdx.x >= 64) return;
    int sum = 0;
    for (int w = 0; w < 8; ++w) sum += mine[w * 64 + threadIdx.x];
    if (sum) atomicAdd(&counts[threadIdx.x], sum);
}
