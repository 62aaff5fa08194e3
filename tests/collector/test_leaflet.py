from datetime import UTC, date, datetime
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.leaflet import Leaflet, Operator, mask_address, words_for
from collector.speech.choose import LANGUAGES
from collector.speech.phrases import Phrases
from ledger.address import Address, parse_address
from ledger.consent import Consent
from ledger.disclosed import Disclosure, SeenDay
from ledger.event import EventType
from ledger.mode import TrackingMode
from ledger.withdrawals import CopyParty

LEAFLET = Leaflet(Operator())
AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
LOCALS = st.text("abcdefghijklmnopqrstuvwxyz+.", min_size=2, max_size=20).filter(
    lambda text: ".." not in text and text[0] != "." and text[-1] != "."
)


def known(
    *recipients: str, mode: TrackingMode = TrackingMode.INDIVIDUAL, **more: object
) -> Disclosure:
    party = CopyParty(mode, "a@example.com", AT, "", tuple(map(parse_address, recipients)))
    return Disclosure(party, **more)  # type: ignore[arg-type] # each case has its own


def text_of(disclosure: Disclosure | None, phrases: Phrases = LANGUAGES[0], **more: bool) -> str:
    anonymous = more.get("anonymous", False)
    answer = LEAFLET.draw_record(phrases, disclosure, anonymous=anonymous)
    return unescape(answer.body.decode())


@given(local=LOCALS, shared=st.booleans())
def test_law_no_page_holds_an_address_of_anybody_but_the_sender_in_full(
    local: str, shared: bool
) -> None:
    """Law: no page holds an address of anybody but the sender in full."""
    address = f"{local}@example.org"
    people = (address, "c@example.org") if shared else (address,)
    mode = TrackingMode.SHARED if shared else TrackingMode.INDIVIDUAL
    page = text_of(known(*people, mode=mode))
    assert address not in page
    assert "a@example.com" in page
    assert ("example.org" in page) is not shared


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("bob@example.org", "b…@example.org"),
        ("b@example.org", "b…@example.org"),
        ('"b c"@example.org', "b…@example.org"),
        ("ähre@example.org", "ä…@example.org"),
        ("bob@[192.0.2.1]", "b…@[192.0.2.1]"),
    ],
)
def test_an_address_is_shown_by_its_first_letter_and_its_domain(address: str, masked: str) -> None:
    assert mask_address(parse_address(address)) == masked


@pytest.mark.parametrize("phrases", LANGUAGES, ids=lambda phrases: phrases.language)
def test_each_state_is_told_and_each_day_once(phrases: Phrases) -> None:
    record = phrases.record
    seen = (
        SeenDay(date(2026, 11, 2), EventType.OPENED, machine=True),
        SeenDay(date(2026, 11, 2), EventType.CLICKED, machine=True),
        SeenDay(date(2026, 11, 1), EventType.OPENED, machine=False),
        SeenDay(date(2026, 11, 1), EventType.CLICKED, machine=False),
    )
    page = text_of(known("b@example.org", seen=seen), phrases)
    for said in (record.opened, record.clicked, record.machine_opened, record.machine_clicked):
        assert page.count(f": {said}<") == 1
    assert record.unknown in page
    assert phrases.withdraw.words in page
    page = text_of(known("b@example.org", consent=Consent.GRANTED), phrases)
    assert record.granted in page
    assert record.nothing in page
    page = text_of(known("b@example.org", consent=Consent.DENIED), phrases)
    assert record.denied_elsewhere in page
    assert "<button" not in page
    denied = known(
        "b@example.org", consent=Consent.DENIED, withdrawal=3, withdrawn_on=date(2026, 11, 3)
    )
    page = text_of(denied, phrases)
    assert phrases.restore.words in page
    assert record.denied.partition("{")[0] in page
    assert record.not_known in text_of(None, phrases)
    assert record.anonymous in text_of(None, phrases, anonymous=True)
    several = ("b@example.org", "c@example.org")
    assert record.shared in text_of(known(*several, mode=TrackingMode.SHARED), phrases)
    assert record.untracked in text_of(known(*several, mode=TrackingMode.OFF), phrases)
    assert record.anonymous in text_of(known(*several, mode=TrackingMode.ANONYMOUS), phrases)


def test_the_words_that_are_kept_are_the_words_that_are_shown() -> None:
    address = Address("bob", "example.org")
    for phrases in LANGUAGES:
        answer = LEAFLET.draw_confirm(phrases, phrases.deny, address)
        assert words_for(phrases.deny, address) in unescape(answer.body.decode())


def test_the_operators_words_are_paragraphs_of_text() -> None:
    operator = Operator("One <b>\n\n\n\nTwo\nlines", "x@example.com & y")
    page = Leaflet(operator).draw_notice(LANGUAGES[0]).body.decode()
    assert '<p class="kept">One &lt;b&gt;</p>' in page
    assert '<p class="kept">Two\nlines</p>' in page
    assert "x@example.com &amp; y" in page
