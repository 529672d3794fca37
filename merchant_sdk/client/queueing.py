"""Orders taken without a connection: queued in the outbox, signed when there is one, in the order they came.

A signed transaction lives an hour at most, so what waits longer is kept as messages. When the queue is
drained, as many as a transaction can hold are signed and stored in one step, then sent as any transaction is;
the next ones go when those are committed. A transaction that is turned away as a whole (a key was revoked,
say) gives its messages back to the queue. One process at a time drains, whoever comes first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

from msgspec import MsgspecError

from contracts.messages import MESSAGE_DECODER
from ledger.values import MESSAGES_MAX
from merchant_sdk.client.core import MESSAGE_BYTES_MAX
from merchant_sdk.client.submission import Submitter
from merchant_sdk.errors import CommonpointError, OutboxError, UnknownOutcome
from merchant_sdk.outbox import Outbox
from merchant_sdk.results import Committed, Resent

R = TypeVar("R")


async def drain(submitter: Submitter[R]) -> list[Resent[R]]:
    """What came of the queue, one a transaction, up to the first that is not committed."""
    found: list[Resent[R]] = []
    sender, outbox = submitter.core.participant, submitter.outbox
    while True:
        rows = await submitter.keep(partial(outbox.list_queued, sender, limit=MESSAGES_MAX))
        if not rows:
            return found
        try:
            results = await _carry(submitter, rows)
        except CommonpointError as error:
            told: CommonpointError = error
            if error.fate != "unknown":
                # Before anything was signed; the messages stay where they are.
                told = UnknownOutcome("", f"still queued: {error}", code=error.code)
            return [*found, Resent[R](transaction_id=told.transaction_id or "", error=told)]
        if not results:
            # Another process was quicker.
            return found
        found.append(Resent[R](transaction_id=results[0].transaction_id, results=tuple(results)))


async def tell_what_waits(outbox: Outbox, sender: str, error: CommonpointError) -> list[Resent[Any]]:
    """What `flush` says where no node could be asked: everything that is open stays so, and why."""
    if not outbox.is_durable:
        # It is as old as this process, which has asked no node yet.
        return []
    open_ids = [each.id for each in await asyncio.to_thread(outbox.list_free, sender)]
    if await asyncio.to_thread(partial(outbox.list_queued, sender, limit=1)):
        open_ids.append("")
    return [
        Resent[Any](transaction_id=each, error=UnknownOutcome(each, f"no node: {error}", code=error.code))
        for each in open_ids
    ]


async def _carry(submitter: Submitter[R], rows: Sequence[tuple[int, bytes]]) -> list[Committed[R]]:
    """The results of the first of these messages, as many as fit into one transaction of one key."""
    messages: list[Any] = []
    size = 0
    signer = None
    for _, data in rows:
        size += len(data) + 1
        try:
            message = MESSAGE_DECODER.decode(data)
        except (MsgspecError, UnicodeError, RecursionError) as error:
            if messages:
                break
            raise OutboxError("the queue holds what cannot be read", reason=str(error)[:200]) from None
        wanted = submitter.core.choose_signer([message])
        if size > MESSAGE_BYTES_MAX or (signer is not None and wanted.key_id != signer.key_id):
            break
        signer = wanted
        messages.append(message)
    numbers = [number for number, _ in rows[: len(messages)]]
    store = partial(submitter.outbox.put_carrier, numbers=numbers)
    return await submitter.submit(messages, signer=signer, store=store)
