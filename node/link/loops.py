"""The event loop that cores and workers run on: the one uvicorn would choose."""

from __future__ import annotations

import asyncio

from uvicorn.loops.auto import auto_loop_factory


def make_runner() -> asyncio.Runner:
    """A runner of such a loop."""
    return asyncio.Runner(loop_factory=auto_loop_factory())
