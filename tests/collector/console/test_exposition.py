"""Figures as text, read back by Prometheus' own parser."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from collector.console.exposition import Family, Kind, Sample, write_figures

VALUES = st.one_of(
    st.floats(allow_nan=False), st.integers(min_value=0, max_value=1 << 62).map(float)
)


@given(
    values=st.dictionaries(st.text(), VALUES, min_size=1, max_size=5),
    told=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1),
)
def test_law_a_parser_reads_the_same(values: dict[str, float], told: str) -> None:
    # Law: a parser of Prometheus reads the same names, labels and values from it.
    samples = tuple(Sample(value, {"of": label, "by": "x"}) for label, value in values.items())
    (read,) = text_string_to_metric_families(
        write_figures([Family("indicia_a", Kind.GAUGE, told, samples)])
    )
    assert (read.name, read.type, read.documentation) == ("indicia_a", "gauge", told)
    assert {one.labels["of"]: one.value for one in read.samples} == values


def test_a_figure_without_a_value_is_left_out_and_no_label_needs_no_braces() -> None:
    text = write_figures(
        [
            Family("indicia_none", Kind.GAUGE, "Nothing.", ()),
            Family("indicia_one_total", Kind.COUNTER, "One.", (Sample(1),)),
        ]
    )
    assert text == (
        "# HELP indicia_one_total One.\n# TYPE indicia_one_total counter\nindicia_one_total 1\n"
    )
