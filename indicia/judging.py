"""What the relay would do with an ordinary mail of one sender to one recipient."""

from dataclasses import replace
from datetime import UTC, datetime

from collector.console.pair import Decide, Decided, Pair
from config.settings import Settings
from ledger.consent import Consents
from ledger.policies import KeptPolicy
from relay.configured import policy_of
from relay.judge import judge
from relay.mail import Client, Envelope, Submission
from relay.mime.entity import parse_entity
from relay.policy import Policy
from relay.standing import rules_of
from relay.verdict import Accept, RecipientVerdict

_ORDINARY = b"Content-Type: text/html\r\n\r\n<p>Hello</p>\r\n"
"""A mail in which there is something to track, and that says nothing of tracking itself."""


def judge_pair(policy: Policy, pair: Pair) -> RecipientVerdict:
    """Return what holds for the recipient of an ordinary mail, and what decides it."""
    submission = Submission(
        send_id="",
        envelope=Envelope(pair.sender, (pair.recipient,)),
        raw=_ORDINARY,
        received_at=datetime.now(UTC),
        client=Client("127.0.0.1", "localhost"),
        account=pair.account,
    )
    verdict = judge(submission, parse_entity(_ORDINARY), policy)
    assert isinstance(verdict, Accept)  # it has no Received to be in a loop
    return verdict.treatments[0]


def decide_by(settings: Settings) -> Decide:
    """Return what judges for the console, which has no relay of its own.

    What it returns raises TypeError or ValueError where a kept rule is none of this version's.
    """
    configured = policy_of(settings)

    def decide(pair: Pair, kept: KeptPolicy, consents: Consents) -> tuple[Decided, ...]:
        rules = (*configured.rules, *rules_of(kept))
        policy = replace(configured, rules=rules, consents=consents, tracking=kept.tracking)
        return tuple(
            Decided(reason.of, reason.value, reason.because.value, reason.name)
            for reason in judge_pair(policy, pair).reasons
        )

    return decide
