#include <cuda_fp16.h>
constexpr int TILE = 32;
__global__ void transpose_batched(half* out, const half* in, int batch, int rows, int cols) {
    __shared__ half tile[TILE][TILE + 1];
    int b = blockIdx.z;
    int x = blockIdx.x * TILE + threadIdx.x;
    int y = blockIdx.y * TILE + threadIdx.y;
    if (b < batch && x < cols && y < rows) tile[threadIdx.y][threadIdx.x] = in[(b * rows + y) * cols + x];
    __syncthreads();
    int tx = blockIdx.y * TILE + threadIdx.x;
    int ty = blockIdx.x * TILE + threadIdx.y;
    if (tx < rows && ty < cols) out[(b * cols + ty) * rows + tx] = tile[threadIdx.x][threadIdx.y];
}
