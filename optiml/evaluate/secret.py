"""The secret of this user by which seeds of checks are drawn: who knows a run's seed still cannot foresee its inputs.

It lies in the user's cache folder, where no candidate can read it, and stays: the same run draws the same again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_BYTES = 32


def secret_seed(seed: int, purpose: str, key: str) -> int:
    """A seed of 31 bits for one check of one candidate.

    >>> secret_seed(0, "search", "ab") == secret_seed(0, "confirm", "ab")
    False
    """
    digest = hashlib.blake2b(f"{seed} {purpose} {key}".encode(), digest_size=4, key=_secret(_file())).digest()
    return int.from_bytes(digest, "little") >> 1


def _file(environment: Mapping[str, str] = os.environ) -> Path:
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "optiml" / "secret"


@cache
def _secret(file: Path) -> bytes:
    """What the file holds; a new secret is put there, and where that cannot be done it is for this process alone."""
    made = secrets.token_bytes(_BYTES)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as new:
            new.write(made)
    except FileExistsError:
        return file.read_bytes()[:_BYTES] or made
    except OSError:
        return made
    return made
