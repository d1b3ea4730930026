//| task = "rowmax"
//| class = "plain"
//| does = "begins with the row's first element, and a thread for each row"
//| overrides = { "launch.grid" = ["cdiv(ROWS, 128)"] }

extern "C" __global__ void rowmax(const float* x, float* y, int rows, int cols) {
    int row = blockIdx.x * 128 + threadIdx.x;
    if (row >= rows) return;
    float largest = x[(size_t)row * cols];
    for (int i = 1; i < cols; ++i) largest = x[(size_t)row * cols + i] > largest ? x[(size_t)row * cols + i] : largest;
    y[row] = largest;
}
