"""Figures as text that Prometheus reads.

The format is version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Kind(StrEnum):
    """What a figure does over time."""

    COUNTER = "counter"
    """It only grows, but for a restart; its name ends in _total."""
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value, and by what it differs from the others of its family."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Family:
    """A figure with all its values."""

    name: str
    kind: Kind
    told: str
    """What it says, in a sentence."""
    samples: tuple[Sample, ...]


def write_figures(families: Iterable[Family]) -> str:
    """Return the text of some figures; one without a value is left out.

    Law: a parser of Prometheus reads the same names, labels and values from it.
    """
    return "".join(_write(family) for family in families if family.samples)


def _write(family: Family) -> str:
    told = family.told.replace("\\", r"\\").replace("\n", r"\n")
    lines = [f"# HELP {family.name} {told}", f"# TYPE {family.name} {family.kind}"]
    lines += [f"{family.name}{_labels(one.labels)} {one.value!r}" for one in family.samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
