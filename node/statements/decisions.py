"""What was decided about windows and their payments, as the log tells it: all of a statement but its legs.

Payments that both sides attested are done with. What of a window was not, when it is aborted, is brought into
the open one; so is what a default leaves to its creditors. The payment unit and the shares of brands are
those in force when a window is cut.

Only what was done counts: a message that was turned down, or a proposal that failed, decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from contracts.mechanics.parameters import get_value_at, with_change
from contracts.mechanics.records import Change, Parameter
from contracts.messages.actions import (
    AbortWindow,
    Action,
    AdmitParticipant,
    ChangeParameter,
    DeclareDefault,
)
from contracts.messages.governance import Enact, Propose
from contracts.messages.registry import Admit, SetParameter
from contracts.messages.settlement import Abort, AttestPayment, SetBrandShares
from contracts.messages.statement import Statement
from ledger.errors import Unverified
from ledger.genesis import Origin
from ledger.leaves import ENTRY_START, SYSTEM_START, TRANSACTION_LEAF_DECODER
from ledger.outcome import OK, Draw
from node.statements.unpaid import Debts, Payment, bring_default, bring_over, list_payments

PAYMENT_UNIT: Final = "payment_unit_micros"


class _Done(Struct, frozen=True, gc=False):
    code: str
    draws: list[Draw] | UnsetType = UNSET


class _Entry(Struct, frozen=True):
    message: Admit | AttestPayment | Propose | SetBrandShares | SetParameter
    outcome: _Done


class _System(Struct, frozen=True):
    message: Abort | Enact
    outcome: _Done


def _begin(start: bytes, *kinds: str) -> tuple[bytes, ...]:
    return tuple(start + b'"message":{"@type":"%b"' % kind.encode() for kind in kinds)


WATCHED: Final = _begin(
    ENTRY_START, "admit", "attest_payment", "propose", "set_brand_shares", "set_parameter"
)
"""How the entries begin that decide something."""
WATCHED_SYSTEM: Final = _begin(SYSTEM_START, "abort", "enact")
_ENTRY_DECODER: Final = msgspec.json.Decoder(_Entry)
_SYSTEM_DECODER: Final = msgspec.json.Decoder(_System)


class Decisions:
    """What stands decided after the leaves that were taken."""

    def __init__(self, origin: Origin) -> None:
        begun = {each.name: each.value for each in origin.settings.parameters}
        self._unit = Parameter((Change(0, begun[PAYMENT_UNIT]),)) if PAYMENT_UNIT in begun else None
        self._proposals: dict[str, list[Action]] = {}
        self._brought: dict[tuple[str, str, int], int] = {}
        self._closed: dict[int, tuple[Statement, list[Payment]]] = {}
        self.brands: dict[str, list[tuple[str, int]]] = {}
        """Participant → (brand, parts), of those who have set any."""
        self.names: dict[str, str] = {each.participant: each.name for each in origin.participants}
        """Participant → name."""

    def get_payment_unit(self, height: int) -> int:
        """The payment unit in force at a height."""
        return get_value_at(self._unit, name=PAYMENT_UNIT, height=height)

    def take_brought(self) -> dict[tuple[str, str, int], int]:
        """What is to be settled with the window that is cut now; the next one begins with nothing."""
        brought, self._brought = self._brought, {}
        return brought

    def remember(self, statement: Statement) -> None:
        """A window is closed; its payments are to be made."""
        self._closed[statement.window] = (statement, list_payments(statement))

    def take_entry(self, leaf: bytes, transaction: bytes, *, height: int) -> None:
        """An entry of one of the `WATCHED` kinds."""
        told = _ENTRY_DECODER.decode(leaf)
        if told.outcome.code != OK:
            return
        match told.message:
            case Admit(name=name, participant=participant):
                self.names[participant] = name
            case Propose(actions=actions, proposal=proposal):
                self._proposals[proposal] = actions
            case SetParameter(effective_height=effective, parameter=parameter, value=value):
                if parameter == PAYMENT_UNIT:
                    self._unit = with_change(self._unit, height=effective, value=value, now=height)
            case SetBrandShares(shares=shares):
                self.brands[_get_sender(transaction)] = [(each.brand, each.parts) for each in shares]
            case AttestPayment(transfer=place, window=window):
                _, payments = self._find(window)
                payments[place].attest(_get_sender(transaction))

    def take_system(self, leaf: bytes, *, height: int) -> None:
        """A system entry of one of the `WATCHED_SYSTEM` kinds."""
        told = _SYSTEM_DECODER.decode(leaf)
        if told.outcome.code != OK:
            return
        match told.message:
            case Abort(window=window):
                self._abort(window)
            case Enact(proposal=proposal):
                draws = [] if isinstance(told.outcome.draws, UnsetType) else told.outcome.draws
                for action in self._proposals.pop(proposal, ()):
                    self._do(action, draws, height)

    def _do(self, action: Action, draws: Sequence[Draw], height: int) -> None:
        match action:
            case AdmitParticipant(name=name, participant=participant):
                self.names[participant] = name
            case ChangeParameter(parameter=parameter, trial=trial, value=value):
                if parameter == PAYMENT_UNIT and isinstance(trial, UnsetType):
                    # By vote it holds at once, whatever was announced for later.
                    self._unit = Parameter((Change(height, value),))
            case AbortWindow(window=window):
                self._abort(window)
            case DeclareDefault(participant=participant, window=window):
                statement, payments = self._find(window)
                self._bring(window, bring_default(statement, payments, participant, draws))

    def _abort(self, window: int) -> None:
        self._bring(window, bring_over(self._find(window)[1]))

    def _bring(self, window: int, debts: Debts) -> None:
        """These debts of a window are owed in the open one."""
        for (debtor, creditor), micros in debts.items():
            key = (debtor, creditor, window)
            self._brought[key] = self._brought.get(key, 0) + micros

    def _find(self, window: int) -> tuple[Statement, list[Payment]]:
        if window not in self._closed:
            raise Unverified("WINDOW_OUT_OF_PLACE", expected=sorted(self._closed)[-1:], found=window)
        return self._closed[window]


def _get_sender(transaction: bytes) -> str:
    return TRANSACTION_LEAF_DECODER.decode(transaction).header.sender
