import base64
import hashlib
import re

from hypothesis import given
from hypothesis import strategies as st

from collector.console.ticket import Ticket, draw_ticket

URL_SAFE = re.compile(r"[A-Za-z0-9_-]{43}")


def test_every_ticket_is_another_and_so_is_all_that_is_derived() -> None:
    tickets = [draw_ticket() for _ in range(100)]
    derived = [(one.secret, one.state, one.nonce, one.verifier, one.challenge) for one in tickets]
    assert len({word for words in derived for word in words}) == 500


@given(st.text(), st.text())
def test_what_is_seen_on_the_way_is_neither_secret_nor_verifier(secret: str, other: str) -> None:
    # Law: from what the provider and everybody on the way sees, nobody learns the secret or the
    # verifier.
    ticket = Ticket(secret)
    seen = {ticket.state, ticket.nonce, ticket.challenge}
    assert len(seen | {ticket.verifier, secret}) == 5
    assert all(URL_SAFE.fullmatch(word) for word in {*seen, ticket.verifier})
    assert ticket.owns(ticket.state)
    assert Ticket(other).owns(ticket.state) is (secret == other)
    assert not ticket.owns(other)


def test_the_challenge_is_that_of_the_standard() -> None:
    ticket = Ticket("x")
    hashed = hashlib.sha256(ticket.verifier.encode("ascii")).digest()
    assert base64.urlsafe_b64decode(f"{ticket.challenge}=") == hashed  # RFC 7636 4.2
