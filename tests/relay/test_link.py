from dataclasses import replace

import ada_url
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.link import (
    _PLAIN,
    LinkRules,
    Reference,
    Target,
    _judge_any,
    _judge_plain,
    clean_href,
    is_own_pixel,
    judge_link,
    judge_plain,
    make_link_rules,
    unwrap_own,
)
from relay.mark import escape_value
from relay.mime.charref import decode_attribute
from relay.policy import Policy, TrackingHost
from relay.verdict import PassReason, PassThrough

_POLICY = Policy(
    "relay.example",
    "https://t.example",
    excluded_hosts=("left.example", "*.sub.example"),
    max_url_length=200,
    tracking_hosts=(TrackingHost(("*@b.example",), "https://t.b.example"),),
)
_UNSUBSCRIBE = ("https://n.example/leave?u=1", "mailto:leave@n.example", "::not a url")
_RULES = make_link_rules(_POLICY, "https://t.example", _UNSUBSCRIBE)
_TOKEN = "A" * 36
_HTTPS_TOKEN = "A" * 14 + "E" + "A" * 21  # the lowest flag is that of https
"""Tokens by their form alone."""


def _judge(href: str, text: str = "Read more", rules: LinkRules = _RULES, **more: object) -> object:
    judged = judge_link(Reference(href, text, **more), rules)  # type: ignore[arg-type] # by name
    return judged.reason if isinstance(judged, PassThrough) else judged


@pytest.mark.parametrize(
    ("href", "url", "destination", "fragment"),
    [
        ("https://a.example/x?y=1", "https://a.example/x?y=1", b"a.example/x?y=1", ""),
        ("https://a.example", "https://a.example/", b"a.example", ""),
        ("https://a.example/", "https://a.example/", b"a.example/", ""),
        ("https://a.example?q", "https://a.example/?q", b"a.example?q", ""),
        ("https://a.example#f", "https://a.example/#f", b"a.example", "#f"),
        ("https://a.example\\x", "https://a.example/x", b"a.example/x", ""),
        ("https:////a.example/x", "https://a.example/x", b"a.example/x", ""),
        (" HTTPS://A.example:443/b/../c ", "https://a.example/c", b"a.example/c", ""),
        ("https://a.exa\r\n\tmple/x", "https://a.example/x", b"a.example/x", ""),
        ("https://ä.example/ü?ö", "https://xn--4ca.example/%C3%BC?%C3%B6",
         b"xn--4ca.example/%C3%BC?%C3%B6", ""),
        ("https://a.example/a b'`<\"#f g`'", "https://a.example/a%20b'%60%3C%22#f%20g%60'",
         b"a.example/a%20b'%60%3C%22", "#f%20g%60'"),
        ("https://u:p@a.example:8/", "https://u:p@a.example:8/", b"u:p@a.example:8/", ""),
        ("https://[::1]:8/x", "https://[::1]:8/x", b"[::1]:8/x", ""),
        ("https://a.example//x//y", "https://a.example//x//y", b"a.example//x//y", ""),
        ("https://a.example/?f={%22a%22:1}", "https://a.example/?f={%22a%22:1}",
         b"a.example/?f={%22a%22:1}", ""),
        ("https://a.example/?100%&%zz", "https://a.example/?100%&%zz", b"a.example/?100%&%zz", ""),
        ("https://a.example/?next=https://b.example/", "https://a.example/?next=https://b.example/",
         b"a.example/?next=https://b.example/", ""),
        ("https://localhost/x", "https://localhost/x", b"localhost/x", ""),
    ],
)  # fmt: skip
def test_a_link_is_tracked_with_its_serialised_destination(
    href: str, url: str, destination: bytes, fragment: str
) -> None:
    assert _judge(href) == Target(url, destination, True, fragment)


def test_the_scheme_is_kept() -> None:
    judged = _judge("http://a.example/")
    assert isinstance(judged, Target)
    assert not judged.https


@pytest.mark.parametrize(
    ("href", "reason"),
    [
        ("mailto:a@b.example", PassReason.OTHER_SCHEME),
        ("tel:+1", PassReason.OTHER_SCHEME),
        ("sms:+1", PassReason.OTHER_SCHEME),
        ("cid:x@y", PassReason.OTHER_SCHEME),
        ("javascript:alert(1)", PassReason.OTHER_SCHEME),
        ("https+notrack://a.example/", PassReason.OPTED_OUT),
        ("", PassReason.RELATIVE),
        ("#top", PassReason.RELATIVE),
        ("/x", PassReason.RELATIVE),
        ("//a.example/x", PassReason.RELATIVE),
        ("www.a.example", PassReason.RELATIVE),
        ("http:a.example", PassReason.RELATIVE),
        ("http:/a.example", PassReason.RELATIVE),
        ("{{url}}", PassReason.PLACEHOLDER),
        ("https://a.example/{{id}}", PassReason.PLACEHOLDER),
        ("https://a.example/%7B%7Bid%7d%7d", PassReason.PLACEHOLDER),
        ("https://a.example/{% x %}", PassReason.PLACEHOLDER),
        ("https://a.example/{%each x%}", PassReason.PLACEHOLDER),
        ("*|ARCHIVE|*", PassReason.PLACEHOLDER),
        ("https://a.example/?e=*%7CEMAIL%7c*", PassReason.PLACEHOLDER),
        ("https://a.example/%NAME%", PassReason.PLACEHOLDER),
        ("https://a.example/%FACE%/x", PassReason.PLACEHOLDER),
        ("<%= url %>", PassReason.PLACEHOLDER),
        ("https://a.example/${id}", PassReason.PLACEHOLDER),
        ("https://n.example:443/leave?u=1", PassReason.UNSUBSCRIBE),
        ("https://left.example/x", PassReason.EXCLUDED_HOST),
        ("https://u@left.example:8/x", PassReason.EXCLUDED_HOST),
        ("https://a.sub.example/x", PassReason.EXCLUDED_HOST),
        ("https://a.example/?X-Amz-Signature=1", PassReason.SIGNED_URL),
        ("https://a.example/?a=1&sig=1", PassReason.SIGNED_URL),
        ("https://a.example/?token=1", PassReason.SIGNED_URL),
        ("https://a.example/?reset_token=1", PassReason.SIGNED_URL),
        ("https://a.example/?Expires=1&Signature=2", PassReason.SIGNED_URL),
        ("https://a.example/?a=1&disable-tracking=true#x", PassReason.OPTED_OUT),
        ("https://t.example/x", PassReason.OWN_BASE),
        (f"https://t.b.example/c/{_TOKEN}/x", PassReason.OWN_BASE),
        ("https://a.example/" + "x" * 200, PassReason.URL_TOO_LONG),
        ("https://./x", PassReason.URL_NOT_CANONICAL),
        ("https://../x", PassReason.URL_NOT_CANONICAL),
        ("https://", PassReason.URL_NOT_CANONICAL),
        ("https://a b.example/", PassReason.URL_NOT_CANONICAL),
        ("https://a.example:99999/", PassReason.URL_NOT_CANONICAL),
        ("https://a.example/\ud800", PassReason.URL_NOT_CANONICAL),
        ("https://a.example/100%", PassReason.URL_NOT_CANONICAL),
        ("https://a.example/%4g/", PassReason.URL_NOT_CANONICAL),
        ("https://u%zz@a.example/", PassReason.URL_NOT_CANONICAL),
        ("https://a.example/a%00b", PassReason.URL_NOT_CANONICAL),
    ],
)
def test_a_link_is_left_alone_for_its_reason(href: str, reason: PassReason) -> None:
    assert _judge(href) is reason


@pytest.mark.parametrize(
    "href",
    [
        "https://sub.example/x",
        "https://a.example/%E4%BC%81",
        "https://a.example/?tracking=1&signature=2",
        "https://a.example/?disable-tracking=truely",
        "https://a.example/?sigma=1",
        "https://t.example.org/x",
        "https://n.example/leave?u=2",
    ],
)
def test_what_only_looks_like_a_reason_is_none(href: str) -> None:
    assert isinstance(_judge(href), Target)


@pytest.mark.parametrize(
    ("attributes", "tracked"),
    [
        ({"clicktracking": "off"}, False),
        ({"clicktracking": "on"}, True),
        ({"data-msys-clicktrack": "0"}, False),
        ({"data-msys-clicktrack": "1"}, True),
        ({"ses:no-track": ""}, False),
        ({"ses:no-track": "true"}, False),
        ({"data-pm-no-track": ""}, False),
        ({"disable-tracking": "true"}, False),
        ({"disable-tracking": "false"}, True),
        ({"mc:disable-tracking": ""}, False),
        ({"mautic:disable-tracking": "true"}, False),
        ({"data-no-track": ""}, False),
        ({"data-disable-tracking": " TRUE "}, False),
        ({"data-track": "x", "class": "track"}, True),
    ],
)
def test_a_link_opts_out_in_any_dialect(attributes: dict[str, str], tracked: bool) -> None:
    judged = _judge("https://a.example/", attributes=attributes)
    assert isinstance(judged, Target) is tracked
    assert tracked or judged is PassReason.OPTED_OUT


@pytest.mark.parametrize(
    ("text", "tracked"),
    [
        ("https://a.example/x", False),
        ("HTTP://other.example", False),
        ("www.a.example", False),
        ("a.example/x", False),
        ("sub.a.example", False),
        (" <a.example>. ", False),
        ("a\u200b.exa\u00admple", False),
        ("other.com", False),
        ("other.de/x?y", False),
        ("müller.de", False),
        ("xn--4ca.xn--p1ai", False),
        ("Node.js", True),
        ("v2.0", True),
        ("e.g. this", True),
        ("See https://a.example/x for more", True),
        ("me@a.example", True),
        ("Read more", True),
        ("...", True),
        ("", True),
    ],
)
def test_a_linked_url_stays_and_linked_words_are_tracked(text: str, tracked: bool) -> None:
    judged = _judge("https://a.example/y", text)
    assert isinstance(judged, Target) is tracked
    assert tracked or judged is PassReason.TEXT_IS_URL


def test_a_linked_url_is_tracked_where_the_option_says_so() -> None:
    rules = replace(_RULES, policy=replace(_POLICY, skip_url_text=False))
    assert isinstance(_judge("https://a.example/", "https://a.example/", rules), Target)


def test_a_query_whose_bytes_depend_on_the_charset_is_left_alone() -> None:
    assert _judge("https://a.example/?ü", utf8=False) is PassReason.URL_NOT_CANONICAL
    assert isinstance(_judge("https://a.example/ü", utf8=False), Target)
    assert isinstance(_judge("https://a.example/?u#ü", utf8=False), Target)


_PARTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"])
    | st.sampled_from("/.%?#&=@:;[]\\^|`'\""),
    max_size=25,
)


@given(
    st.sampled_from(
        ["a.example", "ä.example", "1.2.3.4", "[::1]", "u:p@a.b", "a", ".", "%2e", "a.b:8"]
    ),
    _PARTS,
)
def test_law_base_token_and_destination_are_a_url_that_serialises_to_itself(
    host: str, rest: str
) -> None:
    judged = judge_link(Reference(f"https://{host}{rest}", "x"), _RULES)
    if isinstance(judged, Target):
        ours = f"https://t.example/c/{_TOKEN}/{judged.destination.decode('ascii')}"
        assert ada_url.normalize_url(ours) == ours
        led = ada_url.normalize_url(f"https://{judged.destination.decode()}") + judged.fragment
        assert led == judged.url == ada_url.normalize_url(f"https://{host}{rest}")


@pytest.mark.parametrize(
    ("href", "led"),
    [
        (f"https://t.example/c/{_TOKEN}/a.example/x?y#f", "http://a.example/x?y#f"),
        (f" HTTPS://T.EXAMPLE/c/{_HTTPS_TOKEN}/a.example", "https://a.example"),
        (f"https://t.b.example/c/{_TOKEN}/t.example/c/{_TOKEN}/a.example/", None),
        (f"http://t.example/c/{_TOKEN}/a.example/", None),
        (f"https://t.example/c/{_TOKEN[1:]}/a.example/", None),
        (f"https://t.example/c/{_TOKEN}/a b.example/", None),
        (f"https://t.example/o/{_TOKEN}.gif", None),
        ("https://a.example/", None),
    ],
)
def test_a_link_of_ours_is_unwrapped_to_where_it_leads(href: str, led: str | None) -> None:
    if href.startswith("https://t.b.example"):
        led = f"http://t.example/c/{_TOKEN}/a.example/"  # ours is https: that is another's
    assert unwrap_own(href, _RULES) == led


def test_a_link_that_was_wrapped_twice_is_unwrapped_twice() -> None:
    href = f"https://t.b.example/c/{_HTTPS_TOKEN}/t.example/c/{_TOKEN}/a.example/"
    assert unwrap_own(href, _RULES) == "http://a.example/"


@pytest.mark.parametrize(
    ("src", "own"),
    [
        (f"https://t.example/o/{_TOKEN}.gif", True),
        (f"https://t.b.example/o/{_TOKEN}.gif?x", True),
        (f"https://t.example/o/{_TOKEN}.png", False),
        (f"https://t.example/c/{_TOKEN}/x.gif", False),
        (f"https://a.example/o/{_TOKEN}.gif", False),
        ("cid:x", False),
    ],
)
def test_a_pixel_of_ours_is_known_by_its_form(src: str, own: bool) -> None:
    assert is_own_pixel(src, _RULES) is own


def test_an_href_is_cleaned_as_the_url_standard_says() -> None:
    assert clean_href("\x00\x1f  https://a\r\n\t.b/c d \n") == "https://a.b/c d"


_URL_SCRAPS = st.sampled_from(
    """a www com xn-- -- - . .. / // %2e %2E %20 %7B %7c %00 % %zz ? # = & ' ( ) * + , ; : @ ! $ ~ _
    ^ ` | { } \\ [ ] < > 0x 1 127 é ß %41 :80 .de example.com A xn--bcher-kva ab--c %NAME% %ad%20
    """.split()  # noqa: SIM905 - sixty quoted scraps would hide the list
)


@given(
    st.sampled_from(["https://", "http://"]),
    st.sampled_from(["", "example.com/", "a-b.example/c"]),
    st.lists(_URL_SCRAPS, max_size=8).map("".join),
)
def test_law_it_is_judged_as_judge_any_would(scheme: str, host: str, rest: str) -> None:
    reference = Reference(scheme + host + rest, "words")
    if _PLAIN.fullmatch(reference.href):
        judged = _judge_plain(reference.href, "words", _RULES)
        assert judged == _judge_any(reference, _RULES) == judge_link(reference, _RULES)
        if isinstance(judged, Target):
            ours = f"https://t.example/c/{_TOKEN}/{judged.destination.decode('ascii')}"
            assert ada_url.normalize_url(ours) == ours


@given(
    st.sampled_from(["https://", "http://"]),
    st.sampled_from(["", "example.com/", "a-b.example/c", "t.example/", "a.example/?token="]),
    st.lists(_URL_SCRAPS | st.just("&amp;"), max_size=8).map("".join),
    st.sampled_from(["words", "a.example", ""]),
)
def test_law_then_the_destination_is_written_as_it_is_there_and_judged_as_judge_link_would_judge_it(
    scheme: str, host: str, rest: str, text: str
) -> None:
    value = scheme + host + rest
    judged = judge_plain(value, text, _RULES)
    if judged is not None:
        href = decode_attribute(value)
        assert unwrap_own(href, _RULES) is None
        assert judged == judge_link(Reference(href, text), _RULES)
    if isinstance(judged, Target):
        written = escape_value(f"/{judged.destination.decode('ascii')}{judged.fragment}")
        assert written.decode("ascii") == value[len(scheme) - 1 :]


def test_a_base_with_a_path_is_kept_as_it_is() -> None:
    rules = make_link_rules(Policy("h", "https://x.example/t"), "https://x.example/t", ())
    assert rules.base == "https://x.example/t/"
    assert _judge("https://x.example/t/y", rules=rules) is PassReason.OWN_BASE
    assert isinstance(_judge("https://x.example/other", rules=rules), Target)
