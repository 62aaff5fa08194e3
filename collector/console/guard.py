"""What holds for every answer: Host, origin and security headers.

Law: a request whose Host is not ours, or that another site's page made a browser send, changes
nothing.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware
from yarl import URL

from collector.console.desk import DESK
from collector.networks import client_address
from config.kinds import is_loopback

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked by machines that know an address and no name; of figures, metrics says who may."""

STATIC_PATH = "/static/"
"""What pages are drawn with; nothing of anybody's mail."""

# data: is for the small drawings inside Pico's stylesheet; nothing else is inline.
PAGE_POLICY = (
    "default-src 'self'; "
    "img-src 'self' data:; "
    "base-uri 'none'; "
    "object-src 'none'; "
    "form-action 'self'; "
    "frame-ancestors 'none'"
)

_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    # With no-referrer browsers send "Origin: null" even to ourselves (Fetch 3.2).
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}

API_PATH = "/api/"
"""What programs ask for, by token: no page, no cookie, no form."""

_READS = frozenset({"GET", "HEAD"})


def is_api(request: web.Request) -> bool:
    """Tell whether a program asks; by the path as the router reads it."""
    return request.rel_url.raw_path.startswith(API_PATH)


def for_pages(middleware: Middleware) -> Middleware:
    """Return a middleware that lets pass by what is no page.

    A token stands in no browser's jar, so no other site can make a browser send it.
    """

    @web.middleware
    async def pages_alone(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await (handler(request) if is_api(request) else middleware(request, handler))

    return pages_alone


def client_of(request: web.Request) -> str:
    """Return the address a request comes from; a trusted proxy's word is taken for it."""
    forwarded = request.headers.getall("X-Forwarded-For", ())
    return str(client_address(request.remote, forwarded, request.app[DESK].trusted_proxies))


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Give an answer the headers it has not set itself."""
    response.headers["Server"] = "indicia"  # without versions
    if request.path.startswith(STATIC_PATH):
        response.headers["Cache-Control"] = "no-cache"  # kept, and asked for whether it has changed
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


@web.middleware
async def refuse_strangers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a Host that is not ours and a change that another site asks for."""
    public_url = request.app[DESK].public_url
    if request.path in PROBES:
        return await handler(request)
    if not is_our_host(request.host, public_url):
        raise web.HTTPMisdirectedRequest(
            text=f"This is the console of {public_url.origin()}. Open it by that address, "
            "or set console.public_url to the one you use."
        )
    if request.method not in _READS and not _asked_by_us(request, public_url):
        raise web.HTTPForbidden(text="Another site asked for this, so nothing was done.")
    return await handler(request)


def is_our_host(host: str, public_url: URL) -> bool:
    """Tell whether a Host header names the console; ports do not matter.

    A console on loopback has every loopback name, so that `localhost` works as well.
    """
    try:
        name = URL(f"http://{host}").host
    except ValueError:
        return False
    ours = public_url.host or ""
    return name == ours or (is_loopback(ours) and is_loopback(name or ""))


def _asked_by_us(request: web.Request, public_url: URL) -> bool:
    # Fetch Metadata (W3C): browsers say who asks, and a page can not make them say otherwise.
    site = request.headers.get("Sec-Fetch-Site")
    if site not in (None, "same-origin", "none"):
        return False
    # RFC 6454 7.3: browsers send Origin with every change; a program that sends none has no
    # cookie of somebody else to misuse, and still needs the form's token.
    origin = request.headers.get("Origin")
    return origin in (None, f"{public_url.scheme}://{request.host}")
