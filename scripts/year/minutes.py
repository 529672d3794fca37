"""The alliance's minutes: what is shown of the year's windows, payments, votes, dispute and default.

Every figure comes from the log (`scripts.year.chronicle`); this module only lays it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from msgspec import UnsetType
from rich.console import Console
from rich.table import Table

from ledger.calendar import get_date, get_day
from node.preview.words import tell_action
from scripts.year.alliance import UTC_OFFSET_MINUTES, get_names
from scripts.year.charter import WEIGHTS
from scripts.year.recounted import SOURCES, Motion, Week, Year
from scripts.year.report import format_money, show_facts

_ACTIONS_SHOWN: Final = 1


def show_minutes(console: Console, year: Year, *, currency: str) -> None:
    """All of it, in the order in which one would ask."""
    _show_windows(console, year, currency=currency)
    console.print()
    _show_balances(console, year, currency=currency)
    console.print()
    _show_payments(console, year, currency=currency)
    console.print()
    _show_motions(console, year)
    _show_dispute(console, year)
    _show_caps(console, year)
    _show_default(console, year)


def show_last_statement(console: Console, week: Week, *, currency: str) -> None:
    """The year-end statement, as far as it concerns what is paid."""
    statement = week.statement
    title = (
        f"Year-end statement: window {statement.window}, closed {_tell_day(statement.closed_at)} ({currency})"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for header in ("net", "carried in", "paid out", "received", "carried on", "split among brands"):
        table.add_column(header, justify="right")
    for each in statement.positions:
        amount = each.units * statement.payment_unit_micros
        brands = [] if isinstance(each.brands, UnsetType) else each.brands
        table.add_row(
            get_names()[each.participant],
            format_exact(int(each.net)),
            format_exact(int(each.carry_before)),
            format_money(-amount) if amount < 0 else "",
            format_money(amount) if amount > 0 else "",
            format_exact(int(each.carry_after)),
            ", ".join(
                f"{one.brand} {format_money(one.units * statement.payment_unit_micros)}" for one in brands
            ),
        )
    console.print(table)


def _show_windows(console: Console, year: Year, *, currency: str) -> None:
    facts = {
        "windows cut": f"{len(year.weeks)}: every seventh day by a block, the last one by the clearing house",
        "settled": f"{year.count('settled')}, with {year.signed:,} countersignatures, and {len(year.paid):,} "
        "payments attested by payer and payee",
        "aborted": _tell_aborted(year),
        "statements": f"all {len(year.weeks)} worked out again from the log alone, each with the hash "
        "of its cut entry",
    }
    if brands := year.sum_brands():
        facts["brands"] = ", ".join(f"{brand} {format_money(micros)}" for brand, micros in brands.items())
    if year.find_open():
        facts["still open"] = ", ".join(map(str, year.find_open()))
    show_facts(console, f"The year in weeks ({currency})", facts)


def _tell_aborted(year: Year) -> str:
    told = []
    for window in year.find_weeks("aborted"):
        brought = [
            (each.statement.window, line)
            for each in year.weeks
            for line in each.statement.brought
            if line.window == window
        ]
        sums = sum(int(line.micros) for _, line in brought)
        owing = ", ".join(sorted({line.source for _, line in brought}))
        into = ", ".join(sorted({str(number) for number, _ in brought}))
        told.append(f"window {window}: {format_money(sums)} of {owing} brought over into window {into}")
    return "; ".join(told) or "none"


def _show_balances(console: Console, year: Year, *, currency: str) -> None:
    table = Table(title=f"What the weeks came to ({currency})", title_justify="left")
    table.add_column("", no_wrap=True)
    for header in (
        "owed to it, less\nowed by it",
        "received",
        "paid",
        "through the\ndefault",
        "carried into\nnext year",
        "most it ever\nowed unsettled",
        "passed 50, 75, 90 %\nof its limit",
    ):
        table.add_column(header, justify="right")
    balances = year.compute_balances()
    for name, called in get_names().items():
        if name not in balances:
            continue
        row = balances[name]
        alerts = [year.alerts[name, f"EXPOSURE_{percent}"] for percent in (50, 75, 90)]
        table.add_row(
            called,
            format_exact(row.net),
            format_money(row.received),
            format_money(row.paid),
            format_exact(row.defaulted) if row.defaulted else "",
            format_exact(row.carried),
            format_money(year.marks.get(name, 0)),
            ", ".join(map(str, alerts)) if any(alerts) else "",
        )
    table.add_section()
    rows = balances.values()
    table.add_row(
        "all",
        format_exact(sum(row.net for row in rows)),
        format_money(sum(row.received for row in rows)),
        format_money(sum(row.paid for row in rows)),
        format_exact(sum(row.defaulted for row in rows)),
        format_exact(sum(row.carried for row in rows)),
    )
    console.print(table)


def _show_payments(console: Console, year: Year, *, currency: str) -> None:
    """Who paid whom through a bank, all weeks together."""
    sums: Counter[tuple[str, str]] = Counter()
    for each in year.paid:
        sums[each.payer, each.payee] += each.micros
    names = list(get_names())
    title = f"Who paid whom ({currency}; the row paid the column, in {len(year.paid):,} payments)"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for payer in names:
        row = [sums[payer, payee] for payee in names]
        table.add_row(payer, *(format_money(micros) if micros else "·" for micros in row))
    console.print(table)


def _show_motions(console: Console, year: Year) -> None:
    if not year.motions:
        return
    table = Table(title="What was decided, by vote", title_justify="left")
    for header in ("proposed", "by", "what", "for", "against", "enacted"):
        table.add_column(header)
    for motion in year.motions:
        table.add_row(
            _tell_day(motion.time),
            motion.proposer,
            _tell_actions(motion),
            _tell_ballots(motion, "yes"),
            _tell_ballots(motion, "no"),
            f"height {motion.enacts_at:,}" if motion.enacted == "OK" else motion.enacted or "not yet",
        )
    console.print(table)


def _tell_actions(motion: Motion) -> str:
    shown = [tell_action(action) for action in motion.actions[:_ACTIONS_SHOWN]]
    more = len(motion.actions) - len(shown)
    return "; ".join(shown) + (f", and {more} more like it" if more else "")


def _tell_ballots(motion: Motion, choice: str) -> str:
    weight = sum(WEIGHTS[name] for name, told in motion.ballots.items() if told == choice)
    return f"{weight} of {sum(WEIGHTS.values())}" if weight else ""


def _show_dispute(console: Console, year: Year) -> None:
    for week in year.weeks:
        for name, places in week.disputes.items():
            line = week.statement.lines[places[0]]
            facts = {
                "window": f"{week.statement.window}, disputed by {name}, line {places[0]}",
                "the line": f"{line.source} owes {line.destination} {format_exact(int(line.micros))} "
                f"({line.reason})",
                "decided": "; ".join(
                    f"{source} owes {destination} {format_exact(micros)} back, for one order of it"
                    for source, destination, micros in year.corrections
                ),
                "so": f"window {week.statement.window} stayed as it was stated, and is {week.state}; "
                f"the correction is a line of window {', '.join(map(str, year.find_corrections()))}",
            }
            show_facts(console, "One dispute", facts)


def _show_caps(console: Console, year: Year) -> None:
    for program, cap in year.caps.items():
        covers = [
            f"{_tell_day(time)} {format_money(cover)}" for time, name, cover in year.covers if name == program
        ]
        facts = {
            "its cover": ", then ".join(covers),
            "elsewhere": f"{cap.refused:,} times its points were turned down (ISSUER_CAP), "
            f"from {_tell_day(cap.first)} to {_tell_day(cap.last)}",
            "at home": f"{cap.home:,} payments with them went on until it was covered again",
        }
        show_facts(console, f"An issuer at its limit: {get_names()[program]}", facts)


def _show_default(console: Console, year: Year) -> None:
    default = year.default
    if default is None:
        return
    left = year.list_unmade(default)
    facts = {
        "window": f"{default.window}; what it had to pay: "
        + ", ".join(f"{format_money(micros)} to {payee}" for payee, micros in left),
        "met by": _tell_draws([each for each in default.draws if each[0] in SOURCES]),
        "gone without": _tell_draws([each for each in default.draws if each[0] not in SOURCES]),
        "so": "its creditors owe the payees that much in the next window, and it is suspended",
    }
    show_facts(console, f"A default: {get_names()[default.participant]}", facts)


def _tell_draws(draws: Sequence[tuple[str, int]]) -> str:
    told = [f"{source.rpartition(':')[2]} {format_exact(micros)}" for source, micros in draws]
    return ", ".join(told) or "nobody"


def format_exact(micros: int) -> str:
    """Every micro of an amount that is no whole number of cents; else its cents."""
    if micros % 10_000 == 0:
        return format_money(micros)
    sign = "-" if micros < 0 else ""
    return f"{sign}{abs(micros) // 1_000_000:,}.{abs(micros) % 1_000_000:06d}"


def _tell_day(time: int) -> str:
    date = get_date(get_day(time, utc_offset_minutes=UTC_OFFSET_MINUTES))
    return f"{date.year}-{date.month:02d}-{date.day:02d}"
