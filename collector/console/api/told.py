"""What is answered, as models: openapi.json describes answers by them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ledger.acts import Result
from ledger.consent import Consent, Method
from ledger.event import Agent, Attribution, EventType
from ledger.mode import TrackingMode
from ledger.queue import Waiting

At = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
NextCursor = Annotated[
    str | None,
    Field(description="Where the next page begins: `cursor` of the next request. Null: the end."),
]
Named = Literal["to", "cc", "bcc"]


class Told(BaseModel):
    """A model of an answer: it has these names and no others."""

    model_config = ConfigDict(extra="forbid")


class FaultTold(Told):
    """One thing that is wrong with a request."""

    where: str
    what: str


class ProblemTold(Told):
    """What is wrong with a request (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FaultTold] = []


class EventTold(Told):
    """An event, as docs/events.md has it."""

    event_id: str
    type: EventType
    timestamp: At
    send_id: str | None
    message_id: str | None
    sender: str | None
    subject: str | None
    recipient: str | None
    recipient_type: Named | None
    attribution: Attribution | None
    candidates: list[str]
    tracking_mode: TrackingMode | None
    url: str | None
    link_id: str | None
    link_text: str | None
    classification: Agent | None
    machine: bool
    confidence: Annotated[float, Field(ge=0, le=1)] | None
    reasons: list[str]
    rules_version: str | None
    first: bool
    repeats: Annotated[int, Field(ge=0)]
    notice: Literal["none", "held", "sent"]
    inferred_from: str | None
    user_agent: str | None
    ip_address: str | None
    tags: list[str]
    metadata: dict[str, str]
    reply: Annotated[str | None, Field(description="Of delivery events only.")] = None
    upstream: Annotated[str | None, Field(description="Of delivery events only.")] = None
    label_before: Annotated[
        Agent | None, Field(alias="from", description="Of re-labellings only.")
    ] = None
    label_now: Annotated[Agent | None, Field(alias="to", description="Of re-labellings only.")] = (
        None
    )


class EventsTold(Told):
    """A page of events."""

    events: list[EventTold]
    next_cursor: NextCursor


class MessageRecipientTold(Told):
    """A recipient of a send, in a list."""

    recipient: str | None
    recipient_type: Named | None
    tracking_mode: TrackingMode | None


class MessageLineTold(Told):
    """A send, in a list."""

    send_id: str
    timestamp: At
    message_id: str | None
    sender: str | None
    subject: str | None
    recipients: list[MessageRecipientTold]


class MessagesTold(Told):
    """A page of sends."""

    messages: list[MessageLineTold]
    next_cursor: NextCursor


class MessageTold(Told):
    """A send as it was accepted, and all that happened since."""

    send_id: str
    accepted_at: At
    message_id: str | None
    sender: str | None
    account: str | None
    client: str | None
    subject: str | None
    size_bytes: Annotated[int, Field(ge=0)]
    base_url: str
    tags: list[str]
    metadata: dict[str, str]
    recipients: Annotated[
        list[dict[str, Any]], Field(description="The objects of `indicia explain --json`.")
    ]
    events: Annotated[list[EventTold], Field(description="The latest 2,000, oldest first.")]


class ActsTold(Told):
    """How often somebody did something, and when last; repeats of a view count."""

    times: Annotated[int, Field(ge=0)]
    last_at: At | None


class ReceivedTold(Told):
    """A mail that somebody was sent, and what became of it."""

    send_id: str
    accepted_at: At
    sender: str | None
    subject: str | None
    tracking_mode: TrackingMode
    state: EventType
    opened: ActsTold
    clicked: ActsTold


class RecipientTold(Told):
    """A recipient: what he was sent, what he did, what holds of his consent."""

    recipient: str
    consent: Consent
    sends: Annotated[int, Field(ge=0)]
    opened: ActsTold
    clicked: ActsTold
    not_counted: Annotated[
        int, Field(ge=0, description="Opens and clicks by programs, or nobody knows whose.")
    ]
    messages: list[ReceivedTold]
    next_cursor: NextCursor


class QueuedRecipientTold(Told):
    """A recipient of a copy, and how far it got for him."""

    recipient: str
    recipient_type: Named
    state: str
    reply: str | None


class CopyTold(Told):
    """A copy in the queue."""

    copy_id: str
    send_id: str
    waiting: Waiting
    received_at: At
    sender: str | None
    subject: str | None
    message_id: str | None
    mode: TrackingMode
    attempts: int
    tried_at: At | None
    due_at: At | None
    upstream: str | None
    reply: str | None
    recipients: list[QueuedRecipientTold]


class QueueTold(Told):
    """A page of the queue."""

    copies: list[CopyTold]
    next_cursor: NextCursor


class ActTold(Told):
    """What became of an action on one copy."""

    copy_id: str
    result: Result


class ActsDoneTold(Told):
    """What became of an action, for each copy that was named, in that order."""

    results: list[ActTold]


class WebhookTold(Told):
    """A webhook, and how it does."""

    webhook: Annotated[str, Field(description="Its name here, made of its URL.")]
    origin: Annotated[
        str | None, Field(description="Scheme and host; null: it is configured no more.")
    ]
    events: Annotated[list[EventType], Field(description="What it is told; none: all.")]
    waiting: Annotated[int, Field(ge=0)]
    dead: Annotated[int, Field(ge=0)]
    delivered_at: At | None
    failed_at: At | None
    fault: Annotated[str | None, Field(description="What it said or did when it failed last.")]


class WebhooksTold(Told):
    """All webhooks."""

    webhooks: list[WebhookTold]


class DeadLetterTold(Told):
    """What a webhook did not take within a day."""

    delivery_id: Annotated[str, Field(description="The `webhook-id` of each attempt.")]
    webhook: str
    type: EventType
    event_id: str
    send_id: str | None
    attempts: Annotated[int, Field(ge=0)]
    first_tried_at: At | None
    dead_at: At | None
    reply: str | None


class DeadLettersTold(Told):
    """A page of dead letters."""

    dead_letters: list[DeadLetterTold]
    next_cursor: NextCursor


class ResentTold(Told):
    """Which of those that were named were dead letters, and are tried again."""

    resent: list[str]


class TellingTold(Told):
    """One telling of a consent."""

    subject: str
    state: Consent
    at: At
    method: Method
    source: str
    text: str
    actor: str


class ConsentsTold(Told):
    """A page of what holds, the last telling of each subject."""

    consents: list[TellingTold]
    next_cursor: NextCursor


class ConsentTold(Told):
    """What holds for an address or domain, and all that was told of it, latest first."""

    subject: str
    state: Annotated[Consent, Field(description="Of an address, with what was told of its domain.")]
    history: list[TellingTold]


class RuleTold(Told):
    """A rule; a pattern that is null matches all."""

    name: str
    source: Literal["configuration", "console"]
    sender: str | None
    account: str | None
    recipient: str | None
    mode: TrackingMode
    opens: bool
    clicks: bool


class CeilingTold(Told):
    """What the configuration says for everybody (`[tracking]`)."""

    mode: TrackingMode
    opens: bool
    clicks: bool | Literal["seats"]
    unknown_consent: TrackingMode
    max_copies: int
    anonymous_min: int
    observe: bool
    internal_domains: list[str]


class PolicyTold(Told):
    """What is in force."""

    tracking: Annotated[bool, Field(description="The switch: false is off for everybody.")]
    configuration: CeilingTold
    rules: list[RuleTold]


class SwitchedTold(Told):
    """The switch as it is now."""

    tracking: bool


class DecidedTold(Told):
    """One value of a treatment, and what decides it."""

    of: str
    value: str
    because: str
    name: str


class PairTold(Told):
    """What would be done with an ordinary mail of one sender to one recipient."""

    sender: str | None
    recipient: str
    account: str | None
    decided: list[DecidedTold]


class CountTold(Told):
    """How many events of a type a day has, and how many of them are of programs."""

    type: EventType
    count: Annotated[int, Field(ge=0)]
    machine: Annotated[
        int, Field(ge=0, description="Of them, those of prefetchers, scanners and unfurlers.")
    ]
    machine_share: Annotated[float, Field(ge=0, le=1)]


class DayTold(Told):
    """A day (UTC) on which something happened."""

    day: Annotated[str, Field(json_schema_extra={"format": "date"})]
    counts: list[CountTold]


class StatsTold(Told):
    """Counts by day and type, the earliest day first; a day without events is left out."""

    days: list[DayTold]
