"""A gate in the middle of a commit: what comes just then can be arranged instead of hoped for."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.node.engine.town import ANSWER_SECONDS


class Gate:
    """An `on_step` that holds the engine at a step while a `with` block runs, and counts all steps."""

    def __init__(self) -> None:
        self.steps: Counter[str] = Counter()
        self._step: str | None = None
        self._reached = threading.Event()
        self._open = threading.Event()

    def __call__(self, step: str) -> None:
        self.steps[step] += 1
        if step == self._step:
            self._step = None
            self._reached.set()
            assert self._open.wait(ANSWER_SECONDS)

    def close(self, step: str) -> None:
        """The engine will stop right after this step, once."""
        self._reached.clear()
        self._open.clear()
        self._step = step

    @contextmanager
    def held(self) -> Iterator[None]:
        """The engine stands at the gate; afterwards it goes on."""
        try:
            assert self._reached.wait(ANSWER_SECONDS), "the engine never came to the gate"
            yield
        finally:
            self._open.set()
