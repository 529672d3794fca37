"""How a ledger with validators begins: each organisation makes its keys, somebody makes the genesis, all take
it.

    validator.json      what leaves an organisation: where its engine listens, and its public keys
    genesis.jsonl       made once from all of these; whoever joins has the same bytes

What a validator's node signs with stays where it was made and is copied into its own data directory. Nothing
is fetched: files go from one organisation to the others by a way that they trust.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from contracts.rulebook import make_first_engine
from ledger.codec import decode, encode, to_base64url
from ledger.errors import Refused
from ledger.genesis import GenesisValidator, Origin, read_genesis
from ledger.keys import SeedSigner
from ledger.log.policy import format_policy
from ledger.policy_chain import derive_policy
from ledger.values import ParticipantId, PublicKey
from node import keystore
from node.config import (
    GENESIS_FILE,
    KEYS_FOLDER,
    LOG_PURPOSE,
    POLICY_FILE,
    TOKEN_SECRET_FILE,
    Config,
    init_data_dir,
    load_config,
)
from node.engine.cometbft.home import Peer, compute_address, parse_peer, write_home
from node.keystore import Unusable

VALIDATOR_FILE: Final = "validator.json"
CONSENSUS_PURPOSE: Final = "consensus"
NODE_PURPOSE: Final = "node"
POWER: Final = 10
"""Every validator's at the beginning: votes are equal."""


class Validator(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="validator", tag_field="@type"
):
    """An organisation's validator, as the others need to know it."""

    address: Annotated[str, Meta(min_length=1, max_length=320)]
    """Of its engine: ``id@host:port``."""
    consensus_key: PublicKey
    log_key: PublicKey
    participant: ParticipantId

    @property
    def peer(self) -> Peer:
        """Where its engine is. Raises `Unusable`."""
        found = parse_peer(self.address)
        if found is None:
            advice = "It reads like 0123…cdef@10.0.0.1:26656."
            raise Unusable("ADDRESS_MALFORMED", advice=advice, address=self.address)
        return found


_VALIDATOR: Final = msgspec.json.Decoder(Validator)


def make_validator(folder: Path, *, participant: str, address: str) -> Validator:
    """Keys of a validator in a new folder, and what to tell others; its engine is reached at ``host:port``.

    Raises `Unusable` or `Refused`.
    """
    seeds = {name: keystore.make_seed() for name in (LOG_PURPOSE, CONSENSUS_PURPOSE, NODE_PURPOSE)}
    public = {name: SeedSigner(seed).public for name, seed in seeds.items()}
    validator = Validator(
        address=f"{compute_address(public[NODE_PURPOSE])}@{address}",
        consensus_key=to_base64url(public[CONSENSUS_PURPOSE]),
        log_key=to_base64url(public[LOG_PURPOSE]),
        participant=participant,
    )
    line = encode(validator)
    decode(line, _VALIDATOR)
    _ = validator.peer
    keystore.make_folder(folder)
    keystore.write_keys(folder, seeds)
    keystore.write_private(folder / VALIDATOR_FILE, line + b"\n")
    return validator


def read_validator(path: Path) -> Validator:
    """A validator's description of itself. Raises `Unusable`."""
    advice = "It is one line, as commonpoint validator new wrote it."
    try:
        found = decode(path.read_bytes().strip(), _VALIDATOR)
    except Refused as refusal:
        raise Unusable("VALIDATOR_UNREADABLE", advice=advice, path=str(path), reason=str(refusal)) from None
    except OSError as error:
        raise Unusable("VALIDATOR_UNREADABLE", advice=advice, path=str(path), reason=error.strerror) from None
    _ = found.peer
    return found


def found_ledger(
    directory: Path, *, keys: Path, validators: Sequence[Validator], listen: str | None = None, **how: Any
) -> Config:
    """A new ledger with these validators, and the data directory of the one whose ``keys`` these are; more as
    for `init_data_dir`. Raises `Unusable` or `InvalidBlock`.
    """
    seeds, own = read_own(keys, validators)
    config = init_data_dir(
        directory,
        validators=[
            GenesisValidator(each.consensus_key, each.log_key, each.participant, POWER)
            for each in sorted(validators, key=lambda each: each.participant)
        ],
        seeds={LOG_PURPOSE: seeds[LOG_PURPOSE]},
        **how,
    )
    _write_home(directory, origin=config.origin, seeds=seeds, own=own, validators=validators, listen=listen)
    return config


def join_ledger(
    directory: Path,
    *,
    genesis: Sequence[bytes],
    keys: Path,
    validators: Sequence[Validator],
    listen: str | None = None,
    is_later: bool = False,
) -> Config:
    """The data directory of another validator of a ledger that was founded: one that its genesis names, or
    ``is_later``, which executes every block from the first and takes part once it was voted in.

    Raises `Unusable` or `InvalidBlock`.
    """
    origin = read_genesis(genesis)
    if not origin.validators:
        advice = "Take a copy of its log as well: commonpoint engine switch --from COPY"
        raise Unusable("BEGAN_WITH_A_SEQUENCER", advice=advice, chain=origin.chain)
    seeds, own = read_own(keys, validators)
    if not is_later and own.consensus_key not in {each.consensus_key for each in origin.validators}:
        advice = (
            "Its genesis names other keys: ask whoever founded it. If these are to be voted in, or were, "
            "say so: --later"
        )
        raise Unusable("NOT_A_VALIDATOR", advice=advice, chain=origin.chain, participant=own.participant)
    keystore.make_folder(directory)
    private = directory / KEYS_FOLDER
    keystore.make_folder(private)
    keystore.write_keys(private, {LOG_PURPOSE: seeds[LOG_PURPOSE]})
    keystore.write_secret(private / TOKEN_SECRET_FILE)
    keystore.write_private(directory / POLICY_FILE, format_policy(derive_policy(origin)))
    _write_home(directory, origin=origin, seeds=seeds, own=own, validators=validators, listen=listen)
    # The genesis comes last: without it this is no data directory, so a crash before leaves none by half.
    keystore.write_private(directory / GENESIS_FILE, b"".join(leaf + b"\n" for leaf in origin.leaves))
    return load_config(directory)


def read_own(keys: Path, validators: Sequence[Validator]) -> tuple[dict[str, bytes], Validator]:
    """The seeds in a validator's folder, and which of the validators it is."""
    keystore.check_private_folder(keys)
    passphrase = keystore.read_passphrase(keys)
    seeds = {
        name: keystore.read_seed(keys / f"{name}.pem", passphrase=passphrase)
        for name in (LOG_PURPOSE, CONSENSUS_PURPOSE, NODE_PURPOSE)
    }
    public = to_base64url(SeedSigner(seeds[CONSENSUS_PURPOSE]).public)
    for each in validators:
        if each.consensus_key == public:
            return seeds, each
    advice = "Name the validator.json of every validator, this one's own too."
    raise Unusable("NOT_A_VALIDATOR", advice=advice, keys=str(keys))


def _write_home(
    directory: Path,
    *,
    origin: Origin,
    seeds: dict[str, bytes],
    own: Validator,
    validators: Sequence[Validator],
    listen: str | None,
) -> None:
    write_home(
        directory,
        chain=origin.chain,
        engine=make_first_engine(origin),
        consensus_seed=seeds[CONSENSUS_PURPOSE],
        node_seed=seeds[NODE_PURPOSE],
        listen=listen or own.peer.address,
        external=own.peer.address,
        peers=[each.peer for each in validators if each.consensus_key != own.consensus_key],
    )
