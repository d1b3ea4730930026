"""What children may import and read: libraries and this project, not the folder of the script that was started."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = """
import json
from optiml.isolate.client import ZygoteClient
from optiml.isolate.libraries import library_folders
from optiml.isolate.limits import ChildLimits

if __name__ == "__main__":
    with ZygoteClient("tests.optiml.isolate.hostile:answer", 1) as client:
        request = {"do": "attempt", "code": CODE}
        reply = client.wait(client.submit(request, ChildLimits(wall_s=30.0, memory_bytes=512 << 20)))
    print(json.dumps({"reply": reply, "folders": [str(p) for p in library_folders()]}))
"""


def test_a_script_beside_secrets_shuts_them_out(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("to be kept")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("CODE", repr(f"open({str(secret)!r})")))
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert str(tmp_path) not in told["folders"]
    assert str(ROOT) in told["folders"]
    # Landlock denies it; within bubblewrap it is not even there.
    assert told["reply"]["answer"]["error"].startswith(("PermissionError", "FileNotFoundError"))
