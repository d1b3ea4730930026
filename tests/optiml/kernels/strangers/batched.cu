// Products of pairs of matrices, a layer of the grid for each pair.

__global__ void bmm(float* out, const float* lhs, const float* rhs, int m, int n, int k) {
    int batch = blockIdx.z;
    int i = threadIdx.y + blockIdx.y * blockDim.y;
    int j = threadIdx.x + blockIdx.x * blockDim.x;
    const float* l = lhs + batch * m * k;
    const float* r = rhs + batch * k * n;
    float* o = &out[batch * m * n];
    if (i < m) {
        if (j < n) {
            float total = 0;
            for (int p = 0; p < k; ++p) {
                float product = l[p + i * k] * r[p * n + j];
                total = total + product;
            }
            o[i * n + j] = total;
        }
    }
}
