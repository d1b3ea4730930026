//| task = "transpose"
//| class = "dropped edges of the tile"
//| does = "swaps the extents, which is right for squares alone"
//| status = ["wrong-result", "fault", "findings"]
//| says = "elements wrong|out-of-bounds"

extern "C" __global__ void transpose(const float* x, float* y, int m, int n) {
    int col = blockIdx.x * 32 + threadIdx.x;
    for (int i = threadIdx.y; i < 32; i += 8) {
        int row = blockIdx.y * 32 + i;
        if (row < m && col < n) y[(size_t)col * n + row] = x[(size_t)row * n + col];
    }
}
