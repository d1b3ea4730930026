// Kernels that do nothing but move memory: read, fill, copy, scale, triad, and a sum of everything.
// T is the element of one access (double or double2); a thread makes ITEMS of them, BLOCK apart, all in flight at once.
// n counts elements of T.

__device__ double times(double s, double x) {
    return s * x;
}
__device__ double2 times(double s, double2 x) {
    return make_double2(s * x.x, s * x.y);
}
__device__ double plus(double x, double y) {
    return x + y;
}
__device__ double2 plus(double2 x, double2 y) {
    return make_double2(x.x + y.x, x.y + y.y);
}
__device__ double sum(double x) {
    return x;
}
__device__ double sum(double2 x) {
    return x.x + x.y;
}

// Loads this thread's elements of x; those beyond its end are 0.
template <typename T, int ITEMS, int BLOCK>
__device__ void load(T (&items)[ITEMS], const T* x, int n) {
    int first = blockIdx.x * (BLOCK * ITEMS) + threadIdx.x;
#pragma unroll
    for (int i = 0; i < ITEMS; ++i) {
        items[i] = T();
        if (first + i * BLOCK < n) items[i] = x[first + i * BLOCK];
    }
}

template <typename T, int ITEMS, int BLOCK>
__device__ void store(T* x, const T (&items)[ITEMS], int n) {
    int first = blockIdx.x * (BLOCK * ITEMS) + threadIdx.x;
#pragma unroll
    for (int i = 0; i < ITEMS; ++i)
        if (first + i * BLOCK < n) x[first + i * BLOCK] = items[i];
}

__device__ bool equals(double x, double y) {
    return x == y;
}
__device__ bool equals(double2 x, double y) {
    return x.x == y || x.y == y;
}

// found counts the accesses that have `wanted` in them, which are rare or none.
template <typename T, int ITEMS, int BLOCK>
__global__ void __launch_bounds__(BLOCK) read(int* __restrict__ found, const T* __restrict__ b, int n, double wanted) {
    T items[ITEMS];
    load<T, ITEMS, BLOCK>(items, b, n);
    for (int i = 0; i < ITEMS; ++i)
        if (equals(items[i], wanted)) atomicAdd(found, 1);
}

__device__ double2 plus(double2 x, double y) {
    return make_double2(x.x + y, x.y + y);
}

// a = s
template <typename T, int ITEMS, int BLOCK>
__global__ void __launch_bounds__(BLOCK) fill(T* __restrict__ a, int n, double s) {
    T items[ITEMS];
    for (int i = 0; i < ITEMS; ++i) items[i] = plus(T(), s);
    store<T, ITEMS, BLOCK>(a, items, n);
}

// a = b
template <typename T, int ITEMS, int BLOCK>
__global__ void __launch_bounds__(BLOCK) copy(T* __restrict__ a, const T* __restrict__ b, int n) {
    T items[ITEMS];
    load<T, ITEMS, BLOCK>(items, b, n);
    store<T, ITEMS, BLOCK>(a, items, n);
}

// a = s * b
template <typename T, int ITEMS, int BLOCK>
__global__ void __launch_bounds__(BLOCK) scale(T* __restrict__ a, const T* __restrict__ b, int n, double s) {
    T items[ITEMS];
    load<T, ITEMS, BLOCK>(items, b, n);
    for (int i = 0; i < ITEMS; ++i) items[i] = times(s, items[i]);
    store<T, ITEMS, BLOCK>(a, items, n);
}

// a = s * b + c
template <typename T, int ITEMS, int BLOCK>
__global__ void __launch_bounds__(BLOCK)
    triad(T* __restrict__ a, const T* __restrict__ b, const T* __restrict__ c, int n, double s) {
    T left[ITEMS], right[ITEMS];
    load<T, ITEMS, BLOCK>(left, b, n);
    load<T, ITEMS, BLOCK>(right, c, n);
    for (int i = 0; i < ITEMS; ++i) left[i] = plus(times(s, left[i]), right[i]);
    store<T, ITEMS, BLOCK>(a, left, n);
}

// total += sum of b: in registers, across a warp, in shared memory, and one atomic addition for each block.
template <typename T, int ITEMS, int BLOCK>
__global__ void __launch_bounds__(BLOCK) reduction(double* __restrict__ total, const T* __restrict__ b, int n) {
    __shared__ double partial[BLOCK / 32];
    T items[ITEMS];
    load<T, ITEMS, BLOCK>(items, b, n);
    double mine = 0.0;
    for (int i = 0; i < ITEMS; ++i) mine += sum(items[i]);
    for (int distance = 16; distance > 0; distance /= 2) mine += __shfl_xor_sync(~0u, mine, distance);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = mine;
    __syncthreads();
    if (threadIdx.x > 0) return;
    for (int warp = 1; warp < BLOCK / 32; ++warp) mine += partial[warp];
    atomicAdd(total, mine);
}
