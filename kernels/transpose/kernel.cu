// Transposition of a matrix in five steps. All but the last use blocks of 32 x 8 threads for tiles of 32 x 32.

constexpr int TILE = 32;
constexpr int STRIPE = 8;

// 1: reads along rows, writes along columns: each warp writes to 32 different sectors.
extern "C" __global__ void transpose_naive(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
    int col = blockIdx.x * TILE + threadIdx.x;
    for (int j = 0; j < TILE; j += STRIPE) {
        int row = blockIdx.y * TILE + threadIdx.y + j;
        if (row < rows && col < cols)
            y[static_cast<long long>(col) * rows + row] = x[static_cast<long long>(row) * cols + col];
    }
}

// The place of an element in a tile whose rows are TILE + PAD apart.
template <int PAD>
struct Padded {
    static constexpr int WORDS = TILE * (TILE + PAD);
    static __device__ int at(int row, int col) { return row * (TILE + PAD) + col; }
};

// The place of an element in a tile with each row permuted by its number: a column touches every bank, with no padding.
struct Swizzled {
    static constexpr int WORDS = TILE * TILE;
    static __device__ int at(int row, int col) { return row * TILE + (col ^ row); }
};

// 2 to 4: through shared memory, so that both sides go along rows; the place decides on bank conflicts.
template <class Place>
__device__ void transpose_tile(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
    __shared__ float tile[Place::WORDS];
    int first_row = blockIdx.y * TILE;
    int first_col = blockIdx.x * TILE;

    for (int j = threadIdx.y; j < TILE; j += STRIPE) {
        int row = first_row + j;
        int col = first_col + threadIdx.x;
        if (row < rows && col < cols) tile[Place::at(j, threadIdx.x)] = x[static_cast<long long>(row) * cols + col];
    }
    __syncthreads();
    for (int j = threadIdx.y; j < TILE; j += STRIPE) {
        int row = first_col + j;
        int col = first_row + threadIdx.x;
        if (row < cols && col < rows) y[static_cast<long long>(row) * rows + col] = tile[Place::at(threadIdx.x, j)];
    }
}

extern "C" __global__ void transpose_shared(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
    transpose_tile<Padded<0>>(x, y, rows, cols);
}

extern "C" __global__ void transpose_padded(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
    transpose_tile<Padded<1>>(x, y, rows, cols);
}

extern "C" __global__ void transpose_swizzled(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
    transpose_tile<Swizzled>(x, y, rows, cols);
}

// Four elements of a row from `col` on; one access where rows start at multiples of 16 bytes.
__device__ void load4(float (&values)[4], const float* row, int col, int cols) {
    if (cols % 4 == 0) {
        if (col >= cols) return;
        float4 v = *reinterpret_cast<const float4*>(row + col);
        values[0] = v.x, values[1] = v.y, values[2] = v.z, values[3] = v.w;
        return;
    }
    for (int i = 0; i < 4; ++i)
        if (col + i < cols) values[i] = row[col + i];
}

__device__ void store4(float* row, int col, int cols, const float (&values)[4]) {
    if (cols % 4 == 0) {
        if (col < cols) *reinterpret_cast<float4*>(row + col) = make_float4(values[0], values[1], values[2], values[3]);
        return;
    }
    for (int i = 0; i < 4; ++i)
        if (col + i < cols) row[col + i] = values[i];
}

// 5: four elements for each thread and access; blocks of 256 threads.
extern "C" __global__ void transpose_float4(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
    __shared__ float tile[Swizzled::WORDS];
    int first_row = blockIdx.y * TILE;
    int first_col = blockIdx.x * TILE;
    int i = threadIdx.x / (TILE / 4);
    int j = threadIdx.x % (TILE / 4) * 4;
    float values[4] = {};

    if (first_row + i < rows) load4(values, x + static_cast<long long>(first_row + i) * cols, first_col + j, cols);
    for (int e = 0; e < 4; ++e) tile[Swizzled::at(i, j + e)] = values[e];
    __syncthreads();
    for (int e = 0; e < 4; ++e) values[e] = tile[Swizzled::at(j + e, i)];
    if (first_col + i < cols) store4(y + static_cast<long long>(first_col + i) * rows, first_row + j, rows, values);
}
