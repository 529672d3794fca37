"""The routes of a witness beside those of a node, on one address: for a follower that policies list.

    POST /add-checkpoint            C2SP tlog-witness
    GET  /<origin hash>/checkpoint  the newest cosigned checkpoint

They are no part of the node's API: nothing is logged in to, and the log's signature is all that counts.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from node.witness.app import ADD_PATH, SHOWN, Desk, WitnessApp


def serve_beside(app: ASGIApp, desk: Desk | None) -> ASGIApp:
    """The app, with the routes of a witness where there is a desk for them."""
    if desk is None:
        return app
    witness = WitnessApp(desk)

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        is_witness = path == ADD_PATH or SHOWN.fullmatch(path) is not None
        await (witness if is_witness else app)(scope, receive, send)

    return choose
