"""DATA: the bytes between 354 and the dot, read whole and made canonical.

Law: only CRLF.CRLF ends the data, whatever the bytes before it and however they arrive.
Law: a canonical message has no lone CR, no lone LF and no NUL, and its last line is ended.
"""

import asyncio
import re
from collections.abc import Callable

from relay.reply import Reply

READ_LIMIT_BYTES = 65_536
"""Of the reader: asyncio stops reading from a client that has sent twice this unread."""

_GRACE_S = 300.0
"""For any message: RFC 5321 4.5.3.2.7 gives a client 5 minutes between commands."""

_FLOOR_BYTES_PER_S = 2_048
"""Slower than an EDGE phone; 25 MB may take 3.5 hours, a client that only trickles 5 minutes."""

# RFC 5322 2.2, with the space before the colon of 4.5; and 2.2.3, a line that goes on.
_NO_FIELD = re.compile(rb"^(?![!-9;-~]++[ \t]*:|[ \t])", re.MULTILINE)

_END = b"\r\n.\r\n"

MAX_HEADER_BYTES = 262_144
"""Exchange's MaxHeaderSize, and three times the header of a mail to a thousand people.

Postfix cuts at 100 KB and Exim refuses over 1 MB; every field costs work with each copy.
"""

TOO_BIG = Reply(552, "5.3.4", "The message is bigger than this server takes")
HEADER_TOO_BIG = Reply(552, "5.3.4", "The header is bigger than this server takes")
_LONE_CR = Reply(550, "5.6.11", "A CR without LF is in the message")
_LONE_LF = Reply(550, "5.6.11", "A LF without CR is in the message")
_NUL = Reply(550, "5.6.0", "A NUL is in the message")


def _any_size(_size_bytes: int) -> bool:
    return True


async def read_data(
    reader: asyncio.StreamReader, max_bytes: int, may_keep: Callable[[int], bool] = _any_size
) -> bytes | None:
    """Return what came up to CRLF.CRLF, without it but with the CRLF before the first line.

    Nothing may be left unread in `reader`, whose limit is READ_LIMIT_BYTES.  None where more came
    than a message of `max_bytes` can have, or than `may_keep` allows when it is asked for a size;
    all of it is read, and nothing kept.

    Raises TimeoutError where it takes too long for its size, IncompleteReadError where it ends.
    """
    # RFC 5321 4.1.1.4: the CRLF of the DATA command counts before the first dot.
    reader.feed_data(b"\r\n")
    # A message within the limit is at most a third longer with its dots: every line is `.` CRLF.
    kept_bytes = max_bytes + max_bytes // 3 + len(_END) + 2
    chunks: list[bytes] = []
    size_bytes, kept = 0, True
    started_at = asyncio.get_running_loop().time()
    async with asyncio.timeout(_GRACE_S) as deadline:
        ended = False
        while not ended:
            chunk, ended = await _read_chunk(reader)
            size_bytes += len(chunk)
            chunks.append(chunk)
            kept = kept and size_bytes <= kept_bytes and may_keep(size_bytes)
            if not kept:
                chunks.clear()
            counted = min(size_bytes, kept_bytes)
            deadline.reschedule(started_at + _GRACE_S + counted / _FLOOR_BYTES_PER_S)
    if not kept:
        return None
    # The last chunk has all of the end; cut there, the message is not there twice.
    chunks[-1] = chunks[-1][: -len(_END) + 2]
    return b"".join(chunks)


async def _read_chunk(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    try:
        return await reader.readuntil(_END), True
    except asyncio.LimitOverrunError as error:
        # Exactly what can not be the beginning of the end.
        return await reader.readexactly(error.consumed), False


def canonical_message(data: bytes, max_bytes: int, *, refuse_lone_lf: bool) -> bytes | Reply:
    """Return the message that read_data's bytes are, unstuffed, or the reply that refuses it."""
    # RFC 5321 4.5.2: a line begins after CRLF, and there only is a dot taken away.
    raw = (data.replace(b"\r\n.", b"\r\n") if _DOT.search(data) else data)[2:]
    if b"\0" in raw:
        return _NUL
    if _NO_LF_AFTER.search(raw):
        return _LONE_CR
    # So each CR has its LF.  Single bytes are counted in a third of the time that pairs take.
    if raw.count(b"\n") != raw.count(b"\r"):
        if refuse_lone_lf:
            return _LONE_LF
        raw = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if len(raw) > max_bytes:
        return TOO_BIG
    return raw if _header_fits(raw) else HEADER_TOO_BIG


# Quicker than replace and count where there is nothing to be found.
_DOT = re.compile(rb"\r\n\.")
_NO_LF_AFTER = re.compile(rb"\r(?!\n)")


def _header_fits(raw: bytes) -> bool:
    if len(raw) <= MAX_HEADER_BYTES or raw.startswith(b"\r\n"):
        return True
    if raw.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES) >= 0:
        return True
    # Where it has no empty line, it may be all body, without any header.
    whole_lines = raw.rfind(b"\r\n", 0, MAX_HEADER_BYTES)
    end = whole_lines if whole_lines >= 0 else MAX_HEADER_BYTES
    return _NO_FIELD.search(raw, 0, end) is not None
