"""What of an HTTP request matters here: a word."""

from collections.abc import Mapping
from dataclasses import dataclass

from collector.hit import IpAddress


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as it came."""

    method: str
    target: str
    """As on the request line, undecoded."""
    client: IpAddress | None
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes = b""
    """Of a form; what is longer than a form can be is cut."""
