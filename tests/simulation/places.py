"""A ledger's blocks, made wherever they can be: over SQLite, over PostgreSQL, and as CometBFT has them made.

Each place takes recorded blocks one by one and tells the size, the root and the leaves after each; at the end
it tells all of its state in one digest. The third place is a validator's application on its socket: what is
asked are CometBFT's own requests, as protobuf messages in frames, and what is believed are its answers.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from contracts.mechanics.log_keys import find_log_keys, list_policies
from contracts.mechanics.tables import RETENTION
from contracts.rulebook import RULEBOOKS
from ledger.codec import to_base64url
from ledger.errors import InvariantBroken
from ledger.genesis import read_genesis
from ledger.keys import SeedSigner
from ledger.transaction import TransactionDecoder
from node.engine.cometbft.application import OK, Application
from node.engine.cometbft.beginning import Beginning
from node.engine.cometbft.engine_height import EngineHeight
from node.engine.cometbft.frames import Splitter, encode_frame
from node.engine.cometbft.generated import abci_pb2 as abci
from node.engine.cometbft.home import make_chain_id
from node.engine.cometbft.injected import encode_time
from node.engine.cometbft.known import KnownTransactions
from node.engine.cometbft.packing import pack
from node.engine.cometbft.server import Server
from node.startup import load_chain
from node.storage.place import Place
from node.storage.store import open_store
from tests.properties.alliance import Alliance
from tests.simulation.golden import Block

SECONDS = 60.0
_RULEBOOK = RULEBOOKS[1]


class Solo:
    """One sequencer, over a database."""

    def __init__(self, genesis: list[bytes], place: Place, *, alliance: Alliance) -> None:
        self.origin = read_genesis(genesis)
        self._place, self._alliance = place, alliance
        self._signer = SeedSigner(alliance.log_seed)
        self.decoder = TransactionDecoder(_RULEBOOK.message_type)
        self.open()

    def open(self) -> None:
        self.store = open_store(self._place, _RULEBOOK)
        self.chain = load_chain(self.store, origin=self.origin, signer=self._signer, on_step=str)

    def close(self) -> None:
        self.chain.close()
        self.store.close()

    def restart(self) -> None:
        """A start re-executes what was not folded."""
        self.close()
        self.open()

    def make(self, block: Block) -> None:
        """The recorded block is durable."""
        transactions = [self.decoder.decode(text.encode()) for text in block.transactions]
        self.chain.make_block(transactions, time=block.time)
        self.chain.fold_if_due()
        self.take_log_key()

    def take_log_key(self) -> None:
        """Where the key is voted out, the node goes on with one that was voted in."""
        keys = find_log_keys(list_policies(self.chain.reader), self.origin, height=self.chain.head.height + 1)
        if self._signer.public not in keys:
            with suppress(InvariantBroken):
                self.chain.check_signer()
            self.chain.begin_fold()
            self._signer = SeedSigner(self._alliance.find_seed(to_base64url(min(keys))))
            self.restart()

    @property
    def size(self) -> int:
        return self.chain.head.size

    @property
    def root(self) -> str:
        return self.chain.compute_root().hex()

    def read_leaves(self, first: int) -> list[bytes]:
        """From this index on, as they stand in the database."""
        return self.store.log.read_leaves(first, self.store.log.size)

    def compute_state_digest(self, today: int) -> str:
        """SHA-256 over every record that a message can still be about, as it was folded into the database."""
        self.chain.fold_all()
        digest = sha256()
        for table in sorted(self.store.tables):
            for key, record in self.store.fold.list_records(table):
                # How soon records are swept away that nobody asks for any more is each node's own affair.
                if not is_past(table, key, record, time=self.chain.head.time, today=today):
                    digest.update(msgspec.json.encode([table, key, record]) + b"\n")
        return digest.hexdigest()


def is_past(table: str, key: str, record: Any, *, time: int, today: int) -> bool:
    """Whether the record may be gone."""
    if table == "transaction":
        return bool(record.not_after < time)
    return table in RETENTION and int(key[:7]) < today - RETENTION[table]


class Validator(Solo):
    """A validator's application, asked over its socket."""

    def __init__(self, genesis: list[bytes], folder: Path, *, alliance: Alliance) -> None:
        self._folder = folder
        self.now = 0
        super().__init__(genesis, folder / "ledger.db", alliance=alliance)
        self.engine_height = 0
        self._ask("init_chain", chain_id=make_chain_id(self.origin.chain))

    def open(self) -> None:
        super().open()
        self.application = Application(
            self.chain,
            known=KnownTransactions(TransactionDecoder(_RULEBOOK.message_type), chain=self.origin.chain),
            height=EngineHeight(self._folder, self.store.log, before=0),
            clock=lambda: self.now,
            listener=_Nobody(),
            # The recorded genesis is of one sequencer, so where the engine begins is told here.
            beginning=Beginning(make_chain_id(self.origin.chain), 0, 0),
        )
        self._server = Server(self._folder / "app.sock")
        self._server.start()
        self._stopping = threading.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._line.settimeout(SECONDS)
        self._line.connect(str(self._folder / "app.sock"))
        self._splitter = Splitter()
        self._heard: list[bytes] = []

    def close(self) -> None:
        self._line.close()
        self._stopping.set()
        self._thread.join()
        self._server.close()
        self.application.close()
        super().close()
        if self.failure is not None:
            raise self.failure

    def make(self, block: Block) -> None:
        """CometBFT proposes the block, has decided it, and commits it."""
        self.now = block.time
        texts = [text.encode() for text in block.transactions]
        # A validator has them packed or not, as whoever sent them saw fit; what they carry is the same.
        carried = [pack(text) if number % 2 else text for number, text in enumerate(texts)]
        decided = [encode_time(block.time), *carried]
        before = self._ask("info").last_block_app_hash
        answer = self._ask("finalize_block", txs=decided, height=self.engine_height + 1)
        assert len(answer.tx_results) == len(decided)
        assert answer.tx_results[0].code == OK
        # Nothing is durable yet.
        assert self._ask("info").last_block_app_hash == before
        if answer.app_hash == before:
            # A block without leaves moves the engine's height and not the ledger's. The engine dies here, so
            # that both stay the same, and with them the leaves that name both.
            assert OK not in [each.code for each in answer.tx_results[1:]]
            self.restart()
            return
        self.engine_height += 1
        self._ask("commit")
        info = self._ask("info")
        assert (info.last_block_height, info.last_block_app_hash) == (self.engine_height, answer.app_hash)
        assert answer.app_hash.hex() == self.root
        self.take_log_key()

    def propose(self, block: Block) -> tuple[bool, list[bytes]]:
        """Whether validators vote for what one of them proposes of the recorded block, and what that is."""
        self.now = block.time
        texts = [text.encode() for text in block.transactions]
        # CometBFT's mempool has what the application lets in.
        offered = [text for text in texts if self._ask("check_tx", tx=text).code == OK]
        made = self._ask("prepare_proposal", txs=offered, max_tx_bytes=1 << 24).txs
        assert list(made) == [encode_time(block.time), *offered]
        height = self.engine_height + 1
        judged = self._ask("process_proposal", txs=list(made), height=height, hash=b"%d" % height)
        return judged.status == abci.ResponseProcessProposal.ACCEPT, list(made)

    def _ask(self, name: str, **fields: Any) -> Any:
        asked = encode_frame(abci.Request(**{name: fields}).SerializeToString())
        # As CometBFT does: nothing is answered for certain before a flush is.
        self._line.sendall(asked + encode_frame(abci.Request(flush={}).SerializeToString()))
        answer, flushed = abci.Response.FromString(self._hear()), abci.Response.FromString(self._hear())
        assert flushed.WhichOneof("value") == "flush"
        assert answer.WhichOneof("value") == name
        return getattr(answer, name)

    def _hear(self) -> bytes:
        while not self._heard:
            data = self._line.recv(1 << 20)
            if not data:
                raise self.failure or ConnectionError("the application has hung up")
            self._heard += self._splitter.feed(data)
        return self._heard.pop(0)

    def _serve(self) -> None:
        try:
            while not self._stopping.is_set():
                asked = self._server.next(0.05)
                if asked is not None:
                    connection, request = asked
                    is_flush = request.HasField("flush")
                    self._server.answer(connection, None if is_flush else self.application.answer(request))
        except BaseException as error:  # noqa: BLE001 - told to the test, which waits for an answer
            self.failure = error
            self._server.close()


class _Nobody:
    """Listens to what the application tells, and to what it must not."""

    def note_connected(self) -> int:
        return 0

    def note_refused(self, _transaction: Any, _refusal: Any) -> None:
        pass

    def note_misbehaviour(self, facts: Any) -> None:
        raise AssertionError(facts)

    def note_committed(self, _block: Any, _transactions: Any, _seconds: float) -> None:
        pass
