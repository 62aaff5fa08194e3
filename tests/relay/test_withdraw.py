"""What is decided anew when a copy goes out."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import parse_address
from ledger.consent import Consents
from ledger.mode import TrackingMode
from relay.mail import Copy, Recipient, RecipientType
from relay.policy import Policy, Rule
from relay.promise import Claim
from relay.retry import Tries
from relay.template import Template
from relay.withdraw import withdraw_tracking

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
POLICY = Policy("relay.example", "https://t.example", unknown_consent=TrackingMode.INDIVIDUAL)
DENIES = Consents(denied={"bob@example.org"})


def claim_of(*recipients: str, layout: int | None = 0) -> Claim:
    named = tuple(Recipient(parse_address(one), RecipientType.TO) for one in recipients)
    return Claim(
        copy=Copy(1, "S", TrackingMode.SHARED, layout, 1, named),
        lease="L",
        sender=None,
        template=Template(b"", (), "https://t.example"),
        tries=Tries(),
        received_at=NOW,
        message_id=None,
        subject=None,
        account=None,
        smtputf8=False,
        body_8bit=False,
        delay_noticed=False,
    )


@pytest.mark.parametrize(
    ("recipients", "policy", "why"),
    [
        (["bob@example.org"], POLICY, None),
        (["bob@example.org"], replace(POLICY, tracking=False), "policy off"),
        (["bob@example.org"], replace(POLICY, known=False), "policy not known"),
        (["bob+news@example.org"], replace(POLICY, consents=DENIES), "denied"),
        (["ann@example.org"], replace(POLICY, consents=DENIES), None),
        (["ann@example.org", "bob@example.org"], replace(POLICY, consents=DENIES), "denied"),
    ],
)
def test_the_switch_and_a_denial_make_a_copy_the_original(
    recipients: list[str], policy: Policy, why: str | None
) -> None:
    """Law: a copy one of whose recipients denies is sent as the original to all of them."""
    claim = claim_of(*recipients)
    sent = withdraw_tracking(claim, policy)
    assert sent.withdrawn == why
    if why is None:
        assert sent is claim
    else:
        assert sent == replace(
            claim, copy=replace(claim.copy, layout=None, mode=TrackingMode.OFF), withdrawn=why
        )


def test_an_original_stays_what_it_is() -> None:
    claim = claim_of("bob@example.org", layout=None)
    assert withdraw_tracking(claim, replace(POLICY, tracking=False)) is claim


@given(st.sampled_from(list(TrackingMode)), st.booleans(), st.booleans(), st.sets(st.text()))
def test_nothing_else_changes_what_was_decided(
    mode: TrackingMode, opens: bool, observe: bool, granted: set[str]
) -> None:
    """Law: nothing but the switch for everybody and a denial changes what was decided."""
    policy = replace(
        POLICY,
        mode=mode,
        opens=opens,
        observe=observe,
        unknown_consent=mode,
        rules=(Rule("all", mode=TrackingMode.OFF),),
        consents=Consents(granted=granted),
    )
    claim = claim_of("bob@example.org")
    assert withdraw_tracking(claim, policy) is claim
