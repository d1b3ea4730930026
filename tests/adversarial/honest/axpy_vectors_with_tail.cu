//| task = "axpy"
//| class = "vectors with a scalar tail"
//| does = "vectors of four, and a tail by the last threads"
//| overrides = { "launch.grid" = ["cdiv(N, 1024)"] }

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = 4 * (blockIdx.x * 256 + threadIdx.x);
    if (i + 3 < n) {
        float4 a = *reinterpret_cast<const float4*>(x + i), b = *reinterpret_cast<float4*>(y + i);
        *reinterpret_cast<float4*>(y + i) = {2 * a.x + b.x, 2 * a.y + b.y, 2 * a.z + b.z, 2 * a.w + b.w};
        return;
    }
    for (; i < n; ++i) y[i] = 2.0f * x[i] + y[i];
}
