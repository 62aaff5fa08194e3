"""The relay's certificate, renewed without a restart.

Connections keep what they began with.  A new file that can not be used is told once, and the last
good one stays.
"""

import ssl
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog
from cryptography.x509 import (
    DNSName,
    ExtensionNotFound,
    IPAddress,
    SubjectAlternativeName,
    load_pem_x509_certificates,
)

from ledger.keys import KeyFileError

_LOOK_S = 2.0
"""Between two looks at the files: a renewal is in force sooner than anybody can try it."""

_log = structlog.get_logger()


class Certificate:
    """What secures new connections: the files as they were last found in order."""

    def __init__(
        self, certificate: Path, private_key: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Load both files.  Raises KeyFileError as load_context does."""
        self._files = (certificate, private_key)
        self._clock = clock
        self._looked_at = clock()
        self._seen = self._look()
        self._context = load_context(certificate, private_key)

    def context(self) -> ssl.SSLContext:
        """Return what secures a new connection, from the files of a few seconds ago or newer."""
        now = self._clock()
        if now - self._looked_at >= _LOOK_S:
            self._looked_at = now
            seen = self._look()
            if seen != self._seen:
                self._seen = seen
                self._renew()
        return self._context

    def _renew(self) -> None:
        try:
            self._context = load_context(*self._files)
        except KeyFileError as error:
            _log.error("certificate.broken", reason=str(error), goes_on_with="the last good one")
        else:
            _log.info("certificate.renewed", certificate=str(self._files[0]))

    def _look(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(map(_signature, self._files))


def load_context(certificate: Path, private_key: Path) -> ssl.SSLContext:
    """Return what secures connections with these files: TLS 1.2 or newer, no renegotiation.

    Raises KeyFileError where one can not be read or is none, or where they do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # RFC 8996 ended TLS 1.0 and 1.1.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    for file in (certificate, private_key):
        try:
            file.read_bytes()
        except OSError as error:
            msg = f"{file} can not be read ({error.strerror}); let the relay's user read it"
            raise KeyFileError(msg) from error
    try:
        load_pem_x509_certificates(certificate.read_bytes())
    except ValueError as error:
        msg = f"{certificate} is no certificate in PEM; write the file with the whole chain"
        raise KeyFileError(msg) from error
    try:
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(certificate, private_key, password="")
    except ssl.SSLError as error:
        raise KeyFileError(_why(error, certificate, private_key)) from error
    return context


def read_validity(certificate: Path) -> tuple[tuple[str, ...], datetime]:
    """Return the names that a certificate is for, and when it ends.

    Raises OSError and ValueError where load_context would refuse it.
    """
    leaf = load_pem_x509_certificates(certificate.read_bytes())[0]
    try:
        names = leaf.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return (), leaf.not_valid_after_utc  # the common name has counted nowhere since 2017
    hosts = names.get_values_for_type(DNSName)
    addresses = map(str, names.get_values_for_type(IPAddress))
    return (*hosts, *addresses), leaf.not_valid_after_utc


def _why(error: ssl.SSLError, certificate: Path, private_key: Path) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        mend = "name the key with which it was asked for"
        return f"{private_key} is not the key of {certificate}; {mend}"
    mend = "remove the passphrase: openssl pkey -in FILE -out FILE.new"
    return f"{private_key} is no private key in PEM without a passphrase; {mend}"


def _signature(file: Path) -> tuple[int, ...] | None:
    """Return what differs when a file was changed or put in the place of another."""
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
