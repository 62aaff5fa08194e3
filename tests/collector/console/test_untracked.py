"""Why mail was not tracked lately: counted, in words, with the mend of docs/reasons.md."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collector.console.untracked import tell_mend, tell_untracked
from ledger.audit import OPERATOR, Author
from ledger.people import Account, add_account
from ledger.role import Role
from ledger.sessions import Person
from relay.limit import SWITCHED_OFF

REASONS = Path(__file__).parents[3] / "docs" / "reasons.md"
UMA = Person("Uma@acme.example", Role.USER, "uma@acme.example")


def off(because: str, name: str) -> dict[str, Any]:
    reason = {"of": "mode", "is": "off", "because": because, "name": name}
    return {"recipient": "bob@example.org", "mode": "off", "reasons": [reason]}


def test_each_send_that_is_tracked_for_nobody_is_counted_under_one_reason() -> None:
    """Law: each send that is tracked for nobody is counted under one reason."""
    tracked = {"recipient": "eve@example.org", "mode": "individual", "reasons": []}
    lately = tell_untracked(
        [
            [off("content", "dkim_signed")],
            [off("content", "dkim_signed"), off("consent", "eve@example.org")],
            [off("rule", "public sector")],
            [off("rule", "public sector"), tracked],
            [tracked],
            [],
            [tracked | {"mode": "off"}],
        ]
    )
    assert (lately.sends, lately.untracked) == (7, 4)
    assert [one.count for one in lately.reasons] == [2, 1, 1]
    assert "DKIM-signed" in lately.reasons[0].because
    assert "resign" in lately.reasons[0].mend


def test_every_reason_of_a_whole_message_has_the_mend_of_the_documentation() -> None:
    part = REASONS.read_text(encoding="utf-8").split("## The whole message")[1]
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|", part.split("## A part")[0], re.MULTILINE)
    assert len(rows) > 10
    for code, mend in rows:
        assert tell_mend("content", code) == mend.replace("`", ""), code
    assert tell_mend("content", "new") == ""
    assert tell_mend("ceiling", "tracking.mode") == "Raise tracking.mode in the configuration."
    assert tell_mend("ceiling", SWITCHED_OFF.name) == "It can be switched on again under Policy."


async def test_the_first_page_says_why_to_whom_the_mail_is(console: Any, explain: Any) -> None:
    author = Author(OPERATOR, datetime.now(UTC), bytes(32))
    await add_account(console.stores.ledger, Account(UMA.name, UMA.role), author)
    left = explain("bob@example.org", 1) | off("content", "dkim_signed")
    await console.send([left], sender="max@acme.example")
    await console.send([left], sender="info@acme.example", account="Uma@acme.example")
    await console.send([explain("bob@example.org", 1)])
    admin, user = await console.signed_in(), await console.signed_in(UMA)
    assert "2 of the last 3 mails were not tracked" in (await admin.get("/"))[1]
    assert "1 of the last 1 mail was not tracked" in (await user.get("/"))[1]
    assert "not tracked" not in (await user.get("/feed"))[1]
