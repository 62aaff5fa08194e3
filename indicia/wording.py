"""An event in the words of a line of a table."""

from ledger.event import Event, EventType

_DELIVERIES = frozenset({EventType.RELAYED, EventType.DEFERRED, EventType.FAILED})


def tell_what(event: Event) -> str:
    """Return what happened, in one word."""
    return event.type.value.rpartition(".")[2]


def tell_who(event: Event) -> str:
    """Return whom it is about, as far as that is known."""
    if event.recipient is not None:
        return event.recipient
    if event.candidates:
        return f"someone of {', '.join(event.candidates)}"
    return "someone"


def tell_more(event: Event) -> str:
    """Return what the upstream said, or where a click led, and how sure the label is."""
    if event.type in _DELIVERIES:
        return f"{event.upstream}: {event.reply}"
    if event.type is EventType.ACCEPTED:
        return "" if event.tracking_mode is None else event.tracking_mode.value
    words = [event.url or ""]
    if event.classification is not None:
        sure = "" if event.confidence is None else f" {event.confidence:.0%}"
        words.append(f"{event.classification.value}{sure}")
    words += event.reasons
    if event.repeats:
        words.append(f"and {event.repeats} times again")
    return " · ".join(word for word in words if word)
