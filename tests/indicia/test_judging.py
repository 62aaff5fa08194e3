"""What would be done for a pair, as console and command are told."""

from collector.console.pair import Pair
from config.settings import Settings
from indicia.judging import decide_by, judge_pair
from ledger.address import parse_address
from ledger.consent import Consents
from ledger.policies import KeptPolicy
from relay.configured import policy_of

ANN, BOB = parse_address("ann@sales.example"), parse_address("bob@gov.example")
SETTINGS = Settings.model_validate({"tracking": {"unknown_consent": "shared", "clicks": "seats"}})
NOTHING = KeptPolicy({}, tracking=True, number=0)
GRANTED = Consents(granted={"bob@gov.example"})


def decided(kept: KeptPolicy, consents: Consents, account: str | None = None) -> dict[str, str]:
    told = decide_by(SETTINGS)(Pair(ANN, BOB, account), kept, consents)
    return {one.of: f"{one.value}: {one.because} {one.name}" for one in told}


def test_each_value_has_the_source_that_decides_it() -> None:
    rules = {"counsel": {"recipient": "gov.example", "account": "ann", "opens": False}}
    kept = KeptPolicy(rules, tracking=True, number=3)
    assert decided(NOTHING, Consents())["mode"] == "shared: consent tracking.unknown_consent"
    assert decided(NOTHING, GRANTED)["opens"] == "true: ceiling tracking.opens"
    assert decided(kept, GRANTED)["opens"] == "true: ceiling tracking.opens"
    assert decided(kept, GRANTED, "ann")["mode"].startswith("off: ")
    off = KeptPolicy(rules, tracking=False, number=4)
    assert decided(off, GRANTED)["mode"] == "off: ceiling policy off"


def test_it_is_what_the_relay_s_own_judgement_says() -> None:
    verdict = judge_pair(policy_of(SETTINGS), Pair(ANN, BOB))
    told = decide_by(SETTINGS)(Pair(ANN, BOB), NOTHING, Consents())
    assert [(one.of, one.value, one.because, one.name) for one in told] == [
        (one.of, one.value, one.because.value, one.name) for one in verdict.reasons
    ]
