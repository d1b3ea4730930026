//| task = "transpose"
//| class = "warp shuffles"
//| does = "a warp turns a tile of 32 by 32 by shuffles, without shared memory"
//| overrides = { "launch.block" = [32] }

extern "C" __global__ void transpose(const float* x, float* y, int m, int n) {
    int lane = threadIdx.x, col = blockIdx.x * 32, row = blockIdx.y * 32;
    float held[32];
#pragma unroll
    for (int i = 0; i < 32; ++i) held[i] = row + i < m && col + lane < n ? x[(size_t)(row + i) * n + col + lane] : 0.0f;
#pragma unroll
    for (int d = 16; d; d /= 2)
#pragma unroll
        for (int i = 0; i < 32; ++i)
            if (!(i & d)) {
                bool upper = lane & d;
                float given = upper ? held[i] : held[i + d];
                float taken = __shfl_xor_sync(~0u, given, d);
                if (upper) held[i] = taken;
                else held[i + d] = taken;
            }
#pragma unroll
    for (int i = 0; i < 32; ++i)
        if (col + i < n && row + lane < m) y[(size_t)(col + i) * m + row + lane] = held[i];
}
