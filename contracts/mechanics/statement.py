"""The statement's arithmetic: who is paid what for a window, in whole units, in few transfers.

A pure function from what a window's entries add up to (`make_statement`): the rule that cuts a window and
whoever recomputes one from the log get the same bytes. Every division says who gets the remainder: what whole
units leave over is carried into the next window, and units and carries each sum to zero.

It neither reads a state nor looks at legs one by one; what is on whose account at which bank is not known
here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

from msgspec import UNSET, Struct, UnsetType

from contracts.messages.statement import (
    BrandUnits,
    BroughtLine,
    Statement,
    StatementLine,
    StatementPosition,
    StatementTransfer,
)
from ledger.codec import INTEGER_MAX, encode, sha256, to_base64url
from ledger.errors import InvariantBroken

ROUNDING_PREFIX = "rounding:"


class WindowSums(Struct, frozen=True, gc=False, kw_only=True):
    """What a window's statement is made from. Never on the wire."""

    chain: str
    currency: str
    window: int
    first_height: int
    last_height: int
    closed_at: int
    payment_unit_micros: int
    """The parameter in force."""
    lines: Mapping[tuple[str, str, str], int]
    """(from, to, reason) → micros of the legs of the window's entries; more than nothing."""
    brought: Mapping[tuple[str, str, int], int]
    """(from, to, window it comes from) → micros left to be paid now; more than nothing."""
    carries: Mapping[str, int]
    """Participant → micros that the window before left over, what is not zero."""
    brands: Mapping[str, Sequence[tuple[str, int]]]
    """Participant → (brand, parts), of those who have set any."""
    previous: str | None
    """The hash of the statement before; None for the first."""


def make_statement(sums: WindowSums) -> bytes:
    """The canonical bytes of the window's statement."""
    data: bytes = encode(compute_statement(sums))
    return data


def hash_statement(data: bytes) -> str:
    """The hash of a statement's bytes, as the log names it."""
    return to_base64url(sha256(data))


def compute_statement(sums: WindowSums) -> Statement:
    """What the window comes to. The order in which anything was given makes no difference."""
    nets = compute_nets(sums.lines, sums.brought)
    names = sorted(nets.keys() | sums.carries.keys())
    amounts = [nets.get(name, 0) + sums.carries.get(name, 0) for name in names]
    unit = find_unit(amounts, least=sums.payment_unit_micros)
    units = compute_units(amounts, unit=unit)
    positions = [
        _make_position(sums, name, net=nets.get(name, 0), units=paid, unit=unit)
        for name, paid in zip(names, units, strict=True)
    ]
    transfers = compute_transfers(dict(zip(names, units, strict=True)))
    return Statement(
        brought=[
            BroughtLine(source, str(micros), destination, window)
            for (source, destination, window), micros in sorted(sums.brought.items())
        ],
        chain=sums.chain,
        closed_at=sums.closed_at,
        currency=sums.currency,
        first_height=sums.first_height,
        last_height=sums.last_height,
        lines=[
            StatementLine(source, str(micros), reason, destination)
            for (source, destination, reason), micros in sorted(sums.lines.items())
        ],
        payment_unit_micros=unit,
        positions=positions,
        previous=UNSET if sums.previous is None else sums.previous,
        transfers=[StatementTransfer(payer, payee, paid) for payer, payee, paid in transfers],
        window=sums.window,
    )


def _make_position(sums: WindowSums, name: str, *, net: int, units: int, unit: int) -> StatementPosition:
    carry = sums.carries.get(name, 0)
    shares = sums.brands.get(name, ())
    brands: list[BrandUnits] | UnsetType = UNSET
    if shares and units > 0:
        split = split_units(units, [parts for _, parts in shares])
        brands = [BrandUnits(brand, share) for (brand, _), share in zip(shares, split, strict=True)]
    return StatementPosition(
        brands=brands,
        carry_after=str(net + carry - units * unit),
        carry_before=str(carry),
        net=str(net),
        participant=name,
        units=units,
    )


def compute_nets(
    lines: Mapping[tuple[str, str, str], int], brought: Mapping[tuple[str, str, int], int]
) -> dict[str, int]:
    """By participant, what it is owed less what it owes; a rounding account counts as its owner."""
    nets: dict[str, int] = {}
    for owed in (lines, brought):
        for key, micros in owed.items():
            source, destination = key[0], key[1].removeprefix(ROUNDING_PREFIX)
            nets[source] = nets.get(source, 0) - micros
            nets[destination] = nets.get(destination, 0) + micros
    return nets


def find_unit(amounts: Sequence[int], *, least: int) -> int:
    """The first of ``least``, ten times it, a hundred times it, … of which no amount takes more than every
    JSON reader can tell. What is not a whole one is carried, as ever.
    """
    most = max(map(abs, amounts), default=0)
    unit = least
    while most // unit + 1 > INTEGER_MAX:
        unit *= 10
    return unit


def compute_units(amounts: Sequence[int], *, unit: int) -> list[int]:
    """Each amount in whole units: ⌊S_i / unit⌋ − ⌊S_(i−1) / unit⌋ with prefix sums S_i, so they sum to zero.

    The amounts must; each gets less than one unit more or less than it is. What is zero stays zero.
    """
    if sum(amounts):
        raise InvariantBroken("POSITIONS_NOT_ZERO", moved=sum(amounts))
    units = []
    reached = total = 0
    for amount in amounts:
        total += amount
        units.append(total // unit - reached)
        reached = total // unit
    return units


def compute_transfers(units: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """Who pays whom: always who owes most, to who is owed most; of equals the first by id.

    Each of them settles one side for good, so there are fewer transfers than participants.
    """
    payers = [(paid, name) for name, paid in units.items() if paid < 0]
    payees = [(-paid, name) for name, paid in units.items() if paid > 0]
    heapify(payers)
    heapify(payees)
    transfers = []
    while payers:
        owes, payer = heappop(payers)
        owed, payee = heappop(payees)
        paid = min(-owes, -owed)
        transfers.append((payer, payee, paid))
        if owes + paid:
            heappush(payers, (owes + paid, payer))
        if owed + paid:
            heappush(payees, (owed + paid, payee))
    return transfers


def split_units(units: int, parts: Sequence[int]) -> list[int]:
    """Units by parts: ⌊units · part / all parts⌋ each, then one more each in order until none is left."""
    whole = sum(parts)
    shares = [units * part // whole for part in parts]
    left = units - sum(shares)
    return [share + (place < left) for place, share in enumerate(shares)]


def compute_shares(amount: int, claims: Sequence[int]) -> list[int]:
    """The amount by claims: ⌊amount · K_i / K⌋ − ⌊amount · K_(i−1) / K⌋ with prefix sums K_i of K."""
    whole = sum(claims)
    shares = []
    before = claimed = 0
    for claim in claims:
        claimed += claim
        reached = amount * claimed // whole
        shares.append(reached - before)
        before = reached
    return shares
