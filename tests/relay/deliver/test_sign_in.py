import base64
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from relay.deliver.hop import Unreachable
from relay.deliver.sign_in import Bearer, External, spellings
from relay.mail import Credential
from relay.reply import Delivered
from relay.upstream import ClientCertificate

CONTENT = b"Subject: hello\r\n\r\nHello\r\n"
ANN, BOB = Credential("ann@x.example", "ann's password"), Credential("bob@x.example", "bob's")


def content() -> bytes:
    return CONTENT


def written(leaf: trustme.LeafCert, folder: Path) -> ClientCertificate:
    certificate, key = folder / "ours.pem", folder / "ours.key"
    certificate.write_bytes(leaf.cert_chain_pems[0].bytes())
    key.write_bytes(leaf.private_key_pem.bytes())
    return ClientCertificate(certificate, key)


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
async def test_a_server_that_wants_our_certificate_is_shown_it(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any, tmp_path: Path, mode: Any
) -> None:
    server = await fake_upstream(tls=authority.demanding, implicit=mode == "implicit")
    ours = written(authority.ours, tmp_path)
    (outcome,) = await next_hop(server, tls=mode, certificate=ours).deliver_copy(
        envelope(), content
    )
    assert isinstance(outcome, Delivered)
    assert "AUTH" not in server.verbs
    told = await next_hop(server, tls=mode).deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert len(server.taken) == 1


@pytest.mark.parametrize(("username", "said"), [("", "="), ("relay@x.example", None)])
async def test_where_external_is_offered_it_is_asked_for(
    fake_upstream: Any,
    next_hop: Any,
    envelope: Any,
    authority: Any,
    tmp_path: Path,
    username: Any,
    said: Any,
) -> None:
    server = await fake_upstream(
        tls=authority.demanding, extensions=("AUTH PLAIN EXTERNAL",), password=(username, "")
    )
    hop = next_hop(
        server, tls="starttls", username=username, certificate=written(authority.ours, tmp_path)
    )
    (outcome,) = await hop.deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)
    word = said or base64.b64encode(username.encode()).decode()
    assert f"AUTH EXTERNAL {word}" in server.lines
    server.password = ("other", "")
    told = await next_hop(
        server, tls="starttls", username=username, certificate=written(authority.ours, tmp_path)
    ).deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert told.reply.enhanced == "4.7.8"


async def test_a_key_that_can_not_be_used_asks_no_terminal(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any, tmp_path: Path
) -> None:
    server = await fake_upstream(tls=authority.demanding)
    ours = written(authority.ours, tmp_path)
    key = load_pem_private_key(ours.private_key_file.read_bytes(), None)
    locked = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
    )
    ours.private_key_file.write_bytes(locked)
    told = await next_hop(server, tls="starttls", certificate=ours).deliver_copy(
        envelope(), content
    )
    assert isinstance(told, Unreachable)
    assert server.verbs == []


@pytest.mark.parametrize("certificate", ["wrong_name", "expired", "unknown"])
async def test_our_certificate_is_shown_to_nobody_else(
    fake_upstream: Any,
    next_hop: Any,
    envelope: Any,
    authority: Any,
    tmp_path: Path,
    certificate: Any,
) -> None:
    server = await fake_upstream(tls=getattr(authority, certificate), extensions=("AUTH EXTERNAL",))
    ours = written(authority.ours, tmp_path)
    told = await next_hop(server, tls="opportunistic", certificate=ours).deliver_copy(
        envelope(), content
    )
    assert isinstance(told, Unreachable)
    assert set(server.verbs) <= {"EHLO", "STARTTLS"}


async def test_a_person_goes_as_himself_and_with_no_certificate_of_ours(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any, tmp_path: Path
) -> None:
    server = await fake_upstream(
        tls=authority.good, extensions=("AUTH PLAIN",), people={ANN.username: ANN.password}
    )
    hop = next_hop(server, tls="starttls", certificate=written(authority.ours, tmp_path))
    (outcome,) = await hop.deliver_copy(envelope(), content, ANN)
    assert isinstance(outcome, Delivered)
    assert [one.person for one in server.taken] == [ANN.username]
    # A server that demands a certificate is shown none for a person.
    demanding = await fake_upstream(
        tls=authority.demanding, extensions=("AUTH PLAIN",), people={ANN.username: ANN.password}
    )
    hop = next_hop(demanding, tls="starttls", certificate=written(authority.ours, tmp_path))
    assert isinstance(await hop.deliver_copy(envelope(), content, ANN), Unreachable)
    assert demanding.taken == []


async def test_a_person_never_goes_as_us(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any, password_file: Any
) -> None:
    server = await fake_upstream(
        tls=authority.good, extensions=("AUTH PLAIN",), password=("us", "correct horse")
    )
    hop = next_hop(server, tls="starttls", username="us", password_file=password_file)
    assert isinstance((await hop.deliver_copy(envelope(), content))[0], Delivered)
    told = await hop.deliver_copy(envelope(), content, ANN)
    assert told == Unreachable(told.reply, refused=True)
    assert f"refused the sign-in of {ANN.username}: 535" in told.reply.text
    assert [one.person for one in server.taken] == ["us"]
    # And we are not kept waiting by it.
    assert isinstance((await hop.deliver_copy(envelope(), content))[0], Delivered)
    assert not hop.resting


def test_what_is_secret_is_known_in_each_spelling() -> None:
    plain = base64.b64encode(b"\0ann@x.example\0ann's password").decode()
    assert spellings(ANN) == (ANN.password, base64.b64encode(b"ann's password").decode(), plain)
    bearer = spellings(Bearer("u", "token"))
    assert bearer[0] == "token"
    assert base64.b64decode(bearer[2]) == b"user=u\x01auth=Bearer token\x01\x01"
    assert spellings(External("u")) == spellings(None) == ()
    assert "token" not in repr(Bearer("u", "token"))
