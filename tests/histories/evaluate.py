"""Runs the rules over the histories of hits, and tells who was taken for what.

`.venv/bin/python -m tests.histories.evaluate` prints the tables of both halves, beside two
baselines: user agents only, and two of three signals within two seconds.  Hits go the collector's
own way, one by one, with what later hits re-label; the last label counts.
"""

import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from collector.agents import is_listed_crawler, match_agent
from collector.attribute import attribute_hits
from collector.classify import classify
from collector.hit import Hit, Scene, trace_of
from collector.kept import Judged, Seen, features_of
from collector.lately import Lately
from collector.networks import lists_with, network_mark, parse_ip, shown_address
from collector.obscure import obscure
from ledger.event import Agent
from ledger.events import RecordedEvent
from ledger.mode import TrackingMode
from ledger.story import PastEvent, RecordedHit, Relabelling, StoredLink, Story
from ledger.token import HitKind

HERE = Path(__file__).parent
HALVES = ("seen", "unseen")
LABELS = tuple(agent.value for agent in Agent)
_SECRET = b"histories" * 4
_BEFORE, _AFTER = timedelta(seconds=120), timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One hit of a history: what an expert says of it, and what the program says."""

    history: str
    about: tuple[str, ...]
    want: str
    also: tuple[str, ...]
    got: str
    kind: str = "open"
    noticed: bool = False
    """Whether people would have been told of it."""

    @property
    def right(self) -> bool:
        """Whether the label is the expert's, or one that can be defended."""
        return self.got in (self.want, *self.also)


Judge = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterator[str | None]]
"""Gives the label of each hit of a history, with its family's header sets; None: no event."""


def read_half(half: str) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Return each history of a half with its name and its family's header sets."""
    for path in sorted((HERE / half).glob("*.toml")):
        family = tomllib.loads(path.read_text(encoding="utf-8"))
        for history in family["history"]:
            yield f"{path.stem}/{history['name']}", history, family["headers"]


def evaluate(half: str, judge: Judge) -> list[Verdict]:
    """Return what a judge says of each hit of a half that makes an event."""
    found = list[Verdict]()
    for name, history, headers in read_half(half):
        for hit, got in zip(history["hits"], judge(history, headers), strict=True):
            if got is None:
                continue
            label, _, replayed = got.partition(" ")
            said = hit.get("altered", False) or bool(replayed)
            wanted, also = hit["label"], tuple(hit.get("also", ()))
            if history["mode"] == "anonymous":
                wanted, also = _coarse(wanted), tuple(map(_coarse, also))
            found.append(
                Verdict(
                    name,
                    tuple(history["about"]),
                    wanted,
                    also,
                    label,
                    hit["kind"],
                    noticed=Agent(label).attentive and not said,
                )
            )
    return found


def by_rules(history: Mapping[str, Any], headers: Mapping[str, Any]) -> Iterator[str | None]:
    """Judge by the collector's own way."""
    run = _Run(history)
    for number, hit in enumerate(history["hits"]):
        run.take(number, hit, headers_of(hit, headers))
    for number in range(len(history["hits"])):
        yield run.label(number)


def by_agent(history: Mapping[str, Any], headers: Mapping[str, Any]) -> Iterator[str | None]:
    """Judge by User-Agent only, as most lists do."""
    for hit in history["hits"]:
        if hit.get("method", "GET") != "GET":
            yield None
            continue
        agent = _agent(headers_of(hit, headers))
        known = match_agent(agent, HitKind(hit["kind"]))
        if known is not None:
            yield known.agent.value
        else:
            machine = not agent or is_listed_crawler(agent)
            yield (Agent.SCANNER if machine else Agent.HUMAN_LIKELY).value


def by_two_of_three(history: Mapping[str, Any], headers: Mapping[str, Any]) -> Iterator[str | None]:
    """Judge by two of three signals within two seconds: another link, open beside click, no words.

    It is how add-ons of mailing programs do it: a bot follows more than one link, loads the pixel
    with it, or has no Accept-Language.
    """
    hits = history["hits"]
    for hit in hits:
        if hit.get("method", "GET") != "GET":
            yield None
            continue
        near = [
            one for one in hits if one["copy"] == hit["copy"] and abs(one["at"] - hit["at"]) <= 2
        ]
        links = {one["link"] for one in near if one["kind"] == "click"}
        signs = (
            len(links) > 1,
            len({one["kind"] for one in near}) > 1,
            "accept-language" not in headers_of(hit, headers),
        )
        yield (Agent.SCANNER if sum(signs) > 1 else Agent.HUMAN_LIKELY).value


JUDGES: Mapping[str, Judge] = {
    "rules": by_rules,
    "user agents only": by_agent,
    "2 of 3 signals within 2 s": by_two_of_three,
}


def headers_of(hit: Mapping[str, Any], headers: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of a hit by lower-case name."""
    said = {key.lower(): value for key, value in headers[hit["headers"]].items()}
    said |= {key.lower(): value for key, value in hit.get("more", {}).items()}
    gone = {key.lower() for key in hit.get("without", ())}
    return {key: value for key, value in said.items() if key not in gone}


@dataclass(slots=True)
class _Copy:
    hits: list[RecordedHit] = field(default_factory=list)
    past: list[PastEvent] = field(default_factory=list)


class _Run:
    """One history on its way through the collector."""

    def __init__(self, history: Mapping[str, Any]) -> None:
        self._history = history
        self._copies: dict[int, _Copy] = {}
        self._owner: dict[int, str] = {}
        self._lately = Lately()
        self._own = tuple(map(ip_network, history.get("own_networks", ())))

    def take(self, number: int, said: Mapping[str, Any], headers: dict[str, str]) -> None:
        at = self._history["relayed"] + timedelta(seconds=said["at"])
        kind = HitKind(said["kind"])
        client = parse_ip(said["ip"])
        network = network_mark(client, at.date(), _SECRET)
        copy_id = said["copy"]
        trace = trace_of(
            Hit(at, kind, client, headers),
            said.get("link", 0),
            network,
            lists_with(client, self._own),
        )
        token = f"{copy_id:012d}".encode()
        if said.get("method", "GET") != "GET":
            self._lately.note_look(token, trace, at.timestamp())
            return
        trace = replace(trace, signs=self._lately.signs(token, trace, at.timestamp()))
        altered = said.get("altered", False)
        withheld = kind is HitKind.CLICK and headers.get("sec-gpc") == "1"
        kept: Seen | Judged = Seen(trace, shown_address(client, "truncated"), altered)
        if self._history["mode"] == "anonymous" or withheld:
            kept = Judged(obscure(classify(Scene(trace))), withheld, altered)
        link = self._link(trace.slot)
        hit = RecordedHit(
            f"H{number:025d}", at, kind, copy_id, trace.slot, True, link.url, features_of(kept)
        )
        self._copies.setdefault(copy_id, _Copy()).hits.append(hit)
        self._settle(number, hit)

    def label(self, number: int) -> str | None:
        name = self._owner.get(number)
        for copy in self._copies.values():
            for event in copy.past:
                if event.event_id == name and event.agent is not None:
                    return event.agent.value + " replay" * ("replay" in event.reasons)
        return None

    def _settle(self, number: int, hit: RecordedHit) -> None:
        asked = [hit.copy_id, *self._beside(hit)]
        found = attribute_hits([hit], {copy_id: self._story(hit, copy_id) for copy_id in asked})
        for one in found.events:
            self._copies[hit.copy_id].past.append(_past(one))
        self._owner[number] = next(iter(found.repeats), hit.hit_id)
        anew = {one.event_id: one for one in found.relabelled}
        for copy_id in asked:
            copy = self._copies[copy_id]
            copy.past = [_stands(past, anew.get(past.event_id)) for past in copy.past]

    def _beside(self, hit: RecordedHit) -> Iterator[int]:
        """Return the copies that the ledger brings along: ledger.hits, select_stories."""
        for copy_id, copy in self._copies.items():
            if copy_id != hit.copy_id and any(
                one.features.get("network") == hit.features.get("network")
                and abs(one.at - hit.at) <= _AFTER
                for one in copy.hits
            ):
                yield copy_id

    def _story(self, hit: RecordedHit, copy_id: int) -> Story:
        copy = self._copies[copy_id]
        readers = 1 if self._history["mode"] == "individual" else self._history["recipients"]
        since, until = hit.at - _BEFORE, hit.at + _AFTER
        return Story(
            copy_id=copy_id,
            mode=TrackingMode(self._history["mode"]),
            send_id="S",
            message_id=None,
            sender=None,
            subject=None,
            tags=(),
            metadata={},
            recipients=tuple((f"r{n}@example.org", "to") for n in range(readers)),
            links={hit.slot: self._link(hit.slot)} if hit.kind is HitKind.CLICK else {},
            history=tuple(one for one in copy.hits if since <= one.at <= until),
            relayed_at=self._history["relayed"],
            infers_opens=True,
            nearby=tuple(
                (other, one.at, one.features.get("network", ""))
                for other, another in self._copies.items()
                if other != copy_id
                for one in another.hits
                if since <= one.at <= until
            ),
            events=tuple(one for one in copy.past if one.at >= since or one.first),
        )

    def _link(self, slot: int) -> StoredLink:
        leaves = slot and slot == self._history.get("unsubscribe")
        path = "unsubscribe" if leaves else f"page/{slot}"
        return StoredLink(f"https://example.net/{path}", "link")


def _past(recorded: RecordedEvent) -> PastEvent:
    event = recorded.event
    return PastEvent(
        event.event_id,
        event.type,
        event.timestamp,
        recorded.hit_id,
        event.first,
        event.classification,
        event.confidence,
        event.reasons,
        event.rules_version,
        event.inferred_from,
        event.user_agent,
        event.ip_address,
    )


def _stands(past: PastEvent, anew: Relabelling | None) -> PastEvent:
    if anew is None:
        return past
    return replace(past, agent=anew.agent, reasons=anew.reasons, first=anew.first)


def confusion(verdicts: Sequence[Verdict]) -> str:
    """Return a Markdown table: rows what it was, columns what it was taken for."""
    counts = Counter((one.want, one.got) for one in verdicts)
    shown = [label for label in LABELS if any(label in pair for pair in counts)]
    rows = [
        f"| `{want}` | " + " | ".join(str(counts[want, got] or "") for got in shown) + " |"
        for want in shown
        if any(counts[want, got] for got in shown)
    ]
    head = "| it was | " + " | ".join(f"`{got}`" for got in shown) + " |"
    return "\n".join([head, "|---" + "|---:" * len(shown) + "|", *rows])


def noticed_scans(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the scanners' hits of which people would have been told as of a reader."""
    return [one for one in verdicts if one.want == "scanner" and one.noticed and not one.right]


def people_as_machines(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the views and clicks of people that are labelled as a machine's."""
    return [one for one in people(verdicts) if Agent(one.got).machine and not one.right]


def people(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the views and clicks of people."""
    return [one for one in verdicts if Agent(one.want).attentive]


def summary(name: str, verdicts: Sequence[Verdict]) -> str:
    """Return a line on how a judge does."""
    wrong, all_people = people_as_machines(verdicts), people(verdicts)
    scans = [one for one in verdicts if one.want == "scanner"]
    right = sum(one.right for one in verdicts)
    return (
        f"| {name} | {right} of {len(verdicts)} | {len(noticed_scans(verdicts))} of {len(scans)} "
        f"| {len(wrong)} of {len(all_people)} ({100 * len(wrong) / len(all_people):.1f} %) |"
    )


def _coarse(label: str) -> str:
    agent = Agent(label)
    if agent.attentive:
        return Agent.HUMAN_LIKELY.value
    return (Agent.SCANNER if agent.machine else Agent.UNKNOWN).value


def _agent(headers: Mapping[str, str]) -> str:
    return headers.get("user-agent", "").strip()


def tables(half: str) -> str:
    """Return the tables of one half, in Markdown."""
    found = {name: evaluate(half, judge) for name, judge in JUDGES.items()}
    return "\n".join(
        [
            "| judged by | right | scans told as a reader's | people's taken for machines |",
            "|---|---:|---:|---:|",
            *(summary(name, verdicts) for name, verdicts in found.items()),
            "",
            confusion(found["rules"]),
        ]
    )


def main() -> None:
    """Print the tables, and with `-v` each hit that was taken for what it was not."""
    for half in sys.argv[1:2] if sys.argv[1:] and sys.argv[1] != "-v" else HALVES:
        count = sum(1 for _ in read_half(half))
        sys.stdout.write(f"## {half}: {count} histories\n\n{tables(half)}\n\n")
        if "-v" in sys.argv:
            for one in evaluate(half, by_rules):
                if not one.right:
                    sys.stdout.write(f"{one.history}: {one.kind} {one.want} -> {one.got}\n")


if __name__ == "__main__":
    main()
