//| task = "total"
//| class = "state between launches"
//| does = "counts blocks in a variable of its own, which goes back to 0 for the next launch; fences and loads beside L1"
//| overrides = { "launch.grid" = ["min(cdiv(N, 1024), 432)"] }

__device__ unsigned arrived;

extern "C" __global__ void __launch_bounds__(256) total(const float* __restrict__ x, float* y, float* parts, int*, int n) {
    __shared__ float warps[8];
    __shared__ bool is_last;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const float4* vectors = reinterpret_cast<const float4*>(x);
    float sum = 0.0f;
    for (int i = blockIdx.x * 256 + threadIdx.x; i < n / 4; i += gridDim.x * 256) {
        float4 v = __ldcs(vectors + i);
        sum += (v.x + v.y) + (v.z + v.w);
    }
    if (blockIdx.x == 0 && threadIdx.x < n % 4) sum += x[n / 4 * 4 + threadIdx.x];
    for (int d = 16; d; d /= 2) sum += __shfl_down_sync(~0u, sum, d);
    if (lane == 0) warps[warp] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < 8; ++w) sum += warps[w];
        parts[blockIdx.x] = sum;
        __threadfence();
        is_last = atomicInc(&arrived, gridDim.x - 1) == gridDim.x - 1;
        __threadfence();
    }
    __syncthreads();
    if (!is_last || warp != 0) return;
    sum = 0.0f;
    for (int i = lane; i < gridDim.x; i += 32) sum += __ldcg(parts + i);
    for (int d = 16; d; d /= 2) sum += __shfl_down_sync(~0u, sum, d);
    if (lane == 0) *y = sum;
}
