// Product of a matrix and a vector, a thread for each row.

__global__ void gemv(float* out, const float* v, const float* M, int cols, int rows) {
    int r = threadIdx.x + blockIdx.x * blockDim.x;
    if (r < rows) {
        float dot = 0;
        for (int c = 0; c < cols; c++) dot = dot + v[c] * M[r * cols + c];
        out[r] = dot;
    }
}
