# ruff: noqa: INP001
"""A till for a forecourt: points for sales, points as payment, holds at the pump, days without a line.

    python examples/till.py --folder till-1 --program petrol         a session: commands on standard input
    python examples/till.py --folder till-1 --program petrol close   one: 0 done, 1 not done, 3 unknown

Its settings are the SDK's (docs/how-to/merchant.md); a key for the purpose `till` is enough. The folder holds
the SDK's outbox and this till's book: the order numbers it was asked for, each written down before the SDK is
called. How many points moved is not in it; for that it asks the ledger. So it may be killed anywhere.

An answer begins with what it means: DONE, QUEUED (done, sent later), REFUSED or NOT SENT (nothing moved), or
UNKNOWN (may have happened: the same once more, or `flush`, and never under another number).
"""

import argparse
import re
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from merchant_sdk import Allowance, CommonpointError, Merchant, PointsCode

# The book has the ledger's word for what was asked, but for two that can be seen there in two ways.
KINDS = {"finish": ("capture", "release"), "cancel": ("release", "refund")}
COUNTED = ("earn", "redeem", "capture", "refund", "return_order")
WORDS = {"open": "UNKNOWN", "queued": "QUEUED", "done": "DONE", "refused": "REFUSED", "not_sent": "NOT SENT"}
LATE = "It may have happened. Take no money for it; press the same again, or `flush`. No other number."


class Refused(Exception):
    """Turned down by the till itself; says why."""


class Book:
    """The order numbers this till was asked for, synced to disk. A state is a key of WORDS."""

    def __init__(self, file: Path) -> None:
        self.rows = sqlite3.connect(file, isolation_level=None)
        self.rows.execute("PRAGMA synchronous=FULL")
        columns = "number TEXT, verb TEXT, asked TEXT, state TEXT, PRIMARY KEY (number, verb)"
        self.rows.execute(f"CREATE TABLE IF NOT EXISTS orders ({columns})")

    def note(self, number: str, verb: str, asked: str, state: str) -> None:
        """Writes it down. What was there before is replaced and becomes the newest row."""
        self.rows.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?)", (number, verb, asked, state))

    def find(self, number: str, verb: str) -> tuple[str, str]:
        """What was asked and its state; empty texts if it never was."""
        found = self.rows.execute("SELECT asked, state FROM orders WHERE number=? AND verb=?", (number, verb))
        asked, state = found.fetchone() or ("", "")
        return asked, state

    def list_in(self, state: str) -> list[tuple[str, str, str]]:
        """Number, verb and what was asked."""
        query = "SELECT number, verb, asked FROM orders WHERE state=? ORDER BY rowid"
        return self.rows.execute(query, (state,)).fetchall()

    def list_today(self) -> set[str]:
        """Numbers touched since the last close."""
        closed = "SELECT coalesce(max(rowid), 0) FROM orders WHERE verb='close'"
        found = self.rows.execute(f"SELECT number FROM orders WHERE rowid > ({closed})")  # noqa: S608
        return {number for (number,) in found}


class Till:
    """One method a command; each tells the cashier in a line what came of it."""

    def __init__(self, shop: Merchant, book: Book, point_value: Decimal) -> None:
        self.shop, self.book, self.point_value, self.last = shop, book, point_value, ""

    def say(self, word: str, text: str) -> None:
        """To the cashier, at once."""
        self.last = word
        sys.stdout.write(f"{word} {text}\n")
        sys.stdout.flush()

    def attempt(self, number: str, verb: str, asked: str, call: Callable[[], Any]) -> None:
        """Calls the SDK unless the book knows better. What is unknown stays so until something proves it."""
        earlier, before = self.book.find(number, verb)
        is_undone = verb in {"hold", "redeem"} and self.book.find(number, "cancel")[1] == "done"
        if is_undone or (before in {"open", "queued", "done"} and earlier != asked):
            raise Refused(f"{number}: this number was used before ({earlier}). Take a new one.")
        if before in {"queued", "done"}:
            self.say(WORDS[before], f"{number}: {asked}; pressed twice, counts once")
            return
        self.book.note(number, verb, asked, "open")
        try:
            done = call()
        except CommonpointError as error:
            state = "open" if before == "open" or error.fate == "unknown" else error.fate
            self.book.note(number, verb, asked, state)
            if verb == "earn" and error.may_retry:
                self.queue(number, asked)
            else:
                advice = LATE if state == "open" else error.what_to_do
                self.say(WORDS[state], f"{number}: {error.code}. {advice}")
            return
        self.book.note(number, verb, asked, "done")
        balance = "it was done before" if done.already_done else f"balance {done.balance}"
        self.say("DONE", f"{number}: {asked}; {balance}")

    def queue(self, number: str, asked: str) -> None:
        """Right for a sale after `not sent` and after `unknown`: under its number it counts once."""
        _, amount, member = asked.split()
        self.shop.earn_later(member, amount, reference=number)
        self.book.note(number, "earn", asked, "queued")
        self.say("QUEUED", f"{number}: written down, sent when the line is back")

    def sale(self, order: str, amount: str, member: str) -> None:
        """Points for a purchase. Without a line it waits."""
        call = partial(self.shop.earn, member, amount, order)
        self.attempt(order, "earn", f"sale {amount} {member}", call)

    def pay(self, order: str, code: PointsCode | str, points: int, amount: str | None) -> None:
        """Points as payment; `amount` is the order's total."""
        if self.book.find(order, "spend")[1] == "done":
            raise Refused(f"{order}: it was paid without a line already")
        call = partial(self.shop.redeem, code, points, order, amount=amount)
        self.attempt(order, "redeem", f"pay {points}", call)

    def hold(self, order: str, code: PointsCode | str, points: int) -> None:
        """Before the pump is released."""
        self.attempt(order, "hold", f"hold {points}", partial(self.shop.hold, code, points, order))

    def pump(self, order: str, amount: str) -> None:
        """What the pump's meter says, in money. Needs no line."""
        if self.book.find(order, "hold")[1] != "done":
            raise Refused(f"{order}: nothing is held under it")
        self.book.note(order, "pump", amount, "done")
        self.say("DONE", f"{order}: filled for {amount}; now `finish`")

    def finish(self, order: str) -> None:
        """Takes what was filled, as far as the hold goes; the rest of the hold goes back."""
        held, filled = self.book.find(order, "hold")[0], self.book.find(order, "pump")[0]
        if not filled:
            raise Refused(f"{order}: `hold` and `pump` come first")
        points = min(int(held.split()[1]), int(Decimal(filled) / self.point_value))
        asked = f"finish {points}, and {Decimal(filled) - points * self.point_value} in money"
        capture, release = partial(self.shop.capture, order, points), partial(self.shop.release, order)
        self.attempt(order, "finish", asked, capture if points else release)

    def cancel(self, order: str) -> None:
        """A hold is released, a payment given back, a spending without a line voided."""
        for allowance in self.list_spent_from(order):
            allowance.void(order)
            self.book.note(order, "spend", "", "not_sent")
            self.say("DONE", f"{order}: voided; {allowance.left} left to spend without a line")
            return
        if self.book.find(order, "hold")[1] in {"open", "done"}:
            self.attempt(order, "cancel", "cancel hold", partial(self.shop.release, order))
        elif self.book.find(order, "redeem")[1] in {"open", "done"}:
            refund = partial(self.shop.refund, order, f"{order}-cancel")
            self.attempt(order, "cancel", "cancel payment", refund)
        else:
            raise Refused(f"{order}: no points were held or taken under it; for goods use `return`")

    def take_back(self, order: str, amount: str, number: str | None) -> None:
        """Goods came back; what was earned on them goes. A second return of an order has its own number."""
        number = number or f"{order}-back"
        if self.book.find(order, "earn")[1] == "queued":
            raise Refused(f"{number}: the sale itself still waits: `flush`, then this again")
        call = partial(self.shop.return_order, order, number, amount)
        self.attempt(number, "return_order", f"return {amount} of {order}", call)

    def reserve(self, code: PointsCode | str, points: int) -> None:
        """Points that can be spent while the line is down. It has no number: pressed twice is two."""
        # A member of ours is taken at the till's own word; anybody else shows a code.
        allowance = self.shop.reserve(code, points, without_code=isinstance(code, str))
        self.say("DONE", f"{points} points of {allowance.member} can be spent here without a line")

    def list_spent_from(self, order: str) -> list[Allowance[Any]]:
        """The allowance that this order was paid from, while it is not settled."""
        return [held for held in self.shop.allowances() if order in {spend.order for spend in held.spends()}]

    def spend(self, order: str, member: str, points: int) -> None:
        """From what was reserved; needs no line."""
        asked, state = self.book.find(order, "spend")
        is_paid = self.book.find(order, "redeem")[1] in {"open", "done"}
        if is_paid or (state == "done" and asked != f"spend {points}"):
            raise Refused(f"{order}: it is paid with points already ({asked or 'pay'}), or may be")
        mine = [held for held in self.shop.allowances() if held.member == member and held.state == "open"]
        used = self.list_spent_from(order)
        if not used and (not mine or state == "done"):
            raise Refused(f"{order}: nothing of this member is reserved here (any more)")
        allowance = max(used or mine, key=lambda held: held.left)
        allowance.spend(points, order)
        self.book.note(order, "spend", f"spend {points}", "done")
        self.say("DONE", f"{order}: spend {points}; {allowance.left} left to spend without a line")

    def flush(self) -> bool:
        """Sends what waits, finds out what is open. False while the line is down or anything is unknown."""
        for number, verb, asked in self.book.list_in("open"):
            if verb == "earn":
                self.queue(number, asked)
        try:
            why = {each.error.facts.get("code") for each in self.shop.flush() if each.error}
            if "NOT_SENT" in why:
                self.say("LINE DOWN", f"NOT_SENT; {self.shop.count_queued()} sales wait")
                return False
            if self.shop.count_waiting() or self.shop.count_queued():
                self.say("UNKNOWN", f"{self.shop.count_waiting()} transactions are still open. {LATE}")
                return False
            for number, verb, asked in self.book.list_in("open") + self.book.list_in("queued"):
                codes = [row.code for row in self.shop.order(number) if row.kind in KINDS.get(verb, (verb,))]
                state = "done" if "OK" in codes else "refused" if codes else "not_sent"
                self.book.note(number, verb, asked, state)
                self.say(WORDS[state], f"{number}: {asked}; {codes[-1] if codes else 'never left'}")
        except CommonpointError as error:
            self.say("LINE DOWN", f"{error.code}; {self.shop.count_queued()} sales wait")
            return False
        self.say("DONE", "nothing waits")
        return True

    def close(self) -> None:
        """The day's totals as the ledger has them, with a receipt of each entry. Only if nothing is open."""
        if not self.flush():
            raise Refused("close: nothing is lost; again when the line is back")
        for allowance in self.shop.allowances():
            self.book.note(allowance.reference, "reserve", f"reserve {allowance.points}", "done")
            allowance.settle()
        last = int(self.book.find("close", "close")[0] or 0)
        rows = {row.index: row for number in self.book.list_today() for row in self.shop.order(number)}
        sums = {kind: [0, 0] for kind in COUNTED}
        for index, row in sorted(rows.items()):
            if index > last and row.code == "OK" and row.kind in COUNTED:
                self.say("RECEIPT", f"entry {index}, {row.kind}\n{self.shop.receipt(index).qr().terminal()}")
                sums[row.kind][0] += 1
                sums[row.kind][1] += row.message.get("points", row.outcome.points)
        self.book.note("close", "close", str(max([last, *rows])), "done")
        told = [f"{kind} {count}: {points} points" for kind, (count, points) in sums.items()]
        self.say("CLOSED", ", ".join(told))


def read_amount(text: str) -> str:
    """Money, always written in the same way."""
    if not re.fullmatch(r"\d{1,7}\.\d\d", text):
        raise argparse.ArgumentTypeError("an amount looks like 45.60")
    return text


TYPES: dict[str, Callable[[str], Any]] = {"amount": read_amount, "points": int}
COMMANDS: dict[str, tuple[Callable[..., object], str]] = {
    "sale": (Till.sale, "amount --member --order"),
    "pay": (Till.pay, "code points --order [--amount]"),
    "hold": (Till.hold, "code points --order"),
    "pump": (Till.pump, "amount --order"),
    "finish": (Till.finish, "--order"),
    "cancel": (Till.cancel, "--order"),
    "return": (Till.take_back, "--order --amount [--number]"),
    "reserve": (Till.reserve, "code points"),
    "spend": (Till.spend, "points --member --order"),
    "flush": (Till.flush, ""),
    "close": (Till.close, ""),
}


def work(till: Till, words: list[str]) -> None:
    """A line of the cashier's. For the code `-` the next one is scanned: a code, never just a member's id."""
    parser = argparse.ArgumentParser(prog="till", add_help=False)
    verbs = parser.add_subparsers(required=True)
    for verb, (act, form) in COMMANDS.items():
        command = verbs.add_parser(verb)
        command.set_defaults(act=act)
        for word in form.split():
            name, kind = word.strip("[]"), TYPES.get(word.strip("[]-"), str)
            needed: dict[str, Any] = {"required": word == name} if name.startswith("--") else {}
            command.add_argument(name, type=kind, **needed)
    try:
        given = vars(parser.parse_args(words))
        if given.get("code") == "-":
            given["code"] = PointsCode.decode(sys.stdin.readline().strip("\r\n"))
        given.pop("act")(till, **given)
    except SystemExit:
        till.say("MISTYPED", "nothing was tried")
    except Refused as why:
        till.say("REFUSED", str(why))
    except CommonpointError as error:
        till.say(WORDS.get(error.fate, "UNKNOWN"), f"{words[0]}: {error.code}. {error.what_to_do}")


def main() -> int:
    """A session, or one command."""
    entrance = argparse.ArgumentParser(description="A till. Commands: " + ", ".join(COMMANDS))
    entrance.add_argument("--folder", type=Path, required=True, help="where its outbox and its book are")
    entrance.add_argument("--program", required=True, help="whose points are earned and taken here")
    entrance.add_argument("--point-value", type=Decimal, default=Decimal("0.01"), help="what a point pays")
    entrance.add_argument("command", nargs=argparse.REMAINDER, help="without one: lines on standard input")
    args = entrance.parse_args()
    shop = Merchant(outbox=args.folder / "outbox.db", program=args.program, timeout_seconds=5, retries=1)
    with closing(shop):  # `with shop` would need the line
        till = Till(shop, Book(args.folder / "till.db"), args.point_value)
        till.flush()
        for words in [args.command] if args.command else map(str.split, iter(sys.stdin.readline, "")):
            work(till, words)
    return {"DONE": 0, "QUEUED": 0, "CLOSED": 0, "UNKNOWN": 3}.get(till.last, 1)


if __name__ == "__main__":
    sys.exit(main())
