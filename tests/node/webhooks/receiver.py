"""A merchant's own server, on a socket of this machine: it keeps what comes, and answers as a test says."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import msgspec
from standardwebhooks import Webhook

WAIT_SECONDS = 20.0


class Delivery(NamedTuple):
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def place(self) -> int:
        """The index of the entry in it."""
        return int(msgspec.json.decode(self.body)["index"])


class Answer(NamedTuple):
    """What the server says to a delivery."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


Script = Callable[[int, Delivery], Answer]
"""How many came before, and what came now → what is answered."""


class Receiver:
    """A server that runs until it is closed."""

    def __init__(self, script: Script | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.script: Script = script or (lambda _count, _delivery: Answer())
        self.deliveries: list[Delivery] = []
        self.unread = 0
        """Answers that were not listened to until their end."""
        self._came = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = receiver.take(Delivery(self.path, headers, body))
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                if not any(name == "content-length" for name, _ in answer.headers):
                    self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                try:
                    self.wfile.write(answer.body)
                except OSError:
                    receiver.unread += 1
                    raise

            def log_message(self, *_: Any) -> None:
                """Nothing is said."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that went away is what some tests are about."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/hook?shop=7"

    @property
    def places(self) -> list[int]:
        """The indexes of what came, in the order in which it came."""
        return [delivery.place for delivery in self.deliveries]

    def take(self, delivery: Delivery) -> Answer:
        """The delivery is kept, then answered."""
        with self._came:
            count = len(self.deliveries)
            self.deliveries.append(delivery)
            self._came.notify_all()
        return self.script(count, delivery)

    def wait(self, count: int) -> list[Delivery]:
        """At least so many came."""
        return self.wait_until(lambda: len(self.deliveries) >= count)

    def wait_until(self, is_so: Callable[[], bool]) -> list[Delivery]:
        """It has come to this."""
        with self._came:
            assert self._came.wait_for(is_so, WAIT_SECONDS), f"{len(self.deliveries)} came: {self.places}"
            return list(self.deliveries)

    def stays_at(self, count: int, seconds: float = 0.4) -> bool:
        """Whether nothing more comes for a while."""
        time.sleep(seconds)
        return len(self.deliveries) == count

    def close(self) -> None:
        """It is gone, and its port with it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def verify(delivery: Delivery, secret: str) -> dict[str, Any]:
    """The body, as a merchant reads it: through the library that Standard Webhooks publishes."""
    return Webhook(secret).verify(delivery.body, delivery.headers)
