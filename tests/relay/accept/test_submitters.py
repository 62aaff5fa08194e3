"""Sessions of people who sign in: long lines, changed accounts, patience, what is handed on."""

import asyncio
import base64
import os
import socket
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from relay.accept import session as module
from relay.accept.allowance import Allowance
from relay.accept.checks import UnknowableError
from relay.accept.login import SignedIn
from relay.accept.sign_in import SignIn
from relay.mail import Credential

Serve = Callable[..., Any]


@dataclass
class Check:
    """Knows everybody by the password `right`."""

    may: dict[str, SignedIn | None] = field(default_factory=dict)
    knows: bool = True
    seen: list[Credential] = field(default_factory=list)

    async def recall(self, _credential: Credential) -> SignedIn | None:
        return None

    async def verify(self, credential: Credential) -> SignedIn | None:
        self.seen.append(credential)
        if not self.knows:
            raise UnknowableError
        right = credential.password == "right"
        return SignedIn(credential.username, None, credential) if right else None

    async def renew(self, signed_in: SignedIn) -> SignedIn | None:
        return self.may.get(signed_in.account, signed_in)


@pytest.fixture
def options(files: Any) -> Callable[..., dict[str, Any]]:
    """Terms of a server where strangers sign in."""

    def build(check: Check, **more: Any) -> dict[str, Any]:
        tls = replace(files.tls, implicit=True)
        return {"tls": tls, "sign_in": SignIn(check), "trusted_networks": ()} | more

    return build


async def test_the_line_of_a_sign_in_may_have_12288_octets(
    serve: Serve, files: Any, options: Any
) -> None:
    check = Check()
    async with serve(**options(check)) as server:
        speaker = await server.open(files.client)
        await speaker.greet()
        longest = 12_288 - len("AUTH PLAIN \r\n")
        words = base64.b64encode(b"\0a\0" + b"p" * (longest // 4 * 3 - 3)).decode()
        said = await speaker.ask(f"AUTH PLAIN {words}\r\n".encode())
        assert said == b"535 5.7.8 Username or password is wrong\r\n"
        assert len(check.seen[0].password) == longest // 4 * 3 - 3
        said = await speaker.ask(f"AUTH PLAIN {words}AAAA\r\n".encode() + b"")
        assert said == b"500 5.5.6 Command line too long\r\n"
        assert await speaker.ask(b"AUTH PLAIN\r\n") == b"334 \r\n"
        said = await speaker.ask(b"A" * 12_300 + b"\r\n")
        assert said == b"500 5.5.6 The line of the sign-in is too long\r\n"
        said = await speaker.ask(b"NOOP " + b"x" * 2_100 + b"\r\n")
        assert said == b"500 5.5.6 Command line too long\r\n"
        assert await speaker.sign_in("a@b.test", "right") == "235 2.7.0 Signed in"
        await speaker.close()


async def test_a_submission_says_who_signed_in_and_with_what(
    serve: Serve, files: Any, options: Any
) -> None:
    async with serve(**options(Check())) as server:
        speaker = await server.open(files.client)
        await speaker.greet()
        await speaker.sign_in("a@b.test", "right")
        await speaker.ehlo()  # RFC 4954 4: EHLO again does not end it
        speaker.say(b"MAIL FROM:<any@x.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
        await speaker.reader.readuntil(b"354 End data with <CR><LF>.<CR><LF>\r\n")
        await speaker.ask(b"x\r\n.\r\n")
        await speaker.close()
    (submission,) = server.submissions
    assert submission.account == "a@b.test"
    assert submission.credential == Credential("a@b.test", "right")
    assert submission.client.tls


async def test_where_nobody_can_tell_it_is_454_and_no_wrong_try(
    serve: Serve, files: Any, options: Any
) -> None:
    check = Check(knows=False)
    async with serve(**options(check)) as server:
        speaker = await server.open(files.client)
        await speaker.greet()
        for _ in range(5):
            said = await speaker.sign_in("a@b.test", "right")
            assert said == "454 4.7.0 The sign-in can not be checked now, try later"
        check.knows = True
        assert await speaker.sign_in("a@b.test", "right") == "235 2.7.0 Signed in"
        await speaker.close()


async def test_whose_account_changes_while_he_is_connected_must_sign_in_anew(
    serve: Serve, files: Any, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_VOUCHED_S", 0.0)
    check = Check()
    async with serve(**options(check)) as server:
        speaker = await server.open(files.client)
        await speaker.greet()
        await speaker.sign_in("a@b.test", "right")
        mail = b"MAIL FROM:<x@b.test>\r\n"
        assert await speaker.ask(mail) == b"250 2.1.0 OK\r\n"
        await speaker.ask(b"RSET\r\n")
        check.may["a@b.test"] = SignedIn("a@b.test", ())
        assert await speaker.ask(mail) == b"553 5.7.1 You may not send as this address\r\n"
        check.may["a@b.test"] = None
        said = await speaker.ask(mail)
        assert said == b"421 4.7.0 The account was changed, sign in anew\r\n"
        assert await speaker.reader.read() == b""
        await speaker.close()


async def test_strangers_are_waited_for_less_long_until_they_sign_in(
    serve: Serve, files: Any, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STRANGER_IDLE_S", 0.3)
    async with serve(**options(Check())) as server:
        known, stranger = await server.open(files.client), await server.open(files.client)
        await known.greet()
        await known.sign_in("a@b.test", "right")
        await stranger.greet()
        assert await stranger.reader.read() == b"421 4.4.2 Timed out\r\n"
        assert await known.ask(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"
        await stranger.close()
        await known.close()


async def test_who_has_signed_in_is_no_stranger_at_the_door(
    serve: Serve, files: Any, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.accept.door._MAX_STRANGERS", 1)
    async with serve(**options(Check())) as server:
        first = await server.open(files.client)
        await first.greet()
        await first.sign_in("a@b.test", "right")
        second = await server.open(files.client)
        await second.greet()
        with pytest.raises(ConnectionError):
            await server.open(files.client)
        await second.close()
        await first.close()


async def test_a_client_that_vanishes_while_its_password_is_checked_is_forgotten(
    serve: Serve, files: Any, options: Any
) -> None:
    begun, check = asyncio.Event(), Check()

    async def never(_credential: Credential) -> SignedIn | None:
        begun.set()
        await asyncio.Event().wait()
        return None

    check.verify = never  # type: ignore[method-assign] # so that it hangs
    async with serve(**options(check)) as server:
        speaker = await server.open(files.client)
        await speaker.greet()
        speaker.say(b"AUTH PLAIN AGFAYi50ZXN0AHJpZ2h0\r\n")
        await begun.wait()
        client = speaker.writer.get_extra_info("socket")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        speaker.writer.transport.abort()
        await server.sessions[0].ended.wait()
        assert server.door.sessions == set()


async def test_an_account_has_so_many_recipients_in_all_its_connections(
    serve: Serve, files: Any, options: Any
) -> None:
    allowance = Allowance(3, 3600)
    async with serve(**options(Check(), recipients=allowance)) as server:
        for name, expected in (("a@b.test", 2), ("A@B.test", 1), ("b@b.test", 2)):
            speaker = await server.open(files.client)
            await speaker.greet()
            await speaker.sign_in(name, "right")
            await speaker.ask(b"MAIL FROM:<x@b.test>\r\n")
            said = [await speaker.ask(b"RCPT TO:<%d@d.test>\r\n" % number) for number in (1, 2)]
            assert said.count(b"250 2.1.5 OK\r\n") == expected
            refused = b"450 4.7.1 You have sent to too many recipients, try later\r\n"
            assert said.count(refused) == 2 - expected
            await speaker.close()


TRIES = int(os.environ.get("INDICIA_GUESSES", "500"))


@pytest.mark.slow
async def test_of_a_flood_of_guesses_over_the_wire_fewer_than_ten_a_minute_are_answered(
    serve: Serve, files: Any, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.accept.guesses._FIRST_DELAY_S", 0.0)
    # The door would let in 300 a minute; here it is the guesses that are counted.
    monkeypatch.setattr("relay.accept.door._MAX_CONNECTIONS_A_MINUTE", 10 * TRIES)
    check, answers = Check(), Counter[str]()
    loop, patience_s = asyncio.get_running_loop(), 60 + TRIES / 20
    began = loop.time()
    async with serve(patience_s=patience_s, **options(check)) as server:
        numbers = iter(range(TRIES))

        async def guess() -> None:
            for number in numbers:
                speaker = await server.open(files.client)
                await speaker.greet()
                answers[(await speaker.sign_in("a@b.test", f"wrong {number}"))[:3]] += 1
                await speaker.close()

        await asyncio.gather(*(guess() for _ in range(20)))
    minutes = 1 + (loop.time() - began) / 60
    assert answers.total() == TRIES
    assert answers["535"] == len(check.seen) <= 9 * minutes
    assert set(answers) == {"535", "421"}
