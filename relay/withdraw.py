"""WITHDRAW: what was decided at acceptance, narrowed by what holds now.

The switch for everybody and a denial reach mail that waits in the queue: it goes out as the
original, which is kept beside its templates.
"""

from dataclasses import replace

from ledger.consent import Consent
from ledger.mode import TrackingMode
from relay.limit import DENIED, NOT_KNOWN, SWITCHED_OFF
from relay.policy import Policy
from relay.promise import Claim


def withdraw_tracking(claim: Claim, policy: Policy) -> Claim:
    """Return the claim as it may be sent now; `withdrawn` says why, where that is the original.

    Law: nothing but the switch for everybody and a denial changes what was decided.
    Law: a copy one of whose recipients denies is sent as the original to all of them.
    """
    copy = claim.copy
    if copy.layout is None:
        return claim
    why = _why(claim, policy)
    if why is None:
        return claim
    return replace(claim, copy=replace(copy, layout=None, mode=TrackingMode.OFF), withdrawn=why)


def _why(claim: Claim, policy: Policy) -> str | None:
    """Return the name of what narrows, as `explain` has it."""
    if not policy.tracking:
        return SWITCHED_OFF.name
    if not policy.known:
        return NOT_KNOWN.name
    recipients = (one.address for one in claim.copy.recipients)
    if any(policy.consents.of(one) is Consent.DENIED for one in recipients):
        return DENIED.name
    return None
