"""HUB, the way of our own mail to recipients: from what is owed into the queue.

Law: what is owed is sent; twice only where a process was killed between queue and receipt.
It is not tracked, and goes out from the null sender: nothing answers it, and nothing bounces it.
"""

import asyncio
import secrets
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ledger.address import parse_address
from ledger.engine import Store
from ledger.owed_mails import OwedMail, delete_owed_mails, read_owed_mails
from relay.batch import fresh_ident
from relay.clock import utc_now
from relay.letter import write_letter
from relay.notice import Names, notice_mail
from relay.promise import CopyIdTaken, SpoolError, Stored
from relay.spool import Spool

LOOK_S = 1.0
"""Somebody waits before his mailbox; a look reads one empty table."""

_LAST_PAUSE_S = 30.0
"""While the spool can not be read or written: it doubles up to this."""

_AT_ONCE = 50
_DRAWS = 3
"""Of two copy ids of 63 bits one is taken never; a name is taken where it lies in the queue."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Post:
    """Who posts."""

    store: Store
    """The spool's, where mail is owed."""
    spool: Spool
    hostname: str
    key_id: int
    """Of the key that signs now; nothing of this mail is signed."""

    async def run(self) -> None:
        """Post what is owed, until cancelled."""
        pause_s = LOOK_S
        while True:
            try:
                await self.post_owed()
            except (SQLAlchemyError, OSError, SpoolError) as error:
                _log.error("letters.waiting", error=str(error))
                pause_s = min(2 * pause_s, _LAST_PAUSE_S)
            else:
                pause_s = LOOK_S
            await asyncio.sleep(pause_s)

    async def post_owed(self) -> int:
        """Return how many mails were put into the queue.

        Raises SQLAlchemyError or SpoolError where it can not be done now.
        """
        async with self.store.read() as connection:
            owed = await read_owed_mails(connection, _AT_ONCE)
        for mail in owed:
            await self._post(mail)
            async with self.store.write() as connection:
                await delete_owed_mails(connection, [mail.name])
        return len(owed)

    async def _post(self, mail: OwedMail) -> None:
        for _ in range(_DRAWS):
            try:
                await self.spool.store(self._stored(mail))
            except CopyIdTaken:
                continue
            _log.info("letter.queued", send_id=mail.name)
            return
        _log.info("letter.queued_before", send_id=mail.name)

    def _stored(self, mail: OwedMail) -> Stored:
        recipient, now = parse_address(mail.recipient), utc_now()
        names = Names(mail.name, fresh_ident(now), secrets.randbits(63), self.key_id)
        message_id = f"{mail.name}@{self.hostname}"
        raw = write_letter(recipient, mail.subject, mail.text, message_id, now)
        return notice_mail(raw, recipient, names, now)
