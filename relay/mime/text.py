"""URLs in text/plain, as mail programs make links of them.

Programs differ in where a URL without angle brackets ends.  Where they agree it has an end here,
where they do not it is doubtful.  Mozilla's mozTXTToHTMLConv, Gmail and RFC 3986 appendix C were
looked at: blanks, `<`, `>`, `"` and a back quote end a URL, full stops and their like at its end
are of the sentence, and a closing bracket is its own only where it was opened in it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from relay.mime.charset import MASKED
from relay.mime.encoding import Decoded
from relay.mime.header import Header, parse_structured

GOES_ON = "it may go on in the next line"
"""The doubt that is about what follows, and not about how the URL is written."""


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How the lines of a text/plain part are joined (RFC 3676)."""

    flowed: bool = False
    """A line that ends in a space goes on in the next one."""
    delsp: bool = False
    """And that space is no part of the text."""


@dataclass(frozen=True, slots=True)
class TextUrl:
    """A URL at `text[start:end]` of a decoded body."""

    start: int
    end: int
    url: str
    """Without the line ends within angle brackets."""
    quoted: bool
    """It stands in what is quoted from an earlier mail."""
    opted_out: bool
    """SparkPost's mark follows, which says that it is not to be tracked."""
    doubt: str
    """Why programs may read another URL here; empty where they do not."""


def read_format(header: Header) -> TextFormat:
    """Return the format that the header of a text/plain part tells."""
    said = parse_structured(header.value(b"content-type") or b"").parameters
    flowed = said.get("format", "").strip().lower() == "flowed"
    return TextFormat(flowed, flowed and said.get("delsp", "").strip().lower() == "yes")


_SCHEME = re.compile(rb"https?(?:\+notrack)?://", re.IGNORECASE)
# What stands before a URL that is a piece of something larger: a scheme, a path, a query.
_LARGER = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/=&?%#@._~-")
_RUN = re.compile(rb'[^\x00-\x20\x7f<>"`]+')
_MASKED_RUN = re.compile(rb"\x80{1,16}")
_DIVIDERS = re.compile(
    # `-----Original Message-----` or a long line, and then two lines as of a header.
    rb"^(?:-{3,20}[^\r\n-][^\r\n]{1,60}|_{10,80})[ \t]*\r?\n(?:[ \t]*\r?\n)?"
    rb"(?:[^\s:][^:\r\n]{0,24}:\*?[^\S\r\n][^\r\n]*\r?\n){2}",
    re.MULTILINE,
)


def find_urls(decoded: Decoded, form: TextFormat) -> Iterator[TextUrl]:
    """Yield the http and https URLs of a text/plain body, in order.

    Links in the signature (below `-- `) are links like others, as they are in HTML.

    Law: they do not overlap, and each begins with its scheme.
    """
    return _Search(decoded, form).run() if b"://" in decoded.mask else iter(())


class _Search:
    """The search of one body."""

    def __init__(self, decoded: Decoded, form: TextFormat) -> None:
        """Begin at the start."""
        self.decoded = decoded
        self.mask = decoded.mask
        self.form = form
        divider = _DIVIDERS.search(self.mask)
        self.history = divider.start() if divider else len(self.mask)
        self.at = self.line_start = 0

    def run(self) -> Iterator[TextUrl]:
        """Yield what is found."""
        while match := _SCHEME.search(self.mask, self.at):
            start = match.start()
            newline = self.mask.rfind(b"\n", self.at, start)
            if newline >= 0:
                self.line_start = newline + 1
            before = self.mask[start - 1] if start else 0
            if before in _LARGER:
                self.at = _run_end(self.mask, start)
                continue
            found = self.delimited(match) if before == ord("<") or self.labelled(start) else None
            found = found or self.bare(match)
            self.at = match.end()
            if found is not None:
                yield found
                self.at = found.end
                self.line_start = max(self.mask.rfind(b"\n", start, found.end) + 1, self.line_start)

    def labelled(self, start: int) -> bool:
        """Tell whether `<URL:` stands before (RFC 3986 appendix C)."""
        return self.mask[max(start - 5, 0) : start].upper() == b"<URL:"

    def delimited(self, match: re.Match[bytes]) -> TextUrl | None:
        """Return the URL up to the closing angle bracket, wherever its lines are broken."""
        start = match.start()
        closing = _DELIMITED.match(self.mask, start)
        if closing is None:
            return None
        pieces = [piece.span() for piece in _PIECE.finditer(closing[1])]
        gaps = [closing[1][last:first] for (_, last), (first, _) in pairwise(pieces)]
        end = start + pieces[-1][1]
        # A line that begins with `>` is a quoted one, and an empty line ends a paragraph.
        if b"\n" in closing[1][pieces[-1][1] :] or any(gap.count(b"\n") > 1 for gap in gaps):
            return None
        url = "".join(self.decoded.decode(start + first, start + last) for first, last in pieces)
        span = (start, end)
        return self.found(span, url, closing.end(), _why_doubtful_within(closing[1], pieces, gaps))

    def bare(self, match: re.Match[bytes]) -> TextUrl | None:
        """Return the URL up to where the text goes on; None where there is no host."""
        start = match.start()
        run_end = _run_end(self.mask, start)
        mark = self.mask.find(b"[[data-msys-", match.end(), run_end)
        until = run_end if mark < 0 else mark
        foreign = self.foreign(match.end(), until)
        until = foreign if foreign is not None else until
        end = start + _trimmed(self.mask[start:until])
        if end <= match.end():
            return None
        why = _why_doubtful(self.mask[start:end], self.mask[end:until], len(match[0]))
        if not why and foreign is None and MASKED in self.mask[start:until]:
            why = "characters that are not ASCII"
        if not why and mark < 0 and until == run_end and self.goes_on(end, until):
            why = GOES_ON
        return self.found((start, end), self.decoded.decode(start, end), until, why)

    def found(self, span: tuple[int, int], url: str, until: int, why: str) -> TextUrl:
        """Return what was found, with what stands around it."""
        start, end = span
        opted_out = _OPT_OUT.match(self.mask, until) is not None
        if not opted_out and self.mask.startswith(b"[[data-msys-", until):
            why = why or "a mark that is not known"
        return TextUrl(start, end, url, self.quoted(start), opted_out, why)

    def quoted(self, start: int) -> bool:
        """Tell whether an offset of the current line is in quoted history."""
        # RFC 3676 4.5: quote marks begin a flowed line; a space before them makes them text.
        pattern = _FLOWED_QUOTE if self.form.flowed else _QUOTE
        return start >= self.history or pattern.match(self.mask, self.line_start) is not None

    def foreign(self, start: int, until: int) -> int | None:
        """Return where a blank that is not ASCII ends a URL, as a no-break space does."""
        match = _MASKED_RUN.search(self.mask, start, until)
        if match is None:
            return None
        return match.start() if self.decoded.decode(*match.span())[:1].isspace() else None

    def goes_on(self, end: int, until: int) -> bool:
        """Tell whether a URL that ends a line may be only the first part of one."""
        match = _NEXT_LINE.match(self.mask, until)
        if match is None or match["word"].lower().startswith((b"http:", b"https:")):
            return False
        if match["space"] or match["stuffed"]:
            return bool(match["space"]) and self.form.delsp  # then it is no part of the text
        if self.mask[until - 1] in _JOINS:
            return True
        if until - self.line_start < _FULL_LINE:
            return False
        only_word = not match["rest"] and end == until
        return only_word or self.mask[until - 1] == _SLASH or bool(_LIKE_URL.search(match["word"]))


# RFC 3986 appendix C: blanks and line ends within the brackets are to be ignored.
_DELIMITED = re.compile(rb'([^<>"\x00-\x08\x0b\x0c\x0e-\x1f\x7f]{1,4096})>')
_PIECE = re.compile(rb"[^ \t\r\n]+")
_ODD_WITHIN = re.compile(rb"[`{}|\\^]")

_OPT_OUT = re.compile(rb"\[\[data-msys-clicktrack=\"?(?:0|off|false|no)\"?\]\]", re.IGNORECASE)
_QUOTE = re.compile(rb"[ \t]*>")
_FLOWED_QUOTE = re.compile(rb">")

_SLASH = ord("/")
_JOINS = frozenset(b"-=&?%_+~#")
_FULL_LINE = 60  # columns: programs break lines at 65 to 78
_NEXT_LINE = re.compile(
    # RFC 3676 4.4: the space with which a flowed line is stuffed is no part of it.
    rb'(?P<space> ?)\r?\n(?P<stuffed> ?)(?P<word>[^\x00-\x20\x7f<>"`]+)(?P<rest>[^\r\n]{0,1})'
)
_LIKE_URL = re.compile(rb"[/?&=%#_+~@0-9]|[A-Za-z][.-][A-Za-z]")

_SENTENCE = frozenset(b".,;!?'")
_OPENING = {ord(")"): b"(", ord("]"): b"[", ord("}"): b"{"}
_UNCERTAIN_END = frozenset(b":-_*~|")
# The brackets of an IPv6 address, which no program takes for others.
_ADDRESS = re.compile(rb"(?:[^/\[\]@]*@)?\[[0-9A-Fa-f:.]+\](?=[:/?#]|\Z)")
_ROUND = re.compile(rb"[()]")
_ODD = re.compile(rb"['\[\]{}|\\^]|[,;(]https?://", re.IGNORECASE)


def _run_end(mask: bytes, start: int) -> int:
    match = _RUN.match(mask, start)
    return match.end() if match else start


def _trimmed(run: bytes) -> int:
    """Return how much of a run is its URL: without what ends a sentence or closes a bracket."""
    surplus = {close: run.count(close) - run.count(opening) for close, opening in _OPENING.items()}
    end = len(run)
    while True:  # the scheme ends in a slash
        last = run[end - 1]
        if surplus.get(last, 0) > 0:
            surplus[last] -= 1
        elif last not in _SENTENCE:
            return end
        end -= 1


def _why_doubtful(url: bytes, trimmed: bytes, scheme: int) -> str:
    """Tell why a URL without brackets may be another; `trimmed` is what follows up to a blank."""
    if url[-1] in _UNCERTAIN_END:
        return f"{url[-1:].decode()} at its end"
    address = _ADDRESS.match(url, scheme)
    odd = _ODD.search(url, address.end() if address else scheme)
    if odd:
        return f"{odd[0][:1].decode()} in it"
    depth = 0
    for bracket in _ROUND.findall(url):
        depth += 1 if bracket == b"(" else -1
        if depth < 0:
            break
    # Mozilla takes every closing one where there is an opening one.
    return "brackets that do not match" if depth or (b"(" in url and b")" in trimmed) else ""


def _why_doubtful_within(inner: bytes, pieces: list[tuple[int, int]], gaps: list[bytes]) -> str:
    """Tell why a URL in angle brackets may be another."""
    if not all(b"\n" in gap for gap in gaps):
        return "a blank in it"
    if any(inner[last - 1 : last] == b"-" for _, last in pieces[:-1]):
        return "a hyphen before a line end"  # RFC 3986 appendix C: it may be of the typesetter
    odd = _ODD_WITHIN.search(inner)
    return f"{odd[0].decode()} in it" if odd else ""
