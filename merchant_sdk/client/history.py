"""The history that a merchant trusts, as it goes on: a checkpoint belongs to it once the node that shows it
has proven so, a later policy once the one before hands over to it.

Both are kept in the outbox; a start begins where the last one ended, and no node can talk it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from ledger.codec import encode
from ledger.policy_steps import PolicyStep
from merchant_sdk.client.alarm import ask_policies, keep_finding
from merchant_sdk.contradictions import LogContradiction
from merchant_sdk.errors import OutboxError, Unverified
from merchant_sdk.outbox import Outbox
from merchant_sdk.records import Evidence, TrustedNote
from merchant_sdk.transport import Transport
from merchant_sdk.trust import Link, Trust

T = TypeVar("T")


async def keep_in(outbox: Outbox, act: Callable[..., T], *arguments: Any) -> T:
    """Do something with the outbox: a file waits for the disk, and that must not hold up the loop."""
    if outbox.is_durable:
        return await asyncio.to_thread(act, *arguments)
    return act(*arguments)


class History:
    """What is trusted of one log, kept in an outbox. Belongs to one event loop."""

    def __init__(self, *, transport: Transport, outbox: Outbox, trust: Trust, anchor: str) -> None:
        self.outbox = outbox
        self.trust = trust
        self._transport = transport
        self._anchor = anchor
        """What the policies that we trust begin with."""
        self._trusting = asyncio.Lock()

    async def accept(self, note: str, *, url: str | None = None) -> None:
        """A signed checkpoint belongs to the history we trust; the node at ``url`` has to prove it.

        Raises `Unverified`, and `NotSent` or `RefusedByNode` where the proof is not to be had.
        """
        async with self._trusting:
            await self._follow(note, self.trust.accept(note), url or self._transport.url)
        await self.keep(self.outbox.save_note, self._get_trusted_note())

    async def take_policies(self, steps: Sequence[PolicyStep], *, url: str, after: int) -> bool:
        """Whether there are policies behind epoch ``after``: accepted, and of the history we trust."""
        self.trust.take_policies(steps)
        fresh = [step for step in steps if step.epoch > after]
        async with self._trusting:
            for step in fresh:
                if step.epoch <= self.trust.first_epoch:
                    continue  # From before the policy that we were given.
                await self._follow(step.checkpoint, self.trust.accept(step.checkpoint), url)
        if fresh:
            save = partial(
                self.outbox.save_steps,
                self.trust.chain,
                anchor=self._anchor,
                first=fresh[0].epoch,
                steps=[encode(step) for step in fresh],
            )
            # First what judges, then what is judged.
            await self.keep(save)
            await self.keep(self.outbox.save_note, self._get_trusted_note())
        return self.trust.epoch > after

    async def learn_policies(self, url: str) -> bool:
        """Whether the node there showed later policies than we knew. Raises `Unverified`."""
        known = self.trust.epoch
        shown = await ask_policies(self._transport, url)
        return await self.take_policies([step for step in shown if step.epoch > known], url=url, after=known)

    async def keep(self, act: Callable[..., T], *arguments: Any) -> T:
        """Do something with the outbox (`keep_in`)."""
        return await keep_in(self.outbox, act, *arguments)

    async def keep_evidence(self, error: Unverified, url: str) -> None:
        """Both notes are in the outbox, where the error has two; a contradiction has a file of its own."""
        if isinstance(error, LogContradiction):
            await keep_finding(error, self._transport, url=url, outbox=self.outbox.path)
        if error.evidence:
            evidence = Evidence(error.code, **error.evidence)
            await self._try_to_keep(self.outbox.save_evidence, evidence)

    async def _follow(self, note: str, link: Link | None, url: str) -> None:
        # Who shows a checkpoint also has to prove it.
        while link is not None:
            path = f"/v1/consistency?old={link.old}&new={link.new}"
            data = await self._transport.request("GET", path, headers={}, at=url)
            link = self.trust.accept_link(note, link, data)

    async def _try_to_keep(self, act: Callable[..., object], *arguments: Any) -> None:
        """As `keep`, where what is being told weighs more than that the disk says no."""
        # The bytes stand in the outbox as before; whoever writes there next is told.
        with suppress(OutboxError):
            await self.keep(act, *arguments)

    def _get_trusted_note(self) -> TrustedNote:
        return TrustedNote(self.trust.chain, self.trust.trusted_size, self.trust.note or "")
