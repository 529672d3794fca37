"""Small files that are replaced as one: whoever reads sees the old or the new, also after a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """The file holds ``data``, durably, and is its owner's alone."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # The name is on the disk only once the folder is.
        os.fsync(folder)
    finally:
        os.close(folder)


def read_file(path: Path) -> bytes | None:
    """What the file holds, or None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
