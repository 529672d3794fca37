"""A client of event streams as WHATWG describes one, and a desk on a real socket for it to talk to."""

from __future__ import annotations

import contextlib
import threading
import time

import httpx2
import msgspec
import uvicorn

from ledger.errors import Refused
from node.access import parse_role
from node.api.entries import find_entry
from node.api.server import make_server_config
from node.api.view import View
from tests.node.api.desk import Desk

STREAM = {"accept": "text/event-stream"}


class Event(msgspec.Struct):
    """One block of a stream, as a client reads it."""

    id: str | None = None
    event: str = ""
    data: str = ""
    comment: bool = False


def read_events(lines):
    """The blocks of a stream, one after another, as the WHATWG parser cuts them."""
    event = Event()
    for line in lines:
        if not line:
            yield event
            event = Event()
        elif line.startswith(":"):
            event.comment = True
        else:
            name, _, value = line.partition(": ")
            if name != "retry":
                setattr(event, name, value)


class Client:
    """A client with one open stream, whose blocks are read one at a time."""

    def __init__(self, url: str, headers: dict[str, str], path: str = "/v1/events") -> None:
        self._stack = contextlib.ExitStack()
        http = self._stack.enter_context(httpx2.Client(base_url=url, timeout=20))
        self.answer = self._stack.enter_context(http.stream("GET", path, headers={**headers, **STREAM}))
        self._events = read_events(self.answer.iter_lines())
        self.last_id = ""

    def next(self) -> Event:
        """The next block that says something."""
        for event in self._events:
            self.last_id = event.id or self.last_id
            if event.data or event.comment:
                return event
        raise EOFError

    def take(self, count: int) -> list[dict]:
        """The next so many entries."""
        found = []
        while len(found) < count:
            event = self.next()
            if event.data:
                found.append(msgspec.json.decode(event.data))
        return found

    def close(self) -> None:
        self._stack.close()


class Served:
    """A desk on a real socket, with a feed that can be closed as a stopping node closes it."""

    def __init__(self, folder) -> None:
        self.desk = Desk(folder)
        self.feed = self.desk.app._api.state.site.feed
        self.server = uvicorn.Server(make_server_config(self.desk.app))
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"
        self.clients: list[Client] = []

    def open(self, role: str, path: str = "/v1/events", **headers: str) -> Client:
        """A stream for somebody."""
        self.clients.append(Client(self.url, {**self.desk.asks(role), **headers}, path))
        return self.clients[-1]

    def stop(self) -> float:
        """The server stops; how many seconds it took."""
        began = time.monotonic()
        self.feed.close()
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()
        return time.monotonic() - began

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.stop()
        self.desk.close()


def list_visible(desk: Desk, role: str) -> list[int]:
    """The indexes whose entry this asker may fetch one by one: what the feed has to be."""
    found = []
    for index in range(desk.core.head.size):
        with contextlib.suppress(Refused):
            found.append(find_entry(View(desk.app._api.state.site.core), index, parse_role(role)).place)
    return found
