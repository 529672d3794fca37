"""Five nodes as their operators would start them, what each of them says of itself, and their end.

Each runs as `commonpoint node`, in processes of its own: a validator's keeper starts the node again where it
falls over, and the node its CometBFT. Told to stop, all of them stop at once.
"""

from __future__ import annotations

import http.client
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import httpx2
import msgspec

from ledger.log.note import (
    COSIGNATURE_V1,
    Checkpoint,
    VerifierKey,
    decode_vkey,
    open_note,
)
from ledger.log.policy import Policy, parse_policy, verify_checkpoint
from node.config import Config
from node.engine.cometbft.engine import RPC_SOCKET
from node.engine.cometbft.home import HOME_FOLDER
from node.follower.told import COSIGNER_FILE
from scripts.network.founding import COSIGNER, FOLLOWER, ON_POSTGRESQL, VALIDATORS
from scripts.year.node_process import NodeFailed, NodeProcess, issue_token

LIMITS: Final = ("--limit", "transactions=0", "--limit", "messages=0", "--limit", "addresses=0")
"""Every organisation's tills come from this one machine."""
_AGREE_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 40.0
_LOOK_SECONDS: Final = 0.2


class Seen(NamedTuple):
    """What a node says of itself."""

    checkpoint: Checkpoint
    height: int
    cosigners: tuple[str, ...]
    """Whose signature stands under its checkpoint besides the log's own."""
    engine_height: int | None
    """None at a node without an engine, and where the engine does not answer."""


class Node:
    """One organisation's node while it runs."""

    def __init__(self, name: str, directory: Path, process: NodeProcess, config: Config) -> None:
        self.name = name
        self.directory = directory
        self.process = process
        self.config = config
        self._http: httpx2.Client | None = None

    @property
    def chain(self) -> str:
        """The ledger's chain string, as it was founded."""
        return self.config.origin.chain

    @property
    def kind(self) -> str:
        """What it is, in a word or two."""
        if self.name == FOLLOWER:
            return "follower"
        return "validator, PostgreSQL" if self.name == ON_POSTGRESQL else "validator, SQLite"

    def look(self, *, cosigner: VerifierKey | None = None) -> Seen:
        """What it says now; a listed log key has signed it.

        Raises `Unverified`, or `httpx2.HTTPError` where it does not answer.
        """
        if self._http is None:
            self._http = httpx2.Client(base_url=self.process.address, trust_env=False, timeout=10.0)
        note = _read(self._http, "/checkpoint").decode()
        policy = parse_policy(self.config.policy)
        checkpoint = verify_checkpoint(policy, note)
        cosigners = _find_cosigners(note, policy, cosigner)
        return Seen(checkpoint, self._read_height(self._http), cosigners, self._find_engine_height())

    def close(self) -> None:
        """Nothing more is asked."""
        if self._http is not None:
            self._http.close()

    def _read_height(self, http: httpx2.Client) -> int:
        """Of its newest block; its figures are open to this machine."""
        for line in _read(http, "/metrics").decode().splitlines():
            name, _, value = line.partition(" ")
            if name == "commonpoint_head_height":
                return int(float(value))
        raise NodeFailed(f"{self.name} does not say how far it is")

    def _find_engine_height(self) -> int | None:
        path = self.directory / HOME_FOLDER / RPC_SOCKET
        if self.name == FOLLOWER:
            return None
        line = _LocalConnection(path)
        try:
            line.request("GET", "/status")
            told = msgspec.json.decode(line.getresponse().read())
        except (OSError, http.client.HTTPException, msgspec.DecodeError):
            # CometBFT is being started again, or paused.
            return None
        finally:
            line.close()
        return int(told["result"]["sync_info"]["latest_block_height"]) if "result" in told else None


class _LocalConnection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=2.0)
        self._path = str(path)

    def connect(self) -> None:
        """As HTTP, elsewhere."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@contextmanager
def run_nodes(folder: Path, configs: Mapping[str, Config]) -> Iterator[list[Node]]:
    """All validators and the follower run and answer, until the end of the block; then none does.

    Raises `NodeFailed` where one of them ended by itself, or did not end in order.
    """
    started: list[Node] = []
    try:
        for name in VALIDATORS:
            process = NodeProcess(folder / name, options=LIMITS)
            started.append(Node(name, folder / name, process, configs[name]))
        for node in started:
            node.process.wait_for_address()
        started.append(_start_follower(folder, leaders=list(started)))
        started[-1].process.wait_for_address()
        yield started
    except Exception as error:
        try:
            check(started)
        except NodeFailed as failure:
            # Whatever went wrong then, this is why.
            raise failure from error
        raise
    finally:
        _stop(started)
    for node in started:
        if node.process.status:
            raise NodeFailed(f"the node of {node.name} ended with status {node.process.status}")


def check(nodes: Sequence[Node]) -> None:
    """All of them run. Raises `NodeFailed`, with the last words of one that does not."""
    for node in nodes:
        node.process.check()


def _start_follower(folder: Path, *, leaders: Sequence[Node]) -> Node:
    """A follower of all of them: whichever is down, it goes on with another."""
    tokens = folder / f"{FOLLOWER}.tokens"
    tokens.touch(0o600)
    tokens.write_text(
        "".join(f"{each.process.address} {issue_token(each.config, 'follower')}\n" for each in leaders)
    )
    sources = [word for each in leaders for word in ("--follow", each.process.address)]
    process = NodeProcess(
        folder / FOLLOWER,
        options=(*sources, "--token-file", str(tokens), "--chain", leaders[0].chain, "--cosigner", COSIGNER),
        # Its own directory is not there before it has seen the genesis.
        log=folder / f"{FOLLOWER}.log",
    )
    return Node(FOLLOWER, folder / FOLLOWER, process, leaders[0].config)


def read_cosigner(node: Node) -> VerifierKey:
    """The key by which the follower's word is known."""
    return decode_vkey((node.directory / COSIGNER_FILE).read_text("utf-8").strip())


def wait_until_equal(nodes: Sequence[Node]) -> dict[str, Seen]:
    """What each says, once all have come to the same size. Raises `NodeFailed` where they never do, and
    where two of them show two trees of one size.
    """
    cosigner = read_cosigner(nodes[-1])
    end = time.monotonic() + _AGREE_SECONDS
    shown: dict[int, bytes] = {}
    while True:
        seen = {node.name: node.look(cosigner=cosigner) for node in nodes}
        for name, each in seen.items():
            size, root = each.checkpoint.size, each.checkpoint.root
            if shown.setdefault(size, root) != root:
                raise NodeFailed(f"{name} shows another tree of {size} leaves than the others")
        if len({each.checkpoint.size for each in seen.values()}) == 1:
            return seen
        if time.monotonic() > end:
            sizes = {name: each.checkpoint.size for name, each in seen.items()}
            raise NodeFailed(f"the nodes do not come to the same size: {sizes}")
        time.sleep(_LOOK_SECONDS)


def _find_cosigners(note: str, policy: Policy, cosigner: VerifierKey | None) -> tuple[str, ...]:
    """Whose cosignature, of those known, stands under a note and is good."""
    keys = [log.key for log in policy.logs] + ([] if cosigner is None else [cosigner])
    signed = open_note(note, keys).signatures
    return tuple(each.key.name for each in signed if each.key.kind == COSIGNATURE_V1)


def _read(client: httpx2.Client, path: str) -> bytes:
    response = client.get(path)
    response.raise_for_status()
    return response.content


def _stop(nodes: Sequence[Node]) -> None:
    """All are told to stop, the follower first, and have stopped; whoever presses Ctrl-C again waits for it
    all the same.
    """
    heard = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for node in reversed(nodes):
            node.close()
            node.process.tell_to_stop()
        for node in nodes:
            node.process.stop(seconds=_STOP_SECONDS)
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)
