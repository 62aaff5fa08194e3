import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.mime.encoding import Decoded, decode_body
from relay.mime.entity import parse_entity
from relay.mime.header import read_header
from relay.mime.text import TextFormat, TextUrl, find_urls, read_format

_FIXED = TextFormat()
_FLOWED = TextFormat(flowed=True)
_DELSP = TextFormat(flowed=True, delsp=True)


def _decoded(text: str | bytes, charset: str = "utf-8") -> Decoded:
    body = text if isinstance(text, bytes) else text.encode(charset)
    head = f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode()
    raw = head + body
    decoded = decode_body(raw, parse_entity(raw))
    assert isinstance(decoded, Decoded)
    return decoded


def _urls(text: str, form: TextFormat = _FLOWED, charset: str = "utf-8") -> list[TextUrl]:
    return list(find_urls(_decoded(text.replace("\n", "\r\n"), charset), form))


def _only(text: str, form: TextFormat = _FIXED) -> TextUrl:
    (found,) = _urls(text, form)
    return found


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://x.example", "https://x.example"),
        ("see https://x.example/a?b=1&c=%20#d now", "https://x.example/a?b=1&c=%20#d"),
        ("HTTP://X.example/", "HTTP://X.example/"),
        ("see https://x.example/a.", "https://x.example/a"),
        ("https://x.example/a, and", "https://x.example/a"),
        ("really https://x.example/a?!...", "https://x.example/a"),
        ("(see https://x.example/a)", "https://x.example/a"),
        ("(see https://x.example/a).", "https://x.example/a"),
        ("https://x.example/wiki/A_(b)", "https://x.example/wiki/A_(b)"),
        ("https://x.example/A_(b), or", "https://x.example/A_(b)"),
        ("[1] https://x.example/a [2]", "https://x.example/a"),
        ("[https://x.example/a.png]", "https://x.example/a.png"),
        ("[words](https://x.example/a) follow", "https://x.example/a"),
        ("{https://x.example/a}", "https://x.example/a"),
        ('"https://x.example/a"', "https://x.example/a"),
        ("'https://x.example/a'", "https://x.example/a"),
        ("`https://x.example/a`", "https://x.example/a"),
        ("<https://x.example/a>", "https://x.example/a"),
        ("Bob<https://x.example/a,b.>.", "https://x.example/a,b."),
        ("<URL:https://x.example/a>", "https://x.example/a"),
        ("<url:https://x.example/a>", "https://x.example/a"),
        ("URL:https://x.example/a", "https://x.example/a"),
        ("<https://x.example/a >", "https://x.example/a"),
        ("<https://x.example/a\n   b\n/c>", "https://x.example/ab/c"),
        ("<https://x.example/ä>", "https://x.example/ä"),
        ("<https://x.example/a and no end", "https://x.example/a"),
        ("<https://x.example/a<b", "https://x.example/a"),
        ("<https://x.example/a\n\nb>", "https://x.example/a"),
        ("https://[2001:db8::1]:80/a", "https://[2001:db8::1]:80/a"),
        ("https://u@[::1]", "https://u@[::1]"),
        ("https://x.example/a\N{NO-BREAK SPACE}b", "https://x.example/a"),
        ("https://x.example/a.\N{IDEOGRAPHIC SPACE}b", "https://x.example/a"),
        ("ähttps://x.example/a", "https://x.example/a"),
        ("https+notrack://x.example/a.", "https+notrack://x.example/a"),
        ("https://x.example/?u=https://y.example/", "https://x.example/?u=https://y.example/"),
        ("https://x.example/a\nb", "https://x.example/a"),
        ("-- \nhttps://x.example/a", "https://x.example/a"),
        ("https://x.example/a\t", "https://x.example/a"),
        ("https://x.example/" + "a" * 60 + "\nfor you", "https://x.example/" + "a" * 60),
        ("https://x.example/" + "a" * 60 + "\n\nfor/you", "https://x.example/" + "a" * 60),
        ("https://x.example/" + "a" * 60 + "\n  for/you", "https://x.example/" + "a" * 60),
        ("https://x.example/" + "a" * 60 + "/.\nFor you", "https://x.example/" + "a" * 60 + "/"),
        ("https://x.example/" + "a" * 60 + "\n<b/c>", "https://x.example/" + "a" * 60),
    ],
)  # fmt: skip
def test_a_url_ends_where_mail_programs_end_it(text: str, url: str) -> None:
    found = _only(text)
    assert (found.url, found.doubt, found.quoted, found.opted_out) == (url, "", False, False)


@pytest.mark.parametrize(
    "text",
    [
        "x.example", "www.x.example", "ftp://x.example/", "mailto:a@x.example", "https:x", "https://",
        "https:// x", "https://.", "xhttps://x.example/", "a+https://x.example/",
        "ftp://x.example/https://y.example/", "user@https://x.example", "", "https://\nx", "(https://)",
        "_https://x.example/_",
    ],
)  # fmt: skip
def test_what_is_no_url_of_the_web_is_not_found(text: str) -> None:
    assert _urls(text) == []


_LONG = "https://x.example/" + "a" * 60


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("https://x.example/a* b", "* at its end"),
        ("*https://x.example/a*", "* at its end"),
        ("*https://x.example/a_.", "_ at its end"),
        ("https://x.example/a-", "- at its end"),
        ("https://x.example/a: b", ": at its end"),
        ("https://x.example/it's", "' in it"),
        ("https://x.example/a[1]", "[ in it"),
        ("https://x.example/a|b", "| in it"),
        ("https://x.example/{id}", "{ in it"),
        ("https://x.example/a\\b", "\\ in it"),
        ("https://x.example/a^b", "^ in it"),
        ("https://[x]/a", "[ in it"),
        ("https://x.example/a,https://y.example/", ", in it"),
        ("https://x.example/a)b", "brackets that do not match"),
        ("https://x.example/a)(b", "brackets that do not match"),
        ("https://x.example/a(b", "brackets that do not match"),
        ("(https://x.example/A_(b))", "brackets that do not match"),
        ("https://x.example/ä", "characters that are not ASCII"),
        ("https://x.example/a”", "characters that are not ASCII"),
        ("https://x.example/をご覧ください", "characters that are not ASCII"),
        ("<https://x.example/a b>", "a blank in it"),
        ("<https://x.example/a-\nb>", "a hyphen before a line end"),
        ("<https://x.example/a|b>", "| in it"),
        ('https://x.example/a[[data-msys-unsubscribe="1"]]', "a mark that is not known"),
        ('https://x.example/a[[data-msys-clicktrack="1"]]', "a mark that is not known"),
        ("https://x.example/a=\nb", "it may go on in the next line"),
        (f"{_LONG}\nb/c d", "it may go on in the next line"),
        (f"{_LONG}\nindex.html", "it may go on in the next line"),
        (f"{_LONG}\nbcd\nand", "it may go on in the next line"),
        (f"{_LONG}/\nbcd and", "it may go on in the next line"),
        (f"{_LONG}.\nx/html", "it may go on in the next line"),
    ],
)  # fmt: skip
def test_a_url_whose_end_mail_programs_see_differently_is_doubtful(text: str, doubt: str) -> None:
    assert _urls(text, _FIXED)[0].doubt == doubt


def test_a_list_of_urls_is_no_url_that_goes_on() -> None:
    assert [url.doubt for url in _urls(f"{_LONG}\nhttps://y.example/\n", _FIXED)] == ["", ""]


def test_a_flowed_line_goes_on_where_its_space_is_no_text() -> None:
    text = "https://x.example/a \nb"
    assert _only(text, _DELSP).doubt == "it may go on in the next line"
    assert _only("https://x.example/a \n b", _DELSP).doubt == "it may go on in the next line"
    assert _only("<https://x.example/a \nb>", _DELSP).url == "https://x.example/ab"
    assert [_only(text, form).doubt for form in (_FLOWED, _FIXED)] == ["", ""]
    assert _only("https://x.example/a\n b/c", _DELSP).doubt == ""


@pytest.mark.parametrize(
    ("line", "fixed", "flowed"),
    [
        ("> see https://x.example/", True, True),
        (">>https://x.example/", True, True),
        (" > https://x.example/", True, False),
        ("a > https://x.example/", False, False),
        ("<https://x.example/\n> a>", False, False),
    ],
)
def test_what_stands_behind_quote_marks_is_quoted(line: str, fixed: bool, flowed: bool) -> None:
    text = f"> old\nnew\n{line}"
    assert [_only(text, form).quoted for form in (_FIXED, _FLOWED)] == [fixed, flowed]


def test_lines_are_told_apart_also_behind_a_url_of_several() -> None:
    text = "> <https://x.example/\na> https://y.example/\n> https://z.example/\nhttps://w.example/"
    assert [url.quoted for url in _urls(text)] == [True, False, True, False]


@pytest.mark.parametrize(
    "divider",
    [
        "-----Original Message-----\nFrom: Bob\nSent: Monday\n",
        "-----Ursprüngliche Nachricht-----\n\nVon: Bob\nGesendet: Montag\n",
        "________________________________\nFrom: Bob <b@x.example>\nSent: Monday\n",
        "---------- Forwarded message ---------\nFrom: Bob <b@x.example>\nDate: Monday\n",
        "-----Original Message-----\n*From:* Bob\n*Sent:* Monday\n",
    ],
)
def test_what_a_program_divides_off_as_an_earlier_mail_is_quoted(divider: str) -> None:
    text = f"https://x.example/\n{divider}https://y.example/\n"
    assert [url.quoted for url in _urls(text)] == [False, True]


@pytest.mark.parametrize("heading", ["---- Our offers ----\nOne: x\n", "____________\nTwo\n"])
def test_a_heading_divides_nothing_off(heading: str) -> None:
    assert not _only(f"{heading}https://x.example/").quoted


@pytest.mark.parametrize(
    "text",
    [
        'https://x.example/a[[data-msys-clicktrack="0"]] b',
        '<https://x.example/a>[[data-msys-clicktrack="0"]]',
        "https://x.example/a.[[data-msys-clicktrack=0]].",
    ],
)
def test_sparkposts_mark_opts_out(text: str) -> None:
    found = _only(text)
    assert (found.url, found.opted_out, found.doubt) == ("https://x.example/a", True, "")


@pytest.mark.parametrize("charset", ["iso-2022-jp", "shift_jis", "euc-jp", "gb18030", "utf-8"])
def test_wide_characters_around_a_url_are_none_of_it(charset: str) -> None:
    found = _only_in("見る https://x.example/a と", charset)
    assert (found.url, found.doubt) == ("https://x.example/a", "")
    touching = _only_in("見るhttps://x.example/a\N{IDEOGRAPHIC SPACE}と", charset)
    assert (touching.url, touching.doubt) == ("https://x.example/a", "")


def _only_in(text: str, charset: str) -> TextUrl:
    (found,) = _urls(text, _FLOWED, charset)
    return found


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("", _FIXED),
        ("text/plain", _FIXED),
        ("text/plain; format=flowed", _FLOWED),
        ('text/plain; Format="Flowed"; DelSp=Yes', _DELSP),
        ("text/plain; format=fixed; delsp=yes", _FIXED),
    ],
)
def test_the_header_tells_how_lines_are_joined(value: str, form: TextFormat) -> None:
    raw = f"Content-Type: {value}\r\n\r\n".encode()
    assert read_format(read_header(raw)) == form


_PIECES = st.sampled_from(
    ["https://", "http://", "HTTPS+notrack://", "x.example", "/", "a", "(", ")", "[", "]", "<", ">",
     "<URL:", '"', "'", ".", ",", "-", "*", "=", " ", "\r\n", "\r\n> ", " \r\n", "\t", "ä", "を",
     "\N{NO-BREAK SPACE}", '[[data-msys-clicktrack="0"]]', "::1",
     "-----Original Message-----\r\nA: b\r\nC: d", "%20", "{", "}", "|", "\\"],
)  # fmt: skip


@settings(deadline=None)  # a loaded machine
@given(st.lists(_PIECES, max_size=24).map("".join), st.booleans(), st.booleans())
def test_law_urls_do_not_overlap_and_begin_with_their_scheme(
    text: str, flowed: bool, delsp: bool
) -> None:
    """Law: they do not overlap, and each begins with its scheme."""
    decoded = _decoded(text)
    at = 0
    for url in find_urls(decoded, TextFormat(flowed, delsp)):
        assert at <= url.start < url.end <= len(decoded.text)
        assert re.match(rb"(?i)https?(\+notrack)?://", decoded.text[url.start : url.end])
        assert re.sub(r"\s", "", decoded.decode(url.start, url.end)) == re.sub(r"\s", "", url.url)
        at = url.end


@pytest.mark.parametrize(
    "piece", ["https://x.example/a, ", "https://x.example/a,", "<https://x ", "https://x(",
              "-----\r\n", "https://x.example/a\r\n", "((https://x.example/)", "<https://x\r\n"],
)  # fmt: skip
def test_four_times_the_text_takes_no_more_than_ten_times_as_long(piece: str) -> None:
    def seconds(count: int) -> float:
        decoded = _decoded(piece * count)
        began = time.process_time()
        for _ in find_urls(decoded, _FIXED):
            pass
        return time.process_time() - began

    assert min(seconds(20_000) for _ in range(2)) < 10 * max(seconds(5_000), 0.001)
