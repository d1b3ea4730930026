#| task = "triton_add"
#| class = "an output flood"
#| does = "answers without end"
#| status = ["crash"]
#| says = "answer of more than"
import os

while True:
    os.write(3, b"[" * (1 << 20))
