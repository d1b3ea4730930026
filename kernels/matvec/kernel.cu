// Product of a row-major matrix and a vector, a thread for each row: neighbours read addresses that are a row apart.

extern "C" __global__ void matvec(const float* a, const float* x, float* y, int rows, int cols) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int i = 0; i < cols; ++i) sum += a[row * cols + i] * x[i];
    y[row] = sum;
}
