"""Webhooks of one node: endpoints are registered here, and each has a courier of its own.

All delivery happens on one thread with an event loop, far from the thread that makes blocks. Couriers wait
for nobody but their own endpoint, so one that is dead, slow or hostile delays no other. How many endpoints
there are is bounded, and with them everything else.

Which endpoints there are is in the database alone; it is looked at again whenever it was changed here, and
every two seconds, since the command line changes it too.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import ssl
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, get_args

import httpx2
import structlog

from contracts.messages import Message, SystemMessage
from ledger.errors import InvariantBroken, Refused
from node.core import get_system_time
from node.feed import Feed
from node.storage.webhooks import Endpoint, WebhookStore
from node.webhooks import addresses
from node.webhooks.addresses import AddressRefused, Resolve, check_url
from node.webhooks.courier import Courier, Wait
from node.webhooks.schedule import compute_wait
from node.webhooks.sender import Sender

PARTICIPANT_ENDPOINTS_MAX: Final = 8
ENDPOINTS_MAX: Final = 256
STOP_SECONDS: Final = 3.0
"""So long a delivery under way may take when the node stops."""
_LOOK_SECONDS: Final = 2.0
_AGAIN_SECONDS: Final = 60.0
"""After a fault of ours an endpoint is taken up again."""
_WORK_THREADS: Final = 4
_NAME_THREADS: Final = 32
"""Looking up a name cannot be interrupted, so there is room for many that hang."""
_SECRET_BYTES: Final = 32

TYPES: Final = frozenset(
    str(each.__struct_config__.tag)
    for each in (*get_args(Message), *(get_args(SystemMessage) or (SystemMessage,)))
)
"""The `@type` of everything that can stand in an entry."""

log = structlog.get_logger("commonpoint.webhooks")


class Webhooks:
    """The endpoints of one node. What registers and shows them may be called from any thread."""

    def __init__(
        self,
        path: Path,
        *,
        feed: Feed,
        to_private: bool = False,
        clock: Callable[[], int] = get_system_time,
        resolve: Resolve = addresses.resolve,
        wait: Wait = lambda attempt, seconds: compute_wait(attempt, retry_after_seconds=seconds),
        tls: ssl.SSLContext | None = None,
        on_broken: Callable[[InvariantBroken], None] | None = None,
    ) -> None:
        self.store = WebhookStore(path)
        self._feed = feed
        self._to_private = to_private
        self._clock = clock
        self._resolve = resolve
        self._wait = wait
        self._tls = tls or httpx2.create_ssl_context()
        self._on_broken = on_broken
        self._work = ThreadPoolExecutor(_WORK_THREADS, thread_name_prefix="webhooks-work")
        self._names = ThreadPoolExecutor(_NAME_THREADS, thread_name_prefix="webhooks-names")
        self._couriers: dict[str, tuple[Courier, asyncio.Task[None]]] = {}
        self._stopping = False
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Entries are delivered from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Deliveries under way are finished, or given up after three seconds; cursors are saved."""
        self._stopping = True
        if self._thread.is_alive():
            self._poke()
            self._thread.join()
        # Whoever looks up a name may hang on; nothing waits for it.
        self._names.shutdown(wait=False, cancel_futures=True)
        self._work.shutdown()
        self._loop.close()
        self.store.close()

    def register(
        self, participant: str, *, url: str, types: Sequence[str] = (), after: int | None = None
    ) -> Endpoint:
        """A new endpoint, with a new secret, which hears of entries behind ``after``, or from now on. Raises
        `Refused` ``BAD_REQUEST``.
        """
        try:
            check_url(url, to_private=self._to_private)
        except AddressRefused as refused:
            raise Refused("BAD_REQUEST", parameter="url", reason=refused.code, **refused.facts) from None
        for each in types:
            if each not in TYPES:
                raise Refused("BAD_REQUEST", parameter="types", reason="no such message", found=each)
        endpoint = Endpoint(
            id=f"wh_{secrets.token_hex(8)}",
            participant=participant,
            url=url,
            types=tuple(sorted(set(types))),
            secret="whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii"),
            created_at=self._clock(),
            cursor=self._check_cursor(after),
        )
        if not self.store.add(
            endpoint, of_participant_max=PARTICIPANT_ENDPOINTS_MAX, in_all_max=ENDPOINTS_MAX
        ):
            reason = "as many endpoints as there may be"
            raise Refused("BAD_REQUEST", parameter="url", reason=reason, allowed=PARTICIPANT_ENDPOINTS_MAX)
        self._poke()
        return endpoint

    def restart(self, endpoint_id: str, *, after: int | None = None) -> None:
        """The endpoint is enabled and tried at once, from where it stood or from behind ``after``. Raises
        `Refused` ``BAD_REQUEST``.
        """
        self.store.restart(endpoint_id, after=None if after is None else self._check_cursor(after))
        self._poke()

    def remove(self, endpoint_id: str) -> None:
        """The endpoint is no more."""
        self.store.remove(endpoint_id)
        self._poke()

    def _check_cursor(self, after: int | None) -> int:
        size = self._feed.core.head.size
        if after is not None and after >= size:
            raise Refused("BAD_REQUEST", parameter="after", reason="beyond the log", size=size)
        return size - 1 if after is None else after

    def _poke(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._changed.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._supervise())

    async def _supervise(self) -> None:
        """Each enabled endpoint has its courier, until the node stops."""
        while not self._stopping:
            self._changed.clear()
            try:
                endpoints = await self._loop.run_in_executor(self._work, self.store.list_all)
                await self._refresh(endpoints)
            except Exception as error:  # noqa: BLE001 - a disk that is full now may not be so in two seconds
                log.error("webhooks cannot be read", error=repr(error))  # noqa: TRY400 - told in one line
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _LOOK_SECONDS)
        await self._dismiss(list(self._couriers), patience_seconds=STOP_SECONDS)

    async def _refresh(self, endpoints: Sequence[Endpoint]) -> None:
        """Couriers are those of the endpoints as they stand."""
        wanted = {each.id: each for each in endpoints if each.state == "enabled"}
        stale = [
            name
            for name, (courier, _) in self._couriers.items()
            if name not in wanted or wanted[name].revision != courier.endpoint.revision
        ]
        await self._dismiss(stale, patience_seconds=0)
        for name, endpoint in wanted.items():
            if name not in self._couriers:
                self._send_out(endpoint)

    def _send_out(self, endpoint: Endpoint) -> None:
        sender = Sender(
            endpoint, to_private=self._to_private, resolve=self._resolve, tls=self._tls, threads=self._names
        )
        courier = Courier(
            endpoint,
            feed=self._feed,
            store=self.store,
            sender=sender,
            threads=self._work,
            clock=self._clock,
            wait=self._wait,
        )
        task = self._loop.create_task(courier.run())
        task.add_done_callback(lambda done: self._hear_of_end(endpoint, done))
        self._couriers[endpoint.id] = (courier, task)

    async def _dismiss(self, names: Sequence[str], *, patience_seconds: float) -> None:
        """These couriers have ended; what they had in hand they could finish within so long."""
        leaving = [self._couriers.pop(name) for name in names]
        if not leaving:
            return
        for courier, _ in leaving:
            courier.stop()
        tasks = [task for _, task in leaving]
        _, late = await asyncio.wait(tasks, timeout=patience_seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def _hear_of_end(self, endpoint: Endpoint, task: asyncio.Task[None]) -> None:
        """A fault of ours is in the log, and the endpoint is taken up again a little later."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        log.error("webhook fault", webhook=endpoint.id, error=repr(error))
        if isinstance(error, InvariantBroken) and self._on_broken is not None:
            self._on_broken(error)
        self._loop.call_later(_AGAIN_SECONDS, self._forget, endpoint.id, task)

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        if name in self._couriers and self._couriers[name][1] is task:
            del self._couriers[name]
            self._changed.set()
