//| task = "axpy"
//| class = "attacks through the assembler"
//| does = "ends the function from inline assembly and begins an entry of its own"
//| status = ["compile-error"]
//| says = "syntax error in `.file"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    asm volatile("ret; } .visible .entry other() { ret;");
    asm volatile(".file 9 \"/etc/passwd\" } { ");
}
