"""What is in force, and the switch for everybody, as an operator says it."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from collector.console.pair import Pair
from config.settings import Settings
from indicia.acting import operator
from indicia.failure import USAGE, Failure
from indicia.inforce import policy_in_force
from indicia.judging import judge_pair
from indicia.printing import plain_text, print_json, print_line, table
from indicia.storage import opened_stores
from ledger.address import Address, AddressError, parse_address
from ledger.audit import SubjectKind
from ledger.policies import KeptPolicy, PolicyChange, kept_policy, record_policy_change
from relay.configured import policy_of
from relay.limit import values
from relay.policy import Policy, Rule
from relay.verdict import RecipientVerdict


@dataclass(frozen=True, slots=True)
class NamedPair:
    """Whose mail to whom, as it was typed."""

    sender: str
    """Empty: the null sender."""
    recipient: str
    account: str | None = None


def show_policy(settings: Settings, *, as_json: bool) -> None:
    """Print the switch, the ceiling and every rule with where it is kept."""
    kept = asyncio.run(_kept(settings))
    policy = policy_of(settings)
    rules = [
        *((_rule_object(rule), "configuration") for rule in policy.rules),
        *(({"name": name, **rule}, "console") for name, rule in kept.rules.items()),
    ]
    ceiling = _ceiling(policy)
    if as_json:
        told = [{**rule, "kept_in": where} for rule, where in rules]
        print_json({"tracking": kept.tracking, **ceiling, "rules": told})
        return
    print_line(f"tracking is {'on' if kept.tracking else 'OFF for everybody (indicia policy off)'}")
    for line in table([(name, _shown(value)) for name, value in ceiling.items()], "  "):
        print_line(line)
    print_line("rules" if rules else "no rules")
    rows = [(rule["name"], where, _matches(rule), _narrows(rule)) for rule, where in rules]
    for line in table(rows, "  ") if rows else ():
        print_line(line)


def show_pair(settings: Settings, pair: NamedPair, *, as_json: bool) -> None:
    """Print what holds for an ordinary mail of a sender to one recipient, and what decided it.

    Raises Failure.
    """
    recipient = _address(pair.recipient)
    verdict = _judged(settings, pair, recipient)
    said = values(verdict.treatment)
    if as_json:
        shown = {**said, "opens": verdict.treatment.opens}
        reasons = [
            {"of": one.of, "is": shown[one.of], "because": one.because.value, "name": one.name}
            for one in verdict.reasons
        ]
        print_json({"recipient": pair.recipient, **shown, "reasons": reasons})
        return
    print_line(f"an ordinary mail from {plain_text(pair.sender or '<>')} to {recipient}")
    rows = [
        (reason.of, said[reason.of], f"because of {reason.because.value}", reason.name)
        for reason in verdict.reasons
    ]
    for line in table(rows, "  "):
        print_line(line)


def switch_tracking(settings: Settings, *, tracking: bool, reason: str) -> None:
    """Switch tracking off or on for everybody."""
    asyncio.run(_switch(settings, tracking=tracking, reason=reason))
    told = "on" if tracking else "off for everybody, within 5 seconds, mail in the queue included"
    print_line(f"tracking is {told}")


async def _switch(settings: Settings, *, tracking: bool, reason: str) -> None:
    author = operator(settings)
    # Not the reason, which is kept with the change: somebody may be named there.
    detail = {"tracking": tracking}
    entry = author.entry("policy.switched", SubjectKind.POLICY, None, detail)
    change = PolicyChange(author.at, author.actor, reason, None, tracking)
    async with opened_stores(settings) as stores:
        await record_policy_change(stores.ledger, change, entry)


async def _kept(settings: Settings) -> KeptPolicy:
    async with opened_stores(settings) as stores, stores.ledger.read() as connection:
        return await kept_policy(connection)


def _judged(settings: Settings, named: NamedPair, recipient: Address) -> RecipientVerdict:
    sender = _address(named.sender) if named.sender else None
    policy = policy_in_force(settings, [recipient])
    return judge_pair(policy, Pair(sender, recipient, named.account))


def _ceiling(policy: Policy) -> dict[str, object]:
    clicks: object = policy.clicks if policy.seats is None else "seats"
    return {
        "mode": policy.mode.value,
        "opens": policy.opens,
        "clicks": clicks,
        "seats": list(policy.seats or ()),
        "max_copies": policy.max_copies,
        "unknown_consent": policy.unknown_consent.value,
        "observe": policy.observe,
        "internal_domains": list(policy.internal_domains),
    }


def _rule_object(rule: Rule) -> dict[str, object]:
    told = {name: value for name, value in asdict(rule).items() if value is not None}
    return {**told, "mode": rule.mode.value}


def _matches(rule: Mapping[str, object]) -> str:
    keys = ("sender", "account", "recipient")
    return ", ".join(f"{key} {rule[key]}" for key in keys if rule.get(key)) or "everybody"


def _narrows(rule: Mapping[str, object]) -> str:
    told = [f"mode {rule['mode']}"] if "mode" in rule else []
    told += [f"no {what}" for what in ("opens", "clicks") if rule.get(what) is False]
    return ", ".join(told)


def _shown(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return " ".join(map(str, value)) or "none"
        case _:
            return str(value)


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except AddressError as error:
        raise Failure(str(error), USAGE) from None
