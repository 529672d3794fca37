"""What an engine owes to those who wait: an answer once their transaction's block is durable, or the word
that none will come.

The same for every engine, so that nobody can tell from an answer which one a ledger has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from ledger.errors import CommonpointError, InvariantBroken, Refused

if TYPE_CHECKING:
    from ledger.executor import Answer, ExecutedBlock
    from node.chain import ChainKeeper
    from node.mempool import Mempool, Waiting

log = structlog.get_logger()


def tell_answer(one: Waiting, answer: Answer, *, block: ExecutedBlock, chain: ChainKeeper) -> None:
    """Whoever waits has the answer that this durable block gave."""
    if answer.refusal is None and not answer.is_repeat:
        one.future.set_result(chain.make_taken(block, answer))
        return
    # It came again while the block that took it was being made. By now it may be past its `not_after` or its
    # key revoked; all the same it was taken, and what was taken has one answer for ever.
    header = one.transaction.header
    known = chain.find_transaction(header.sender, header.id)
    if known is not None and known[0] == header.digest:
        one.future.set_result(known[1])
    else:
        one.future.set_exception(
            answer.refusal or InvariantBroken("REPEAT_NOT_FOUND", sender=header.sender, id=header.id)
        )


def refuse(waiting: Iterable[Waiting], refusal: Refused) -> None:
    """Each of them is told so, unless it was told something already."""
    for one in waiting:
        if not one.future.done():
            one.future.set_exception(Refused(refusal.code, **refusal.facts))


def tell_stopped(mempool: Mempool) -> None:
    """Nobody is left waiting for an engine that has stopped for good."""
    refusal = Refused("STOPPING", reason="the node stopped because it could not keep a promise")
    refuse([*mempool.close(refusal), *mempool.give_up_block()], refusal)


def tell_failure(error: BaseException) -> None:
    """The log says over what the engine stopped."""
    facts = error.facts if isinstance(error, CommonpointError) else {}
    log.critical(
        "engine stopped",
        error=str(error),
        **{f"fact_{name}": str(value) for name, value in facts.items()},
    )
