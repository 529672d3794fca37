"""A street of three merchants with one evening's trade, over HTTP and signed, for the tools to look at.

`fresh` issues `leaf`; `petrol`, an acceptor of `leaf`, signs with a key it registered itself; `cinema` was
admitted later. Order O-1 at petrol has everything in it: points earned, a hold with a member's consent, a
capture, a refund in two parts, goods returned.
"""

from __future__ import annotations

import subprocess
import sys
import time

import httpx2

from contracts.messages import (
    AddKey,
    Admit,
    Capture,
    Earn,
    Enrol,
    Grant,
    Hold,
    OpenProgram,
    OpenSeries,
    Redeem,
    Refund,
    ReturnOrder,
)
from contracts.messages.consent_text import (
    Consent,
    ConsentText,
    PossessionText,
    encode_consent,
    encode_possession,
)
from contracts.messages.enrolment import MemberKey
from contracts.messages.registry import ParticipantKey
from ledger.calendar import get_day
from ledger.codec import to_base64url
from ledger.keys import SeedSigner
from ledger.transaction import sign_transaction
from node import keystore
from node.config import load_config

MEMBER = "m_00000000000000000000000042"
OTHER = "m_00000000000000000000000043"
WALLET = SeedSigner(b"w" * 32)
PETROL = SeedSigner(b"p" * 32)
CINEMA = SeedSigner(b"c" * 32)
CINEMA_TILL = SeedSigner(b"t" * 32)
OFFSET = 480


class Street:
    """Sends what the merchants sign."""

    def __init__(self, url, directory, folders):
        self.url = url
        self.chain = load_config(directory).origin.chain
        self.folders = folders
        self.directory = directory
        self.now = time.time_ns() // 1_000_000
        self.today = get_day(self.now, utc_offset_minutes=OFFSET)
        self.count = 0

    def send(self, sender, signer, *messages, codes=("OK",)):
        """The answer, all of whose outcomes have one of these codes."""
        self.count += 1
        if isinstance(signer, str):
            signer = keystore.open_signer(self.folders[sender], signer)
        signed = sign_transaction(
            messages,
            chain=self.chain,
            sender=sender,
            transaction_id=f"street-{self.count}",
            not_after=self.now + 600_000,
            signer=signer,
        )
        answer = httpx2.post(f"{self.url}/v1/transactions", content=signed.encode(), timeout=30)
        assert answer.status_code == 200, answer.text
        assert all(outcome["code"] in codes for outcome in answer.json()["outcomes"]), answer.text
        return answer.json()

    def consent(self, purpose, points, counterparty, nonce):
        text = ConsentText(
            counterparty=counterparty,
            expires=self.now + 100_000,
            key=WALLET.key_id,
            member=MEMBER,
            nonce=to_base64url(bytes([nonce]) * 16),
            points=points,
            program="leaf",
            purpose=purpose,
        )
        signature = to_base64url(WALLET.sign(encode_consent(self.chain, text)))
        return Consent(text.counterparty, text.expires, text.key, text.nonce, text.points, signature)

    def open(self):
        """Programs, keys, members."""
        series = OpenSeries(2, 12, 10_000, 10_000, "leaf", "s1")
        budget = 10**9
        self.send("fresh", "govern", OpenProgram("Leaf", "leaf", 1_000_000), series)
        expires = self.now + 10**10
        grants = [Grant(budget, budget, expires, kind, "leaf", "petrol") for kind in ("earn", "redeem")]
        self.send("fresh", "govern", *grants)
        self.send("petrol", "govern", AddKey(to_base64url(PETROL.public), "till"))
        keys = [ParticipantKey(to_base64url(each.public), "govern") for each in (CINEMA,)]
        self.send("clearing", "govern", Admit(keys, "Cinema", "cinema"))
        self.send("cinema", CINEMA, AddKey(to_base64url(CINEMA_TILL.public), "till"))
        possession = encode_possession(self.chain, PossessionText(MEMBER, to_base64url(WALLET.public)))
        key = MemberKey(to_base64url(WALLET.sign(possession)), to_base64url(WALLET.public))
        self.send("fresh", "custody", Enrol(key=key, member=MEMBER), Enrol(member=OTHER))

    def trade(self):
        """An evening."""
        now, today = self.now, self.today
        welcome = Earn(900_000_000, MEMBER, now, "leaf", "W-1")
        other = Earn(50_000_000, OTHER, now, "leaf", "W-2")
        self.send("fresh", "till", welcome, other)
        self.send("petrol", PETROL, Earn(45_600_000, MEMBER, now, "leaf", "O-1"))
        hold = Hold(
            consent=self.consent("hold", 300, "petrol", 1),
            expires=now + 500_000,
            member=MEMBER,
            occurred_at=now,
            points=300,
            program="leaf",
            reference="O-1",
        )
        self.send("petrol", PETROL, hold)
        self.send("petrol", PETROL, Capture("O-1", today, MEMBER, now, 250, "leaf"))
        self.send("petrol", PETROL, Refund(MEMBER, now, "O-1", today, "hold", 60, "leaf", "O-1.R1"))
        self.send("petrol", PETROL, Refund(MEMBER, now, "O-1", today, "hold", 40, "leaf", "O-1.R2"))
        too_much = Refund(MEMBER, now, "O-1", today, "hold", 200, "leaf", "O-1.R3")
        self.send("petrol", PETROL, too_much, codes=("REFUND_ABOVE_ORIGINAL",))
        back = ReturnOrder(10_000_000, MEMBER, now, "O-1", today, "earn", "leaf", "O-1.B1")
        self.send("petrol", PETROL, back)
        # Another order of the same member on the same evening, and one with a sibling in its transaction.
        redeem = Redeem(
            consent=self.consent("redeem", 50, "any", 2),
            member=MEMBER,
            occurred_at=now,
            points=30,
            program="leaf",
            reference="O-2",
        )
        self.send("petrol", PETROL, redeem, Earn(7_000_000, OTHER, now, "leaf", "O-3"))
        self.send("petrol", PETROL, Earn(7_000_000, OTHER, now, "leaf", "O-4"))


def begin(base, repository, node_process):
    """A data directory, and a node over it that has traded: (street, node)."""
    run = [sys.executable, "-m", "node.cli.main"]
    folders = {name: base / name for name in ("fresh", "petrol")}
    directory = base / "ledger"
    described = []
    for name, folder in folders.items():
        subprocess.run(
            [*run, "key", "new", folder, "--participant", name],
            cwd=repository,
            check=True,
            capture_output=True,
        )
        described += ["--participant", folder / "participant.json"]
    parameters = ["--parameter", "rate_notice_heights=1"]
    subprocess.run(
        [*run, "init", directory, "--operator", "clearing", *described, *parameters],
        cwd=repository,
        check=True,
        capture_output=True,
    )
    folders["clearing"] = directory / "keys"
    node = node_process(repository, directory)
    try:
        street = Street(node.url, directory, folders)
        street.open()
        street.trade()
    except BaseException:
        node.stop()
        raise
    return street, node
