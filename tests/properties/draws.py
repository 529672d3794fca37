"""What random messages are drawn from: who is there, what they hold, what succeeded before, what time it is.

`Draws` looks at the model's state before a block and never at the ledger under test. Later messages of a
block are drawn from that same, then already old, view, which is where honest mistakes come from.
"""

from __future__ import annotations

from typing import Any

from tests.properties.alliance import Alliance
from tests.properties.model import Model
from tests.properties.model_state import Slot, State
from tests.properties.model_values import LOTS_MAX, day_of

DAY = 86_400_000
DONE_KEPT = 60
HONEST_SHARE = 0.45


class Draws:
    """The view that one block's messages are drawn from."""

    def __init__(self, alliance: Alliance, model: Model) -> None:
        self.alliance = alliance
        self.model = model
        self.rng = alliance.rng
        self.time = model.time
        self.today = 0
        self.height = 1
        self.state: State = model.state
        self.done: dict[tuple[str, str], list[dict[str, Any]]] = {}
        """(sender, type) → messages that succeeded and are about something that happened."""
        self.spent: dict[str, list[str]] = {}
        """Member → nonces of consents and choices that succeeded."""
        self.accounts: list[tuple[str, str]] = []
        self.holders: dict[str, list[str]] = {}
        self.granted: dict[tuple[str, str], list[str]] = {}
        self.own: dict[str, list[str]] = {}
        self.stranger = alliance.new_member()
        self.bare = "bare"
        """A program without any series."""
        self.collector = ("cinema", "stamps", "")
        """Issuer, program and member of an account with as many lots as there may be."""
        self.whale = ("books", "gold", "dust", "")
        """Issuer, two programs and the member of accounts with as many points as there may be."""

    def look(self, time: int) -> None:
        """The view as of now, for a block at ``time``."""
        self.time = time
        self.today = self.model.block_at(time).day
        self.height = self.model.height + 1
        state = self.state = self.model.state
        self.accounts = [account for account, lots in state.accounts.items() if lots]
        collected = (self.collector[2], self.collector[1])
        if len(state.accounts.get(collected, ())) in range(1, LOTS_MAX):
            self.accounts.remove(collected)  # nobody spends from it before it is full
        self.holders = {}
        for member, program in self.accounts:
            self.holders.setdefault(program, []).append(member)
        self.granted = {}
        for program, kind, to in state.grants:
            self.granted.setdefault((to, kind), []).append(program)
        self.own = {}
        for program, (issuer, _, _) in state.programs.items():
            self.own.setdefault(issuer, []).append(program)

    def remember(self, sender: str, message: dict[str, Any]) -> None:
        """This message succeeded."""
        if "occurred_at" in message:
            done = self.done.setdefault((sender, message["@type"]), [])
            done.append(message)
            if len(done) > DONE_KEPT:
                done.pop(self.rng.randrange(DONE_KEPT))
        consents = [(message["member"], message.get("consent", message))] if "member" in message else []
        if "recipient_consent" in message:
            consents.append((message["recipient"], message["recipient_consent"]))
        for member, consent in consents:
            if "nonce" in consent:
                self.spent.setdefault(member, []).append(consent["nonce"])

    def twist(self, twists: tuple[str, ...]) -> str | None:
        return None if self.rng.random() < HONEST_SHARE else self.rng.choice(twists)

    def parameter(self, name: str) -> int:
        return self.state.parameter(name, self.height)

    def reference(self) -> str:
        return self.alliance.next_id("r:")

    def member(self) -> str:
        return self.rng.choice(list(self.state.members))

    def programs_for(self, sender: str, kind: str) -> list[str]:
        return self.own.get(sender, []) + self.granted.get((sender, kind), [])

    def program_for(self, sender: str, kind: str) -> str:
        own, granted = self.own.get(sender, []), self.granted.get((sender, kind), [])
        if own and (not granted or self.rng.random() < 0.5):
            return self.rng.choice(own)
        return self.rng.choice(granted or sorted(self.state.programs))

    def spendable(self, member: str, program: str, series: str | None = None) -> int:
        return sum(
            points
            for (expires, _, name, _, usable), points in self.state.accounts.get((member, program), ())
            if usable <= self.today <= expires and series in (None, name)
        )

    def find_done(self, sender: str, *kinds: str) -> dict[str, Any] | None:
        """A success of one of these kinds, mostly a late one."""
        kind = self.rng.choice(kinds)
        done = self.done.get((sender, kind)) or [
            message for other in kinds for message in self.done.get((sender, other), [])
        ]
        if not done:
            return None
        return self.rng.choice(done[-8:] if self.rng.random() < 0.6 else done)

    def slot_of(self, sender: str, message: dict[str, Any]) -> Slot:
        day = day_of(message["occurred_at"], self.model.offset)
        return sender, message["@type"], message["program"], day, message["reference"]

    def is_tight(self, account: tuple[str, str]) -> bool:
        """Whether the custodian may release only few points of this account."""
        member, program = account
        grant = self.state.grants.get((program, "custody", self.state.members[member].custodian))
        return grant is not None and grant.budget_day < 100 and grant.expires >= self.time

    def future_series(self, program: str) -> str | None:
        ahead = [
            name
            for (owner, name), series in self.state.series.items()
            if owner == program and series.opened > self.height
        ]
        return self.rng.choice(ahead) if ahead else None
