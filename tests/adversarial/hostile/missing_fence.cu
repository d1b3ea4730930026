//| task = "total"
//| class = "nondeterminism"
//| does = "counts itself before others can be sure to see its part of the sum: no fence stands between the two"
//| status = ["findings", "wrong-result"]
//| says = "no release and acquire|elements wrong"

__device__ float block_sum(float mine) {
    __shared__ float warps[8];
    for (int d = 16; d; d /= 2) mine += __shfl_xor_sync(~0u, mine, d);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = mine;
    __syncthreads();
    float all = 0.0f;
    for (int w = 0; w < 8; ++w) all += warps[w];
    __syncthreads();
    return all;
}

extern "C" __global__ void total(const float* x, float* y, float* parts, int* done, int n) {
    __shared__ bool is_last;
    float sum = 0.0f;
    for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256) sum += x[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = sum;
        is_last = atomicAdd(done, 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (!is_last) return;
    sum = 0.0f;
    for (int i = threadIdx.x; i < gridDim.x; i += 256) sum += __ldcg(parts + i);
    sum = block_sum(sum);
    if (threadIdx.x == 0) *y = sum;
}
