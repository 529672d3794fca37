"""`commonpoint webhook`: the endpoints that entries are delivered to, looked at and set going again.

It reads and writes the webhooks' own database, whether the node runs or not; a running one hears of a change
within two seconds. Participants register and remove their endpoints themselves, through the API.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.tables import print_table
from node.cli.tell import tell

if TYPE_CHECKING:
    from node.storage.webhooks import Endpoint, WebhookStore

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Endpoints that entries are delivered to."
)

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="The data directory.", envvar="COMMONPOINT_DATA")
]
Which = Annotated[str, typer.Argument(metavar="WEBHOOK", help="The endpoint's id, wh_….")]


@app.command("list")
def list_endpoints(data: Data) -> None:
    """Print every endpoint: whose it is, its state, up to which leaf it has heard, and where it leads."""
    with _open(data) as store:
        rows = [
            (each.id, each.participant, _tell_state(each), str(each.cursor), " ".join(each.types), each.url)
            for each in store.list_all()
        ]
    print_table(("webhook", "participant", "state", "cursor", "types", "url"), rows)


@app.command()
def show(webhook: Which, data: Data) -> None:
    """Print one endpoint and its last failures. Its secret is not printed."""
    with _open(data) as store:
        endpoint = _find(store, webhook)
        failures = store.list_failures(endpoint.id)
    rows = [
        ("webhook", endpoint.id),
        ("participant", endpoint.participant),
        ("url", endpoint.url),
        ("types", " ".join(endpoint.types) or "all"),
        ("state", _tell_state(endpoint)),
        ("cursor", str(endpoint.cursor)),
        ("registered", _format_time(endpoint.created_at)),
        ("last delivered", _format_time(endpoint.delivered_at)),
        ("next attempt", _format_time(endpoint.next_at)),
    ]
    print_table(None, rows)
    typer.echo()
    print_table(
        ("failed", "entry", "attempt", "reason"),
        [(_format_time(each.at), str(each.index), str(each.attempt), each.reason) for each in failures],
    )


@app.command()
def enable(webhook: Which, data: Data) -> None:
    """Deliver to an endpoint again, beginning with the entry whose turn it is."""
    with _open(data) as store:
        store.restart(_find(store, webhook).id)
    tell(f"{webhook} is enabled.")


@app.command()
def redeliver(
    webhook: Which,
    data: Data,
    after: Annotated[int, typer.Option(help="Deliver everything behind this index once more.", min=0)],
) -> None:
    """Deliver entries once more, in order and under the same ids, and go on from there."""
    with _open(data) as store:
        endpoint = _find(store, webhook)
        if after > endpoint.cursor:
            raise typer.BadParameter(
                f"it has heard up to {endpoint.cursor}; this would leave entries out", param_hint="--after"
            )
        store.restart(endpoint.id, after=after)
    tell(f"{webhook} hears again of everything behind {after}.")


@app.command()
def remove(webhook: Which, data: Data) -> None:
    """Forget an endpoint and its secret."""
    with _open(data) as store:
        store.remove(_find(store, webhook).id)
    tell(f"{webhook} is removed.")


@contextmanager
def _open(data: Path) -> Iterator[WebhookStore]:
    """The database of a data directory, which a node has made. Raises `Unusable`."""
    import os

    from node.config import load_config
    from node.keystore import Unusable
    from node.storage.webhooks import WebhookStore

    config = load_config(data)
    config.check_private()
    if not config.webhooks.exists():
        raise Unusable("NO_WEBHOOKS", advice="Start the node once.", path=str(config.webhooks))
    os.umask(0o077)
    store = WebhookStore(config.webhooks)
    try:
        yield store
    finally:
        store.close()


def _find(store: WebhookStore, webhook: str) -> Endpoint:
    from node.keystore import Unusable

    endpoint = store.find(webhook)
    if endpoint is None:
        raise Unusable("WEBHOOK_UNKNOWN", advice="commonpoint webhook list names them.", webhook=webhook)
    return endpoint


def _tell_state(endpoint: Endpoint) -> str:
    if endpoint.state == "disabled":
        return f"disabled ({endpoint.reason})"
    return f"failing ({endpoint.attempts})" if endpoint.attempts else "enabled"


def _format_time(millis: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(millis // 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if millis else ""
