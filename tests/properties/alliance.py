"""People with keys: all that is signed in these tests is signed here, from seeds, as the documents say.

Texts are built with `json` and signed with libsodium; the project's own signing code is not used, so a domain
line or a field it forgot would show at once.
"""

from __future__ import annotations

from hashlib import sha256
from random import Random
from typing import Any, NamedTuple

from nacl import bindings

from tests.properties.model_values import canonical, key_id_of, spell

START = 1_700_000_000_000
PARTICIPANTS = ("books", "cinema", "fresh", "op", "petrol")
KEY_PURPOSES = ("govern", "transact", "custody", "till")
UNFIT_KEYS = (
    spell(bytes(32)),
    spell(bytes([1]) + bytes(31)),
    spell(bytes([0xEE]) + b"\xff" * 30 + b"\x7f"),
    spell(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")),
    spell(bytes.fromhex("ea5ef8400c31ef41e28f22e718b43f66981b29cf645af2a0e223799bedaace47")),
)
"""Small order, not canonical, of order 8, and with a component of order 2."""
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Pair(NamedTuple):
    id: str
    public: str
    secret: bytes

    def sign(self, purpose: str, chain: str, body: bytes) -> str:
        text = b"commonpoint/" + purpose.encode() + b"/v1\n" + chain.encode() + b"\n" + body
        return spell(bindings.crypto_sign(text, self.secret)[:64])


class Alliance:
    """The keys of everybody, and the chain they sign for."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.chain = ""
        self.pairs: dict[str, Pair] = {}
        self.owned: dict[tuple[str, str], list[Pair]] = {}
        """Every key a participant ever had for a purpose, newest last."""
        self.member_pairs: dict[str, list[Pair]] = {}
        """Every key a member ever asked for, newest last."""
        self.count = 0
        self.log_seed = self.rng.randbytes(32)

    def new_pair(self) -> Pair:
        public, secret = bindings.crypto_sign_seed_keypair(self.rng.randbytes(32))
        pair = Pair(key_id_of(spell(public)), spell(public), secret)
        self.pairs[pair.id] = pair
        return pair

    def find_seed(self, public: str) -> bytes:
        """From which the key of this public half is made."""
        if public == spell(bindings.crypto_sign_seed_keypair(self.log_seed)[0]):
            return self.log_seed
        return self.pairs[key_id_of(public)].secret[:32]

    def new_key_of(self, participant: str, purpose: str) -> Pair:
        pair = self.new_pair()
        self.owned.setdefault((participant, purpose), []).append(pair)
        return pair

    def new_member(self) -> str:
        return "m_" + "".join(self.rng.choices(ALPHABET, k=26))

    def new_nonce(self) -> str:
        return spell(self.rng.randbytes(16))

    def next_id(self, start: str) -> str:
        self.count += 1
        return f"{start}{self.count}"

    def make_genesis(
        self,
        *,
        utc_offset_minutes: int,
        parameters: dict[str, int],
        constitution: dict[str, Any] | None = None,
    ) -> list[bytes]:
        """The genesis leaves of an alliance of `PARTICIPANTS`, each with a key for every purpose."""
        settings = {
            "@type": "genesis",
            "clock": "simulated",
            "currency": "CNY",
            "engine": "solo",
            "log_key": spell(bindings.crypto_sign_seed_keypair(self.log_seed)[0]),
            "name": "model",
            "operator": "op",
            "parameters": [{"name": name, "value": value} for name, value in sorted(parameters.items())],
            "rulebook": 1,
            "time": START,
            "utc_offset_minutes": utc_offset_minutes,
        }
        if constitution is not None:
            settings["constitution"] = constitution
        participants = [
            {
                "@type": "genesis_participant",
                "keys": [
                    {"public": self.new_key_of(who, purpose).public, "purpose": purpose}
                    for purpose in KEY_PURPOSES
                ],
                "name": f"{who} 通分",
                "participant": who,
            }
            for who in PARTICIPANTS
        ]
        return [canonical(settings), *map(canonical, participants)]

    def sign_transaction(
        self, pair: Pair, sender: str, messages: list[dict[str, Any]], **header: Any
    ) -> dict[str, Any]:
        """A transaction; ``header`` fields given replace the honest ones before it is signed."""
        digest = sha256(b"".join(sha256(canonical(message)).digest() for message in messages)).digest()
        honest = {
            "chain": self.chain,
            "count": len(messages),
            "digest": spell(digest),
            "key": pair.id,
            "sender": sender,
        }
        head = {**honest, **header}
        return {
            "header": head,
            "messages": messages,
            "signature": pair.sign("transaction", head["chain"], canonical(head)),
        }

    def sign_consent(
        self, pair: Pair, message: dict[str, Any], purpose: str, **fields: Any
    ) -> dict[str, Any]:
        """A consent to this message as the message carries it."""
        consent = {
            "counterparty": fields["counterparty"],
            "expires": fields["expires"],
            "key": pair.id,
            "nonce": fields["nonce"],
            "points": fields["points"],
        }
        text = {
            "@type": "consent",
            **consent,
            "member": message["member"],
            "program": message["program"],
            "purpose": purpose,
        }
        if purpose == "exchange":
            text |= {"least": message["least"], "target": message["target"]}
        text |= fields.get("forged", {})
        signature = pair.sign(
            fields.get("domain", "consent"), fields.get("chain", self.chain), canonical(text)
        )
        return {**consent, "signature": signature}

    def sign_choice(
        self, pair: Pair, *, choice: str, expires: int, member: str, nonce: str
    ) -> dict[str, Any]:
        text = {"@type": "choice", "choice": choice, "expires": expires, "member": member, "nonce": nonce}
        return {
            **text,
            "@type": "set_member_choice",
            "signature": pair.sign("choice", self.chain, canonical(text)),
        }

    def prove_possession(self, pair: Pair, member: str) -> dict[str, Any]:
        text = {"@type": "possession", "member": member, "public": pair.public}
        return {
            "possession": pair.sign("possession", self.chain, canonical(text)),
            "public": pair.public,
        }
