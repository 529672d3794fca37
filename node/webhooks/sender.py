"""One attempt to deliver one entry: signed as Standard Webhooks has it, to a checked address, within bounds.

The attempt ends with a reason or with none. Any 2xx is success; a redirect is a failure like any other, since
where it leads was checked by nobody. Of an answer nothing is kept but its status; its body is read so far
that the connection can be used again, and no further.
"""

from __future__ import annotations

import asyncio
import ssl
from concurrent.futures import Executor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple

import httpx2
from standardwebhooks import Webhook

from node.storage.webhooks import Endpoint
from node.webhooks.addresses import AddressRefused, Resolve, Target, check_url, choose_addresses

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 10.0
TOTAL_SECONDS: Final = 20.0
RESPONSE_BYTES_MAX: Final = 16 * 1024
ADDRESSES_MAX: Final = 3
"""So many addresses of a host are tried in one attempt, where one cannot be connected to."""
RETRY_AFTER_SECONDS_MAX: Final = 86_400
_KEEP_ALIVE_SECONDS: Final = 20.0
_AGENT: Final = "commonpoint-webhooks"


class Attempt(NamedTuple):
    """How an attempt ended."""

    reason: str = ""
    """Nothing where it succeeded, `HTTP_500`, or why there was no answer."""
    status: int = 0
    retry_after_seconds: int = 0

    @property
    def is_success(self) -> bool:
        """Whether the entry was taken."""
        return not self.reason


class Sender:
    """Delivers to one endpoint, over one connection at a time."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        to_private: bool,
        resolve: Resolve,
        tls: ssl.SSLContext,
        threads: Executor,
    ) -> None:
        self._endpoint = endpoint
        self._webhook = Webhook(endpoint.secret)
        self._to_private = to_private
        self._resolve = resolve
        self._threads = threads
        """Where names are resolved: that cannot be interrupted."""
        # One endpoint's own: a connection is reused by the address alone, and was verified for one name.
        self._transport = httpx2.AsyncHTTPTransport(
            verify=tls,
            trust_env=False,
            limits=httpx2.Limits(
                max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEP_ALIVE_SECONDS
            ),
        )

    async def close(self) -> None:
        """No connection is left."""
        await self._transport.aclose()

    async def deliver(self, body: bytes, *, index: int, time: int) -> Attempt:
        """One attempt, at ``time`` (milliseconds UTC)."""
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                return await self._deliver(body, self._make_headers(body, index=index, time=time))
        except AddressRefused as refused:
            return Attempt(refused.code)
        except httpx2.ConnectTimeout:
            return Attempt("CONNECT_TIMEOUT")
        except httpx2.ConnectError as error:
            is_tls = isinstance(error.__cause__ and error.__cause__.__cause__, ssl.SSLError)
            return Attempt("TLS_FAILED" if is_tls or "SSL" in str(error) else "CONNECT_FAILED")
        except (TimeoutError, httpx2.TimeoutException):
            return Attempt("TIMEOUT")
        except httpx2.HTTPError:
            return Attempt("ANSWER_BROKEN")

    def _make_headers(self, body: bytes, *, index: int, time: int) -> dict[str, str]:
        message_id = f"{self._endpoint.id}_{index}"
        moment = datetime.fromtimestamp(time // 1000, tz=UTC)
        return {
            "accept-encoding": "identity",
            "content-type": "application/json",
            "user-agent": _AGENT,
            "webhook-id": message_id,
            "webhook-signature": self._webhook.sign(message_id, moment, body.decode()),
            "webhook-timestamp": str(time // 1000),
        }

    async def _deliver(self, body: bytes, headers: dict[str, str]) -> Attempt:
        target = check_url(self._endpoint.url, to_private=self._to_private)
        addresses = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._choose_addresses, target
        )
        *others, last = addresses
        for address in others:
            with suppress(httpx2.ConnectError, httpx2.ConnectTimeout):
                return await self._post(target, address, body, headers)
        return await self._post(target, last, body, headers)

    def _choose_addresses(self, target: Target) -> list[str]:
        chosen = choose_addresses(target, resolve=self._resolve, to_private=self._to_private)
        return chosen[:ADDRESSES_MAX]

    async def _post(self, target: Target, address: str, body: bytes, headers: dict[str, str]) -> Attempt:
        """The request goes to the address; what it is for, and whose certificate it has to be, is the
        name's.
        """
        request = httpx2.Request(
            "POST",
            target.url.copy_with(host=address),
            headers={**headers, "host": target.url.netloc.decode("ascii")},
            content=body,
            extensions={
                "sni_hostname": target.host,
                "timeout": {
                    "connect": CONNECT_SECONDS,
                    "pool": CONNECT_SECONDS,
                    "read": READ_SECONDS,
                    "write": READ_SECONDS,
                },
            },
        )
        response = await self._transport.handle_async_request(request)
        try:
            await _drain(response)
        finally:
            await response.aclose()
        if response.is_success:
            return Attempt()
        return Attempt(
            f"HTTP_{response.status_code}", response.status_code, _read_retry_after(response.headers)
        )


async def _drain(response: httpx2.Response) -> None:
    """The body has gone by, as far as it is reasonable; what is left closes the connection."""
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > RESPONSE_BYTES_MAX:
            return


def _read_retry_after(headers: httpx2.Headers) -> int:
    """Seconds, where the answer asks for some and says so in digits."""
    told = headers.get("retry-after", "")
    seconds = int(told) if told.isascii() and told.isdigit() and len(told) < 10 else 0
    return min(seconds, RETRY_AFTER_SECONDS_MAX)
