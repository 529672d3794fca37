"""The desk of a small town's node: its real core behind the real app, and askers with real tokens.

Nothing is pretended but the network: requests go to the app as a server would hand them over. The town has
begun and traded a little, so that each kind of entry stands in the log; `Traded` says where.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import msgspec

from contracts.messages import CutWindow, Enrol, Exchange, Propose, Redeem, SetBrandShares, Vote
from contracts.messages.actions import ChangeParameter
from ledger.keys import SeedSigner
from ledger.log.tiles import TILE_WIDTH
from node.access import Role, parse_role
from node.answers import Taken
from node.api.app import make_app
from node.core import NodeCore
from node.metrics import Metrics
from node.promising import Promiser
from node.tokens import TokenIssuer
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CLARA,
    FRESH,
    OPERATOR,
    PETROL,
    PHARMACY,
    PROGRAMS,
    START,
    grant,
    make_signer,
    member_id,
    open_program,
)
from tests.contracts.letters import prove_possession, sign_consent
from tests.node.engine.town import LOG_SIGNER, Town, codes_of, submit

URL = "http://127.0.0.1:8710"
SECRET = bytes(range(32))


class Traded(NamedTuple):
    """Indexes of entries, by what they are."""

    grant: int
    enrol_anna: int
    earn_home: int
    earn_partner: int
    earn_clara: int
    earn_anna_mile: int
    redeem_elsewhere: int
    redeem_home: int
    exchange: int


class Desk:
    """A town, its core and its app."""

    def __init__(self, folder: Path, *, kind: str = "system", **how: Any) -> None:
        self.town = Town(folder, kind=kind)
        self.core: NodeCore = self.town.open()
        self.core.promiser = Promiser(self.core, LOG_SIGNER, None)
        self.clock = self.town.clock
        self.tokens = TokenIssuer(secret=SECRET, chain=self.core.chain, clock=self.clock)
        self.metrics = Metrics()
        self.app = make_app(self.core, tokens=self.tokens, metrics=self.metrics, clock=self.clock, **how)
        self._count = 0

    def client(self, *, address: str = "127.0.0.1", app: Any = None) -> httpx2.AsyncClient:
        """A client on this machine, or elsewhere."""
        transport = httpx2.ASGITransport(app or self.app, client=(address, 50_000))
        return httpx2.AsyncClient(transport=transport, base_url=URL)

    def token(self, role: str | Role) -> str:
        """A token as an operator would print it."""
        return self.tokens.issue(parse_role(str(role)), seconds=3_600)[0]

    def asks(self, role: str | Role) -> dict[str, str]:
        """The headers of somebody with a token."""
        return {"authorization": f"Bearer {self.token(role)}"}

    def sign(self, sender: str, *messages: Any, **how: Any) -> bytes:
        """A transaction under a fresh id."""
        self._count += 1
        how.setdefault("not_after", self.clock() + 600_000)
        return self.town.sign(sender, f"desk-{self._count}", *messages, **how)

    def must(self, sender: str, *messages: Any, **how: Any) -> Taken:
        """What came of messages that every test takes for granted."""
        taken = submit(self.core, self.sign(sender, *messages, **how))
        assert codes_of(taken) == {"OK"}, taken.outcomes
        return taken

    def enrol(self, member: str, signer: SeedSigner | None) -> Enrol:
        """The message that enrols a member."""
        if signer is None:
            return Enrol(member=member)
        return Enrol(key=prove_possession(self.core.chain, member, signer), member=member)

    def trade(self) -> Traded:
        """The town begins and trades a little; the indexes of what came of it."""
        fresh = [
            *open_program(PROGRAMS["leaf"], height=3),
            grant("earn", "leaf", PETROL),
            grant("redeem", "leaf", PETROL),
            grant("exchange_out", "leaf", PETROL),
        ]
        opened = self.must(FRESH, *fresh)
        self.must(PETROL, *open_program(PROGRAMS["mile"], height=3), grant("exchange_in", "mile", FRESH))
        self.must(PHARMACY, *open_program(PROGRAMS["drop"], height=5))
        anna, clara = make_signer(ANNA), make_signer(CLARA)
        enrolled = self.must(FRESH, self.enrol(ANNA, anna), self.enrol(BORIS, None))
        self.must(PETROL, self.enrol(CLARA, clara))
        home = self.must(FRESH, self.town.earn(1, points=1_000), self.town.earn(2, points=100, member=2))
        partner = self.must(PETROL, self.town.earn(3, points=200, sender=PETROL))
        mile = self.town.earn(4, points=500, member=3, program="mile", sender=PETROL)
        for_anna = self.town.earn(5, points=50, program="mile", sender=PETROL)
        earned = self.must(PETROL, mile, for_anna)
        consent = sign_consent(
            self.core.chain,
            anna,
            counterparty=PETROL,
            expires=START + 60_000,
            member=ANNA,
            points=300,
            program="leaf",
        )
        spent = self.must(
            PETROL,
            Redeem(
                consent=consent,
                member=ANNA,
                occurred_at=START,
                points=300,
                program="leaf",
                reference="pump-7",
            ),
        )
        at_home = self.must(FRESH, self.town.redeem(1, points=40, member=2))
        swapped = self.must(FRESH, self.make_exchange(anna))
        return Traded(
            grant=opened.index + 3,
            enrol_anna=enrolled.index + 1,
            earn_home=home.index + 1,
            earn_partner=partner.index + 1,
            earn_clara=earned.index + 1,
            earn_anna_mile=earned.index + 2,
            redeem_elsewhere=spent.index + 1,
            redeem_home=at_home.index + 1,
            exchange=swapped.index + 1,
        )

    def propose(self, name: str, *actions: Any, configuration: int = 0) -> Taken:
        """The operator, who decides alone here, proposes what can be enacted from the next block on."""
        return self.must(
            OPERATOR,
            Propose(
                actions=list(actions),
                configuration=configuration,
                effective_height=self.core.head.height + 1,
                expires=self.clock() + 600_000,
                proposal=name,
            ),
        )

    def decide(self) -> None:
        """One proposal is enacted and one is open; window 1, in which the town has traded, is cut."""
        self.propose("fees-1", ChangeParameter(parameter="commission_basis_points", value=150))
        self.must(OPERATOR, Vote("yes", 0, "fees-1"))
        self.propose("fees-2", ChangeParameter(parameter="commission_basis_points", value=200))
        self.cut()

    def cut(self) -> None:
        """The open window is cut: named in one block, done by the next."""
        self.must(OPERATOR, CutWindow(self.core.head.height + 2))
        self.must(OPERATOR, SetBrandShares([]))

    def make_exchange(self, signer: SeedSigner) -> Exchange:
        """Anna turns leaves into miles, which go to Clara, who takes them."""
        consent = sign_consent(
            self.core.chain,
            signer,
            counterparty=CLARA,
            expires=START + 60_000,
            least=90,
            member=ANNA,
            points=160,
            program="leaf",
            purpose="exchange",
            target="mile",
        )
        accepted = sign_consent(
            self.core.chain,
            make_signer(CLARA),
            counterparty=ANNA,
            expires=START + 60_000,
            member=CLARA,
            points=100,
            program="mile",
            purpose="receive",
        )
        return Exchange(
            consent=consent,
            least=90,
            member=ANNA,
            occurred_at=START,
            points=160,
            program="leaf",
            rate_height=3,
            recipient=CLARA,
            recipient_consent=accepted,
            reference="swap-1",
            series="leaf-1",
            target="mile",
        )

    def grow(self) -> None:
        """The log has some full tiles and a partial one, by blocks that end within them."""
        for block in range(4):
            self.must(FRESH, *[Enrol(member=member_id(1_000 * block + number)) for number in range(200)])
        # Too small a block to be packed when it is stored.
        self.must(FRESH, Enrol(member=member_id(9_000)))

    async def until_waiting(self, count: int) -> None:
        """So many transactions wait for a block."""
        for _ in range(2_000):
            if self.core.waiting >= count:
                return
            await asyncio.sleep(0.01)
        raise TimeoutError(f"{self.core.waiting} wait, not {count}")

    def close(self) -> None:
        """The core stops."""
        self.core.stop()


def problem_of(response: httpx2.Response) -> dict[str, Any]:
    """The problem that an answer is: its form is held to RFC 9457, whatever it says."""
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = msgspec.json.decode(response.content)
    assert {"type", "title", "status", "detail", "code"} <= problem.keys()
    assert problem["status"] == response.status_code
    assert problem["type"] == f"/problems/{problem['code']}"
    return problem


def code_of(response: httpx2.Response) -> str:
    """The code of a problem."""
    return str(problem_of(response)["code"])


def list_widths(count: int) -> list[tuple[int, int]]:
    """The tiles, by index and width, that a level of so many hashes has; or the bundles of as many leaves."""
    full = [(index, TILE_WIDTH) for index in range(count // TILE_WIDTH)]
    return [*full, (count // TILE_WIDTH, count % TILE_WIDTH)] if count % TILE_WIDTH else full
