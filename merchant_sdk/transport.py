"""The only room that talks to a network: HTTP requests out, bytes or typed errors back.

What fails in passing is tried again, twice unless told otherwise: lost connections, 408, 429 (after the time
the node asks for), a 409 that asks to wait, faults of the server, and whatever no node says. A transaction is
tried again as the same signed bytes, so that is always safe. Where one address cannot be reached, takes no
transactions now or has not come as far as we have, the next one is asked at once (`merchant_sdk.addresses`),
and nothing is sent to an address before it was met (`greet`).

For a transaction three endings are kept apart. `NotSent`: no byte of it left for any node. `RefusedByNode`: a
node turned it away with a problem document, and no attempt before may have been taken. `UnknownOutcome`:
everything else.

An answer has a time by which all of it must be there, and a token is shown only to the node that gave it.
Nothing here is verified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from merchant_sdk.addresses import BANNED_SECONDS, Addresses
from merchant_sdk.errors import CommonpointError, NotSent, RefusedByNode, UnknownOutcome, Unverified
from merchant_sdk.responses import (
    NOTHING_TAKEN,
    Failed,
    Unreachable,
    judge,
    open_client,
    read_body,
    tell,
    tell_of,
)
from merchant_sdk.retries import retry

if TYPE_CHECKING:
    import httpx2

_CONNECT_SECONDS: Final = 5.0
_JSON: Final = {"content-type": "application/json"}
_BEARER: Final = "authorization"


class Answered(NamedTuple):
    """An answer, and which address gave it."""

    data: bytes
    url: str


class _Ask(NamedTuple):
    """A request, whichever address it goes to."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    seconds_max: float | None
    at: str | None = None
    """This address and no other."""
    of_leader: bool = False
    """Of a node that takes transactions rather than of one that follows."""
    status: int = 200
    """What is an answer."""


class Transport:
    """One HTTP client over one or more nodes of the same ledger."""

    def __init__(
        self,
        urls: tuple[str, ...],
        *,
        timeout_seconds: float = 30.0,
        retries: int = 2,
        retry_wait_seconds: float = 0.2,
        http: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.addresses = Addresses(urls)
        self.greet: Callable[[str], Awaitable[None]] | None = None
        """Makes sure of an address before anything else is asked there. Raises `Unverified` where one is
        of another ledger or another history, `NotSent` or `RefusedByNode` where it cannot serve now.
        """
        self.authorize: Callable[[str], Awaitable[str]] | None = None
        """The token that the node at an address gave us."""
        self._met: set[str] = set()
        self._meeting = asyncio.Lock()
        self._timeout_seconds = timeout_seconds
        self._retries = retries
        self._retry_wait_seconds = retry_wait_seconds
        self._http = http
        self._client: httpx2.AsyncClient | None = None
        self._answer_seconds_max: float | None = timeout_seconds

    @property
    def url(self) -> str:
        """The node that is asked next."""
        return self.addresses.current

    def wait_for_answers(self) -> None:
        """A transaction's answer may take for ever: on a simulated chain somebody cuts the next block."""
        self._answer_seconds_max = None

    def distrust(self, url: str) -> None:
        """An address whose answer did not hold is asked only where no other is left, and met anew."""
        self._met.discard(url)
        self.addresses.leave(url, BANNED_SECONDS)

    async def meet(self) -> str:
        """A node is reached and was met. Raises `Unverified`, `NotSent` or `RefusedByNode`."""
        try:
            return (await self._call(None)).url
        except Failed as failed:
            raise _settle(failed) from None

    async def send_transaction(self, data: bytes, *, transaction_id: str, trusted_size: int) -> Answered:
        """The answer to a transaction. Raises `NotSent`, `RefusedByNode` or `UnknownOutcome`.

        Or `Unverified`, where no byte of it was sent because the node is not to be trusted.
        """
        path = f"/v1/transactions?trusted_size={trusted_size}"
        try:
            ask = _Ask("POST", path, _JSON, data, self._answer_seconds_max, of_leader=True)
            return await self._call(ask)
        except Failed as failed:
            if failed.may_be_taken:
                raise UnknownOutcome(transaction_id, failed.detail) from None
            raise (_settle(failed) if failed.has_left else NotSent(failed.detail)) from None

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        at: str | None = None,
    ) -> bytes:
        """The answer to a question, at which no points are at stake. Raises `NotSent` or `RefusedByNode`.

        What is for one address (``at``: a signed request, a proof that this node owes) goes there, once.
        """
        return (await self.ask(method, path, headers=headers, body=body, at=at)).data

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        at: str | None = None,
        of_leader: bool = False,
        status: int = 200,
    ) -> Answered:
        """As `request`; ``of_leader``, what one that follows may not have heard of yet."""
        ask = _Ask(method, path, headers, body, self._timeout_seconds, at, of_leader, status)
        try:
            return await (self._call(ask) if at is None else self._send(ask, at))
        except Failed as failed:
            if at is not None:
                self.addresses.leave(at)
            raise _settle(failed) from None

    async def close(self) -> None:
        """Every connection is closed."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _call(self, ask: _Ask | None) -> Answered:
        try:
            return await self._attempt(ask)
        except Failed as first:
            if not self._retries:
                raise
            before = first
        await asyncio.sleep(before.wait_seconds or self._retry_wait_seconds)
        try:
            async for attempt in retry(attempts=self._retries, wait_seconds=self._retry_wait_seconds):
                with attempt:
                    try:
                        return await self._attempt(ask)
                    except Failed as failed:
                        before = _add_up(before, failed)
                        raise
        except (RefusedByNode, Unverified) as error:
            if before.may_be_taken:
                # An attempt before may have been taken all the same: this settles nothing.
                raise Failed(str(error), may_be_taken=True) from None
            if before.has_left:
                error.settled = "refused"
            raise
        raise before

    async def _attempt(self, ask: _Ask | None) -> Answered:
        """An answer from the first address that can be reached; without a question, which one it is."""
        tried: set[str] = set()
        before: Failed | None = None
        while True:
            url = self.addresses.choose(tried, is_submitting=ask is not None and ask.of_leader)
            try:
                await self._meet(url)
                answered = Answered(b"", url) if ask is None else await self._send(ask, url)
            except Failed as failed:
                self._pass_over(url, failed)
                tried.add(url)
                before = failed if before is None else _add_up(before, failed)
                if not failed.passes_on or len(tried) >= len(self.addresses.all):
                    raise before from None
            except Unverified as error:
                if before is not None and before.has_left:
                    error.settled = "refused"
                raise
            else:
                self.addresses.praise(url)
                return answered

    def _pass_over(self, url: str, failed: Failed) -> None:
        """What is asked of whom, after this."""
        refusal = failed.refusal
        if refusal is not None and failed.has_left and refusal.code in NOTHING_TAKEN:
            # It is well, and answers whatever else it is asked.
            self.addresses.note_follower(url)
            leader = refusal.facts.get("leader")
            if isinstance(leader, str):
                self.addresses.learn(leader.rstrip("/"), told_by=url)
        elif refusal is None or refusal.status != 429:
            # Who is busy is asked again when they say, not passed over.
            self.addresses.leave(url)

    async def _meet(self, url: str) -> None:
        if self.greet is None or url in self._met:
            return
        async with self._meeting:
            if url in self._met:
                return
            try:
                await self.greet(url)
            except (NotSent, RefusedByNode) as error:
                refusal = error if isinstance(error, RefusedByNode) else None
                raise Unreachable(tell_of(url, error), refusal=refusal) from None
            self._met.add(url)

    async def _send(self, ask: _Ask, url: str) -> Answered:
        if self._client is None:
            self._client = open_client(self.addresses.all, self._http)
        client = self._client
        import httpx2  # noqa: PLC0415  # loaded by now

        headers = await self._complete(ask, url)
        timeout = httpx2.Timeout(self._timeout_seconds, connect=_CONNECT_SECONDS, read=ask.seconds_max)
        # The whole answer has its time, not only each piece of it.
        total = None if ask.seconds_max is None else ask.seconds_max + _CONNECT_SECONDS
        try:
            async with asyncio.timeout(total):
                request = client.build_request(
                    ask.method, url + ask.path, content=ask.body, headers=headers, timeout=timeout
                )
                response = await client.send(request, stream=True)
                try:
                    data = await read_body(response)
                finally:
                    await response.aclose()
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Unreachable(tell(url, error)) from None
        except (httpx2.HTTPError, httpx2.StreamError, TimeoutError) as error:
            raise Failed(tell(url, error), may_be_taken=True) from None
        if response.status_code == ask.status and "html" not in response.headers.get("content-type", ""):
            return Answered(data, url)
        found = judge(response.status_code, response.headers, data)
        if isinstance(found, RefusedByNode) and found.code == "BAD_SIZES":
            # It does not know the tree that was proven to us: it took nothing, and is met anew.
            self._met.discard(url)
            if len(self.addresses.all) > 1:
                raise Failed.of_one_behind(url, found)
        raise found

    async def _complete(self, ask: _Ask, url: str) -> Mapping[str, str]:
        """The headers for this address. A token is good where it was given, and is shown nowhere else."""
        if _BEARER not in ask.headers or ask.at is not None or self.authorize is None:
            return ask.headers
        try:
            return {**ask.headers, _BEARER: f"Bearer {await self.authorize(url)}"}
        except (NotSent, RefusedByNode) as error:
            refusal = error if isinstance(error, RefusedByNode) else None
            raise Unreachable(tell_of(url, error), refusal=refusal) from None


def _add_up(before: Failed, failed: Failed) -> Failed:
    """The later failure, with what the attempts before it left behind."""
    failed.may_be_taken = failed.may_be_taken or before.may_be_taken
    if before.has_left and not failed.has_left:
        failed.has_left, failed.refusal = True, before.refusal
    return failed


def _settle(failed: Failed) -> CommonpointError:
    return failed.refusal or NotSent(failed.detail)
