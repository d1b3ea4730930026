// One step of a 7-point stencil in three dimensions; beyond the grid everything is 0.

constexpr int X = 32;
constexpr int Y = 8;

__device__ float value(const float* u, int x, int y, int z, int nx, int ny, int nz) {
    bool inside = 0 <= x && x < nx && 0 <= y && y < ny && 0 <= z && z < nz;
    return inside ? u[(static_cast<long long>(z) * ny + y) * nx + x] : 0.0f;
}

// Each thread has a point and reads all seven values.
extern "C" __global__ void stencil_naive(const float* __restrict__ u, float* __restrict__ v, int nx, int ny, int nz,
                                         float centre, float side) {
    int x = blockIdx.x * X + threadIdx.x;
    int y = blockIdx.y * Y + threadIdx.y;
    int z = blockIdx.z;
    if (x >= nx || y >= ny) return;
    float sides = value(u, x - 1, y, z, nx, ny, nz) + value(u, x + 1, y, z, nx, ny, nz) +
                  value(u, x, y - 1, z, nx, ny, nz) + value(u, x, y + 1, z, nx, ny, nz) +
                  value(u, x, y, z - 1, nx, ny, nz) + value(u, x, y, z + 1, nx, ny, nz);
    v[(static_cast<long long>(z) * ny + y) * nx + x] = centre * value(u, x, y, z, nx, ny, nz) + side * sides;
}

// A block goes through DEPTH planes: the current one with its rim is in shared memory, the points below and above are in
// registers, so that each value is read about once.
template <int DEPTH>
__global__ void stencil_marching(const float* __restrict__ u, float* __restrict__ v, int nx, int ny, int nz, float centre,
                                 float side) {
    __shared__ float plane[Y + 2][X + 2];
    int tx = threadIdx.x + 1;
    int ty = threadIdx.y + 1;
    int x = blockIdx.x * X + threadIdx.x;
    int y = blockIdx.y * Y + threadIdx.y;
    int first = blockIdx.z * DEPTH;
    int end = min(first + DEPTH, nz);

    float below = value(u, x, y, first - 1, nx, ny, nz);
    float here = value(u, x, y, first, nx, ny, nz);
    for (int z = first; z < end; ++z) {
        float above = value(u, x, y, z + 1, nx, ny, nz);
        plane[ty][tx] = here;
        if (threadIdx.x == 0) plane[ty][0] = value(u, x - 1, y, z, nx, ny, nz);
        if (threadIdx.x == X - 1) plane[ty][X + 1] = value(u, x + 1, y, z, nx, ny, nz);
        if (threadIdx.y == 0) plane[0][tx] = value(u, x, y - 1, z, nx, ny, nz);
        if (threadIdx.y == Y - 1) plane[Y + 1][tx] = value(u, x, y + 1, z, nx, ny, nz);
        __syncthreads();
        float sides = plane[ty][tx - 1] + plane[ty][tx + 1] + plane[ty - 1][tx] + plane[ty + 1][tx] + below + above;
        if (x < nx && y < ny) v[(static_cast<long long>(z) * ny + y) * nx + x] = centre * here + side * sides;
        __syncthreads();
        below = here;
        here = above;
    }
}
