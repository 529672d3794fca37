"""What a sandbox turns and cuts: its clock, and the line between merchants and the node."""

from __future__ import annotations

import httpx2
from starlette.types import ASGIApp


class SandboxClock:
    """The sandbox's time. It stands still until it is turned."""

    def __init__(self, now: int) -> None:
        self._now = now

    def __call__(self) -> int:
        """Milliseconds UTC."""
        return self._now

    def advance(self, *, days: int = 0, hours: int = 0, minutes: int = 0, seconds: int = 0) -> int:
        """Turn the clock forward; the next block is of that time."""
        passed = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        if passed < 0:
            raise ValueError("a ledger's time never goes back")
        self._now += passed * 1000
        return self._now


class SandboxLine(httpx2.AsyncBaseTransport):
    """The way to the node, which can be down, as if no cable were plugged in, or lose replies."""

    def __init__(self, app: ASGIApp) -> None:
        self._node = httpx2.ASGITransport(app=app)
        self.is_down = False
        self.loses_replies = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The node's answer."""
        if self.is_down:
            raise httpx2.ConnectError("the line is down", request=request)
        response = await self._node.handle_async_request(request)
        if self.loses_replies and request.method == "POST" and request.url.path == "/v1/transactions":
            await response.aclose()
            raise httpx2.ReadError("the reply was lost", request=request)
        return response
