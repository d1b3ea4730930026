// Transposition, a thread for each element by its number.

__global__ void transpose_flat(const float* in, float* out, int R, int C) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < R * C) {
        int r = i / C;
        int c = i % C;
        out[c * R + r] = in[r * C + c];
    }
}
