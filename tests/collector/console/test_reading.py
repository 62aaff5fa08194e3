"""A captured copy as a mail program would show it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.console.reading import Attachment, Piece, Reading, read_mail


def check(reading: Reading) -> None:
    repr(reading).encode()
    words = [*sum(reading.fields, ()), *(piece.text for piece in reading.text or ())]
    words += [reading.html or "", *(one.name + one.media_type for one in reading.attachments)]
    "".join(words).encode()


HEAD = b"From: a@x.example\r\nTo: b@x.example\r\nMIME-Version: 1.0\r\n"


def html_of(html: str) -> str | None:
    raw = HEAD + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html.encode()
    return read_mail(raw).html


def test_fields_are_decoded_and_keep_their_order() -> None:
    reading = read_mail(
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n and more\r\nX-A: 1\r\nX-A: 2\r\n"
        b"X-Bad: =?nonsense?q?abc?=\r\nX-Worse: =?utf-8?b?!?=\r\n\r\nHi"
    )
    assert reading.field("subject") == "Grüße and more"
    assert reading.field("missing") == ""
    assert reading.fields[1:3] == (("X-A", "1"), ("X-A", "2"))
    assert reading.field("x-bad") == "=?nonsense?q?abc?="
    assert reading.fields[4][0] == "X-Worse"


def test_fields_in_bare_utf_8_are_shown_and_other_bytes_do_no_harm() -> None:
    reading = read_mail("Subject: Grüße\r\n".encode() + b"X-A: \xff\xfe\r\n\r\nHi")
    assert reading.field("subject") == "Grüße"
    assert reading.field("x-a") == "\ufffd\ufffd"


def test_plain_text_has_its_links_and_all_its_characters() -> None:
    raw = HEAD + b"\r\nSee https://a.example/x?y=1. Or (http://b.example/)!\r\n"
    reading = read_mail(raw)
    assert reading.html is None
    assert reading.text == (
        Piece("See ", url=False),
        Piece("https://a.example/x?y=1", url=True),
        Piece(". Or (", url=False),
        Piece("http://b.example/", url=True),
        Piece(")!\r\n", url=False),
    )


def test_links_open_in_a_new_tab_whatever_the_mail_says() -> None:
    shown = html_of(
        "<a href=x target=_top>a</a><A TARGET='_self' HREF=y>b</A><area target=\"q\" href=z>"
        "<p target=kept>c</p>"
    )
    assert shown == (
        '<base target="_blank"><a href=x>a</a><A HREF=y>b</A><area href=z><p target=kept>c</p>'
    )


def test_a_doctype_stays_first_or_the_page_is_drawn_in_quirks_mode() -> None:
    assert html_of("\n<!DOCTYPE html>\n<p>") == '\n<!DOCTYPE html><base target="_blank">\n<p>'


def test_images_of_the_mail_itself_are_inlined() -> None:
    raw = HEAD + (
        b"Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"
        b'<img src="cid:logo%40acme"><img src=CID:other><img src="cid:doc">\r\n--b\r\n'
        b"Content-Type: image/png\r\nContent-ID: <logo@acme>\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b\r\n"
        b"Content-Type: text/html\r\nContent-ID: <doc>\r\n\r\n<script>\r\n--b--\r\n"
    )
    reading = read_mail(raw)
    assert reading.html is not None
    assert 'src="data:image/png;base64,AAEC"' in reading.html
    assert "CID:other" in reading.html
    assert '"cid:doc"' in reading.html
    assert reading.attachments == ()


def test_attachments_are_named_and_not_shown() -> None:
    raw = HEAD + (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHi\r\n--b\r\n"
        b'Content-Type: text/html; name="=?utf-8?q?=C3=BC.html?="\r\n'
        b"Content-Disposition: attachment\r\n\r\n<p>\r\n--b\r\n"
        b"Content-Type: application/pdf\r\n\r\nabcd\r\n--b--\r\n"
    )
    reading = read_mail(raw)
    assert reading.html is None
    assert reading.text == (Piece("Hi", url=False),)
    assert reading.attachments == (
        Attachment("ü.html", "text/html", 3),
        Attachment("without a name", "application/pdf", 4),
    )


@pytest.mark.parametrize(
    ("charset", "body", "shown"),
    [
        (b"iso-8859-1", b"\xfc", "ü"),
        (b"utf-8", b"\xfc", "\ufffd"),
        (b"nonsense", b"\xfc", "ü"),
        (b"hex", b"zz", "zz"),
    ],
)
def test_what_can_not_be_decoded_is_shown_as_well_as_can_be(
    charset: bytes, body: bytes, shown: str
) -> None:
    raw = HEAD + b"Content-Type: text/plain; charset=" + charset + b"\r\n"
    reading = read_mail(raw + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + body)
    assert reading.text == (Piece(shown, url=False),)


@given(st.binary(max_size=400))
@example(b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n")
@example(b"Content-Type: message/rfc822\r\n\r\n")
@example(b"Content-Transfer-Encoding: base64\r\n\r\n!")
@example(b"\xff: \xff\r\n\r\n\xff")
@example(b"Content-Type: image/\xff; name=\xff\r\nContent-ID: \xff\r\n\r\n\xff")
@example(b"Subject: =?unicode-escape?q?=5Cud800?=\r\n\r\n")
@example("Subject: =?iso-8859-é1?q?a?=\r\n\r\n".encode())
@example(b"Content-Type: text/plain; charset=utf-16-le\r\n\r\n\x00\xd8")
@example(b"Content-Type: text/plain; charset=unicode-escape\r\n\r\n\\ud800")
@example(b"Content-Type: text/html; charset*=x''%ff\r\n\r\nx")
@example(b"Content-Type: text/html; charset=\x00\r\n\r\nx")
@example(b"Content-ID: \xff\r\nContent-Disposition: \xff; filename*=\xff\r\n\r\n")
def test_no_bytes_make_it_raise(raw: bytes) -> None:
    # Law: no bytes make it raise, and what comes back can be written as UTF-8.
    check(read_mail(raw))


@given(
    st.lists(
        st.sampled_from(
            [
                b"Content-Type: multipart/mixed; boundary=b\r\n",
                b"Content-Type: text/html; charset=utf-16\r\n",
                b"Content-Type: message/rfc822\r\n",
                b"Content-Transfer-Encoding: base64\r\n",
                b"Content-Transfer-Encoding: quoted-printable\r\n",
                b"Content-Transfer-Encoding: x-uuencode\r\n",
                b"Content-Disposition: attachment; filename*0*=utf-8''%ff\r\n",
                b"Content-ID: <a>\r\n",
                b"Subject: =?utf-8?b?\xff?=\r\n",
                b"\r\n",
                b"--b\r\n",
                b"--b--\r\n",
                b"begin 644 x\r\n",
                b"<img src=cid:a>",
                b"=\r\n",
                b"\x00\xff",
            ]
        ),
        max_size=14,
    ).map(b"".join)
)
def test_no_mail_of_broken_pieces_makes_it_raise(raw: bytes) -> None:
    check(read_mail(raw))
