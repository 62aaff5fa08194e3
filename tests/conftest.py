"""The decision table of the policy, for every test that asks for `policy_row`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.address import Address, parse_address
from ledger.mode import TrackingMode
from relay.mail import Client, Envelope, Submission
from relay.policy import Policy, Rule


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One row of policy_table.md: a mail under a configuration, and what must come of it."""

    shown: str
    policy: Policy
    submission: Submission
    mode: str
    opens: bool
    clicks: str
    because: tuple[str, ...]
    """What decided mode, opens and clicks."""

    @property
    def recipient(self) -> Address:
        """The recipient whom the row is about: the first."""
        return self.submission.envelope.recipients[0]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `policy_row` on every row of the table."""
    if "policy_row" in metafunc.fixturenames:
        text = (Path(__file__).parent / "relay" / "policy_table.md").read_text(encoding="utf-8")
        rows = [_policy_row(line) for line in text.splitlines() if _is_row(line)]
        metafunc.parametrize("policy_row", rows, ids=[row.shown for row in rows])


def _is_row(line: str) -> bool:
    return line.startswith("| ") and not line.startswith("| shown ")


def _policy_row(line: str) -> PolicyRow:
    shown, configuration, mail, mode, opens, clicks, because = (
        cell.strip() for cell in line.strip("|").split("|")
    )
    named = tuple(part.strip() for part in because.split(";"))
    return PolicyRow(
        shown,
        _policy(_items(configuration)),
        _submission(_items(mail)),
        mode,
        {"yes": True, "no": False}[opens],
        clicks,
        named if len(named) > 1 else named * 3,
    )


def _items(cell: str) -> list[str]:
    return [item for part in cell.split(";") if (item := part.strip())]


def _policy(items: list[str]) -> Policy:
    options = dict(item.split("=", 1) for item in items if not item.startswith("rule "))
    seats = options.get("clicks") == "seats"
    return Policy(
        hostname="relay.example.com",
        base_url="https://t.example.com",
        mode=TrackingMode(options.get("mode", "individual")),
        opens=options.get("opens") != "false",
        clicks=bool(options.get("seats")) if seats else options.get("clicks") != "false",
        seats=tuple(options.get("seats", "").split()) if seats else None,
        max_copies=int(options.get("max_copies", "50")),
        unknown_consent=TrackingMode(options.get("unknown_consent", "individual")),
        internal_domains=tuple(options.get("internal_domains", "").split()),
        text_clicks=options.get("text_clicks") == "true",
        rules=tuple(_rule(item) for item in items if item.startswith("rule ")),
    )


def _rule(item: str) -> Rule:
    name, *pairs = (part.strip() for part in item.removeprefix("rule ").split(","))
    said = dict(pair.split("=", 1) for pair in pairs)
    return Rule(
        name,
        said.get("sender"),
        said.get("account"),
        said.get("recipient"),
        TrackingMode(said.get("mode", "individual")),
        opens=said.get("opens") != "false",
        clicks=said.get("clicks") != "false",
    )


def _submission(items: list[str]) -> Submission:
    fields = [item for item in items if re.match(r"[!-9;<>-~]+:", item)]
    said = dict(item.split("=", 1) for item in items if item not in fields)
    sender = said.get("from", "ann@sales.example")
    others = (f"other{number}@inside.example" for number in range(int(said.get("others", "0"))))
    recipients = (said.get("to", "bob@example.org"), *others)
    return Submission(
        send_id="01ARYZ6S410000000000000000",
        envelope=Envelope(
            parse_address(sender) if sender else None, tuple(map(parse_address, recipients))
        ),
        raw="\r\n".join([*fields, "Content-Type: text/html", "", "<p>Hello</p>", ""]).encode(),
        received_at=datetime(2026, 11, 23, 12, tzinfo=UTC),
        client=Client("127.0.0.1", "localhost"),
        account=said.get("account"),
    )
