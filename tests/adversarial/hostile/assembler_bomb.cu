//| task = "axpy"
//| class = "a compiler bomb"
//| does = "unrolls loops within loops, for the assembler to allocate a million registers"
//| status = ["timeout", "crash", "compile-error"]
//| says = "took too long|memory"
//| compile_s = 4.0

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    float held[512];
#pragma unroll
    for (int i = 0; i < 512; ++i) held[i] = x[i * n];
#pragma unroll
    for (int i = 0; i < 512; ++i)
#pragma unroll
        for (int j = 0; j < 512; ++j) held[j] = fmaf(held[i], held[j], __sinf(held[(i + j) % 512]));
#pragma unroll
    for (int i = 0; i < 512; ++i) y[i] = held[i];
}
