"""PROXY headers by table, and by the law that nothing behind them is read."""

import socket
import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.accept.proxy import ProxyHeader, ProxyHeaderError, read_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def binary(command: int, family: int, addresses: bytes) -> bytes:
    return SIGNATURE + bytes((command, family)) + struct.pack(">H", len(addresses)) + addresses


FOUR = socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.1") + struct.pack(">HH", 1, 2)
SIX = bytes(IPv6Address("2001:db8::1").packed) + bytes(16) + struct.pack(">HH", 1, 2)
MAPPED = bytes(IPv6Address("::ffff:192.0.2.1").packed) + bytes(16) + struct.pack(">HH", 1, 2)
V4, V6 = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")

GOOD = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.1 65535 0\r\n", ProxyHeader(V4)),
    (b"PROXY TCP6 2001:db8::1 ::1 4000 25\r\n", ProxyHeader(V6)),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 4000 25\r\n", ProxyHeader(V4)),
    (b"PROXY UNKNOWN\r\n", ProxyHeader(None)),
    (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ProxyHeader(None)),
    (binary(0x21, 0x11, FOUR), ProxyHeader(V4)),
    (binary(0x21, 0x11, FOUR + b"\x04\x00\x01\x00"), ProxyHeader(V4)),
    (binary(0x21, 0x21, SIX), ProxyHeader(V6)),
    (binary(0x21, 0x21, MAPPED), ProxyHeader(V4)),
    (binary(0x21, 0x31, bytes(216)), ProxyHeader(None)),
    (binary(0x21, 0x00, b""), ProxyHeader(None)),
    (binary(0x20, 0x00, b""), ProxyHeader(None, local=True)),
    (binary(0x20, 0x11, FOUR), ProxyHeader(None, local=True)),
]

BAD = [
    b"EHLO x\r\n",
    b"PROXX",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 65535 00\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 4000\r\n",
    b"PROXY TCP4 192.0.2.300 198.51.100.1 4000 25\r\n",
    b"PROXY TCP4 2001:db8::1 ::1 4000 25\r\n",
    b"PROXY TCP6 192.0.2.1 ::1 4000 25\r\n",
    b"PROXY TCP6 2001:db8::1%eth0 ::1 4000 25\r\n",
    b"PROXY  TCP4 192.0.2.1 198.51.100.1 4000 25\r\n",
    b"PROXY UDP4 192.0.2.1 198.51.100.1 4000 25\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 4000 25 x\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 4000 25\n",
    b"PROXY UNKNOWN" + b" x" * 60 + b"\r\n",
    b"PROXY " + b"x" * 101 + b"\r\n",
    SIGNATURE[:11] + b"\r\x21\x11\x00\x00",
    binary(0x11, 0x11, FOUR),
    binary(0x22, 0x11, FOUR),
    binary(0x21, 0x12, FOUR),
    binary(0x21, 0x11, FOUR[:-1]),
    binary(0x21, 0x21, SIX[:-1]),
]


def read_all(data: bytes, most: int) -> tuple[ProxyHeader, bytes]:
    """Read as Entrance does, at most so many bytes at once; return what is left unread too."""
    seen = b""
    while isinstance(header := read_header(seen), int):
        piece = data[len(seen) : len(seen) + min(header, most)]
        if not piece:
            raise EOFError
        seen += piece
    return header, data[len(seen) :]


@pytest.mark.parametrize("most", [1, 7, 70_000])
@pytest.mark.parametrize(("data", "expected"), GOOD)
def test_a_header_names_the_client(data: bytes, expected: ProxyHeader, most: int) -> None:
    assert read_all(data + b"\x16\x03\x01", most) == (expected, b"\x16\x03\x01")


@pytest.mark.parametrize("most", [1, 7, 70_000])
@pytest.mark.parametrize("data", BAD)
def test_what_is_no_header_is_refused(data: bytes, most: int) -> None:
    with pytest.raises(ProxyHeaderError):
        read_all(data, most)


@given(st.sampled_from([data for data, _ in GOOD]), st.binary(max_size=40), st.integers(1, 20))
def test_no_byte_behind_the_header_is_asked_for(data: bytes, behind: bytes, most: int) -> None:
    # Law: no byte behind the header is asked for, however it arrives.
    _, unread = read_all(data + behind, most)
    assert unread == behind


@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=80).map(lambda rest: SIGNATURE + rest),
        st.text(max_size=80).map(lambda rest: b"PROXY " + rest.encode()),
    )
)
def test_whatever_comes_is_a_header_or_none(data: bytes) -> None:
    try:
        header, _ = read_all(data, 70_000)
    except (ProxyHeaderError, EOFError):
        return
    assert isinstance(header, ProxyHeader)
