"""The page of policy, over real HTTP."""

import html
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.audit import OPERATOR, Author, pseudonym, select_audit
from ledger.keys import load_audit_key
from ledger.people import Account, add_account
from ledger.policies import KeptPolicy, kept_policy, policy_history
from ledger.role import Role
from ledger.sessions import Person
from relay.standing import rules_of

AUDITOR = Person("otto@example.com", Role.AUDITOR)
ANNA = Person("anna@example.com", Role.ADMIN, "anna@example.com")
RULE = {
    "name": "public offices",
    "recipient": "*@gov.example",
    "mode": "anonymous",
    "reason": "asked by counsel",
}


async def submit(client: Any, path: str, **form: str) -> tuple[int, str, Any]:
    answer: tuple[int, str, Any] = await client.post(
        path, {"form_token": await client.form_token(), **form}
    )
    return answer


async def kept(console: Any) -> KeptPolicy:
    async with console.stores.ledger.read() as connection:
        return await kept_policy(connection)


async def seen(console: Any) -> str:
    return str((await kept(console)).number)


def plain(page: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", page).split()))


async def test_the_switch_is_for_everybody_and_audited_with_its_author(console: Any) -> None:
    author = Author(OPERATOR, datetime.now(UTC), bytes(32))
    await add_account(console.stores.ledger, Account("anna@example.com", Role.ADMIN), author)
    anna = await console.signed_in(ANNA)
    status, _, headers = await submit(anna, "/policy/switch", tracking="off", reason="incident")
    assert (status, headers["Location"]) == (303, "/policy?done=off")
    assert not (await kept(console)).tracking
    _, page, _ = await anna.get("/policy")
    assert "Tracking is off for everybody" in page
    assert "Anna@example.com switched tracking off for everybody incident" in plain(page)
    await submit(anna, "/policy/switch", tracking="on", reason="it is over")
    assert (await kept(console)).tracking
    key = load_audit_key(console.settings.keys_dir)
    async with console.stores.ledger.read() as connection:
        history = await policy_history(connection, 5)
        rows = await select_audit(connection, limit=2)
    assert [change.value for change in history] == [True, False]
    assert {change.actor for change in history} == {pseudonym(key, "anna@example.com")}
    assert [row.entry.action for row in rows] == ["policy.switched"] * 2


async def test_every_page_says_that_tracking_is_off_while_it_is(console: Any) -> None:
    admin = await console.signed_in()
    user = await console.signed_in(Person("uma@acme.example", Role.USER))
    banner = "Tracking is off for everybody: mail goes out as it was written"
    for state in ("off", "on"):
        await submit(admin, "/policy/switch", tracking=state, reason="trying it")
        for person, path in ((admin, "/"), (admin, "/log"), (user, "/"), (user, "/messages")):
            page = plain((await person.get(path))[1])
            assert (banner in page) is (state == "off"), (state, path)


@pytest.mark.parametrize("form", [{"tracking": "off", "reason": " "}, {"reason": "typo"}])
async def test_the_switch_needs_a_reason_and_keeps_what_was_filled_in(
    console: Any, form: dict[str, str]
) -> None:
    admin = await console.signed_in()
    status, page, _ = await submit(admin, "/policy/switch", **form)
    assert (status, 'class="fault"' in page) == (422, True)
    assert form["reason"].strip() in page
    assert (await kept(console)).number == 0


async def test_a_rule_is_tried_then_saved_and_the_relay_reads_it(
    console: Any, explain: Any
) -> None:
    admin = await console.signed_in()
    await console.send([explain("bob@example.org", 1), explain("gail@gov.example", 2)])
    await console.send([explain("gil@gov.example", 1, mode="off", opens=False, clicks="none")])
    status, page, _ = await submit(admin, "/policy/rule", **RULE, do="try")
    assert status == 200
    assert "Of 3 copies of the last 2 sends, 1 would have been treated otherwise" in plain(page)
    assert "1 anonymous instead of by name" in plain(page)
    assert "gail@gov.example" in page
    assert "gil@gov.example" not in page
    assert 'value="*@gov.example"' in page
    assert (await kept(console)).rules == {}
    status, _, headers = await submit(admin, "/policy/rule", **RULE, do="save", seen="0")
    assert (status, headers["Location"]) == (303, "/policy?done=saved")
    policy = await kept(console)
    assert policy.rules == {"public offices": {"recipient": "*@gov.example", "mode": "anonymous"}}
    (rule,) = rules_of(policy)
    assert (rule.name, rule.recipient) == ("public offices", "*@gov.example")
    _, page, _ = await admin.get("/policy")
    assert "to *@gov.example: at most anonymous" in plain(page)
    assert "asked by counsel" in page


async def test_a_rule_is_changed_and_removed_each_with_a_reason(console: Any) -> None:
    admin = await console.signed_in()
    await submit(admin, "/policy/rule", **RULE, do="save", seen="0")
    status, page, _ = await admin.get("/policy/rule?name=public%20offices")
    assert (status, 'value="*@gov.example"' in page) == (200, True)
    changed = {**RULE, "mode": "off", "editing": "yes", "do": "save"}
    assert (await submit(admin, "/policy/rule", **changed, seen=await seen(console)))[0] == 303
    assert (await kept(console)).rules["public offices"]["mode"] == "off"
    gone = {"name": "public offices", "seen": await seen(console)}
    status, page, _ = await submit(admin, "/policy/rule/remove", **gone, reason="")
    assert (status, "Say why" in page) == (422, True)
    assert (await submit(admin, "/policy/rule/remove", **gone, reason="over"))[0] == 303
    assert (await kept(console)).rules == {}
    assert (await submit(admin, "/policy/rule/remove", **gone, reason="again"))[0] == 404
    assert (await admin.get("/policy/rule?name=public%20offices"))[0] == 404
    _, page, _ = await admin.get("/policy")
    assert "removed the rule public offices over" in plain(page)


async def test_of_two_who_change_one_rule_the_later_looks_again(console: Any) -> None:
    admin = await console.signed_in()
    await submit(admin, "/policy/rule", **RULE, do="save", seen="0")
    stale = await seen(console)
    change = {**RULE, "editing": "yes", "do": "save", "seen": stale}
    assert (await submit(admin, "/policy/rule", **change, clicks="no"))[0] == 303
    status, page, _ = await submit(admin, "/policy/rule", **change, opens="no")
    assert (status, "since this page was drawn" in page) == (422, True)
    gone = {"name": "public offices", "reason": "x", "seen": stale}
    status, page, _ = await submit(admin, "/policy/rule/remove", **gone)
    assert (status, "since this page was drawn" in page) == (422, True)
    assert (await kept(console)).rules["public offices"]["clicks"] is False
    assert "opens" not in (await kept(console)).rules["public offices"]


async def test_a_name_is_taken_once(console: Any) -> None:
    admin = await console.signed_in()
    await submit(admin, "/policy/rule", **RULE, do="save", seen="0")
    status, page, _ = await submit(admin, "/policy/rule", **RULE, do="try")
    assert (status, "There is a rule of this name" in page) == (422, True)
    other = {**RULE, "name": "never was", "editing": "yes", "do": "save"}
    status, page, _ = await submit(admin, "/policy/rule", **other)
    assert (status, "Add it anew" in page) == (422, True)


async def test_what_is_wrong_is_told_and_what_was_filled_in_is_there(console: Any) -> None:
    admin = await console.signed_in()
    wrong = {**RULE, "recipient": "<b> no one @", "sender": "*@sales.example"}
    status, page, _ = await submit(admin, "/policy/rule", **wrong, do="save")
    assert (status, "is no pattern of addresses" in page) == (422, True)
    for word in ("public offices", "*@sales.example", "&lt;b&gt; no one @", "asked by counsel"):
        assert word in page
    assert (await kept(console)).number == 0


async def test_an_auditor_looks_and_finds_no_form(console: Any) -> None:
    admin, auditor = await console.signed_in(), await console.signed_in(AUDITOR)
    await submit(admin, "/policy/rule", **RULE, do="save", seen="0")
    status, page, _ = await auditor.get("/policy")
    assert (status, "public offices" in page) == (200, True)
    assert 'method="post" action="/policy' not in page
    assert "/policy/rule" not in page
    assert (await submit(auditor, "/policy/switch", tracking="off", reason="x"))[0] == 403


async def test_history_goes_on_page_by_page_and_hostile_words_are_text(console: Any) -> None:
    admin = await console.signed_in()
    nasty = "<script>alert(1)</script>'\""
    words = {**RULE, "name": nasty, "reason": nasty, "do": "save"}
    assert (await submit(admin, "/policy/rule", **words, seen="0"))[0] == 303
    for number in range(30):
        await submit(admin, "/policy/switch", tracking="on", reason=f"try {number}")
    _, page, _ = await admin.get("/policy")
    older = re.search(r'href="(/policy\?before=\d+)"', page)
    assert older
    _, further, _ = await admin.get(older[1])
    assert html.escape(nasty, quote=False)[:20] in further
    for shown in (page, further):
        assert "<script>alert" not in shown
    edit = re.search(r'href="(/policy/rule\?name=[^"]+)"', page)
    assert edit
    assert (await admin.get(edit[1]))[0] == 200
    assert "nothing older" in (await admin.get("/policy?before=1"))[1]


async def test_rules_of_the_configuration_are_shown_and_their_names_taken(
    start_console: Any,
) -> None:
    rule = {"name": "boards", "sender": "*@board.example", "opens": False, "clicks": False}
    console = await start_console(rules=[rule])
    admin = await console.signed_in()
    _, page, _ = await admin.get("/policy")
    assert "boards from *@board.example: no pixel, no tracked links configuration" in plain(page)
    assert "Without a consent on record by name" in plain(page)
    status, page, _ = await submit(admin, "/policy/rule", **{**RULE, "name": "boards"}, do="save")
    assert (status, "The configuration has a rule of this name" in page) == (422, True)


async def test_what_is_in_force_for_a_pair_is_told_with_what_decides_each_value(
    start_console: Any,
) -> None:
    office = {"name": "file", "recipient": "*@gov.example", "opens": False}
    console = await start_console([office])
    admin = await console.signed_in()
    words = {**RULE, "name": "kept", "mode": "shared"}
    await submit(admin, "/policy/rule", **words, do="save", editing="no", seen="0")
    about = {"about": "bob@gov.example", "method": "spoken"}
    await submit(admin, "/consent", **about, state="granted")
    reader = await console.signed_in(AUDITOR)
    pair = "from=ann@sales.example&to=bob@gov.example"
    _, page, _ = await reader.get(f"/policy?{pair}")
    said = plain(page)
    assert 'value="bob@gov.example"' in page
    assert "Mode shared because of the rule “kept”" in said
    assert "Opens no because of the rule “file”" in said
    assert "Clicks html because of the general setting tracking.text_clicks" in said
    await submit(admin, "/consent", **about, state="denied")
    _, page, _ = await reader.get(f"/policy?{pair}")
    assert "Mode not tracked because of consent: denied" in plain(page)
    await submit(admin, "/policy/switch", tracking="off", reason="incident")
    _, page, _ = await reader.get("/policy?to=eve@example.org")
    assert "Mode not tracked because of the switch that turns tracking off for everybody" in plain(
        page
    )


async def test_a_pair_that_can_not_be_read_is_told_beside_its_field(console: Any) -> None:
    admin = await console.signed_in()
    status, page, _ = await admin.get("/policy?from=nobody&to=%3Cscript%3E")
    assert (status, page.count('class="fault"')) == (422, 2)
    assert "<script>" not in page
    assert 'aria-label="What would be done"' not in page
