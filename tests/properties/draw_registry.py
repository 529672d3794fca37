"""Random messages of the registry, each honest or wrong in one chosen way."""

from __future__ import annotations

from typing import Any

from tests.properties.alliance import KEY_PURPOSES, UNFIT_KEYS
from tests.properties.draws import DAY, Draws
from tests.properties.model_values import FOREVER, PARAMETERS

KINDS = ("earn", "redeem", "exchange_out", "exchange_in", "custody")
PROGRAM_TWISTS = ("no_program", "not_issuer")
SANE = {
    "consent_seconds_max": (60, 86_400, 2_592_000),
    "debt_points_max": (0, 50, 1_000, 100_000, 100_000),
    "due_entries_max": (1, 2, 5, 20, 256),
    "hold_seconds_max": (60, 3_600, 604_800, 604_800, 2_678_400),
    "import_days": (0, 400, 3_650, 3_650),
    "key_replacement_delay_seconds": (0, 3_600, 259_200),
    "not_after_seconds_max": (10, 600, 3_600),
    "occurred_lead_seconds": (0, 300, 3_600),
    "open_consent_points_max": (0, 10, 5_000, 10**9),
    "par_floor_micros": (9_000, 10_000, 12_000),
    "rate_notice_heights": (1, 2, 3),
    "reference_horizon_days": (1, 2, 30, 400, 400, 400, 800, 800),
    "refund_grace_days": (0, 7, 30, 30, 90),
    "refund_horizon_days": (1, 90, 180, 400, 400, 400),
    "confirmation_seconds": (60, 3_600, 259_200, 259_200),
    "payment_seconds": (60, 86_400, 604_800, 604_800),
    "payment_unit_micros": (1, 7, 10_000, 10_000, 1_000_000),
    "proposal_seconds_max": (60, 86_400, 2_592_000, 31_536_000),
    "window_days": (0, 1, 7, 7, 30),
    "commission_floor_micros": (0, 1, 1_000, 10**9),
    "commission_cap_micros": (0, 10, 50_000_000, 10**12),
}
"""Values that keep the alliance alive, where not every value within the bounds does."""


def new_public(draws: Draws, sender: str, purpose: str, twist: str | None) -> str:
    if twist == "unfit":
        return draws.rng.choice(UNFIT_KEYS)
    if twist == "known":
        return draws.rng.choice(list(draws.state.keys.values())).public
    return draws.alliance.new_key_of(sender, purpose).public


def admit(draws: Draws, _sender: str) -> dict[str, Any]:
    twist = draws.twist(("exists", "any", "unfit", "known", "both", "twice", "no_govern", "no_govern"))
    who = draws.alliance.next_id("late-")
    purposes = ["transact", "till", "custody", *(["govern"] if twist != "no_govern" else [])]
    keys = [{"public": new_public(draws, who, purpose, None), "purpose": purpose} for purpose in purposes]
    if twist in ("unfit", "known"):
        keys[1]["public"] = new_public(draws, who, "till", twist)
    elif twist == "both":
        keys[0]["public"] = new_public(draws, who, "till", "known")
        keys[1]["public"] = new_public(draws, who, "till", "unfit")
    elif twist == "twice":
        keys.append(keys[0])
    elif twist == "any":
        who = "any"
    elif twist == "exists" or len(draws.state.participants) > 12:
        who = draws.rng.choice(sorted(draws.state.participants))
    return {"@type": "admit", "keys": keys, "name": "Späte Freude", "participant": who}


def set_parameter(draws: Draws, _sender: str) -> dict[str, Any]:
    rng = draws.rng
    twist = draws.twist(("unknown", "below", "above", "not_ahead"))
    name = rng.choice(sorted(PARAMETERS))
    _, least, greatest = PARAMETERS[name]
    value = rng.choice(SANE.get(name, (least, greatest, PARAMETERS[name][0], rng.randint(least, greatest))))
    height = draws.height + rng.choice((1, 1, 2, 5))
    if twist == "below":
        value = max(0, least - 1)
    elif twist == "above":
        value = greatest + 1
    elif twist == "not_ahead":
        height = max(1, draws.height - rng.randrange(2))
    name = "gravity" if twist == "unknown" else name
    return {"@type": "set_parameter", "effective_height": height, "parameter": name, "value": value}


def add_key(draws: Draws, sender: str) -> dict[str, Any]:
    purpose = draws.rng.choice(KEY_PURPOSES)
    public = new_public(draws, sender, purpose, draws.twist(("unfit", "known")))
    return {"@type": "add_key", "public": public, "purpose": purpose}


def revoke_key(draws: Draws, sender: str) -> dict[str, Any]:
    rng, keys = draws.rng, draws.state.keys
    own = [(name, key) for name, key in keys.items() if key.participant == sender]
    twist = draws.twist(("unknown", "foreign", "revoked", "govern"))
    if twist == "unknown":
        return {"@type": "revoke_key", "key": draws.alliance.new_pair().id}
    if twist == "foreign":
        return {"@type": "revoke_key", "key": rng.choice(sorted(keys))}
    if twist == "revoked":
        own = [row for row in own if row[1].valid_to != FOREVER]
    elif twist == "govern":
        own = [row for row in own if row[1].purpose == "govern"]
    else:  # keep one key for each purpose
        standing = [row for row in own if row[1].valid_to == FOREVER]
        purposes = [row[1].purpose for row in standing]
        own = [row for row in standing if purposes.count(row[1].purpose) > 1]
    return {"@type": "revoke_key", "key": rng.choice(own)[0] if own else draws.alliance.new_pair().id}


def some_program(draws: Draws, sender: str, twist: str | None) -> str:
    if twist == "no_program":
        return "nowhere"
    if twist == "not_issuer" or sender not in draws.own:
        return draws.rng.choice(sorted(draws.state.programs))
    return draws.rng.choice(draws.own[sender])


def open_program(draws: Draws, _sender: str) -> dict[str, Any]:
    program = draws.alliance.next_id("p-")
    if len(draws.state.programs) > 14 or draws.twist(("exists",)):
        program = draws.rng.choice(sorted(draws.state.programs))
    return {"@type": "open_program", "name": "Sternchen", "program": program, "spend_per_point": 10**6}


def open_series(draws: Draws, sender: str) -> dict[str, Any]:
    rng = draws.rng
    twist = draws.twist((*PROGRAM_TWISTS, "exists", "not_ahead", "short", "floor", "crossed"))
    program = some_program(draws, sender, twist)
    if sender == draws.collector[0] and rng.random() < 0.6:
        program = draws.collector[1]
    if program == draws.bare:
        program = "nowhere"
    names = [name for owner, name in draws.state.series if owner == program]
    floor = draws.parameter("par_floor_micros")
    redeem = floor + rng.choice((0, rng.randrange(20_000)))
    accrue = redeem + rng.choice((0, rng.randrange(20_000)))
    ahead = draws.parameter("rate_notice_heights")
    if twist == "not_ahead":
        ahead = -rng.randrange(min(2, draws.height))
    elif twist == "short":
        ahead -= 1
    elif twist == "floor":
        redeem = max(1, floor - 1)
    elif twist == "crossed":
        accrue = redeem - 1
    return {
        "@type": "open_series",
        "effective_height": max(1, draws.height + ahead + rng.choice((0, 0, 1, 4))),
        "expiry_months": 0 if program in ("stamps", "gold", "dust") else rng.choice((0, 1, 2, 3, 12, 24, 48)),
        "par_accrue": max(1, accrue),
        "par_redeem": redeem,
        "program": program,
        "series": rng.choice(names) if twist == "exists" and names else draws.alliance.next_id("s"),
    }


def announce_par(draws: Draws, sender: str) -> dict[str, Any]:
    rng, state = draws.rng, draws.state
    twist = draws.twist(
        (*PROGRAM_TWISTS, "no_series", "short", "order", "floor", "band", "band", "crossed", "edge")
    )
    program = some_program(draws, sender, twist)
    names = [name for owner, name in state.series if owner == program]
    name = rng.choice(names[-3:]) if names and twist != "no_series" else "s-none"
    pars = state.series[program, name].pars if (program, name) in state.series else ((1, 10_000, 10_000),)
    height = max(pars[-1][0] + 1, draws.height + draws.parameter("rate_notice_heights"))
    opening = state.series[program, name].opening if (program, name) in state.series else 10_000
    lowest = opening - opening * draws.parameter("par_band_basis_points") // 10_000
    floor = draws.parameter("par_floor_micros")
    redeem = max(floor, rng.choice((opening, rng.randint(lowest, opening), opening + rng.randrange(3_000))))
    accrue = max(redeem, *(par[2] for par in pars[-2:])) + rng.randrange(5_000)
    if twist == "short":
        height = draws.height + draws.parameter("rate_notice_heights") - 1
    elif twist == "order":
        height = max(draws.height + draws.parameter("rate_notice_heights"), pars[-1][0])
    elif twist == "floor":
        redeem = max(1, floor - 1)
    elif twist in ("band", "edge"):
        redeem = max(1, lowest - (twist == "band"))
    elif twist == "crossed":
        redeem = rng.choice((accrue + 1, pars[-1][1] + 1, pars[-1][1]))
        accrue = max(accrue, redeem)
    return {
        "@type": "announce_par",
        "effective_height": max(1, height + rng.choice((0, 0, 1))),
        "par_accrue": min(5_000_000, accrue),
        "par_redeem": min(5_000_000, redeem),
        "program": program,
        "series": name,
    }


def grant(draws: Draws, sender: str) -> dict[str, Any]:
    rng = draws.rng
    twist = draws.twist(
        (*PROGRAM_TWISTS, "nobody", "self", "expired", "edge", "tiny_day", "tiny_total", "short")
    )
    to = rng.choice([who for who in sorted(draws.state.participants) if who != sender])
    expires = {"expired": draws.time - 1, "edge": draws.time, "short": draws.time + rng.randrange(DAY)}
    kind = rng.choice(KINDS)
    if kind == "custody" and twist is None and rng.random() < 0.7:
        twist = rng.choice(("tiny_day", "tiny_total"))
    return {
        "@type": "grant",
        "budget_day": rng.randrange(60) if twist == "tiny_day" else rng.choice((500, 10**15)),
        "budget_total": rng.randrange(90) if twist == "tiny_total" else 10**15,
        "expires": expires.get(twist or "", draws.time + 40_000 * DAY),
        "kind": kind,
        "program": some_program(draws, sender, twist),
        "to": {"nobody": "nobody", "self": sender}.get(twist or "", to),
    }


def revoke_grant(draws: Draws, sender: str) -> dict[str, Any]:
    twist = draws.twist((*PROGRAM_TWISTS, "unknown"))
    program, kind, to = some_program(draws, sender, twist), draws.rng.choice(KINDS), sender
    own = [slot for slot in draws.state.grants if slot[0] in draws.own.get(sender, [])]
    if twist is None and own:
        program, kind, to = draws.rng.choice(own)
    return {"@type": "revoke_grant", "kind": kind, "program": program, "to": to}


def announce_many(draws: Draws) -> tuple[str, list[dict[str, Any]]]:
    """More changes of one thing than may lie ahead, and who asks for them."""
    kind = draws.rng.choice(("set_parameter", "open_series", "announce_par"))
    if kind == "set_parameter":
        subject = {"parameter": "commission_floor_micros", "value": draws.rng.randrange(1_000)}
        sender, after = "op", draws.height
    else:
        sender = program = "fresh"
        name, series = [(name, row) for (owner, name), row in draws.state.series.items() if owner == program][
            -1
        ]
        pars = dict(zip(("par_accrue", "par_redeem"), series.pars[-1][1:], strict=True))
        subject = {"program": program, "series": name, **pars}
        after = max(draws.height + draws.parameter("rate_notice_heights"), series.pars[-1][0])
    messages = [{"@type": kind, **subject, "effective_height": after + step} for step in range(1, 35)]
    if kind == "open_series":
        messages = [
            {**message, "expiry_months": 6, "series": draws.alliance.next_id("s")} for message in messages
        ]
    return sender, messages
