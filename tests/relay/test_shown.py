import pytest

from relay.mime.entity import parse_entity
from relay.shown import list_shown
from relay.verdict import PassReason

_HTML = b"Content-Type: text/html\r\n\r\n<p>x\r\n"
_PLAIN = b"\r\nx\r\n"
_IMAGE = b"Content-Type: image/png\r\n\r\nx\r\n"
_AMP = b"Content-Type: text/x-amp-html\r\n\r\nx\r\n"
_MESSAGE = b"Content-Type: message/rfc822\r\n\r\n" + _HTML
_ATTACHED = b"Content-Disposition: attachment; filename=x\r\n" + _HTML
_ODD = b"Content-Disposition: odd\r\n" + _HTML
_INLINE = b"Content-Disposition: INLINE\r\n" + _HTML


def _multipart(kind: str, *parts: bytes, more: bytes = b"") -> bytes:
    line = f"--{kind}".encode()
    head = f'Content-Type: multipart/{kind}; boundary="{kind}"\r\n'.encode() + more + b"\r\n"
    return head + b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"


def _shown(raw: bytes) -> list[tuple[PassReason | None, bool]]:
    return [(part.passed, part.displayed) for part in list_shown(parse_entity(raw))]


@pytest.mark.parametrize(
    ("raw", "passed"),
    [
        (_HTML, None),
        (_INLINE, None),
        (_PLAIN, PassReason.PLAIN_TEXT),
        (_IMAGE, PassReason.NOT_TEXT),
        (_AMP, PassReason.AMP),
        (_MESSAGE, PassReason.EMBEDDED_MESSAGE),
        (_ATTACHED, PassReason.ATTACHMENT),
        (_ODD, PassReason.ATTACHMENT),
        (b"Content-Type: multipart/mixed\r\n\r\nx", PassReason.BROKEN_STRUCTURE),
    ],
)
def test_a_leaf_is_html_or_left_for_its_reason(raw: bytes, passed: PassReason | None) -> None:
    assert _shown(raw) == [(passed, True)]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (_multipart("mixed", _HTML, _IMAGE, _HTML),
         [(None, True), (PassReason.NOT_TEXT, True), (None, True)]),
        (_multipart("unheard-of", _HTML), [(None, True)]),
        (_multipart("alternative", _PLAIN, _HTML, _HTML, _AMP),
         [(PassReason.PLAIN_TEXT, False), (None, False), (None, True), (PassReason.AMP, False)]),
        (_multipart("alternative", _PLAIN, _AMP),
         [(PassReason.PLAIN_TEXT, False), (PassReason.AMP, False)]),
        (_multipart("related", _HTML, _IMAGE, _HTML),
         [(None, True), (PassReason.NOT_TEXT, False), (PassReason.ATTACHMENT, False)]),
        (_multipart("alternative", _PLAIN, _multipart("related", _HTML, _IMAGE)),
         [(PassReason.PLAIN_TEXT, False), (None, True), (PassReason.NOT_TEXT, False)]),
        (_multipart("signed", _HTML, _IMAGE),
         [(PassReason.SIGNED, False), (PassReason.NOT_TEXT, False)]),
        (_multipart("encrypted", _HTML), [(PassReason.ENCRYPTED, False)]),
        (_multipart("mixed", _HTML, more=b"Content-Disposition: attachment\r\n"),
         [(PassReason.ATTACHMENT, False)]),
    ],
)  # fmt: skip
def test_what_a_reader_is_shown_depends_on_what_is_around_it(
    raw: bytes, shown: list[tuple[PassReason | None, bool]]
) -> None:
    assert _shown(raw) == shown
