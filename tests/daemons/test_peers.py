"""Real servers around us: those we give mail to, one in front, and one we filter for."""

import json
import os
import re
import shutil
import smtplib
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.daemon

EVERYBODY = ("to1@example.test", "to2@example.test", "cc1@example.test", "bcc1@example.test")
USERNAME, PASSWORD = "sender", "s3cret-pass"


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that the developers' scripts have started."""

    name: str
    port: int
    boxes: Path
    run: Path

    def upstream(self, folder: Path) -> str:
        """The [[upstream]] that leads here."""
        secret = folder / "upstream-password"
        secret.write_text(PASSWORD)
        secret.chmod(0o600)
        # Debian 12's OpenSMTPD fails every TLS handshake: interop/upstreams/start-opensmtpd.sh.
        clear = self.name == "opensmtpd"
        secured = f'username = "{USERNAME}"\npassword_file = "{secret}"'
        return f"""
[[upstream]]
name = "{self.name}"
host = "localhost"
port = {self.port}
tls = "{"none" if clear else "starttls"}"
{"" if clear else secured}
"""

    def mail_of(self, address: str) -> list[bytes]:
        """Every message for an address, from our Received on: the peers put theirs before it."""
        if self.name == "haraka":
            told = self.boxes.glob("*.json")
            kept = (
                path.with_suffix(".eml")
                for path in sorted(told)
                if address in json.loads(path.read_text())["rcpt_tos"]
            )
        else:
            kept = (path for path in sorted((self.boxes / address / "new").glob("*")))
        return [from_us(path.read_bytes()) for path in kept]


def from_us(stored: bytes) -> bytes:
    crlf = re.sub(rb"\r?\n", b"\r\n", stored)
    ours = re.search(rb"(?m)^Received: from [^\r]*\r\n\tby relay\.sender\.test with ", crlf)
    assert ours, crlf[:800]
    return crlf[ours.start() :]


@pytest.fixture(params=["exim", "opensmtpd", "haraka"])
def peer(
    request: pytest.FixtureRequest,
    interop: Path,
    ports: Callable[[], int],
    accepts: Callable[[int], bool],
) -> Iterator[Peer]:
    name, port = request.param, ports()
    if os.geteuid() != 0:
        pytest.skip(f"needs root: {name} changes its user")
    run = Path(tempfile.gettempdir()) / f"indicia-interop-{os.getuid()}"
    run.mkdir(mode=0o755, exist_ok=True)
    boxes = Path(tempfile.mkdtemp(prefix=f"indicia-{name}-"))
    boxes.chmod(0o755)
    environment = {**os.environ, "INTEROP_RUN": str(run), "MAILBOXES": " ".join(EVERYBODY)}

    def script(*words: str) -> str:
        with tempfile.TemporaryFile("w+") as output:  # a pipe would stay open as long as it lives
            command: list[Any] = [interop / "upstreams" / words[0], *words[1:]]
            subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=300,
                check=False,
            )
            output.seek(0)
            return output.read()

    said = script(f"start-{name}.sh", str(port), str(boxes))
    try:
        if not accepts(port):
            pytest.skip(f"{name} did not start: {said[-300:]}")
        yield Peer(name, port, boxes, run)
    finally:
        script("stop.sh", name)
        shutil.rmtree(boxes, ignore_errors=True)


@pytest.fixture
def arrives(
    send_by: Callable[[str, int], None],
    check_copy: Callable[..., Any],
    marks_of: Callable[[bytes], set[bytes]],
    waiting: Callable[..., Any],
) -> Callable[..., None]:
    """Send by a real client to a port; each has one tracked copy of what the tee has heard."""

    def arrive(indicia: Any, port: int, tee: Any, mail_of: Callable[[str], list[bytes]]) -> None:
        before = {who: len(mail_of(who)) for who in EVERYBODY}
        send_by("swaks", port)
        (original,) = waiting(tee.messages, 20, "a message is said")
        # Haraka writes a file while it is read.
        waiting(lambda: indicia.output().count("copy.delivered") == 4, 30, "four copies are sent")

        def copies() -> dict[str, list[bytes]] | None:
            found = {who: mail_of(who)[before[who] :] for who in EVERYBODY}
            return found if all(found.values()) else None

        arrived = waiting(copies, 30, "a copy for each")
        marks = {who: marks_of(raw) for who, (raw,) in arrived.items()}
        for recipient, (raw,) in arrived.items():
            report = check_copy(original, raw, indicia.collector, tracked=True)
            assert report["violations"] == [], recipient
            assert not re.search(rb"(?im)^bcc:", raw.partition(b"\r\n\r\n")[0])
            assert b"bcc1@example.test" not in raw, recipient
            others = set().union(*(marks[other] for other in EVERYBODY if other != recipient))
            assert marks[recipient]
            assert not marks[recipient] & others

    return arrive


def test_each_upstream_takes_a_tracked_copy_for_each(
    peer: Peer,
    start_indicia: Callable[..., Any],
    tee_before: Callable[[int], Any],
    arrives: Callable[..., None],
    tmp_path: Path,
) -> None:
    indicia = start_indicia(
        peer.upstream(tmp_path), env={"SSL_CERT_FILE": str(peer.run / "ca.pem")}
    )
    tee = tee_before(indicia.smtp)
    arrives(indicia, tee.port, tee, peer.mail_of)
    relayed = indicia.events("email.relayed")
    assert sorted(event["recipient"] for event in relayed) == sorted(EVERYBODY)
    assert {event["upstream"] for event in relayed} == {peer.name}
    assert PASSWORD not in indicia.output()


def test_a_postfix_in_front_has_us_as_its_relayhost(
    postfix: Any,
    start_postfix: Callable[..., Any],
    start_indicia: Callable[..., Any],
    tee_before: Callable[[int], Any],
    arrives: Callable[..., None],
    tmp_path: Path,
) -> None:
    indicia = start_indicia(
        postfix.upstream(tmp_path), env={"SSL_CERT_FILE": str(postfix.authority)}
    )
    tee = tee_before(indicia.smtp)
    front = start_postfix(
        main=f"""
mynetworks = 127.0.0.0/8
virtual_mailbox_domains =
smtpd_tls_security_level = may
smtpd_recipient_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:{tee.port}
"""
    )
    arrives(indicia, front.port, tee, mail_from_us(postfix))


def mail_from_us(postfix: Any) -> Callable[[str], list[bytes]]:
    return lambda who: [from_us(raw) for raw in postfix.mail_of(who)]


def test_a_postfix_that_has_us_as_its_content_filter_takes_the_mail_back(
    start_postfix: Callable[..., Any],
    start_indicia: Callable[..., Any],
    tee_before: Callable[[int], Any],
    ports: Callable[[], int],
    arrives: Callable[..., None],
) -> None:
    back = ports()
    indicia = start_indicia(
        f"""
[[upstream]]
name = "back"
host = "127.0.0.1"
port = {back}
tls = "none"
"""
    )
    tee = tee_before(indicia.smtp)
    postfix = start_postfix(
        main=f"""
mynetworks = 127.0.0.0/8
smtpd_tls_security_level = may
smtpd_recipient_restrictions = permit_mynetworks, reject
content_filter = smtp:[127.0.0.1]:{tee.port}
""",
        master=f"""
127.0.0.1:{back} inet n - n - - smtpd
  -o content_filter=
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters
""",
    )
    arrives(indicia, postfix.port, tee, mail_from_us(postfix))
    # The copies did not come round again.
    assert len(tee.messages()) == 1


def test_people_keep_their_credentials_and_none_is_found_anywhere(
    start_postfix: Callable[..., Any],
    start_indicia: Callable[..., Any],
    waiting: Callable[..., Any],
    tmp_path: Path,
) -> None:
    people = {f"{name}@sender.test": f"canary-{name}-8d31" for name in ("ann", "bob")}
    postfix = start_postfix(
        # Postfix itself sees to it that each sends as himself.
        main="""
smtpd_sender_login_maps = texthash:$config_directory/logins
smtpd_sender_restrictions = reject_sender_login_mismatch
""",
        people=people,
    )
    logins = "".join(f"{name} {name}\n" for name in people)
    postfix.authority.with_name("logins").write_text(logins)
    certificate = postfix.authority.with_name("host.pem")
    indicia = start_indicia(
        f"""
[[upstream]]
name = "smart host"
host = "localhost"
port = {postfix.port}
[relay.tls]
certificate = "{certificate}"
private_key = "{certificate}"
[relay.auth]
mode = "upstream"
""",
        env={"SSL_CERT_FILE": str(postfix.authority)},
    )
    trusted = ssl.create_default_context(cafile=str(postfix.authority))
    for name, password in people.items():
        with smtplib.SMTP("localhost", indicia.smtp) as client:
            client.starttls(context=trusted)
            client.login(name, password)
            client.sendmail(name, ["to1@example.test"], f"From: {name}\r\n\r\nHello\r\n")
    arrived = waiting(lambda: postfix.mail_of("to1@example.test")[1:], 20, "both mails")
    assert len(arrived) == 1
    log = (postfix.authority.parent / "log").read_text()
    assert [name for name in people if f"sasl_username={name}" in log] == list(people)
    seen = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"canary" not in seen
