// Vector addition: one element for each thread.

extern "C" __global__ void vector_add(const float* __restrict__ x, const float* __restrict__ y, float* __restrict__ z,
                                      int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) z[i] = x[i] + y[i];
}

// Four elements for each thread in one 16-byte access; the last n % 4 elements go one by one.
extern "C" __global__ void vector_add_float4(const float* __restrict__ x, const float* __restrict__ y,
                                             float* __restrict__ z, int n) {
    int first = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (first + 4 <= n) {
        float4 a = *reinterpret_cast<const float4*>(x + first);
        float4 b = *reinterpret_cast<const float4*>(y + first);
        *reinterpret_cast<float4*>(z + first) = make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
        return;
    }
    for (int i = first; i < n; ++i) z[i] = x[i] + y[i];
}

// A grid of any size: each thread strides over the vector.
extern "C" __global__ void vector_add_grid_stride(const float* __restrict__ x, const float* __restrict__ y,
                                                  float* __restrict__ z, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) z[i] = x[i] + y[i];
}
