"""How a page is drawn: jinja2 with escaping on, and what all pages show."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import aiohttp_jinja2
import jinja2
from aiohttp import web

from collector.console import wording
from collector.console.desk import DESK
from collector.console.roles import may
from collector.console.signs import tell_reasons
from ledger.sessions import Person

PAGES = Path(__file__).parent / "pages"
STATIC = Path(__file__).parent / "static"

_MAX_NUMBER = 2**63 - 1

PERSON = web.RequestKey("person", Person)
"""Who has signed in; set by access."""
SWITCHED_OFF = web.RequestKey("switched_off", bool)
"""Whether tracking is off for everybody; set by access."""
FORM_TOKEN = web.RequestKey("form_token", str)
"""What a form must bring to change anything; set by access."""


def set_up_pages(app: web.Application) -> None:
    """Give an application its templates."""
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(PAGES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        filters={
            "instant": tell_instant,
            "utc": tell_utc,
            "day": lambda at: at.astimezone(UTC).date().isoformat(),
            "day_utc": lambda at: at.astimezone(UTC).strftime("%-d %b %Y"),
            "segment": lambda text: quote(text, safe=""),
            "size": tell_size,
            "capitalize_first": lambda text: text[:1].upper() + text[1:],
        },
    )
    environment.globals["words"] = wording
    environment.globals["tell_reasons"] = tell_reasons


def render_page(
    request: web.Request, name: str, shown: Mapping[str, object], status: int = 200
) -> web.Response:
    """Return a page with what it shows, and the frame every page has."""
    person = request.get(PERSON)
    frame = {
        "path": request.path,
        "person": person,
        "opens": lambda route: person is not None and may(person.role, "GET", route),
        "form_token": request.get(FORM_TOKEN),
        "sandbox": request.app[DESK].sandbox,
        "switched_off": request.get(SWITCHED_OFF, False),
    }
    return aiohttp_jinja2.render_template(name, request, {**frame, **shown}, status=status)


def read_number(text: str) -> int | None:
    """Return the number of a row that a text is, None where it is none."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_MAX_NUMBER)):
        return None
    return min(int(text), _MAX_NUMBER)


def tell_instant(at: datetime) -> str:
    """Return an instant for a `datetime` attribute: UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tell_utc(at: datetime) -> str:
    """Return an instant for the eye, where no script puts it into the reader's zone."""
    return at.astimezone(UTC).strftime("%-d %b %Y, %H:%M UTC")


def tell_size(size_bytes: int) -> str:
    """Return a size as people write it."""
    if size_bytes < 1024:  # noqa: PLR2004 - the unit itself
        return f"{size_bytes} bytes"
    kib = size_bytes / 1024
    return f"{kib:.0f} KB" if kib < 1024 else f"{kib / 1024:.1f} MB"  # noqa: PLR2004 - the unit
