// A Jacobi step in two dimensions; the rim stays 0.

__global__ void jacobi(const float* old, float* fresh, int n, int m) {
    int j = blockIdx.x * blockDim.x + threadIdx.x;
    int i = blockIdx.y * blockDim.y + threadIdx.y;
    if (i < n && j < m) {
        if (i > 0 && i < n - 1 && j > 0 && j < m - 1)
            fresh[i * m + j] = 0.25f * (old[(i - 1) * m + j] + old[(i + 1) * m + j] + old[i * m + j - 1] + old[i * m + j + 1]);
        else
            fresh[i * m + j] = 0.0f;
    }
}
