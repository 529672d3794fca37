"""The SDK path: client processes with ordinary merchant code, many calls at once, every answer proven.

Each process runs the order systems of some merchants. A call is `await shop.earn(...)`, `redeem(...)` or
`refund(...)`; the SDK gathers calls into transactions, signs them, sends them over HTTP, and hands out each
result when its proof has verified. All of that is inside the timed part. What a refund undoes was redeemed
before it, and codes were shown by the members before it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from threading import Barrier
from typing import Any, Final, NamedTuple

import uvloop

from merchant_sdk import AsyncMerchant, Wallet
from scripts.measure import mixes
from scripts.measure.alliance import ISSUERS, MERCHANTS, Alliance
from scripts.measure.figures import Figures, get_percentile
from scripts.measure.inside import wait_until_quiet
from scripts.measure.members import Members
from scripts.measure.served import ServedNode
from scripts.measure.site import Site

PROCESSES: Final = 4
_CODE_SECONDS: Final = 3_600
_START_SECONDS: Final = 600


class Errand(NamedTuple):
    """What one client process is to do."""

    url: str
    chain: str
    seed: int
    members: int
    mix: str
    operations: int
    shops: tuple[str, ...]
    callers: int
    """Calls under way at once, of each shop."""
    name: str


class Done(NamedTuple):
    """What a client process did."""

    started: float
    ended: float
    cpu_seconds: float
    applied: int
    before: int
    latencies_ms: list[float]


def measure_shops(
    site: Site,
    *,
    seed: int,
    members: int,
    mix: str,
    operations: int,
    callers: int = 1_000,
    workers: int = 0,
) -> Figures:
    """The figures of clients that all begin at once."""
    shops = ISSUERS if mix == "peak" else MERCHANTS
    with ServedNode(site.directory, workers=workers) as node:
        context = multiprocessing.get_context("spawn")
        barrier = context.Barrier(PROCESSES + 1)
        clients = []
        for number in range(PROCESSES):
            ours = shops[number::PROCESSES]
            errand = Errand(
                url=node.url,
                chain=site.chain,
                seed=seed,
                members=members,
                mix=mix,
                operations=operations // PROCESSES,
                shops=ours,
                callers=max(1, callers // len(ours)),
                name=f"sdk{number}",
            )
            reader, writer = context.Pipe(duplex=False)
            process = context.Process(target=_run, args=(errand, barrier, writer), daemon=True)
            process.start()
            writer.close()
            clients.append((process, reader))
        barrier.wait(_START_SECONDS)  # everybody is ready
        wait_until_quiet(node.pid)
        cpu = node.cpu_seconds
        barrier.wait(_START_SECONDS)
        done: list[Done] = [_receive(reader) for _, reader in clients]
        for process, _ in clients:
            process.join()
        resident = node.resident_bytes
        drained, whole = node.stop()
        latencies = [each for one in done for each in one.latencies_ms]
        return Figures(
            path="sdk" if not workers else f"sdk, {workers} w",
            store=site.store,
            mix=mix,
            batch=0,
            operations=len(latencies),
            applied=sum(one.applied for one in done),
            before=sum(one.before for one in done),
            seconds=max(one.ended for one in done) - min(one.started for one in done),
            drain_seconds=drained,
            p50_ms=get_percentile(latencies, 50),
            p99_ms=get_percentile(latencies, 99),
            cpu_seconds=whole - cpu,
            client_cpu_seconds=sum(one.cpu_seconds for one in done),
            resident_bytes=resident,
            resident_peak_bytes=node.resident_peak_bytes,
        )


def _receive(reader: Any) -> Done:
    try:
        done: Done = reader.recv()
    except EOFError:
        raise SystemExit("a client process failed; what it said stands above") from None
    return done


def _run(errand: Errand, barrier: Barrier, pipe: Connection) -> None:
    try:
        pipe.send(uvloop.run(_Client(errand, barrier).run()))
    except BaseException:
        barrier.abort()
        raise


class _Client:
    """One client process."""

    def __init__(self, errand: Errand, barrier: Barrier) -> None:
        self._errand = errand
        self._barrier = barrier
        self._alliance = Alliance(errand.seed)
        self._members = Members(self._alliance, errand.members)
        self._dice = random.Random(f"{errand.seed}/{errand.name}")
        self._count = 0
        self._applied = 0
        self._latencies: list[float] = []

    async def run(self) -> Done:
        """Prepare, wait for the others, do it."""
        errand = self._errand
        shops = [self._make_shop(who) for who in errand.shops]
        try:
            each = errand.operations // len(shops)
            calls = [
                await self._prepare(who, shop, each) for who, shop in zip(errand.shops, shops, strict=True)
            ]
            before, self._applied = self._applied, 0
            self._latencies.clear()
            await asyncio.to_thread(self._barrier.wait, _START_SECONDS)
            await asyncio.to_thread(self._barrier.wait, _START_SECONDS)
            cpu, started = time.process_time(), time.monotonic()
            await asyncio.gather(*(self._call_all(some) for some in calls))
            ended = time.monotonic()
            return Done(started, ended, time.process_time() - cpu, self._applied, before, self._latencies)
        finally:
            for shop in shops:
                await shop.close()

    def _make_shop(self, who: str) -> AsyncMerchant:
        return AsyncMerchant(
            who,
            self._errand.url,
            key=self._alliance.get_signer(who, "transact"),
            chain=self._errand.chain,
            program=who if who in ISSUERS else None,
        )

    async def _prepare(self, who: str, shop: AsyncMerchant, count: int) -> list[tuple[Any, ...]]:
        """The calls to make: verb and arguments. What refunds undo is redeemed now."""
        await shop.connect()
        kinds = list(mixes.deal(self._errand.mix, count, self._dice))
        redeemed = await self._redeem_before(who, shop, kinds.count(mixes.REFUND))
        return [self._plan(who, shop, kind, redeemed) for kind in kinds]

    def _plan(self, who: str, shop: AsyncMerchant, kind: str, redeemed: list[Any]) -> tuple[Any, ...]:
        if kind == mixes.EARN:
            amount = f"{self._dice.randrange(1, 300)}.{self._dice.randrange(100):02d}"
            return shop.earn, self._draw_home(who), amount, self._number(who), {}
        if kind == mixes.REDEEM_HOME:
            points = self._dice.randrange(1, 20)
            return shop.redeem, self._draw_home(who), points, self._number(who), {"without_code": True}
        if kind == mixes.REFUND:
            order = redeemed.pop()
            return shop.refund, order, self._number(who), order.message.points, {}
        if kind == mixes.REDEEM_ELSEWHERE:
            code, points = self._show_code(who)
            return shop.redeem, code, points, self._number(who), {}
        raise SystemExit(f"no verb for {kind} here")

    async def _redeem_before(self, who: str, shop: AsyncMerchant, count: int) -> list[Any]:
        calls = [self._plan(who, shop, mixes.REDEEM_HOME, []) for _ in range(count)]
        done: list[Any] = []
        await self._call_all(calls, done)
        return done

    def _draw_home(self, who: str) -> str:
        return self._members.get_id(self._members.draw(self._dice, home=who))

    def _show_code(self, who: str) -> tuple[Any, int]:
        number = self._members.draw_with_key(self._dice)
        while self._members.get_home(number) == who:
            number = self._members.draw_with_key(self._dice)
        wallet = Wallet(
            self._errand.chain, member=self._members.get_id(number), signer=self._members.get_wallet(number)
        )
        points = self._dice.randrange(1, 20)
        return wallet.points_code(self._members.get_home(number), points, who, seconds=_CODE_SECONDS), points

    def _number(self, who: str) -> str:
        self._count += 1
        return f"{who}-{self._errand.name}-{self._count}"

    async def _call_all(self, calls: Sequence[tuple[Any, ...]], done: list[Any] | None = None) -> None:
        """So many callers, each making its next call when it has a result."""
        waiting = iter(calls)
        await asyncio.gather(*(self._call(waiting, done) for _ in range(self._errand.callers)))

    async def _call(self, waiting: Iterator[tuple[Any, ...]], done: list[Any] | None) -> None:
        for verb, *arguments, named in waiting:
            sent = time.perf_counter()
            result = await verb(*arguments, **named)
            self._latencies.append((time.perf_counter() - sent) * 1000)
            self._applied += result.code == "OK"
            if done is not None:
                done.append(result)
