// SGEMM in ten steps: c = alpha * a @ b + beta * c for row-major a (m, k), b (k, n), c (m, n).
// Steps 1 to 3 take any size; from step 4 on, m, n and k are multiples of the tile.

#define SGEMM_PARAMETERS \
    const float *__restrict__ a, const float *__restrict__ b, float *__restrict__ c, int m, int n, int k, float alpha, \
        float beta

__device__ void update(float& c, float product, float alpha, float beta) {
    c = alpha * product + beta * c;
}

__device__ float dot(const float* a, const float* b, int row, int col, int n, int k) {
    float sum = 0.0f;
    for (int i = 0; i < k; ++i) sum += a[row * k + i] * b[i * n + col];
    return sum;
}

// 1: a thread for each output; consecutive threads walk down a column of c. Blocks of 32 x 32.
extern "C" __global__ void sgemm_naive(SGEMM_PARAMETERS) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    int col = blockIdx.y * blockDim.y + threadIdx.y;
    if (row < m && col < n) update(c[row * n + col], dot(a, b, row, col, n, k), alpha, beta);
}

// 2: consecutive threads go along a row of c. From here on blocks have one dimension.
template <int TILE>
__global__ void sgemm_coalesced(SGEMM_PARAMETERS) {
    int row = blockIdx.x * TILE + threadIdx.x / TILE;
    int col = blockIdx.y * TILE + threadIdx.x % TILE;
    if (row < m && col < n) update(c[row * n + col], dot(a, b, row, col, n, k), alpha, beta);
}

// 3: tiles of a and b in shared memory; beyond the matrices they are 0.
template <int TILE>
__global__ void sgemm_shared(SGEMM_PARAMETERS) {
    __shared__ float a_tile[TILE][TILE];
    __shared__ float b_tile[TILE][TILE];
    int i = threadIdx.x / TILE;
    int j = threadIdx.x % TILE;
    int row = blockIdx.x * TILE + i;
    int col = blockIdx.y * TILE + j;

    float sum = 0.0f;
    for (int start = 0; start < k; start += TILE) {
        a_tile[i][j] = row < m && start + j < k ? a[row * k + start + j] : 0.0f;
        b_tile[i][j] = start + i < k && col < n ? b[(start + i) * n + col] : 0.0f;
        __syncthreads();
        for (int e = 0; e < TILE; ++e) sum += a_tile[i][e] * b_tile[e][j];
        __syncthreads();
    }
    if (row < m && col < n) update(c[row * n + col], sum, alpha, beta);
}

// 4: a thread computes TM outputs of one column, so that each element of b is read once for all of them.
// The block has BM * BN / TM threads, and as many as a tile of a or of b has elements.
template <int BM, int BN, int BK, int TM>
__global__ void sgemm_column(SGEMM_PARAMETERS) {
    static_assert(BM * BK == BM * BN / TM && BK * BN == BM * BN / TM, "each thread loads one element of each tile");
    __shared__ float a_tile[BM][BK];
    __shared__ float b_tile[BK][BN];
    int t = threadIdx.x;
    int first_row = t / BN * TM;
    int col = t % BN;
    a += blockIdx.y * BM * k;
    b += blockIdx.x * BN;
    c += blockIdx.y * BM * n + blockIdx.x * BN;

    float sums[TM] = {};
    for (int start = 0; start < k; start += BK) {
        a_tile[t / BK][t % BK] = a[t / BK * k + start + t % BK];
        b_tile[t / BN][t % BN] = b[(start + t / BN) * n + t % BN];
        __syncthreads();
        for (int e = 0; e < BK; ++e) {
            float right = b_tile[e][col];
            for (int i = 0; i < TM; ++i) sums[i] += a_tile[first_row + i][e] * right;
        }
        __syncthreads();
    }
    for (int i = 0; i < TM; ++i) update(c[(first_row + i) * n + col], sums[i], alpha, beta);
}

// Calls `load` with the thread's places in a tile of COUNT elements, of which the block takes STEP at a time; how often
// is known to the compiler, as long as the tile is a multiple of the step.
template <int COUNT, int STEP, class Load>
__device__ void own_part(int first, Load load) {
    for (int i = 0; i < COUNT; i += STEP)
        if (COUNT % STEP == 0 || i + first < COUNT) load(i + first);
}

// An element of shared memory, read by itself: the compilers that the published steps were made with (CUDA 11) do not
// join it with its neighbours where later ones do.
__device__ float alone(const float& element) {
    return *static_cast<const volatile float*>(&element);
}

// 5: a thread computes TM x TN outputs: each element of a and b that it reads takes part in TN or TM of them.
template <int BM, int BN, int BK, int TM, int TN>
__global__ void sgemm_square(SGEMM_PARAMETERS) {
    constexpr int THREADS = BM * BN / (TM * TN);
    __shared__ float a_tile[BM][BK];
    __shared__ float b_tile[BK][BN];
    int t = threadIdx.x;
    int first_row = t / (BN / TN) * TM;
    int first_col = t % (BN / TN) * TN;
    a += blockIdx.y * BM * k;
    b += blockIdx.x * BN;
    c += blockIdx.y * BM * n + blockIdx.x * BN;

    float sums[TM][TN] = {};
    for (int start = 0; start < k; start += BK) {
        own_part<BM * BK, THREADS>(t, [&](int i) { a_tile[i / BK][i % BK] = a[i / BK * k + start + i % BK]; });
        own_part<BK * BN, THREADS>(t, [&](int i) { b_tile[i / BN][i % BN] = b[(start + i / BN) * n + i % BN]; });
        __syncthreads();
        for (int e = 0; e < BK; ++e) {
            float left[TM], right[TN];
            for (int i = 0; i < TM; ++i) left[i] = alone(a_tile[first_row + i][e]);
            for (int j = 0; j < TN; ++j) right[j] = b_tile[e][first_col + j];
            for (int i = 0; i < TM; ++i)
                for (int j = 0; j < TN; ++j) sums[i][j] += left[i] * right[j];
        }
        __syncthreads();
    }
    for (int i = 0; i < TM; ++i)
        for (int j = 0; j < TN; ++j) update(c[(first_row + i) * n + first_col + j], sums[i][j], alpha, beta);
}

// Where a tile of b (BK, BN) keeps an element, and how it is read. Rows: as in global memory.
template <int BK, int BN, int TN>
struct Rows {
    static constexpr int WORDS = BK * BN;
    static __device__ int at(int row, int col) { return row * BN + col; }
    static __device__ float load(const float* tile, int row, int col) { return tile[at(row, col)]; }
    static __device__ void store(float* tile, int row, int col, float4 v) {
        *reinterpret_cast<float4*>(tile + at(row, col)) = v;
    }
};

// Linear: the elements that neighbouring threads read in one instruction, TN columns apart, lie side by side.
template <int BK, int BN, int TN>
struct Linear {
    static constexpr int WORDS = BK * BN;
    static __device__ int at(int row, int col) { return (row * TN + col % TN) * (BN / TN) + col / TN; }
    static __device__ float load(const float* tile, int row, int col) { return tile[at(row, col)]; }
    static __device__ void store(float* tile, int row, int col, float4 v) {
        tile[at(row, col)] = v.x;
        tile[at(row, col + 1)] = v.y;
        tile[at(row, col + 2)] = v.z;
        tile[at(row, col + 3)] = v.w;
    }
};

// Padded: rows are 5 elements farther apart, which moves each to other banks; odd rows are read element by element.
template <int BK, int BN, int TN>
struct Padded {
    static constexpr int WORDS = BK * (BN + 5);
    static __device__ int at(int row, int col) { return row * (BN + 5) + col; }
    static __device__ float load(const float* tile, int row, int col) {
        return row % 2 ? alone(tile[at(row, col)]) : tile[at(row, col)];
    }
    static __device__ void store(float* tile, int row, int col, float4 v) {
        tile[at(row, col)] = v.x;
        tile[at(row, col + 1)] = v.y;
        tile[at(row, col + 2)] = v.z;
        tile[at(row, col + 3)] = v.w;
    }
};

// Loads tiles of a, transposed on the way, and of b, four elements in each access.
template <int BM, int BN, int BK, int THREADS, class Place>
__device__ void load_tiles(float* a_tile, float* b_tile, const float* a, const float* b, int n, int k) {
    own_part<BM * BK, 4 * THREADS>(4 * threadIdx.x, [&](int i) {
        float4 v = *reinterpret_cast<const float4*>(a + i / BK * k + i % BK);
        a_tile[(i % BK) * BM + i / BK] = v.x;
        a_tile[(i % BK + 1) * BM + i / BK] = v.y;
        a_tile[(i % BK + 2) * BM + i / BK] = v.z;
        a_tile[(i % BK + 3) * BM + i / BK] = v.w;
    });
    own_part<BK * BN, 4 * THREADS>(4 * threadIdx.x, [&](int i) {
        Place::store(b_tile, i / BN, i % BN, *reinterpret_cast<const float4*>(b + i / BN * n + i % BN));
    });
}

__device__ float4 updated(float4 c, const float* products, float alpha, float beta) {
    update(c.x, products[0], alpha, beta);
    update(c.y, products[1], alpha, beta);
    update(c.z, products[2], alpha, beta);
    update(c.w, products[3], alpha, beta);
    return c;
}

// 6: as 5 with accesses of four elements, and a transposed in shared memory. 7 and 8: other places for b. 9: other tiles.
template <int BM, int BN, int BK, int TM, int TN, template <int, int, int> class Layout>
__global__ void __launch_bounds__(BM* BN / (TM * TN)) sgemm_vectorised(SGEMM_PARAMETERS) {
    using Place = Layout<BK, BN, TN>;
    constexpr int THREADS = BM * BN / (TM * TN);
    __shared__ __align__(16) float a_tile[BK * BM];
    __shared__ __align__(16) float b_tile[Place::WORDS];
    int first_row = threadIdx.x / (BN / TN) * TM;
    int first_col = threadIdx.x % (BN / TN) * TN;
    a += blockIdx.y * BM * k;
    b += blockIdx.x * BN;
    c += blockIdx.y * BM * n + blockIdx.x * BN;

    float sums[TM][TN] = {};
    for (int start = 0; start < k; start += BK) {
        load_tiles<BM, BN, BK, THREADS, Place>(a_tile, b_tile, a + start, b + start * n, n, k);
        __syncthreads();
        for (int e = 0; e < BK; ++e) {
            float left[TM], right[TN];
            for (int i = 0; i < TM; ++i) left[i] = a_tile[e * BM + first_row + i];
            for (int j = 0; j < TN; ++j) right[j] = Place::load(b_tile, e, first_col + j);
            for (int i = 0; i < TM; ++i)
                for (int j = 0; j < TN; ++j) sums[i][j] += left[i] * right[j];
        }
        __syncthreads();
    }
    for (int i = 0; i < TM; ++i)
        for (int j = 0; j < TN; j += 4) {
            float4* place = reinterpret_cast<float4*>(c + (first_row + i) * n + first_col + j);
            *place = updated(*place, &sums[i][j], alpha, beta);
        }
}

// 10: a warp owns WM x WN outputs, and goes over them in PARTS bands of columns; in each band a thread has TM x TN.
template <int BM, int BN, int BK, int WM, int WN, int PARTS, int TM, int TN>
__global__ void __launch_bounds__(BM* BN / (WM * WN) * 32) sgemm_warp_tiled(SGEMM_PARAMETERS) {
    constexpr int THREADS = BM * BN / (WM * WN) * 32;
    constexpr int BAND = WN / PARTS;
    static_assert(WM / TM * (BAND / TN) == 32, "the threads of a warp cover a band");
    using Place = Rows<BK, BN, TN>;
    __shared__ __align__(16) float a_tile[BK * BM];
    __shared__ __align__(16) float b_tile[Place::WORDS];
    int warp = threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    int first_row = warp / (BN / WN) * WM + lane / (BAND / TN) * TM;
    int first_col = warp % (BN / WN) * WN + lane % (BAND / TN) * TN;
    a += blockIdx.y * BM * k;
    b += blockIdx.x * BN;
    c += blockIdx.y * BM * n + blockIdx.x * BN;

    float sums[TM][PARTS][TN] = {};
    for (int start = 0; start < k; start += BK) {
        load_tiles<BM, BN, BK, THREADS, Place>(a_tile, b_tile, a + start, b + start * n, n, k);
        __syncthreads();
        for (int e = 0; e < BK; ++e) {
            float left[TM], right[PARTS][TN];
            for (int i = 0; i < TM; ++i) left[i] = a_tile[e * BM + first_row + i];
            for (int p = 0; p < PARTS; ++p)
                for (int j = 0; j < TN; ++j) right[p][j] = Place::load(b_tile, e, first_col + p * BAND + j);
            for (int i = 0; i < TM; ++i)
                for (int p = 0; p < PARTS; ++p)
                    for (int j = 0; j < TN; ++j) sums[i][p][j] += left[i] * right[p][j];
        }
        __syncthreads();
    }
    for (int i = 0; i < TM; ++i)
        for (int p = 0; p < PARTS; ++p)
            for (int j = 0; j < TN; j += 4) {
                float4* place = reinterpret_cast<float4*>(c + (first_row + i) * n + first_col + p * BAND + j);
                *place = updated(*place, &sums[i][p][j], alpha, beta);
            }
}
