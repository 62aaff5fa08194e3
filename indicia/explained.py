"""The objects of `explain --json`, in words for people."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from collector.console.wording import tell_because, tell_passed
from indicia.printing import plain_text, table

Explained = Mapping[str, Any]

_MAX_TEXT = 40
_MAX_URL = 100


def explained_lines(explained: Sequence[Explained]) -> Iterator[str]:
    """Return a table of the recipients, then what decided, then the parts and links.

    What is alike for several recipients is told once.  Of what was only observed, what would have
    been done comes after it.
    """
    head = ("recipient", "as", "mode", "opens", "clicks", "copy")
    yield from table([head, *map(_recipient_row, explained)])
    for recipients, one in _alike(explained, ("reasons",)):
        yield ""
        yield plain_text(f"what decided for {', '.join(recipients)}:")
        yield from _reason_lines(one)
    for recipients, content in _alike(explained, ("parts", "links")):
        yield ""
        yield plain_text(f"what is in the copy of {', '.join(recipients)}:")
        yield from table([*map(_part_row, content["parts"])], indent="  ")
        yield from table([*map(_link_row, content["links"])], indent="  ")
    yield from _ignored_lines(explained[0].get("ignored", ()))
    unobserved = [one["unobserved"] for one in explained if "unobserved" in one]
    if unobserved:
        yield from ("", "“observe” is on. Without it, this would happen:", "")
        yield from explained_lines(unobserved)


def _recipient_row(one: Explained) -> tuple[object, ...]:
    opens = "yes" if one["opens"] else "no"
    return one["recipient"], one["recipient_type"], one["mode"], opens, one["clicks"], one["copy"]


def _reason_lines(one: Explained) -> Iterator[str]:
    reasons = [
        (reason["of"], _value(reason["is"]), tell_because(reason["because"], reason["name"]))
        for reason in one["reasons"]
    ]
    if not reasons:
        yield "  nothing narrows what may be tracked"
    yield from table(reasons, indent="  ")


def _value(value: object) -> str:
    return (
        {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    )


def _alike(
    explained: Iterable[Explained], names: Sequence[str]
) -> list[tuple[list[str], Explained]]:
    """Return who has the same under these names, with one of them."""
    alike: list[tuple[list[str], Explained]] = []
    for one in explained:
        for recipients, other in alike:
            if all(other[name] == one[name] for name in names):
                recipients.append(str(one["recipient"]))
                break
        else:
            alike.append(([str(one["recipient"])], one))
    return alike


def _part_row(part: Explained) -> tuple[object, ...]:
    return f"part {part['part']}", part["media_type"], _tracked(part)


def _link_row(link: Explained) -> tuple[object, ...]:
    number = f"link {link['link_id']}" if link["link_id"] is not None else "link"
    text = _short(link["text"] or "", _MAX_TEXT)
    return number, f"“{text}”", _short(link["url"], _MAX_URL), _tracked(link)


def _tracked(item: Explained) -> str:
    if item["tracked"]:
        return "tracked"
    return f"left alone: {tell_passed(str(item['reason']))}"


def _ignored_lines(ignored: Iterable[Explained]) -> Iterator[str]:
    for control in ignored:
        words = ", ".join(f"{key} {value}" for key, value in control.items())
        yield plain_text(f"ignored: {words}")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
