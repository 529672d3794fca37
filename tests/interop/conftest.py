"""Other people's programs, built once a checkout or once a run; where Go is missing, a clear word instead."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

FSCK = "github.com/transparency-dev/tessera/cmd/fsck"
FSCK_VERSION = "v1.0.4"


@pytest.fixture(scope="session")
def go():
    """The Go tool."""
    found = shutil.which("go")
    if found is None:
        pytest.skip("Go is not installed, so nothing is compared with Go's implementations")
    return found


@pytest.fixture(scope="session")
def logcheck(go, tmp_path_factory):
    """Runs our own small Go program: ``logcheck(command, document)`` answers the finished process."""
    program = tmp_path_factory.mktemp("logcheck") / "logcheck"
    folder = Path(__file__).parent / "logcheck"
    subprocess.run([go, "build", "-mod=readonly", "-o", program, "."], cwd=folder, check=True, timeout=250)

    def run(command, document):
        return subprocess.run(
            [program, command], input=document, capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.fixture(scope="session")
def fsck(go, repository):
    """Tessera's own checker of tiled logs, installed once into .tools/bin of this checkout."""
    folder = repository / ".tools" / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "fsck"
    with (folder / "fsck.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = subprocess.run([go, "version", "-m", program], capture_output=True, text=True, check=False)
        if f"\t{FSCK_VERSION}\t" not in known.stdout:
            subprocess.run(
                [go, "install", f"{FSCK}@{FSCK_VERSION}"],
                env={**os.environ, "GOBIN": str(folder)},
                check=True,
                timeout=280,
            )
    return program
