"""Another log key in the place of the one there is: made here, voted for by the alliance, taken when that is
enacted.

    DIR/keys/log-next.pem             the key that was made, until it is taken
    DIR/keys/log-until-<size>.pem     the one before it, which signed the log up to this size

A key that is taken before the policy lists it would sign what nobody believes, so that is refused; a node
that has the old one stops over the very block after which it may not sign (`LOG_KEY_RETIRED`).
"""

from __future__ import annotations

from typing import Final

from contracts.messages.actions import SetTrustPolicy
from ledger.errors import Unverified
from ledger.keys import SeedSigner
from ledger.log.note import VerifierKey
from ledger.log.policy import Log, format_policy
from ledger.policy_chain import PolicyChain
from node import keystore
from node.app import hold_data_dir
from node.config import LOG_PURPOSE, Config
from node.keystore import Unusable
from node.storage.atomic import replace_file
from node.storage.policies import learn_stored_policies
from node.storage.snapshot import Snapshot

NEXT_PURPOSE: Final = "log-next"


def plan_next(config: Config) -> SetTrustPolicy:
    """The next log key is made, or was; what is to be proposed: the newest policy with it for the present
    one. Raises `Unusable`.
    """
    path = config.keys / f"{NEXT_PURPOSE}.pem"
    own = config.open_signer(LOG_PURPOSE).public
    with Snapshot(config.database) as snapshot:
        policy = learn_stored_policies(snapshot, config.origin).newest.policy
    if not any(log.key.public == own for log in policy.logs):
        advice = "Start from the key that signs now; commonpoint show vkey and /v1/policies tell which."
        raise Unusable("LOG_KEY_RETIRED", advice=advice, path=str(config.keys))
    if not path.exists():
        passphrase = keystore.read_passphrase(config.keys)
        keystore.write_key(path, seed=keystore.make_seed(), passphrase=passphrase)
    fresh = Log(VerifierKey.for_log(config.origin.chain, config.open_signer(NEXT_PURPOSE).public))
    logs = tuple(fresh if log.key.public == own else log for log in policy.logs)
    return SetTrustPolicy(format_policy(policy._replace(logs=logs)).decode())


def take_next(config: Config) -> int:
    """The next log key is the log key, from this size on. Raises `Unusable` where that is not enacted."""
    path = config.keys / f"{NEXT_PURPOSE}.pem"
    if not path.exists():
        raise Unusable("KEYS_MISSING", advice="commonpoint key log --data DIR makes it.", path=str(path))
    with hold_data_dir(config):
        fresh = config.open_signer(NEXT_PURPOSE)
        with Snapshot(config.database) as snapshot:
            size = snapshot.read_size()
            _check_listed(learn_stored_policies(snapshot, config.origin), fresh, size=size)
            if snapshot.read_note_size() != size:
                advice = "Start the node once more with the key it has, so that it signs what is its to sign."
                raise Unusable("LOG_NOT_SIGNED", advice=advice, size=size)
        log = config.keys / f"{LOG_PURPOSE}.pem"
        replace_file(config.keys / f"log-until-{size}.pem", keystore.read_private(log))
        path.replace(log)
    return size


def _check_listed(policies: PolicyChain, fresh: SeedSigner, *, size: int) -> None:
    try:
        policies.find_log(fresh.public, size=size + 1)
    except Unverified:
        advice = "Nobody would believe it yet: propose it, and take it when the node has stopped for it."
        raise Unusable("LOG_KEY_NOT_LISTED", advice=advice, size=size) from None
