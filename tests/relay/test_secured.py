"""Why nothing in a whole message may be touched."""

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import Address
from relay.mime.entity import parse_entity
from relay.mime.header import read_header
from relay.secured import content_of
from relay.verdict import PassThrough

SENDER = Address("ann", "sales.example")
HTML = "Content-Type: text/html\n\n<p>Hello</p>"
PGP = "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n"
PGP_SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nHello\n"


def look(text: str | bytes, sender: Address | None = SENDER) -> PassThrough | None:
    raw = text if isinstance(text, bytes) else text.replace("\n", "\r\n").encode()
    return content_of(read_header(raw), parse_entity(raw), sender)


def reason(text: str | bytes, sender: Address | None = SENDER) -> str | None:
    found = look(text, sender)
    return str(found.reason) if found else None


def mixed(*parts: str, kind: str = "mixed", boundary: str = "b") -> str:
    body = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary={boundary}\n\n{body}--{boundary}--\n"


def part(content_type: str, *fields: str, body: str = "x") -> str:
    return "\n".join([f"Content-Type: {content_type}", *fields, "", body])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (mixed(HTML, kind="signed"), "signed"),
        (mixed(mixed(HTML, kind="signed", boundary="c"), part("text/plain")), "signed"),
        ("Content-Type: multipart/signed\n\nno boundary", "signed"),
        (mixed(HTML, kind="encrypted"), "encrypted"),
        (part("application/pkcs7-mime; smime-type=enveloped-data"), "encrypted"),
        (part("application/x-pkcs7-mime"), "encrypted"),
        (part('application/pkcs7-mime; smime-type="Signed-Data"'), "signed"),
        (part("application/pkcs7-mime; smime-type=certs-only"), "signed"),
        (part("application/pkcs7-mime; smime-type=authEnveloped-data"), "encrypted"),
        (mixed(HTML, part("application/pkcs7-mime; name=smime.p7m")), "encrypted"),
        (part("application/octet-stream; name=smime.P7M"), "encrypted"),
        (
            mixed(
                HTML,
                part(
                    "application/octet-stream",
                    'Content-Disposition: attachment; filename="smime.p7s"',
                ),
            ),
            "signed",
        ),
        (part("application/octet-stream; name=report.p7m.pdf"), None),
        (part("application/octet-stream; name=p7m"), None),
        (part("application/pdf; name=smime.p7m"), None),
        (part("application/pgp-encrypted"), "encrypted"),
        (mixed(HTML, part("application/ms-tnef")), "tnef"),
        (mixed(HTML, part("application/vnd.ms-tnef")), "tnef"),
        (mixed(HTML, part("application/octet-stream; name=WinMail.dat")), "tnef"),
        (part("application/x-any", "Content-Disposition: inline; filename=winmail.dat"), "tnef"),
        (mixed(HTML, kind="report"), "report"),
        (mixed(HTML, part("message/delivery-status")), "report"),
        (mixed(HTML, part("message/disposition-notification")), "report"),
        (mixed(HTML, part("message/feedback-report")), "report"),
        (mixed(HTML, part("message/rfc822", body=mixed(HTML, kind="signed"))), None),
        (mixed(HTML, part("application/pgp-keys")), None),
        (mixed(HTML, part("application/pdf; name=a.pdf")), None),
        (HTML, None),
        (part("text/plain"), None),
        ("", None),
    ],
)
def test_what_is_signed_encrypted_or_for_machines_is_left_alone_as_a_whole(
    text: str, expected: str | None
) -> None:
    assert reason(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (part("text/calendar; method=REQUEST"), "calendar"),
        (
            mixed(HTML, part("text/calendar; charset=utf-8; METHOD=reply"), kind="alternative"),
            "calendar",
        ),
        (part("text/calendar", body="BEGIN:VCALENDAR\nMETHOD:REQUEST\n"), "calendar"),
        (part("text/calendar", body="BEGIN:VCALENDAR\nmethod;X=1:REQUEST\n"), "calendar"),
        (
            part(
                "text/calendar",
                "Content-Transfer-Encoding: base64",
                body=base64.b64encode(b"BEGIN:VCALENDAR\r\nMETHOD:CANCEL\r\n").decode(),
            ),
            "calendar",
        ),
        (mixed(HTML, part("text/calendar", body="BEGIN:VCALENDAR\nX-METHOD:REQUEST\n")), None),
    ],
)
def test_an_invitation_has_a_method(text: str, expected: str | None) -> None:
    assert reason(text) == expected


def encoded(text: str, encoding: str, charset: str = "utf-8") -> str:
    """Return a text/plain part whose text is in a transfer encoding."""
    raw = text.replace("\n", "\r\n").encode(charset)
    body = {
        "base64": base64.encodebytes(raw).decode(),
        "quoted-printable": quopri.encodestring(raw).decode(),
        "8bit": text,
    }[encoding]
    return part(
        f"text/plain; charset={charset}", f"Content-Transfer-Encoding: {encoding}", body=body
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (part("text/plain", body=PGP), "pgp_inline"),
        (part("text/plain", body=f"Dear Bob,\n\n  {PGP}"), "pgp_inline"),
        (part("text/plain", body=PGP_SIGNED), "pgp_inline"),
        (part("text/plain", body="-----BEGIN PGP MESSAGE, PART 1/2-----\n"), "pgp_inline"),
        (mixed(part("text/plain", body=PGP), HTML, kind="alternative"), "pgp_inline"),
        (encoded(PGP, "base64"), "pgp_inline"),
        (encoded(PGP, "quoted-printable"), "pgp_inline"),
        (encoded(PGP, "base64", "utf-16"), "pgp_inline"),
        (encoded(PGP, "base64", "utf-8-sig"), "pgp_inline"),
        (
            part(
                "text/plain",
                "Content-Transfer-Encoding: quoted-printable",
                body="=2D----BEGIN PGP MESS=\nAGE-----\n",
            ),
            "pgp_inline",
        ),
        (part("text/html", body=f"<pre>{PGP}</pre>"), "pgp_inline"),
        (part("text/plain", body="> " + PGP_SIGNED), None),
        (part("text/plain", body="-----BEGIN PGP PUBLIC KEY BLOCK-----\n"), None),
        (part("text/plain", body="I write about BEGIN PGP MESSAGE"), None),
        (mixed(HTML, part("text/plain", "Content-Disposition: attachment", body=PGP)), None),
        (mixed(HTML, part("application/octet-stream", body=PGP)), None),
    ],
)
def test_inline_pgp_is_found_in_any_transfer_encoding(text: str, expected: str | None) -> None:
    assert reason(text) == expected


@pytest.mark.parametrize("cut", range(1, 12))
def test_inline_pgp_is_found_in_base64_that_is_cut_short_or_broken(cut: int) -> None:
    body = base64.b64encode(b"Dear Bob,\r\n" + PGP_SIGNED.encode()).decode()[:-cut]
    text = part("text/plain", "Content-Transfer-Encoding: base64", body=f"{body[:5]} *\n{body[5:]}")
    assert reason(text) == "pgp_inline"


@pytest.mark.parametrize("length", range(6))
def test_base64_of_any_length_is_looked_at(length: int) -> None:
    body = "QUFBQUFB"[:length]
    assert reason(part("text/plain", "Content-Transfer-Encoding: base64", body=body)) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("auto-generated", "automatic"),
        ("auto-replied (vacation)", "automatic"),
        ("no", None),
        ("No (a person wrote it)", None),
        ("no; owner=ann", None),
        ("", "automatic"),
    ],
)
def test_automatic_mail_says_so(value: str, expected: str | None) -> None:
    assert reason(f"Auto-Submitted: {value}\n{HTML}") == expected


def test_one_of_several_fields_is_enough() -> None:
    text = f"Auto-Submitted: no\nAuto-Submitted: auto-generated\n{HTML}"
    found = look(text)
    assert found is not None
    assert found.detail == "Auto-Submitted: auto-generated"


def test_the_null_sender_is_never_tracked() -> None:
    assert reason(HTML, None) == "null_sender"


def test_precedence_has_no_effect() -> None:
    assert reason(f"Precedence: bulk\n{HTML}") is None


def test_dkim_counts_on_the_outermost_header_only_and_comes_last() -> None:
    assert reason(f"dkim-signature: v=1\n{HTML}") == "dkim_signed"
    assert reason(mixed(f"DKIM-Signature: v=1\n{HTML}")) is None
    assert reason(f"X-Google-DKIM-Signature: v=1\n{HTML}") is None
    assert reason(f"DKIM-Signature: v=1\n{HTML}", None) == "null_sender"
    assert reason("DKIM-Signature: v=1\n" + mixed(HTML, kind="signed")) == "signed"
    assert reason("DKIM-Signature: v=1\n" + part("text/plain", body=PGP)) == "pgp_inline"


def test_the_part_that_decides_is_named() -> None:
    found = look(mixed(HTML, mixed(HTML, kind="signed", boundary="c")))
    assert found is not None
    assert found.detail == "part 1.2: multipart/signed"


@given(
    st.lists(
        st.sampled_from(
            [
                *[b"Content-Type: ", b"text/plain", b"text/calendar", b"multipart/mixed", b"\r\n"],
                *[b"; boundary=b", b"\r\n\r\n", b"--b\r\n", b"--b--", b"-----BEGIN PGP MESSAGE"],
                *[b"Content-Transfer-Encoding: base64", b"application/pkcs7-mime", b"=", b"\xff"],
                *[b"Content-Transfer-Encoding: quoted-printable", b"Auto-Submitted: ", b"("],
            ]
        ),
        max_size=25,
    ).map(b"".join)
)
def test_any_bytes_are_looked_at_without_a_fault(raw: bytes) -> None:
    look(raw)
