"""Watching a process of ours at its system calls, before and after each: what `ptrace` of Linux gives to
anybody over a child that asks for it.

The kernel stops the traced thread at the calls that a filter names, so what is seen is what the process
really asked of the system, in the order in which it did, whichever library or thread did it. Nothing is
needed but Python and a Linux kernel of 5.3 or later; what the calls mean is for whoever watches.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct
from pathlib import Path
from typing import NamedTuple, Protocol

_NUMBERS = {
    "x86_64": {
        "write": 1, "mmap": 9, "pwrite64": 18, "writev": 20, "sendfile": 40, "fsync": 74,
        "fdatasync": 75, "truncate": 76, "ftruncate": 77, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85,
        "link": 86, "unlink": 87, "open": 2, "sync": 162, "openat": 257, "mkdirat": 258, "unlinkat": 263,
        "renameat": 264, "linkat": 265, "splice": 275, "sync_file_range": 277, "fallocate": 285,
        "pwritev": 296, "syncfs": 306, "renameat2": 316, "copy_file_range": 326, "pwritev2": 328,
        "io_uring_setup": 425, "openat2": 437,
    },
    "aarch64": {
        "mkdirat": 34, "unlinkat": 35, "linkat": 37, "renameat": 38, "truncate": 45, "ftruncate": 46,
        "fallocate": 47, "openat": 56, "write": 64, "writev": 66, "pwrite64": 68, "pwritev": 70,
        "sendfile": 71, "splice": 76, "sync": 81, "fsync": 82, "fdatasync": 83, "sync_file_range": 84,
        "mmap": 222, "syncfs": 267, "renameat2": 276, "copy_file_range": 285, "pwritev2": 287,
        "io_uring_setup": 425, "openat2": 437,
    },
}  # fmt: skip
"""Every call by which a process can change what is on a disk, or ask that it stay there."""

# These numbers are those of the manual pages ptrace, seccomp, prctl and waitpid, all in section 2.
_TRACEME, _CONT, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 7, 24, 0x4200, 0x420E
_OPTIONS = 0x1 | 0x8 | 0x80 | 0x100000
"""System calls are told from signals; threads and filters are traced; nothing traced outlives who traces it.
"""
_EVENT_SECCOMP = 7
_OP_EXIT, _OP_SECCOMP = 2, 3
_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_RET_TRACE, _RET_ALLOW = 0x7FF00000, 0x7FFF0000
_BPF_LOAD, _BPF_JUMP_EQUAL, _BPF_RETURN = 0x20, 0x15, 0x06
_WAIT_ALL = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


class Call(NamedTuple):
    """A system call as it is entered."""

    thread: int
    name: str
    arguments: tuple[int, ...]


class Watcher(Protocol):
    """Whoever wants to know."""

    def enter(self, call: Call) -> bool:
        """The call is about to be made; whether to say how it ended."""
        ...

    def leave(self, call: Call, result: int) -> None:
        """It has been made; below zero the result is an error's number."""
        ...


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def ask_to_be_traced() -> None:
    """This process and the threads it will start stop at every call named above, once the parent lets it go
    on. To be called in a fresh fork.
    """
    _check(_libc.ptrace(_TRACEME, 0, None, None))
    os.kill(os.getpid(), signal.SIGSTOP)
    numbers = list(_get_numbers().values())
    # The number of the call is the first word of what a filter sees.
    code = [struct.pack("<HBBI", _BPF_LOAD, 0, 0, 0)]
    code += [
        struct.pack("<HBBI", _BPF_JUMP_EQUAL, len(numbers) - place, 0, number)
        for place, number in enumerate(numbers)
    ]
    code += [struct.pack("<HBBI", _BPF_RETURN, 0, 0, verdict) for verdict in (_RET_ALLOW, _RET_TRACE)]
    data = ctypes.create_string_buffer(b"".join(code))
    program = _Filter(len(code), ctypes.addressof(data))
    _check(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    _check(_libc.prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program)))


def follow(pid: int, watcher: Watcher) -> int:
    """Let a fork that asks to be traced run to its end, telling what it does: its wait status."""
    names = {number: name for name, number in _get_numbers().items()}
    stopped, status = os.waitpid(pid, 0)
    if (stopped, os.WIFSTOPPED(status)) != (pid, True):
        raise OSError(f"the fork ended before it could be traced: {status}")
    _check(_libc.ptrace(_SETOPTIONS, pid, None, _OPTIONS))
    _resume(_CONT, pid)
    under_way: dict[int, Call] = {}
    begun = {pid}
    while True:
        thread, status = os.waitpid(-1, _WAIT_ALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            under_way.pop(thread, None)
            if thread == pid:
                return status
            continue
        request, told = _CONT, os.WSTOPSIG(status)
        try:
            if status >> 16 == _EVENT_SECCOMP:
                number, *arguments = _read_call(thread, _OP_SECCOMP, 7)
                call = Call(thread, names[number], tuple(arguments))
                if watcher.enter(call):
                    under_way[thread] = call
                    request = _SYSCALL
                told = 0
            elif told == signal.SIGTRAP | 0x80:
                (result,) = _read_call(thread, _OP_EXIT, 1)
                watcher.leave(under_way.pop(thread), result)
                told = 0
        except OSError:
            # Killed as it stood there: before a call, which it then never made, or after one.
            if not _is_dead(thread):
                raise
            continue
        if status >> 16 or (told == signal.SIGSTOP and thread not in begun):
            # A new thread: first its parent is told, or the thread itself stops.
            told = 0
        begun.add(thread)
        _resume(request, thread, told)


def read_memory(thread: int, address: int, length: int) -> bytes:
    """Bytes of a stopped process."""
    with Path(f"/proc/{thread}/mem").open("rb", buffering=0) as memory:
        data = os.pread(memory.fileno(), length, address)
    if len(data) != length:
        raise OSError(errno.EFAULT, f"{len(data)} of {length} bytes of a process could be read")
    return data


def read_text(thread: int, address: int) -> str:
    """A string of a stopped process, up to its zero byte."""
    found = b""
    while b"\0" not in found:
        # Never across a page's border: the next may not be there.
        room = 4096 - (address + len(found)) % 4096
        found += read_memory(thread, address + len(found), min(room, 256))
    return os.fsdecode(found.split(b"\0", 1)[0])


def _get_numbers() -> dict[str, int]:
    try:
        return _NUMBERS[platform.machine()]
    except KeyError:
        raise OSError(errno.ENOSYS, f"no system call numbers for {platform.machine()}") from None


def _read_call(thread: int, op: int, words: int) -> tuple[int, ...]:
    """The number and arguments of the call a thread is about to make, or the result of the one it made."""
    data = ctypes.create_string_buffer(96)
    _check(_libc.ptrace(_GET_SYSCALL_INFO, thread, ctypes.c_void_p(96), ctypes.addressof(data)))
    if data.raw[0] != op:
        raise OSError(f"a stop of kind {data.raw[0]} instead of {op}")
    return struct.unpack_from(f"<{words}{'q' if op == _OP_EXIT else 'Q'}", data.raw, 24)


def _resume(request: int, thread: int, told: int = 0) -> None:
    result = _libc.ptrace(request, thread, None, told or None)
    # A thread may be killed while it is stopped: then its end is the next that is heard of it.
    if result == -1 and ctypes.get_errno() != errno.ESRCH:
        _check(result)


def _is_dead(thread: int) -> bool:
    """Whether a thread that was stopped is no longer there to be asked."""
    data = ctypes.create_string_buffer(96)
    asked = _libc.ptrace(_GET_SYSCALL_INFO, thread, ctypes.c_void_p(96), ctypes.addressof(data))
    return asked == -1 and ctypes.get_errno() == errno.ESRCH


def _check(result: int) -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)}: this system does not let a process be traced")
