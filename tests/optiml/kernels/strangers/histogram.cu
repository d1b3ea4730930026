// A histogram whose threads add to global memory as they find values.

__global__ void count_values(unsigned int* bins, const unsigned char* values, long size) {
    int i = threadIdx.x + blockIdx.x * blockDim.x;
    int stride = blockDim.x * gridDim.x;
    while (i < size) {
        atomicAdd(&bins[values[i]], 1);
        i += stride;
    }
}
