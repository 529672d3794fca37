"""The web shop of a cinema: tickets that earn points, and are paid with points of the whole alliance."""

import atexit
import functools
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from flask import (
    Blueprint,
    Flask,
    abort,
    current_app,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.security import check_password_hash, generate_password_hash

from examples.flask_shop import orders
from merchant_sdk import (
    CommonpointError,
    ConsentError,
    HoldError,
    InsufficientPoints,
    InvalidRequest,
    LimitExceeded,
    Merchant,
    PointsCode,
    ReturnError,
    StepUpRequired,
    Unverified,
    WebhookError,
    make_member_id,
)

FILMS = {"Metropolis": 1200, "Playtime": 950}
ADVICE: dict[type[CommonpointError], str] = {
    StepUpRequired: "For that many points we need your own word: show a points code from your app.",
    ConsentError: "That points code is not good for this. Make a fresh one and try again.",
    InsufficientPoints: "There are not that many points. Take fewer and pay the rest in money.",
    LimitExceeded: "That is more than may be paid with points at once. Take fewer, or show a points code.",
    HoldError: "This booking is over: it was picked up, cancelled, or its time has passed.",
    ReturnError: "These tickets cannot be returned any more.",
}
LATER = {
    "not_sent": "The points are out of reach just now, and nothing was taken. Please try again in a moment.",
    "unknown": "We do not know yet whether that went through. Press the same button again: it is done once.",
}
pages = Blueprint("pages", __name__)


def create_app(
    config: Mapping[str, Any] | None = None,
    make_shop: Callable[[], Merchant] | None = None,
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> Flask:
    """The shop. Its settings come from SHOP_… in the environment, those of the SDK from COMMONPOINT_…"""
    app = Flask(__name__)
    app.config.from_mapping(
        DATABASE="shop.db",
        OUTBOX="outbox.db",
        WEBHOOKS_SEEN="webhooks.db",
        BOOKING_SECONDS=3600,
        SESSION_COOKIE_SAMESITE="Lax",  # a form on somebody else's page is not signed in here
        SESSION_COOKIE_SECURE=True,
    )
    app.config.from_prefixed_env("SHOP")
    app.config.from_mapping(config or {})
    for name in ("SECRET_KEY", "PROGRAM", "POINT_CENTS", "WEBHOOK_SECRET"):
        if not app.config.get(name):
            raise RuntimeError(f"SHOP_{name} is not set")

    def connect() -> Merchant:
        return Merchant(outbox=app.config["OUTBOX"], program=app.config["PROGRAM"])

    line = app.extensions["line"] = orders.Line(make_shop or connect, clock)
    atexit.register(line.close)
    app.register_blueprint(pages)
    app.register_error_handler(CommonpointError, say_sorry)
    app.teardown_appcontext(close_database)
    app.cli.command("settle")(orders.settle)
    app.add_template_filter(orders.to_amount, "money")
    with app.app_context():
        orders.get_database().executescript(Path(app.root_path, "schema.sql").read_text(encoding="utf-8"))
    return app


def close_database(_error: BaseException | None) -> None:
    """Closes this request's connection."""
    if "database" in g:
        g.pop("database").close()


def say_sorry(error: CommonpointError) -> ResponseReturnValue:
    """A page that says what happened to the points and what the customer can do."""
    current_app.logger.warning("%s %s: %s", request.method, request.path, error)
    advice = next((text for kind, text in ADVICE.items() if isinstance(error, kind)), None)
    advice = LATER.get(error.fate) if error.may_retry or error.fate == "unknown" else advice
    page = render_template("sorry.html", advice=advice, code=error.code, fate=error.fate)
    return page, 409 if error.fate == "refused" else 503


def signed_in(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """A page for customers, who are asked to sign in first."""

    @functools.wraps(view)
    def wrapped(**arguments: str) -> ResponseReturnValue:
        g.customer = find_customer(session.get("customer", ""))
        return view(**arguments) if g.customer else redirect(url_for("pages.sign_in"))

    return wrapped


def find_customer(name: str) -> sqlite3.Row | None:
    """A customer by name."""
    found: sqlite3.Row | None = (
        orders.get_database().execute("SELECT * FROM customers WHERE name = ?", (name,)).fetchone()
    )
    return found


@pages.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """The form to sign in or to join."""
    return render_template("sign_in.html")


@pages.post("/join")
def join() -> ResponseReturnValue:
    """A new customer, who becomes a member: the pseudonym is ours to keep, and stored before it is sent."""
    name, password = request.form["name"].strip(), generate_password_hash(request.form["password"])
    sql = "INSERT INTO customers (name, password, member) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    if not name or not orders.get_database().execute(sql, (name, password, make_member_id())).rowcount:
        abort(400, "Please choose another name.")
    return enter()


@pages.post("/sign-in")
def enter() -> ResponseReturnValue:
    """Signs a customer in, and enrols them if that is still open."""
    customer = find_customer(request.form["name"].strip())
    if customer is None or not check_password_hash(customer["password"], request.form["password"]):
        abort(403, "Name and password do not match.")
    orders.enrol(customer)
    session.clear()
    session["customer"] = customer["name"]
    return redirect(url_for("pages.account"))


@pages.get("/")
@signed_in
def account() -> ResponseReturnValue:
    """Films, the customer's orders, balance and history. Without a line: without the points."""
    sql = "SELECT * FROM orders WHERE customer = ? ORDER BY occurred_at DESC, rowid DESC LIMIT 50"
    mine = orders.get_database().execute(sql, (g.customer["name"],)).fetchall()
    balance, history = None, []
    try:
        shop = orders.get_line().shop
        balance = shop.balance(g.customer["member"])
        history = list(islice(shop.history(g.customer["member"]), 20))
    except CommonpointError as error:
        current_app.logger.warning("no balance: %s", error)
    return render_template("account.html", films=FILMS, orders=mine, balance=balance, history=history)


@pages.post("/orders")
@signed_in
def order() -> ResponseReturnValue:
    """A new order. Its number is the reference of all that follows, its time the time of the purchase."""
    film, tickets = request.form["film"], request.form.get("tickets", default=0, type=int)
    if film not in FILMS or not 0 < tickets <= 20:
        abort(400, "Please choose a film and up to 20 tickets.")
    number = f"T-{secrets.token_hex(6)}"
    values = (number, g.customer["name"], film, tickets, FILMS[film], orders.get_line().clock())
    sql = "INSERT INTO orders (number, customer, film, tickets, price, occurred_at) VALUES (?, ?, ?, ?, ?, ?)"
    orders.get_database().execute(sql, values)
    return redirect(url_for("pages.show", number=number))


@pages.get("/orders/<number>")
@signed_in
def show(number: str) -> ResponseReturnValue:
    """One order and what can be done with it."""
    sql = "SELECT * FROM returns WHERE number = ?"
    returns = orders.get_database().execute(sql, (number,)).fetchall()
    return render_template(
        "order.html",
        order=orders.find_order(number, g.customer["name"]),
        returns=returns,
        slip=secrets.token_hex(4),
    )


def read_wish(order: sqlite3.Row, action: str) -> dict[str, object]:
    """What the form asks for: own points or those of a points code that was shown; the tickets picked up."""
    if action == "cancel":
        return {}
    if action == "pick-up":
        tickets = request.form.get("tickets", default=0, type=int)
        if not 0 < tickets <= order["tickets"]:
            abort(400, "From one ticket to as many as were booked, please.")
        return {"tickets": tickets, "points": -(-order["points"] * tickets // order["tickets"])}
    config, text = current_app.config, request.form.get("code", "").strip("\r\n")  # a space is part of a code
    try:
        program = PointsCode.decode(text).program if text else config["PROGRAM"]
    except InvalidRequest:
        abort(400, "That is not a points code.")
    points, worth = request.form.get("points", default=0, type=int), config["POINT_CENTS"].get(program)
    if worth is None or not 0 <= points * worth <= order["tickets"] * order["price"]:
        abort(400, "That many points of that program cannot be taken for this order.")
    if action == "book" and not points:
        abort(400, "A booking needs points.")
    expires = orders.get_line().clock() + config["BOOKING_SECONDS"] * 1000
    return {"points": points, "program": program, "code": text, "expires": expires}


@pages.post("/orders/<number>/<any('pay', 'book', 'pick-up', 'cancel'):action>")
@signed_in
def act(number: str, action: str) -> ResponseReturnValue:
    """Pays, books, picks up or cancels, once, however often it is clicked."""
    order = orders.find_order(number, g.customer["name"])
    is_new = order["state"] == orders.ACTIONS[action][0]
    orders.carry_out(order, action, read_wish(order, action) if is_new else {})
    return redirect(url_for("pages.show", number=number))


@pages.post("/orders/<number>/return")
@signed_in
def give_back(number: str) -> ResponseReturnValue:
    """Takes tickets back, all or some: points and money in the shares in which they were paid."""
    order = orders.find_order(number, g.customer["name"])
    tickets, slip = request.form.get("tickets", default=0, type=int), request.form["slip"]
    if order["state"] != "paid" or tickets < 1 or not re.fullmatch("[0-9a-f]{8}", slip):
        abort(400, "Only tickets that were paid can be returned.")
    if (returned := orders.write_return(order, f"{number}-{slip}", tickets)) is None:
        abort(400, "There are not that many tickets left to return.")
    orders.take_back(order, returned)
    return redirect(url_for("pages.show", number=number))


@pages.post("/hooks/points")
def receive() -> ResponseReturnValue:
    """What the ledger tells us. What somebody else did, if only with our points, is not about our orders."""
    line = orders.get_line()
    try:
        event = line.hooks.receive(request.get_data(), dict(request.headers))
        with line.hooks.once(event) as is_new:
            sender = event.message.get("sender") or (event.receipt and event.receipt.sender)
            if is_new and sender == line.shop.participant:
                orders.book_entry(event)
    except WebhookError as error:
        return "", error.status
    except Unverified:
        return "", 400
    return "", 204
