"""A statement that somebody else made, worked out again from its own lines: what one checks before signing.

Nets, whole units, carries and transfers follow from the lines, what was brought over and the carries before;
so does every byte but the shares of brands, whose parts a statement does not name: of them only the sum is
held against what is paid. Whether the lines are what the entries add up to takes the log.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from contracts.mechanics.statement import WindowSums, compute_statement
from contracts.messages.statement import STATEMENT_DECODER, Statement
from ledger.codec import decode, encode
from ledger.errors import InvariantBroken, Refused, Unverified


def verify_statement(data: bytes, *, chain: str, window: int) -> Statement:
    """The statement, once it adds up. Raises `Unverified` ``STATEMENT_MALFORMED`` or
    ``STATEMENT_DOES_NOT_ADD_UP``.
    """
    try:
        statement = decode(data, STATEMENT_DECODER)
    except Refused as error:
        raise Unverified("STATEMENT_MALFORMED", reason=str(error)) from None
    if (statement.chain, statement.window) != (chain, window):
        raise Unverified(
            "STATEMENT_MALFORMED",
            reason="of another window",
            expected=f"{chain} {window}",
            found=f"{statement.chain} {statement.window}",
        )
    try:
        computed = compute_statement(_collect_sums(statement))
    except InvariantBroken as error:
        raise Unverified("STATEMENT_DOES_NOT_ADD_UP", reason=str(error)) from None
    plain = replace(
        statement, positions=[replace(position, brands=UNSET) for position in statement.positions]
    )
    if encode(plain) != encode(computed):
        raise Unverified("STATEMENT_DOES_NOT_ADD_UP", part=_find_difference(plain, computed))
    for position in statement.positions:
        if isinstance(position.brands, UnsetType):
            continue
        if sum(share.units for share in position.brands) != position.units:
            raise Unverified("STATEMENT_DOES_NOT_ADD_UP", part="brands", participant=position.participant)
    return statement


def _collect_sums(statement: Statement) -> WindowSums:
    return WindowSums(
        chain=statement.chain,
        currency=statement.currency,
        window=statement.window,
        first_height=statement.first_height,
        last_height=statement.last_height,
        closed_at=statement.closed_at,
        payment_unit_micros=statement.payment_unit_micros,
        lines={(each.source, each.destination, each.reason): int(each.micros) for each in statement.lines},
        brought={
            (each.source, each.destination, each.window): int(each.micros) for each in statement.brought
        },
        carries={
            each.participant: int(each.carry_before)
            for each in statement.positions
            if each.carry_before != "0"
        },
        brands={},
        previous=None if isinstance(statement.previous, UnsetType) else statement.previous,
    )


def _find_difference(told: Statement, expected: Statement) -> str:
    """Which part of it is not as it should be."""
    for part in ("lines", "brought", "positions", "transfers"):
        if getattr(told, part) != getattr(expected, part):
            return part
    return "head"
