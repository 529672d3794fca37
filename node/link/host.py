"""A core whose API is served by workers: what `node.api.app.make_app` is to a core with the API in its own
process.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from ledger.errors import InvariantBroken
from ledger.executor import ExecutedBlock
from node.alliance_figures import AllianceCollector
from node.api.app import make_listener
from node.api.limits import Limits, Rates
from node.api.webhook_desk import WebhookDesk
from node.core import NodeCore
from node.disk_space import DiskCollector
from node.feed import Feed
from node.link import wire
from node.link.calls import CoreCalls
from node.link.figures import WorkerFigures, render
from node.link.service import Service
from node.link.supervisor import Supervisor
from node.metrics import Metrics
from node.storage.place import Place, format_place
from node.tokens import TokenIssuer
from node.webhooks.delivery import Webhooks


def make_supervisor(
    core: NodeCore,
    *,
    database: Place,
    tokens: TokenIssuer,
    token_secret: bytes,
    origins: Sequence[str],
    rates: Rates,
    feed: Feed,
    webhooks: Webhooks | None,
    on_broken: Callable[[InvariantBroken], None],
    workers: int,
    http: socket.socket,
    local: socket.socket,
    announce: Callable[[], None],
) -> Supervisor:
    """What runs this many workers over a running core. Rates, nonces and figures are one for all of them."""
    metrics = Metrics()
    metrics.watch(core)
    metrics.registry.register(AllianceCollector(core))
    metrics.registry.register(DiskCollector(core.disk))
    limits = Limits(rates, tokens=tokens, registry=metrics.registry)
    core.charge = limits.count_submission
    figures = WorkerFigures()
    calls = CoreCalls(
        core,
        limits=limits,
        webhooks=None if webhooks is None else WebhookDesk(webhooks),
        render_figures=lambda: render(metrics, figures),
        on_broken=on_broken,
    )
    service = Service(core, calls=calls, figures=figures)
    listen = make_listener(metrics, feed)

    def note_block(seconds: float, block: ExecutedBlock) -> None:
        service.publish(block)
        listen(seconds, block)

    def make_setup() -> wire.Setup:
        head, checkpoint = service.find_head()
        return wire.Setup(
            genesis=list(core.origin.leaves),
            database=format_place(database),
            vkey=core.vkey,
            policy=core.policy,
            token_secret=token_secret,
            origins=list(origins),
            limited=[name for name in ("reads", "addresses") if getattr(rates, name)],
            has_webhooks=webhooks is not None,
            has_desk=core.desk is not None,
            head=head,
            checkpoint=checkpoint,
        )

    def let_go() -> None:
        core.close_intake()
        feed.close()

    core.on_block = note_block
    core.on_cosigned = service.publish_note
    return Supervisor(
        service,
        count=workers,
        http=http,
        local=local,
        make_setup=make_setup,
        announce=announce,
        let_go=let_go,
    )
