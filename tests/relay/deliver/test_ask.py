from typing import Any

import pytest

from relay.deliver.ask import check_credential
from relay.deliver.connect import ConnectError
from relay.mail import Credential
from relay.upstream import Timeouts, TlsMode, Upstream

ANN = Credential("ann@example.com", "correct horse")
BRIEF = Timeouts(2, 2, 2, 2, 2, 2, quit_s=1)


def asking(server: Any, contexts: Any, credential: Any = ANN, tls: Any = "starttls") -> Any:
    upstream = Upstream("fake", "127.0.0.1", server.port, TlsMode(tls))
    return check_credential(upstream, "relay.example", contexts, credential, BRIEF)


async def test_the_upstream_says_who_is_right(fake_upstream: Any, authority: Any) -> None:
    server = await fake_upstream(
        tls=authority.good, password=(ANN.username, ANN.password), extensions=("AUTH PLAIN",)
    )
    assert await asking(server, authority.contexts)
    assert not await asking(server, authority.contexts, Credential(ANN.username, "wrong"))
    assert server.signed_in == [(ANN.username, ANN.password)]
    assert "MAIL" not in server.verbs
    assert b"AUTH" not in server.clear


@pytest.mark.parametrize("code", [b"535", b"534", b"550", b"554"])
async def test_what_is_refused_for_good_is_wrong(
    fake_upstream: Any, authority: Any, code: Any
) -> None:
    server = await fake_upstream(
        tls=authority.good, extensions=("AUTH PLAIN",), says={"AUTH": code + b" no\r\n"}
    )
    assert not await asking(server, authority.contexts)


@pytest.mark.parametrize("code", [b"454", b"432", b"421", b"504", b"530", b"538"])
async def test_what_is_no_judgement_leaves_it_open(
    fake_upstream: Any, authority: Any, code: Any
) -> None:
    server = await fake_upstream(
        tls=authority.good, extensions=("AUTH PLAIN",), says={"AUTH": code + b" not now\r\n"}
    )
    with pytest.raises(ConnectError):
        await asking(server, authority.contexts)


@pytest.mark.parametrize("tls", ["starttls", "opportunistic"])
async def test_nobody_is_asked_over_a_connection_that_is_not_secured(
    fake_upstream: Any, authority: Any, tls: Any
) -> None:
    stripped = await fake_upstream(extensions=("AUTH PLAIN",))
    forged = await fake_upstream(tls=authority.unknown, extensions=("AUTH PLAIN",))
    for server in (stripped, forged):
        with pytest.raises(ConnectError):
            await asking(server, authority.contexts, tls=tls)
        assert "AUTH" not in server.verbs


def test_a_password_is_not_shown() -> None:
    assert repr(ANN) == "Credential(username='ann@example.com')"
