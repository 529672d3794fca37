"""What an alliance does about a window: cuts it, signs it, pays it, decides about it by vote."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from contracts.mechanics.settlement_records import WindowRecord
from contracts.messages import AttestCover, AttestFund, AttestPayment, Countersign, CutWindow, Propose, Vote
from contracts.messages.statement import STATEMENT_DECODER, Statement
from ledger.codec import decode, sha256, to_base64url
from ledger.outcome import Outcome
from tests.contracts.alliance import Alliance, read_leaf
from tests.contracts.cast import ANNA, CINEMA, FRESH, OPERATOR, PETROL, PHARMACY
from tests.contracts.purchases import buy, spend

MERCHANTS = (CINEMA, FRESH, PETROL, PHARMACY)


def trade(alliance: Alliance, round_of: object = 0) -> None:
    """The petrol chain owes the supermarket 420,000 micros; the supermarket it 990,000, the cinema 495,000
    and the operator 15,000.
    """
    alliance.earn(ANNA, 150)
    assert buy(alliance, PETROL, reference=f"bought-{round_of}").code == "OK"
    assert spend(alliance, PETROL, reference=f"a-{round_of}").code == "OK"
    assert spend(alliance, CINEMA, points=50, reference=f"b-{round_of}").code == "OK"


def cut_window(alliance: Alliance) -> int:
    """The window that is open now is cut, with a block that does nothing else: its number."""
    alliance.must(OPERATOR, CutWindow(alliance.height + 1))
    alliance.cut()
    message, outcome = read_system(alliance)[-1]
    assert outcome.code == "OK"
    number: int = message.window
    return number


def read_system(alliance: Alliance) -> list[tuple[Any, Outcome]]:
    """What the last block did by itself."""
    leaves = alliance.blocks[-1].leaves
    return [read_leaf(leaf) for leaf in leaves if leaf.startswith(b'{"@type":"system"')]


def get_record(alliance: Alliance, number: int = 1) -> WindowRecord:
    record: WindowRecord = alliance.get("window", f"{number:06d}")
    return record


def read_statement(alliance: Alliance, number: int = 1) -> Statement:
    """The statement, whose hash is the one that the window has."""
    data = alliance.get("statement", f"{number:06d}").encode()
    assert to_base64url(sha256(data)) == get_record(alliance, number).statement
    return decode(data, STATEMENT_DECODER)


def sign(alliance: Alliance, who: str, number: int = 1, *, lines: Any = UNSET, **fields: Any) -> Outcome:
    """Who agrees, or disputes these lines."""
    told = {
        "lines": lines,
        "statement": get_record(alliance, number).statement,
        "verdict": "agree" if lines is UNSET else "dispute",
        "window": number,
        **fields,
    }
    return alliance.ask(who, Countersign(**told))


def agree_all(alliance: Alliance, number: int = 1) -> Outcome:
    """Whoever stands in the statement agrees: what came of the last."""
    outcomes = [sign(alliance, who, number) for who in get_record(alliance, number).parties]
    assert {outcome.code for outcome in outcomes} == {"OK"}
    return outcomes[-1]


def attest(
    alliance: Alliance, who: str, transfer: int, number: int = 1, reference: str = "bank-1"
) -> Outcome:
    return alliance.ask(who, AttestPayment(reference, transfer, number))


def pay(alliance: Alliance, number: int = 1, *, but: tuple[str, ...] = ()) -> None:
    """Both sides attest every transfer, but those of the payers named."""
    for place, transfer in enumerate(get_record(alliance, number).transfers):
        if transfer.payer not in but:
            for who in (transfer.payer, transfer.payee):
                assert attest(alliance, who, place, number).code == "OK"


def settle(alliance: Alliance) -> int:
    """The open window is cut, agreed and paid."""
    number = cut_window(alliance)
    agree_all(alliance, number)
    pay(alliance, number)
    assert get_record(alliance, number).state == "settled"
    return number


def propose(alliance: Alliance, *actions: Any) -> tuple[str, Outcome]:
    """The operator, who decides alone here, proposes this: its name, and what came of that."""
    name = f"p-{alliance.height}"
    government = alliance.get("government", "government")
    message = Propose(
        actions=list(actions),
        configuration=0 if government is None else government.configuration,
        effective_height=alliance.height,
        expires=alliance.time + 86_400_000,
        proposal=name,
    )
    return name, alliance.ask(OPERATOR, message)


def decide(alliance: Alliance, *actions: Any) -> Outcome:
    """It is decided, and done at the beginning of the next block: what came of it."""
    name, outcome = propose(alliance, *actions)
    assert outcome.code == "OK", outcome
    alliance.must(OPERATOR, Vote("yes", alliance.get("proposal", name).configuration, name))
    alliance.cut()
    found: Outcome = read_system(alliance)[0][1]
    return found


def cover(alliance: Alliance, who: str, micros: int, *, reserve: int = 0, days: int = 300) -> None:
    """The trustee attests what stands behind a participant's debts."""
    expires = alliance.time + days * 86_400_000
    alliance.must(OPERATOR, AttestCover(micros, expires, who, reserve))


def fund(alliance: Alliance, micros: int) -> None:
    alliance.must(OPERATOR, AttestFund(micros))


def events_of(outcome: Outcome) -> list[tuple[str, str]]:
    return [(event.name, event.about) for event in outcome.events or []]
