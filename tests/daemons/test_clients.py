"""Real mail programs send through us: each copy is the original but for its slots."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.daemon

EVERYBODY = ("to1@example.test", "to2@example.test", "cc1@example.test", "bcc1@example.test")

# What interop/clients has; the first test below notices when one is added there.
CLIENTS = [
    "curl",
    "curl-file",
    "exim",
    "git",
    "go",
    "msmtp",
    "mutt",
    "neomutt",
    "nodemailer",
    "phpmailer",
    "postfix",
    "py-aiosmtplib",
    "py-django",
    "py-smtplib",
    "py-smtplib-8bit",
    "py-smtplib-calendar",
    "s-nail",
    "swaks",
    "thunderbird",
]
# What these send has no HTML, or is an invitation: nothing may be changed but the header we own.
UNTRACKED = {"git", "mutt", "neomutt", "py-smtplib-calendar", "s-nail", "thunderbird"}


def test_no_client_of_the_scripts_is_forgotten(interop: Path) -> None:
    there = {path.stem.removeprefix("send-") for path in (interop / "clients").glob("send-*.sh")}
    assert there == set(CLIENTS)


@pytest.mark.parametrize("client", CLIENTS)
def test_each_copy_is_the_original_but_for_its_slots(
    client: str,
    postfix: Any,
    start_indicia: Callable[..., Any],
    tee_before: Callable[[int], Any],
    send_by: Callable[[str, int], None],
    check_copy: Callable[..., Any],
    marks_of: Callable[[bytes], set[bytes]],
    waiting: Callable[..., Any],
    tmp_path: Path,
) -> None:
    indicia = start_indicia(
        postfix.upstream(tmp_path), env={"SSL_CERT_FILE": str(postfix.authority)}
    )
    tee = tee_before(indicia.smtp)
    before = {recipient: len(postfix.mail_of(recipient)) for recipient in EVERYBODY}

    send_by(client, tee.port)
    originals = waiting(tee.messages, 20, f"{client} said DATA")

    def copies() -> dict[str, bytes] | None:
        found = {who: postfix.mail_of(who)[before[who] :] for who in EVERYBODY}
        return {who: mail[0] for who, mail in found.items()} if all(found.values()) else None

    arrived = waiting(copies, 30, f"a copy for each recipient of {client}")
    marks = {who: marks_of(raw) for who, raw in arrived.items()}
    for recipient, raw in arrived.items():
        report = check_copy(originals[0], raw, indicia.collector, tracked=client not in UNTRACKED)
        assert report["violations"] == [], (client, recipient)
        assert not re.search(rb"(?im)^(bcc|x-indicia-[\w-]*):", raw.partition(b"\r\n\r\n")[0])
        assert b"bcc1@example.test" not in raw, recipient
        others = set().union(*(marks[other] for other in EVERYBODY if other != recipient))
        assert not marks[recipient] & others
    if client in UNTRACKED:
        assert not any(marks.values())
    else:
        assert all(marks.values())
