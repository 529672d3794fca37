"""Programs that are killed while they work, and what they had told by then."""

from __future__ import annotations

import signal
import subprocess
import sys


def kill_after(command, lines, repository):
    """What the program had told when it was killed, the moment that it told so much."""
    process = subprocess.Popen(
        [sys.executable, "-c", *command], stdout=subprocess.PIPE, text=True, cwd=repository
    )
    told = [process.stdout.readline().strip() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    told += process.stdout.read().splitlines()
    process.stdout.close()
    assert process.wait(30) == -signal.SIGKILL
    return [line for line in told if line]
