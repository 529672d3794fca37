"""The way to a node: it writes down what passes, and loses or changes what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import msgspec

Forward = Callable[[], Awaitable[httpx2.Response]]
Fault = Callable[[Forward], Awaitable[httpx2.Response]]


class Road(httpx2.AsyncBaseTransport):
    """The way to a node. The next transactions meet the faults planned, one each."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.faults: list[Fault | None] = []
        self.sent: list[bytes] = []
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        target = request.url.raw_path.decode()
        self.asked.append(f"{request.method} {target}")

        async def forward() -> httpx2.Response:
            again = httpx2.Request(request.method, request.url, headers=request.headers, content=body)
            response = await self.node.handle_async_request(again)
            return httpx2.Response(
                response.status_code, headers=response.headers, content=await response.aread()
            )

        if not (request.method == "POST" and target.startswith("/v1/transactions")):
            return await forward()
        self.sent.append(body)
        fault = self.faults.pop(0) if self.faults else None
        return await (forward() if fault is None else fault(forward))


async def lose_reply(forward: Forward) -> httpx2.Response:
    """The node takes it and answers; the answer never arrives."""
    await forward()
    raise httpx2.ReadError("the reply was lost")


async def lose_request(_forward: Forward) -> httpx2.Response:
    """It is sent and never arrives; nobody can tell this from a lost reply."""
    raise httpx2.ReadTimeout("no answer")


async def unplug(_forward: Forward) -> httpx2.Response:
    """There is no connection."""
    raise httpx2.ConnectError("connection refused")


def meet(count: int) -> Fault:
    """So many are sent before any is answered."""
    here: list[int] = []
    complete = asyncio.Event()

    async def fault(forward: Forward) -> httpx2.Response:
        here.append(1)
        if len(here) == count:
            complete.set()
        await complete.wait()
        return await forward()

    return fault


def say(status: int, code: str = "", **headers: str) -> Fault:
    """The node is not asked; this is the answer."""

    async def fault(_forward: Forward) -> httpx2.Response:
        body = msgspec.json.encode({"code": code, "status": status}) if code else b"<html>gateway</html>"
        return httpx2.Response(status, content=body, headers=headers)

    return fault


def change(edit: Callable[[dict[str, Any]], None]) -> Fault:
    """The node takes it; its answer is changed on the way."""

    async def fault(forward: Forward) -> httpx2.Response:
        told = msgspec.json.decode((await forward()).content)
        edit(told)
        return httpx2.Response(200, content=msgspec.json.encode(told))

    return fault
