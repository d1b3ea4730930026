// A product of square matrices, each thread leaves early if it has no element.
#define TILE 16

extern "C" __global__ void product(float *R, const float *P, const float *Q, int width) {
    int tx = threadIdx.x, ty = threadIdx.y;
    int col = tx + blockIdx.x * TILE;
    int row = ty + blockIdx.y * TILE;

    if (row >= width || col >= width) return;
    float acc = 0.f;
    for (int k = 0; k < width; k++) {
        float p = P[row * width + k];
        float q = Q[k * width + col];
        acc = acc + p * q;
    }
    R[row * width + col] = acc;
}
