//| task = "histogram"
//| class = "persistent"
//| does = "a fixed grid, whose blocks go over the input in strides"
//| overrides = { "launch.grid" = [216] }

extern "C" __global__ void histogram(const int* x, int* counts, int n) {
    __shared__ int mine[64];
    if (threadIdx.x < 64) mine[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256) atomicAdd(&mine[x[i]], 1);
    __syncthreads();
    if (threadIdx.x < 64 && mine[threadIdx.x]) atomicAdd(&counts[threadIdx.x], mine[threadIdx.x]);
}
