"""Random proposals and ballots, each honest or wrong in one chosen way."""

from __future__ import annotations

from typing import Any

from tests.properties import draw_actions, draw_trust
from tests.properties.alliance import PARTICIPANTS
from tests.properties.draws import DAY, Draws
from tests.properties.model_actions import kind_of

PROPOSE_TWISTS = (
    *("exists", "configuration", "expired", "edge", "long", "edge_long", "short", "brief"),
    *("wrong_action", "wrong_action", "wrong_action", "wrong_action", "wrong_action"),
)
VOTE_TWISTS = ("unknown", "final", "configuration", "again", "no", "late")
ACTIONS = {
    "abort_window": 1,
    "admit": 2,
    "declare_default": 5,
    "end_trial": 2,
    "pause": 3,
    "recover_keys": 3,
    "reinstate": 2,
    "remove": 3,
    "resolve_dispute": 6,
    "resume": 2,
    "set_debit_cap": 2,
    "set_issuance_budget": 3,
    "set_par": 4,
    "set_parameter": 10,
    "set_rulebook": 1,
    "set_trust_policy": 2,
    "set_validators": 2,
    "set_voting_rule": 1,
    "set_weight": 2,
    "suspend": 2,
    "switch_engine": 1,
}


def find_possible(draws: Draws) -> dict[str, int]:
    """The kinds of actions that something can be done about now."""
    state = draws.state
    windows = state.windows.values()
    idle = {
        "abort_window": not any(window.stands == "confirmed" for window in windows),
        "declare_default": not any(window.stands == "confirmed" and window.sides for window in windows),
        "end_trial": not state.trials,
        "reinstate": not state.suspended,
        "resolve_dispute": not any(window.disputing for window in windows),
        "resume": not state.paused,
        "remove": not draw_actions.guests(draws),
        "set_rulebook": state.standing["rulebook"] != 1,
        "set_validators": "engine" not in state.engines,
        "switch_engine": "engine" in state.engines,
    }
    return {kind: weight for kind, weight in ACTIONS.items() if not idle.get(kind)}


def draw_action(draws: Draws, wrong: str | None) -> dict[str, Any]:
    weights = ACTIONS if wrong else find_possible(draws)
    kind = draws.rng.choices(list(weights), list(weights.values()))[0]
    if wrong and draws.rng.random() < 0.15:
        kind = draws.rng.choice(("set_trust_policy", "set_trust_policy", "set_validators", "switch_engine"))
    if wrong and draws.state.paused and draws.rng.random() < 0.2:
        kind = "pause"
    room = draw_trust if hasattr(draw_trust, kind) else draw_actions
    drawn: dict[str, Any] = getattr(room, kind)(draws, wrong)
    return {**drawn, "@type": kind}


def propose(draws: Draws, _sender: str, actions: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    rng = draws.rng
    twist = draws.twist(PROPOSE_TWISTS) if actions is None else None
    if actions is None:
        count = rng.choice((1, 1, 1, 1, 2, 3))
        wrong = "wrong" if twist == "wrong_action" else None
        drawn = [draw_action(draws, wrong) for _ in range(count)]
        settling = [action for action in drawn if kind_of(action) == "settlement"]
        others = [action for action in drawn if action not in settling]
        actions = [*settling[:1], *others]  # with more that settle it were no proposal
    notice = max(draws.state.voting[kind_of(action)][1] for action in actions)
    longest = 1000 * draws.parameter("proposal_seconds_max")
    configuration = draws.state.standing["configuration"]
    usual = draws.time + min(longest, rng.choice((90_000, DAY, 20 * DAY, 20 * DAY)))
    expires = {
        "expired": draws.time - 1,
        "edge": draws.time,
        "long": draws.time + longest + 1,
        "edge_long": draws.time + longest,
        "brief": draws.time + 1,
    }
    known = sorted(draws.state.proposals)
    height = draws.height + notice + (-1 if twist == "short" else rng.choice((0, 0, 1, 3)))
    return {
        "@type": "propose",
        "actions": actions,
        "configuration": max(0, configuration + rng.choice((-1, 1)))
        if twist == "configuration"
        else configuration,
        "effective_height": max(1, height),
        "expires": expires.get(twist or "", usual),
        "proposal": rng.choice(known) if twist == "exists" and known else draws.alliance.next_id("p:"),
    }


def open_proposals(draws: Draws) -> list[str]:
    return [name for name, proposal in draws.state.proposals.items() if proposal.stands == "open"]


def vote(draws: Draws, sender: str, proposal: str | None = None) -> dict[str, Any]:
    rng, proposals = draws.rng, draws.state.proposals
    twist = draws.twist(VOTE_TWISTS) if proposal is None else None
    fitting = open_proposals(draws)
    if twist == "final":
        fitting = [name for name, row in proposals.items() if row.stands != "open"][-20:]
    elif twist == "configuration":
        present = draws.state.standing["configuration"]
        fitting = [name for name in fitting if proposals[name].configuration != present] or fitting
    elif twist == "again":
        fitting = [name for name in fitting if sender in dict(proposals[name].ballots)] or fitting
    elif twist == "late":
        fitting = [name for name in fitting if proposals[name].expires <= draws.time] or fitting
    name = proposal or (rng.choice(fitting) if fitting and twist != "unknown" else "p:none")
    configuration = proposals[name].configuration if name in proposals else 0
    if twist == "configuration" and rng.random() < 0.5:
        configuration += 1
    choice = "no" if twist == "no" else rng.choice(("yes", "yes", "yes", "yes", "no"))
    return {"@type": "vote", "choice": choice, "configuration": configuration, "proposal": name}


def cancel_proposal(draws: Draws, sender: str) -> dict[str, Any]:
    twist = draws.twist(("unknown", "foreign", "foreign", "final"))
    proposals = draws.state.proposals
    fitting = [
        name
        for name, row in proposals.items()
        if (row.proposer == sender) != (twist == "foreign") and (row.stands == "open") != (twist == "final")
    ]
    name = draws.rng.choice(fitting) if fitting and twist != "unknown" else "p:none"
    return {"@type": "cancel_proposal", "proposal": name}


def find_repairs(draws: Draws) -> list[dict[str, Any]]:
    """What brings life back: who is suspended returns, what is paused goes on."""
    state = draws.state
    repairs = [{"@type": "reinstate", "participant": who} for who in state.suspended]
    repairs += [{"@type": "resume", field: name} for field, name in state.paused]
    repairs += [
        {"@type": "set_weight", "participant": who, "weight": 2}
        for who in PARTICIPANTS[:4]
        if who not in state.weights and state.standing["minimum_voters"] > 1
    ]
    return repairs
