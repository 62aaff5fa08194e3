"""What is decided about a message, and why: the closed lists of reasons."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ledger.address import Address
from ledger.mode import TrackingMode
from relay.mail import RecipientType
from relay.reply import Reply


class PassReason(StrEnum):
    """Why a message, part or link is left alone. docs/reasons.md says each at length."""

    # a whole message
    SIGNED = "signed"
    ENCRYPTED = "encrypted"
    PGP_INLINE = "pgp_inline"
    DKIM_SIGNED = "dkim_signed"
    CALENDAR = "calendar"
    TNEF = "tnef"
    REPORT = "report"
    AUTOMATIC = "automatic"
    NULL_SENDER = "null_sender"
    NO_HTML = "no_html"
    OBSERVE = "observe"
    TOO_MANY_LINKS = "too_many_links"
    NOTHING_TO_TRACK = "nothing_to_track"
    OUR_FAULT = "our_fault"
    # a part
    ATTACHMENT = "attachment"
    EMBEDDED_MESSAGE = "embedded_message"
    AMP = "amp"
    NOT_TEXT = "not_text"
    PLAIN_TEXT = "plain_text"
    BROKEN_STRUCTURE = "broken_structure"
    BROKEN_ENCODING = "broken_encoding"
    UNKNOWN_ENCODING = "unknown_encoding"
    UNKNOWN_CHARSET = "unknown_charset"
    BROKEN_CHARSET = "broken_charset"
    AMBIGUOUS_HTML = "ambiguous_html"
    AMBIGUOUS_TEXT = "ambiguous_text"
    NO_PLACE_FOR_PIXEL = "no_place_for_pixel"
    LINE_TOO_LONG = "line_too_long"
    # a link
    TEXT_IS_URL = "text_is_url"
    OTHER_SCHEME = "other_scheme"
    RELATIVE = "relative"
    PLACEHOLDER = "placeholder"
    UNSUBSCRIBE = "unsubscribe"
    SIGNED_URL = "signed_url"
    OWN_BASE = "own_base"
    EXCLUDED_HOST = "excluded_host"
    OPTED_OUT = "opted_out"
    QUOTED_HISTORY = "quoted_history"
    URL_TOO_LONG = "url_too_long"
    URL_NOT_CANONICAL = "url_not_canonical"
    CONDITIONAL_COMMENT = "conditional_comment"
    # by the treatment of a recipient
    CLICKS_OFF = "clicks_off"
    OPENS_OFF = "opens_off"
    MODE_OFF = "mode_off"


@dataclass(frozen=True, slots=True)
class PassThrough:
    """Something is left as it is, for this reason."""

    reason: PassReason
    detail: str = ""
    """What was seen, for people; never needed to decide."""


class Clicks(StrEnum):
    """In which parts links are tracked, as `explain` spells it."""

    NONE = "none"
    HTML = "html"
    TEXT = "text"
    BOTH = "html+text"

    @classmethod
    def of(cls, *, html: bool, text: bool) -> "Clicks":
        """Return the value that tracks these parts."""
        return {
            (False, False): cls.NONE,
            (True, False): cls.HTML,
            (False, True): cls.TEXT,
            (True, True): cls.BOTH,
        }[html, text]

    @property
    def html(self) -> bool:
        """Whether links in text/html are tracked."""
        return self in (Clicks.HTML, Clicks.BOTH)

    @property
    def text(self) -> bool:
        """Whether links in text/plain are tracked."""
        return self in (Clicks.TEXT, Clicks.BOTH)


@dataclass(frozen=True, slots=True)
class Treatment:
    """What the policy permits for a recipient, before the content is looked at."""

    mode: TrackingMode
    opens: bool
    clicks: Clicks

    @property
    def tracks(self) -> bool:
        """Whether anything at all is to be put in. Mode off is neither opens nor clicks."""
        return self.opens or self.clicks is not Clicks.NONE


OFF = Treatment(TrackingMode.OFF, opens=False, clicks=Clicks.NONE)


class Because(StrEnum):
    """What kind of source decided a value."""

    RULE = "rule"
    CONSENT = "consent"
    SEAT = "seat"
    INTERNAL = "internal"
    HEADER = "header"
    CEILING = "ceiling"
    MAX_COPIES = "max_copies"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one value of a treatment is what it is."""

    of: str
    """mode, opens or clicks."""
    value: str
    """As `explain` spells it; of opens `true` or `false`."""
    because: Because
    name: str
    """The rule's name, the header field, the option: what an admin would look up."""


@dataclass(frozen=True, slots=True)
class RecipientVerdict:
    """What holds for one recipient."""

    recipient: Address
    recipient_type: RecipientType
    treatment: Treatment
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class IgnoredControl:
    """A message control that has no effect, told by `explain`."""

    field_name: str
    value: str
    """As given, shortened."""
    why: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The message is not taken."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Accept:
    """The message is taken; one entry for each envelope recipient, in their order."""

    treatments: tuple[RecipientVerdict, ...]
    content: PassThrough | None = None
    """Why nothing in the message may be touched, whatever the treatments say."""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[IgnoredControl, ...] = ()


Verdict = Accept | Refuse
