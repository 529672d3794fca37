"""Reaching out: a delivery goes to the very address that was checked, and to whom the name belongs to."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from contracts.messages import Enrol
from tests.contracts.cast import FRESH, member_id
from tests.node.webhooks.receiver import Answer, verify


def test_a_redirect_is_not_followed(post, receive):
    webhooks, inside = post.open(), receive()
    receiver = receive(lambda _count, _delivery: Answer(307, headers=(("location", inside.url),)))
    endpoint = webhooks.register(FRESH, url=receiver.url)
    post.desk.must(FRESH, Enrol(member=member_id(77)))
    receiver.wait(3)
    assert inside.deliveries == []
    assert webhooks.store.list_failures(endpoint.id)[0].reason == "HTTP_307"


def test_a_name_that_turns_inwards_between_check_and_connect_reaches_nothing_inside(post, receive):
    outside, inside = receive(), receive()
    asked = []

    def rebind(_host, port):
        # The first answer is checked and may be used; whoever asked again would get another.
        asked.append(port)
        return ["127.0.0.1"] if len(asked) % 2 else ["127.0.0.2"]

    webhooks = post.open(resolve=rebind)
    webhooks.register(FRESH, url=f"http://shop.internal:{outside.port}/")
    post.desk.must(FRESH, Enrol(member=member_id(77)))
    (delivery,) = outside.wait(1)
    assert asked == [outside.port]
    assert delivery.headers["host"] == f"shop.internal:{outside.port}"
    assert inside.deliveries == []


#   what the name service answers, whether private networks were allowed, what is connected to
INSIDE = [
    (["127.0.0.1"], True, ["127.0.0.1"]),
    (["127.0.0.1"], False, []),
    (["8.8.8.8", "127.0.0.1"], False, []),
    (["::1"], False, []),
    (["::ffff:127.0.0.1"], False, []),
    (["10.0.0.1"], False, []),
    (["169.254.169.254"], True, []),
]


@pytest.mark.parametrize(("addresses", "to_private", "expected"), INSIDE)
def test_a_name_that_leads_inside_is_connected_to_only_where_that_was_allowed(
    post, addresses, to_private, expected, monkeypatch
):
    connected = []

    def note(_socket, address):
        connected.append(address[0])
        raise OSError("no connection in this test")

    monkeypatch.setattr(socket.socket, "connect", note)
    webhooks = post.open(
        to_private=to_private, resolve=lambda _host, _port: addresses, wait=lambda _attempt, _seconds: None
    )
    endpoint = webhooks.register(FRESH, url="https://shop.example/")
    post.desk.must(FRESH, Enrol(member=member_id(77)))
    post.wait_for_state(endpoint.id, "disabled")
    reason = "CONNECT_FAILED" if expected else "NO_PUBLIC_ADDRESS"
    assert [failure.reason for failure in webhooks.store.list_failures(endpoint.id)] == [reason]
    assert connected == expected


def make_certificate(folder, name):
    """A certificate for a name, signed by itself, and the two ends' contexts."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(tz=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(
        cadata=certificate.public_bytes(serialization.Encoding.PEM).decode()
    )


def test_a_certificate_has_to_be_the_names_though_the_connection_goes_to_an_address(post, receive, tmp_path):
    server, client = make_certificate(tmp_path, "shop.internal")
    names = []
    server.sni_callback = lambda _socket, name, _context: names.append(name)
    receiver = receive(tls=server)
    webhooks = post.open(resolve=lambda _host, _port: ["127.0.0.1"], tls=client)
    good = webhooks.register(FRESH, url=f"https://shop.internal:{receiver.port}/hook")
    post.desk.must(FRESH, Enrol(member=member_id(77)))
    (delivery,) = receiver.wait(1)
    verify(delivery, good.secret)
    assert delivery.headers["host"] == f"shop.internal:{receiver.port}"
    assert names == ["shop.internal"]
    bad = webhooks.register(FRESH, url=f"https://other.internal:{receiver.port}/hook")
    post.desk.must(FRESH, Enrol(member=member_id(78)))
    receiver.wait(2)
    for _ in range(200):
        failures = webhooks.store.list_failures(bad.id)
        if failures:
            break
        time.sleep(0.02)
    assert failures[0].reason == "TLS_FAILED"
    assert [each.headers["webhook-id"].partition("_")[0] for each in receiver.deliveries] == ["wh", "wh"]
    assert all(each.headers["webhook-id"].startswith(good.id) for each in receiver.deliveries)


def test_an_address_that_does_not_answer_gives_way_to_the_next(post, receive):
    receiver = receive()
    webhooks = post.open(resolve=lambda _host, _port: ["127.0.0.9", "127.0.0.1"])
    webhooks.register(FRESH, url=f"http://shop.internal:{receiver.port}/")
    post.desk.must(FRESH, Enrol(member=member_id(77)))
    receiver.wait(1)
