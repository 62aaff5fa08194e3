"""What schemathesis is told: formats it does not know or draws otherwise, and whence it asks."""

import string
from itertools import count

import schemathesis
from hypothesis import strategies as st
from requests import PreparedRequest
from requests.adapters import HTTPAdapter

_LETTERS = string.ascii_lowercase + string.digits
_LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True).filter(
    lambda label: label[2:4] != "--"  # RFC 5891 4.2.3.1: such labels are kept for IDNA
)
_DOMAIN = st.builds(".".join, st.lists(_LABEL, min_size=2, max_size=4))
# RFC 5321 4.1.2: a Dot-string; its letters may be of any script (RFC 6531 3.3).
_ATOM = st.text(st.sampled_from(_LETTERS + "!#$%&'*+/=?^_`{|}~-åß日"), min_size=1, max_size=12)
_LOCAL = st.builds(".".join, st.lists(_ATOM, min_size=1, max_size=3)).filter(
    lambda local: len(local.encode()) <= 64
)

schemathesis.openapi.format("idn-hostname", _DOMAIN)
schemathesis.openapi.format("idn-email", st.builds("{}@{}".format, _LOCAL, _DOMAIN))
# Real ones come from answers; of texts nearly all are none.
schemathesis.openapi.format("cursor", st.just(""))
# Without the years and zones of which Python has no instant: RFC 3339 has a year 0.
schemathesis.openapi.format(
    "date-time",
    st.builds(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format,
        st.integers(1, 9999),
        st.integers(1, 12),
        st.integers(1, 28),
        *(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59)),
    ),
)


_clients = count(1)


def _tell_client(_adapter: HTTPAdapter, request: PreparedRequest, **_options: object) -> None:
    """Let each request come from another client: bad tokens of one have to wait."""
    number = next(_clients)
    client = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    request.headers["X-Forwarded-For"] = client


# Here and in no hook: some checks ask by themselves, and judge a case by the headers it has.
HTTPAdapter.add_headers = _tell_client  # type: ignore[method-assign, assignment]  # as said
