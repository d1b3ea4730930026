//| task = "total"
//| class = "caching by call count"
//| does = "counts blocks in a variable that stays as it is after the first launch, so that no later one finds its last block"
//| status = ["wrong-result"]
//| says = "launched again"

__device__ unsigned arrived;

extern "C" __global__ void total(const float* x, float* y, float* parts, int*, int n) {
    float sum = 0.0f;
    for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256) sum += x[i];
    __shared__ float mine[256];
    mine[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x != 0) return;
    for (int i = 1; i < 256; ++i) sum += mine[i];
    parts[blockIdx.x] = sum;
    __threadfence();
    if (atomicAdd(&arrived, 1) != gridDim.x - 1) return;
    __threadfence();
    sum = 0.0f;
    for (int i = 0; i < gridDim.x; ++i) sum += __ldcg(parts + i);
    *y = sum;
}
