"""A captured copy as its recipient would read it.

For display only: nothing that is sent is ever made from this (stdlib email changes half of all mail
when it prints it).
"""

import base64
import re
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from urllib.parse import unquote

_DOCTYPE = re.compile(r"\s*<!doctype[^>]*>", re.IGNORECASE)
_CID = re.compile(r"\bcid:([^\"'\s>)]+)", re.IGNORECASE)
_TARGET = re.compile(
    r"(<(?:a|area)\b[^>]*?)\starget\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE
)
_URL = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)\]]")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is not shown with the text."""

    name: str
    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of plain text; with `url` it is a link."""

    text: str
    url: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """What a mail program would show."""

    fields: tuple[tuple[str, str], ...]
    """All header fields in order, decoded."""
    html: str | None
    """The HTML part, able to stand alone: its images inlined, its links to open in a new tab."""
    text: tuple[Piece, ...] | None
    """The plain-text part."""
    attachments: tuple[Attachment, ...]

    def field(self, name: str) -> str:
        """Return the first field of this name, empty where there is none."""
        return next((value for key, value in self.fields if key.lower() == name), "")


def read_mail(raw: bytes) -> Reading:
    """Return what a mail program would show of a mail, however broken it is.

    Law: no bytes make it raise, and what comes back can be written as UTF-8.
    """
    message = message_from_bytes(raw)
    leaves = [part for part in message.walk() if not part.is_multipart()]
    html = next((part for part in leaves if _is_body(part, "text/html")), None)
    text = next((part for part in leaves if _is_body(part, "text/plain")), None)
    images = {_content_id(part): part for part in leaves if _content_id(part)}
    shown = [part for part in (html, text) if part is not None]
    return Reading(
        fields=tuple(
            (_encodable(name), _decoded(str(value))) for name, value in message.raw_items()
        ),
        html=None if html is None else _stand_alone(_text_of(html), images),
        text=None if text is None else _pieces(_text_of(text)),
        attachments=tuple(
            _attachment(part)
            for part in leaves
            if part not in shown and (part.get_filename() or not _content_id(part))
        ),
    )


def _is_body(part: Message, media_type: str) -> bool:
    return part.get_content_type() == media_type and part.get_content_disposition() != "attachment"


def _content_id(part: Message) -> str:
    return str(part.get("Content-ID", "")).strip().strip("<>")


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text_of(part: Message) -> str:
    charset = part.get_content_charset("utf-8")
    try:
        return _encodable(_payload(part).decode(charset, "replace"))
    except (LookupError, ValueError):
        return _payload(part).decode("latin-1")


def _decoded(value: str) -> str:
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", _encodable(value))
    try:
        return _encodable(str(make_header(decode_header(unfolded))))
    except (MessageError, LookupError, ValueError):
        return unfolded


def _encodable(value: str) -> str:
    # RFC 6532 permits UTF-8 in header fields; the parser keeps such bytes as lone surrogates.
    try:
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:  # a charset such as unicode-escape has made others
        return value.encode("utf-8", "replace").decode("utf-8")


def _stand_alone(html: str, images: dict[str, Message]) -> str:
    def inline(match: re.Match[str]) -> str:
        image = images.get(unquote(match[1]))
        if image is None or image.get_content_maintype() != "image":
            return match[0]
        return (
            f"data:{image.get_content_type()};base64,{base64.b64encode(_payload(image)).decode()}"
        )

    doctype = _DOCTYPE.match(html)
    start = doctype.end() if doctype else 0
    body = _TARGET.sub(r"\1", _CID.sub(inline, html[start:]))
    # Behind the doctype, or the page would be drawn in quirks mode where the mail is not.
    return f'{html[:start]}<base target="_blank">{body}'


def _pieces(text: str) -> tuple[Piece, ...]:
    pieces, start = [], 0
    for match in _URL.finditer(text):
        pieces += [Piece(text[start : match.start()], url=False), Piece(match[0], url=True)]
        start = match.end()
    return tuple(piece for piece in (*pieces, Piece(text[start:], url=False)) if piece.text)


def _attachment(part: Message) -> Attachment:
    name = part.get_filename() or "without a name"
    return Attachment(_decoded(name), _encodable(part.get_content_type()), len(_payload(part)))
