"""When what we trust has to change, or turns out to be false: later policies are asked for; and where the log
contradicts itself the proof that shows it is asked for once more, and a file is written.

A consistency proof that fails shows nothing by itself where the smaller size is a power of two: it leaves out
that tree's root. Then the node is asked for the proof from one leaf before, which does not. A node that gives
none has given no evidence against itself; the file then says what was found, and that it is not proven.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec

from ledger.evidence import choose_proof_from
from ledger.policy_steps import PolicyStep
from merchant_sdk.claims import ConsistencyAnswer
from merchant_sdk.contradictions import LogContradiction, read_size, write_evidence
from merchant_sdk.errors import NotSent, RefusedByNode, Unverified
from merchant_sdk.origins import read_policies
from merchant_sdk.transport import Transport

_ANSWER = msgspec.json.Decoder(ConsistencyAnswer)


async def ask_policies(transport: Transport, url: str) -> list[PolicyStep]:
    """The steps to later policies that the node there shows; none where it does not answer now.

    Raises `Unverified` where it answers something else.
    """
    try:
        data = await transport.request("GET", "/v1/policies", headers={}, at=url)
    except (NotSent, RefusedByNode):
        return []
    return read_policies(data)


async def keep_finding(
    error: LogContradiction, transport: Transport, *, url: str, outbox: str | None
) -> None:
    """The evidence is complete, as far as the node at ``url`` lets it be, and stands in a file."""
    begin, larger = error.finding.proof_from, read_size(error.finding.notes[-1])
    better = choose_proof_from(begin) if begin > 1 else begin
    if better != begin:
        path = f"/v1/consistency?old={better}&new={larger}"
        with suppress(NotSent, RefusedByNode, Unverified, msgspec.MsgspecError, UnicodeError):
            data = await transport.request("GET", path, headers={}, at=url)
            error.prove_with(_ANSWER.decode(data).proof, begin=better)
    # The error holds the bytes too, where the disk does not take them.
    with suppress(OSError):
        await asyncio.to_thread(write_evidence, error, outbox)
