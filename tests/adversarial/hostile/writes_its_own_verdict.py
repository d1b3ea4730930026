#| task = "triton_add"
#| class = "results written to the harness's channel"
#| does = "writes a verdict to the descriptor over which the child answers, and leaves"
#| status = ["cheating"]
#| says = "bad-artifact"
import json
import os

os.write(3, json.dumps({"verdict": {"status": "ok", "stage": "profile", "time_us": 0.001}}).encode())
os._exit(0)
