import tomllib
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from config.locate import KeyPath, key_text, locate_keys

ODD = '''\
title = "x"  # = not a key

[a]
b.c = 1
"d.e" = [
  1,  # [not.a.table]
  "]", # ]
  {f = 2, g = [3, 4]},
]
h = """
[no]
k = 1 \\""""""
i = \'\'\'
l = 2\'\'\'\'\'
'quoted key' = 1979-05-27T07:32:00Z
j = 3.14

[[m]]
n = {o.p = 1}
[[m.q]]
r = 1
[[m.q]]
r = 2
[[m]]
[m.s.t]
u = -1_000
'''


def paths_of(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, item in items:
        yield from paths_of(item, (*path, key))


def test_every_way_to_write_a_key_is_located_on_its_line() -> None:
    lines = locate_keys(ODD)
    assert lines[("a", "d.e", 2, "g", 1)] == 8
    assert lines[("a", "h")] == 10
    assert lines[("a", "i")] == 13
    assert lines[("a", "quoted key")] == 15
    assert lines[("m", 0, "n", "o", "p")] == 19
    assert [lines[("m", 0, "q", number, "r")] for number in (0, 1)] == [21, 23]
    assert lines[("m", 1, "s", "t", "u")] == 26
    assert lines[("m",)] == 18
    assert set(lines) == set(paths_of(tomllib.loads(ODD)))


def test_a_path_is_written_as_people_write_it() -> None:
    assert key_text(("upstream", 0, "host")) == "upstream[0].host"


_names = st.sampled_from(["a", "b1", "c-d", '"e.f"', "'[g]'", '"h = \\" #"'])
_scalars = st.sampled_from(
    [
        "1",
        "-2.5e3",
        "true",
        '"x"',
        "'y # z'",
        '"]"',
        '"""\n[t]\nk = 1\n"""',
        "'''\n,}\n'''",
        "1979-05-27",
    ]
)


def _lists(item: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lines = st.lists(item, max_size=3)
    return lines.map(lambda items: "[ # c ]\n" + "".join(f"  {one},\n\n" for one in items) + "]")


def _inlines(item: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.dictionaries(_names, item, max_size=3)
    return pairs.map(lambda table: "{" + ", ".join(f"{k} = {v}" for k, v in table.items()) + "}")


_values = st.recursive(_scalars, lambda inner: _lists(inner) | _inlines(inner), max_leaves=6)
_bodies = st.dictionaries(_names, _values, max_size=4).map(
    lambda table: "".join(f"{key}  =\t{value} # end\n" for key, value in table.items())
)
_texts = st.builds(
    lambda top, tables, lists: (
        top
        + "".join(f"\n[t.{name}] # t\n{body}" for name, body in tables.items())
        + "".join(f"[[l]]\n{body}[l.inner]\n{body}" for body in lists)
    ),
    _bodies,
    st.dictionaries(_names, _bodies, max_size=3),
    st.lists(_bodies, max_size=3),
)


@given(_texts)
def test_every_path_of_the_parsed_text_is_located(text: str) -> None:
    """Law: every path of the parsed text is located."""
    lines = locate_keys(text)
    expected = set(paths_of(tomllib.loads(text)))
    assert set(lines) == expected
    written = text.splitlines()
    for path, line in lines.items():
        if isinstance(path[-1], str) and not path[-1].startswith(("h", "t", "l", "inner")):
            assert path[-1] in written[line - 1]
