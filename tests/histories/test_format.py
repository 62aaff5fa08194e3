"""The unseen half of the histories keeps the form that README.md tells."""

import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from ledger.event import Agent

UNSEEN = Path(__file__).parent / "unseen"
FAMILIES = {path.stem: tomllib.loads(path.read_text()) for path in sorted(UNSEEN.glob("*.toml"))}
HISTORIES = [
    pytest.param(family, history, id=f"{name}/{history['name']}")
    for name, family in FAMILIES.items()
    for history in family["history"]
]

ABOUT = {"person", "scanner", "prefetch", "unfurl", "self", "tool", "unknown"}
NEEDED = {"name", "about", "story", "made", "source", "relayed", "recipients", "mode", "links"}
ALLOWED = NEEDED | {"hits", "hard", "unsubscribe", "own_networks"}
HIT_NEEDED = {"at", "copy", "kind", "ip", "headers", "label"}
HIT_ALLOWED = HIT_NEEDED | {"link", "more", "without", "method", "altered", "also", "first"}


def test_there_are_enough_and_of_each_kind_enough() -> None:
    histories = [history for family in FAMILIES.values() for history in family["history"]]
    about = Counter(topic for history in histories for topic in history["about"])
    assert len(histories) >= 160
    assert about["person"] >= 0.45 * len(histories)
    assert about["scanner"] >= 0.30 * len(histories)
    names = Counter(param.id for param in HISTORIES)
    assert max(names.values()) == 1


def test_each_header_set_is_used_and_is_text() -> None:
    for name, family in FAMILIES.items():
        assert set(family) == {"headers", "history"}, name
        used = {hit["headers"] for history in family["history"] for hit in history["hits"]}
        assert used == set(family["headers"]), name
        assert all(
            isinstance(value, str) for sent in family["headers"].values() for value in sent.values()
        )


@pytest.mark.parametrize(("family", "history"), HISTORIES)
def test_a_history_keeps_the_form(family: dict[str, Any], history: dict[str, Any]) -> None:
    assert set(history) >= NEEDED
    assert set(history) <= ALLOWED
    assert history["about"]
    assert set(history["about"]) <= ABOUT
    assert history["mode"] in {"individual", "shared", "anonymous"}
    assert isinstance(history["relayed"], datetime)
    assert history["relayed"].utcoffset() is not None
    assert 1 <= history.get("unsubscribe", 1) <= history["links"]
    for own in history.get("own_networks", []):
        ip_network(own)
    moments = [hit["at"] for hit in history["hits"]]
    assert moments
    assert moments == sorted(moments)
    copies = history["recipients"] if history["mode"] == "individual" else 1
    for hit in history["hits"]:
        assert 1 <= hit["copy"] <= copies
        _hit_keeps_the_form(hit, history["links"], family["headers"])


@pytest.mark.parametrize(("family", "history"), HISTORIES)
def test_first_follows_from_the_labels(family: dict[str, Any], history: dict[str, Any]) -> None:
    marked = [at for at, hit in enumerate(history["hits"]) if hit.get("first")]
    assert marked == list(_firsts(family, history))


@pytest.mark.parametrize(("_family", "history"), HISTORIES)
def test_what_it_is_about_is_in_it(_family: dict[str, Any], history: dict[str, Any]) -> None:
    labels = {hit["label"] for hit in history["hits"]}
    attentive = bool(labels & {"human_likely", "proxy"})
    if "unknown" not in history["about"]:
        assert attentive == ("person" in history["about"])
    for topic in {"scanner", "prefetch", "unfurl", "self"} & set(history["about"]):
        assert topic in labels


def _hit_keeps_the_form(hit: dict[str, Any], links: int, sets: dict[str, Any]) -> None:
    assert set(hit) >= HIT_NEEDED
    assert set(hit) <= HIT_ALLOWED
    ip_address(hit["ip"])
    assert hit.get("method", "HEAD") in {"HEAD", "OPTIONS"}
    assert hit["kind"] in {"open", "click"}
    if hit["kind"] == "click":
        assert 1 <= hit["link"] <= links
    else:
        assert "link" not in hit
    labels = [Agent(label) for label in (hit["label"], *hit.get("also", []))]
    assert len(labels) == len(set(labels))
    assert set(hit.get("without", [])) <= set(sets[hit["headers"]])


def _firsts(family: dict[str, Any], history: dict[str, Any]) -> Iterator[int]:
    if history["mode"] == "anonymous" and history["recipients"] < 5:
        return
    seen: set[tuple[int, str]] = set()
    for at, hit in enumerate(history["hits"]):
        sent = {**family["headers"][hit["headers"]], **hit.get("more", {})}
        if (
            not Agent(hit["label"]).attentive
            or hit.get("altered")
            or "method" in hit
            or sent.get("Sec-GPC") == "1"
        ):
            continue
        if (hit["copy"], hit["kind"]) not in seen:
            yield at
        seen |= {(hit["copy"], hit["kind"]), (hit["copy"], "open")}
