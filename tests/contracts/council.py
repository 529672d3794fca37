"""An alliance that votes: the constitution of these tests, and the verbs of a decision.

    fresh-market   weight 40        petrol-west   weight 30
    pharmacy-plus  weight 20        cinema-nova   weight 10

The operator has no vote. `pharmacy-plus` is the trustee. Three voters at the least.
"""

from __future__ import annotations

from typing import Any

from contracts.mechanics.government import read_constitution
from contracts.messages import CancelProposal, Propose, Vote
from contracts.messages.governance import Enact
from ledger.genesis import Constitution, Voter, VotingRule
from ledger.outcome import Outcome
from tests.contracts.alliance import Alliance
from tests.contracts.cast import CINEMA, FRESH, PETROL, PHARMACY

WEIGHTS = {CINEMA: 10, FRESH: 40, PETROL: 30, PHARMACY: 20}
#   kind: basis points of all weight, heights of notice
RULES = {
    "constitution": (7_500, 3),
    "emergency": (3_000, 0),
    "keys": (6_000, 2),
    "membership": (6_667, 2),
    "parameters": (5_001, 1),
    "rates": (6_000, 2),
    "resume": (6_667, 0),
    "rulebook": (7_500, 3),
    "settlement": (5_001, 0),
    "trust": (7_500, 1),
}
CONSTITUTION = Constitution(
    minimum_voters=3,
    rules=[VotingRule(rule[0], kind, rule[1]) for kind, rule in RULES.items()],  # type: ignore[arg-type]
    trustee=PHARMACY,
    voters=[Voter(name, weight) for name, weight in WEIGHTS.items()],
)
EVERYBODY = (FRESH, PETROL, PHARMACY, CINEMA)


def found(**settings: Any) -> Alliance:
    """An alliance with this constitution, its programs opened."""
    return Alliance(constitution=CONSTITUTION, **settings).open()


def configuration_of(alliance: Alliance) -> int:
    """How often voters and rules have changed."""
    government = alliance.get("government", "government")
    return 0 if government is None else government.configuration


def make_proposal(alliance: Alliance, *actions: Any, name: str = "p", **fields: Any) -> Propose:
    """A proposal to be enacted as soon as may be, open for an hour."""
    told: dict[str, Any] = {
        "actions": list(actions),
        "configuration": configuration_of(alliance),
        "effective_height": alliance.height + 3,
        "expires": alliance.time + 3_600_000,
        "proposal": name,
        **fields,
    }
    return Propose(**told)


def propose(alliance: Alliance, *actions: Any, sender: str = FRESH, **fields: Any) -> Outcome:
    """What came of proposing these actions."""
    return alliance.ask(sender, make_proposal(alliance, *actions, **fields))


def vote(alliance: Alliance, sender: str, choice: Any = "yes", *, name: str = "p", **fields: Any) -> Outcome:
    """What came of an organisation's ballot."""
    told = {"configuration": configuration_of(alliance), **fields}
    return alliance.ask(sender, Vote(choice=choice, proposal=name, **told))


def cancel(alliance: Alliance, sender: str = FRESH, *, name: str = "p") -> Outcome:
    """What came of taking a proposal back."""
    return alliance.ask(sender, CancelProposal(name))


def carry(
    alliance: Alliance, *actions: Any, name: str = "p", voters: tuple[str, ...] = EVERYBODY, **fields: Any
) -> int:
    """The actions are proposed and enough are for them: the height of their enactment."""
    outcome = propose(alliance, *actions, sender=voters[0], name=name, **fields)
    assert outcome.code == "OK", outcome
    for voter in voters:
        outcome = vote(alliance, voter, name=name)
        assert outcome.code == "OK", outcome
        if alliance.get("proposal", name).state == "passed":
            break
    height: int = alliance.get("proposal", name).enacts_at
    return height


def come_to(alliance: Alliance, height: int) -> dict[str, Outcome]:
    """The block of this height is cut with nobody asking anything: what it enacted, by proposal."""
    alliance.reach(height)
    alliance.cut()
    return {
        message.proposal: outcome for message, outcome in alliance.read_system() if isinstance(message, Enact)
    }


def decide(alliance: Alliance, *actions: Any, name: str = "p", **how: Any) -> Outcome:
    """The actions are voted on and their height has come: what came of them."""
    return come_to(alliance, carry(alliance, *actions, name=name, **how))[name]


def seat(alliance: Alliance) -> None:
    """The alliance has this constitution, as if its genesis had said so."""
    names = frozenset(name for name, _ in alliance.state.list_records("participant"))
    alliance.put("government", "government", read_constitution(CONSTITUTION, names))
