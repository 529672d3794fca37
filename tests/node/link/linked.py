"""A desk whose API is served by workers: the core is in this process, the workers are real ones.

Only their clock is replaced, since the town's stands still: each worker is started by a few lines that set it
and then run the worker's own entrance.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx2

from node.api.app import make_site
from node.api.limits import get_default_rates
from node.api.simulation import Cutter
from node.feed import Feed
from node.http_signatures import NonceWindow
from node.link.host import make_supervisor
from node.link.supervisor import Supervisor, listen_locally
from node.metrics import Metrics
from node.promising import Promiser
from node.tokens import TokenIssuer
from node.webhooks.delivery import Webhooks
from tests.contracts.cast import START
from tests.node.api.desk import SECRET, URL, Desk
from tests.node.engine.town import LOG_SIGNER, HandClock, Town

REPOSITORY = Path(__file__).parents[3]
SECONDS = 60
_ENTRANCE = """
import sys
from node.link import worker
worker.get_system_time = lambda: int(open({clock!r}).read())
sys.exit(worker.main(sys.argv[1:]))
"""


class SharedClock(HandClock):
    """A clock that a test moves, and that other processes read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.at = START

    @property
    def at(self) -> int:
        """Milliseconds UTC."""
        return self._at

    @at.setter
    def at(self, at: int) -> None:
        self._at = at
        moved = self.path.with_suffix(".new")
        moved.write_text(str(at))
        moved.rename(self.path)


class LinkedDesk(Desk):
    """A town, its core in this process, and workers that serve it."""

    workers = 1

    def __init__(
        self, folder: Path, *, kind: str = "system", rates: Any = None, delivers: bool = False
    ) -> None:
        self.town = Town(folder, kind=kind)
        self.clock = self.town.clock = SharedClock(folder / "clock")
        self.core = self.town.open()
        self.core.promiser = Promiser(self.core, LOG_SIGNER, None)
        self.tokens = TokenIssuer(secret=SECRET, chain=self.core.chain, clock=self.clock)
        self.folder = folder
        self._count = 0
        self.broken: list[BaseException] = []
        self._announced = threading.Event()
        self.feed = Feed(self.core)
        self.webhooks: Webhooks | None = None
        if delivers:
            self.webhooks = Webhooks(folder / "webhooks.db", feed=self.feed, to_private=True)
            self.webhooks.start()
        self._http = socket.create_server(("127.0.0.1", 0), backlog=2_048)
        self.url = f"http://127.0.0.1:{self._http.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, args=(rates,))
        self._thread.start()
        if not self._announced.wait(SECONDS):
            self.close()
            raise TimeoutError("no worker was ready")
        self.app = _show_site(self)

    def _run(self, rates: Any) -> None:
        with listen_locally(self.folder) as local:
            self.supervisor: Supervisor = make_supervisor(
                self.core,
                database=self.town.database,
                tokens=self.tokens,
                token_secret=SECRET,
                origins=("http://127.0.0.1:8710",),
                rates=rates or get_default_rates(self.core.origin.settings.clock),
                feed=self.feed,
                webhooks=self.webhooks,
                on_broken=self.broken.append,
                workers=self.workers,
                http=self._http,
                local=local,
                announce=self._announced.set,
            )
            self.supervisor.spawn = self._spawn  # type: ignore[method-assign]  # for the clock alone
            self.supervisor.run()

    def _spawn(self, link: socket.socket) -> subprocess.Popen[bytes]:
        descriptors = [each.fileno() for each in (link, self._http, self.supervisor._local)]
        return subprocess.Popen(
            [sys.executable, "-c", _ENTRANCE.format(clock=str(self.clock.path)), *map(str, descriptors)],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            pass_fds=descriptors,
        )

    def client(self, *, address: str = "127.0.0.1", app: Any = None) -> httpx2.AsyncClient:
        """A client on this machine, over a real socket; one from elsewhere comes through a proxy on it."""
        assert app in (None, self.app)
        # What is signed is signed for the address that the desk goes by.
        headers = {"host": URL.removeprefix("http://")}
        if address != "127.0.0.1":
            headers["via"] = "1.1 proxy"
        hooks = {"response": [_take_off_date]}
        return httpx2.AsyncClient(base_url=self.url, headers=headers, event_hooks=hooks, timeout=SECONDS)

    @property
    def pids(self) -> list[int]:
        """The workers' process ids, as far as they have started: this is not their thread."""
        workers = list(self.supervisor._workers)
        return [worker.process.pid for worker in workers if hasattr(worker, "process")]

    def close(self) -> None:
        """The workers end, then the core."""
        self.supervisor.should_exit = True
        self._thread.join(SECONDS)
        self._http.close()
        if self.webhooks is not None:
            self.webhooks.stop()
        self.core.stop()
        assert not self._thread.is_alive()


class TwiceLinkedDesk(LinkedDesk):
    """Two workers on one listening socket."""

    workers = 2


async def _take_off_date(response: httpx2.Response) -> None:
    """What a real server adds, and what makes two answers differ that are the same."""
    response.headers.pop("date", None)


def _show_site(desk: LinkedDesk) -> Any:
    """What tests look at from inside: a site over the core itself. No request goes through it."""
    site = make_site(
        desk.core,
        tokens=desk.tokens,
        metrics=Metrics(),
        clock=desk.clock,
        origins=(),
        nonces=NonceWindow(),
        catch_up=lambda: None,
        cut=Cutter(desk.core).cut,
        render_figures=lambda: b"",
        feed=desk.feed,
        webhooks=None,
    )
    return SimpleNamespace(_api=SimpleNamespace(state=SimpleNamespace(site=site)))


def load_again(name: str, desk: type[Desk]) -> ModuleType:
    """A module of tests once more, with another desk in place of its own."""
    spec = importlib.util.find_spec(f"tests.node.api.{name}")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.Desk = desk  # type: ignore[attr-defined]
    return module
