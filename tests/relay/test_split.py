"""One accepted message as copies."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import Address
from ledger.mode import TrackingMode
from relay.mail import Recipient, RecipientType
from relay.split import split_copies
from relay.template import Layout, Template
from relay.verdict import (
    OFF,
    Accept,
    Clicks,
    PassReason,
    PassThrough,
    RecipientVerdict,
    Treatment,
)

INDIVIDUAL = Treatment(TrackingMode.INDIVIDUAL, opens=True, clicks=Clicks.HTML)
SHARED = Treatment(TrackingMode.SHARED, opens=True, clicks=Clicks.HTML)
ANONYMOUS = Treatment(TrackingMode.ANONYMOUS, opens=True, clicks=Clicks.HTML)
OPENS_ONLY = Treatment(TrackingMode.SHARED, opens=True, clicks=Clicks.NONE)

TREATMENTS = st.one_of(
    st.just(OFF),
    st.builds(
        Treatment,
        st.sampled_from(TrackingMode),
        opens=st.booleans(),
        clicks=st.sampled_from(Clicks),
    ),
)
LAYOUTS = st.lists(st.tuples(st.booleans(), st.sampled_from(Clicks)), unique=True, max_size=8).map(
    lambda kinds: tuple(Layout(opens, clicks, ()) for opens, clicks in kinds)
)
PASSED = st.one_of(st.none(), st.just(PassThrough(PassReason.SIGNED)))
TEMPLATES = st.builds(
    Template, st.just(b""), LAYOUTS, st.just("https://t.example.com"), passed=PASSED
)


def accept(*treatments: Treatment) -> Accept:
    return Accept(
        tuple(
            RecipientVerdict(Address(f"r{number}", "x.example"), RecipientType.TO, treatment, ())
            for number, treatment in enumerate(treatments)
        )
    )


def template(*treatments: Treatment, passed: PassThrough | None = None) -> Template:
    kinds = dict.fromkeys((treatment.opens, treatment.clicks) for treatment in treatments)
    layouts = tuple(Layout(opens, clicks, ()) for opens, clicks in kinds)
    return Template(b"", layouts, "https://t.example.com", passed=passed)


def split(accepted: Accept, compiled: Template) -> list[tuple[str, int | None, str]]:
    copies = split_copies("S", accepted, compiled, 3, itertools.count(100))
    assert [copy.copy_id for copy in copies] == list(range(100, 100 + len(copies)))
    assert {copy.send_id for copy in copies} == {"S"}
    assert {copy.key_id for copy in copies} == {3}
    return [
        (str(copy.mode), copy.layout, " ".join(one.address.local for one in copy.recipients))
        for copy in copies
    ]


@pytest.mark.parametrize(
    ("treatments", "copies"),
    [
        ([INDIVIDUAL], [("individual", 0, "r0")]),
        ([INDIVIDUAL, INDIVIDUAL], [("individual", 0, "r0"), ("individual", 0, "r1")]),
        ([SHARED, SHARED], [("shared", 0, "r0 r1")]),
        ([ANONYMOUS, SHARED], [("anonymous", 0, "r0"), ("shared", 0, "r1")]),
        ([SHARED, OPENS_ONLY], [("shared", 0, "r0"), ("shared", 1, "r1")]),
        ([OFF, INDIVIDUAL, OFF], [("off", None, "r0 r2"), ("individual", 0, "r1")]),
        (
            [SHARED, INDIVIDUAL, ANONYMOUS, SHARED, INDIVIDUAL],
            [
                ("shared", 0, "r0 r3"),
                ("individual", 0, "r1"),
                ("anonymous", 0, "r2"),
                ("individual", 0, "r4"),
            ],
        ),
    ],
)
def test_only_the_individually_tracked_have_a_copy_of_their_own(
    treatments: list[Treatment], copies: list[tuple[str, int | None, str]]
) -> None:
    laid_out = [treatment for treatment in treatments if treatment.tracks]
    assert split(accept(*treatments), template(*laid_out)) == copies


def test_all_share_the_original_when_nothing_may_be_touched() -> None:
    passed = PassThrough(PassReason.SIGNED)
    treatments = (INDIVIDUAL, OFF, SHARED, INDIVIDUAL)
    compiled = template(*treatments, passed=passed)
    assert split(accept(*treatments), compiled) == [("off", None, "r0 r1 r2 r3")]


def test_a_treatment_without_layout_shares_the_original_with_those_who_are_off() -> None:
    clicks_only = Treatment(TrackingMode.INDIVIDUAL, opens=False, clicks=Clicks.TEXT)
    accepted = accept(clicks_only, INDIVIDUAL, OFF, clicks_only)
    assert split(accepted, template(INDIVIDUAL)) == [
        ("off", None, "r0 r2 r3"),
        ("individual", 0, "r1"),
    ]


def test_a_recipient_keeps_his_type() -> None:
    recipient = Address("b", "x.example")
    verdict = RecipientVerdict(recipient, RecipientType.BCC, INDIVIDUAL, ())
    copies = split_copies("S", Accept((verdict,)), template(INDIVIDUAL), 0, iter([7]))
    assert copies[0].recipients == (Recipient(recipient, RecipientType.BCC),)


@given(st.lists(TREATMENTS, min_size=1, max_size=12), TEMPLATES)
def test_law_recipients_in_are_recipients_out_each_once_whatever_treatments_and_template(
    treatments: list[Treatment], compiled: Template
) -> None:
    accepted = accept(*treatments)
    copies = split_copies("S", accepted, compiled, 0, itertools.count())
    out = [recipient.address for copy in copies for recipient in copy.recipients]
    assert sorted(map(str, out)) == sorted(str(one.recipient) for one in accepted.treatments)


@given(st.lists(TREATMENTS, min_size=1, max_size=12), TEMPLATES)
def test_law_of_two_recipients_of_one_copy_neither_is_tracked_individually(
    treatments: list[Treatment], compiled: Template
) -> None:
    accepted = accept(*treatments)
    given_treatment = {one.recipient: one.treatment for one in accepted.treatments}
    copies = split_copies("S", accepted, compiled, 0, itertools.count())
    for copy in copies:
        assert len(copy.recipients) == 1 or copy.mode is not TrackingMode.INDIVIDUAL
        assert (copy.mode is TrackingMode.OFF) is (copy.layout is None)
        for recipient in copy.recipients:
            treatment = given_treatment[recipient.address]
            assert copy.mode in {treatment.mode, TrackingMode.OFF}
            if copy.layout is not None:
                layout = compiled.layouts[copy.layout]
                assert (layout.opens, layout.clicks) == (treatment.opens, treatment.clicks)
    assert len({(copy.mode, copy.layout) for copy in copies if len(copy.recipients) > 1}) == len(
        [copy for copy in copies if len(copy.recipients) > 1]
    )
