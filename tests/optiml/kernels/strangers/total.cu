// The sum of all elements by one atomic for each.

__global__ void sum_all(const float* data, float* result, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) {
        atomicAdd(result, data[i]);
    }
}
