"""Expiry: what a block does by itself once a day has passed. No one sends it."""

from __future__ import annotations

from msgspec import Struct

from ledger.values import Day, MemberId, ProgramId


class Expire(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="expire", tag_field="@type"):
    """Every lot of this account whose last day was `day` lapses."""

    day: Day
    member: MemberId
    program: ProgramId
