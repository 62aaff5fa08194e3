"""What is posted to a webhook, and what its answer means.

Standard Webhooks says how a post is signed: https://www.standardwebhooks.com, "Signature scheme".
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from ledger.deliveries import Again, Dead, Delivery, End, Taken
from ledger.event import Event, EventType, event_object

_JUDGED = frozenset({EventType.OPENED, EventType.CLICKED})


@dataclass(frozen=True, slots=True)
class Pace:
    """When what was not taken is tried again."""

    first_s: float = 5.0
    """A receiver that restarts is back by then; each further pause is twice as long."""
    longest_s: float = 3_600.0
    """Whoever mends his receiver need not wait longer."""
    give_up: timedelta = timedelta(days=1)
    """After the first attempt: a receiver that is down is seen, and mended, within a day."""


STEADY = Pace()
"""How every webhook is tried."""


def make_body(event: Event) -> bytes:
    """Return the body that tells of an event: `data` is what `log --json` prints.

    An open or click of a send may be labelled anew, and says so.
    """
    shown = event_object(event)
    if event.type in _JUDGED and event.send_id is not None:
        shown["provisional"] = True
    told = {"type": event.type.value, "timestamp": shown["timestamp"], "data": shown}
    return json.dumps(told, separators=(",", ":")).encode()


def make_headers(
    keys: Sequence[bytes], delivery_id: str, at: datetime, body: bytes
) -> Mapping[str, str]:
    """Return the fields that sign a body, once with each key."""
    seconds = str(int(at.timestamp()))
    said = b".".join((delivery_id.encode(), seconds.encode(), body))
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(_sign(key, said) for key in keys),
    }


def _sign(key: bytes, said: bytes) -> str:
    return f"v1,{base64.b64encode(hmac.digest(key, said, hashlib.sha256)).decode()}"


def end_of(delivery: Delivery, answer: int | str, at: datetime, pace: Pace, dice: float) -> End:
    """Return what an answer, a status or what went wrong, means for a delivery.

    `dice` is between 0 and 1.  Law: what is tried again is due within `pace.longest_s`.
    """
    if isinstance(answer, int) and HTTPStatus.OK <= answer < HTTPStatus.MULTIPLE_CHOICES:
        return Taken()
    told = answer if isinstance(answer, str) else status_text(answer)
    # Standard Webhooks, "Response codes": nobody is there any more.
    if answer == HTTPStatus.GONE:
        return Dead(told)
    if at - (delivery.first_tried_at or at) >= pace.give_up:
        return Dead(told)
    pause_s = min(pace.longest_s, pace.first_s * 2.0 ** min(delivery.attempts, 32))
    # Between half of it and all: who failed together does not come back together.
    return Again(at + timedelta(seconds=pause_s * (0.5 + dice / 2)), told)


def status_text(status: int) -> str:
    """Return a status with its words; the receiver's own may name anybody, and are not kept."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
