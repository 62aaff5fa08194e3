"""Policy: what is in force, for all and for one pair, and the switch for everybody."""

from collections.abc import Mapping

from collector.console.api.asked import NothingAsked, PairAsked, Switching
from collector.console.api.caller import Caller
from collector.console.pair import Pair
from config.settings import Rule
from ledger.audit import SubjectKind
from ledger.consents import consents_of
from ledger.policies import PolicyChange, kept_policy, record_policy_change

_CEILING = frozenset(
    {
        "mode",
        "opens",
        "clicks",
        "unknown_consent",
        "max_copies",
        "anonymous_min",
        "observe",
        "internal_domains",
    }
)


async def tell_policy(caller: Caller, _asked: NothingAsked) -> dict[str, object]:
    """Return what is in force: the switch, the configuration's ceiling, all rules."""
    desk = caller.desk
    async with desk.ledger.read() as connection:
        kept = await kept_policy(connection)
    configured = [
        _rule_object("configuration", rule.model_dump(mode="json")) for rule in desk.rules
    ]
    said = [
        _rule_object("console", Rule.model_validate({**rule, "name": name}).model_dump(mode="json"))
        for name, rule in kept.rules.items()
    ]
    return {
        "tracking": kept.tracking,
        "configuration": desk.tracking.model_dump(mode="json", include=set(_CEILING)),
        "rules": configured + said,
    }


async def tell_pair(caller: Caller, asked: PairAsked) -> dict[str, object]:
    """Return what would be done with an ordinary mail of this sender to this recipient."""
    desk = caller.desk
    async with desk.ledger.read() as connection:
        kept = await kept_policy(connection)
        consents = await consents_of(connection, [asked.recipient], desk.audit_key)
    decided = desk.decide(
        Pair(asked.sender, asked.recipient, asked.account or None), kept, consents
    )
    return {
        "sender": None if asked.sender is None else str(asked.sender),
        "recipient": str(asked.recipient),
        "account": asked.account or None,
        "decided": [
            {"of": one.of, "value": one.value, "because": one.because, "name": one.name}
            for one in decided
        ],
    }


async def switch_tracking(caller: Caller, asked: Switching) -> dict[str, object]:
    """Switch tracking off or on for everybody."""
    author, reason = caller.author, asked.reason.strip()
    entry = author.entry("policy.switched", SubjectKind.POLICY, None, {"tracking": asked.tracking})
    change = PolicyChange(author.at, author.actor, reason, None, asked.tracking)
    await record_policy_change(caller.desk.ledger, change, entry)
    return {"tracking": asked.tracking}


def _rule_object(source: str, rule: Mapping[str, object]) -> dict[str, object]:
    return {"source": source, **rule}
