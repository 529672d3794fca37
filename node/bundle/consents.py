"""The very text that was signed when a consent was given, made again from the message that carries it.

A message carries of its consents only what it does not say itself (docs/spec/messages.md, "Consent"). Who
reads a bundle, or checks a signature with another program, wants the whole: domain line, chain, canonical
JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import UNSET

from contracts.messages.consent_text import Consent, ConsentText, encode_consent
from node.bundle.naming import Entry


class GivenConsent(NamedTuple):
    """A consent beside the entry that used it."""

    entry: Entry
    member: str
    """Who gave it."""
    consent: Consent
    purpose: str
    text: bytes
    """What the signature covers."""


def read_consents(chain: str, entry: Entry) -> Iterator[GivenConsent]:
    """Every consent in an entry's message: the giver's, then the recipient's."""
    message = entry.message
    given = getattr(message, "consent", UNSET)
    if given is not UNSET:
        least, target = getattr(message, "least", UNSET), getattr(message, "target", UNSET)
        text = ConsentText(
            counterparty=given.counterparty,
            expires=given.expires,
            key=given.key,
            least=least,
            member=message.member,
            nonce=given.nonce,
            points=given.points,
            program=message.program,
            purpose=entry.kind,  # type: ignore[arg-type]  # messages with consents are named as their purpose
            target=target,
        )
        yield GivenConsent(entry, message.member, given, entry.kind, encode_consent(chain, text))
    received = getattr(message, "recipient_consent", UNSET)
    if received is not UNSET:
        text = ConsentText(
            counterparty=received.counterparty,
            expires=received.expires,
            key=received.key,
            member=message.recipient,
            nonce=received.nonce,
            points=received.points,
            program=message.target,
            purpose="receive",
        )
        yield GivenConsent(entry, message.recipient, received, "receive", encode_consent(chain, text))
