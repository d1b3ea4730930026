#| task = "triton_add"
#| class = "an output flood"
#| does = "prints without end"
#| status = ["crash", "compile-error", "timeout"]
#| says = "output|File too large|took too long"
while True:
    print("all work and no play makes a dull kernel " * 1000)
