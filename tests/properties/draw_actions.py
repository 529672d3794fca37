"""Random actions for proposals: each as it could be meant, or where `wrong` wrong in one way."""

from __future__ import annotations

from typing import Any

from tests.properties import draw_limits, draw_registry
from tests.properties.alliance import KEY_PURPOSES, PARTICIPANTS, UNFIT_KEYS
from tests.properties.draws import Draws
from tests.properties.model_actions import FLOORS, TRIED
from tests.properties.model_exposure import find_owed
from tests.properties.model_settlement import find_unpaid
from tests.properties.model_values import FOREVER, PARAMETERS

Action = dict[str, Any]
PAUSABLE = (
    *("adjust", "award", "earn", "enrol", "exchange", "gift", "hold", "import_balance", "redeem"),
    *("refund", "return_order"),
)


def guests(draws: Draws) -> list[str]:
    """Who joined later: the alliance does without them."""
    return [who for who in draws.state.participants if who not in PARTICIPANTS]


def is_lone(draws: Draws) -> bool:
    """Whether the operator decides alone, and mostly is to go on doing so."""
    return draws.state.standing["minimum_voters"] == 1 and draws.rng.random() < 0.9


def anybody(draws: Draws) -> str:
    return draws.rng.choice(sorted(draws.state.participants))


def some_window(draws: Draws, stands: str) -> int:
    fitting = [number for number, window in draws.state.windows.items() if window.stands == stands]
    return draws.rng.choice(fitting[-4:]) if fitting else 1


def wrong_window(draws: Draws) -> int:
    return draws.rng.choice((draws.state.standing["window"], 900_000, *list(draws.state.windows)[-3:]))


def admit(draws: Draws, _wrong: str | None) -> Action:
    drawn = draw_registry.admit(draws, "op")
    return {**drawn, "weight": 0 if is_lone(draws) else draws.rng.choice((0, 0, 0, 1))}


def suspend(draws: Draws, wrong: str | None) -> Action:
    who = draws.rng.choice(guests(draws) or ["petrol"])
    if draws.rng.random() < 0.4:
        who = "petrol" if draws.rng.random() < 0.7 else anybody(draws)
    if wrong:
        who = draws.rng.choice(("nobody", "op", *draws.state.suspended))
    return {"participant": who}


def reinstate(draws: Draws, wrong: str | None) -> Action:
    resting = list(draws.state.suspended)
    if wrong or not resting:
        return {"participant": draws.rng.choice(("nobody", anybody(draws)))}
    return {"participant": draws.rng.choice(resting)}


def remove(draws: Draws, wrong: str | None) -> Action:
    """Guests who owe nothing; of the founders only those who do."""
    owing = [who for who in PARTICIPANTS if find_owed(draws.state, who)]
    if wrong or not guests(draws):
        return {"participant": draws.rng.choice(("nobody", "op", draws.state.standing["trustee"], *owing))}
    return {"participant": draws.rng.choice(guests(draws))}


def recover_keys(draws: Draws, wrong: str | None) -> Action:
    rng, who = draws.rng, anybody(draws)
    own = [
        (name, key.purpose)
        for name, key in draws.state.keys.items()
        if key.participant == who and key.valid_to == FOREVER
    ]
    purposes = [purpose for _, purpose in own]
    spare = [name for name, purpose in own if purposes.count(purpose) > 1]
    add = [
        {"public": draws.alliance.new_key_of(who, purpose).public, "purpose": purpose}
        for purpose in rng.choices(KEY_PURPOSES, k=rng.choice((1, 1, 2)))
    ]
    # None named would end all that it has: where none is spare, one of a purpose that it gets anew.
    anew = [name for name, purpose in own if purpose in {key["purpose"] for key in add}]
    action = {"add": add, "participant": who, "revoke": [rng.choice(spare or anew or [own[0][0]])]}
    if not wrong:
        return action
    gone = [name for name, key in draws.state.keys.items() if key.participant == who and key not in own]
    mistakes: list[Action] = [
        {"participant": "nobody"},
        {"add": [{"public": rng.choice(UNFIT_KEYS), "purpose": "govern"}]},
        {"add": [{"public": rng.choice(list(draws.state.keys.values())).public, "purpose": "till"}]},
        {"add": add[:1] * 2},
        {"revoke": [rng.choice(sorted(draws.state.keys))]},
        {"revoke": [rng.choice(gone)] if gone else [draws.alliance.new_pair().id]},
        {
            "add": [{"public": draws.alliance.new_key_of(who, "till").public, "purpose": "till"}],
            "revoke": [name for name, purpose in own if purpose == "govern"],
        },
    ]
    return action | rng.choice(mistakes)


def set_weight(draws: Draws, wrong: str | None) -> Action:
    rng = draws.rng
    if wrong:
        who = rng.choice(("nobody", *draws.state.removed, *draws.state.weights, *draws.state.weights))
        return {"participant": who, "weight": 0}
    if is_lone(draws):
        return {"participant": "op", "weight": 1}
    who = anybody(draws)
    return {"participant": who, "weight": rng.choice((1, 2, 3) if who in PARTICIPANTS else (0, 1))}


def set_voting_rule(draws: Draws, wrong: str | None) -> Action:
    kind = draws.rng.choice(sorted(FLOORS))
    least = FLOORS[kind]
    approve = draws.rng.choice((5_000, 1)) if wrong else draws.rng.choice((least, 6_000, 6_667))
    if is_lone(draws) and not wrong:
        return {"approve_basis_points": 10_000, "kind": kind, "notice_heights": 0}
    return {"approve_basis_points": approve, "kind": kind, "notice_heights": draws.rng.choice((0, 1, 2, 3))}


def set_parameter(draws: Draws, wrong: str | None) -> Action:
    rng = draws.rng
    drawn = draw_registry.set_parameter(draws, "op")
    action = {"parameter": drawn["parameter"], "value": drawn["value"]}
    if rng.random() < 0.4 or wrong:
        name = rng.choice(sorted(TRIED)) if not wrong or rng.random() < 0.7 else rng.choice(list(PARAMETERS))
        usual = draw_registry.SANE.get(name, PARAMETERS[name])
        merchants = sorted(rng.sample(sorted(draws.state.participants), 2))
        shares = {"members_basis_points": rng.choice((1, 3_000, 5_000, 10_000))}
        trial = rng.choice((shares, shares, {"merchants": merchants}))
        if wrong:
            trial = rng.choice(({}, {**shares, "merchants": merchants}, {"merchants": ["nobody"]}, trial))
        action = {"parameter": name, "trial": trial, "value": rng.choice(usual)}
    return action


def end_trial(draws: Draws, wrong: str | None) -> Action:
    tried = list(draws.state.trials)
    if wrong or not tried:
        tried = ["gravity", *PARAMETERS]
    return {"parameter": draws.rng.choice(tried)}


def set_par(draws: Draws, wrong: str | None) -> Action:
    """A fall beyond the band, mostly of a series that is open."""
    rng = draws.rng
    places = [place for place in draws.state.series if place[0] not in ("gold", "dust", draws.bare)]
    program, name = rng.choice(places if rng.random() < 0.3 else places[-8:])
    _, accrue, redeem = draws.state.series[program, name].par_at(draws.height)
    floor = draws.parameter("par_floor_micros")
    action = {
        "par_accrue": accrue,
        "par_redeem": max(floor, redeem - rng.choice((1, redeem // 3, redeem // 9))),
    }
    action |= {"program": program, "series": name}
    mistakes: list[Action] = [
        {"program": "nowhere"},
        {"series": "s-none"},
        {"par_redeem": max(1, floor - 1)},
        {"par_redeem": redeem},
        {"par_accrue": max(1, action["par_redeem"] - 1)},
    ]
    return action | rng.choice(mistakes) if wrong else action


def set_debit_cap(draws: Draws, _wrong: str | None) -> Action:
    return draw_limits.set_debit_cap(draws, "op")


def set_issuance_budget(draws: Draws, wrong: str | None) -> Action:
    day, total = draws.rng.choice(((10**15, 10**15), (10**15, 10**15), (50, 10**15), (1_000, 3_000), (0, 0)))
    program = "nowhere" if wrong else draws.rng.choice(sorted(draws.state.programs))
    return {"budget_day": day, "budget_total": total, "program": program}


def set_rulebook(draws: Draws, wrong: str | None) -> Action:
    """The next one, of which there is one."""
    return {"version": 2 if draws.state.standing["rulebook"] == 1 and not wrong else 4}


def pause(draws: Draws, wrong: str | None) -> Action:
    rng = draws.rng
    program, kind = rng.choice(sorted(draws.state.programs)), rng.choice(PAUSABLE)
    if wrong:
        resting = [{field: name} for field, name in draws.state.paused] * 6
        return rng.choice(({}, {"message": kind, "program": program}, {"program": "nowhere"}, *resting))
    return rng.choice(({"message": kind}, {"program": program}))


def resume(draws: Draws, wrong: str | None) -> Action:
    resting = [{field: name} for field, name in draws.state.paused]
    return draws.rng.choice(resting) if resting and not wrong else pause(draws, wrong)


def resolve_dispute(draws: Draws, wrong: str | None) -> Action:
    rng = draws.rng
    disputes = [
        (number, who) for number, window in draws.state.windows.items() for who in sorted(window.disputing)
    ]
    number, who = rng.choice(disputes) if disputes else (wrong_window(draws), anybody(draws))
    corrections = [
        {"from": anybody(draws), "micros": rng.randrange(1, 10**7), "to": anybody(draws)}
        for _ in range(rng.choice((0, 1, 1, 2, 8)))
    ]
    action = {"corrections": corrections, "participant": who, "window": number}
    mistakes: list[Action] = [
        {"window": wrong_window(draws)},
        {"participant": "nobody"},
        {"corrections": [{"from": "nobody", "micros": 1, "to": "op"}]},
    ]
    return action | rng.choice(mistakes) if wrong else action


def abort_window(draws: Draws, wrong: str | None) -> Action:
    return {"window": wrong_window(draws) if wrong else some_window(draws, "confirmed")}


def declare_default(draws: Draws, wrong: str | None) -> Action:
    rng = draws.rng
    owing = [
        (number, transfer["from"])
        for number, window in draws.state.windows.items()
        if window.stands == "confirmed"
        for _, transfer, _ in find_unpaid(window)
        if transfer["from"] != "op"
    ]
    if wrong or not owing:
        number = rng.choice((wrong_window(draws), some_window(draws, "confirmed")))
        return {"participant": rng.choice(("op", "nobody", anybody(draws))), "window": number}
    number, who = rng.choice(owing)
    return {"participant": who, "window": number}
