from ipaddress import ip_network
from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from config.kinds import (
    BaseUrl,
    Domain,
    Endpoint,
    Host,
    Later,
    Listen,
    Network,
    OptionalFile,
    Pattern,
    SqliteUrl,
    TrackingBase,
    is_loopback,
    later,
    url_host,
)

TAKEN = [
    (Listen, "127.0.0.1:25", Endpoint("127.0.0.1", 25)),
    (Listen, "[::1]:0", Endpoint("::1", 0)),
    (Listen, "localhost:65535", Endpoint("localhost", 65535)),
    (Listen, Endpoint("::", 1), Endpoint("::", 1)),
    (Host, "smtp.example.net", "smtp.example.net"),
    (Host, "2001:DB8::1", "2001:db8::1"),
    (Network, "10.0.0.0/8", ip_network("10.0.0.0/8")),
    (Network, "192.0.2.1", ip_network("192.0.2.1/32")),
    (BaseUrl, "http://Mail.example:8026/", "http://mail.example:8026"),
    (TrackingBase, "http://[::1]:80", "http://[::1]:80"),
    (TrackingBase, "https://t.example", "https://t.example"),
    (SqliteUrl, "sqlite+aiosqlite:///x.db", "sqlite+aiosqlite:///x.db"),
    (Pattern, "*@x.example", "*@x.example"),
    (Domain, "*.X.example", "*.x.example"),
    (OptionalFile, "", None),
]

REFUSED = [
    (Listen, 25, "is no address and port"),
    (Listen, ":25", "is no address and port"),
    (Listen, "x:a", "is no address and port"),
    (Listen, "x:70000", "has a port over 65535"),
    (Listen, "::1:25", "is an IPv6 address without brackets"),
    (Listen, "a b:25", "is no host name or IP address"),
    (Host, "300.1.1.1", "is no host name or IP address"),
    (Host, "-x", "is no host name or IP address"),
    (Network, "x", "is no network"),
    (Network, None, "is no network"),
    (Network, "10.1.0.0/8", 'has bits set behind its prefix; write "10.0.0.0/8"'),
    (BaseUrl, "http://[::1", "is no URL"),
    (BaseUrl, "http://x:y", "is no URL"),
    (BaseUrl, "ftp://x", "is no http or https URL"),
    (BaseUrl, "https:///x", "is no http or https URL"),
    (BaseUrl, "https://x/y", "has more than scheme, host and port"),
    (BaseUrl, "https://u@x", "has more than scheme, host and port"),
    (BaseUrl, "https://x?q", "has more than scheme, host and port"),
    (TrackingBase, "http://t.example", 'not on this machine; write "https://t.example"'),
    (SqliteUrl, "postgresql://h/d", "is not available in this version"),
    (SqliteUrl, "sqlite+aiosqlite:///:memory:", "is no SQLite file"),
    (SqliteUrl, "sqlite:///x.db", "is no SQLite file"),
    (Pattern, "a b", "is no pattern of addresses"),
    (Pattern, "", "is no pattern of addresses"),
    (Domain, "a@x.example", "is no domain"),
    (Domain, "https://x.example", "is no domain"),
    (Domain, "*x.example", "is no domain"),
]


@pytest.mark.parametrize(("kind", "given", "read"), TAKEN)
def test_a_good_value_is_read(kind: object, given: object, read: object) -> None:
    assert TypeAdapter(kind).validate_python(given) == read


@pytest.mark.parametrize(("kind", "given", "told"), REFUSED)
def test_a_bad_value_is_refused_with_why_and_mend(kind: object, given: object, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(given)
    assert told in caught.value.errors()[0]["msg"]


def test_an_endpoint_is_written_as_it_is_read() -> None:
    assert [str(Endpoint(host, 1)) for host in ("::1", "x")] == ["[::1]:1", "x:1"]
    assert [Endpoint(host, 1).loopback for host in ("::1", "0.0.0.0", "x")] == [True, False, False]


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (("127.0.0.1", 25), ("127.0.0.1", 25), True),
        (("127.0.0.1", 25), ("127.0.0.1", 26), False),
        (("127.0.0.1", 25), ("127.0.0.2", 25), False),
        (("127.0.0.1", 25), ("0.0.0.0", 25), True),
        (("::", 25), ("127.0.0.1", 25), True),
        (("127.0.0.1", 0), ("127.0.0.1", 0), False),
    ],
)
def test_two_endpoints_clash_where_one_could_not_listen(
    one: tuple[str, int], other: tuple[str, int], *, clash: bool
) -> None:
    assert Endpoint(*one).clashes(Endpoint(*other)) is clash


def test_this_machine_is_known_by_name_or_address() -> None:
    hosts = ("localhost", "LOCALHOST.", "127.8.8.8", "[::1]", "t.example", "192.0.2.1", "")
    assert [is_loopback(host) for host in hosts] == [True] * 4 + [False] * 3
    assert [url_host(url) for url in ("http://X:1/", "http://[::1", "x")] == ["x", "", ""]


def test_what_comes_later_takes_its_default_and_what_is_here() -> None:
    assert Later()(0) == 0
    assert Later(default=5)(5) == 5
    assert Later(("x",))("y") == "y"
    for kind, value in ((Annotated[int, later()], 1), (Annotated[str, later("x")], "x")):
        with pytest.raises(ValidationError, match="not available in this version"):
            TypeAdapter(kind).validate_python(value)
