"""How a follower's data directory begins: with genesis leaves that hash to the chain the operator named, and
two keys of its own.

    DIR/genesis.jsonl, policy.txt    as in any data directory
    DIR/target.note                  the checkpoint of the log that the follower was last on its way to
    DIR/cosigner.vkey                name and public key of its cosignatures, to be listed in policies
    DIR/keys/cosign.pem              what it cosigns with
    DIR/keys/token.secret            what the bearer tokens it gives out are made with

Whoever pins the chain string has agreed to every byte of the genesis, so nobody has to be trusted for it.
The log's own key is never here.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Final

from ledger.errors import InvalidBlock, Unverified
from ledger.genesis import Origin, read_genesis
from ledger.keys import SeedSigner
from ledger.leaves import GENESIS_START
from ledger.log.note import (
    COSIGNATURE_V1,
    NOTE_CHARACTERS_MAX,
    VerifierKey,
    decode_vkey,
    encode_vkey,
    is_key_name,
    parse_checkpoint,
    split_note,
)
from ledger.log.policy import format_policy
from ledger.log.tiles import TILE_WIDTH, decode_bundle, entries_path
from ledger.policy_chain import derive_policy
from node import keystore
from node.audit.sources import BUNDLE_BYTES_MAX, SourceUnavailable
from node.config import (
    GENESIS_FILE,
    KEYS_FOLDER,
    LOG_PURPOSE,
    POLICY_FILE,
    POSTGRESQL_FILE,
    POSTGRESQL_TEXT,
    TOKEN_SECRET_FILE,
    Config,
    load_config,
)
from node.follower.sources import Source, Sources
from node.follower.told import COSIGNER_FILE
from node.keystore import Unusable

COSIGN_PURPOSE: Final = "cosign"
GENESIS_BYTES_MAX: Final = 64 * 1024 * 1024
"""Far above what an alliance begins with; whoever gives more gives no genesis."""


def open_directory(
    directory: Path,
    sources: Sources,
    *,
    chain: str | None,
    cosigner: str | None = None,
    is_postgresql: bool = False,
) -> Config:
    """The follower's data directory, made where there is none.

    Raises `Unusable`, `Unverified` ``WRONG_CHAIN``, or `SourceUnavailable` where no source has the genesis.
    """
    if not (directory / GENESIS_FILE).exists():
        if chain is None:
            advice = "Say which chain to follow, as your alliance gave it to you: --chain name/hash"
            raise Unusable("CHAIN_NOT_PINNED", advice=advice, directory=str(directory))
        _make_directory(directory, _read_origin(sources, chain), cosigner, is_postgresql=is_postgresql)
    config = load_config(directory)
    if chain is not None and config.origin.chain != chain:
        raise Unverified("WRONG_CHAIN", expected=chain, found=config.origin.chain)
    if (config.keys / f"{LOG_PURPOSE}.pem").exists():
        advice = "Name a folder of the follower's own; this one makes the log, so run it without --follow."
        raise Unusable("NOT_A_FOLLOWER", advice=advice, directory=str(directory))
    config.check_private()
    return config


def read_cosigner_name(config: Config) -> str:
    """The name of its cosignatures. Raises `Unusable` or `Refused`."""
    try:
        return decode_vkey((config.directory / COSIGNER_FILE).read_text("utf-8").strip()).name
    except OSError:
        advice = "Restore it from the follower's backup."
        raise Unusable("COSIGNER_MISSING", advice=advice, path=str(config.directory)) from None


def _read_origin(sources: Sources, chain: str) -> Origin:
    """The genesis of the pinned chain, from the first source that has it."""
    wrong: Unverified | None = None
    for source in sources.row:
        try:
            origin = read_genesis(_read_genesis_leaves(source))
        except (SourceUnavailable, Unverified, InvalidBlock) as error:
            sources.put_last(source, path=entries_path(0), reason=str(error))
            continue
        if origin.chain == chain:
            return origin
        wrong = Unverified("WRONG_CHAIN", expected=chain, found=origin.chain, source=source.name)
        sources.put_last(source, path=entries_path(0), reason=str(wrong))
    raise wrong or SourceUnavailable("NO_SOURCE_HAS_IT", path=entries_path(0))


def _read_genesis_leaves(source: Source) -> list[bytes]:
    """The leaves before the first block, as given: that they hash to the chain is for the caller to see."""
    note = (source.read("checkpoint", NOTE_CHARACTERS_MAX) or b"").decode("utf-8", "replace")
    size = parse_checkpoint(split_note(note)[0]).size
    found: list[bytes] = []
    for first in range(0, size, TILE_WIDTH):
        width = min(TILE_WIDTH, size - first)
        index = first // TILE_WIDTH
        data = source.read(entries_path(index, width), BUNDLE_BYTES_MAX)
        if data is None and width < TILE_WIDTH:
            data = source.read(entries_path(index), BUNDLE_BYTES_MAX)
        leaves = decode_bundle(data or b"")
        genesis = [leaf for leaf in leaves if leaf.startswith(GENESIS_START)]
        found += genesis
        if sum(map(len, found)) > GENESIS_BYTES_MAX:
            raise Unverified("GENESIS_TOO_LARGE", bytes_max=GENESIS_BYTES_MAX, source=source.name)
        if len(genesis) < len(leaves) or not leaves:
            break
    return found


def _make_directory(directory: Path, origin: Origin, cosigner: str | None, *, is_postgresql: bool) -> None:
    seed = keystore.make_seed()
    public = SeedSigner(seed).public
    name = cosigner or f"commonpoint-follower-{sha256(public).hexdigest()[:8]}"
    if not is_key_name(name):
        advice = "A name without spaces and plus signs, such as points.example/follower."
        raise Unusable("COSIGNER_NAME", advice=advice, name=name)
    keystore.make_folder(directory)
    keys = directory / KEYS_FOLDER
    keystore.make_folder(keys)
    keystore.write_keys(keys, {COSIGN_PURPOSE: seed})
    keystore.write_secret(keys / TOKEN_SECRET_FILE)
    vkey = encode_vkey(VerifierKey(name, COSIGNATURE_V1, public))
    keystore.write_private(directory / COSIGNER_FILE, vkey.encode() + b"\n")
    keystore.write_private(directory / POLICY_FILE, format_policy(derive_policy(origin)))
    if is_postgresql:
        keystore.write_private(directory / POSTGRESQL_FILE, POSTGRESQL_TEXT)
    # The genesis comes last: a crash before leaves a folder that is not yet a data directory.
    keystore.write_private(directory / GENESIS_FILE, b"".join(leaf + b"\n" for leaf in origin.leaves))
