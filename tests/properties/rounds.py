"""What an alliance does together in a random history: decides, cuts, signs and pays, so that windows and
proposals come to every end there is.
"""

from __future__ import annotations

from typing import Any

from tests.properties import draw_governance, draw_settlement
from tests.properties.alliance import PARTICIPANTS
from tests.properties.clock import SECOND
from tests.properties.model_settlement import parties_of

Transaction = dict[str, Any]


def send(history: Any, sender: str, *messages: dict[str, Any]) -> Transaction:
    return history.send(sender, "govern", list(messages), not_after=history.draws.time + 10 * SECOND)


def decide(history: Any) -> list[Transaction]:
    """Somebody proposes what is needed, or whatever comes to mind."""
    draws, rng = history.draws, history.rng
    voters = sorted(draws.state.weights)
    proposer = rng.choice([who for who in voters if who not in draws.state.suspended] or voters)
    repairs = draw_governance.find_repairs(draws)
    actions = [rng.choice(repairs)] if repairs and rng.random() < 0.6 else None
    message = draw_governance.propose(draws, proposer, actions)
    configuration = draws.state.standing["configuration"]
    ballots = [
        {"@type": "vote", "choice": "yes", "configuration": configuration, "proposal": message["proposal"]}
    ] * (rng.random() < 0.6)
    return [
        send(history, proposer, message),
        *(send(history, who, ballot) for ballot in ballots for who in voters if rng.random() < 0.9),
    ]


def ballot(history: Any) -> list[Transaction]:
    """Mostly everybody votes on one proposal, the newest that can still pass."""
    draws, rng = history.draws, history.rng
    present = draws.state.standing["configuration"]
    proposals = [
        name
        for name in draw_governance.open_proposals(draws)
        if draws.state.proposals[name].configuration == present
        and draws.state.proposals[name].expires > draws.time
        and len(draws.state.proposals[name].ballots) < 3
    ]
    if not proposals:
        return []
    name = proposals[-1] if rng.random() < 0.7 else rng.choice(proposals)
    voters = sorted(draws.state.weights)
    rng.shuffle(voters)
    return [
        send(history, who, draw_governance.vote(draws, who, name) | {"choice": choice})
        for who in voters
        if (choice := rng.choice(("yes",) * 12 + ("no",))) and rng.random() < 0.9
    ]


def flood(history: Any) -> list[Transaction]:
    """More proposals at once than may be open."""
    draws = history.draws
    actions = [{"@type": "set_debit_cap", "cap": 10**15, "participant": "op"}]
    drawn = [draw_governance.propose(draws, "op", actions) for _ in range(34)]
    return [send(history, "op", *({**one, "expires": draws.time + 60 * SECOND} for one in drawn))]


def withdraw(history: Any) -> list[Transaction]:
    """Somebody thinks better of it."""
    draws = history.draws
    proposals = draw_governance.open_proposals(draws)
    if not proposals:
        return []
    name = history.rng.choice(proposals)
    proposer = draws.state.proposals[name].proposer
    return [send(history, proposer, {"@type": "cancel_proposal", "proposal": name})]


def sign(history: Any) -> list[Transaction]:
    """The parties of a window agree, or all but one."""
    draws, rng = history.draws, history.rng
    closed = [row for row in draws.state.windows.items() if row[1].stands == "closed"]
    if not closed:
        return []
    number, window = rng.choice(closed)
    message = {"@type": "countersign", "statement": window.hash, "verdict": "agree", "window": number}
    parties = [who for who in parties_of(window) if rng.random() < 0.97]
    outsiders = sorted(set(draws.state.participants) - set(parties_of(window)))
    if outsiders and rng.random() < 0.2:
        parties.append(rng.choice(outsiders))
    return [send(history, who, message) for who in parties]


def dispute(history: Any) -> list[Transaction]:
    """Some party says that a line of its own is wrong."""
    draws, rng = history.draws, history.rng
    closed = [row for row in draws.state.windows.items() if row[1].stands == "closed"]
    if not closed:
        return []
    number, window = rng.choice(closed)
    lines = window.statement["lines"]
    own = {who: [place for place, line in enumerate(lines) if who == line["from"]] for who in PARTICIPANTS}
    fitting = [who for who in PARTICIPANTS if own[who]]
    if not fitting:
        return []
    sender = rng.choice(fitting)
    said = {"lines": own[sender][:3], "statement": window.hash, "verdict": "dispute", "window": number}
    return [send(history, sender, {"@type": "countersign", **said})]


def pay(history: Any) -> list[Transaction]:
    """Payers and payees attest a window's transfers, or most of them."""
    draws, rng = history.draws, history.rng
    confirmed = [row for row in draws.state.windows.items() if row[1].stands == "confirmed"]
    if not confirmed:
        return []
    number, window = rng.choice(confirmed)
    return [
        send(history, transfer[side], draw_settlement.make_attestation(draws, number, place))
        for place, transfer in enumerate(window.statement["transfers"])
        for side in ("from", "to")
        if side not in window.sides[place] and rng.random() < 0.93
    ]


def office(history: Any) -> list[Transaction]:
    """Operator and trustee do what only they do."""
    draws, rng = history.draws, history.rng
    trustee = draws.state.standing["trustee"]
    cover = [draw_settlement.attest_cover(draws, trustee)]
    if rng.random() < 0.3:
        cover.append(draw_settlement.attest_fund(draws, trustee))
    cut = draw_settlement.cut_window(draws, "op")
    return [send(history, trustee, *cover)] if rng.random() < 0.4 else [send(history, "op", cut)]


CHANCES = (
    (decide, 0.5),
    (ballot, 0.6),
    (sign, 0.12),
    (dispute, 0.05),
    (pay, 0.12),
    (office, 0.15),
    (withdraw, 0.04),
    (flood, 0.004),
)


def draw_rounds(history: Any) -> list[Transaction]:
    return [
        sent for round_of, chance in CHANCES if history.rng.random() < chance for sent in round_of(history)
    ]
