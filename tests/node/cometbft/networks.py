"""The lines between validators, and how they are cut: namespaces of the kernel where those can be made,
relays in the tests' own process where not.

    Namespaces   each validator has a network of its own; cables lead to a switch, which can be two
    Relays       each validator reaches each other one through a relay, which can be told to hold everything

Either way a cut line is silent: nothing is refused or closed, so whoever is behind it looks like somebody
slow. What was under way arrives when the line is whole again.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Protocol

import msgspec

from node.engine.cometbft.founding import Validator

_NEW_NETWORK = 0x40000000
"""CLONE_NEWNET."""
_PORT = 26656
_LOOK_SECONDS = 0.05
_system = ctypes.CDLL(None, use_errno=True)


def find_ports(count: int) -> list[int]:
    """So many ports of loopback that were free a moment ago."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


class Network(Protocol):
    """What lies between so many places."""

    addresses: Sequence[str]
    """Where the engine at each place listens."""

    def enter(self, place: int):
        """Meanwhile this thread, and what it starts, is where the validator is."""

    def tell(self, place: int, validators: Sequence[Validator]) -> list[Validator]:
        """The others, by the addresses under which they are reached from there."""

    def part(self, *groups: Sequence[int]) -> None:
        """Whoever is in one group reaches nobody in another."""

    def heal(self) -> None:
        """All reach each other."""

    def close(self) -> None:
        """Nothing is left of it."""


class Loopback:
    """Nothing that could be cut."""

    def __init__(self, count: int) -> None:
        self.addresses = [f"127.0.0.1:{port}" for port in find_ports(count)]

    @contextmanager
    def enter(self, place: int) -> Iterator[None]:  # noqa: ARG002
        """It is where everybody is."""
        yield

    def tell(self, place: int, validators: Sequence[Validator]) -> list[Validator]:  # noqa: ARG002
        """As they said."""
        return list(validators)

    def close(self) -> None:
        """There was nothing."""


class Namespaces:
    """A network for each place, and one for the switch between them; they end with this process."""

    def __init__(self, count: int) -> None:
        self._outside = _open_own()
        self._inside: list[int] = []
        self.addresses = [f"10.77.0.{place + 1}:{_PORT}" for place in range(count)]
        try:
            self._inside += [_make_namespace() for _ in range(count)]
            self._switch = _make_namespace()
            self._inside.append(self._switch)
            self._lay_cables(count)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def enter(self, place: int) -> Iterator[None]:
        """A network belongs to a thread; sockets and processes keep the one they were made in."""
        with self._enter(self._inside[place]):
            yield

    def tell(self, place: int, validators: Sequence[Validator]) -> list[Validator]:  # noqa: ARG002
        """As they said: everybody has an address."""
        return list(validators)

    def part(self, *groups: Sequence[int]) -> None:
        """Each group is at a switch of its own."""
        self._run(
            f"link set port{place} master switch{number}"
            for number, group in enumerate(groups)
            for place in group
        )

    def heal(self) -> None:
        """All are at one switch."""
        self.part(range(len(self.addresses)))

    def close(self) -> None:
        """The kernel ends a network that nobody is in and nobody holds."""
        for each in [*self._inside, self._outside]:
            os.close(each)
        self._inside = []

    def _lay_cables(self, count: int) -> None:
        self._run(
            line
            for number in range(2)
            for line in (f"link add switch{number} type bridge", f"link set switch{number} up")
        )
        for place in range(count):
            there = f"/proc/{os.getpid()}/fd/{self._inside[place]}"
            self._run(
                [
                    f"link add port{place} type veth peer name cable netns {there}",
                    f"link set port{place} master switch0 up",
                ]
            )
            lines = ["link set lo up", f"addr add 10.77.0.{place + 1}/24 dev cable", "link set cable up"]
            with self.enter(place):
                _run_ip(lines)

    def _run(self, lines: Iterator[str] | Sequence[str]) -> None:
        with self._enter(self._switch):
            _run_ip(lines)

    @contextmanager
    def _enter(self, namespace: int) -> Iterator[None]:
        _move_to(namespace)
        try:
            yield
        finally:
            _move_to(self._outside)


class Relays:
    """A relay for each way from one place to another."""

    def __init__(self, count: int) -> None:
        ports = iter(find_ports(count * count))
        self.addresses = [f"127.0.0.1:{next(ports)}" for _ in range(count)]
        self._relays = {
            (here, there): _Relay(next(ports), self.addresses[there])
            for here in range(count)
            for there in range(count)
            if here != there
        }

    @contextmanager
    def enter(self, place: int) -> Iterator[None]:  # noqa: ARG002
        """All are on loopback."""
        yield

    def tell(self, place: int, validators: Sequence[Validator]) -> list[Validator]:
        """The others are where the relays to them listen."""
        return [
            each
            if there == place
            else msgspec.structs.replace(
                each, address=f"{each.peer.node_id}@127.0.0.1:{self._relays[place, there].port}"
            )
            for there, each in enumerate(validators)
        ]

    def part(self, *groups: Sequence[int]) -> None:
        """What leads from one group to another holds everything."""
        for way, relay in self._relays.items():
            relay.is_open.clear()
            if any(set(way) <= set(group) for group in groups):
                relay.is_open.set()

    def heal(self) -> None:
        """Everything goes on."""
        for relay in self._relays.values():
            relay.is_open.set()

    def close(self) -> None:
        """Nobody is relayed any more."""
        for relay in self._relays.values():
            relay.close()


class _Relay:
    """Hands on what comes, both ways, while it is open."""

    def __init__(self, port: int, to: str) -> None:
        self.port = port
        self.is_open = threading.Event()
        self.is_open.set()
        self._ended = threading.Event()
        host, _, number = to.rpartition(":")
        self._to = (host, int(number))
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def close(self) -> None:
        """Its threads end."""
        self._ended.set()
        self.is_open.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._ended.is_set():
                ours, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(ours,), name="relay", daemon=True).start()

    def _connect(self, ours: socket.socket) -> None:
        self.is_open.wait()
        with ours, suppress(OSError), socket.create_connection(self._to, timeout=10) as theirs:
            theirs.settimeout(None)
            other = {ours: theirs, theirs: ours}
            while not self._ended.is_set():
                ready, _, _ = select.select(list(other), [], [], _LOOK_SECONDS)
                for each in ready:
                    self.is_open.wait()
                    data = each.recv(1 << 16)
                    if not data:
                        return
                    # Between the two sides it may be cut as well.
                    self.is_open.wait()
                    other[each].sendall(data)


def make_network(count: int) -> Network:
    """Namespaces where the machine makes them, and else relays."""
    try:
        return Namespaces(count)
    except (OSError, subprocess.CalledProcessError):
        return Relays(count)


def _open_own() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def _make_namespace() -> int:
    """A new network, held by the descriptor. A thread of its own makes it, and ends."""
    made: list[int | OSError] = []

    def make() -> None:
        if _system.unshare(_NEW_NETWORK) != 0:
            made.append(OSError(ctypes.get_errno(), "unshare"))
            return
        made.append(_open_own())

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def _move_to(namespace: int) -> None:
    if _system.setns(namespace, _NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _run_ip(lines: Iterator[str] | Sequence[str]) -> None:
    subprocess.run(
        ["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True, capture_output=True, timeout=30
    )
