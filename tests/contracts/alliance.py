"""A small alliance in memory: the real executor over the real rules, with the cast of `tests.contracts.cast`.

Nothing here decides anything: a verb signs a real transaction, cuts a real block and hands back the outcomes
that the log now holds, after reading every leaf of the block with the strictest decoder there is. The clock
moves when told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from contracts.mechanics.lots import get_arrivals
from contracts.messages import Earn, Enrol, SystemMessage
from contracts.rulebook import CURRENT, RULEBOOKS
from ledger.codec import decode
from ledger.executor import ExecutedBlock, Executor, apply_genesis, make_tables
from ledger.genesis import Constitution, Genesis, GenesisParameter, encode_genesis, read_genesis
from ledger.keys import SeedSigner
from ledger.leaves import BLOCK_LEAF_DECODER, ENTRY_DECODER, SYSTEM_DECODER, TRANSACTION_LEAF_DECODER
from ledger.outcome import Lot, Outcome
from ledger.posting import (
    EMPTY_ACCOUNT,
    ISSUED_HOME,
    Account,
    credit,
    get_account_key,
)
from ledger.record_source import RecordSource
from ledger.rule import Rulebook
from ledger.state import State
from ledger.transaction import Transaction, TransactionDecoder, sign_transaction
from ledger.values import LEAF_BYTES_MAX
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    CLARA,
    DAY_MILLIS,
    FRESH,
    GRANTS,
    OPERATOR,
    PARTICIPANTS,
    PETROL,
    PHARMACY,
    PROGRAMS,
    PURPOSES,
    START,
    grant,
    make_participant,
    make_signer,
    member_id,
    open_program,
    public_of,
)
from tests.contracts.letters import prove_possession
from tests.contracts.sums import check_sums

RULEBOOK = CURRENT
OUTCOMES = msgspec.json.Decoder(Outcome)
SYSTEM_MESSAGES = msgspec.json.Decoder(SystemMessage)


class Alliance:
    """A chain from its genesis on. `time` is the next block's."""

    def __init__(
        self,
        *,
        parameters: Mapping[str, int] | None = None,
        utc_offset_minutes: int = 480,
        time: int = START,
        source: RecordSource | None = None,
        version: int = RULEBOOK.version,
        constitution: Constitution | UnsetType = UNSET,
        rulebooks: Mapping[int, Rulebook] = RULEBOOKS,
    ) -> None:
        begins = [
            GenesisParameter(name=name, value=value) for name, value in sorted((parameters or {}).items())
        ]
        settings = Genesis(
            clock="simulated",
            constitution=constitution,
            currency="CNY",
            engine="solo",
            log_key=public_of(make_signer("log")),
            name="small",
            operator=OPERATOR,
            parameters=begins,
            rulebook=version,
            time=time,
            utc_offset_minutes=utc_offset_minutes,
        )
        self.origin = read_genesis(
            encode_genesis(settings, [make_participant(name) for name in PARTICIPANTS])
        )
        self.chain = self.origin.chain
        self.state = State(make_tables(RULEBOOK), source)
        apply_genesis(self.state, self.origin, rulebooks[version])
        self.state.commit()
        self.executor = Executor(state=self.state, origin=self.origin, rulebooks=rulebooks)
        self.decoder = TransactionDecoder(RULEBOOK.message_type)
        self.time = time
        self.leaves: list[bytes] = list(self.origin.leaves)
        self.blocks: list[ExecutedBlock] = []
        self.signers: dict[tuple[str, str], SeedSigner] = {
            (name, purpose): make_signer(name, purpose) for name in PARTICIPANTS for purpose in PURPOSES
        }
        self._counter = 0

    @property
    def height(self) -> int:
        """The height that the next block will have."""
        return self.executor.head.height + 1

    def open(self) -> Alliance:
        """Programs, series, grants and members stand as in the module's docstring."""
        for name in (FRESH, PETROL, PHARMACY, CINEMA):
            messages: list[Any] = []
            for row in PROGRAMS.values():
                if row.issuer == name:
                    messages += open_program(row, height=5)
            messages += [grant(*row) for row in GRANTS if PROGRAMS[row[1]].issuer == name]
            self.must(name, *messages)
        possessed = [(FRESH, ANNA, True), (FRESH, BORIS, False), (PETROL, CLARA, True)]
        for custodian, member, has_key in possessed:
            self.must(custodian, self.enrol(member, make_signer(member) if has_key else None))
        return self

    def enrol(self, member: str, signer: SeedSigner | None = None) -> Enrol:
        """The message that enrols a member, with the key's proof of possession where there is one."""
        if signer is None:
            return Enrol(member=member)
        return Enrol(key=prove_possession(self.chain, member, signer), member=member)

    def sign(
        self,
        sender: str,
        *messages: Any,
        purpose: str | None = None,
        atomic: bool = False,
        transaction_id: str | None = None,
        not_after: int | None = None,
    ) -> Transaction:
        """A transaction as it arrives at a node: signed, encoded, decoded again."""
        self._counter += 1
        known = RULEBOOK.rules.get(type(messages[0]))
        allowed = known.purposes if known is not None else frozenset(PURPOSES)
        purpose = purpose or next(name for name in ("transact", *PURPOSES) if name in allowed)
        signed = sign_transaction(
            messages,
            atomic=atomic,
            chain=self.chain,
            not_after=self.time + 600_000 if not_after is None else not_after,
            sender=sender,
            signer=self.signers[sender, purpose],
            transaction_id=transaction_id or f"t{self._counter}",
        )
        return self.decoder.decode(signed.encode())

    def cut(self, *transactions: Transaction) -> ExecutedBlock:
        """The next block, executed and committed, each of its leaves readable and of a lawful size."""
        block = self.executor.execute_block(transactions, time=self.time)
        if block.leaves:
            self.state.commit()
            self.blocks.append(block)
            self.leaves += block.leaves
        for leaf in block.leaves:
            read_leaf(leaf)
        return block

    def submit(self, sender: str, *messages: Any, **how: Any) -> list[Outcome]:
        """One transaction in a block of its own: the outcomes, or `Refused`."""
        answer = self.cut(self.sign(sender, *messages, **how)).answers[0]
        if answer.refusal is not None:
            raise answer.refusal
        return [decode(outcome, OUTCOMES) for outcome in answer.outcomes]

    def ask(self, sender: str, message: Any, **how: Any) -> Outcome:
        """What came of one message in a block of its own."""
        return self.submit(sender, message, **how)[0]

    def must(self, sender: str, *messages: Any, **how: Any) -> list[Outcome]:
        """As `submit`, for what every test takes for granted."""
        outcomes = self.submit(sender, *messages, **how)
        assert {outcome.code for outcome in outcomes} == {"OK"}, outcomes
        return outcomes

    def wait(self, *, days: int = 0, seconds: int = 0) -> None:
        """The next block will be that much later."""
        self.time += days * DAY_MILLIS + seconds * 1000

    def reach(self, height: int) -> None:
        """The next block will have this height: others do something small meanwhile."""
        while self.height < height:
            self._counter += 1
            self.must(PHARMACY, Enrol(member=member_id(10**9 + self._counter)))

    def earn(self, member: str, points: int, program: str = "leaf", **fields: Any) -> Outcome:
        """The issuer itself gives a member this many points for a purchase."""
        self._counter += 1
        row = PROGRAMS[program]
        message = Earn(
            amount=points * row.spend_per_point,
            member=member,
            occurred_at=self.time,
            program=program,
            reference=f"e{self._counter}",
        )
        return self.must(row.issuer, replace(message, **fields))[0]

    def place(self, member: str, program: str, *lots: Lot) -> None:
        """Put lots on an account, totals and due work to match: what a million purchases would leave."""
        account_key = get_account_key(member, program)
        account: Account = self.get("account", account_key) or EMPTY_ACCOUNT
        context = self.executor.context(time=self.time)
        for table, key, record in get_arrivals(context, account, account_key, lots):
            self.put(table, key, record)
        points = sum(lot.points for lot in lots)
        for lot in lots:
            account = credit(account, lot)
        tally = f"{program}|{ISSUED_HOME}"
        self.put("account", account_key, account)
        self.put("tally", tally, (self.get("tally", tally) or 0) + points)
        self.put("supply", program, (self.get("supply", program) or 0) + points)

    def get(self, table: str, key: str) -> Any:
        """A committed record."""
        return self.state.get_current(table, key)

    def put(self, table: str, key: str, record: Any) -> None:
        """Write a record past all rules, as if an earlier block had."""
        self.state.begin()
        self.state.put(table, key, record)
        self.state.commit()

    def points(self, member: str, program: str = "leaf") -> int:
        """The balance."""
        return (self.get("account", get_account_key(member, program)) or EMPTY_ACCOUNT).points

    def lots(self, member: str, program: str = "leaf") -> tuple[Lot, ...]:
        """The lots, soonest expiry first."""
        return (self.get("account", get_account_key(member, program)) or EMPTY_ACCOUNT).lots

    def held(self, member: str, program: str = "leaf") -> tuple[Lot, ...]:
        """The lots that are set aside for open holds."""
        return (self.get("account", get_account_key(member, program)) or EMPTY_ACCOUNT).held

    def read_system(self) -> list[tuple[Any, Outcome]]:
        """What the last block did by itself, in order: messages and outcomes."""
        block = self.blocks[-1]
        return [read_leaf(leaf) for leaf in block.leaves[: len(block.system)]]

    def position(self, name: str) -> int:
        """What an organisation is owed (or, below zero, owes) in micros."""
        return self.get("position", name) or 0

    def records(self, *without: str) -> dict[tuple[str, str], Any]:
        """The whole state, but for the tables named: to compare before and after."""
        tables = [table for table in make_tables(RULEBOOK) if table not in without]
        return {(table, key): record for table in tables for key, record in self.state.list_records(table)}

    def check(self) -> None:
        """What always holds, by full sums."""
        check_sums(self.state, self.executor.context(time=self.time))


def read_leaf(leaf: bytes) -> Any:
    """The leaf, held to its exact form with everything in it: what an auditor's replay does."""
    assert len(leaf) <= LEAF_BYTES_MAX
    if leaf.startswith(b'{"@type":"block"'):
        return decode(leaf, BLOCK_LEAF_DECODER)
    if leaf.startswith(b'{"@type":"transaction"'):
        return decode(leaf, TRANSACTION_LEAF_DECODER)
    if leaf.startswith(b'{"@type":"system"'):
        system = decode(leaf, SYSTEM_DECODER)
        return decode(bytes(system.message), SYSTEM_MESSAGES), decode(bytes(system.outcome), OUTCOMES)
    entry = decode(leaf, ENTRY_DECODER)
    return entry.tag, decode(bytes(entry.outcome), OUTCOMES)
