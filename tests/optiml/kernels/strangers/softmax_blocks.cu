// Softmax, a block for each row, trees in shared memory.

__global__ void softmax_block_rows(const float* inp, float* out, int C) {
    __shared__ float buf[256];
    int row = blockIdx.x;
    int tid = threadIdx.x;
    const float* x = inp + row * C;
    float* y = out + row * C;

    float m = -1e30f;
    for (int j = tid; j < C; j += blockDim.x) m = max(m, x[j]);
    buf[tid] = m;
    __syncthreads();
    for (int s = blockDim.x / 2; s > 0; s >>= 1) {
        if (tid < s) buf[tid] = fmaxf(buf[tid], buf[tid + s]);
        __syncthreads();
    }
    float largest = buf[0];
    __syncthreads();

    float sum = 0.0f;
    for (int j = tid; j < C; j += blockDim.x) sum += expf(x[j] - largest);
    buf[tid] = sum;
    __syncthreads();
    for (int s = blockDim.x / 2; s > 0; s >>= 1) {
        if (tid < s) buf[tid] += buf[tid + s];
        __syncthreads();
    }
    float total = buf[0];
    for (int j = tid; j < C; j += blockDim.x) y[j] = expf(x[j] - largest) / total;
}
