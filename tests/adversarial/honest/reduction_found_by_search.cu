//| task = "kernels/reduction"
//| class = "found by search"
//| does = "what rules made of interleaved additions: elements added on load, shuffles, a persistent grid, launch bounds"
//| overrides = { "launch.block" = [64], "launch.grid" = ["min(cdiv(N, CHUNK), 4096)"] }
extern __shared__ float shared[];

extern "C" __global__ void __launch_bounds__(64) reduce_interleaved(const float* __restrict__ x, float* __restrict__ sums, int n) {
    for (int block = blockIdx.x; block < ((n + 256 - 1) / 256); block += gridDim.x) {
    int t = threadIdx.x;
    float partial = 0.0f;
    for (int r = t; r < 256; r += 64) {  partial += ((block * 256 + r) < n ? __ldg(&x[(block * 256 + r)]) : 0.0f); }
    shared[t] = partial;
    __syncthreads();
    float part = shared[t];
    for (int distance = 16; distance > 0; distance /= 2) part += __shfl_down_sync(0xffffffffu, part, distance);
    __syncthreads();
    if (t % 32 == 0) shared[t / 32] = part;
    __syncthreads();
    if (t < 32) {
        part = t < 2 ? shared[t] : 0.0f;
        for (int distance = 16; distance > 0; distance /= 2) part += __shfl_down_sync(0xffffffffu, part, distance);
        if (t == 0) shared[0] = part;
    }
    __syncthreads();
    if (t == 0) sums[block] = shared[0];

    __syncthreads();
    }
}
