#| task = "triton_add"
#| class = "an output flood"
#| does = "fills the disk with files that are each small enough"
#| status = ["crash", "compile-error"]
#| says = "files|disk"
number = 0
while True:
    with open(f"{number}.bin", "wb") as file:
        file.write(bytes(32 << 20))
    number += 1
