"""Orders that end by themselves or move points between members, in a bundle like any other."""

from __future__ import annotations

from contracts.messages import Earn, Enrol, Gift, Hold
from contracts.messages.consent_text import Consent, ConsentText, encode_consent
from ledger.codec import to_base64url
from node.bundle.story import tell_story
from node.bundle.verifying import verify_bundle
from node.cli.story import print_story
from node.sandbox import MERCHANTS, Sandbox
from tests.node.bundle.conftest import make_from
from tests.node.cli.street import MEMBER, OTHER


def test_what_the_ledger_did_by_itself_and_what_a_custodian_consented_to_are_in_it(tmp_path, capsys):
    alliance = Sandbox(tmp_path, MERCHANTS, "lapse")
    fresh, petrol = alliance.merchant("fresh"), alliance.merchant("petrol")
    custody = alliance._make_signer("fresh", "custody")

    def consent(purpose, counterparty, nonce):
        text = ConsentText(
            counterparty=counterparty,
            expires=alliance.clock() + 60_000,
            key=custody.key_id,
            member=MEMBER,
            nonce=to_base64url(bytes([nonce]) * 16),
            points=100,
            program="fresh",
            purpose=purpose,
        )
        signature = to_base64url(custody.sign(encode_consent(alliance.chain, text)))
        return Consent(text.counterparty, text.expires, text.key, text.nonce, text.points, signature)

    def submit(merchant, *messages):
        assert [result.code for result in merchant.submit(list(messages))] == ["OK"] * len(messages)

    submit(fresh, Enrol(member=MEMBER), Enrol(member=OTHER))
    now = alliance.clock()
    submit(fresh, Earn(500_000_000, MEMBER, now, "fresh", "E-1"))
    hold = Hold(
        consent=consent("hold", "petrol", 1),
        expires=now + 30_000,
        member=MEMBER,
        occurred_at=now,
        points=90,
        program="fresh",
        reference="H-1",
    )
    submit(petrol, hold)
    alliance.clock.advance(minutes=3)
    now = alliance.clock()
    submit(fresh, Gift(consent("gift", OTHER, 2), MEMBER, now, 20, "fresh", OTHER, "G-1"))
    alliance.close()

    origin, chain = alliance.core.origin, alliance.chain
    lapsed, given = (
        verify_bundle(
            make_from(tmp_path / "ledger.db", origin, sender=sender, reference=reference), chain=chain
        )
        for sender, reference in (("petrol", "H-1"), ("fresh", "G-1"))
    )
    assert [entry.kind for entry in lapsed.entries] == ["hold", "lapse"]
    assert [each.key.holder for each in lapsed.consents] == ["fresh"]
    assert tell_story(lapsed).open == []
    assert [entry.kind for entry in given.entries] == ["gift"]
    assert [each.key.purpose for each in given.consents] == ["custody"]
    print_story(lapsed)
    print_story(given)
    said = capsys.readouterr().out
    assert "by the ledger itself  lapse\n  what        the hold's time was over" in said
    assert f"20 points of fresh were given to {OTHER}" in said
