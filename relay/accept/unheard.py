"""Submissions whose 250 nobody heard, not to be taken twice.

A client that is gone before its answer sends the message again (RFC 5321 4.5.4.1, RFC 1047).
Law: a message is answered without being taken in only if the very same one, from the same client
and for the same people, was taken in within KEPT_S and its client did not hear of it.
In memory: a process that ends forgets them, and takes them twice rather than not at all.
"""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from time import monotonic

from relay.mail import Submission
from relay.mime.header import read_header
from relay.reply import Reply

KEPT_S = 600.0
"""Clients come again within minutes; who sends the same bytes later means it."""

_MOST = 10_000
"""Some 3 MB; each was a connection that broke between the dot and the answer."""

_OK = 250


class Unheard:
    """What was taken in for clients that had gone."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Know of none; `clock` gives seconds that only go forward."""
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, Reply]] = OrderedDict()

    def keep(self, submission: Submission, reply: Reply) -> None:
        """Remember what a client was not there to hear.

        What has no Message-ID is not remembered: two of those may be two that are alike.
        """
        if reply.code != _OK or read_header(submission.raw).value(b"message-id") is None:
            return
        self._kept[_name_of(submission)] = (self._clock() + KEPT_S, reply)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)

    def take(self, submission: Submission) -> Reply | None:
        """Return the reply that was not heard to the very same submission, and forget it."""
        now = self._clock()
        while self._kept and next(iter(self._kept.values()))[0] <= now:
            self._kept.popitem(last=False)
        if not self._kept:
            return None  # nearly always: nothing is hashed
        _, reply = self._kept.pop(_name_of(submission), (0.0, None))
        return reply


def _name_of(submission: Submission) -> bytes:
    envelope, hashed = submission.envelope, blake2b(digest_size=32)
    recipients = sorted(str(one) for one in envelope.recipients)
    for word in (submission.client.ip, submission.account or "", envelope.sender, *recipients):
        hashed.update(f"{word}\n".encode())  # no address has a line end
    hashed.update(b"\n")
    hashed.update(submission.raw)
    return hashed.digest()
