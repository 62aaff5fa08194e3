"""Why each recipient gets what he gets."""

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import Address
from ledger.mode import TrackingMode
from relay.explain import explain_send
from relay.judge import judge
from relay.mail import RecipientType
from relay.mime.entity import parse_entity
from relay.split import split_copies
from relay.template import (
    Layout,
    LeftLink,
    Link,
    PartNote,
    Slot,
    SlotKind,
    Span,
    Template,
)
from relay.verdict import (
    OFF,
    Accept,
    Because,
    Clicks,
    IgnoredControl,
    PassReason,
    PassThrough,
    Reason,
    RecipientVerdict,
    Treatment,
)

INDIVIDUAL = Treatment(TrackingMode.INDIVIDUAL, opens=True, clicks=Clicks.HTML)
SHARED = Treatment(TrackingMode.SHARED, opens=True, clicks=Clicks.HTML)
CLICKS_ONLY = Treatment(TrackingMode.SHARED, opens=False, clicks=Clicks.HTML)
OPENS_ONLY = Treatment(TrackingMode.SHARED, opens=True, clicks=Clicks.NONE)

NOTES = (
    PartNote("1.1", "text/plain", PassThrough(PassReason.PLAIN_TEXT)),
    PartNote("1.2", "text/html", None),
    PartNote("1.3", "application/pdf", PassThrough(PassReason.ATTACHMENT)),
)
LINK = Link(1, "1.2", "https://x.example/a", b"x.example/a", https=True, text="Offer")
LEFT = LeftLink("1.2", "mailto:a@x.example", "mail", PassThrough(PassReason.OTHER_SCHEME))


def layout(treatment: Treatment, *, pixel: bool = True, links: bool = True) -> Layout:
    """Return a layout as compile_template makes it for one pixel and one HTML link."""
    slots: list[Span | Slot] = [Span(0, 1)]
    if links and treatment.clicks.html:
        slots.append(Slot(SlotKind.LINK, 1))
    if pixel and treatment.opens:
        slots.append(Slot(SlotKind.PIXEL, 0))
    return Layout(treatment.opens, treatment.clicks, tuple(slots))


def template(*treatments: Treatment, **changes: Any) -> Template:
    layouts = tuple(layout(one) for one in dict.fromkeys(treatments) if one.tracks)
    made = Template(b"x", layouts, "https://t.example.com", (LINK,), (LEFT,), NOTES)
    return replace(made, **changes)


def verdict(treatment: Treatment, number: int = 0) -> RecipientVerdict:
    said = {
        "mode": str(treatment.mode),
        "opens": "true" if treatment.opens else "false",
        "clicks": str(treatment.clicks),
    }
    reasons = tuple(Reason(of, value, Because.RULE, "quiet") for of, value in said.items())
    return RecipientVerdict(
        Address(f"r{number}", "x.example"), RecipientType.TO, treatment, reasons
    )


def explain(compiled: Template, *treatments: Treatment, **changes: Any) -> list[dict[str, Any]]:
    verdicts = (verdict(one, number) for number, one in enumerate(treatments))
    accept = Accept(tuple(verdicts), **changes)
    copies = split_copies("S", accept, compiled, 0, itertools.count())
    return json.loads(json.dumps(explain_send(accept, compiled, copies)))


def test_an_explanation_is_the_object_of_the_contract() -> None:
    (explained,) = explain(template(INDIVIDUAL), INDIVIDUAL)
    assert explained == {
        "recipient": "r0@x.example",
        "recipient_type": "to",
        "mode": "individual",
        "opens": True,
        "clicks": "html",
        "copy": 1,
        "reasons": [
            {"of": "mode", "is": "individual", "because": "rule", "name": "quiet"},
            {"of": "opens", "is": True, "because": "rule", "name": "quiet"},
            {"of": "clicks", "is": "html", "because": "rule", "name": "quiet"},
        ],
        "parts": [
            {"part": "1.1", "media_type": "text/plain", "tracked": False, "reason": "plain_text"},
            {"part": "1.2", "media_type": "text/html", "tracked": True, "reason": None},
            {
                "part": "1.3",
                "media_type": "application/pdf",
                "tracked": False,
                "reason": "attachment",
            },
        ],
        "links": [
            {
                "link_id": "1",
                "part": "1.2",
                "url": "https://x.example/a",
                "text": "Offer",
                "tracked": True,
                "reason": None,
            },
            {
                "link_id": None,
                "part": "1.2",
                "url": "mailto:a@x.example",
                "text": "mail",
                "tracked": False,
                "reason": "other_scheme",
            },
        ],
        "ignored": [],
    }


def test_copies_are_numbered_from_1_and_tell_who_shares_one() -> None:
    treatments = (SHARED, INDIVIDUAL, OFF, SHARED, INDIVIDUAL, OFF)
    explained = explain(template(*treatments), *treatments)
    assert [one["copy"] for one in explained] == [1, 2, 3, 1, 4, 3]
    assert [one["recipient"][:2] for one in explained] == ["r0", "r1", "r2", "r3", "r4", "r5"]


def test_secured_content_turns_everything_off_and_says_why() -> None:
    passed = PassThrough(PassReason.SIGNED)
    notes = (PartNote("1", "multipart/signed", passed),)
    compiled = template(passed=passed, layouts=(), links=(), left=(), parts=notes)
    first, second = explain(compiled, INDIVIDUAL, SHARED, content=passed)
    assert (first["mode"], first["opens"], first["clicks"]) == ("off", False, "none")
    assert first["reasons"] == [
        {"of": "mode", "is": "off", "because": "content", "name": "signed"},
        {"of": "opens", "is": False, "because": "content", "name": "signed"},
        {"of": "clicks", "is": "none", "because": "content", "name": "signed"},
    ]
    assert first["copy"] == second["copy"] == 1
    assert first["parts"] == [
        {"part": "1", "media_type": "multipart/signed", "tracked": False, "reason": "signed"}
    ]


def test_who_was_off_already_keeps_the_reasons_of_the_policy() -> None:
    passed = PassThrough(PassReason.SIGNED)
    off, individual = explain(template(passed=passed, layouts=()), OFF, INDIVIDUAL)
    assert {reason["because"] for reason in off["reasons"]} == {"rule"}
    assert {reason["because"] for reason in individual["reasons"]} == {"content"}
    assert [part["reason"] for part in off["parts"]] == ["plain_text", "mode_off", "attachment"]
    assert [link["reason"] for link in off["links"]] == ["mode_off", "other_scheme"]
    assert [link["reason"] for link in individual["links"]] == ["signed", "other_scheme"]


def test_a_treatment_for_which_there_is_nothing_to_track_is_off_by_content() -> None:
    (explained,) = explain(template(SHARED), CLICKS_ONLY)
    assert explained["mode"] == "off"
    assert {reason["name"] for reason in explained["reasons"]} == {"nothing_to_track"}


def test_without_clicks_the_links_are_left_and_the_part_has_its_pixel() -> None:
    (explained,) = explain(template(OPENS_ONLY), OPENS_ONLY)
    assert explained["links"][0]["tracked"] is False
    assert explained["links"][0]["reason"] == "clicks_off"
    assert explained["parts"][1]["tracked"] is True


def test_without_opens_the_part_has_its_links() -> None:
    (explained,) = explain(template(CLICKS_ONLY), CLICKS_ONLY)
    assert (explained["opens"], explained["links"][0]["tracked"]) == (False, True)
    assert explained["parts"][1]["tracked"] is True
    assert explained["reasons"][1]["because"] == "rule"


def test_of_two_html_parts_the_last_has_the_pixel() -> None:
    notes = (PartNote("1.1", "text/html", None), PartNote("1.2", "text/html", None))
    links = (LINK._replace(part="1.1"),)
    opens, clicks, both = (
        explain(template(one, parts=notes, links=links), one)[0]["parts"]
        for one in (OPENS_ONLY, CLICKS_ONLY, SHARED)
    )
    assert [(part["tracked"], part["reason"]) for part in both] == [(True, None), (True, None)]
    assert [(part["tracked"], part["reason"]) for part in opens] == [
        (False, "clicks_off"),
        (True, None),
    ]
    assert [(part["tracked"], part["reason"]) for part in clicks] == [
        (True, None),
        (False, "opens_off"),
    ]


@pytest.mark.parametrize(
    ("notes", "name"),
    [
        ((PartNote("1", "text/plain", None),), "no_html"),
        (
            (
                PartNote("1.1", "text/plain", None),
                PartNote("1.2", "text/html", PassThrough(PassReason.NO_PLACE_FOR_PIXEL)),
            ),
            "no_place_for_pixel",
        ),
    ],
)
def test_where_no_pixel_could_be_put_opens_are_off_by_content(
    notes: tuple[PartNote, ...], name: str
) -> None:
    compiled = template(layouts=(layout(SHARED, pixel=False),), parts=notes)
    (explained,) = explain(compiled, SHARED)
    assert (explained["mode"], explained["opens"], explained["clicks"]) == ("shared", False, "html")
    assert explained["reasons"] == [
        {"of": "mode", "is": "shared", "because": "rule", "name": "quiet"},
        {"of": "clicks", "is": "html", "because": "rule", "name": "quiet"},
        {"of": "opens", "is": False, "because": "content", "name": name},
    ]


def test_ignored_controls_are_told_with_why() -> None:
    ignored = (IgnoredControl("X-Indicia-Track", "maybe", "is not one of off, …"),)
    (explained,) = explain(template(SHARED), SHARED, ignored=ignored)
    assert explained["ignored"] == [
        {"field": "X-Indicia-Track", "value": "maybe", "why": "is not one of off, …"}
    ]


def test_recipients_of_one_layout_have_the_same_lists() -> None:
    treatments = (INDIVIDUAL, INDIVIDUAL, SHARED)
    accept = Accept(tuple(verdict(one, number) for number, one in enumerate(treatments)))
    compiled = template(*treatments)
    copies = split_copies("S", accept, compiled, 0, itertools.count())
    first, *others = explain_send(accept, compiled, copies)
    for other in others:
        assert other["parts"] is first["parts"]
        assert other["links"] is first["links"]
        assert other["ignored"] is first["ignored"]


TREATMENTS = st.sampled_from([OFF, INDIVIDUAL, SHARED, CLICKS_ONLY, OPENS_ONLY])


@given(
    st.lists(TREATMENTS, min_size=1, max_size=6),
    st.lists(TREATMENTS, max_size=4),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, PassThrough(PassReason.ENCRYPTED)]),
)
def test_law_each_reason_says_of_mode_opens_or_clicks_what_the_object_says(
    treatments: list[Treatment],
    compiled_for: list[Treatment],
    pixel: bool,
    links: bool,
    passed: PassThrough | None,
) -> None:
    layouts = tuple(
        layout(one, pixel=pixel, links=links) for one in dict.fromkeys(compiled_for) if one.tracks
    )
    explained = explain(template(layouts=layouts, passed=passed), *treatments)
    assert [one["recipient"] for one in explained] == [
        f"r{number}@x.example" for number in range(len(treatments))
    ]
    for one in explained:
        assert sorted(reason["of"] for reason in one["reasons"]) == ["clicks", "mode", "opens"]
        for reason in one["reasons"]:
            assert reason["is"] == one[reason["of"]]
        for thing in [*one["parts"], *one["links"]]:
            assert thing["tracked"] is (thing["reason"] is None)
            assert not thing["tracked"] or one["mode"] != "off"


def test_the_decision_table_is_explained(policy_row: Any) -> None:
    submission = policy_row.submission
    accept = judge(submission, parse_entity(submission.raw), policy_row.policy)
    assert isinstance(accept, Accept)
    kinds = dict.fromkeys(one.treatment for one in accept.treatments)
    # What keeps the null sender's mail from being tracked is the content, not the policy.
    accept = replace(accept, content=None)
    compiled = template(*kinds)
    copies = split_copies("S", accept, compiled, 0, itertools.count())
    explained = explain_send(accept, compiled, copies)[0]
    assert (explained["mode"], explained["opens"], explained["clicks"]) == (
        policy_row.mode,
        policy_row.opens,
        policy_row.clicks,
    )
    reasons = explained["reasons"]
    assert isinstance(reasons, list)
    for reason, because in zip(reasons, policy_row.because, strict=True):
        assert reason["because"] == because.split(" ")[0]
