"""Answers about events and webhooks as the API page describes them. docs/spec/api.md is the authority.

As in `node.api.answers`, these models describe; they do not make the bytes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from node.api.answers import Answer, EntryRow, Height, Time

Cursor = Annotated[int, Field(ge=0, description="Index of the last leaf that was looked at.", examples=[345])]
Url = Annotated[str, Field(examples=["https://shop.example/hooks/points"])]
Types = Annotated[
    list[str],
    Field(description="Only entries of these messages' `@type`; absent: all.", examples=[["redeem"]]),
]


class EventPage(Answer):
    """What concerns the asker after a cursor, oldest first."""

    height: Height
    next: Annotated[
        int, Field(description="Pass as `after` for what comes behind this page.", examples=[345])
    ]
    rows: list[EntryRow]
    size: Annotated[int, Field(description="Leaves in the log: all was seen when `next` is one less.")]


class WebhookFailure(Answer):
    """An attempt that did not succeed."""

    at: Time
    attempt: Annotated[int, Field(description="The how manieth for this entry.", examples=[1])]
    index: Annotated[int, Field(description="Index of the entry.", examples=[345])]
    reason: Annotated[str, Field(description="A status, or why there was none.", examples=["HTTP_500"])]


class Webhook(Answer):
    """An endpoint to which entries are delivered, and how it is doing."""

    attempts: Annotated[int, Field(description="Failed attempts for the entry whose turn it is.")]
    created_at: Time
    cursor: Cursor
    delivered_at: Annotated[Time | None, Field(description="When a delivery last succeeded.")] = None
    failures: Annotated[list[WebhookFailure], Field(description="The last ten, newest first.")]
    id: Annotated[str, Field(examples=["wh_2f1d8c0a9b3e4f57"])]
    next_attempt_at: Annotated[Time | None, Field(description="When it is tried again.")] = None
    reason: Annotated[str | None, Field(description="Why it is disabled.", examples=["GONE"])] = None
    state: Literal["enabled", "disabled"]
    types: Types | None = None
    url: Url


class Webhooks(Answer):
    """A participant's endpoints."""

    height: Height
    rows: list[Webhook]


class OneWebhook(Webhook):
    """An endpoint, at a height of the ledger."""

    height: Height


class NewWebhook(OneWebhook):
    """An endpoint that was just registered, with its secret, which is not shown again."""

    secret: Annotated[str, Field(description="For verifying deliveries, as Standard Webhooks has it.")]


class RemovedWebhook(Answer):
    """An endpoint that is no more."""

    height: Height
    id: str
