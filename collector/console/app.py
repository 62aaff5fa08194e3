"""Wiring of the console: its routes, and how it is served."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from yarl import URL

from collector.console.access import PROVIDER_RETURN, require_role, require_session
from collector.console.api.served import add_api, tell_problems
from collector.console.audit import show_audit
from collector.console.captured import (
    give_captured,
    show_captured,
    show_captured_body,
    show_captured_copy,
)
from collector.console.consent import set_consent, show_consent
from collector.console.desk import DESK, Desk
from collector.console.door import Door
from collector.console.federated import begin_sign_in, end_sign_in
from collector.console.feed import show_feed, show_stories, stream_news
from collector.console.guard import Handler, add_headers, for_pages, refuse_strangers
from collector.console.health import tell_alive, tell_ready
from collector.console.log import export_csv, export_ndjson, keep_view, remove_view, show_log
from collector.console.login import show_sign_in, sign_in, sign_out
from collector.console.messages import show_message, show_messages
from collector.console.metrics import METER, Meter, tell_metrics
from collector.console.mine import show_mine
from collector.console.notices import choose_notices, show_notices
from collector.console.page import STATIC, render_page, set_up_pages
from collector.console.pair import Decide
from collector.console.people import (
    add_person,
    change_password,
    change_role,
    change_send_as,
    show_people,
    switch_person,
)
from collector.console.policy import (
    draft_rule,
    remove_rule,
    show_policy,
    show_rule,
    switch_tracking,
)
from collector.console.provider import Provider
from collector.console.queue import change_queue, show_queue
from collector.console.recipient import show_recipient
from collector.console.stats import show_stats
from collector.console.throttle import Throttle
from collector.console.watch import Watch
from config.settings import Console, Settings
from ledger.keys import load_audit_key, load_keys
from ledger.migrate import Stores

_MAX_FORM_BYTES = 64 * 1024
"""Forms here hold a secret and a few words."""
_SHUTDOWN_S = 5.0
"""Live pages end at once when the watch is closed; what else runs is drawing a page."""

_TITLES = {
    401: "Sign in first",
    403: "Not allowed",
    404: "There is no such page",
    421: "Wrong address",
}


_ROUTES = (
    web.get("/healthz", tell_alive),
    web.get("/readyz", tell_ready),
    web.get("/metrics", tell_metrics),
    web.get("/login", show_sign_in, allow_head=False),
    web.post("/login", sign_in),
    web.get("/login/provider", begin_sign_in, allow_head=False),
    web.get(PROVIDER_RETURN, end_sign_in, allow_head=False),
    web.post("/logout", sign_out),
    web.get("/", show_feed),
    web.get("/feed", show_stories),
    web.get("/live", stream_news, allow_head=False),
    web.get("/messages", show_messages),
    web.get("/messages/{send_id}", show_message),
    web.get("/log", show_log),
    web.get("/log/events.csv", export_csv, allow_head=False),
    web.get("/log/events.ndjson", export_ndjson, allow_head=False),
    web.post("/log/views", keep_view),
    web.post("/log/views/remove", remove_view),
    web.get("/stats", show_stats),
    web.get("/captured", show_captured),
    web.get(r"/captured/{copy_id:\d{1,19}}", show_captured_copy),
    web.get(r"/captured/{copy_id:\d{1,19}}/body", show_captured_body),
    web.get(r"/captured/{copy_id:\d{1,19}}/mail.eml", give_captured),
    web.get("/queue", show_queue),
    web.post("/queue", change_queue),
    web.get("/policy", show_policy),
    web.post("/policy/switch", switch_tracking),
    web.get("/policy/rule", show_rule),
    web.post("/policy/rule", draft_rule),
    web.post("/policy/rule/remove", remove_rule),
    web.get("/consent", show_consent),
    web.post("/consent", set_consent),
    web.get("/recipients/{address}", show_recipient),
    web.get("/audit", show_audit),
    web.get("/mine", show_mine),
    web.get("/notices", show_notices),
    web.post("/notices", choose_notices),
    web.get("/people", show_people),
    web.post("/people", add_person),
    web.post("/people/role", change_role),
    web.post("/people/send-as", change_send_as),
    web.post("/people/password", change_password),
    web.post("/people/disabled", switch_person),
    web.static("/static", STATIC),
)
"""Who may take each stands in `roles.MAY`."""


def build_console(settings: Settings, stores: Stores, decide: Decide) -> web.Application:
    """Return the console as an application on open stores; close nothing of them.

    `decide` is the relay's judgement, of which the console has none of its own.
    """
    app = web.Application(
        middlewares=[
            tell_problems,
            for_pages(show_errors),
            for_pages(refuse_strangers),
            for_pages(require_session),
            for_pages(require_role),
        ],
        client_max_size=_MAX_FORM_BYTES,
    )
    app[DESK] = Desk(
        ledger=stores.ledger,
        spool=stores.spool,
        public_url=URL(settings.console.public_url),
        sandbox=settings.captures,
        watch=Watch(stores.ledger),
        door=Door(stores.ledger),
        provider=_provider_of(settings.console),
        arrivals=Throttle(),
        trusted_proxies=settings.collector.trusted_proxies,
        audit_key=load_audit_key(settings.keys_dir),
        tracking=settings.tracking,
        rules=settings.rule,
        decide=decide,
        signing_key=load_keys(settings.keys_dir).current,
        bases=(settings.tracking.base_url, *(one.base_url for one in settings.tracking_host)),
        notices=settings.notices,
    )
    app[METER] = Meter(stores.ledger, stores.spool, settings.server.state_dir / "spill.db")
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(_end_live_pages)
    app.on_cleanup.append(_close_door)
    set_up_pages(app)
    app.add_routes(_ROUTES)
    add_api(app)
    return app


@asynccontextmanager
async def run_console(
    settings: Settings, stores: Stores, decide: Decide, sockets: Sequence[socket.socket] = ()
) -> AsyncIterator[tuple[int, ...]]:
    """Serve the console while the block runs; give the ports.

    It listens on `sockets` where there are any, else on `console.listen`.
    """
    runner = web.AppRunner(
        build_console(settings, stores, decide),
        access_log=None,
        shutdown_timeout=_SHUTDOWN_S,
    )
    await runner.setup()
    try:
        for opened in sockets:
            await web.SockSite(runner, opened).start()
        for endpoint in () if sockets else settings.console.listen:
            await web.TCPSite(runner, endpoint.host, endpoint.port).start()
        yield tuple(address[1] for address in runner.addresses)
    finally:
        await runner.cleanup()


@web.middleware
async def show_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Draw a page for an answer that only has a number."""
    try:
        return await handler(request)
    except web.HTTPError as error:
        title = _TITLES.get(error.status, error.reason)
        # aiohttp's own text repeats the number; ours tell why.
        told = error.text if error.text and not error.text.startswith(str(error.status)) else ""
        page = render_page(request, "error.html", {"title": title, "told": told}, error.status)
        for name in ("Allow", "Retry-After"):
            if name in error.headers:
                page.headers[name] = error.headers[name]
        return page


def _provider_of(console: Console) -> Provider | None:
    redirect_uri = str(URL(console.public_url).join(URL(PROVIDER_RETURN)))
    return Provider(console.oidc, redirect_uri) if console.oidc.enabled else None


async def _end_live_pages(app: web.Application) -> None:
    await app[DESK].watch.close()


async def _close_door(app: web.Application) -> None:
    app[DESK].door.close()
