"""What codes mean in words: the texts of the pages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from collector.sureness import tell_likely
from ledger.consent import is_digest
from ledger.event import Agent, Attribution, Event, EventType
from ledger.notice_wishes import MailWish
from ledger.role import Role
from ledger.treated import Treated

OPENED, CLICKED = EventType.OPENED, EventType.CLICKED
"""For the pages, which know no other names of types."""

_PSEUDONYM = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Sureness:
    """How sure it is that a person looked, for the eye and in words."""

    level: int
    """3 very likely a person, 2 probably, 1 perhaps, 0 not known or not a person."""
    words: str


_WHAT = {
    Agent.HUMAN_LIKELY: "a person",
    Agent.PROXY: "a person, through an image proxy",
    Agent.PREFETCH: "fetched in advance by a mail service",
    Agent.SCANNER: "a security scanner or another program",
    Agent.UNFURL: "a link preview in a chat",
    Agent.SELF: "someone in your own network",
}


def tell_sureness(event: Event) -> Sureness:
    """Return how sure an open or click is: the label and its confidence as words."""
    agent, confidence = event.classification, event.confidence or 0.0
    if agent is None or agent is Agent.UNKNOWN:
        return Sureness(0, "can not tell who or what this was")
    likely, level = tell_likely(confidence)
    return Sureness(level if agent.attentive else 0, f"{likely} {_WHAT[agent]}")


def tell_label(event: Event) -> str:
    """Return what an open or click is taken for, without how sure that is."""
    return _WHAT.get(event.classification or Agent.UNKNOWN, "something that can not be told")


def tell_agent(agent: Agent) -> str:
    """Return a kind of agent, to choose from."""
    return _WHAT.get(agent, "not known")


def tell_who(event: Event) -> str:
    """Return whose act it is: an address, "someone of …", or "Someone"."""
    if event.attribution is Attribution.SHARED:
        return f"Someone of {', '.join(event.candidates)}"
    if event.attribution is Attribution.ANONYMOUS or event.recipient is None:
        return "Someone"
    return event.recipient


def tell_machines(agents: frozenset[Agent | None]) -> str:
    """Return by whom it was done that nobody is counted for."""
    if agents == {Agent.SELF}:
        return "by your own network"
    return "by programs or your own network" if Agent.SELF in agents else "by programs"


def tell_times(verb: str, times: int) -> str:
    """Return a thing done and how often, where it was more than once."""
    return verb if times == 1 else f"{verb} {times} times"


_DONE = {
    EventType.ACCEPTED: "Accepted",
    EventType.RELAYED: "Handed on",
    EventType.DEFERRED: "Deferred, will be tried again",
    EventType.FAILED: "Refused",
    EventType.OPENED: "Opened",
    EventType.CLICKED: "Clicked",
    EventType.RECLASSIFIED: "Label changed",
    EventType.WITHDRAWN: "Tracking withdrawn",
}


def tell_done(event_type: EventType) -> str:
    """Return what happened as one or two words in the past tense."""
    return _DONE[event_type]


_MODES = {
    "individual": "Each open and click is told by name.",
    "shared": "One copy for several people: an open is told as “someone of these”.",
    "anonymous": "Opens and clicks are told as “someone”; nothing ties them to a person.",
    "off": "Not tracked: the mail went out as it was written.",
}


def tell_mode(mode: str) -> str:
    """Return what a tracking mode means for the reader of the page."""
    return _MODES.get(mode, mode)


_AT_MOST = {
    "individual": "by name: no limit from this rule",
    "shared": "shared: at most “someone of these”",
    "anonymous": "anonymous: at most “someone”",
    "off": "not tracked",
}


def tell_at_most(mode: str) -> str:
    """Return a mode as the most that a rule lets be told."""
    return _AT_MOST.get(mode, mode)


_MODE_NAMES = {
    "individual": "by name",
    "shared": "shared",
    "anonymous": "anonymous",
    "off": "not tracked",
}


def tell_mode_name(mode: str) -> str:
    """Return a tracking mode in a word or two."""
    return _MODE_NAMES.get(mode, mode)


_MAIL_WISHES = {
    MailWish.OFF: "none",
    MailWish.EACH: "one for each open and click",
    MailWish.DIGEST: "one a day, at eight",
}


def tell_mail_wish(wish: MailWish) -> str:
    """Return how somebody is told by mail, to choose from."""
    return _MAIL_WISHES[wish]


def tell_least(confidence: float) -> str:
    """Return from which confidence on somebody is told, to choose from."""
    words, level = tell_likely(confidence)
    return words if level == tell_likely(1.0)[1] else f"{words}, or surer"


_KINDS = {"to": "To", "cc": "Cc", "bcc": "Bcc"}


def tell_kind(recipient_type: str) -> str:
    """Return where the header names a recipient, as the header writes it."""
    return _KINDS.get(recipient_type, recipient_type)


def tell_value(of: str, value: str) -> str:
    """Return a decided value in words: a mode by its name, a switch as yes or no."""
    if of == "mode":
        return tell_mode_name(value)
    return {"true": "yes", "false": "no", "none": "no"}.get(value.lower(), value)


SWITCH = "policy off"
"""What the relay calls the switch for everybody."""

_SWITCHED_OFF = "the switch that turns tracking off for everybody"

_BECAUSE = {
    "rule": "the rule “{}”",
    "consent": "consent: {}",
    "seat": "the sender has no click-tracking seat ({})",
    "internal": "{} is one of your own domains",
    "header": "the mail asked for it: {}",
    "ceiling": "the general setting {}",
    "max_copies": "the send has more recipients than {}",
    "content": "the content: {}",
}


def tell_because(because: str, name: str) -> str:
    """Return what kind of source decided a value, with its name."""
    if because == "content":
        return tell_passed(name)
    if name == SWITCH:
        return _SWITCHED_OFF
    return _BECAUSE.get(because, because + " {}").format(name)


def tell_rule(rule: Mapping[str, object]) -> str:
    """Return for whom a rule holds and what it narrows, on one line."""
    whom = [
        told.format(_tell_pattern(str(rule[key])))
        for key, told in (
            ("sender", "from {}"),
            ("account", "signed in as {}"),
            ("recipient", "to {}"),
        )
        if rule.get(key)
    ]
    mode = str(rule.get("mode", "individual"))
    narrows = [] if mode == "individual" else [f"at most {tell_mode_name(mode)}"]
    if mode == "off":
        narrows = ["not tracked"]
    narrows += ["no pixel"] if rule.get("opens") is False else []
    narrows += ["no tracked links"] if rule.get("clicks") is False else []
    return f"{' '.join(whom) or 'all mail'}: {', '.join(narrows) or 'nothing'}"


def _tell_pattern(pattern: str) -> str:
    return "a forgotten address" if is_digest(pattern) else pattern


def tell_difference(before: Treated, after: Treated) -> str:
    """Return how a copy would have been treated otherwise."""
    told = []
    if after.mode is not before.mode:
        modes = [tell_mode_name(mode.value) for mode in (after.mode, before.mode)]
        told.append(f"{modes[0]} instead of {modes[1]}")
    if after.mode.width:
        told += ["without a pixel"] if before.opens and not after.opens else []
        told += ["without tracked links"] if after.clicks != before.clicks else []
    return ", ".join(told)


_CONSENTS = {"granted": "granted", "denied": "denied", "unknown": "not known"}


def tell_consent(state: str) -> str:
    """Return what is on record of a consent."""
    return _CONSENTS.get(state, state)


_METHODS = {
    "form": "by the person, on a form or page",
    "import": "from a list",
    "spoken": "by word of mouth",
    "console": "by writing, noted here",
    "other": "in another way",
}


def tell_method(method: str) -> str:
    """Return how a consent was told."""
    return _METHODS.get(method, method)


def tell_actor(actor: str, names: Mapping[str, str]) -> str:
    """Return who recorded something, by the account where there is one."""
    known = {"operator": "the operator", "recipient": "the recipient"}
    return names.get(actor) or known.get(actor) or tell_party(actor, None)


_PASSED = {
    "signed": "the mail is signed, and a change would break the signature",
    "encrypted": "the mail is encrypted",
    "pgp_inline": "the mail holds an inline PGP message",
    "dkim_signed": "the mail was DKIM-signed before it came here, and a change would break that",
    "calendar": "it is a calendar invitation",
    "tnef": "it is Outlook's own format (TNEF)",
    "report": "it is a delivery or read report",
    "automatic": "it is an automatic mail (Auto-Submitted)",
    "null_sender": "it has no sender, so it is a report",
    "no_html": "the mail has no HTML part, and plain text can hold no pixel",
    "observe": "“observe” is on: nothing is changed, only recorded",
    "too_many_links": "the mail has more links than can be numbered",
    "nothing_to_track": "there is nothing in it that could be tracked",
    "our_fault": "something went wrong on our side, so the mail went out unchanged",
    "attachment": "it is an attachment",
    "embedded_message": "it is a mail within the mail",
    "amp": "AMP parts are left alone",
    "not_text": "it is not text",
    "plain_text": "it is plain text",
    "broken_structure": "its structure can not be told for sure",
    "broken_encoding": "its transfer encoding is broken",
    "unknown_encoding": "its transfer encoding is not known",
    "unknown_charset": "its character set is not known",
    "broken_charset": "it is not in the character set it claims",
    "ambiguous_html": "its HTML can be read in more than one way",
    "ambiguous_text": "mail programs would not agree where it ends",
    "no_place_for_pixel": "no place was found where a pixel would surely be shown",
    "line_too_long": "a line in it is too long to be changed safely",
    "text_is_url": "its text is itself an address; filters call a mismatch phishing",
    "other_scheme": "it is not a web link",
    "relative": "it is a relative link",
    "placeholder": "it is a template placeholder",
    "unsubscribe": "it is an unsubscribe link",
    "signed_url": "it is a signed or one-time link",
    "own_base": "it already leads to the tracking host",
    "excluded_host": "its host is excluded by tracking.excluded_hosts",
    "opted_out": "the mail opts it out",
    "quoted_history": "it stands in the quoted history",
    "url_too_long": "it is longer than tracking.max_url_length",
    "url_not_canonical": "it can not be carried through a redirect unchanged",
    "conditional_comment": "it stands in a comment that only Outlook reads",
    "clicks_off": "click tracking is off",
    "opens_off": "opens are not tracked",
    "mode_off": "the recipient is not tracked",
}


def tell_passed(reason: str) -> str:
    """Return why something was left alone; a code not known here is shown as it is."""
    return _PASSED.get(reason, reason.replace("_", " "))


_ACTIONS = {
    "person.added": "added",
    "person.role": "changed the role of",
    "person.send_as": "changed who may be sent as by",
    "person.password": "set the password of",
    "person.disabled": "disabled",
    "person.enabled": "enabled",
    "person.link_made": "made a sign-in link",
    "person.signed_in": "signed in",
    "person.refused": "tried to sign in",
    "token.created": "created the API token",
    "token.revoked": "revoked the API token",
    "send.viewed": "looked at the mail",
    "log.exported": "exported the log",
    "copy.viewed": "read a captured copy of the mail",
    "tracking.withdrawn": "withdrew tracking of",
    "tracking.restored": "took back the withdrawal of",
    "recipient.viewed": "looked at the page of",
    "policy.switched": "switched tracking for everybody",
    "policy.rule_set": "set the rule",
    "policy.rule_removed": "removed the rule",
    "consent.told": "recorded the consent of",
    "consent.imported": "imported consents",
    "webhook.resent": "had webhooks told again",
    "queue.retried": "had the relay try again",
    "queue.held": "held in the queue",
    "queue.released": "released in the queue",
    "queue.dropped": "dropped from the queue, telling nobody,",
    "queue.bounced": "dropped from the queue, telling the sender,",
}


_BEFORE_SUBJECT = {"person.refused": " as", "person.link_made": " for"}


def tell_action(action: str, *, has_subject: bool) -> str:
    """Return what was done, to stand between who did it and about whom.

    An action not known here is shown as it is.
    """
    told = _ACTIONS.get(action, action.replace(".", ": ").replace("_", " "))
    return told + (_BEFORE_SUBJECT.get(action, "") if has_subject else "")


def tell_party(name: str, kind: str | None) -> str:
    """Return who or what an audit entry names; a pseudonym, which is nobody's account, shortened.

    `kind` is that of a subject, None of who acts.
    """
    if name == "stranger":
        return "Somebody"
    if _PSEUDONYM.fullmatch(name) is None:
        return name
    whom = "a recipient" if kind == "recipient" else "somebody without an account"
    return f"{whom} ({name[:8]})"


_ROLES = {
    Role.ADMIN: "admin: sees and changes all",
    Role.AUDITOR: "auditor: sees all",
    Role.USER: "user: sees own mail",
}


def tell_role(role: Role) -> str:
    """Return a role and what it may do."""
    return _ROLES[role]


def tell_detail(detail: Mapping[str, object]) -> str:
    """Return what an audit entry says besides, on one line."""
    return ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in detail.items())


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
