"""A rule as an admin fills it in: what it is, or what is wrong beside each field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from config.settings import Rule
from ledger.mode import TrackingMode

FIELDS = ("name", "sender", "account", "recipient", "mode", "opens", "clicks", "reason")
"""Of the form; `opens` and `clicks` are `no` or empty."""

_MAX_NAME = 100
"""It stands in each reason that names it, so it is a name and no text."""
_MAX_PATTERN = 400
"""An address has at most 320 bytes."""
MAX_REASON = 1000
"""Why, in a few sentences."""
_PATTERNS = ("sender", "account", "recipient")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Draft:
    """What was filled in, word by word, and what came of it."""

    words: Mapping[str, str]
    rule: Rule | None
    """None where a field is wrong."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """By field: what is wrong, and the mend."""

    @property
    def reason(self) -> str:
        """Why the rule is made or changed."""
        return self.words["reason"]


def read_draft(form: Mapping[str, str]) -> Draft:
    """Return the rule of a form, or its faults; what was filled in is there either way."""
    words = {name: form.get(name, "").strip() for name in FIELDS}
    faults = dict(_faults(words))
    if faults:
        return Draft(words, None, faults)
    said: dict[str, object] = {"name": words["name"], "mode": words["mode"]}
    said |= {name: words[name] for name in _PATTERNS if words[name]}
    said |= {name: False for name in ("opens", "clicks") if words[name] == "no"}
    try:
        return Draft(words, Rule.model_validate(said))
    except ValidationError as error:
        return Draft(words, None, {str(one["loc"][0]): _why(one) for one in error.errors()})


def read_reason(text: str) -> tuple[str, str]:
    """Return a reason, and why it is none: empty where it is one."""
    reason = text.strip()
    if not reason:
        return reason, "Say why, for whoever looks at this later."
    if len(reason) > MAX_REASON:
        return reason, f"This is too long. Say it in {MAX_REASON} characters."
    return reason, ""


def kept_rule(rule: Rule) -> dict[str, object]:
    """Return a rule as it is kept: without its name, and only what it says."""
    said: dict[str, object] = {
        name: getattr(rule, name) for name in _PATTERNS if getattr(rule, name)
    }
    if rule.mode is not TrackingMode.INDIVIDUAL:
        said["mode"] = rule.mode.value
    return said | {name: False for name in ("opens", "clicks") if not getattr(rule, name)}


def words_of(name: str, kept: Mapping[str, object]) -> dict[str, str]:
    """Return a kept rule as its form has it, without a reason.

    Law: read_draft makes the same rule of it, once a reason is given.
    """
    words = {"name": name, "mode": str(kept.get("mode", TrackingMode.INDIVIDUAL.value))}
    words |= {pattern: str(kept.get(pattern) or "") for pattern in _PATTERNS}
    words |= {what: "no" if kept.get(what) is False else "" for what in ("opens", "clicks")}
    return {**words, "reason": ""}


def _faults(words: Mapping[str, str]) -> dict[str, str]:
    faults = {}
    if not words["name"]:
        faults["name"] = "Give it a name: it is told as the reason wherever the rule decides."
    elif len(words["name"]) > _MAX_NAME or _CONTROL.search(words["name"]):
        faults["name"] = f"Write at most {_MAX_NAME} characters, on one line."
    elif "@" in words["name"]:
        faults["name"] = "Name it without an address: names stand in the audit log, which stays."
    for name in _PATTERNS:
        if len(words[name]) > _MAX_PATTERN:
            faults[name] = f"Write at most {_MAX_PATTERN} characters."
    if words["mode"] not in set(TrackingMode):
        faults["mode"] = "Choose how much may be told at most."
    elif words["mode"] == TrackingMode.INDIVIDUAL and "no" not in (words["opens"], words["clicks"]):
        faults["mode"] = "So far it narrows nothing. Choose a lower mode, no pixel or no links."
    _, fault = read_reason(words["reason"])
    return faults | ({"reason": fault} if fault else {})


def _why(error: object) -> str:
    assert isinstance(error, dict)
    cause = error.get("ctx", {}).get("error", error["msg"])
    return f"It {cause}."
