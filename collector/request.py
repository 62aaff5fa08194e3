"""What of an HTTP request matters here: a word."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

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


def asked_by_us(request: Request) -> bool:
    """Tell whether a form was sent from a page of ours, as far as the browser says."""
    # Fetch Metadata (W3C) and RFC 6454 7.3: browsers say who asks, and a page can not make them
    # say otherwise. The URL is the secret here: who does not have it has nothing to forge.
    if request.headers.get("sec-fetch-site") not in (None, "same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
