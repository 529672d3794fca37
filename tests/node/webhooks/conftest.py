"""A node's core that has traded, its webhooks, and servers that they lead to."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("tests.node.webhooks.receiver", "tests.node.api.desk")

from ledger.errors import Refused  # noqa: E402 - after its assertions were made to tell
from node.access import parse_role  # noqa: E402
from node.api.entries import find_entry  # noqa: E402
from node.api.view import View  # noqa: E402
from node.feed import Feed  # noqa: E402
from node.webhooks.delivery import Webhooks  # noqa: E402
from tests.node.api.desk import Desk  # noqa: E402
from tests.node.webhooks.receiver import Receiver  # noqa: E402


class Post:
    """A desk whose node delivers webhooks: opened again over the same file as often as a test likes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "webhooks.db"
        self._threads_before = set(threading.enumerate())
        self._desk: Desk | None = None
        self._folder = folder
        self.feed: Feed
        self.webhooks: Webhooks | None = None

    def open(self, **how: Any) -> Webhooks:
        """Webhooks that lead to this machine, and wait for next to nothing between attempts."""
        if self._desk is None:
            self._desk = Desk(self._folder)
            self.feed = Feed(self.desk.core)
            self.desk.core.on_block = lambda _seconds, _block: self.feed.bell.ring()
        how = {"to_private": True, "wait": lambda _attempt, _seconds: 20, **how}
        self.webhooks = Webhooks(self.path, feed=self.feed, **how)
        self.webhooks.start()
        return self.webhooks

    @property
    def desk(self) -> Desk:
        """The desk."""
        assert self._desk is not None
        return self._desk

    def list_visible(self, role: str, *, after: int = 0) -> list[int]:
        """What the asker may fetch one by one."""
        view = View(self.desk.app._api.state.site.core)
        found = []
        for index in range(after + 1, view.head.size):
            with contextlib.suppress(Refused):
                found.append(find_entry(view, index, parse_role(role)).place)
        return found

    def wait_for_state(self, endpoint_id: str, state: str) -> Any:
        """The endpoint, once it is in this state."""
        assert self.webhooks is not None
        for _ in range(400):
            endpoint = self.webhooks.store.find(endpoint_id)
            if endpoint is not None and endpoint.state == state:
                return endpoint
            time.sleep(0.02)
        raise TimeoutError(endpoint)

    def wait_for_cursor(self, endpoint: Any, cursor: int) -> None:
        """Everything up to there is done, and written down."""
        assert self.webhooks is not None
        for _ in range(400):
            if self.webhooks.store.find(endpoint.id).cursor >= cursor:
                return
            time.sleep(0.02)
        raise TimeoutError(self.webhooks.store.find(endpoint.id))

    def stop(self) -> None:
        """Nothing is delivered any more."""
        if self.webhooks is not None:
            self.webhooks.stop()
            self.webhooks = None

    def close(self) -> None:
        self.stop()
        if self._desk is not None:
            self._desk.close()
        left = set(threading.enumerate()) - self._threads_before
        assert "webhooks" not in {thread.name for thread in left}


@pytest.fixture
def post(tmp_path):
    post = Post(tmp_path)
    yield post
    post.close()


@pytest.fixture
def receive():
    """Makes receivers, and leaves none behind."""
    made = []

    def make(*arguments: Any, **how: Any) -> Receiver:
        made.append(Receiver(*arguments, **how))
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()
