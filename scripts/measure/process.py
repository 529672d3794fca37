"""What a process and its children cost: processor time and memory, as the kernel tells them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")


def get_cpu_seconds(pid: int) -> float:
    """Processor seconds of a process and of all its children, those that have ended included."""
    return sum(_get_own_cpu_seconds(each) for each in list_family(pid))


def get_resident_bytes(pid: int) -> int:
    """What a process and its children hold in memory now. Shared pages count once for each of them."""
    return sum(_read_status(each, "VmRSS") for each in list_family(pid))


def get_peak_resident_bytes(pid: int) -> int:
    """The most that a process held, and each of its children, since its program was started.

    (`ru_maxrss` would count what the process that started it had held.)
    """
    return sum(_read_status(each, "VmHWM") for each in list_family(pid))


def list_family(pid: int) -> list[int]:
    """The process, its children, and theirs."""
    found = [pid]
    for each in found:
        for task in _list(_PROC / str(each) / "task"):
            found += [int(child) for child in _read(task / "children").split()]
    return found


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _read(path: Path) -> str:
    """What the kernel says there; nothing of a process that has just ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _get_own_cpu_seconds(pid: int) -> float:
    fields = _read(_PROC / str(pid) / "stat").rpartition(")")[2].split()
    # utime, stime, and both again for children that have ended and were waited for.
    return sum(int(field) for field in fields[11:15]) / _TICKS


def _read_status(pid: int, name: str) -> int:
    for line in _read(_PROC / str(pid) / "status").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return 0
