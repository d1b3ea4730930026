//| task = "kernels/matvec"
//| class = "found by search"
//| does = "what rules made of a thread for each row: a block for each row of those that are launched, vectors with a tail"
//| overrides = { "launch.grid" = ["256 * (cdiv(ROWS, 256))"], "launch.block" = [256] }

extern "C" __global__ void matvec(const float* a, const float* x, float* y, int rows, int cols) {
    __shared__ float parts[8];
    int row = blockIdx.x;
    int lane = threadIdx.x;
    if (row >= rows) return;
    float sum = 0.0f;
    {
        int whole = (row * cols) % 4 == 0 ? (cols) / 4 * 4 : 0;
        for (int i = 4 * (lane); i < whole; i += 4 * (256)) {
            float4 v0 = *reinterpret_cast<const float4*>(&a[row * cols + i]); float4 v1 = *reinterpret_cast<const float4*>(&x[i]);
            sum += v0.x * v1.x;
            sum += v0.y * v1.y;
            sum += v0.z * v1.z;
            sum += v0.w * v1.w;
            
        }
        for (int i = whole + lane; i < cols; i += 256) sum += a[row * cols + i] * x[i];
    }
    for (int d = 16; d > 0; d /= 2) sum = sum + __shfl_xor_sync(0xffffffffu, sum, d);
    __syncthreads();
    if (lane % 32 == 0) parts[lane / 32] = sum;
    __syncthreads();
    sum = lane % 32 < 8 ? parts[lane % 32] : 0;
    for (int d = 16; d > 0; d /= 2) sum = sum + __shfl_xor_sync(0xffffffffu, sum, d);
    if (lane == 0) y[row] = sum;
}
