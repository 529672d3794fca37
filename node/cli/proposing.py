"""A participant's place at an alliance's table: it reads what is proposed, and signs what it decides.

The node is asked for what it shows, and believed only where it proves itself: every answer to a transaction
carries its proof. The very bytes that are signed are handed to whoever asked for them before they are.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts.mechanics.government import get_kind
from contracts.messages import MESSAGE_DECODER, Propose
from contracts.messages.actions import Action
from ledger.codec import decode_shape, encode
from ledger.errors import CommonpointError, Refused, Unverified
from ledger.genesis import Origin
from ledger.keys import Signer
from ledger.log.tlog_proof import parse_tlog_proof
from ledger.outcome import OK, Outcome
from ledger.receipt import read_receipt, verify_receipt
from ledger.transaction import sign_transaction
from node.audit.sources import SourceUnavailable
from node.keystore import Unusable
from node.remote.admission import find_signer, get_participant, open_connection
from node.remote.chain import read_origin
from node.remote.connection import Connection
from node.remote.policies import RemotePolicies
from node.remote.submission import Submitter

_NOT_AFTER_MILLIS: Final = 600_000
_ADVICE: Final = {
    "ALREADY_VOTED": "One ballot an organisation, and it is final.",
    "CONFIGURATION_CHANGED": "Voters or voting rules are others now: propose it anew.",
    "NOT_A_VOTER": "commonpoint proposal show lists who votes.",
    "NOTICE_TOO_SHORT": "Leave out --height, or name a later one.",
    "PROPOSAL_EXISTS": "Take another name: --name.",
    "PROPOSAL_FINAL": "commonpoint proposal show says what became of it.",
    "PROPOSAL_TOO_LONG": "Ask for fewer --days: proposal_seconds_max is the most.",
    "TOO_MANY_PROPOSALS": "Wait until one is decided, or cancel one of your own.",
}

Show = Callable[[str, str, str, bytes], None]
"""``show(chain, sender, key, message)``: whoever is shown this may still end the program."""


class TurnedDown(CommonpointError):
    """The ledger recorded the message, and answered no."""

    @property
    def advice(self) -> str | None:
        """What can be done about it."""
        return _ADVICE.get(self.code, "docs/spec/governance.md says what the code means.")


class Table:
    """One node, and the participant whose keys are at hand."""

    def __init__(
        self, connection: Connection, *, origin: Origin, now: int, participant: str | None, keys: Path | None
    ) -> None:
        self._connection = connection
        self._origin = origin
        self._now = now
        self._keys = keys
        self._policies = RemotePolicies(connection, origin)
        self.participant = participant

    @property
    def now(self) -> int:
        """The time by which the node judges: the machine's, or the chain's where it is told the time."""
        return time.time_ns() // 1_000_000 if self._origin.settings.clock == "system" else self._now

    @property
    def utc_offset_minutes(self) -> int:
        """Of the chain's days."""
        return self._origin.settings.utc_offset_minutes

    def read_government(self) -> dict[str, Any]:
        """Who decides, and how."""
        return self._read("v1", "government")

    def list_proposals(self) -> list[dict[str, Any]]:
        """The newest proposals, newest first."""
        found: list[dict[str, Any]] = self._read("v1", "proposals")["proposals"]
        return found

    def read_proposal(self, proposal: str) -> dict[str, Any]:
        """One proposal. Raises `Unusable` where there is none."""
        return self._read("v1", "proposals", proposal, missing=proposal)

    def _read(self, *path: str, missing: str | None = None) -> dict[str, Any]:
        told = self._connection.get_json(*path)
        if told is None and missing is not None:
            advice = "commonpoint proposal show lists them."
            raise Unusable("PROPOSAL_UNKNOWN", advice=advice, proposal=missing)
        if not isinstance(told, dict):
            raise SourceUnavailable("SOURCE_ANSWERED", url=self._connection.url, path="/".join(path))
        return told

    def prove(self, told: dict[str, Any]) -> list[Action]:
        """The actions of a proposal as the log holds them, which are those that were told.

        Raises `Unverified` where its receipt does not show them.
        """
        data = self._connection.get_file(f"v1/receipts/{int(told['index'])}")
        if data is None:
            raise Unverified("PROPOSAL_UNPROVEN", proposal=told["proposal"], index=told["index"])
        try:
            receipt = read_receipt(data)
            _, epoch = self._policies.verify(parse_tlog_proof(receipt.proof).checkpoint)
            held = verify_receipt(receipt, self._policies.chain.get_signing(epoch))
            message = decode_shape(bytes(held.message), MESSAGE_DECODER)
        except Refused as error:
            raise Unverified("PROPOSAL_UNPROVEN", proposal=told["proposal"], reason=str(error)) from None
        actions = decode_actions(told["actions"])
        if (
            not isinstance(message, Propose)
            or (message.proposal, message.configuration) != (told["proposal"], told["configuration"])
            or message.actions != actions
        ):
            raise Unverified("PROPOSAL_DIFFERS", proposal=told["proposal"], index=told["index"])
        return actions

    def send(self, message: Any, *, show: Show) -> Outcome:
        """The message is signed with the govern key and on the ledger; ``show`` hears before what is signed.

        Raises `TurnedDown` with the ledger's own code.
        """
        if self._keys is None or self.participant is None:
            raise Unusable("KEYS_MISSING", advice="Name the folder with govern.pem: --keys.")
        signer: Signer = find_signer(self._keys, ("govern",))
        show(self._origin.chain, self.participant, signer.key_id, encode(message))
        transaction = sign_transaction(
            [message],
            chain=self._origin.chain,
            sender=self.participant,
            transaction_id=f"proposal-{secrets.token_hex(8)}",
            not_after=self.now + _NOT_AFTER_MILLIS,
            signer=signer,
        )
        outcome = Submitter(self._connection, self._origin).submit(transaction).outcomes[0]
        if outcome.code != OK:
            raise TurnedDown(outcome.code, participant=self.participant)
        return outcome


@contextmanager
def open_table(
    url: str, *, keys: Path | None, participant: str | None, token: str | None, chain: str | None
) -> Iterator[Table]:
    """The node at this address, for this participant or whoever the token was made for."""
    whose = get_participant(keys) if participant is None and keys is not None else participant
    with open_connection(url, token=token, keys=keys, participant=whose, chain=chain) as connection:
        origin, now = read_origin(connection, pinned=chain)
        yield Table(connection, origin=origin, now=now, participant=whose, keys=keys)


def compute_notice(government: dict[str, Any], actions: list[Action]) -> int:
    """The longest notice among the kinds of the actions."""
    notices = {rule["kind"]: int(rule["notice_heights"]) for rule in government["rules"]}
    return max(notices[get_kind(action)] for action in actions)


def decode_actions(told: list[Any]) -> list[Action]:
    """The actions of a proposal as a node shows it. Raises `SourceUnavailable`."""
    try:
        return msgspec.convert(told, list[Action])
    except msgspec.ValidationError as error:
        raise SourceUnavailable("SOURCE_ANSWERED", reason=str(error)[:200]) from None
