"""Parameters: the forms that paths and queries may have, strict and described once.

A number is a plain decimal and nothing else that some parser would also take for one. A parameter that the
route does not know, or that is given twice, is refused rather than guessed at. A malformed id in a path is an
id that does not exist.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Path, Query
from pydantic import BeforeValidator, Field
from starlette.requests import Request

from ledger.codec import INTEGER_MAX
from ledger.errors import Refused
from ledger.values import POINTS_MAX
from node.api.identity import ask
from node.api.site import SiteParam

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,15}")
SLUG: Final = "^[a-z0-9][a-z0-9.-]{1,62}$"
MEMBER_ID: Final = "^m_[0-9a-hjkmnp-tv-z]{26}$"
CLIENT_ID: Final = "^[A-Za-z0-9._:-]{1,64}$"
DIGEST: Final = "^[A-Za-z0-9_-]{43}$"
HISTORY_LIMIT_MAX: Final = 200
WINDOW_MAX: Final = 999_999


def read_decimal(value: object) -> int:
    """The number that a plain decimal spells."""
    if not isinstance(value, str) or _DECIMAL.fullmatch(value) is None:
        raise ValueError("not a plain decimal of at most 16 digits")
    return int(value)


_Number = Annotated[int, BeforeValidator(read_decimal)]
Size = Annotated[_Number, Field(ge=0, le=INTEGER_MAX)]

IndexPath = Annotated[Size, Path(description="Index of a leaf of the log.", examples=[345])]
MemberPath = Annotated[
    str, Path(pattern=MEMBER_ID, description="A member.", examples=["m_7h3zq0c9v4k2m8x5r1t6w0y3n9"])
]
ProgramPath = Annotated[str, Path(pattern=SLUG, description="A program.", examples=["fresh"])]
ProposalPath = Annotated[
    str, Path(pattern=CLIENT_ID, description="What its proposer calls it.", examples=["rates-2026"])
]
ReferencePath = Annotated[
    str, Path(pattern=CLIENT_ID, description="What the sender calls the order.", examples=["A-1029"])
]
SenderPath = Annotated[
    str, Path(pattern=SLUG, description="The participant that sent it.", examples=["fresh"])
]
TransactionPath = Annotated[
    str, Path(pattern=CLIENT_ID, description="The transaction's id.", examples=["till-7:88"])
]
WindowPath = Annotated[
    _Number, Field(ge=1, le=WINDOW_MAX), Path(description="A window's number.", examples=[7])
]

TilePlace = Annotated[
    str, Path(description="As C2SP tlog-tiles spells it.", examples=["0/x001/067", "000.p/5"])
]

ProgramQuery = Annotated[str, Query(pattern=SLUG, description="A program.", examples=["fresh"])]
SeriesQuery = Annotated[str, Query(pattern=SLUG, description="A series of it.", examples=["2026"])]
TargetQuery = Annotated[str, Query(pattern=SLUG, description="The program to receive.", examples=["petrol"])]
PointsQuery = Annotated[
    _Number, Field(ge=1, le=POINTS_MAX), Query(description="Points offered, at most.", examples=[500])
]
OptionalProgram = Annotated[str | None, Query(pattern=SLUG, description="Only this program.")]
OptionalSender = Annotated[str | None, Query(pattern=SLUG, description="Whose order; an auditor says.")]
OptionalDigest = Annotated[str | None, Query(pattern=DIGEST, description="The digest the id must stand for.")]
OptionalSize = Annotated[
    Size | None, Query(description="Size of the tree you trust; adds a consistency proof.")
]
OptionalBefore = Annotated[
    Size | None, Query(description="Only entries below this index: `next` of the page before.")
]
OptionalWindow = Annotated[
    Size | None, Query(description="Only windows below this number: `next` of the page before.")
]
LimitQuery = Annotated[
    _Number, Field(ge=1, le=HISTORY_LIMIT_MAX), Query(description="Rows at most.", examples=[50])
]
OldQuery = Annotated[Size, Query(description="The older size.", examples=[1024])]
NewQuery = Annotated[Size, Query(description="The newer size.", examples=[2048])]
WitnessedQuery = Annotated[
    Literal["yes"] | None, Query(description="Under a checkpoint that enough witnesses have cosigned.")
]
MinHeight = Annotated[
    Size | None, Query(description="Wait up to two seconds until the ledger has this height.", examples=[12])
]


async def wait_for_height(site: SiteParam, min_height: MinHeight = None) -> None:
    """The ledger has the height the asker wants. Raises `Refused` ``NOT_YET``."""
    if min_height is not None:
        await site.gate.wait(min_height)


async def check_query(request: Request) -> None:
    """Every parameter of the query is known to the route and given once. Raises `Refused` ``BAD_REQUEST``."""
    given = [name for name, _ in request.query_params.multi_items()]
    known = _get_known(request.scope["route"].dependant)
    for name in given:
        if name not in known:
            raise Refused("BAD_REQUEST", parameter=name, reason="unknown")
        if given.count(name) > 1:
            raise Refused("BAD_REQUEST", parameter=name, reason="given more than once")


def _get_known(dependant: Any) -> set[str]:
    """The names of a route's query parameters, its dependencies' included."""
    known = {field.alias for field in dependant.query_params}
    for inner in dependant.dependencies:
        known |= _get_known(inner)
    return known


ASKED: Final = (Depends(check_query),)
READ: Final = (*ASKED, Depends(wait_for_height))
"""What every read does before it looks at anything; who asks comes before it."""
READ_WITH_TOKEN: Final = (Depends(ask), *READ)
