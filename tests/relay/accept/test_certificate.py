"""Certificates from files, and their renewal."""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ledger.keys import KeyFileError
from relay.accept.certificate import Certificate, load_context, read_validity


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_context_is_of_today(files: Any) -> None:
    context = load_context(files.certificate, files.private_key)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.verify_mode is ssl.CERT_NONE


def told(certificate: Path, private_key: Path) -> str:
    with pytest.raises(KeyFileError) as caught:
        load_context(certificate, private_key)
    return str(caught.value)


def test_what_can_not_be_used_is_told_with_the_mend(
    files: Any, issue: Callable[[], Any], tmp_path: Path
) -> None:
    none, junk, locked = tmp_path / "none", tmp_path / "junk", tmp_path / "locked"
    junk.write_text("junk")
    subprocess.run(
        [
            "openssl",
            "pkey",
            "-in",
            files.private_key,
            "-aes128",
            "-passout",
            "pass:x",
            "-out",
            locked,
        ],
        check=True,
    )
    mend = "(No such file or directory); let the relay's user read it"
    assert told(none, files.private_key) == f"{none} can not be read {mend}"
    assert told(files.certificate, none) == f"{none} can not be read {mend}"
    for certificate in (junk, files.private_key):
        assert told(certificate, files.private_key).startswith(f"{certificate} is no certificate")
    for key in (junk, files.certificate, locked):
        assert told(files.certificate, key).startswith(f"{key} is no private key in PEM without")
    other = issue()
    expected = f"{other.private_key} is not the key of {files.certificate}; name the key"
    assert told(files.certificate, other.private_key).startswith(expected)


def test_a_renewal_is_taken_when_both_files_are_there_and_the_old_one_stays_till_then(
    issue: Callable[[], Any],
) -> None:
    old, new, clock = issue(), issue(), Clock()
    certificate = Certificate(old.certificate, old.private_key, clock)
    first = certificate.context()
    clock.now += 10
    assert certificate.context() is first
    new.certificate.replace(old.certificate)
    assert certificate.context() is first  # it was looked at just now
    with capture_logs() as logs:
        for _ in range(3):
            clock.now += 10
            assert certificate.context() is first
        new.private_key.replace(old.private_key)
        clock.now += 10
        assert certificate.context() is not first
        old.certificate.unlink()
        second = certificate.context()
        clock.now += 10
        assert certificate.context() is second
    assert [line["event"] for line in logs] == [
        "certificate.broken",
        "certificate.renewed",
        "certificate.broken",
    ]
    assert logs[0]["log_level"] == "error"
    assert "is not the key of" in logs[0]["reason"]


def test_a_start_without_usable_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError):
        Certificate(tmp_path / "none", tmp_path / "none")


def test_a_certificate_says_for_whom_it_is_and_until_when(files: Any, tmp_path: Path) -> None:
    names, ends_at = read_validity(files.certificate)
    assert names == ("localhost",)
    assert ends_at.tzinfo is not None
    nameless, key = tmp_path / "nameless.pem", tmp_path / "key.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-days", "2"]
    subprocess.run(
        ["openssl", *words, "-keyout", key, "-out", nameless], check=True, capture_output=True
    )
    assert read_validity(nameless)[0] == ()
