//| task = "standardise"
//| class = "one pass less"
//| does = "Welford's running mean and variance, merged over the warp and then over the block"

struct Moments {
    float n, mean, m2;
};

__device__ Moments merged(Moments a, Moments b) {
    float n = a.n + b.n, delta = b.mean - a.mean;
    if (n == 0.0f) return a;
    return {n, a.mean + delta * b.n / n, a.m2 + b.m2 + delta * delta * a.n * b.n / n};
}

extern "C" __global__ void standardise(const float* x, float* y, int rows, int cols) {
    __shared__ Moments parts[4];
    x += (size_t)blockIdx.x * cols, y += (size_t)blockIdx.x * cols;
    Moments mine = {0, 0, 0};
    for (int i = threadIdx.x; i < cols; i += 128) {
        mine.n += 1.0f;
        float delta = x[i] - mine.mean;
        mine.mean += delta / mine.n;
        mine.m2 += delta * (x[i] - mine.mean);
    }
    for (int d = 16; d; d /= 2)
        mine = merged(mine, {__shfl_xor_sync(~0u, mine.n, d), __shfl_xor_sync(~0u, mine.mean, d),
                             __shfl_xor_sync(~0u, mine.m2, d)});
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = mine;
    __syncthreads();
    Moments all = merged(merged(parts[0], parts[1]), merged(parts[2], parts[3]));
    float scale = rsqrtf(all.m2 / cols + 1e-5f);
    for (int i = threadIdx.x; i < cols; i += 128) y[i] = (x[i] - all.mean) * scale;
}
