// Reductions with the control flow that loops have: counted, data-dependent exit, branches inside, a call, a barrier.
extern "C" __global__ void dot(const float* a, const float* b, float* out, int n)
{
    float sum = 0.0f;
#pragma unroll 1
    for (int i = 0; i < n; ++i)
        sum = fmaf(a[i], b[i], sum);
    *out = sum;
}

extern "C" __global__ void clipped_sum(const float* a, float* out, int n, float limit)
{
    float low = 0.0f, high = 0.0f;
#pragma unroll 1
    for (int i = 0; i < n; ++i) {
        float x = a[i];
        if (x > limit) {
            high += x;
            out[i] = limit;
        } else {
            low += x;
        }
    }
    out[n] = low;
    out[n + 1] = high;
}

extern "C" __global__ void find(const int* a, int* out, int key)
{
    int i = 0;
    while (a[i] != key)
        ++i;
    *out = i;
}

extern "C" __global__ void tiled_gemm(const float* a, const float* b, float* c, int n)
{
    __shared__ float tile_a[16][16], tile_b[16][16];
    int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * 16 + y, column = blockIdx.x * 16 + x;
    float sum = 0.0f;
#pragma unroll 1
    for (int k = 0; k < n; k += 16) {
        tile_a[y][x] = a[row * n + k + x];
        tile_b[y][x] = b[(k + y) * n + column];
        __syncthreads();
        for (int i = 0; i < 16; ++i)
            sum = fmaf(tile_a[y][i], tile_b[i][x], sum);
        __syncthreads();
    }
    c[row * n + column] = sum;
}

extern "C" __global__ void nested(const float* a, float* out, int n)
{
#pragma unroll 1
    for (int i = 0; i < n; ++i) {
        float sum = 0.0f;
#pragma unroll 1
        for (int j = 0; j < 32; ++j)
            sum += a[i * 32 + j];
        out[i] = sum;
    }
}
