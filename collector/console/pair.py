"""A sender and a recipient, and what would be done for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ledger.address import Address, AddressError, parse_address
from ledger.consent import Consents
from ledger.policies import KeptPolicy


@dataclass(frozen=True, slots=True)
class Pair:
    """Whose mail to whom."""

    sender: Address | None
    """None: the null sender."""
    recipient: Address
    account: str | None = None
    """Who has signed in; None: nobody."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One value of a treatment, and what decides it, in the words of `explain --json`."""

    of: str
    value: str
    because: str
    name: str


Decide = Callable[[Pair, KeptPolicy, Consents], tuple[Decided, ...]]
"""Judges an ordinary mail, by the configuration and by what is on record."""


@dataclass(frozen=True, slots=True)
class AskedPair:
    """Of whom somebody asks, as it was typed, and what came of it."""

    words: Mapping[str, str]
    pair: Pair | None
    """None where nothing is asked, or where it can not be read."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """By field."""


def read_pair(query: Mapping[str, str]) -> AskedPair:
    """Return the pair of `from`, `to` and `account`; without `to` nothing is asked."""
    words = {name: query.get(name, "").strip() for name in ("from", "to", "account")}
    if not words["to"]:
        faults = {"to": "Write to whom."} if words["from"] or words["account"] else {}
        return AskedPair(words, None, faults)
    sender, wrong_sender = _read(words["from"])
    recipient, wrong_recipient = _read(words["to"])
    wrong = {"from": wrong_sender, "to": wrong_recipient}
    faults = {name: why for name, why in wrong.items() if why}
    if recipient is None or faults:
        return AskedPair(words, None, faults)
    return AskedPair(words, Pair(sender, recipient, words["account"] or None))


def _read(text: str) -> tuple[Address | None, str]:
    """Return the address, and why it is none; nobody without a fault where nothing is said."""
    if not text:
        return None, ""
    try:
        return parse_address(text), ""
    except AddressError:
        return None, f"{text!r} is no mail address. Write name@example.com."
