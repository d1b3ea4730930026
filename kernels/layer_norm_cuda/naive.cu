// Layer norm of the rows of a matrix as it is first written: a thread for each row.

extern "C" __global__ void layer_norm_naive(const float* x, const float* weight, const float* bias, float* y, float* mean,
                                            float* rstd, int rows, int cols, float eps) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int i = 0; i < cols; ++i) sum += x[row * cols + i];
    float centre = sum / cols;
    float squares = 0.0f;
    for (int i = 0; i < cols; ++i) squares += (x[row * cols + i] - centre) * (x[row * cols + i] - centre);
    float scale = rsqrtf(squares / cols + eps);
    for (int i = 0; i < cols; ++i) y[row * cols + i] = (x[row * cols + i] - centre) * scale * weight[i] + bias[i];
    mean[row] = centre;
    rstd[row] = scale;
}
