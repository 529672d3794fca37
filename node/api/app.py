"""The app: all routes of docs/spec/api.md over one core, put together in one place.

`make_app` gives an ASGI app that any server can run. It opens no socket, starts no core and stops none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.routing import Route
from starlette.types import ASGIApp

from ledger.errors import InvariantBroken
from ledger.executor import ExecutedBlock
from node.alliance_figures import AllianceCollector, tell_alerts
from node.answers import Taken
from node.api import (
    chain,
    events,
    export,
    governance,
    log,
    members,
    operating,
    orders,
    page,
    positions,
    simulation,
    transactions,
    windows,
)
from node.api import tokens as token_routes
from node.api import webhooks as webhook_routes
from node.api.core import Core, Take
from node.api.intake import Intake
from node.api.limits import Limits, Rates, get_default_rates
from node.api.log_files import LogFiles
from node.api.refusing import refuse_with_problems
from node.api.rim import RequestLimits, Rim
from node.api.simulation import Cutter
from node.api.site import HeightGate, LongReads, Site
from node.api.streams import Streams
from node.api.transactions import PATH, SUBMISSION_DESCRIPTION, Submission, encode_taken, prove
from node.api.webhook_desk import Desk, WebhookDesk
from node.core import NodeCore, get_system_time
from node.disk_space import DiskCollector
from node.feed import Feed
from node.http_signatures import NonceWindow
from node.metrics import Metrics
from node.tokens import TokenIssuer
from node.webhooks.delivery import Webhooks

_AREAS: Final = (
    transactions,
    token_routes,
    chain,
    members,
    orders,
    positions,
    governance,
    windows,
    export,
    events,
    webhook_routes,
    log,
    operating,
    page,
)


def make_app(
    core: NodeCore,
    *,
    tokens: TokenIssuer,
    metrics: Metrics | None = None,
    clock: Callable[[], int] = get_system_time,
    origins: Sequence[str] = (),
    on_broken: Callable[[InvariantBroken], None] | None = None,
    rates: Rates | None = None,
    feed: Feed | None = None,
    webhooks: Webhooks | None = None,
) -> ASGIApp:
    """The ASGI app over a running core.

    ``origins`` are the addresses by which clients know this node (``https://points.example``), for requests
    that sign their target; loopback needs none. ``on_broken`` hears of a broken invariant met while reading:
    the node should stop. ``rates`` limit who may ask how much; where none are given a chain with a clock of
    its own has the usual ones, and a simulated chain, whose load nobody waits behind, has none.
    ``feed`` is what streams read, and ends them when it is closed; ``webhooks`` are managed here, and run
    elsewhere.
    """
    metrics = metrics or Metrics()
    feed = feed or Feed(core)
    core.on_block = make_listener(metrics, feed)
    metrics.watch(core)
    metrics.registry.register(AllianceCollector(core))
    metrics.registry.register(DiskCollector(core.disk))
    if rates is None:
        rates = get_default_rates(core.origin.settings.clock)
    limits = Limits(rates, tokens=tokens, registry=metrics.registry)
    core.charge = limits.count_submission

    return assemble(
        make_site(
            core,
            tokens=tokens,
            metrics=metrics,
            clock=clock,
            origins=origins,
            nonces=NonceWindow(),
            # There is one process, and it knows what it told.
            catch_up=lambda: None,
            cut=Cutter(core).cut,
            render_figures=metrics.render,
            feed=feed,
            webhooks=None if webhooks is None else WebhookDesk(webhooks),
        ),
        take=Intake(core).submit,
        answer=lambda taken, trusted_size: encode_taken(taken, prove(core, taken, trusted_size)),
        limits=limits,
        on_broken=on_broken,
    )


def make_site(
    core: Core,
    *,
    tokens: TokenIssuer,
    metrics: Metrics,
    clock: Callable[[], int],
    origins: Sequence[str],
    nonces: NonceWindow,
    catch_up: Callable[[], None],
    cut: Callable[[int, int], Awaitable[dict[str, int]]],
    render_figures: Callable[[], bytes],
    feed: Feed,
    webhooks: Desk | None,
) -> Site:
    """What the routes share, whatever process the core is in."""
    return Site(
        core=core,
        tokens=tokens,
        metrics=metrics,
        clock=clock,
        origins=tuple(origins),
        nonces=nonces,
        gate=HeightGate(core),
        long_reads=LongReads(),
        catch_up=catch_up,
        cut=cut,
        render_figures=render_figures,
        version=_get_version(),
        feed=feed,
        streams=Streams(feed),
        webhooks=webhooks,
    )


def assemble(
    site: Site,
    *,
    take: Take,
    answer: Callable[[Taken, int | None], bytes],
    limits: RequestLimits,
    on_broken: Callable[[InvariantBroken], None] | None,
) -> ASGIApp:
    """The ASGI app of a site: ``take`` submits, ``answer`` makes the bytes of what came of it, and
    ``limits`` bound everything else.
    """
    submission = Submission(site.core, take=take, answer=answer, catch_up=site.catch_up)
    return Rim(
        _make_api(site, submission),
        submission_path=PATH,
        submission=submission,
        find_file=LogFiles(core=site.core, tokens=site.tokens).find,
        metrics=site.metrics,
        limits=limits,
        on_broken=on_broken,
    )


def make_listener(metrics: Metrics, feed: Feed) -> Callable[[float, ExecutedBlock], None]:
    """With each block: it is counted, who nears a limit is told of, who waits for events is woken."""

    def note(seconds: float, block: ExecutedBlock) -> None:
        outcomes = [outcome for answer in block.answers for outcome in answer.outcomes]
        metrics.count_block(seconds=seconds, outcomes=outcomes)
        tell_alerts(outcomes)
        feed.bell.ring()

    return note


def _make_api(site: Site, submission: Submission) -> FastAPI:
    """Everything but the hot route's short cut."""
    api = FastAPIOffline(
        docs_url=None,
        redoc_url=None,
        static_url=page.STATIC,
        redirect_slashes=False,
        swagger_ui_oauth2_redirect_url="/docs/oauth2-redirect",
        title=page.TITLE,
        version=site.version,
    )
    api.state.site = site
    # The rim answers the POST itself; here the path is known so that other methods get a 405.
    api.router.routes.append(Route(PATH, submission, methods=["POST"]))
    for area in _AREAS:
        api.include_router(area.router)
    if site.core.origin.settings.clock == "simulated":
        api.include_router(simulation.router)
    refuse_with_problems(api, site.metrics)
    api.openapi = _make_describer(api, site.version)  # type: ignore[method-assign]  # FastAPI's own way
    return api


def list_routes() -> list[APIRoute]:
    """Every route that is described, for whoever wants to hold all of them to something."""
    routers = [*(area.router for area in _AREAS), simulation.router]
    return [route for router in routers for route in router.routes if isinstance(route, APIRoute)]


def _make_describer(api: FastAPI, told_version: str) -> Callable[[], dict[str, Any]]:
    described: dict[str, Any] = {}

    def describe_once() -> dict[str, Any]:
        if not described:
            further = {PATH: {"post": SUBMISSION_DESCRIPTION}}
            described.update(page.make_description(api, further=further, version=told_version))
        return described

    return describe_once


def _get_version() -> str:
    """The installed distribution's version; a checkout that is not installed has none."""
    try:
        return version("commonpoint")
    except PackageNotFoundError:
        return "0+checkout"
