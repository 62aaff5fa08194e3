"""People sign in with real programs, straight and behind a real HAProxy."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

pytestmark = pytest.mark.daemon

PASSWORD = "correct horse battery"
AUTH_FAILED, SENDER_REFUSED = 28, 23  # swaks(1), EXIT CODES
STRANGER = "127.0.0.9"


@dataclass(frozen=True, slots=True)
class Files:
    certificate: Path
    private_key: Path
    authority: Path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    found = Files(tmp_path / "fullchain.pem", tmp_path / "privkey.pem", tmp_path / "ca.pem")
    leaf.cert_chain_pems[0].write_to_path(found.certificate)
    leaf.private_key_pem.write_to_path(found.private_key)
    authority.cert_pem.write_to_path(found.authority)
    return found


@pytest.fixture
def submission(start_indicia: Callable[..., Any], files: Files) -> Callable[..., Any]:
    """Start an Indicia where everybody but one address must sign in, and alice can."""

    def start(mode: str = "starttls", proxies: str = "") -> Any:
        proxied = {"INDICIA_RELAY__TRUSTED_PROXIES": proxies} if proxies else {}
        running = start_indicia(
            env={
                "INDICIA_RELAY__TLS__CERTIFICATE": str(files.certificate),
                "INDICIA_RELAY__TLS__PRIVATE_KEY": str(files.private_key),
                "INDICIA_RELAY__TLS__MODE": mode,
                "INDICIA_RELAY__AUTH__MODE": "users",
                "INDICIA_RELAY__TRUSTED_NETWORKS": f"{STRANGER}/32",
                **proxied,
            }
        )
        words = ("--role", "user", "--send-as", "*@sales.test", "--password-stdin")
        subprocess.run(
            [
                shutil.which("indicia", path=str(Path(running.process.args[0]).parent)),
                *("--config", running.folder / "indicia.toml", "user", "add", "alice@b.test"),
                *words,
            ],
            input=PASSWORD.encode(),
            env=running.environment,
            check=True,
            timeout=60,
        )
        return running

    return start


def swaks(port: int, files: Files, *words: str, sender: str = "alice@b.test") -> tuple[int, str]:
    if not shutil.which("swaks"):
        pytest.skip("needs swaks")
    done = subprocess.run(
        [
            *("swaks", "--server", f"127.0.0.1:{port}", "--from", sender, "--to", "bob@d.test"),
            *("--tls-verify", "--tls-ca-path", files.authority, "--timeout", "20"),
            *words,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def signed_in(mechanism: str = "PLAIN", password: str = PASSWORD) -> tuple[str, ...]:
    user = ("--auth-user", "alice@b.test", "--auth-password", password)
    return ("--auth", mechanism, *user)


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_swaks_signs_in_and_sends(submission: Callable[..., Any], files: Files, mode: str) -> None:
    running = submission(mode)
    tls = "--tls" if mode == "starttls" else "--tls-on-connect"
    for mechanism in ("PLAIN", "LOGIN"):
        status, said = swaks(running.smtp, files, tls, *signed_in(mechanism))
        assert status == 0, said
        assert "235 2.7.0 Signed in" in said
    assert swaks(running.smtp, files, tls, *signed_in(), sender="x@sales.test")[0] == 0
    status, said = swaks(running.smtp, files, tls, *signed_in(), sender="bob@b.test")
    assert (status, "553 5.7.1" in said) == (SENDER_REFUSED, True)
    status, said = swaks(running.smtp, files, tls, *signed_in(password="wrong"))
    assert (status, "535 5.7.8" in said) == (AUTH_FAILED, True)
    status, said = swaks(running.smtp, files, tls)
    assert (status, "530 5.7.0" in said) == (SENDER_REFUSED, True)
    accepted = running.events("email.accepted")
    assert [event["sender"] for event in accepted] == [*["alice@b.test"] * 2, "x@sales.test"]
    assert PASSWORD not in running.output()


def test_openssl_verifies_the_chain_and_gets_no_old_tls(
    submission: Callable[..., Any], files: Files
) -> None:
    running = submission()

    def connect(*words: str) -> str:
        done = subprocess.run(
            [
                *("openssl", "s_client", "-starttls", "smtp", "-connect"),
                *(f"127.0.0.1:{running.smtp}", "-CAfile", files.authority, *words),
            ],
            input="QUIT\r\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr

    said = connect("-verify_hostname", "localhost", "-verify_return_error")
    assert "Verify return code: 0 (ok)" in said, said
    assert "Cipher is (NONE)" in connect("-tls1_1", "-cipher", "ALL:@SECLEVEL=0")


@pytest.fixture
def haproxy(
    tmp_path: Path, ports: Callable[[], int], accepts: Callable[[int], bool], waiting: Any
) -> Iterator[Callable[[int, str], int]]:
    """Put HAProxy before a port; give its own."""
    if not (program := shutil.which("haproxy", path="/usr/sbin:/usr/bin")):
        pytest.skip("needs haproxy")
    started: list[subprocess.Popen[bytes]] = []

    def start(port: int, send: str) -> int:
        own = ports()
        file = tmp_path / f"haproxy-{own}.cfg"
        file.write_text(
            f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen submission
    bind 127.0.0.1:{own}
    server indicia 127.0.0.1:{port} {send}
"""
        )
        started.append(subprocess.Popen([program, "-db", "-f", file]))
        waiting(lambda: accepts(own), 10, "HAProxy accepts connections")
        return own

    yield start
    for process in started:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_behind_haproxy_the_client_is_who_he_is(
    submission: Callable[..., Any],
    haproxy: Callable[[int, str], int],
    files: Files,
    mode: str,
) -> None:
    running = submission(mode, proxies="127.0.0.1/32")
    tls = "--tls" if mode == "starttls" else "--tls-on-connect"
    # HAProxy speaks for itself when it looks whether we are well.
    for send in ("send-proxy", "send-proxy-v2 check inter 100ms"):
        port = haproxy(running.smtp, send)
        status, said = swaks(port, files, tls, *signed_in())
        assert status == 0, said
        status, said = swaks(port, files, tls)
        assert (status, "530 5.7.0" in said) == (SENDER_REFUSED, True)
        here = ("--local-interface", STRANGER)
        status, said = swaks(port, files, tls, *here, sender="anyone@x.test")
        assert status == 0, said
    assert "proxy.refused" not in running.output()
