"""Frames survive however a stream is torn, and figures whatever becomes of a worker."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ledger.errors import InvariantBroken, Refused, Rejected
from node.link import wire
from node.link.figures import WorkerFigures, list_samples, render
from node.link.frames import Splitter, encode_frame
from node.metrics import Metrics

FRAMES = [(1, b""), (2, b"x"), (255, bytes(70_000)), (3, b"\x00" * 5), (4, b"last")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 4_096, 1_000_000])
def test_frames_are_the_same_however_the_stream_is_torn(size):
    stream = b"".join(encode_frame(*frame) for frame in FRAMES)
    splitter = Splitter()
    found = []
    for start in range(0, len(stream), size):
        found += splitter.feed(stream[start : start + size])
    assert found == FRAMES


@pytest.mark.parametrize(
    "error",
    [
        Refused("BUSY", limit="reads", retry_after_seconds=3),
        Rejected("NO_OPEN_SERIES", program="leaf"),
        InvariantBroken("TILE_MISSING", level=0, index=7, found=None, far=2**70),
    ],
)
def test_an_error_arrives_as_the_problem_that_it_was(error):
    sent = wire.encode(wire.Returned(1, b"", wire.make_fault(error)))
    found = wire.read_fault(wire.RETURNED.decode(sent).fault)
    assert type(found) is type(error)
    from node.api.problems import describe_error

    assert describe_error(found) == describe_error(error)


def test_what_nobody_foresaw_is_a_fault_and_no_refusal():
    found = wire.read_fault(wire.make_fault(ZeroDivisionError("x")))
    assert isinstance(found, wire.CoreFault)


def test_figures_are_summed_up_and_never_go_back():
    core, figures = Metrics(), WorkerFigures()
    core.count_refusal("BUSY")
    workers = [Metrics(), Metrics()]
    accounts = [figures.open() for _ in workers]
    for number, worker in enumerate(workers, start=1):
        worker.count_refusal("BUSY")
        for _ in range(number):
            worker.count_answer(method="GET", route="/v1/chain", status=200, seconds=0.02)
        accounts[number - 1].update(list_samples(worker))
    for _ in range(2):
        found = read(render(core, figures))
        assert found["commonpoint_refused_total", (("code", "BUSY"),)] == 3
        labels = (("method", "GET"), ("route", "/v1/chain"), ("status", "200"))
        assert found["commonpoint_http_requests_total", labels] == 3
        bucket = (("le", "0.025"), ("route", "/v1/chain"))
        assert found["commonpoint_http_request_seconds_bucket", bucket] == 3
        assert found["commonpoint_http_request_seconds_count", (("route", "/v1/chain"),)] == 3
        # A worker that has ended took nothing back.
        if accounts:
            accounts.pop().close()


def read(data):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(data.decode())
        for sample in family.samples
    }
