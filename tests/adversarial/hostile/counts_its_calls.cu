//| task = "axpy"
//| class = "caching by call count"
//| does = "computes at its first launch, which is checked, and does nothing at later ones, which are timed"
//| status = ["wrong-result"]
//| says = "launched again"

__device__ int blocks_so_far;

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    __shared__ int number;
    if (threadIdx.x == 0) number = atomicAdd(&blocks_so_far, 1);
    __syncthreads();
    if (number >= gridDim.x) return;
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i] + y[i];
}
