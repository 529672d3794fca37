"""Governance in the model, in the order of docs/spec/governance.md: who decides, and a proposal's life."""

from __future__ import annotations

from typing import Any

from tests.properties.model_actions import DO, FLOORS, kind_of
from tests.properties.model_state import STANDING, Block, Proposal, State, TurnedDown, reject
from tests.properties.model_values import ceiling_of, day_of

Message = dict[str, Any]
Entry = tuple[Message, dict[str, Any]]
OK = {"code": "OK"}
OPEN_MAX = 8
HEIGHTS_AHEAD_MAX = 31_536_000
MINUTE = 60_000


def begin(state: State, settings: dict[str, Any]) -> None:
    """Who decides at genesis: the voters of a constitution, or the operator alone."""
    alone = {
        "minimum_voters": 1,
        "rules": [{"approve_basis_points": 10_000, "kind": kind, "notice_heights": 0} for kind in FLOORS],
        "trustee": settings["operator"],
        "voters": [{"participant": settings["operator"], "weight": 1}],
    }
    constitution = settings.get("constitution", alone)
    state.weights = {voter["participant"]: voter["weight"] for voter in constitution["voters"]}
    state.voting = {
        rule["kind"]: (rule["approve_basis_points"], rule["notice_heights"]) for rule in constitution["rules"]
    }
    state.standing = {
        "configuration": 0,
        "currency": settings["currency"],
        "cut_at": 0,
        "cut_day": day_of(settings["time"], settings["utc_offset_minutes"]),
        "first_height": 1,
        "fund": 0,
        "height": 0,
        "log_key": settings["log_key"],
        "minimum_voters": constitution["minimum_voters"],
        "rulebook": settings["rulebook"],
        "tried": {},
        "trustee": constitution["trustee"],
        "window": 1,
    }


def check_voter(state: State, sender: str) -> None:
    if sender not in state.weights:
        reject("NOT_A_VOTER")


def propose(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    actions, expires = message["actions"], message["expires"]
    kinds = {kind_of(action) for action in actions}
    approve = max(state.voting[kind][0] for kind in kinds)
    notice = max(state.voting[kind][1] for kind in kinds)
    check_voter(state, sender)
    if message["proposal"] in state.proposals:
        reject("PROPOSAL_EXISTS")
    if message["configuration"] != state.standing["configuration"]:
        reject("CONFIGURATION_CHANGED")
    if expires <= block.time:
        reject("PROPOSAL_EXPIRED")
    far = message["effective_height"] > block.height + HEIGHTS_AHEAD_MAX
    if far or expires > block.time + 1000 * state.parameter("proposal_seconds_max", block.height):
        reject("PROPOSAL_TOO_LONG")
    if message["effective_height"] < block.height + notice:
        reject("NOTICE_TOO_SHORT")
    own = [each for each in state.proposals.values() if each.proposer == sender and each.stands in STANDING]
    tried = state.standing["tried"]  # one for all copies of a state: no undoing gives a try back
    if tried.get("height") != block.height:
        tried.clear()
        tried["height"] = block.height
    if len(own) >= OPEN_MAX or tried.get(sender, 0) >= OPEN_MAX:
        reject("TOO_MANY_PROPOSALS")
    tried[sender] = tried.get(sender, 0) + 1
    do_all(state.copy(), block, actions)
    state.proposals[message["proposal"]] = Proposal(
        sender,
        tuple(actions),
        message["configuration"],
        message["effective_height"],
        expires,
        approve,
        notice,
    )
    return {"code": "OK", "events": [{"about": message["proposal"], "name": "PROPOSAL_MADE"}]}


def do_all(state: State, block: Block, actions: Any) -> dict[str, list[dict[str, Any]]]:
    """What all of them say, one after the other. The first that cannot be done ends it."""
    said: dict[str, list[dict[str, Any]]] = {"draws": [], "events": [], "legs": []}
    for action in actions:
        for name, rows in (DO[action["@type"]](state, block, action) or {}).items():
            said[name] += rows
    return said


def find_proposal(state: State, message: Message) -> Proposal:
    if message["proposal"] not in state.proposals:
        reject("PROPOSAL_UNKNOWN")
    return state.proposals[message["proposal"]]


def vote(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    proposal = find_proposal(state, message)
    check_voter(state, sender)
    if proposal.stands != "open":
        reject("PROPOSAL_FINAL")
    if proposal.expires <= block.time:
        reject("PROPOSAL_EXPIRED")
    if {message["configuration"], proposal.configuration} != {state.standing["configuration"]}:
        reject("CONFIGURATION_CHANGED")
    if sender in dict(proposal.ballots):
        reject("ALREADY_VOTED")
    proposal = proposal._replace(ballots=(*proposal.ballots, (sender, message["choice"])))
    for_it = sum(state.weights.get(who, 0) for who, choice in proposal.ballots if choice == "yes")
    passes = for_it * 10_000 >= proposal.approve * sum(state.weights.values())
    if passes:
        enacts_at = max(proposal.effective_height, block.height + proposal.notice, block.height + 1)
        proposal = proposal._replace(stands="passed", enacts_at=enacts_at)
    state.proposals[message["proposal"]] = proposal
    event = {"about": message["proposal"], "at": proposal.enacts_at, "name": "PROPOSAL_PASSED"}
    return {"code": "OK", "events": [event]} if passes else OK


def cancel_proposal(state: State, _block: Block, sender: str, message: Message) -> dict[str, Any]:
    proposal = find_proposal(state, message)
    if proposal.proposer != sender:
        reject("NOT_PROPOSER")
    if proposal.stands != "open":
        reject("PROPOSAL_FINAL")
    state.proposals[message["proposal"]] = proposal._replace(stands="cancelled")
    return OK


def find_enactments(state: State, block: Block) -> list[str]:
    """What has passed and whose height has come, in order."""
    due = [
        (proposal.enacts_at, name)
        for name, proposal in state.proposals.items()
        if proposal.stands == "passed" and proposal.enacts_at <= block.height
    ]
    return [name for _, name in sorted(due)]


def changes_configuration(state: State, action: Message) -> bool:
    kind = action["@type"]
    if kind == "admit":
        return bool(action["weight"])
    if kind == "remove":
        return action["participant"] in state.weights
    return kind in ("set_weight", "set_voting_rule", "set_rulebook")


def enact(state: State, block: Block, name: str) -> Entry:
    message, proposal = {"@type": "enact", "proposal": name}, state.proposals[name]
    twin = state.copy()
    try:
        if proposal.configuration != state.standing["configuration"]:
            reject("CONFIGURATION_CHANGED")
        said = do_all(twin, block, proposal.actions)
    except TurnedDown as no:
        state.proposals[name] = proposal._replace(stands="failed")
        return message, no.outcome
    changes = any(changes_configuration(state, action) for action in proposal.actions)
    vars(state).update(vars(twin))
    state.standing["configuration"] += changes
    state.proposals[name] = proposal._replace(stands="enacted")
    events = [*said.pop("events"), {"about": name, "name": "PROPOSAL_ENACTED"}]
    facts = {field: rows for field, rows in said.items() if rows}
    return message, {"code": "OK", "events": events, **facts}


def find_closings(state: State) -> list[tuple[int, str, str, Any]]:
    """The minutes at which a proposal's time is over, with its name."""
    return [
        (ceiling_of(proposal.expires, MINUTE), "p", name, name)
        for name, proposal in state.proposals.items()
        if proposal.stands == "open"
    ]


def close_proposal(state: State, name: str) -> Entry:
    state.proposals[name] = state.proposals[name]._replace(stands="rejected")
    return {"@type": "close_proposal", "proposal": name}, {"code": "BELOW_THRESHOLD"}
