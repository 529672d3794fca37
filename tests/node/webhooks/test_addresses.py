"""A node delivers out into the world: whatever somebody writes for an address, it leads nowhere else."""

from __future__ import annotations

import socket

import pytest

from node.webhooks.addresses import AddressRefused, check_url, choose_addresses, is_allowed, resolve

#   an address, whether it may be delivered to, whether it may where private networks were allowed
ADDRESSES = [
    ("8.8.8.8", True, True),
    ("1.1.1.1", True, True),
    ("223.255.255.254", True, True),
    ("2606:4700:4700::1111", True, True),
    ("2a00:1450:4001:80b::200e", True, True),
    ("0.0.0.0", False, False),
    ("0.1.2.3", False, False),
    ("10.0.0.1", False, True),
    ("100.64.0.1", False, True),
    ("100.127.255.255", False, True),
    ("127.0.0.1", False, True),
    ("127.255.255.255", False, True),
    ("169.254.169.254", False, False),
    ("172.16.0.1", False, True),
    ("172.31.255.255", False, True),
    ("172.32.0.1", True, True),
    ("192.0.0.8", False, False),
    ("192.0.2.1", False, False),
    ("192.88.99.1", False, False),
    ("192.168.1.1", False, True),
    ("198.18.0.1", False, False),
    ("198.51.100.1", False, False),
    ("203.0.113.1", False, False),
    ("224.0.0.1", False, False),
    ("239.255.255.255", False, False),
    ("240.0.0.1", False, False),
    ("255.255.255.255", False, False),
    ("::", False, False),
    ("::1", False, True),
    ("::127.0.0.1", False, False),
    ("::ffff:127.0.0.1", False, False),
    ("::ffff:8.8.8.8", False, False),
    ("::ffff:0:127.0.0.1", False, False),
    ("64:ff9b::7f00:1", False, False),
    ("64:ff9b:1::7f00:1", False, False),
    ("100::1", False, False),
    ("2001::1", False, False),
    ("2001:0:7f00:1::", False, False),
    ("2001:20::1", False, False),
    ("2001:db8::1", False, False),
    ("2002:7f00:1::", False, False),
    ("3fff::1", False, False),
    ("5f00::1", False, False),
    ("fc00::1", False, True),
    ("fd12:3456:789a::1", False, True),
    ("fe80::1", False, False),
    ("fe80::1%eth0", False, False),
    ("2606:4700:4700::1111%eth0", False, False),
    ("fec0::1", False, False),
    ("ff02::1", False, False),
    ("not an address", False, False),
]


@pytest.mark.parametrize(("address", "public", "private"), ADDRESSES, ids=[row[0] for row in ADDRESSES])
def test_an_address_is_delivered_to_where_the_world_can_reach_it(address, public, private):
    assert is_allowed(address, to_private=False) is public
    assert is_allowed(address, to_private=True) is private


TAKEN = [
    "https://shop.example/hook",
    "https://shop.example",
    "https://SHOP.example:443/a?b=c",
    "https://shop.example:8443/hook",
    "https://a-b.c_d.shop.example/",
    "https://xn--bcher-kva.example/",
    "https://8.8.8.8/hook",
    "https://[2606:4700:4700::1111]/hook",
    "https://shop.example/hook?mail=a@b.example",
]


@pytest.mark.parametrize("url", TAKEN)
def test_a_url_of_the_open_web_is_taken(url):
    target = check_url(url, to_private=False)
    assert target.port in (443, 8443)
    assert target.host == target.host.lower()


#   what somebody writes, the code
REFUSED = [
    ("", "URL_MALFORMED"),
    ("shop.example/hook", "URL_SCHEME"),
    ("//shop.example/hook", "URL_SCHEME"),
    ("http://shop.example/hook", "URL_SCHEME"),
    ("file:///etc/passwd", "URL_SCHEME"),
    ("gopher://shop.example/", "URL_SCHEME"),
    ("https:///hook", "URL_HOST"),
    ("https://shop.example:22/", "URL_PORT"),
    ("https://shop.example:25/", "URL_PORT"),
    ("https://shop.example:6379/", "URL_PORT"),
    ("https://shop.example:70000/", "URL_PORT"),
    ("https://shop.example:-1/", "URL_PORT"),
    ("https://shop.example:0/", "URL_PORT"),
    ("https://user@shop.example/", "URL_MALFORMED"),
    ("https://user:pass@shop.example/", "URL_MALFORMED"),
    ("https://shop.example@127.0.0.1/", "URL_MALFORMED"),
    ("https://127.0.0.1#@shop.example/", "URL_MALFORMED"),
    ("https://shop.example\\@127.0.0.1/", "URL_MALFORMED"),
    ("https://shop.example/#fragment", "URL_MALFORMED"),
    ("https://shop.example/a b", "URL_MALFORMED"),
    ("https://shop.example/\r\nHost: x", "URL_MALFORMED"),
    ("https://shop.example/\x00", "URL_MALFORMED"),
    ("https://bücher.example/", "URL_MALFORMED"),
    ("https://127。0。0。1/", "URL_MALFORMED"),
    ("https://①②⑦.0.0.1/", "URL_MALFORMED"),
    ("https://shop.example/" + "a" * 1_100, "URL_MALFORMED"),
    ("https://shop..example/", "URL_HOST"),
    ("https://-shop.example/", "URL_HOST"),
    ("https://shop%2eexample/", "URL_HOST"),
    ("https://localhost./", "URL_HOST"),
    ("https://" + "a" * 64 + ".example/", "URL_HOST"),
    # What a resolver somewhere takes for 127.0.0.1.
    ("https://127.0.0.1/", "NO_PUBLIC_ADDRESS"),
    ("https://2130706433/", "URL_HOST"),
    ("https://0x7f000001/", "URL_HOST"),
    ("https://0x7f.1/", "URL_HOST"),
    ("https://017700000001/", "URL_HOST"),
    ("https://0177.0.0.1/", "URL_MALFORMED"),
    ("https://127.1/", "URL_HOST"),
    ("https://127.0.1/", "URL_HOST"),
    ("https://127.0.0.0x1/", "URL_HOST"),
    ("https://a.0x/", "URL_HOST"),
    ("https://0/", "URL_HOST"),
    ("https://[::1]/", "NO_PUBLIC_ADDRESS"),
    # Its usual spelling is a matter of Python's version.
    ("https://[::ffff:127.0.0.1]/", "URL_HOST NO_PUBLIC_ADDRESS"),
    ("https://[::ffff:7f00:1]/", "NO_PUBLIC_ADDRESS"),
    ("https://[64:ff9b::7f00:1]/", "NO_PUBLIC_ADDRESS"),
    ("https://[fe80::1%25eth0]/", "NO_PUBLIC_ADDRESS"),
    ("https://169.254.169.254/latest/meta-data/", "NO_PUBLIC_ADDRESS"),
    ("https://10.1.2.3/", "NO_PUBLIC_ADDRESS"),
]


@pytest.mark.parametrize(("url", "code"), REFUSED, ids=[repr(row[0][:40]) for row in REFUSED])
def test_a_url_that_leads_elsewhere_or_might_is_refused(url, code):
    with pytest.raises(AddressRefused) as refused:
        check_url(url, to_private=False)
    assert refused.value.code in code.split()


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("http://127.0.0.1:8000/", True),
        ("http://localhost:8000/", True),
        ("http://shop.internal/", True),
        ("https://10.1.2.3/", True),
        ("http://[::1]:8000/", True),
        ("http://127.0.0.1:22/", False),
        ("http://169.254.169.254/", False),
        ("http://0.0.0.0:8000/", False),
        ("http://2130706433:8000/", False),
        ("ftp://127.0.0.1:8000/", False),
        ("http://user@127.0.0.1:8000/", False),
    ],
)
def test_where_private_networks_were_allowed_they_are_and_nothing_else_is(url, is_taken):
    if is_taken:
        check_url(url, to_private=True)
    else:
        with pytest.raises(AddressRefused):
            check_url(url, to_private=True)


#   what the name service answers, what is delivered to
ANSWERS = [
    (["8.8.8.8"], ["8.8.8.8"]),
    (["2606:4700:4700::1111", "8.8.8.8"], ["2606:4700:4700::1111", "8.8.8.8"]),
    ([], None),
    (["127.0.0.1"], None),
    (["8.8.8.8", "127.0.0.1"], None),
    (["::ffff:10.0.0.1"], None),
    (["fe80::1%2"], None),
    (["169.254.169.254"], None),
    (["nonsense"], None),
]


@pytest.mark.parametrize(("answer", "expected"), ANSWERS, ids=[" ".join(row[0]) or "none" for row in ANSWERS])
def test_a_name_is_as_good_as_every_address_it_has(answer, expected):
    target = check_url("https://shop.example/", to_private=False)
    asked = []

    def answer_so(host, port):
        asked.append((host, port))
        return answer

    if expected is None:
        with pytest.raises(AddressRefused) as refused:
            choose_addresses(target, resolve=answer_so, to_private=False)
        assert refused.value.code == "NO_PUBLIC_ADDRESS"
    else:
        assert choose_addresses(target, resolve=answer_so, to_private=False) == expected
    assert asked == [("shop.example", 443)]


def test_a_name_nobody_knows_is_told_like_one_that_leads_inside():
    target = check_url("https://shop.example/", to_private=False)

    def fail(_host, _port):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(AddressRefused) as refused:
        choose_addresses(target, resolve=fail, to_private=False)
    assert refused.value.code == "NO_PUBLIC_ADDRESS"


def test_the_machines_own_resolver_answers_with_addresses_as_text():
    assert set(resolve("localhost", 80)) <= {"127.0.0.1", "::1"}
    # The spellings that a resolver takes are why a URL with one of them is refused before it is asked.
    assert resolve("2130706433", 80) == ["127.0.0.1"]
    target = check_url("http://localhost:8000/", to_private=True)
    with pytest.raises(AddressRefused):
        choose_addresses(target, resolve=resolve, to_private=False)
