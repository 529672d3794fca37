"""A real history of the small alliance, written as the files of a log, and ways to damage it.

`write_history` executes everything a ledger can hold: every kind of leaf, messages that are applied and that
are rejected, atomic transactions, other people's points, exchanges, points that lapse. `WrittenLog` keeps
bundles, tiles and a checkpoint as bytes, so a test can change one bit of one of them, or rewrite the log as a
dishonest operator would: tiles and checkpoint made anew and signed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from contracts.messages import (
    Capture,
    Earn,
    Enrol,
    Exchange,
    Hold,
    Redeem,
    Refund,
    ReturnOrder,
    SetDebitCap,
    SetParameter,
    SetPolicy,
    SetTillLimits,
)
from ledger.calendar import get_day
from ledger.keys import SeedSigner
from ledger.log.merkle import compute_leaf_hashes
from ledger.log.note import sign_checkpoint
from ledger.log.policy import format_policy
from ledger.log.tiles import TILE_LEVELS, TILE_WIDTH, HashTree, encode_bundle
from ledger.policy_chain import derive_policy
from node.audit.replay import Replay
from node.core import NodeCore
from tests.contracts.alliance import Alliance
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CLARA,
    FRESH,
    OPERATOR,
    PETROL,
    PHARMACY,
    STRANGER,
    make_signer,
    member_id,
)
from tests.contracts.letters import make_nonce, sign_consent
from tests.node.audit.governed import close_windows, govern

LOG_SIGNER = make_signer("log")
GUESTS = [member_id(10_000 + number) for number in range(40)]


def write_history(days: int = 12, *, is_settled: bool = True) -> Alliance:
    """The small alliance after days of trade, a quiet half-year and the day after; then votes and windows."""
    alliance = Alliance(version=1).open()
    alliance.must(FRESH, *[Enrol(member=guest) for guest in GUESTS])
    alliance.must(OPERATOR, SetParameter(effective_height=40, parameter="due_entries_max", value=16))
    for day in range(days):
        trade(alliance, day)
        alliance.wait(days=1)
    # Everything of `mile` lapses meanwhile: the next blocks begin with system entries.
    alliance.wait(days=200)
    for day in range(3):
        trade(alliance, 1000 + day)
        alliance.wait(days=1)
    if is_settled:
        govern(alliance)
        close_windows(alliance)
    undo(alliance)
    return alliance


def undo(alliance: Alliance) -> None:
    """Limits are set; one hold is captured and refunded in part, one stays open; an order comes back that the
    member has spent already, so the account owes points.
    """
    time = alliance.time
    day = get_day(time, utc_offset_minutes=480)
    alliance.must(
        FRESH,
        SetPolicy(
            bonus_day=100,
            bonus_total=1_000,
            cooling_days=2,
            gifts="allowed",
            order_share_basis_points=10_000,
            points_order=10**6,
            program="leaf",
            shortfall="debt",
        ),
        SetTillLimits(key=make_signer(FRESH, "till").key_id, points_day=500, points_order=100, step_up=50),
    )
    alliance.must(OPERATOR, SetDebitCap(cap=10**12, participant=FRESH))
    set_aside(alliance, time, day)
    owe_points(alliance, time, day)


def set_aside(alliance: Alliance, time: int, day: int) -> None:
    """Two holds; one is captured and refunded in part."""
    for number in range(2):
        consent = sign_consent(
            alliance.chain,
            make_signer(ANNA),
            counterparty=PETROL,
            expires=time + 60_000,
            member=ANNA,
            points=9,
            program="leaf",
            purpose="hold",
            nonce=make_nonce("hold", number),
        )
        hold = Hold(
            consent=consent,
            expires=time + 400_000_000,
            member=ANNA,
            occurred_at=time,
            points=9,
            program="leaf",
            reference=f"hold-{number}",
        )
        alliance.must(PETROL, hold)
    named: dict[str, Any] = {"member": ANNA, "occurred_at": time, "program": "leaf"}
    alliance.must(PETROL, Capture(hold="hold-0", hold_day=day, points=7, **named))
    refund = Refund(
        original="hold-0", original_day=day, original_type="hold", points=3, reference="back", **named
    )
    alliance.must(PETROL, refund)


def owe_points(alliance: Alliance, time: int, day: int) -> None:
    """An order comes back when its points are spent."""
    guest = GUESTS[-1]
    bought = Earn(amount=900_000_000, member=guest, occurred_at=time, program="drop", reference="spent-soon")
    alliance.must(PHARMACY, bought)
    spent = Redeem(
        member=guest,
        occurred_at=time,
        points=alliance.points(guest, "drop"),
        program="drop",
        reference="gone",
    )
    consent = sign_consent(
        alliance.chain,
        make_signer(FRESH, "custody"),
        counterparty=PHARMACY,
        expires=time + 60_000,
        member=guest,
        points=spent.points,
        program="drop",
        nonce=make_nonce("gone"),
    )
    alliance.must(PHARMACY, replace(spent, consent=consent))
    returned = ReturnOrder(
        amount=400_000_000,
        member=guest,
        occurred_at=time,
        original="spent-soon",
        original_day=day,
        original_type="earn",
        program="drop",
        reference="returned",
    )
    alliance.must(PHARMACY, returned)


def trade(alliance: Alliance, day: int) -> None:
    """One day: several transactions in one block, then one whose messages count together or not at all."""
    time = alliance.time

    def earn(member: str, program: str, number: int, amount: int = 23_000_000) -> Earn:
        reference = f"{program}-{day}-{number}"
        return Earn(amount=amount, member=member, occurred_at=time, program=program, reference=reference)

    def redeem(member: str, program: str, points: int, **fields: Any) -> Redeem:
        reference = f"spend-{program}-{day}-{member[-4:]}"
        return Redeem(
            member=member, occurred_at=time, points=points, program=program, reference=reference, **fields
        )

    home = [earn(guest, "leaf", number) for number, guest in enumerate(GUESTS)]
    consent = sign_consent(
        alliance.chain,
        make_signer(ANNA),
        counterparty=PETROL,
        expires=time + 60_000,
        member=ANNA,
        points=5,
        program="leaf",
        nonce=make_nonce("redeem", day),
    )
    swap = sign_consent(
        alliance.chain,
        make_signer(ANNA),
        counterparty=ANNA,
        expires=time + 60_000,
        member=ANNA,
        points=20,
        program="leaf",
        purpose="exchange",
        nonce=make_nonce("exchange", day),
        least=1,
        target="mile",
    )
    exchange = Exchange(
        consent=swap,
        least=1,
        member=ANNA,
        occurred_at=time,
        points=20,
        program="leaf",
        rate_height=5,
        recipient=ANNA,
        reference=f"swap-{day}",
        series="leaf-1",
        target="mile",
    )
    block = alliance.cut(
        alliance.sign(FRESH, *home, earn(ANNA, "leaf", 900, 90_000_000), earn(STRANGER, "leaf", 901)),
        alliance.sign(PETROL, earn(CLARA, "mile", 902), earn(BORIS, "leaf", 903), earn(BORIS, "leaf", 903)),
        alliance.sign(FRESH, redeem(BORIS, "leaf", 7), redeem(GUESTS[0], "leaf", 10**6)),
        alliance.sign(PETROL, redeem(ANNA, "leaf", 5, consent=consent), exchange),
    )
    assert all(answer.refusal is None for answer in block.answers)
    alliance.submit(FRESH, earn(ANNA, "leaf", 904), redeem(ANNA, "leaf", 10**8), atomic=True)


def write_directory(history: Alliance, directory: Path) -> None:
    """The data directory of a node that made every block of the history and was stopped."""
    directory.mkdir(mode=0o700)
    (directory / "genesis.jsonl").write_bytes(b"".join(leaf + b"\n" for leaf in history.origin.leaves))
    (directory / "policy.txt").write_bytes(format_policy(derive_policy(history.origin)))
    core = NodeCore.open(directory / "ledger.db", genesis=history.origin.leaves, signer=LOG_SIGNER)
    # Block by block as they were, past intake: a simulated chain would order each block's transactions anew.
    with core._engine._cutting:
        for block in Replay.begin(history.leaves):
            core._chain.make_block(block.recorded.transactions, time=block.executed.time)
    core.stop()


class WrittenLog:
    """A log as stored bytes: a `node.audit.sources.LeafSource` whose every part a test may change."""

    def __init__(
        self,
        leaves: list[bytes],
        *,
        origin: str,
        signer: SeedSigner = LOG_SIGNER,
        has_partial_tiles: bool = True,
        signed_size: int | None = None,
    ) -> None:
        self.has_partial_tiles = has_partial_tiles
        self.stored_size = len(leaves)
        self.bundles = {
            index: encode_bundle(leaves[index * TILE_WIDTH : (index + 1) * TILE_WIDTH])
            for index in range(-(-len(leaves) // TILE_WIDTH))
        }
        hashes = compute_leaf_hashes(leaves)
        signed_size = len(leaves) if signed_size is None else signed_size
        tree = HashTree()
        self.tiles = {(tile.level, tile.index): tile.data for tile in tree.extend(hashes[:signed_size])}
        self.note = sign_checkpoint(origin=origin, size=signed_size, root=tree.root(), signer=signer)
        self.tiles.update({(tile.level, tile.index): tile.data for tile in tree.extend(hashes[signed_size:])})
        level = 0
        while has_partial_tiles and (known := tree.size >> (TILE_LEVELS * level)):
            index, width = divmod(known, TILE_WIDTH)
            if width:
                self.tiles[level, index] = tree.tile(level, index, width)
            level += 1

    def read_checkpoint(self) -> str:
        return self.note

    def read_size(self) -> int | None:
        return None if self.has_partial_tiles else self.stored_size

    def read_bundle(self, index: int, width: int) -> bytes | None:
        del width  # a bundle is stored as wide as it is
        return self.bundles.get(index)

    def read_tile(self, level: int, index: int, width: int) -> bytes | None:
        del width
        return self.tiles.get((level, index))


def flip(data: bytes, place: int, bit: int = 0) -> bytes:
    """The bytes with one bit changed."""
    return data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]


def find_leaf(leaves: list[bytes], start: bytes, *, after: int = 0) -> int:
    """The index of the first leaf that begins so."""
    return next(index for index in range(after, len(leaves)) if leaves[index].startswith(start))
