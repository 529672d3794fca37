"""CometBFT's own folder in a data directory: what it is told, and the keys it has.

    DIR/cometbft/config/config.toml               settings; its owner may change them
    DIR/cometbft/config/genesis.json              follows from our genesis: the same on every node
    DIR/cometbft/config/priv_validator_key.json   what this validator votes with
    DIR/cometbft/config/node_key.json             by which other validators know this node
    DIR/cometbft/data/                            its blocks and what it voted last

CometBFT reads its keys as they are, unencrypted: the folder is its owner's alone, as all of the directory.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from contracts.mechanics.governance_records import EngineRecord
from ledger.codec import from_base64url
from ledger.keys import SeedSigner
from ledger.log.note import encode_base64
from ledger.values import TRANSACTION_BYTES_MAX
from node import keystore
from node.storage.atomic import replace_file

HOME_FOLDER: Final = "cometbft"
STATE_FILE: Final = "priv_validator_state.json"
CHAIN_ID_MAX: Final = 50
BLOCK_BYTES_MAX: Final = TRANSACTION_BYTES_MAX + 256 * 1024
"""A block has room for the largest transaction, the time, and the votes for the block before."""
_STATE: Final = {"height": "0", "round": 0, "step": 0}

_SETTINGS: Final = """\
# What CometBFT is told. `commonpoint init` wrote it; the sockets it asks and answers on are named by the
# command line that the node starts it with. Values that are not here are its defaults.
log_level = "error"
log_format = "plain"

[rpc]
# On a socket in this folder only, for the node itself.
max_request_batch_size = 0
max_body_bytes = 33554432

[p2p]
laddr = "{listen}"
external_address = "{external}"
persistent_peers = "{peers}"
unconditional_peer_ids = "{peer_ids}"
pex = false
addr_book_strict = false
allow_duplicate_ip = true
# At the defaults (10ms) and with the gossip's pause below (100ms) a block takes ten times as long.
flush_throttle_timeout = "2ms"
send_rate = 104857600
recv_rate = 104857600

[mempool]
# The executor turns down what has become wrong meanwhile, so nothing is checked again after each block.
recheck = false
size = 5000
max_txs_bytes = 67108864
max_tx_bytes = {transaction_bytes_max}
cache_size = 20000

[consensus]
# How long the others wait for a proposer that is down; tighter costs rounds on a busy machine.
timeout_propose = "2s"
timeout_propose_delta = "500ms"
timeout_prevote = "1s"
timeout_precommit = "1s"
timeout_commit = "0s"
skip_timeout_commit = true
# An idle ledger makes no blocks.
create_empty_blocks = false
create_empty_blocks_interval = "0s"
peer_gossip_sleep_duration = "10ms"
# A look back for votes of our own would keep a validator from starting again by itself.
double_sign_check_height = 0

[storage]
discard_abci_responses = true

[tx_index]
indexer = "null"
"""


class Peer(NamedTuple):
    """Another validator's engine: ``id@host:port``."""

    node_id: str
    address: str

    def __str__(self) -> str:
        return f"{self.node_id}@{self.address}"


def parse_peer(text: str) -> Peer | None:
    """What ``id@host:port`` says; None where it says something else."""
    node_id, _, address = text.partition("@")
    host, _, port = address.rpartition(":")
    is_id = len(node_id) == 40 and set(node_id) <= set("0123456789abcdef")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16
    is_host = bool(host) and not set(host) & set(' ,"\\@/\n')
    return Peer(node_id, address) if is_id and is_port and is_host else None


def make_chain_id(chain: str) -> str:
    """The chain's string in the 50 characters that CometBFT has room for: of the name as much as fits, of the
    hash everything.
    """
    name, _, digest = chain.rpartition("/")
    return f"{name[: CHAIN_ID_MAX - 1 - len(digest)]}-{digest}"


def make_recovered_chain_id(chain: str, digest: str) -> str:
    """That of the chain with which a recovery's note goes on: CometBFT counts no vote for another in it."""
    return make_chain_id(f"{chain.rpartition('/')[0]}/{digest}")


def compute_address(public: bytes) -> str:
    """The twenty bytes by which CometBFT knows a key, in hex: a validator's address, a node's id."""
    return hashlib.sha256(public).digest()[:20].hex()


def is_prepared(home: Path) -> bool:
    """Whether everything CometBFT needs to begin is in its folder; what is written last is there."""
    return (home / "data" / STATE_FILE).exists()


def make_genesis(chain_id: str, engine: EngineRecord, *, initial_height: int = 1) -> bytes:
    """CometBFT's genesis, which follows from what the ledger says about its engine."""
    time = engine.time
    founded = datetime.fromtimestamp(time // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    genesis = {
        "genesis_time": f"{founded}.{time % 1000:03d}Z",
        "chain_id": chain_id,
        "initial_height": str(initial_height),
        "consensus_params": {
            "block": {"max_bytes": str(BLOCK_BYTES_MAX), "max_gas": "-1"},
            "evidence": {
                "max_age_num_blocks": "1000000",
                "max_age_duration": "604800000000000",
                "max_bytes": "65536",
            },
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": "1"},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "validators": [
            {
                "address": compute_address(public).upper(),
                "pub_key": _tell_public(public),
                "power": str(power),
                "name": participant,
            }
            for participant, power, key in engine.validators
            for public in [from_base64url(key, size=32)]
        ],
        "app_hash": "",
    }
    return _encode(genesis)


def write_home(
    directory: Path,
    *,
    chain: str,
    engine: EngineRecord,
    consensus_seed: bytes,
    node_seed: bytes,
    listen: str,
    external: str = "",
    peers: Sequence[Peer] = (),
    folder: str = HOME_FOLDER,
    chain_id: str | None = None,
    initial_height: int = 1,
    on_step: Callable[[str], None] = lambda _step: None,
) -> Path:
    """CometBFT's folder is there, with everything it needs to begin. ``listen`` is ``host:port``.

    One that was begun, and that no CometBFT can have used yet, is made anew.
    """
    home = directory / folder
    _clear_unused(home)
    keystore.make_folder(home)
    config, data = home / "config", home / "data"
    keystore.make_folder(config)
    keystore.make_folder(data)
    genesis = make_genesis(chain_id or make_chain_id(chain), engine, initial_height=initial_height)
    keystore.write_private(config / "genesis.json", genesis)
    on_step("home begun")
    keystore.write_private(config / "config.toml", make_settings(listen, external, peers))
    keystore.write_private(config / "node_key.json", _encode({"priv_key": _tell_private(node_seed)}))
    public = SeedSigner(consensus_seed).public
    voting = {
        "address": compute_address(public).upper(),
        "pub_key": _tell_public(public),
        "priv_key": _tell_private(consensus_seed),
    }
    keystore.write_private(config / "priv_validator_key.json", _encode(voting))
    on_step("home written")
    # The last of it: with this file, all of it at once, a CometBFT may begin.
    replace_file(data / STATE_FILE, _encode(_STATE))
    return home


def _clear_unused(home: Path) -> None:
    """What was begun and cut off before a CometBFT could run over it is gone. Anything else stays."""
    begun = [path for path in (home / "data").glob("*") if path.name != f"{STATE_FILE}.new"]
    if home.exists() and not begun:
        shutil.rmtree(home)


def make_settings(listen: str, external: str, peers: Sequence[Peer]) -> bytes:
    """The file of settings."""
    return _SETTINGS.format(
        listen=f"tcp://{listen}",
        external=external,
        peers=",".join(map(str, peers)),
        peer_ids=",".join(peer.node_id for peer in peers),
        transaction_bytes_max=TRANSACTION_BYTES_MAX,
    ).encode()


def read_voted_height(home: Path) -> int:
    """The engine's height at which this validator has voted last; 0 where it has not."""
    try:
        return int(json.loads((home / "data" / STATE_FILE).read_bytes())["height"])
    except (OSError, ValueError, KeyError, TypeError):
        # CometBFT reads the file too, and says what is wrong with it.
        return 0


def _tell_public(public: bytes) -> dict[str, str]:
    return {"type": "tendermint/PubKeyEd25519", "value": encode_base64(public)}


def _tell_private(seed: bytes) -> dict[str, str]:
    return {"type": "tendermint/PrivKeyEd25519", "value": encode_base64(seed + SeedSigner(seed).public)}


def _encode(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"
