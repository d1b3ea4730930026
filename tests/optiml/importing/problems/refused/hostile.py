import os
import socket
import subprocess
from pathlib import Path

import torch
from torch import nn

size = 64
ATTEMPTS = [
    lambda: Path(os.environ.get("CANARY", "/etc/passwd")).read_text(),
    lambda: Path("/tmp/optiml-import-was-here").write_text("x"),
    lambda: socket.create_connection(("127.0.0.1", 80), 1),
    lambda: subprocess.run(["/bin/true"], check=True),
]


def attempt(action):
    try:
        action()
    except OSError:
        return False
    return True


DONE = [attempt(action) for action in ATTEMPTS]


class Model(nn.Module):
    def forward(self, x):
        raise RuntimeError(f"done: {DONE}")


def get_inputs():
    return [torch.rand(size)]


def get_init_inputs():
    return []
