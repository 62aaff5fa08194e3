"""The page of consent, over real HTTP."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from collector.console.consent import PAGE_SUBJECTS
from ledger.address import parse_address
from ledger.audit import OPERATOR, pseudonym, select_audit
from ledger.consent import Consent, Method, forgotten_subject, parse_subject
from ledger.consents import ConsentTold, consent_history, consent_holding, tell_consent
from ledger.keys import load_audit_key
from ledger.role import Role
from ledger.sessions import Person

AUDITOR = Person("otto@example.com", Role.AUDITOR)
TOLD = {
    "about": "Rita+news@example.org",
    "state": "denied",
    "method": "spoken",
    "source": "call of 12 March",
    "text": "May we see\nwhether you read our mail?",
}


async def submit(client: Any, **form: str) -> tuple[int, str, Any]:
    answer: tuple[int, str, Any] = await client.post(
        "/consent", {"form_token": await client.form_token(), **form}
    )
    return answer


async def tell(console: Any, *subjects: str, state: Consent = Consent.GRANTED) -> None:
    told = ConsentTold(state, datetime.now(UTC), Method.IMPORT, OPERATOR, "list.csv")
    async with console.stores.ledger.write() as connection:
        for subject in subjects:
            await tell_consent(connection, parse_subject(subject), told)


async def test_what_is_recorded_holds_with_its_provenance_and_is_audited(console: Any) -> None:
    admin = await console.signed_in()
    status, _, headers = await submit(admin, **TOLD)
    assert status == 303
    _, page, _ = await admin.get(headers["Location"])
    for word in ("Recorded.", "denied", "by word of mouth", "call of 12 March", "the operator"):
        assert word in page
    assert "whether you read our mail?" in page
    key = load_audit_key(console.settings.keys_dir)
    async with console.stores.ledger.read() as connection:
        (told,) = await consent_history(connection, parse_subject(TOLD["about"]))
        assert (
            await consent_holding(connection, parse_subject("rita@example.org")) is Consent.DENIED
        )
        (row,) = await select_audit(connection, limit=1)
    assert (told.state, told.method, told.source) == (Consent.DENIED, Method.SPOKEN, TOLD["source"])
    assert row.entry.action == "consent.told"
    assert row.entry.subject == pseudonym(key, parse_address(TOLD["about"]).key)
    assert "example.org" not in str(row.entry)


async def test_what_was_told_of_the_domain_bears_on_the_address(console: Any) -> None:
    auditor = await console.signed_in(AUDITOR)
    await tell(console, "rita@example.org")
    await tell(console, "example.org", state=Consent.DENIED)
    _, page, _ = await auditor.get("/consent?about=RITA@example.org")
    assert "Told of example.org, which bears on it" in page
    assert re.search(r'<h2>RITA@example.org</h2><span class="chip denied">denied', page)
    assert 'method="post" action="/consent"' not in page
    _, page, _ = await auditor.get("/consent?about=example.org")
    assert "which bears on it" not in page
    _, page, _ = await auditor.get("/consent?about=nobody@example.net")
    assert "Nothing was ever told of it." in page
    assert (await submit(auditor, **TOLD))[0] == 403


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"about": ""}, "Write whose consent it is"),
        ({"about": "rita at <b>home"}, "is no mail address and no domain"),
        ({"about": "~" + "0" * 64}, "Who is forgotten"),
        ({"state": "perhaps"}, "Choose what was told"),
        ({"method": ""}, "Choose how it was told"),
        ({"source": "x" * 501}, "at most 500"),
        ({"text": "x" * 8001}, "at most 8000"),
    ],
)
async def test_what_is_wrong_is_told_and_nothing_is_lost_or_recorded(
    console: Any, said: dict[str, str], why: str
) -> None:
    admin = await console.signed_in()
    form = {**TOLD, **said}
    status, page, _ = await submit(admin, **form)
    assert (status, why in page) == (422, True)
    for name in ("source", "text"):
        assert form[name] in page
    _, page, _ = await admin.get("/consent")
    assert "Nothing was told so far" in page


async def test_all_that_holds_is_listed_page_by_page_and_the_forgotten_have_no_name(
    console: Any,
) -> None:
    auditor = await console.signed_in(AUDITOR)
    await tell(console, *(f"p{number:02}@example.org" for number in range(PAGE_SUBJECTS + 3)))
    forgotten = forgotten_subject(bytes(32), parse_subject("gone@example.org"))
    await tell(console, forgotten.key, state=Consent.DENIED)
    _, page, _ = await auditor.get("/consent")
    first = re.findall(r"<strong>(p\d+)@example.org</strong>", page)
    further = re.search(r'href="(/consent\?after=[^"]+)"', page)
    assert further
    _, page, _ = await auditor.get(further[1])
    rest = re.findall(r"<strong>(p\d+)@example.org</strong>", page)
    assert first + rest == [f"p{number:02}" for number in range(PAGE_SUBJECTS + 3)]
    assert f"somebody forgotten ({forgotten.key[1:9]})" in page
    assert "nothing further on" in (await auditor.get("/consent?after=~~"))[1]


async def test_a_denial_outlasts_its_address(console: Any) -> None:
    admin = await console.signed_in()
    key = load_audit_key(console.settings.keys_dir)
    gone = forgotten_subject(key, parse_subject("gone@example.org"))
    await tell(console, gone.key, state=Consent.DENIED)
    _, page, _ = await admin.get("/consent?about=gone@example.org")
    assert "his denial holds on" in page
    await submit(admin, **{**TOLD, "about": "gone@example.org", "state": "granted"})
    async with console.stores.ledger.read() as connection:
        holds = await consent_holding(connection, parse_subject("gone@example.org"), key)
    assert holds is Consent.GRANTED


async def test_hostile_words_are_shown_as_text(console: Any) -> None:
    admin = await console.signed_in()
    nasty = "<img src=x onerror=alert(1)>'\"{{ 7 * 7 }}"
    status, _, headers = await submit(admin, **{**TOLD, "source": nasty, "text": nasty})
    assert status == 303
    for path in (headers["Location"], "/consent", f"/consent?about={nasty.replace(' ', '%20')}"):
        _, page, _ = await admin.get(path)
        assert "<img src=x" not in page
        assert "49" not in re.findall(r"\b49\b", re.sub(r'name="form_token" value="\w+"', "", page))
