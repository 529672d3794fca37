"""The only room that talks to a network: HTTP requests out, bytes or typed errors back.

What fails in passing is tried again, twice unless told otherwise: lost connections, 408, 429 (after the time
the node asks for), a 409 that asks to wait, and faults of the server. A transaction is tried again as the
same signed bytes, so that is always safe. With several addresses the next attempt goes to the next one.

For a transaction three endings are kept apart. `NotSent`: no attempt got as far as a node. `RefusedByNode`: a
node turned it away, and no attempt before may have been taken. `UnknownOutcome`: everything else. Nothing
here is verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from merchant_sdk.errors import CommonpointError, NotFound, NotSent, RefusedByNode, UnknownOutcome

if TYPE_CHECKING:
    import httpx2

LOOPBACK: Final = ("http://127.", "http://localhost", "http://[::1]")
_RETRY_AFTER_SECONDS_MAX: Final = 30.0
_KEEPALIVE_SECONDS: Final = 4.0
"""Below the five seconds after which common servers close an idle connection: a request must not meet the
closing.
"""
_CONNECT_SECONDS: Final = 5.0
_JSON: Final = {"content-type": "application/json"}
_PROBLEM: Final = msgspec.json.Decoder(dict[str, Any])
_OUR_FIELDS: Final = frozenset({"type", "title", "status", "detail", "code", "instance"})


class Failed(Exception):
    """One attempt did not bring an answer that settles the matter."""

    def __init__(
        self, detail: str, *, may_be_taken: bool, refusal: RefusedByNode | None, wait_seconds: float
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.may_be_taken = may_be_taken
        """The node may have taken what was sent."""
        self.refusal = refusal
        self.wait_seconds = wait_seconds
        """What the node asked for, or 0."""


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
        self._urls = urls
        self._turn = 0
        self._timeout_seconds = timeout_seconds
        self._retries = retries
        self._retry_wait_seconds = retry_wait_seconds
        self._http = http
        self._client: httpx2.AsyncClient | None = None
        self._answer_seconds_max: float | None = timeout_seconds

    @property
    def url(self) -> str:
        """The node that is asked next."""
        return self._urls[self._turn % len(self._urls)]

    def wait_for_answers(self) -> None:
        """A transaction's answer may take for ever: on a simulated chain somebody cuts the next block."""
        self._answer_seconds_max = None

    async def send_transaction(self, data: bytes, *, transaction_id: str, trusted_size: int) -> bytes:
        """The answer to a transaction. Raises `NotSent`, `RefusedByNode` or `UnknownOutcome`."""
        path = f"/v1/transactions?trusted_size={trusted_size}"
        try:
            return await self._call("POST", path, data, _JSON, self._answer_seconds_max)
        except Failed as failed:
            if failed.may_be_taken:
                raise UnknownOutcome(transaction_id, failed.detail) from None
            raise _settle(failed) from None

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        is_good_once: bool = False,
    ) -> bytes:
        """The answer to a question, at which no points are at stake. Raises `NotSent` or `RefusedByNode`.

        What is good once (a signed request with its nonce) is not sent again.
        """
        ask = self._attempt if is_good_once else self._call
        try:
            return await ask(method, path, body, headers, self._timeout_seconds)
        except Failed as failed:
            raise _settle(failed) from None

    async def close(self) -> None:
        """Every connection is closed."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _call(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        answer_seconds_max: float | None,
    ) -> bytes:
        try:
            return await self._attempt(method, path, body, headers, answer_seconds_max)
        except Failed as first:
            if not self._retries:
                raise
            may_be_taken = first.may_be_taken
            wait_seconds = first.wait_seconds
        # Imported when it is first needed: most calls succeed at once.
        import asyncio  # noqa: PLC0415

        import stamina  # noqa: PLC0415

        await asyncio.sleep(wait_seconds or self._retry_wait_seconds)
        retrying = stamina.retry_context(
            on=_get_wait,
            attempts=self._retries,
            timeout=None,
            wait_initial=self._retry_wait_seconds,
            wait_jitter=self._retry_wait_seconds,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    try:
                        return await self._attempt(method, path, body, headers, answer_seconds_max)
                    except Failed as failed:
                        may_be_taken = failed.may_be_taken = failed.may_be_taken or may_be_taken
                        raise
        except RefusedByNode as refusal:
            if may_be_taken:
                # An attempt before may have been taken all the same: this refusal settles nothing.
                raise Failed(str(refusal), may_be_taken=True, refusal=refusal, wait_seconds=0) from None
            raise
        raise Failed("no attempt was made", may_be_taken=may_be_taken, refusal=None, wait_seconds=0)

    async def _attempt(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        answer_seconds_max: float | None,
    ) -> bytes:
        client = self._client or self._open()
        import httpx2  # noqa: PLC0415  # loaded by `_open`

        timeout = httpx2.Timeout(self._timeout_seconds, connect=_CONNECT_SECONDS, read=answer_seconds_max)
        url = self.url
        try:
            response = await client.request(
                method, url + path, content=body, headers=headers, timeout=timeout
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            self._turn += 1
            raise Failed(_tell(url, error), may_be_taken=False, refusal=None, wait_seconds=0) from None
        except httpx2.TransportError as error:
            self._turn += 1
            raise Failed(_tell(url, error), may_be_taken=True, refusal=None, wait_seconds=0) from None
        if response.is_success:
            return response.content
        raise self._judge(response)

    def _judge(self, response: httpx2.Response) -> Exception:
        """The refusal, or a failed attempt where the same again may end otherwise."""
        status = response.status_code
        refusal = read_problem(status, response.content)
        asked = response.headers.get("retry-after", "")
        wait_seconds = min(float(asked), _RETRY_AFTER_SECONDS_MAX) if asked.isdecimal() else 0.0
        if status in (408, 429) or status >= 500 or (status == 409 and asked):
            if status >= 500:
                self._turn += 1
            # 429 says that nothing was taken; the others leave it open.
            return Failed(
                str(refusal), may_be_taken=status != 429, refusal=refusal, wait_seconds=wait_seconds
            )
        return refusal

    def _open(self) -> httpx2.AsyncClient:
        import httpx2  # noqa: PLC0415  # a tenth of a second, so not before something is sent

        is_plain = all(url.startswith("http://") for url in self._urls)
        is_local = all(url.startswith(LOOPBACK) for url in self._urls)
        self._client = httpx2.AsyncClient(
            transport=self._http,
            # Where no address is https, loading the certificates would only take time.
            verify=not is_plain,
            # A node on this machine is never behind a proxy.
            trust_env=not is_local,
            limits=httpx2.Limits(max_keepalive_connections=32, keepalive_expiry=_KEEPALIVE_SECONDS),
        )
        return self._client


def read_problem(status: int, body: bytes) -> RefusedByNode:
    """The typed error of a problem document (RFC 9457), or of whatever else came with a status of failure."""
    try:
        problem = _PROBLEM.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        problem = {}
    code = problem.get("code")
    detail = problem.get("detail") or problem.get("title")
    facts = {name: value for name, value in problem.items() if name not in _OUR_FIELDS}
    family = NotFound if status == 404 else RefusedByNode
    return family(
        code if isinstance(code, str) else f"HTTP_{status}",
        status=status,
        detail=detail if isinstance(detail, str) else "",
        facts=facts,
    )


def _settle(failed: Failed) -> CommonpointError:
    return failed.refusal or NotSent(failed.detail)


def _get_wait(error: Exception) -> bool | float:
    if not isinstance(error, Failed):
        return False
    return error.wait_seconds or True


def _tell(url: str, error: Exception) -> str:
    return f"{url}: {type(error).__name__} {error}".strip()
