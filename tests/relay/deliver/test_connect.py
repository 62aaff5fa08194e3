import asyncio
import logging
import socket
import ssl
from typing import Any

import pytest

from relay.deliver import connect
from relay.deliver.connect import system_contexts
from relay.deliver.hop import Unreachable
from relay.reply import Delivered, Reply
from relay.upstream import Timeouts

DROP = b"\0drop"
CONTENT = b"Subject: hello\r\n\r\nHello\r\n"


def content() -> bytes:
    return CONTENT


@pytest.mark.parametrize("mode", ["starttls", "implicit", "opportunistic"])
async def test_mail_goes_over_tls(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any, mode: Any
) -> None:
    server = await fake_upstream(tls=authority.good, implicit=mode == "implicit")
    (outcome,) = await next_hop(server, tls=mode).deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)
    assert b"MAIL" not in server.clear or mode == "implicit"
    # RFC 3207 4.2: what was learnt before TLS is forgotten.
    assert server.verbs.count("EHLO") == (1 if mode == "implicit" else 2)


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
@pytest.mark.parametrize("certificate", ["wrong_name", "expired", "unknown"])
async def test_a_certificate_that_does_not_hold_is_given_nothing(
    fake_upstream: Any,
    next_hop: Any,
    envelope: Any,
    authority: Any,
    mode: Any,
    certificate: Any,
    password_file: Any,
) -> None:
    server = await fake_upstream(tls=getattr(authority, certificate), implicit=mode == "implicit")
    hop = next_hop(server, tls=mode, username="u", password_file=password_file)
    told = await hop.deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert told.reply.enhanced == "4.7.5"
    assert set(server.verbs) <= {"EHLO", "STARTTLS"}
    assert server.taken == []


@pytest.mark.parametrize("answer", [None, b"454 4.7.0 not now\r\n", b"250 in clear\r\n", DROP])
@pytest.mark.parametrize("mode", ["starttls", "opportunistic"])
async def test_a_server_whose_starttls_was_stripped_is_given_nothing(
    fake_upstream: Any, next_hop: Any, envelope: Any, password_file: Any, answer: Any, mode: Any
) -> None:
    extensions = ("AUTH PLAIN",) if answer is None else ("AUTH PLAIN", "STARTTLS")
    server = await fake_upstream(extensions=extensions, says={"STARTTLS": answer or b""})
    hop = next_hop(server, tls=mode, username="u", password_file=password_file)
    told = await hop.deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert set(server.verbs) <= {"EHLO", "STARTTLS"}


async def test_opportunistic_takes_any_certificate_and_goes_without_where_none_is_offered(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any
) -> None:
    odd = await fake_upstream(tls=authority.unknown)
    (outcome,) = await next_hop(odd, tls="opportunistic").deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)
    assert b"MAIL" not in odd.clear
    plain = await fake_upstream()
    (outcome,) = await next_hop(plain, tls="opportunistic").deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)


async def test_opportunistic_does_not_go_in_clear_where_tls_fails(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any
) -> None:
    server = await fake_upstream(tls=authority.good, says={"STARTTLS": b"454 4.7.0 later\r\n"})
    told = await next_hop(server, tls="opportunistic").deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert set(server.verbs) == {"EHLO", "STARTTLS"}


async def test_none_does_not_start_tls_even_where_it_is_offered(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any
) -> None:
    server = await fake_upstream(tls=authority.good)
    await next_hop(server, tls="none").deliver_copy(envelope(), content)
    assert "STARTTLS" not in server.verbs


async def test_words_slipped_in_before_tls_are_not_heard_after_it(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any
) -> None:
    server = await fake_upstream(
        tls=authority.good, after_starttls=b"250-fake\r\n250 SIZE 1\r\n250 2.0.0 taken\r\n"
    )
    (outcome,) = await next_hop(server, tls="starttls").deliver_copy(envelope(), content)
    assert outcome == Delivered(Reply(250, "2.0.0", "taken"))
    assert len(server.taken) == 1


async def test_a_password_is_read_at_use_and_sent_over_tls_only(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any, password_file: Any
) -> None:
    server = await fake_upstream(
        tls=authority.good,
        password=("user", "correct horse"),
        extensions=("PIPELINING", "AUTH LOGIN PLAIN"),
    )
    options = {"tls": "starttls", "username": "user", "password_file": password_file}
    (outcome,) = await next_hop(server, **options).deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)
    assert server.signed_in == [("user", "correct horse")]
    assert b"AUTH" not in server.clear
    server.password = ("user", "new")
    password_file.write_text("new\n")
    (outcome,) = await next_hop(server, **options).deliver_copy(envelope(), content)
    assert server.signed_in[-1] == ("user", "new")


async def test_a_wrong_password_is_tried_once_and_the_mail_waits(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any, password_file: Any
) -> None:
    server = await fake_upstream(
        tls=authority.good, password=("user", "other"), extensions=("AUTH PLAIN LOGIN CRAM-MD5",)
    )
    hop = next_hop(server, tls="starttls", username="user", password_file=password_file)
    told = await hop.deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert told.reply.enhanced == "4.7.8"
    assert server.verbs.count("AUTH") == 1
    assert "MAIL" not in server.verbs


async def test_a_password_that_can_not_be_used_is_told(
    fake_upstream: Any,
    next_hop: Any,
    envelope: Any,
    authority: Any,
    tmp_path: Any,
    password_file: Any,
) -> None:
    server = await fake_upstream(tls=authority.good, extensions=("AUTH XOAUTH2",))
    for path, why in (
        (None, "no password_file"),
        (tmp_path / "gone", "No such file"),
        (password_file, "no AUTH"),
    ):
        hop = next_hop(server, tls="starttls", username="u", password_file=path)
        told = await hop.deliver_copy(envelope(), content)
        assert isinstance(told, Unreachable)
        assert why in told.reply.text
    assert "AUTH" not in server.verbs


CANARY = "canary-7f3a-secret"


@pytest.mark.parametrize("echo", [True, False])
async def test_a_password_is_in_no_reply_and_no_log(
    fake_upstream: Any,
    next_hop: Any,
    envelope: Any,
    authority: Any,
    tmp_path: Any,
    caplog: Any,
    capfd: Any,
    echo: Any,
) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "password"
    path.write_text(CANARY)
    says = {"AUTH": lambda line: f"535 5.7.8 {line} {CANARY}\r\n".encode()} if echo else {}
    server = await fake_upstream(
        tls=authority.good, password=("u", CANARY), extensions=("AUTH PLAIN",), says=says
    )
    hop = next_hop(server, tls="starttls", username="u", password_file=path)
    told = await hop.deliver_copy(envelope(), content)
    encoded = next(line for line in server.lines if line.startswith("AUTH")).split(" ")[2]
    seen = f"{told!r}{caplog.text}{capfd.readouterr()}"
    assert CANARY not in seen
    assert encoded not in seen
    assert isinstance(told, Unreachable) == echo


async def test_the_authorities_of_this_machine_are_trusted_and_names_compared() -> None:
    contexts = system_contexts()
    assert contexts.verified.verify_mode is ssl.CERT_REQUIRED
    assert contexts.verified.check_hostname
    assert contexts.unverified.verify_mode is ssl.CERT_NONE


async def test_a_delivery_cancelled_while_it_connects_leaves_nothing_open(
    fake_upstream: Any, next_hop: Any, envelope: Any, monkeypatch: Any
) -> None:
    reached = asyncio.Event()

    def hold(_line: str) -> bytes:
        reached.set()
        return b""

    server = await fake_upstream(says={"EHLO": hold})
    task = asyncio.create_task(next_hop(server).deliver_copy(envelope(), content))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async def never(*_: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    reached.clear()
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    task = asyncio.create_task(next_hop(server).deliver_copy(envelope(), content))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_every_address_of_a_name_is_tried_and_a_silent_one_not_for_long(
    fake_upstream: Any, next_hop: Any, envelope: Any, monkeypatch: Any
) -> None:
    loop, server = asyncio.get_running_loop(), await fake_upstream()
    connect, tried = loop.sock_connect, []

    async def first_silent(sock: Any, address: Any) -> None:
        tried.append(address)
        if len(tried) == 1:
            await asyncio.Event().wait()
        await connect(sock, address)

    async def two(_host: str, port: int, **_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))] * 2

    monkeypatch.setattr(loop, "sock_connect", first_silent)
    monkeypatch.setattr(loop, "getaddrinfo", two)
    hop = next_hop(server, timeouts=Timeouts(connect_s=0.05))
    (outcome,) = await hop.deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)
    assert len(tried) == 2


async def test_a_connection_that_ends_after_the_greeting_is_no_connection(
    fake_upstream: Any, next_hop: Any, envelope: Any, monkeypatch: Any
) -> None:
    greet = connect._greet

    async def and_close(smtp: Any) -> None:
        await greet(smtp)
        smtp.transport.abort()

    monkeypatch.setattr(connect, "_greet", and_close)
    told = await next_hop(await fake_upstream()).deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert told.reply.enhanced == "4.4.1"
