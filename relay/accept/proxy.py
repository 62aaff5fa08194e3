"""PROXY: whom a proxy speaks for, from the header it begins with.

HAProxy's PROXY protocol, versions 1 and 2.  aiosmtpd's parser takes its bytes from a stream, which
by then has read on into the client's TLS; this one never asks for more than the header has.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from relay.accept.login import IPAddress, plain_address

_SHORTEST_BYTES = len(b"PROXY UNKNOWN\r\n")
_LONGEST_LINE_BYTES = 107  # version 1, section 2.1
_LINE_START = b"PROXY "
_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?"
    rb"|TCP4 (?P<four>[0-9.]{7,15}) [0-9.]{7,15} (?P<ports4>[0-9 ]{3,11})"
    rb"|TCP6 (?P<six>[0-9A-Fa-f:.]{2,45}) [0-9A-Fa-f:.]{2,45} (?P<ports6>[0-9 ]{3,11}))\r\n"
)
_PORTS = re.compile(rb"(0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})")

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_BEGINNING_BYTES = 16
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31


class ProxyHeaderError(ValueError):
    """What came is no header of the PROXY protocol; the text says why."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a proxy says of the client."""

    peer: IPAddress | None
    """None: the proxy does not know, or it is no network."""
    local: bool = False
    """The proxy speaks for itself, as when it asks whether we are well."""


def read_header(data: bytes) -> ProxyHeader | int:
    """Return the header, or how many bytes more to read.

    Law: no byte behind the header is asked for, however it arrives.

    Raises ProxyHeaderError where it can not become a header.
    """
    if not (_LINE_START.startswith(data[:6]) or _SIGNATURE.startswith(data[:12])):
        msg = "neither version begins so"
        raise ProxyHeaderError(msg)
    if len(data) < _SHORTEST_BYTES:
        return _SHORTEST_BYTES - len(data)
    return _read_line(data) if data.startswith(_LINE_START) else _read_binary(data)


def _read_line(data: bytes) -> ProxyHeader | int:
    if not data.endswith(b"\r\n"):
        if len(data) >= _LONGEST_LINE_BYTES or b"\n" in data:
            msg = "the line does not end in time"
            raise ProxyHeaderError(msg)
        return 1 if data.endswith(b"\r") else 2
    match = _LINE.fullmatch(data)
    ports = match and (match["ports4"] or match["ports6"])
    if match is None or (ports is not None and _PORTS.fullmatch(ports) is None):
        msg = "the line is malformed"
        raise ProxyHeaderError(msg)
    try:
        if match["four"]:
            return ProxyHeader(IPv4Address(match["four"].decode()))
        if match["six"]:
            return ProxyHeader(plain_address(IPv6Address(match["six"].decode())))
    except AddressValueError as error:
        msg = "the address is none"
        raise ProxyHeaderError(msg) from error
    return ProxyHeader(None)


def _read_binary(data: bytes) -> ProxyHeader | int:
    if len(data) < _BEGINNING_BYTES:
        return _BEGINNING_BYTES - len(data)
    command, family = data[12], data[13]
    whole = _BEGINNING_BYTES + int.from_bytes(data[14:16], "big")
    if command not in (_LOCAL, _PROXY):
        msg = "the version or command is unknown"
        raise ProxyHeaderError(msg)
    if len(data) < whole:
        return whole - len(data)
    if command == _LOCAL:
        return ProxyHeader(None, local=True)
    return ProxyHeader(_binary_peer(family, data[_BEGINNING_BYTES:]))


def _binary_peer(family: int, addresses: bytes) -> IPAddress | None:
    if family == _TCP4 and len(addresses) >= 12:  # noqa: PLR2004 - section 2.2: 4 + 4 + 2 + 2
        return IPv4Address(addresses[:4])
    if family == _TCP6 and len(addresses) >= 36:  # noqa: PLR2004 - section 2.2: 16 + 16 + 2 + 2
        return plain_address(IPv6Address(addresses[:16]))
    if family in (_UNSPECIFIED, _UNIX):
        return None
    msg = "the address family is no stream's, or its addresses are cut short"
    raise ProxyHeaderError(msg)
