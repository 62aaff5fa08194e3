"""What may not be touched arrives as it was sent, and one is told why it was left alone."""

import json
import re
import smtplib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.daemon

HTML = (
    b"Content-Type: text/html; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n"
    b"\r\n"
    b'<p>Gr=C3=BC=C3=9Fe <a href=3D"https://example.com/">link</a></p>\r\n'
)


def head(name: str, *more: str) -> bytes:
    fields = (
        "From: Ann Sender <ann@sender.test>",
        "To: to1@example.test",
        f"Subject: {name}",
        f"Message-ID: <{name}@sender.test>",
        "Date: Tue, 24 Nov 2026 08:00:00 +0000",
        "MIME-Version: 1.0",
        *more,
    )
    return "".join(f"{field}\r\n" for field in fields).encode()


def run(folder: Path, *words: str, given: bytes = b"") -> bytes:
    done = subprocess.run(words, cwd=folder, input=given, capture_output=True, check=False)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def crlf(raw: bytes) -> bytes:
    return re.sub(rb"\r?\n", b"\r\n", raw)


def plain_text(_folder: Path) -> bytes:
    return head("plain", "Content-Type: text/plain") + b"\r\nSee https://example.com/ \r\n\r\n.\r\n"


def smime_signed(folder: Path) -> bytes:
    _certificate(folder)
    words = "openssl cms -sign -signer crt.pem -inkey key.pem -binary -crlfeol"
    signed = run(folder, *words.split(), given=HTML)
    return head("smime-signed") + crlf(signed).replace(b"MIME-Version: 1.0\r\n", b"", 1)


def smime_encrypted(folder: Path) -> bytes:
    _certificate(folder)
    sealed = run(
        folder, *["openssl", "cms", "-encrypt", "-binary", "-aes256", "crt.pem"], given=HTML
    )
    return head("smime-encrypted") + crlf(sealed).replace(b"MIME-Version: 1.0\r\n", b"", 1)


def _certificate(folder: Path) -> None:
    words = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out crt.pem -days 2"
    run(folder, *words.split(), "-subj", "/CN=Ann/emailAddress=ann@sender.test")


def pgp_encrypted(folder: Path) -> bytes:
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ("gpg", "--homedir", str(home), "--batch", "--quiet")
    run(
        folder, *gpg, "--passphrase", "", "--quick-gen-key", "ann@sender.test", "default", "default"
    )
    armor = run(
        folder, *gpg, "--trust-model", "always", "-a", "-e", "-r", "ann@sender.test", given=HTML
    )
    run(folder, "gpgconf", "--homedir", str(home), "--kill", "gpg-agent")
    kind = 'multipart/encrypted; protocol="application/pgp-encrypted"; boundary="b"'
    return head("pgp-encrypted", f"Content-Type: {kind}") + (
        b"\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
        b"\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n"
        + crlf(armor)
        + b"\r\n--b--\r\n"
    )


def invitation(_folder: Path) -> bytes:
    kind = 'multipart/alternative; boundary="b"'
    event = (
        b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//t//\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\n"
        b"UID:1@sender.test\r\nDTSTAMP:20261124T080000Z\r\nDTSTART:20261125T080000Z\r\n"
        b"ORGANIZER:mailto:ann@sender.test\r\nSUMMARY:Meeting\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    return head("invitation", f"Content-Type: {kind}") + (
        b"\r\n--b\r\n" + HTML + b"\r\n--b\r\n"
        b"Content-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\n"
        + event
        + b"\r\n--b--\r\n"
    )


def git_patch(folder: Path) -> bytes:
    author = ("-c", "user.name=Ann Sender", "-c", "user.email=ann@sender.test")
    run(folder, "git", "init", "-q", "repo")
    repo = folder / "repo"
    for text in ("one\n", "trailing blanks  \n\ttab\n.dot\nGrüße https://example.com/?a=1&b=2\n"):
        (repo / "a.txt").write_text(text)
        run(repo, "git", "add", "a.txt")
        run(repo, "git", *author, "commit", "-qm", "grüßen\n\nSee https://example.com/")
    patch = run(repo, "git", *author, "format-patch", "--stdout", "-1").partition(b"\n")[2]
    return crlf(b"To: to1@example.test\nMessage-ID: <git-patch@sender.test>\n" + patch)


CASES = {
    "plain": (plain_text, "no_html"),
    "smime-signed": (smime_signed, "signed"),
    "smime-encrypted": (smime_encrypted, "encrypted"),
    "pgp-encrypted": (pgp_encrypted, "encrypted"),
    "invitation": (invitation, "calendar"),
    "git-patch": (git_patch, "no_html"),
}


@pytest.mark.parametrize("name", CASES)
def test_it_arrives_byte_for_byte_and_the_reason_is_told(
    name: str,
    postfix: Any,
    start_indicia: Callable[..., Any],
    waiting: Callable[..., Any],
    tmp_path: Path,
) -> None:
    make, reason = CASES[name]
    raw = make(tmp_path)
    indicia = start_indicia(
        postfix.upstream(tmp_path), env={"SSL_CERT_FILE": str(postfix.authority)}
    )
    who = ("to1@example.test", "bcc1@example.test")
    before = {recipient: len(postfix.mail_of(recipient)) for recipient in who}
    with smtplib.SMTP("127.0.0.1", indicia.smtp) as client:
        client.sendmail("ann@sender.test", who, raw, ["BODY=8BITMIME"])
    for recipient in who:
        arrived = waiting(
            lambda who=recipient: postfix.mail_of(who)[before[who] :], 20, f"mail for {recipient}"
        )[0]
        ours, found, rest = arrived.partition(raw[:12])
        assert re.fullmatch(rb"Received: from [^\r]+(\r\n[ \t][^\r]+)*\r\n", ours), ours
        assert found + rest == raw

    (tmp_path / "mail.eml").write_bytes(raw)
    explained = indicia.command(
        *("explain", "mail.eml", "--from", "ann@sender.test", "--to", who[0], "--json")
    )
    assert all(reason in line for line in explained.splitlines())
    assert [json.loads(line)["mode"] for line in explained.splitlines()] == ["off"]
    shown = waiting(
        lambda: _show(indicia, f"{name}@sender.test"), 10, "the ledger knows of the mail"
    )
    assert reason in shown


def _show(indicia: Any, message_id: str) -> str:
    try:
        return str(indicia.command("show", message_id, "--json"))
    except AssertionError:
        return ""
