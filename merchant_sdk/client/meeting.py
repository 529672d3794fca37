"""Before anything is asked at an address, the node there shows that it is one of ours.

Its genesis hashes to the pinned chain string, and its newest checkpoint is signed as the policy asks and
belongs to the history we trust. A node of another ledger, or with another history, is refused by name, with
both notes kept as evidence; it is never quietly passed over for one that happens to agree. A node that seems
to be merely behind what was proven to us is passed over until it has caught up, and the next one has to prove
that what it showed is a part of the same history.

Whether a single answer is true is not settled here: every one proves itself (`merchant_sdk.trust`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import msgspec
from msgspec import Struct

from ledger.genesis import Origin
from ledger.policy_steps import PolicyStep
from ledger.values import Millis
from merchant_sdk.client.alarm import ask_policies, keep_finding
from merchant_sdk.client.submission import Submitter
from merchant_sdk.contradictions import LogContradiction
from merchant_sdk.errors import OutboxError, RefusedByNode, Unverified
from merchant_sdk.origins import read_origin
from merchant_sdk.outbox import Outbox
from merchant_sdk.records import Evidence
from merchant_sdk.transport import Transport


class _ChainAnswer(Struct, frozen=True):
    """What everybody may know of a chain, as far as it matters here."""

    genesis: list[str]
    time: Millis
    epoch: int = 0


_CHAIN: Final = msgspec.json.Decoder(_ChainAnswer)


class Meeting:
    """Meets the nodes of one ledger, each before the first question and again after it was found wanting."""

    def __init__(
        self,
        transport: Transport,
        *,
        outbox: Outbox,
        chain: str,
        load_steps: Callable[[Origin], Sequence[PolicyStep]],
        begin: Callable[[Origin, int, Sequence[PolicyStep]], Submitter[Any]],
    ) -> None:
        self._transport = transport
        self._outbox = outbox
        self._chain = chain
        self._load_steps = load_steps
        self._begin = begin
        self._epoch: int | None = None
        """The newest policy that was accepted; none before the first node was met."""
        self._shown: dict[str, int] = {}
        """Address → the largest tree it showed us."""
        self._behind: dict[str, str] = {}
        """Address → a checkpoint from before what we trust, which it could not prove."""

    async def greet(self, url: str) -> None:
        """The node there is of our ledger and its history. Raises `Unverified`, naming the one that is not.

        `NotSent` or `RefusedByNode` where it cannot serve now, or is behind.
        """
        async with self._naming(url):
            answer = _decode(await self._transport.request("GET", "/v1/chain", headers={}, at=url))
            origin = read_origin(answer.genesis, chain=self._chain)
            # What was accepted before the last start is where we begin, whatever this node says.
            stored = self._load_steps(origin) if self._epoch is None else []
            known = len(stored) if self._epoch is None else self._epoch
            shown = await ask_policies(self._transport, url) if answer.epoch > known else []
            steps = [step for step in shown if step.epoch > known]
            submitter = self._begin(origin, answer.time, [*stored, *steps])
            await submitter.take_policies(steps, url=url, after=known)
            self._epoch = submitter.trust.epoch
            note = _read_text(await self._transport.request("GET", "/checkpoint", headers={}, at=url))
            await self._compare(submitter, note, url)
        for other in list(self._behind):
            async with self._naming(other):
                await submitter.accept(self._behind.pop(other), url=url)

    @asynccontextmanager
    async def _naming(self, url: str) -> AsyncIterator[None]:
        """What goes wrong says of which node, and that one is asked only where no other is left."""
        try:
            yield
        except Unverified as error:
            self._transport.distrust(url)
            evidence = error.evidence
            if error.code == "WRONG_CHAIN":
                evidence = {"found": f"{url} serves {error.facts['found']}", "trusted": self._chain}
            if evidence:
                # The error carries it too, where the disk takes nothing.
                with suppress(OutboxError):
                    self._outbox.save_evidence(Evidence(error.code, evidence["found"], evidence["trusted"]))
            detail = f"{url}: {error.detail or 'it does not show that it is of our ledger'}"
            if isinstance(error, LogContradiction):
                await keep_finding(error, self._transport, url=url, outbox=self._outbox.path)
                named = LogContradiction(
                    error.code, detail, error.facts, finding=error.finding, evidence=evidence
                )
                named.evidence_file = error.evidence_file
                raise named from None
            raise Unverified(error.code, detail, error.facts, evidence=evidence) from None

    async def _compare(self, submitter: Submitter[Any], note: str, url: str) -> None:
        shrunk = submitter.trust.find_shrinkage(note)
        size = submitter.trust.open(note).size
        if shrunk is not None:
            if len(self._transport.addresses.all) == 1 or size < self._shown.get(url, 0):
                raise shrunk
            # Two roots for a size that we know are found at once.
            submitter.trust.accept(note)
            self._behind[url] = note
            raise RefusedByNode("NOT_YET", status=503, detail="this node is behind", facts={"size": size})
        await submitter.accept(note, url=url)
        self._shown[url] = size


def _decode(data: bytes) -> _ChainAnswer:
    try:
        return _CHAIN.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Unverified("ANSWER_MALFORMED", facts={"reason": str(error)[:200]}) from None


def _read_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Unverified("ANSWER_MALFORMED", "the checkpoint is not text") from None
