from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from collector.hit import MAX_HEADER_CHARACTERS, Hit, trace_of
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


def hit(**headers: str) -> Hit:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Hit(AT, HitKind.OPEN, ip_address("203.0.113.7"), named)


def test_a_trace_keeps_what_rules_look_at_and_no_address_or_preference() -> None:
    trace = trace_of(
        hit(
            user_agent=" Agent/1 ",
            accept="*/*",
            accept_language="gsw-CH;q=0.77",
            referer="https://user:pass@Mail.example/inbox/secret?x",
            sec_fetch_dest="image",
            cookie="secret",
            x_forwarded_for="198.51.100.1",
        ),
        4,
        "mark",
        ("own",),
    )
    assert (trace.at, trace.kind, trace.slot) == (AT, HitKind.OPEN, 4)
    assert (trace.agent, trace.network, trace.lists) == ("Agent/1", "mark", ("own",))
    assert trace.headers == {
        "accept": "present",
        "accept-language": "present",
        "referer": "mail.example",
        "sec-fetch-dest": "image",
    }


def test_long_values_are_cut() -> None:
    trace = trace_of(hit(user_agent="x" * 9_000, purpose="y" * 9_000), 0, "", ())
    assert len(trace.agent) == len(trace.headers["purpose"]) == MAX_HEADER_CHARACTERS


@pytest.mark.parametrize("referer", ["", "http://[", "about:blank", "x"])
def test_a_referer_without_a_host_is_not_kept(referer: str) -> None:
    assert "referer" not in trace_of(hit(referer=referer), 0, "", ()).headers


@pytest.mark.parametrize(
    ("value", "withheld"), [("1", True), ("0", False), ("", False), ("1, 1", False)]
)
def test_global_privacy_control_is_the_very_value_1(value: str, withheld: bool) -> None:
    assert hit(sec_gpc=value).withheld is withheld
    assert not hit().withheld
