//| task = "kernels/transpose"
//| class = "found by search"
//| does = "what rules made of it: indices exchanged, two blocks' work in one, blocks that run in bands"
//| overrides = { "launch.block" = ["8", "32"], "launch.grid" = ["cdiv(cdiv(ROWS, 32), 2)", "cdiv(COLS, 32)"] }
constexpr int TILE = 32, STRIPE = 8;

extern "C" __global__ void transpose_naive(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
    int band = 8 * gridDim.x;
    int number = blockIdx.y * gridDim.x + blockIdx.x;
    int first = number / band * 8;
    int height = min(8, static_cast<int>(gridDim.y) - first);
    int block_y = first + number % band % height;
    int block_x = number % band / height;
    #pragma unroll
    for (int part = 0; part < 2; ++part) {
    if (block_x * 2 + part >= ((rows + 32 - 1) / 32)) break;
    int col = block_y * TILE + threadIdx.y;
    for (int j = 0; j < TILE; j += STRIPE) {
        int row = (block_x * 2 + part) * TILE + threadIdx.x + j;
        if (row < rows && col < cols)
            y[static_cast<long long>(col) * rows + row] = x[static_cast<long long>(row) * cols + col];
    }
    }
}
