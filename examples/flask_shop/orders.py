"""Orders and what they do at the ledger.

Every step is written into the order before it is sent, and is sent under the order's own number and time. So
a double click, a lost reply and a crash end in the same way: the same step is asked for again, and done once.
"""

import json
import sqlite3
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import TypedDict, cast

from flask import abort, current_app, g

from merchant_sdk import (
    AlreadyExists,
    CommonpointError,
    HistoryEntry,
    Merchant,
    RejectedByLedger,
    WebhookEvent,
    Webhooks,
)

# What a click does: the state before it, the state while it is under way, the message that is sent.
ACTIONS = {
    "pay": ("open", "paying", "redeem"),
    "book": ("open", "booking", "hold"),
    "pick-up": ("held", "collecting", "capture"),
    "cancel": ("held", "cancelling", "release"),
}


class Line:
    """This worker process's one line to the ledger, opened at first use: after a fork, not before."""

    def __init__(self, make: Callable[[], Merchant], clock: Callable[[], int]) -> None:
        self.clock = clock
        self._make = make
        self._lock = threading.Lock()
        self._shop: Merchant | None = None
        self._hooks: Webhooks | None = None

    @property
    def shop(self) -> Merchant:
        """The SDK, with what an earlier process left open taken up again."""
        with self._lock:
            if self._shop is None:
                self._shop = self._make()
                try:
                    self._shop.flush()
                except CommonpointError as error:
                    current_app.logger.warning("what is open stays so until `settle`: %s", error)
            return self._shop

    @property
    def hooks(self) -> Webhooks:
        """The receiver of webhooks, which remembers in a file what it has seen."""
        policy = self.shop.policy()
        with self._lock:
            if self._hooks is None:
                secret, seen = current_app.config["WEBHOOK_SECRET"], current_app.config["WEBHOOKS_SEEN"]
                self._hooks = Webhooks(secret, policy=policy, remember=seen)
            return self._hooks

    def close(self) -> None:
        """Closes it at the end of the process."""
        if self._shop is not None:
            self._shop.close()


def get_line() -> Line:
    """The line of the app that was asked."""
    return cast(Line, current_app.extensions["line"])


def get_database() -> sqlite3.Connection:
    """This request's connection; each statement commits by itself."""
    if "database" not in g:
        g.database = sqlite3.connect(current_app.config["DATABASE"], isolation_level=None, timeout=10)
        g.database.row_factory = sqlite3.Row
        g.database.execute("PRAGMA journal_mode = WAL")
    return cast(sqlite3.Connection, g.database)


def move(number: str, states: tuple[str, ...], to: str, **columns: object) -> bool:
    """Takes an order from one of `states` to another one; False if it is in none of them (any more)."""
    values = dict.fromkeys(("tickets", "program", "points", "code", "expires")) | columns
    sql = """UPDATE orders SET state = :to, tickets = COALESCE(:tickets, tickets),
        program = COALESCE(:program, program), points = COALESCE(:points, points),
        code = COALESCE(:code, code), expires = COALESCE(:expires, expires)
        WHERE number = :number AND state IN (SELECT value FROM json_each(:states))"""
    values |= {"number": number, "to": to, "states": json.dumps(states)}
    return get_database().execute(sql, values).rowcount == 1


def to_amount(cents: int) -> Decimal:
    """Cents as an amount for the SDK."""
    return Decimal(cents).scaleb(-2)


def find_order(number: str, customer: str | None = None) -> sqlite3.Row:
    """An order with its member; somebody else's is as unknown as none."""
    sql = """SELECT orders.*, member FROM orders JOIN customers ON name = customer
        WHERE number = ? AND name = COALESCE(?, name)"""
    found: sqlite3.Row = get_database().execute(sql, (number, customer)).fetchone() or abort(404)
    return found


def compute_money(order: sqlite3.Row) -> int:
    """Cents of an order that are paid in money: only these earn points."""
    worth = current_app.config["POINT_CENTS"].get(order["program"], 0)
    return int(order["tickets"] * order["price"] - order["points"] * worth)


def carry_out(order: sqlite3.Row, action: str, wish: dict[str, object]) -> None:
    """Pays, books, picks up or cancels. The first click leaves its wish in the order, a second one finds it.

    What surely did not happen is taken back in the order. What is unknown stays, and the same click asks
    again; a repeat that was not sent says nothing about the click before it.
    """
    before, under_way, kind = ACTIONS[action]
    is_first = move(order["number"], (before,), under_way, **wish)
    order_now = find_order(order["number"])
    if order_now["state"] == under_way:
        try:
            send(action, order_now)
        except CommonpointError as error:
            if error.fate == "refused" or (error.fate == "not_sent" and is_first):
                move(order["number"], (under_way,), before, tickets=order["tickets"], points=order["points"])
            raise
        book(kind, order["number"], order_now["points"])
    give_points(find_order(order["number"]))


def send(action: str, order: sqlite3.Row) -> None:
    """The one call at the ledger, the same however often it is made."""
    shop, number, points = get_line().shop, order["number"], order["points"]
    member, when = order["code"] or order["member"], order["occurred_at"]
    at_our_word = not order["code"]
    total = to_amount(order["tickets"] * order["price"])
    match action:
        case "pay" if points:
            shop.redeem(member, points, number, amount=total, occurred_at=when, without_code=at_our_word)
        case "book":
            shop.hold(
                member,
                points,
                number,
                expires=order["expires"],
                amount=total,
                occurred_at=when,
                without_code=at_our_word,
            )
        case "pick-up":
            shop.capture(number, points)
        case "cancel":
            shop.release(number)


def enrol(customer: sqlite3.Row) -> None:
    """Makes a customer a member. The pseudonym was stored first, so this may be asked for again."""
    if not customer["enrolled"]:
        try:
            get_line().shop.enrol(customer["member"])
        except AlreadyExists:
            current_app.logger.info("an earlier reply was lost: the pseudonym is random, so it is ours")
        get_database().execute("UPDATE customers SET enrolled = 1 WHERE name = ?", (customer["name"],))


class Once(TypedDict):
    """What makes an order the same order when it is asked for again."""

    reference: str
    occurred_at: int


def give_points(order: sqlite3.Row) -> None:
    """A paid order earns. The sale does not wait for it: without a line the earning is written down."""
    if order["state"] != "paid" or order["earned"] is not None:
        return
    money, shop = compute_money(order), get_line().shop
    once: Once = {"reference": order["number"], "occurred_at": order["occurred_at"]}
    if not money:
        book("earn", order["number"], 0)
        return
    try:
        done = shop.earn(order["member"], to_amount(money), **once)
    except RejectedByLedger as error:
        current_app.logger.warning("order %s earns nothing: %s", order["number"], error)
        book("earn", order["number"], 0)
    except CommonpointError as error:
        current_app.logger.warning("order %s earns later: %s", order["number"], error)
        shop.earn_later(order["member"], to_amount(money), **once)  # how many, the webhook will say
    else:
        first = done if done.first is None else shop.receipt(done.first).outcome
        book("earn", order["number"], first.points or 0)


def write_return(order: sqlite3.Row, reference: str, tickets: int) -> sqlite3.Row | None:
    """Stores a return before it is sent; None if so many are not left. A second click finds the first."""
    database, found = get_database(), "SELECT * FROM returns WHERE reference = ?"
    with database:
        database.execute("BEGIN IMMEDIATE")
        sums = "SELECT TOTAL(tickets), TOTAL(points), TOTAL(cents) FROM returns WHERE number = ?"
        before, points, cents = map(int, database.execute(sums, (order["number"],)).fetchone())
        after, money = before + tickets, compute_money(order)
        if after <= order["tickets"]:
            shares = order["points"] * after // order["tickets"], money * after // order["tickets"]
            row = (
                reference,
                order["number"],
                tickets,
                shares[0] - points,
                shares[1] - cents,
                get_line().clock(),
            )
            database.execute("INSERT OR IGNORE INTO returns VALUES (?, ?, ?, ?, ?, ?, 0, 0)", row)
        returned: sqlite3.Row | None = database.execute(found, (reference,)).fetchone()
        return returned


def take_back(order: sqlite3.Row, returned: sqlite3.Row) -> None:
    """The points that tickets earned go, those that paid for them come back; each once."""
    shop, reference = get_line().shop, returned["reference"]
    once: Once = {"reference": reference, "occurred_at": returned["occurred_at"]}
    try:
        if returned["cents"] and order["earned"] != 0 and not returned["taken_back"]:
            shop.return_order(order["number"], amount=to_amount(returned["cents"]), **once)
        book("return_order", reference)
        if returned["points"] and not returned["refunded"]:
            shop.refund(order["number"], points=returned["points"], **once)
        book("refund", reference)
    except CommonpointError as error:
        if error.fate == "refused":  # if it is the first of the two, nothing of this return has happened
            gone = "DELETE FROM returns WHERE reference = ? AND taken_back + refunded = 0"
            get_database().execute(gone, (reference,))
        raise


def book(kind: str, number: str, points: int | None = None) -> None:
    """Writes down here what happened at the ledger, whoever says so and however often."""
    match kind:
        case "redeem" | "capture":
            move(number, ("open", "paying", "held", "collecting"), "paid", points=points)
        case "hold":
            move(number, ("open", "booking"), "held", points=points)
        case "release":
            move(number, ("held", "cancelling"), "cancelled")
        case "lapse":
            move(number, ("held", "collecting", "cancelling"), "lapsed")
        case "earn":
            get_database().execute("UPDATE orders SET earned = ? WHERE number = ?", (points, number))
        case "refund":
            get_database().execute("UPDATE returns SET refunded = 1 WHERE reference = ?", (number,))
        case "return_order":
            get_database().execute("UPDATE returns SET taken_back = 1 WHERE reference = ?", (number,))


def book_entry(entry: HistoryEntry | WebhookEvent) -> None:
    """The same from an entry of the log that one of our own orders made."""
    if entry.code == "OK":
        message = entry.message
        points = entry.outcome.points or 0 if entry.kind == "earn" else message.get("points")
        book(entry.kind, message.get("hold") or message.get("reference", ""), points)


def book_all(number: str) -> None:
    """Brings an order up to what the ledger knows of it."""
    for entry in get_line().shop.order(number):
        book_entry(entry)


def settle() -> None:
    """Takes up what is open: run it every few minutes, beside the webhook."""
    get_line().shop.flush()
    database = get_database()
    for row in database.execute("SELECT number FROM orders WHERE state NOT IN ('open', 'paid')").fetchall():
        book_all(row["number"])
    paid = "SELECT orders.*, member FROM orders JOIN customers ON name = customer WHERE state = 'paid'"
    for order in database.execute(paid).fetchall():
        give_points(order)
        unfinished = "SELECT * FROM returns WHERE number = ? AND taken_back + refunded < 2"
        for returned in database.execute(unfinished, (order["number"],)).fetchall():
            try:
                take_back(order, returned)
            except CommonpointError as error:  # one that stays refused is for the office; the others go on
                current_app.logger.warning("return %s: %s", returned["reference"], error)
