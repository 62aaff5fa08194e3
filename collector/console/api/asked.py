"""What may be asked, one model a route: its path, and its query or body.

openapi.json is made of the same models, so the two can not differ.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from collector.console.api.words import (
    DEFAULT_PAGE,
    Cursor,
    Instant,
    Labels,
    Limit,
    Mailbox,
    MaybeMailbox,
    Reasons,
    Sender,
    Types,
    Whose,
    Word,
    text_of,
)
from collector.console.consent import MAX_SOURCE, MAX_TEXT
from collector.console.draft import MAX_REASON
from ledger.consent import Consent, Method

MAX_NAMED = 100
"""Copies named in one request: they are changed in one transaction."""


class Asked(BaseModel):
    """A model of what is asked; a name that it does not have is a fault, never ignored."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=False
    )


class NothingAsked(Asked):
    """No parameters."""


class PageAsked(Asked):
    """A page of a list."""

    cursor: Annotated[Cursor, Field(description="`next_cursor` of the page before.")] = ""
    limit: Annotated[Limit, Field(description="How many at most.")] = DEFAULT_PAGE


class MessagesAsked(PageAsked):
    """Which sends."""

    since: Annotated[Instant, Field(description="How far back: an age or an instant.")] = None
    until: Annotated[Instant, Field(description="Before this: an age or an instant.")] = None
    sender: Annotated[MaybeMailbox, Field(description="Envelope sender.")] = None
    recipient: Annotated[MaybeMailbox, Field(description="Somebody who got it.")] = None
    message_id: Annotated[
        Word, Field(description="Message-ID, with or without angle brackets.")
    ] = ""


class MessageAsked(Asked):
    """One send."""

    send_id: Annotated[str, Field(description="As lists and events name it.")]


class EventsAsked(MessagesAsked):
    """Which events."""

    send_id: Annotated[Word, Field(description="Of one send.")] = ""
    type: Annotated[Types, Field(description="`email.opened` or `opened`; may be repeated.")] = (
        frozenset()
    )
    classification: Annotated[Labels, Field(description="Label; may be repeated.")] = frozenset()
    history: Annotated[
        Literal["true", "false"], Field(description="Re-labellings too, as events of their own.")
    ] = "false"
    order: Annotated[
        Literal["newest", "oldest"],
        Field(description="Newest first, or oldest first: to follow what comes."),
    ] = "newest"


class StreamAsked(Asked):
    """Which events are told as they are recorded."""

    cursor: Annotated[
        Cursor,
        Field(description="From where on: of a list with `order=oldest`. Empty: from now on."),
    ] = ""
    sender: Annotated[MaybeMailbox, Field(description="Envelope sender.")] = None
    recipient: Annotated[MaybeMailbox, Field(description="Whom they are about.")] = None
    send_id: Annotated[Word, Field(description="Of one send.")] = ""
    type: Annotated[Types, Field(description="`email.opened` or `opened`; may be repeated.")] = (
        frozenset()
    )
    classification: Annotated[Labels, Field(description="Label; may be repeated.")] = frozenset()


class RecipientAsked(PageAsked):
    """One recipient."""

    address: Annotated[Mailbox, Field(description="A mail address.")]


class QueueAsked(PageAsked):
    """Which copies."""

    older: Annotated[Instant, Field(description="Accepted so long ago or longer.")] = None
    recipient: Annotated[Word, Field(description="Who waits: a pattern, or a domain.")] = ""
    sender: Annotated[Word, Field(description="A pattern; `<>`: reports.")] = ""
    reply: Annotated[Word, Field(description="Part of the last reply.")] = ""
    upstream: Annotated[Word, Field(description="Who was tried last.")] = ""
    waiting: Annotated[Reasons, Field(description="Why it waits; may be repeated.")] = frozenset()


class QueueActing(Asked):
    """What is to be done, and with which copies."""

    action: Literal["retry", "hold", "release", "drop", "bounce"]
    copy_ids: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^[0-9]{1,19}$")]],
        Field(min_length=1, max_length=MAX_NAMED),
    ]


class Resending(Asked):
    """Which dead letters are to be sent again."""

    delivery_ids: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^msg_[0-9a-f]{26}$")]],
        Field(min_length=1, max_length=MAX_NAMED),
    ]


class SubjectAsked(Asked):
    """Whose consent."""

    subject: Annotated[Whose, Field(description="A mail address, or a domain for all its people.")]


class ConsentTelling(SubjectAsked):
    """What was told of somebody's consent."""

    state: Consent
    method: Method = Method.OTHER
    source: Annotated[
        str, text_of(MAX_SOURCE), Field(description="Where it was told: a form, a file, a call.")
    ] = ""
    text: Annotated[str, text_of(MAX_TEXT), Field(description="What the person was shown.")] = ""


class Switching(Asked):
    """The switch for everybody."""

    tracking: Annotated[bool, Field(strict=True)]
    reason: Annotated[
        str,
        StringConstraints(max_length=MAX_REASON, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$"),
        Field(description="For whoever looks at this later."),
    ]


class PairAsked(Asked):
    """Whose mail to whom."""

    # `from` is a word of Python.
    sender: Annotated[
        Sender, Field(alias="from", description="Envelope sender; empty: the null sender.")
    ] = None
    recipient: Annotated[Mailbox, Field(alias="to", description="Envelope recipient.")]
    account: Annotated[Word, Field(description="Who has signed in; empty: nobody.")] = ""


class StatsAsked(Asked):
    """Which days."""

    since: Annotated[
        Instant,
        Field(description="From the day of this on: an age or an instant; 30d if left out."),
    ] = None
    until: Annotated[
        Instant, Field(description="Days that begin before this; now if left out.")
    ] = None
    sender: Annotated[MaybeMailbox, Field(description="Envelope sender.")] = None
