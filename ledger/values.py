"""The values that everything else is made of: ids, points, money, times, and the limits they keep.

Points are whole numbers of one program. Money is whole micro-units (10^-6) of the settlement currency. Time
is milliseconds since 1970 UTC and only ever the block's. There are no floats and no unbounded fields
anywhere. The forms are those of docs/spec/messages.md, "Values".
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ledger.codec import INTEGER_MAX, Bytes16, Bytes32

POINTS_MAX = 10**9
"""The most points one message moves: times `PAR_MAX` it still fits an exact JSON integer."""
BALANCE_MAX = 10**15
AMOUNT_MAX = 10**15
PAR_MAX = 5_000_000
LOTS_MAX = 64
NEVER = 2_932_896
"""The day 9999-12-31: points that never lapse."""
FOREVER = INTEGER_MAX
"""The height or time after every other."""
MESSAGES_MAX = 8_192
TRANSACTION_BYTES_MAX = 2 * 1024 * 1024
LEAF_BYTES_MAX = 65_535
"""C2SP tlog-tiles gives an entry's length two bytes."""

_SLUG = r"\A[a-z0-9][a-z0-9.-]{1,62}\Z"
_CLIENT_ID = r"\A[A-Za-z0-9._:-]{1,64}\Z"

ParticipantId = Annotated[str, Meta(pattern=_SLUG, max_length=63)]
ProgramId = Annotated[str, Meta(pattern=_SLUG, max_length=63)]
SeriesId = Annotated[str, Meta(pattern=_SLUG, max_length=63)]
MemberId = Annotated[str, Meta(pattern=r"\Am_[0-9a-hjkmnp-tv-z]{26}\Z", max_length=28)]
"""A random pseudonym: who it is, only the custodian knows."""
Reference = Annotated[str, Meta(pattern=_CLIENT_ID, max_length=64)]
TransactionId = Annotated[str, Meta(pattern=_CLIENT_ID, max_length=64)]
KeyId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z", max_length=16)]
PublicKey = Bytes32
Nonce = Bytes16
Name = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f-\x9f]{1,64}\Z", max_length=64)]
Chain = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9.-]{1,62}/[0-9a-f]{32}\Z", max_length=96)]
Code = Annotated[str, Meta(pattern=r"\A[A-Z][A-Z0-9_]{1,63}\Z", max_length=64)]
LegAccount = Annotated[str, Meta(pattern=r"\A(rounding:)?[a-z0-9][a-z0-9.-]{1,62}\Z", max_length=72)]
"""A participant, or the rounding account that participant owns."""

Points = Annotated[int, Meta(ge=1, le=POINTS_MAX)]
PointsOrNone = Annotated[int, Meta(ge=0, le=POINTS_MAX)]
Balance = Annotated[int, Meta(ge=0, le=BALANCE_MAX)]
Amount = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
Micros = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
Par = Annotated[int, Meta(ge=1, le=PAR_MAX)]
Millis = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Day = Annotated[int, Meta(ge=0, le=NEVER)]
Height = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
Index = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Count = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
"""How many of something there have been since genesis."""
UtcOffsetMinutes = Annotated[int, Meta(ge=-720, le=840)]
