"""The developers' corpus beside the checkout, as messages: real ones, and HTML wrapped in mail."""

import base64
import hashlib
import os
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

_SHARED = Path(__file__).parents[3] / "shared"
# As run_relay_check.py takes them.
_MESSAGES = (".eml", ".msg", ".raw", ".txt", ".mbox")
_NO_MESSAGE = "REPOS.txt"
# The next that can write the text is taken; each encoding goes through them at its own pace.
_CHARSETS = ("utf-8", "windows-1252", "iso-2022-jp", "gb18030", "koi8-r", "iso-8859-1")
_ENCODINGS = ("7bit", "8bit", "quoted-printable", "base64")
_DECLARED = re.compile(r"(<meta[^>]*charset\s*=\s*[\"']?)[\w-]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CorpusMessage:
    """A message as an SMTP client sends it: CRLF line ends, one at the end."""

    name: str
    """Of the corpus file."""
    sha256: str
    """Of the corpus file."""
    raw: bytes
    wrapped: str = ""
    """Transfer encoding, charset and structure that were put around an HTML file."""


@pytest.fixture(scope="session")
def corpus() -> Path:
    folder = Path(os.environ.get("INDICIA_CORPUS", _SHARED / "corpus"))
    if not folder.is_dir():
        pytest.skip(f"the developers' corpus is not at {folder}")
    return folder


@pytest.fixture(scope="session")
def relay_check() -> Path:
    tool = Path(os.environ.get("INDICIA_TOOLS", _SHARED / "tools")) / "run_relay_check.py"
    if not tool.is_file():
        pytest.skip(f"the independent checker is not at {tool}")
    return tool


@pytest.fixture(scope="session")
def real_messages(corpus: Path) -> list[CorpusMessage]:
    return [
        CorpusMessage(_name(path, corpus), _sha256(path), _crlf(path.read_bytes()))
        for path in sorted(corpus.rglob("*"))
        if path.suffix in _MESSAGES and path.name != _NO_MESSAGE and path.is_file()
    ]


@pytest.fixture(scope="session")
def wrapped_messages(corpus: Path) -> list[CorpusMessage]:
    numbers = count()
    return [
        CorpusMessage(_name(path, corpus), _sha256(path), raw, how)
        for path in sorted(corpus.rglob("*.html"))
        for how, raw in _wrap_html(path.read_bytes(), numbers)
    ]


def _crlf(stored: bytes) -> bytes:
    """Return a stored message as the independent checker sends it."""
    text = re.sub(rb"\r?\n", b"\r\n", stored) if b"\n" in stored else stored.replace(b"\r", b"\r\n")
    return text if text.endswith(b"\r\n") else text + b"\r\n"


def _wrap_html(stored: bytes, numbers: Iterator[int]) -> Iterator[tuple[str, bytes]]:
    """Yield messages with this HTML in each transfer encoding that can carry it.

    Charsets and structures rotate with `numbers`.
    """
    text = re.sub(r"\r?\n", "\r\n", stored.decode("utf-8", "replace"))
    text = text if text.endswith("\r\n") else text + "\r\n"
    for turn, encoding in enumerate(_ENCODINGS):
        number = next(numbers)
        charset = _charset(text, encoding, number + turn)
        if charset is None:
            continue
        declared = _DECLARED.sub(rf"\g<1>{charset}", text)
        part = _part(declared.encode(charset), charset, encoding)
        structure = ("single", "alternative", "related")[number % 3]
        yield f"{encoding} {charset} {structure}", _message(part, structure, number)


def _charset(text: str, encoding: str, number: int) -> str | None:
    """Return the next charset that can write a text; of 7bit, one that needs no eighth bit."""
    for turn in range(len(_CHARSETS)):
        charset = _CHARSETS[(number + turn) % len(_CHARSETS)]
        try:
            written = text.encode(charset)
        except UnicodeEncodeError:
            continue
        if encoding != "7bit" or written.isascii():
            return charset
    return None


def _part(body: bytes, charset: str, encoding: str) -> bytes:
    head = (
        f"Content-Type: text/html; charset={charset}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    ).encode()
    if encoding == "quoted-printable":
        body = quopri.encodestring(body.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    elif encoding == "base64":
        body = base64.encodebytes(body).replace(b"\n", b"\r\n")
    return head + body


def _message(part: bytes, structure: str, number: int) -> bytes:
    head = (
        "From: Ann Sender <ann@sender.test>\r\n"
        "To: Bob <bob@rcpt.test>\r\n"
        "Bcc: hidden@rcpt.test\r\n"
        f"Message-ID: <{number}@sender.test>\r\n"
        "Date: Tue, 24 Nov 2026 08:00:00 +0000\r\n"
        f"Subject: wrapped {number}\r\n"
        "MIME-Version: 1.0\r\n"
    ).encode()
    if structure == "single":
        return head + part
    first, second = {
        "alternative": (b"Content-Type: text/plain\r\n\r\nPlain.\r\n", part),
        "related": (part, b"Content-Type: image/gif\r\nContent-ID: <1@x>\r\n\r\nGIF89a\r\n"),
    }[structure]
    kind = f'Content-Type: multipart/{structure}; boundary="=_b"\r\n\r\n'.encode()
    return head + kind + b"--=_b\r\n" + first + b"\r\n--=_b\r\n" + second + b"\r\n--=_b--\r\n"


@pytest.fixture(scope="session")
def eligible() -> Path:
    """The reviewed list of what is tracked in the corpus."""
    return Path(__file__).parent / "eligible.tsv"


def _name(path: Path, corpus: Path) -> str:
    return path.relative_to(corpus).as_posix()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
