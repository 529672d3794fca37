"""The socket on which CometBFT asks: four connections, one thread that answers, strictly in order.

What CometBFT writes is read at once, by a thread for each connection, also while a block is being executed:
where its writes are held up, its flush timer (of twenty nanoseconds) spins on a core of its own until they
are not. All requests go through one queue, so the application is asked one thing at a time and needs no
locks.

A request that it cannot answer is not answered with an exception: the connections end, and with them
CometBFT, which asks again from the last durable block when it is started again.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from ledger.errors import InvariantBroken
from node.engine.cometbft.frames import Splitter, encode_frame
from node.engine.cometbft.generated.abci_pb2 import Request, Response
from node.keystore import Unusable
from node.link.supervisor import PATH_BYTES_MAX

_READ_BYTES: Final = 1024 * 1024
_FLUSHED: Final = encode_frame(Response(flush={}).SerializeToString())


class Asked(NamedTuple):
    """A request, and where it came from."""

    connection: socket.socket
    message: bytes


def check_path(path: Path) -> None:
    """The system has room for a socket's address of this length. Raises `Unusable`."""
    size = len(os.fsencode(path))
    if size > PATH_BYTES_MAX:
        advice = f"Name the folder by a shorter path: {PATH_BYTES_MAX} bytes with {path.name} in it."
        raise Unusable("SOCKET_PATH_TOO_LONG", advice=advice, path=str(path), bytes=size)


class Server:
    """Reads what CometBFT asks, and hands it out in the order in which it came."""

    def __init__(self, path: Path) -> None:
        check_path(path)
        self._path = path
        self._asked: SimpleQueue[Asked | InvariantBroken] = SimpleQueue()
        self._connections: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def start(self) -> None:
        """CometBFT can ask from here on."""
        # A node that was killed leaves its socket behind; nobody listens there.
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._path))
        self._path.chmod(0o600)
        self._listener.listen(16)
        threading.Thread(target=self._accept, args=(self._listener,), name="abci", daemon=True).start()

    def next(self, timeout_seconds: float) -> tuple[socket.socket, Request] | None:
        """The request whose turn it is, if one comes in time. Raises `InvariantBroken` ``ABCI_MALFORMED``."""
        try:
            asked = self._asked.get(timeout=timeout_seconds)
        except Empty:
            return None
        if isinstance(asked, InvariantBroken):
            raise asked
        try:
            return asked.connection, Request.FromString(asked.message)
        except DecodeError as error:
            raise InvariantBroken("ABCI_MALFORMED", reason=str(error)) from None

    def answer(self, connection: socket.socket, response: Response | None) -> None:
        """CometBFT has its answer; None is that to a flush. It may be gone by now, and asks anew then."""
        frame = _FLUSHED if response is None else encode_frame(response.SerializeToString())
        with contextlib.suppress(OSError):
            connection.sendall(frame)

    def close(self) -> None:
        """Nobody is listened to any more."""
        with self._lock:
            self._is_closed = True
            connections, self._connections = self._connections, set()
        if self._listener is not None:
            # Closing alone would leave the thread waiting that accepts.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                if self._is_closed:
                    connection.close()
                    return
                self._connections.add(connection)
            threading.Thread(target=self._read, args=(connection,), name="abci", daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        splitter = Splitter()
        try:
            # CometBFT may be killed: it is started again, and connects anew.
            with connection, contextlib.suppress(OSError):
                while data := connection.recv(_READ_BYTES):
                    for message in splitter.feed(data):
                        self._asked.put(Asked(connection, message))
        except InvariantBroken as error:
            self._asked.put(error)
        finally:
            with self._lock:
                self._connections.discard(connection)
