// A smoothing filter whose weights are a table, and the largest weighted neighbour.

extern "C" __global__ void smooth(const float* x, float* y, int n) {
    const float weights[5] = {0.1f, 0.2f, 0.4f, 0.2f, 0.1f};
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        float sum = 0.0f;
        float largest = 0.0f;
        for (int j = 0; j < 5; ++j) {
            int at = min(max(i + j - 2, 0), n - 1);
            float v = weights[j] * x[at];
            if (v > largest) largest = v;
            sum += v;
        }
        y[i] = sum + largest;
    }
}
