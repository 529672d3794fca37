"""The link between a node's core and the workers that serve its API, and the local socket for programs on the
same machine.

    SDK, browsers ──HTTP──▶ worker ──┐                      the core: engine, storage, webhooks
    local programs ─core.sock─▶ worker ──┴─ a socket pair each ──▶ one process

A worker reads HTTP, decodes, holds bytes to their canonical form and checks signatures; what is left for the
core is to order, to execute and to make durable. Between the two go frames that hold as many transactions as
have gathered, and back come answers, as many as a block brought.

- `frames`: how bytes become frames; `wire`: what is in them;
- `service`: the core's end of one worker's link; `calls`: what a worker may ask besides;
- `supervisor`: workers are started, and started again; `worker`: such a process;
- `remote_core`, `tree_copy`, `vetting`: what a worker knows, proves and checks by itself;
- `local_socket`, `client`: the socket ``core.sock`` and who talks to it.

A socket pair is inherited by the worker it was made for and by nobody else, so the core may believe what
comes through it. What comes through ``core.sock`` or HTTP is believed by nobody.
"""
