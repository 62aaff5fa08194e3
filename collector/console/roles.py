"""What each role may see and do: one table for all routes.

Law: a route that is not in the table is nobody's.
"""

from collections.abc import Mapping

from ledger.role import Role

_EVERYBODY = frozenset(Role)
_OVERSEERS = frozenset({Role.ADMIN, Role.AUDITOR})
_ADMINS = frozenset({Role.ADMIN})

OPEN = frozenset(
    {
        "/healthz",
        "/readyz",
        "/metrics",
        "/login",
        "/login/provider",
        "/login/callback",
        "/static",
    }
)
"""Routes that answer strangers, and so every role."""

MAY: Mapping[str, frozenset[Role]] = {
    "POST /logout": _EVERYBODY,
    # A user sees his own mail there, and nothing of others': collector.console.own.
    "GET /": _EVERYBODY,
    "GET /feed": _EVERYBODY,
    "GET /live": _EVERYBODY,
    "GET /messages": _EVERYBODY,
    "GET /messages/{send_id}": _EVERYBODY,
    "GET /stats": _EVERYBODY,
    "GET /log": _EVERYBODY,
    "GET /log/events.csv": _EVERYBODY,
    "GET /log/events.ndjson": _EVERYBODY,
    # His own questions.
    "POST /log/views": _EVERYBODY,
    "POST /log/views/remove": _EVERYBODY,
    # The content of mail, whoever sent it.
    "GET /captured": _OVERSEERS,
    "GET /captured/{copy_id}": _OVERSEERS,
    "GET /captured/{copy_id}/body": _OVERSEERS,
    "GET /captured/{copy_id}/mail.eml": _OVERSEERS,
    "GET /queue": _OVERSEERS,
    "POST /queue": _ADMINS,
    "GET /policy": _OVERSEERS,
    "POST /policy/switch": _ADMINS,
    "GET /policy/rule": _ADMINS,
    "POST /policy/rule": _ADMINS,
    "POST /policy/rule/remove": _ADMINS,
    "GET /consent": _OVERSEERS,
    "POST /consent": _ADMINS,
    # A user sees there what came of his own mail to the recipient.
    "GET /recipients/{address}": _EVERYBODY,
    # His own browser: whose mail he may see does not matter.
    "GET /mine": _EVERYBODY,
    # What he himself is told, and of his own mail alone.
    "GET /notices": _EVERYBODY,
    "POST /notices": _EVERYBODY,
    "GET /audit": _OVERSEERS,
    "GET /people": _ADMINS,
    "POST /people": _ADMINS,
    "POST /people/role": _ADMINS,
    "POST /people/send-as": _ADMINS,
    "POST /people/password": _ADMINS,
    "POST /people/disabled": _ADMINS,
}
"""Who may use a route, by method and by path as the router writes it."""


def may(role: Role, method: str, route: str) -> bool:
    """Tell whether a role may use a route; HEAD is GET."""
    if route in OPEN:
        return True
    return role in MAY.get(f"{'GET' if method == 'HEAD' else method} {route}", frozenset())
