"""Control fields of our own and of every dialect."""

import base64
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.mode import TrackingMode
from relay.control import MAX_NOTE, MAX_NOTES, Control, is_own_control, read_controls
from relay.dialect import METADATA_PREFIXES, READERS, Meaning
from relay.verdict import Clicks


def shown(meaning: Meaning) -> str:
    """Return a meaning as the tables below write it: only what it narrows or notes."""
    words = []
    if meaning.mode is not TrackingMode.INDIVIDUAL:
        words.append(str(meaning.mode))
    if not meaning.opens:
        words.append("no opens")
    if meaning.clicks is not Clicks.BOTH:
        words.append(f"clicks {meaning.clicks}")
    words += [f"#{tag}" for tag in meaning.tags]
    words += [f"{key}={value}" for key, value in meaning.metadata]
    return ", ".join(words)


def read_one(name: str, value: str) -> Control:
    (control,) = read_controls([(name, value)])
    return control


SENDGRID = json.dumps(
    {
        "filters": {
            "clicktrack": {"settings": {"enable": 1, "enable_text": False}},
            "opentrack": {"settings": {"enable": "0", "replace": "%opentrack%"}},
        },
        "category": ["a", "b"],
        "unique_args": {"deal": 7, "deep": {}},
    }
)


@pytest.mark.parametrize(
    ("name", "value", "narrows"),
    [
        ("X-Indicia-Track", "off", "off"),
        ("X-Indicia-Track", "anonymous", "anonymous"),
        ("X-Indicia-Track", "Shared", "shared"),
        ("X-Indicia-Track", "individual", ""),
        ("x-indicia-track", " off ", "off"),
        ("X-Indicia-Opens", "no", "no opens"),
        ("X-Indicia-Opens", "yes", ""),
        ("X-Indicia-Clicks", "no", "clicks none"),
        ("X-Indicia-Clicks", "yes", ""),
        ("X-Indicia-Clicks", "html", "clicks html"),
        ("X-Indicia-Clicks", "text", "clicks text"),
        ("X-Indicia-Tag", "spring", "#spring"),
        ("X-Indicia-Tag", "spring, , sale", "#spring, #sale"),
        ("X-Indicia-Metadata-deal", "7", "deal=7"),
        ("x-indicia-metadata-Deal-Id", "a b", "Deal-Id=a b"),
        ("X-AMP", "skip", "off"),
        ("X-EE-Tracking-Enabled", "false", "off"),
        ("X-EE-Tracking-Enabled", "0", "off"),
        ("X-EE-Tracking-Enabled", "true", ""),
        ("X-Mailgun-Track", "no", "off"),
        ("X-Mailgun-Track", "yes", ""),
        ("X-Mailgun-Track-Clicks", "no", "clicks none"),
        ("X-Mailgun-Track-Clicks", "htmlonly", "clicks html"),
        ("X-Mailgun-Track-Clicks", "yes", ""),
        ("X-Mailgun-Track-Opens", "no", "no opens"),
        ("X-Mailgun-Tag", "a, b", "#a, b"),
        ("X-Mailgun-Variables", '{"deal": 7, "deep": [], "x": "y"}', "deal=7, x=y"),
        ("X-PM-TrackOpens", "false", "no opens"),
        ("X-PM-TrackOpens", "true", ""),
        ("X-PM-TrackLinks", "None", "clicks none"),
        ("X-PM-TrackLinks", "HtmlAndText", ""),
        ("X-PM-TrackLinks", "HtmlOnly", "clicks html"),
        ("X-PM-TrackLinks", "TextOnly", "clicks text"),
        ("X-PM-Tag", "welcome", "#welcome"),
        ("X-PM-Metadata-color", "blue", "color=blue"),
        ("X-MC-Track", "opens,clicks", ""),
        ("X-MC-Track", "opens", "clicks none"),
        ("X-MC-Track", "clicks_all", "no opens"),
        ("X-MC-Track", "opens, clicks_htmlonly", "clicks html"),
        ("X-MC-Track", "clicks_textonly", "no opens, clicks text"),
        ("X-MC-Track", "opens,clicks_htmlonly,clicks_textonly", ""),
        ("X-MC-Track", "none", "no opens, clicks none"),
        ("X-MC-Track", "opens,who-knows", "clicks none"),
        ("X-MC-Tags", "a,b", "#a, #b"),
        ("X-SMTPAPI", SENDGRID, "no opens, clicks html, #a, #b, deal=7"),
        ("X-SMTPAPI", '{"filters":{"clicktrack":{"settings":{"enable":0}}}}', "clicks none"),
        ("X-SMTPAPI", '{"category": "a"}', "#a"),
        ("X-SMTPAPI", '{"filters": []}', ""),
        ("X-MSYS-API", '{"options":{"open_tracking":false}}', "no opens"),
        ("X-MSYS-API", '{"options":{"click_tracking":false},"tags":["a"]}', "clicks none, #a"),
        ("X-MSYS-API", '{"metadata":{"deal":"7"}}', "deal=7"),
        ("X-SES-MESSAGE-TAGS", "deal=7, team=sales", "deal=7, team=sales"),
        ("X-Mailjet-TrackOpen", "0", "no opens"),
        ("X-Mailjet-TrackOpen", "1", ""),
        ("X-Mailjet-TrackClick", "0", "clicks none"),
        ("X-Mailjet-TrackClick", "true", ""),
        ("x-smtpeter-trackclicks", "false", "clicks none"),
        ("X-SMTPeter-TrackOpens", "false", "no opens"),
        ("x-smtpeter-tags", "a", "#a"),
        (
            "X-AliDM-Trace",
            base64.b64encode(b'{"OpenTrace":"0","LinkTrace":"0","TagName":"a"}').decode(),
            "no opens, clicks none, #a",
        ),
        ("X-AliDM-Trace", base64.b64encode(b'{"OpenTrace":"1"}').decode(), ""),
        ("trackclicks", "false", "clicks none"),
        ("X-Unosend-Track-Opens", "0", "no opens"),
        ("X-Unosend-Track-Opens", "1", ""),
    ],
)
def test_a_control_narrows_and_notes_what_its_system_means(
    name: str, value: str, narrows: str
) -> None:
    control = read_one(name, value)
    assert shown(control.meaning) == narrows
    assert control.ignored == ""


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("X-Indicia-Track", "maybe", "is not one of off, anonymous, shared, individual"),
        ("X-Indicia-Track", "", "is empty"),
        ("X-Indicia-Track", "  ", "is empty"),
        ("X-Indicia-Track", "off individual", "is not one of"),
        ("X-Indicia-Opens", "false", "is not one of yes, no"),
        ("X-Indicia-Clicks", "all", "is not one of yes, no, html, text"),
        ("X-Indicia-Tag", "", "is empty"),
        ("X-Indicia-Tag", "x" * (MAX_NOTE + 1), "over 500 characters"),
        ("X-Indicia-Metadata-", "7", "is no field known here"),
        ("X-Indicia-Metadata-deal", "", "is empty"),
        ("X-Indicia-Metadata-" + "k" * (MAX_NOTE + 1), "7", "over 500 characters"),
        ("X-Indicia-Trak", "off", "is no field known here"),
        ("X-AMP", "yes", "is not one of skip"),
        ("X-EE-Tracking-Enabled", "maybe", "is not one of yes, no"),
        ("X-Mailgun-Track-Clicks", "textonly", "is not one of yes, no, htmlonly"),
        ("X-Mailgun-Track-Pixel-Location-Top", "yes", "concerns nothing"),
        ("X-Mailgun-Variables", "[1]", "is no JSON object"),
        ("X-PM-TrackLinks", "yes", "is not one of none, htmlandtext, htmlonly, textonly"),
        ("X-MC-Track", "who-knows", "names none of opens"),
        ("X-MC-PreserveRecipients", "false", "concerns nothing"),
        ("X-SMTPAPI", "{", "is no JSON object"),
        ("X-SMTPAPI", "[" * 60_000, "is no JSON object"),
        ("X-SMTPAPI", '{"x":' + "9" * 5_000 + "}", "is no JSON object"),
        ("X-SMTPAPI", '{"x":"' + "9" * 70_000 + '"}', "of up to 65536 characters"),
        ("X-MSYS-API", "null", "is no JSON object"),
        ("X-SES-CONFIGURATION-SET", "set", "concerns nothing"),
        ("X-SES-MESSAGE-TAGS", "deal", "is not name=value"),
        ("X-AliDM-Trace", "not base64", "is no base64 of JSON"),
        ("X-AliDM-Trace", "/w==", "is no base64 of JSON"),
        ("X-AliDM-Trace", "ü", "is no base64 of JSON"),
        ("X-AliDM-Trace", base64.b64encode(b"x").decode(), "is no JSON object"),
    ],
)
def test_an_unknown_empty_or_broken_value_has_no_effect_and_says_why(
    name: str, value: str, why: str
) -> None:
    control = read_one(name, value)
    assert control.meaning == Meaning()
    assert why in control.ignored


def test_a_control_is_called_as_its_system_spells_it_and_shown_on_one_short_line() -> None:
    control = read_one("x-pm-trackopens", "fal\r\n se\x00\ud800" + "x" * 300)
    assert control.field_name == "X-PM-TrackOpens"
    assert control.value.startswith("fal  se x")
    assert len(control.value) == 200


def test_every_control_is_in_the_documentation_and_no_other() -> None:
    text = (Path(__file__).parents[2] / "docs" / "controls.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    assert sorted(told) == sorted([*READERS, *(f"{prefix}<key>" for prefix in METADATA_PREFIXES)])
    without_effect = re.findall(r"^\| `([^`]+)` \| no effect", text, re.MULTILINE)
    assert without_effect == [
        name for name in READERS if "concerns nothing" in read_one(name, "yes").ignored
    ]


def test_other_fields_are_no_controls_and_precedence_has_no_effect() -> None:
    assert read_controls([("Subject", "X-Indicia-Track: off"), ("Precedence", "bulk")]) == ()


def test_of_the_same_control_twice_both_hold_in_order() -> None:
    controls = read_controls([("X-Indicia-Clicks", "html"), ("X-Indicia-Clicks", "text")])
    assert [shown(control.meaning) for control in controls] == ["clicks html", "clicks text"]


def test_a_key_of_metadata_is_noted_once() -> None:
    first, second, tag = read_controls(
        [
            ("X-Indicia-Metadata-deal", "7"),
            ("X-PM-Metadata-deal", "8"),
            ("X-Indicia-Tag", "deal"),
        ]
    )
    assert shown(first.meaning) == "deal=7"
    assert (shown(second.meaning), second.ignored) == ("", "names a key of metadata again")
    assert shown(tag.meaning) == "#deal"


def test_too_many_notes_are_told_and_what_they_come_with_narrows_all_the_same() -> None:
    tags = [("X-Indicia-Tag", f"t{number}") for number in range(MAX_NOTES)]
    *kept, again, last = read_controls(
        [
            *tags,
            ("X-Indicia-Tag", "t0"),
            ("X-MSYS-API", '{"options":{"open_tracking":false},"tags":["one more"]}'),
        ]
    )
    assert not any(control.ignored for control in [*kept, again])
    assert shown(last.meaning) == "no opens"
    assert last.ignored == "would make more than 50 tags and metadata"


def test_only_our_own_fields_never_leave_the_relay() -> None:
    assert is_own_control("X-INDICIA-Anything")
    assert not is_own_control("X-PM-Tag")
    assert not is_own_control("X-Indicia")


@given(
    st.lists(
        st.tuples(
            st.one_of(st.sampled_from(sorted(READERS)), st.text("X-Indica", max_size=12)),
            st.one_of(
                st.sampled_from(["no", "off", "0", "html", "skip", "none", "{}", "[]", "a=b"]),
                st.text(max_size=20),
                st.recursive(
                    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
                    max_leaves=6,
                ).map(json.dumps),
            ),
        ),
        max_size=8,
    )
)
def test_any_fields_are_read_and_every_control_without_effect_says_why(
    fields: list[tuple[str, str]],
) -> None:
    for control in read_controls(fields):
        assert control.meaning.mode in TrackingMode
        assert "\n" not in control.value
        if control.meaning == Meaning() and not control.ignored:
            assert control.value.lower() not in {"no", "off", "0", "false"}
