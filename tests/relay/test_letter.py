import email
import email.policy
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ledger.address import parse_address
from relay.letter import write_letter

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=300)
LINES = st.lists(TEXT, max_size=5).map("\n".join)


def letter(subject: str = "Please confirm", text: str = "One\n\nTwo\n") -> bytes:
    recipient = parse_address("b@example.org")
    return write_letter(recipient, subject, text, "01ABC@relay.example.com", AT)


def test_it_says_who_writes_and_that_no_person_does() -> None:
    mail = email.message_from_bytes(letter(), policy=email.policy.SMTP)
    assert mail["From"] == "Mail tracking <postmaster@relay.example.com>"
    assert mail["To"] == "b@example.org"
    assert mail["Message-ID"] == "<01ABC@relay.example.com>"
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["Date"].datetime == AT
    assert mail["Subject"] == "Please confirm"


@given(subject=TEXT.map(lambda text: " ".join(text.split())), text=LINES)
def test_subject_and_text_come_out_of_it_as_they_went_in(subject: str, text: str) -> None:
    raw = letter(subject or "x", text)
    mail = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert mail["Subject"] == (subject or "x")
    payload = mail.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.decode() == text.replace("\n", "\r\n")


@given(subject=TEXT.map(lambda text: " ".join(text.split())), text=LINES)
def test_it_is_ascii_in_lines_that_end_crlf(subject: str, text: str) -> None:
    raw = letter(subject, text)
    assert raw.isascii()
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    assert max(map(len, raw.split(b"\r\n"))) <= 998  # RFC 5322 2.1.1
    assert raw.count(b"\r\n\r\n") >= 1


def test_a_recipient_who_is_not_ascii_stands_there_as_he_is() -> None:
    raw = write_letter(parse_address("bä@example.org"), "x", "y", "1@h", AT)
    assert "To: <bä@example.org>\r\n".encode() in raw
