"""What is answered: pixel, redirect, pages; never cached, never open.

Law: a pixel is answered alike, whether its token is good, unknown or forged.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ada_url import URL

from collector.target import Page

# The smallest transparent GIF with a colour table: one pixel, GIF89a, 43 bytes.
GIF = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)

_CONTROL = re.compile(rb"[^!-~]")
"""What the URL Standard's serialisation never holds, and what would end a header field."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


def _page(title: str, *paragraphs: str) -> bytes:
    text = "".join(f"<p>{paragraph}</p>\n" for paragraph in paragraphs)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n{text}</body>\n</html>\n"
    ).encode()


def _headers(content_type: str, **more: str) -> Mapping[str, str]:
    fields = {"Content-Type": content_type, "Cache-Control": "no-store"}
    return MappingProxyType(
        fields | {name.replace("_", "-"): value for name, value in more.items()}
    )


_HTML = _headers(
    "text/html; charset=utf-8",
    Content_Security_Policy="default-src 'none'; frame-ancestors 'none'",
    Referrer_Policy="no-referrer",
    X_Content_Type_Options="nosniff",
    X_Robots_Tag="noindex",
)


def answer_html(title: str, *paragraphs: str, cookie: str | None = None) -> Answer:
    """Return a page of our own words, which are HTML, and what it asks the browser to keep."""
    fields = _HTML if cookie is None else MappingProxyType({**_HTML, "Set-Cookie": cookie})
    return Answer(200, fields, _page(title, *paragraphs))


_TEXT = _headers("text/plain; charset=utf-8")

PIXEL = Answer(200, _headers("image/gif"), GIF)

NOT_FOUND = Answer(
    404,
    _HTML,
    _page(
        "This link can not be followed",
        "The address is incomplete, was changed on its way, or was never a link of ours. "
        "To be safe, you are not sent anywhere.",
        "Please go back to the mail and use the link there, or ask its sender for the address.",
    ),
)

_HEALTH = Answer(200, _TEXT, b"ok\n")
_ROBOTS = Answer(200, _TEXT, b"User-agent: *\nDisallow: /c/\nDisallow: /o/\nDisallow: /w/\n")
FAULT = Answer(500, _TEXT, b"This can not be answered now.\n")
NO_BODY = Answer(400, _TEXT, b"A request for this has no body.\n")
METHOD_NOT_ALLOWED = Answer(405, _headers("text/plain; charset=utf-8", Allow="GET, HEAD, OPTIONS"))
PAGE_NOT_ALLOWED = Answer(
    405, _headers("text/plain; charset=utf-8", Allow="GET, HEAD, OPTIONS, POST")
)

_PAGES: Mapping[Page, Answer] = MappingProxyType(
    {
        Page.HEALTH: _HEALTH,
        Page.ROBOTS: _ROBOTS,
    }
)


def answer_page(page: Page) -> Answer:
    """Return the response for what is no hit and the same for everybody."""
    return _PAGES.get(page, NOT_FOUND)


def answer_click(url: str) -> Answer:
    """Return the redirect to a link's URL, without its fragment, which the browser carries over.

    Law: the redirect leads to the URL that was in the mail, by the URL Standard, or nowhere.
    """
    location = serialise_url(url)
    if location is None:
        return NOT_FOUND
    return Answer(
        302,
        _headers(
            "text/plain; charset=utf-8",
            Location=location,
            Referrer_Policy="no-referrer",
            X_Robots_Tag="noindex",
        ),
        b"See Location.\n",
    )


def serialise_url(url: str) -> str | None:
    """Return an http or https URL as the URL Standard serialises it, without its fragment.

    None where it is none, or where a character could break out of the header field.
    """
    if _CONTROL.search(url.encode("utf-8", "surrogateescape")):
        return None
    try:
        parsed = URL(url)
    except ValueError:
        return None
    if parsed.protocol not in ("http:", "https:") or not parsed.hostname:
        return None
    parsed.hash = ""
    return str(parsed.href)
