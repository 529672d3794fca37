"""A node's data directory: what is in it, how it begins, and whether it can be used.

    DIR/genesis.jsonl        the genesis leaves, one a line: what this ledger is, for ever
    DIR/policy.txt           the C2SP policy of epoch 0, to be handed to clients and auditors
    DIR/ledger.db            the log (the node makes it)
    DIR/views.db             state and look-ups folded from it (made again where missing)
    DIR/postgresql.txt       where it is, both are in the PostgreSQL database whose address it holds
    DIR/webhooks.db          where participants want to hear of entries (the node makes it)
    DIR/lock                 held while a process uses the directory
    DIR/keys/<purpose>.pem   the operator's and the log's private keys, encrypted
    DIR/keys/passphrase      what opens them, unless COMMONPOINT_PASSPHRASE does
    DIR/keys/token.secret    what bearer tokens are made with

Reading what is public needs no key and no private mode, so an auditor can look at a copy without them.
Everything the ledger says is in its database; this module never opens it, and never shows its address, in
which a password may stand.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET

from contracts.rulebook import CURRENT_VERSION, RULEBOOKS
from ledger.codec import decode, to_base64url
from ledger.errors import InvalidBlock, Refused
from ledger.genesis import (
    Clock,
    Constitution,
    Genesis,
    GenesisParameter,
    GenesisParticipant,
    GenesisValidator,
    Origin,
    encode_genesis,
    read_genesis,
)
from ledger.keys import SeedSigner
from ledger.log.policy import format_policy
from ledger.policy_chain import derive_policy
from node import keystore
from node.keystore import OPERATOR_PURPOSES, Unusable
from node.storage.place import Place, PostgresqlPlace

GENESIS_FILE: Final = "genesis.jsonl"
POLICY_FILE: Final = "policy.txt"
DATABASE_FILE: Final = "ledger.db"
POSTGRESQL_FILE: Final = "postgresql.txt"
ADDRESS_VARIABLE: Final = "COMMONPOINT_POSTGRESQL"
WEBHOOKS_FILE: Final = "webhooks.db"
LOCK_FILE: Final = "lock"
KEYS_FOLDER: Final = "keys"
TOKEN_SECRET_FILE: Final = "token.secret"  # noqa: S105 - a file's name
LOG_PURPOSE: Final = "log"

StoreKind = Literal["sqlite", "postgresql"]
POSTGRESQL_TEXT: Final = f"""\
# The address of the PostgreSQL database that keeps this ledger and nothing else, in one line as libpq reads
# it: postgresql://points@db.example/points or host=/run/postgresql dbname=points
# {ADDRESS_VARIABLE} goes before it; with neither, the variables of libpq decide (PGHOST, PGDATABASE, ...).
""".encode()


class Config(NamedTuple):
    """A data directory that was read."""

    directory: Path
    origin: Origin
    policy: bytes

    @property
    def database(self) -> Place:
        """Where the log and the views are. Raises `Unusable`."""
        return find_database(self.directory)

    @property
    def webhooks(self) -> Path:
        """The file with the webhooks' endpoints."""
        return self.directory / WEBHOOKS_FILE

    @property
    def lock(self) -> Path:
        """The file that a process holds while it uses the directory."""
        return self.directory / LOCK_FILE

    @property
    def keys(self) -> Path:
        """The folder of private files."""
        return self.directory / KEYS_FOLDER

    def check_private(self) -> None:
        """Nobody else can read the directory or a key. Raises `Unusable`."""
        keystore.check_private_folder(self.keys)
        keystore.check_mode(self.directory, allowed=0o700)

    def open_signer(self, purpose: str) -> SeedSigner:
        """The signer of a purpose. Raises `Unusable`."""
        return keystore.open_signer(self.keys, purpose)

    def read_token_secret(self) -> bytes:
        """What bearer tokens are made with. Raises `Unusable`."""
        return keystore.read_secret(self.keys / TOKEN_SECRET_FILE)


class PublicFiles(NamedTuple):
    """What anybody may see of a data directory besides its database, as it stands there."""

    genesis: tuple[bytes, ...]
    policy: bytes


def read_public_files(directory: Path) -> PublicFiles:
    """The genesis leaves and the policy, believed by nobody yet. Raises `Unusable`."""
    try:
        genesis = (directory / GENESIS_FILE).read_bytes()
        policy = (directory / POLICY_FILE).read_bytes()
    except FileNotFoundError as error:
        advice = f"Make a ledger there first: commonpoint init {directory}"
        raise Unusable("NOT_A_DATA_DIRECTORY", advice=advice, missing=str(error.filename)) from None
    except NotADirectoryError:
        raise Unusable("NOT_A_FOLDER", advice="Name a folder.", path=str(directory)) from None
    except PermissionError as error:
        advice = "Run as the user who owns the directory."
        raise Unusable("NOT_PERMITTED", advice=advice, path=str(error.filename)) from None
    return PublicFiles(tuple(genesis.removesuffix(b"\n").split(b"\n")), policy)


def find_database(directory: Path) -> Place:
    """The file with the log; or, in a directory that says so, a PostgreSQL database.

    Its address is that of the environment, else the file's, else what libpq itself finds in the environment.
    Raises `Unusable`.
    """
    try:
        text = (directory / POSTGRESQL_FILE).read_text("utf-8")
    except FileNotFoundError:
        return directory / DATABASE_FILE
    except (OSError, UnicodeError):
        advice = "It holds the address of the PostgreSQL database, in one line."
        raise Unusable("ADDRESS_UNREADABLE", advice=advice, path=str(directory / POSTGRESQL_FILE)) from None
    told = os.environ.get(ADDRESS_VARIABLE, "").strip()
    lines = [line.strip() for line in text.splitlines()]
    return PostgresqlPlace(told or next((line for line in lines if line and line[0] != "#"), ""))


def load_config(directory: Path) -> Config:
    """A data directory. Raises `Unusable`, or `InvalidBlock` where its genesis is none."""
    files = read_public_files(directory)
    return Config(directory=directory, origin=read_genesis(files.genesis), policy=files.policy)


def init_data_dir(
    directory: Path,
    *,
    name: str,
    operator: str,
    time: int,
    operator_name: str | None = None,
    participants: Sequence[GenesisParticipant] = (),
    clock: Clock = "system",
    currency: str = "CNY",
    utc_offset_minutes: int = 480,
    parameters: Mapping[str, int] | None = None,
    constitution: Constitution | None = None,
    seeds: Mapping[str, bytes] | None = None,
    store: StoreKind = "sqlite",
    validators: Sequence[GenesisValidator] = (),
) -> Config:
    """A new data directory with the operator's keys and the log's in it. Raises `Unusable` or `InvalidBlock`.

    The operator begins with keys to govern, transact and keep custody; other participants bring their public
    keys. Without a constitution the operator decides alone. ``seeds`` by purpose (with ``log``) make a ledger
    that is the same every time: for demos and tests alone.
    """
    purposes = (LOG_PURPOSE, *OPERATOR_PURPOSES)
    kept = {purpose: (seeds or {}).get(purpose) or keystore.make_seed() for purpose in purposes}
    own = keystore.describe_participant(
        participant=operator,
        name=operator_name or operator,
        seeds={purpose: kept[purpose] for purpose in OPERATOR_PURPOSES},
    )
    settings = Genesis(
        clock=clock,
        constitution=constitution or UNSET,
        currency=currency,
        engine="cometbft" if validators else "solo",
        log_key=to_base64url(SeedSigner(kept[LOG_PURPOSE]).public),
        name=name,
        operator=operator,
        parameters=[
            GenesisParameter(name=each, value=value) for each, value in sorted((parameters or {}).items())
        ],
        rulebook=CURRENT_VERSION,
        time=time,
        utc_offset_minutes=utc_offset_minutes,
        validators=list(validators) or UNSET,
    )
    # Nothing is written before all of it was found to be a genesis that a node would take.
    origin = read_genesis(encode_genesis(settings, [own, *participants]))
    _check_records(origin)
    keystore.make_folder(directory)
    keys = directory / KEYS_FOLDER
    keystore.make_folder(keys)
    keystore.write_keys(keys, kept)
    keystore.write_secret(keys / TOKEN_SECRET_FILE)
    keystore.write_private(directory / POLICY_FILE, format_policy(derive_policy(origin)))
    if store == "postgresql":
        keystore.write_private(directory / POSTGRESQL_FILE, POSTGRESQL_TEXT)
    # The genesis comes last: without it this is no data directory, so a crash before leaves none by half.
    keystore.write_private(directory / GENESIS_FILE, b"".join(leaf + b"\n" for leaf in origin.leaves))
    _sync_folder(directory)
    return load_config(directory)


def _check_records(origin: Origin) -> None:
    """The registry would take every participant, key and parameter. Raises `InvalidBlock`."""
    seen: dict[tuple[str, str], object] = {}
    for table, key, record in RULEBOOKS[origin.settings.rulebook].genesis(origin):
        if (table, key) in seen:
            raise InvalidBlock("GENESIS_KEY", expected="each key once", found=key, index=0)
        seen[table, key] = record


def read_participant(path: Path) -> GenesisParticipant:
    """A participant's own description of itself, as `commonpoint key new` writes it. Raises `Unusable`."""
    try:
        return decode(path.read_bytes().strip(), msgspec.json.Decoder(GenesisParticipant))
    except Refused as refusal:
        advice = "It is one line, written by commonpoint key new; take it as it is."
        raise Unusable("PARTICIPANT_UNREADABLE", advice=advice, path=str(path), reason=str(refusal)) from None
    except OSError as error:
        advice = "Name the participant.json that commonpoint key new wrote."
        raise Unusable(
            "PARTICIPANT_UNREADABLE", advice=advice, path=str(path), reason=error.strerror
        ) from None


def _sync_folder(folder: Path) -> None:
    """The folder's entries are on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
