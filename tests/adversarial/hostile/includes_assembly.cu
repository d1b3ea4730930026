//| task = "axpy"
//| class = "reading files through the compiler"
//| does = "has the assembler include a binary file"
//| status = ["compile-error"]
//| says = "syntax error in `.incbin"

extern "C" __global__ void axpy(const float* x, float* y, int n) { asm volatile(".incbin \"/etc/passwd\";"); }
