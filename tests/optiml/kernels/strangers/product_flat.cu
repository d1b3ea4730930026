// A matrix product, a thread for each element by its number.

__global__ void product_flat(const float* P, const float* Q, float* R, int total, int width) {
    int idx = blockIdx.x * blockDim.x + threadIdx.x;
    if (idx >= total) return;
    int row = idx / width;
    int col = idx % width;
    float dot = 0.0f;
    for (int j = 0; j < width; j++) {
        dot += P[row * width + j] * Q[j * width + col];
    }
    R[idx] = dot;
}
