"""Return of an order: the points earned on goods that came back are due back.

Measured by the amounts, cumulatively: when all of the order is back, all of its points are due, in however
many parts. They are taken from the very lot they were earned in, then from the program's other lots, soonest
expiry first. What the member no longer has is owed, forgiven, or stands in the way, as the issuer chose; so
nobody earns, spends and returns at a profit. A partner gets back what it paid for the points that are really
taken, since of these the issuer is relieved, and of no others: else a partner could earn, redeem at its own
till and return, all at the issuer's expense.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from contracts.mechanics.clearing import compute_share, make_accrual_return_legs
from contracts.mechanics.lots import get_account, get_departures, reads_account, split_lots
from contracts.mechanics.originals import check_parts, find_original, get_original_key
from contracts.mechanics.policies import get_policy
from contracts.mechanics.records import DEBT
from contracts.mechanics.terms import get_terms
from contracts.mechanics.trials import get_parameter_for
from contracts.messages.reject_codes import OK
from contracts.messages.returns import ReturnOrder
from ledger.errors import Rejected
from ledger.outcome import Lot, Outcome
from ledger.posting import CLAWED_BACK, Account, Posting, get_account_key, is_like, with_points
from ledger.rule import Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView


def return_order(state: StateView, asked: Asked, message: ReturnOrder) -> Decision:
    """Take back the points that goods now returned had brought."""
    # CHECK: the original, what came back of it before, then what the member still has.
    block = asked.block
    table, key, earned, part = find_original(state, asked, message)
    returned = earned.returned + message.amount
    if returned > earned.amount:
        raise Rejected("REFUND_ABOVE_ORIGINAL", returned=returned, amount=earned.amount)
    check_parts(earned)
    due = compute_share(earned.lot.points, part=earned.amount, before=earned.returned, after=returned)
    account_key = get_account_key(message.member, message.program)
    account = get_account(state, block, account_key)
    lots, shortfall = _find_lots(account, earned.lot, due, day=block.day)
    changes, debt = _settle_shortfall(state, asked, message, account_key, shortfall)

    # POST
    gone = due - shortfall
    taken = earned.taken + gone
    changes += [
        (table, key, replace(earned, returned=returned, taken=taken, undone=(*earned.undone, part))),
        *get_departures(block, account, account_key, lots),
    ]
    legs = make_accrual_return_legs(
        asked,
        issuer=get_terms(state, block, message.program).issuer,
        accrual=gone * earned.par_accrue,
        fee=compute_share(earned.fee, part=earned.lot.points, before=earned.taken, after=taken),
    )
    outcome = Outcome(
        balance=account.points - gone,
        code=OK,
        debt=UNSET if debt is None else debt,
        legs=legs or UNSET,
        lots=lots or UNSET,
        original=earned.index,
        points=due,
    )
    return Decision(
        outcome, [Posting(message.program, message.member, CLAWED_BACK, lot) for lot in lots], changes
    )


def _find_lots(account: Account, earned: Lot, due: int, *, day: int) -> tuple[list[Lot], int]:
    """The lots that make up what is due, the earning's own first, and how many points are missing.

    Those that still cool are taken as well; those past their day are nobody's to give.
    """
    if earned.spendable_from <= day:  # it has waited out its time, and is like one that never waited
        earned = with_points(earned, earned.points, spendable_from=0)
    living = [lot for lot in account.lots if lot.expires >= day]
    own = [lot for lot in living if is_like(lot, earned)]
    others = [lot for lot in living if not is_like(lot, earned)]
    lots, _ = split_lots([*own, *others], due)
    return lots, due - sum(lot.points for lot in lots)


def _settle_shortfall(
    state: StateView, asked: Asked, message: ReturnOrder, account_key: str, shortfall: int
) -> tuple[list[Any], int | None]:
    """What becomes of points the member no longer has: the changes, and the debt after where it changed.

    Raises `Rejected` ``CLAWBACK_BLOCKED`` or ``DEBT_LIMIT``.
    """
    choice = get_policy(state, message.program).shortfall
    if not shortfall or choice == "absorb":
        return [], None
    if choice == "block":
        raise Rejected("CLAWBACK_BLOCKED", missing=shortfall)
    debt = (state.get(DEBT, account_key) or 0) + shortfall
    allowed = get_parameter_for(state, asked, "debt_points_max", message.member)
    if debt > allowed:
        raise Rejected("DEBT_LIMIT", debt=debt, allowed=allowed)
    return [(DEBT, account_key, debt)], debt


def reads(block: BlockContext, sender: str, message: ReturnOrder) -> Sequence[Key]:
    """The records `return_order` reads."""
    return get_original_key(sender, message), reads_account(message.member, message.program)


RULE: Final = Rule(ReturnOrder, frozenset({"transact", "till"}), return_order, reads)
