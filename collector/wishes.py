"""GRANT: does what recipients ask for on their page, now or when it can.

Law: a wish that `keep` has returned True for is on disk until it is done, whatever is down.
Law: from then on no hit of a withdrawn copy is recorded by name, known or not.
A wish is looked at again and again until the ledger knows its copy and can be written.
"""

import asyncio
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from typing import assert_never

import structlog
from sqlalchemy.exc import SQLAlchemyError

from collector.speech.choose import speak
from collector.wish import (
    OPEN_KINDS,
    WITHDRAWALS,
    Confirmation,
    Wish,
    WishKind,
    open_wish,
    seal_wish,
    write_code,
)
from ledger.address import Address, AddressError, parse_address
from ledger.audit import RECIPIENT, Author
from ledger.consent import Consent, Method
from ledger.consents import ConsentTold
from ledger.engine import Store
from ledger.keys import KeyRing
from ledger.owed_mails import OwedMail, owe_mail
from ledger.seal import SALT_BYTES, SealError
from ledger.wishes import (
    SpilledWish,
    change_wish,
    copies_wished,
    delete_wish,
    insert_wish,
    select_wishes,
)
from ledger.withdrawals import (
    CopyParty,
    Withdrawn,
    deny_address,
    find_party,
    page_withdrawals,
    undo_withdrawals,
    withdraw_copy,
)

FIRST_LOOK_S, LAST_LOOK_S = 0.1, 10.0
"""How soon what could not be done is tried again: it doubles from the one to the other."""

SOON_S = 1.5
"""How long somebody before the page waits to hear that it is done."""

ASKED_LASTS = timedelta(days=7)
"""How long a mail that was asked for is tried to be sent: later nobody knows what it is about."""

_CHUNK = 100
_FAULTS = (SQLAlchemyError, OSError)

_log = structlog.get_logger()


class Came(Enum):
    """What came of a wish by the time somebody has waited for it."""

    LOST = "lost"
    """It could not even be kept."""
    KEPT = "kept"
    """It is done as soon as it can be."""
    DONE = "done"
    NOTHING = "nothing"
    """There was nothing to do."""


@dataclass(frozen=True, slots=True)
class Places:
    """The stores that a wish goes through."""

    spill: Store
    ledger: Store
    spool: Store


@dataclass(frozen=True, slots=True)
class Terms:
    """What stands in records and mail."""

    page: str
    """The page's URL without a token: the source of a consent."""
    base_url: str
    """Where links of mail lead whose send is not on record."""
    pseudonym_key: bytes


class Wishes:
    """The wishes of one process."""

    def __init__(self, places: Places, keys: KeyRing, terms: Terms) -> None:
        """Take the stores; nothing is known before `recall`."""
        self._places = places
        self._keys = keys
        self._terms = terms
        self._arrived = asyncio.Event()
        self._stopped = False
        self._awaited: dict[str, asyncio.Future[bool]] = {}
        self._left = True  # what an earlier process may have left
        self.withdrawn: frozenset[int] = frozenset()
        """Copies of which a withdrawal is not on record."""

    async def recall(self) -> None:
        """Take up what is on disk.

        Raises SQLAlchemyError where the spill can not be read.
        """
        self._places.ledger.is_in_place()  # which file it is from now on
        await self._recall_copies()

    async def keep(self, wish: Wish) -> bool:
        """Return True when a wish is on disk, False where it could not be written."""
        sealed = seal_wish(self._keys, wish, secrets.token_bytes(SALT_BYTES))
        if wish.kind is WishKind.WITHDRAW and wish.copy_id in self.withdrawn:
            return True  # it was asked for before
        try:
            await self._places.spill.transact(partial(insert_wish, wish=sealed))
        except _FAULTS as error:
            _log.error("wish.lost", kind=wish.kind.value, why=type(error).__name__)
            return False
        if wish.kind is WishKind.WITHDRAW and wish.copy_id is not None:
            self.withdrawn |= {wish.copy_id}
        _log.info("wish.kept", kind=wish.kind.value, copy_id=wish.copy_id)
        self._left = True
        self._arrived.set()
        return True

    async def keep_and_wait(self, wish: Wish) -> Came:
        """Keep a wish, and return what has come of it after SOON_S at the latest."""
        granted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._awaited[wish.wish_id] = granted
        try:
            if not await self.keep(wish):
                return Came.LOST
            async with asyncio.timeout(SOON_S):
                return Came.DONE if await granted else Came.NOTHING
        except TimeoutError:
            return Came.KEPT
        finally:
            del self._awaited[wish.wish_id]

    async def grant(self) -> None:
        """Do what can be done now; what can not stays."""
        if not self._left:
            return
        self._left = False  # before the look: what is kept meanwhile sets it again
        after = ""
        try:
            while page := await self._page(after):
                after = page[-1].wish_id
                for spilled in page:
                    self._left |= not await self._grant(spilled)
        except BaseException:
            self._left = True  # it is to be tried again
            raise

    async def follow(self) -> None:
        """Do what is asked for as soon as it can be done, until stopped."""
        pause_s = FIRST_LOOK_S
        while not self._stopped:
            self._arrived.clear()
            try:
                await self.grant()
            except _FAULTS as error:
                _log.warning("wishes.waiting", why=type(error).__name__, pause_s=pause_s)
            except Exception:  # noqa: BLE001 - house style 29: this loop logs and goes on
                _log.exception("wishes.waiting")
            try:
                await asyncio.wait_for(self._arrived.wait(), pause_s)
            except TimeoutError:
                pause_s = min(2 * pause_s, LAST_LOOK_S)
            else:
                pause_s = FIRST_LOOK_S

    def stop(self) -> None:
        """Let `follow` end."""
        self._stopped = True
        self._arrived.set()

    async def _page(self, after: str) -> tuple[SpilledWish, ...]:
        return await self._places.spill.transact(
            partial(select_wishes, kinds=OPEN_KINDS, after=after, limit=_CHUNK)
        )

    async def _grant(self, spilled: SpilledWish) -> bool:
        """Return whether a wish is done with."""
        try:
            wish = open_wish(self._keys, spilled)
        except SealError as error:
            # It stays: the key may come back.
            _log.error("wish.sealed", wish_id=spilled.wish_id, why=str(error))
            return False
        if not self._places.ledger.is_in_place():
            return False
        match wish.kind:
            case WishKind.WITHDRAW:
                return await self._withdraw(wish)
            case WishKind.RESTORE | WishKind.ASK:
                done = await self._write(wish)
            case WishKind.DENY | WishKind.UNDO:
                done = await self._confirmed(wish)
            case WishKind.SOMEONE:
                return True
            case unexpected:
                assert_never(unexpected)
        if done:
            await self._places.spill.transact(partial(delete_wish, wish_id=wish.wish_id))
        return done

    async def _withdraw(self, wish: Wish) -> bool:
        copy_id = wish.copy_id or 0
        async with self._places.ledger.read() as connection:
            if await find_party(connection, copy_id) is None:
                return False
        async with self._places.ledger.write() as connection:
            done = await withdraw_copy(connection, copy_id, self._told(wish), self._author(wish))
        match done:
            case Withdrawn.UNKNOWN:
                return False
            case Withdrawn.SOMEONE:
                step = partial(change_wish, wish_id=wish.wish_id, kind=WishKind.SOMEONE.value)
            case Withdrawn.DONE:
                step = partial(delete_wish, wish_id=wish.wish_id)
            case unexpected:
                assert_never(unexpected)
        # Killed here, it is told again, and nothing is recorded of what holds.
        await self._places.spill.transact(step)
        await self._recall_copies()
        self._answer(wish, done=done is Withdrawn.DONE)
        return True

    async def _recall_copies(self) -> None:
        self.withdrawn = await self._places.spill.transact(
            partial(copies_wished, kinds=WITHDRAWALS)
        )

    async def _write(self, wish: Wish) -> bool:
        """Owe the mail that was asked for, if it is for somebody who has the copy."""
        async with self._places.ledger.read() as connection:
            party = await find_party(connection, wish.copy_id or 0)
            address = None if party is None else _addressee(party, wish)
            own = () if address is None else await page_withdrawals(connection, address)
        if party is None:
            return datetime.now(UTC) - wish.at > ASKED_LASTS
        if address is None or (wish.kind is WishKind.RESTORE and not own):
            return True
        confirmed = WishKind.UNDO if wish.kind is WishKind.RESTORE else WishKind.DENY
        confirmation = Confirmation(
            confirmed, str(address), datetime.now(UTC), own[-1].number if own else 0
        )
        mail = self._mail(wish, confirmation, party.base_url or self._terms.base_url)
        async with self._places.spool.write() as connection:
            await owe_mail(connection, mail)
        _log.info("wish.mail_owed", kind=wish.kind.value, send_id=mail.name)
        return True

    def _mail(self, wish: Wish, confirmation: Confirmation, base_url: str) -> OwedMail:
        phrases = speak(wish.language)
        said = phrases.undo_mail if confirmation.kind is WishKind.UNDO else phrases.deny_mail
        code = write_code(self._keys, confirmation, secrets.token_bytes(SALT_BYTES))
        link = f"{base_url}/w/confirm/{code}"
        text = said.text.format(mask=confirmation.address, link=link)
        return OwedMail(wish.wish_id, confirmation.at, confirmation.address, said.subject, text)

    async def _confirmed(self, wish: Wish) -> bool:
        address, told, author = parse_address(wish.address), self._told(wish), self._author(wish)
        async with self._places.ledger.write() as connection:
            if wish.kind is WishKind.UNDO:
                done = await undo_withdrawals(connection, address, wish.up_to, told, author)
            else:
                done = await deny_address(connection, address, told, author)
        self._answer(wish, done=done)
        return True

    def _answer(self, wish: Wish, *, done: bool) -> None:
        _log.info("wish.granted", kind=wish.kind.value, copy_id=wish.copy_id, done=done)
        waiting = self._awaited.get(wish.wish_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(done)

    def _told(self, wish: Wish) -> ConsentTold:
        state = Consent.UNKNOWN if wish.kind is WishKind.UNDO else Consent.DENIED
        return ConsentTold(state, wish.at, Method.FORM, RECIPIENT, self._terms.page, wish.text)

    def _author(self, wish: Wish) -> Author:
        return Author(RECIPIENT, wish.at, self._terms.pseudonym_key)


def _addressee(party: CopyParty, wish: Wish) -> Address | None:
    """Return to whom the mail goes, as the address is on record; None: to nobody."""
    if wish.kind is WishKind.RESTORE:
        return party.one
    try:
        asked = parse_address(wish.address.strip()).key_without_detail
    except AddressError:
        return None
    return next((one for one in party.recipients if one.key_without_detail == asked), None)
