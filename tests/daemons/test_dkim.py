"""Mail that was DKIM-signed, the whole way to a Maildir: its signatures hold, or ours do."""

import base64
import re
import smtplib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dkim
import pytest

pytestmark = pytest.mark.daemon

MAIL = (
    "From: Ann Sender <ann@sender.test>\r\n"
    "To: to1@example.test\r\n"
    "Cc: cc1@example.test\r\n"
    "Subject: DKIM\r\n"
    "Message-ID: <dkim@sender.test>\r\n"
    "Date: Tue, 24 Nov 2026 08:00:00 +0000\r\n"
    "MIME-Version: 1.0\r\n"
    'Content-Type: multipart/alternative; boundary="b"\r\n'
    "\r\n"
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "Grüße  \t https://example.com/offer  \r\n.\r\n\r\n"
    "--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    '<body>\t Grüße <a href="https://example.com/offer">offer</a>  \r\n..\r\n</body>\r\n'
    "--b--\r\n\r\n \r\n\r\n"
).encode()


def openssl(*words: str | Path) -> bytes:
    return subprocess.run(["openssl", *words], capture_output=True, check=True).stdout


@pytest.mark.parametrize("dkim_signed", ["skip", "resign"])
def test_its_signature_holds_where_it_arrives(
    dkim_signed: str,
    postfix: Any,
    start_indicia: Callable[..., Any],
    waiting: Callable[..., Any],
    tmp_path: Path,
) -> None:
    records: dict[bytes, bytes] = {}
    for selector in ("client", "relay"):
        openssl("genrsa", "-traditional", "-out", tmp_path / f"{selector}.pem", "2048")
        spki = openssl("rsa", "-in", tmp_path / f"{selector}.pem", "-pubout", "-outform", "DER")
        name = f"{selector}._domainkey.sender.test.".encode()
        records[name] = b"v=DKIM1; p=" + base64.b64encode(spki)
    raw = dkim.sign(MAIL, b"client", b"sender.test", (tmp_path / "client.pem").read_bytes()) + MAIL

    def verifies(message: bytes) -> bool:
        return bool(dkim.verify(message, dnsfunc=lambda name, **_: records[name]))

    assert verifies(raw)
    table = f"""
[[dkim]]
domain = "sender.test"
selector = "relay"
private_key_file = "{tmp_path}/relay.pem"
"""
    indicia = start_indicia(
        postfix.upstream(tmp_path) + table,
        f'dkim_signed = "{dkim_signed}"\ntext_clicks = true',
        env={"SSL_CERT_FILE": str(postfix.authority)},
    )
    who = ("to1@example.test", "cc1@example.test")
    before = {recipient: len(postfix.mail_of(recipient)) for recipient in who}
    with smtplib.SMTP("127.0.0.1", indicia.smtp) as client:
        client.sendmail("ann@sender.test", who, raw, ["BODY=8BITMIME"])
    arrived = [
        waiting(
            lambda who=recipient: postfix.mail_of(who)[before[who] :], 20, f"mail for {recipient}"
        )[0]
        for recipient in who
    ]
    for message in arrived:
        assert verifies(message)
        assert len(re.findall(rb"(?mi)^DKIM-Signature:", message)) == 1
    tokens = {token for message in arrived for token in re.findall(rb"/[co]/([\w-]{36})", message)}
    if dkim_signed == "skip":
        assert not tokens
        assert all(message.endswith(raw) for message in arrived)
    else:
        assert len(tokens) == 6  # a pixel, a link in HTML and one in text, for each of two
        assert all(b"s=relay;" in message for message in arrived)
