"""Which bytes of a text are plain ASCII characters.

Markup is looked for in a mask: the text with every byte that is not an ASCII character by itself
replaced.  So the trail byte of a kanji is never taken for markup, and ASCII may be put wherever the
mask shows ASCII before and after.
"""

import codecs
import re
from dataclasses import dataclass

MASKED = 0x80
"""Stands in a mask for each byte that is not an ASCII character by itself."""

_LABEL = re.compile(r"[a-z0-9][a-z0-9_.:+()-]{0,39}")
_MASK = bytes([MASKED])
_HIGH_MASKED = bytes(range(128)) + _MASK * 128
# NUL: UTF-16 under a wrong name.  SO, SI, ESC: ISO 2022 under a wrong name, whose two-byte
# characters hold `<` and `"`.  Programs that guess would see another text than the mask shows.
_FOREIGN = (b"\x00", b"\x0e", b"\x0f", b"\x1b")
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")  # Encoding Standard 4.2: a BOM outweighs the label

# Stateless, and no byte under 0x80 is ever part of another character; broken sequences do not
# swallow an ASCII byte (Encoding Standard 8.1.1, 12.1.1: it is prepended to the stream again).
_ASCII_SAFE = frozenset(
    """
    ascii utf-8 utf-8-sig euc_jis_2004 euc_jisx0213 euc_jp cp1006 cp1125 cp1250 cp1251 cp1252 cp1253
    cp1254 cp1255 cp1256 cp1257 cp1258 cp437 cp720 cp737 cp775 cp850 cp852 cp855 cp856 cp857 cp858
    cp860 cp861 cp862 cp863 cp865 cp866 cp869 cp874 hp-roman8 iso8859-1 iso8859-2 iso8859-3
    iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-9 iso8859-10 iso8859-11 iso8859-13
    iso8859-14 iso8859-15 iso8859-16 koi8-r koi8-t koi8-u kz1048 mac-croatian mac-cyrillic mac-greek
    mac-iceland mac-latin2 mac-roman mac-turkish palmos ptcp154 tis-620
    """.split()  # noqa: SIM905 - sixty quoted words would hide the list
)

# Labels of the Encoding Standard 4.2 and of mail programs that Python does not know.
_ALIASES = {
    "chinese": "gb18030",
    "cp50220": "iso2022_jp",
    "dos-874": "cp874",
    "gb_2312-80": "gb18030",
    "iso-2022-jp-ms": "iso2022_jp",
    "iso-8859-6-e": "iso8859-6",
    "iso-8859-6-i": "iso8859-6",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-8-i": "iso8859-8",
    "unicode-1-1-utf-8": "utf-8",
    "windows-31j": "cp932",
    "windows-874": "cp874",
    "windows-949": "cp949",
    "x-big5": "big5",
    "x-cp1250": "cp1250",
    "x-cp1251": "cp1251",
    "x-cp1252": "cp1252",
    "x-euc-jp": "euc_jp",
    "x-gbk": "gb18030",
    "x-mac-cyrillic": "mac-cyrillic",
    "x-mac-roman": "mac-roman",
    "x-sjis": "cp932",
}


@dataclass(frozen=True, slots=True)
class Charset:
    """How the bytes of a text are read."""

    codecs: tuple[str, ...]
    """Tried in this order; the last one replaces what it can not decode."""

    def mask(self, text: bytes) -> bytes | None:
        """Return the mask of a text, of the same length; None where it can not be told.

        Law: an ASCII character that the codec reads stands in the mask at its place, all other
        bytes are MASKED.
        """
        if any(mark in text for mark in _FOREIGN) or text.startswith(_UTF_16_MARKS):
            return None
        return text if text.isascii() else text.translate(_HIGH_MASKED)

    def decode(self, text: bytes) -> str:
        """Return the characters of a stretch of the text for display."""
        for codec in self.codecs:
            try:
                return text.decode(codec)
            except UnicodeDecodeError:
                continue
        return text.decode(self.codecs[-1], "replace")


@dataclass(frozen=True, slots=True)
class _PairedCharset(Charset):
    """One whose characters may end in an ASCII byte."""

    wide: re.Pattern[bytes]
    """Its group is a run of characters that are not ASCII."""

    def mask(self, text: bytes) -> bytes | None:
        """Return the mask, if one of the codecs reads just the ASCII characters it shows."""
        if text.isascii() or any(mark in text for mark in _FOREIGN):
            return Charset.mask(self, text)
        mask, shown = _mask_runs(self.wide, text)
        for codec in self.codecs:
            try:
                if text.decode(codec).encode("ascii", "ignore") == shown:
                    return mask
            except UnicodeDecodeError:
                continue
        return None


@dataclass(frozen=True, slots=True)
class _EscapedCharset(Charset):
    """ISO-2022-JP: everything from an escape sequence to the return to ASCII is wide."""

    def mask(self, text: bytes) -> bytes | None:
        """Return the mask, if all escape sequences are known and the text ends in ASCII."""
        mask, shown = _mask_runs(_ESCAPED, text)
        return mask if shown.isascii() and not any(mark in shown for mark in _FOREIGN) else None


def _mask_runs(wide: re.Pattern[bytes], text: bytes) -> tuple[bytes, bytes]:
    """Return a text with the runs of wide characters masked, and without them."""
    parts = wide.split(text)  # what is between the runs, and every other time a run
    shown = b"".join(parts[::2])
    parts[1::2] = [_MASK * len(run) for run in parts[1::2]]
    return b"".join(parts), shown


def find_charset(label: str) -> Charset | None:
    """Return how a lower-case charset label is read; None where markup can not be found in it.

    No label is US-ASCII (RFC 2045 5.2).  8-bit bytes under it are not ASCII whatever they are.
    UTF-16, UTF-32, UTF-7, HZ, ISO-2022-KR and EBCDIC are not read.
    """
    name = _codec_name(label or "us-ascii")
    if name is None:
        return None
    if name in _ASCII_SAFE:
        # Encoding Standard 4.2: both labels mean windows-1252; mail often means UTF-8.
        return Charset(("utf-8", "cp1252") if name in ("ascii", "iso8859-1") else (name,))
    return _WIDE.get(name)


def _codec_name(label: str) -> str | None:
    if _LABEL.fullmatch(label) is None:
        return None  # the codec registry remembers every name it was ever asked for
    try:
        return codecs.lookup(_ALIASES.get(label, label)).name
    except LookupError:
        return None


# Lead and trail bytes from the Encoding Standard 10.1.1, 10.2.1, 12.3.1, 11.1.1 and 13.1.1.
# Labels mean the larger set, as they do there: gb2312 holds GBK in real mail.
_SHIFT_JIS = _PairedCharset(
    ("cp932", "shift_jis_2004"),
    re.compile(rb"((?:[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc]|[\x80\xa0-\xdf\xfd-\xff])+)"),
)
_GB18030 = _PairedCharset(
    ("gb18030",),
    re.compile(rb"((?:[\x81-\xfe](?:[\x40-\x7e\x80-\xfe]|[0-9][\x81-\xfe][0-9]))+)"),
)
_BIG5 = _PairedCharset(
    ("big5hkscs", "cp950"), re.compile(rb"((?:[\x81-\xfe][\x40-\x7e\x80-\xfe])+)")
)
_KOREAN = _PairedCharset(("cp949",), re.compile(rb"((?:[\x81-\xfe][A-Za-z\x81-\xfe])+)"))
_JOHAB = _PairedCharset(("johab",), re.compile(rb"((?:[\x84-\xf9][\x31-\x7e\x81-\xfe])+)"))

# RFC 1468, 1554; Encoding Standard 12.2.1.  JIS Roman (J) differs from ASCII in `\` and `~`.
_ESCAPED = re.compile(
    rb"((?:\x1b\$(?:[@AB]|\([@A-DO-Q])(?:[!-~]{2})*|\x1b\([IJ][^\x00\x0e\x0f\x1b\x80-\xff]*)*\x1b\(B)"
)
_ISO_2022_JP = _EscapedCharset(("iso2022_jp_ext", "iso2022_jp_2004"))

_WIDE: dict[str, Charset] = {
    "shift_jis": _SHIFT_JIS,
    "shift_jis_2004": _SHIFT_JIS,
    "shift_jisx0213": _SHIFT_JIS,
    "cp932": _SHIFT_JIS,
    "gb2312": _GB18030,
    "gbk": _GB18030,
    "gb18030": _GB18030,
    "big5": _BIG5,
    "big5hkscs": _BIG5,
    "cp950": _BIG5,
    "euc_kr": _KOREAN,
    "cp949": _KOREAN,
    "johab": _JOHAB,
    "iso2022_jp": _ISO_2022_JP,
    "iso2022_jp_1": _ISO_2022_JP,
    "iso2022_jp_2": _ISO_2022_JP,
    "iso2022_jp_2004": _ISO_2022_JP,
    "iso2022_jp_3": _ISO_2022_JP,
    "iso2022_jp_ext": _ISO_2022_JP,
}
