"""A verified bundle for people: what happened, entry by entry; what is still open; who owes whom; what was
checked. And the same for programs, as one JSON object.

Times are in the chain's own offset, since its days are. Numbers are never rounded.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import typer
from msgspec import UNSET

from ledger.calendar import MILLIS_PER_DAY, get_day
from ledger.outcome import Leg, Lot
from ledger.values import NEVER
from node.bundle.keyring import GENESIS, STATED, KnownKey
from node.bundle.naming import Entry
from node.bundle.story import Open, Owed, get_lots, get_points, tell_story
from node.bundle.verifying import Verified, VerifiedConsent
from node.cli.tables import format_day, format_money

_WIDTH: Final = 80
_LABEL: Final = 12
_SECOND: Final = 1000
_KINDS: Final = {
    "earn": "{sender} gave {points} points of {program} for a purchase of {amount}",
    "award": "{sender} gave {points} points of {program}: {reason}",
    "return_order": "goods for {amount} came back to {sender}: {points} points of {program} due back",
    "import_balance": "{sender} took over {asked} points of {program} from an earlier system",
    "adjust": "{sender} corrected the balance in {program}: {direction} {asked} points, {reason}",
    "redeem": "{asked} points of {program} were spent at {sender}",
    "hold": "{sender} set {asked} points of {program} aside",
    "capture": "{sender} took {asked} of the held points of {program}",
    "release": "{sender} gave back what was held of {program}",
    "lapse": "the hold's time was over: what was held of {program} went back",
    "refund": "{sender} gave {asked} points of {program} back",
    "gift": "{asked} points of {program} were given to {recipient}",
    "exchange": "points of {program} became points of {target}, at {sender}",
}


def print_story(verified: Verified) -> None:
    """The bundle, told on standard output."""
    origin, bundle, story = verified.origin, verified.bundle, tell_story(verified)
    typer.echo(f"GOOD  {bundle.chain}")
    _say("", f"order {bundle.reference} of {bundle.sender}, as the ledger held it", begin="      ")
    offset = origin.settings.utc_offset_minutes
    typer.echo(f"      with {verified.checkpoint.size:,} leaves; times are UTC{_format_offset(offset)}")
    members = sorted({entry.message.member for entry in verified.entries})
    if len(members) == 1:
        typer.echo(f"      member {members[0]}")
    consents: dict[int, list[VerifiedConsent]] = {}
    for each in verified.consents:
        consents.setdefault(each.given.entry.place, []).append(each)
    for entry in verified.entries:
        _print_entry(verified, entry, consents.get(entry.place, []), tells_member=len(members) > 1)
    _print_open(story.open, verified)
    _print_owed(story.owed, verified)
    _print_checked(verified)


def encode_story(verified: Verified) -> bytes:
    """The same as one JSON object, ``good`` first."""
    story = tell_story(verified)
    return msgspec.json.encode(
        {
            "good": True,
            "chain": verified.bundle.chain,
            "sender": verified.bundle.sender,
            "reference": verified.bundle.reference,
            "checkpoint": {"size": verified.checkpoint.size, "root": verified.checkpoint.root.hex()},
            "events": story.events,
            "consents": [
                {
                    "entry": each.given.entry.place,
                    "member": each.given.member,
                    "purpose": each.given.purpose,
                    "points": each.given.consent.points,
                    "counterparty": each.given.consent.counterparty,
                    "expires": each.given.consent.expires,
                    "key": each.given.consent.key,
                    "holder": None if each.key is None else each.key.holder,
                    "is_verified": each.is_verified,
                }
                for each in verified.consents
            ],
            "open": story.open,
            "owed": story.owed,
            "remarks": verified.remarks,
        }
    )


def _print_entry(
    verified: Verified, entry: Entry, consents: list[VerifiedConsent], *, tells_member: bool
) -> None:
    offset = verified.origin.settings.utc_offset_minutes
    typer.echo()
    when = getattr(entry.message, "occurred_at", None)
    told = "by the ledger itself" if when is None else _format_time(when, offset)
    head = f"{told}  {entry.kind}"
    reference = getattr(entry.message, "reference", None)
    if reference is not None:
        head += f" {reference}"
    typer.echo(head if entry.is_done else f"{head}: TURNED DOWN")
    if tells_member:
        _say("member", entry.message.member)
    for label, text in _tell_entry(verified, entry):
        _say(label, text)
    for each in consents:
        _say("consent", _tell_consent(each, offset))
    if entry.transaction is not None:
        key = verified.signed_by[entry.place]
        _say("signed", f"by {key.holder}, {key.purpose} key {key.key}, known from {_tell_source(key)}")
        block = f"leaf {entry.place:,}, block {entry.transaction.height:,}"
        _say("recorded", f"{block}, {_format_time(entry.transaction.time, offset)}")
    else:
        _say("recorded", f"leaf {entry.place:,}")


def _tell_entry(verified: Verified, entry: Entry) -> Iterator[tuple[str, str]]:
    """What an entry says, label and text."""
    message, outcome = entry.message, entry.outcome
    values: dict[str, Any] = {name: getattr(message, name) for name in message.__struct_fields__}
    currency = verified.origin.settings.currency
    if "amount" in values and values["amount"] is not UNSET:
        values["amount"] = f"{format_money(values['amount'])} {currency}"
    values |= {"sender": entry.sender, "asked": values.get("points"), "points": get_points(entry)}
    if entry.is_done:
        yield "what", _KINDS.get(entry.kind, entry.kind).format(**values)
    else:
        asked = f" of {values['asked']:,} points" if values["asked"] is not None else ""
        yield "asked", f"{entry.kind}{asked} of {message.program}"
        yield "answer", outcome.code
    if outcome.first is not UNSET:
        yield "see", f"leaf {outcome.first:,}, which took the reference"
    if outcome.original is not UNSET:
        yield "of", f"leaf {outcome.original:,}"
    if entry.kind == "hold":
        yield "until", _format_time(message.expires, verified.origin.settings.utc_offset_minutes)
    for name, label in (
        ("lots", "points"),
        ("received", "received"),
        ("released", "went back"),
        ("expired", "lapsed"),
    ):
        for lot in get_lots(entry, name):
            yield label, _tell_lot(lot)
    if outcome.repaid is not UNSET:
        yield "repaid", f"{outcome.repaid:,} points against what the account owed"
    if outcome.debt is not UNSET:
        yield "debt", f"the account owes {outcome.debt:,} points after it"
    if outcome.balance is not UNSET:
        yield "balance", f"{outcome.balance:,} points after it, what is held included"
    for leg in outcome.legs if outcome.legs is not UNSET else ():
        yield "owes", _tell_leg(leg, currency)


def _print_open(found: list[Open], verified: Verified) -> None:
    typer.echo("\nStill open, as far as these entries show")
    for each in found:
        until = "" if each.until_day is None else f", until {format_day(each.until_day)}"
        if each.what == "held":
            limit = _format_time(each.until_time or 0, verified.origin.settings.utc_offset_minutes)
            _say("held", f"{each.points:,} points of {each.reference}, to be captured until {limit}")
        elif each.what == "refundable":
            _say("refundable", f"{each.points:,} of {each.of_points:,} points of {each.reference}{until}")
        else:
            sums = f"{format_money(each.micros or 0)} of {format_money(each.of_micros or 0)}"
            _say("returnable", f"goods for {sums} of {each.reference}{until}")
    if not found:
        _say("", "nothing")


def _print_owed(found: list[Owed], verified: Verified) -> None:
    typer.echo("\nWho owes whom through this order, all in all")
    for each in found:
        money = f"{format_money(each.micros)} {verified.origin.settings.currency}"
        _say("", f"{each.source} owes {each.destination} {money}")
    if not found:
        _say("", "nobody owes anybody")


def _print_checked(verified: Verified) -> None:
    typer.echo("\nChecked, offline")
    verified_consents = sum(each.is_verified for each in verified.consents)
    doubt = ", but for those noted below" if verified.remarks else ""
    entries, registrations = len(verified.entries), len(verified.context)
    transactions, leaves = len(verified.bundle.transactions), len(verified.bundle.genesis)
    for text in (
        f"{leaves} genesis leaves hash to the chain string",
        f"{entries} entries and {registrations} registrations of keys stand under one signed checkpoint",
        f"{transactions} transactions are signed, by keys that lead back to the genesis{doubt}",
        f"{verified_consents} of {len(verified.consents)} consents: signed as shown",
    ):
        _say("", text)
    for remark in verified.remarks:
        _say("Note", remark)
    _say("", "That there are no other entries, no file can show: commonpoint verify reads the whole ledger.")


def _tell_consent(each: VerifiedConsent, offset: int) -> str:
    consent = each.given.consent
    to = "whoever asks" if consent.counterparty == "any" else consent.counterparty
    text = (
        f"to {each.given.purpose} at most {consent.points:,} points, made out to {to}, "
        f"until {_format_time(consent.expires, offset)}; "
    )
    if each.key is None:
        return text + f"key {consent.key} is not shown here"
    whose = "their own" if each.key.holder == each.given.member else f"{each.key.holder}'s"
    checked = "signed" if each.is_verified else "not checked, since the entry was turned down,"
    return text + f"{checked} with {whose} key {each.key.key}, known from {_tell_source(each.key)}"


def _tell_lot(lot: Lot) -> str:
    text = f"{lot.points:,} of series {lot.series}, "
    text += "for ever" if lot.expires == NEVER else f"good until {format_day(lot.expires)}"
    if lot.spendable_from:
        text += f", from {format_day(lot.spendable_from)}"
    return text + (", given once more" if lot.original else "")


def _tell_leg(leg: Leg, currency: str) -> str:
    return f"{leg.source} owes {leg.destination} {format_money(leg.micros)} {currency} ({leg.reason})"


def _tell_source(key: KnownKey) -> str:
    if key.source == GENESIS:
        return "the genesis"
    return "the maker's word" if key.source == STATED else f"leaf {key.source:,}"


def _say(label: str, text: str, *, begin: str = "  ") -> None:
    """One labelled paragraph, broken between words at the width of a plain terminal."""
    lead = f"{begin}{label.ljust(_LABEL) if label else ''}"
    for line in textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    ):
        typer.echo(line)


def _format_time(time: int, offset: int) -> str:
    day = format_day(get_day(time, utc_offset_minutes=offset))
    seconds = (time + offset * 60_000) % MILLIS_PER_DAY // _SECOND
    return f"{day} {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _format_offset(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
