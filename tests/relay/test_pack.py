from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.mail import Signing
from relay.pack import PackError, pack_template, unpack_template
from relay.template import (
    TEMPLATE_VERSION,
    Layout,
    LeftLink,
    Link,
    PartNote,
    Segment,
    Slot,
    SlotEncoding,
    SlotKind,
    Span,
    Template,
)
from relay.verdict import Clicks, PassReason, PassThrough

_TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
_BYTES = st.binary(max_size=300)
_PASSED = st.builds(PassThrough, st.sampled_from(PassReason), _TEXT)
_SLOTS = st.builds(
    Slot,
    st.sampled_from(SlotKind),
    st.integers(0, 4095),
    st.sampled_from(SlotEncoding),
    st.binary(max_size=2),
    st.binary(max_size=2),
    st.booleans(),
)


@st.composite
def _segments(draw: st.DrawFn) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    position = 0
    for _ in range(draw(st.integers(0, 6))):
        start = position + draw(st.integers(0, 100_000))
        position = start + draw(st.integers(0, 100_000))
        segments.append(draw(st.just(Span(start, position)) | _SLOTS | _BYTES))
        if not isinstance(segments[-1], Span):
            position = start
    return tuple(segments)


_VERSIONED = st.tuples(st.integers(0, 1), st.none()) | st.tuples(
    st.just(TEMPLATE_VERSION), st.none() | st.builds(Signing, _TEXT, _TEXT)
)
_TEMPLATES = st.builds(
    lambda *words: Template(*words[:-1], *words[-1]),
    _BYTES,
    st.lists(st.builds(Layout, st.booleans(), st.sampled_from(Clicks), _segments())).map(tuple),
    _TEXT,
    st.lists(
        st.builds(Link, st.integers(1, 4095), _TEXT, _TEXT, _BYTES, st.booleans(), _TEXT),
        max_size=3,
    ).map(tuple),
    st.lists(st.builds(LeftLink, _TEXT, _TEXT, _TEXT, _PASSED), max_size=3).map(tuple),
    st.lists(st.builds(PartNote, _TEXT, _TEXT, st.none() | _PASSED), max_size=3).map(tuple),
    st.none() | _PASSED,
    _VERSIONED,
)
_SIMPLE = Template(b"x", (), "https://t.example")


@given(_TEMPLATES)
def test_law_a_template_is_unpacked_as_it_was_packed(template: Template) -> None:
    assert unpack_template(pack_template(template)) == template


@given(_TEMPLATES, st.data())
def test_damaged_bytes_are_told_and_not_guessed_at(template: Template, data: st.DataObject) -> None:
    stored = pack_template(template)
    cut = data.draw(st.integers(0, len(stored) - 1))
    with pytest.raises(PackError, match="damaged"):
        unpack_template(stored[:cut])
    with pytest.raises(PackError, match="damaged"):
        unpack_template(stored + b"\0")


def test_a_newer_version_is_refused_with_the_mend() -> None:
    stored = pack_template(replace(_SIMPLE, version=TEMPLATE_VERSION + 1))
    with pytest.raises(PackError, match="written by a newer one; start that again"):
        unpack_template(stored)


def test_the_stored_form_is_compact() -> None:
    segments = tuple(Span(n * 1000, n * 1000 + 990) for n in range(60))
    original = b"x" * 60_000
    template = replace(
        _SIMPLE, original=original, layouts=(Layout(True, Clicks.HTML, segments),) * 3
    )
    assert len(pack_template(template)) < len(original) + 3 * 60 * 6
