import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.pasted import find_links
from collector.target import Leaf

T = "AZaz09_-" * 4 + "bcde"
PIXEL = f"https://t.example.com/o/{T}.gif"
LINK = f"https://t.example.com/c/{T}/example.net/a/b?c=d&e=f%2Fg"
LEAF = Leaf(T.encode(), b"example.net/a/b?c=d&e=f%2Fg")


def defense_2(url: str) -> str:
    written = quote(url, safe=":/").replace("-", "-2D").replace("_", "-5F")
    return "https://urldefense.proofpoint.com/v2/url?u=" + (
        written.replace("%", "-").replace("/", "_").replace(":", "-3A") + "&d=DwMFaQ&c=x&e="
    )


def defense_3(url: str) -> str:
    starred = url.replace("?", "*").replace("%", "*")
    put_back = base64.urlsafe_b64encode(b"?%").decode().rstrip("=")
    return f"https://urldefense.com/v3/__{starred}__;{put_back}!!abc!def$"


@pytest.mark.parametrize(
    "pasted",
    [
        PIXEL,
        f"  {PIXEL}\n",
        f'<img src="{PIXEL}" width="1" height="1" alt="">',
        f'<img src=3D"{PIXEL[:40]}=\r\n{PIXEL[40:]}">',
        f"/o/{T}.gif",
        f"http://other.example:8025/w/{T}",
        f"https://ci3.googleusercontent.com/meips/AD_x=s0-d-e1-ft#{PIXEL}",
        f"https://proxy.example/?u={quote(PIXEL, safe='')}",
        f"{PIXEL[:30]}\n{PIXEL[30:]}",
    ],
)
def test_a_pixel_is_found_in_whatever_it_is_pasted_in(pasted: str) -> None:
    assert Leaf(T.encode()) in list(find_links(pasted))


@pytest.mark.parametrize(
    "pasted",
    [
        LINK,
        f"Look at {LINK}.",
        f"({LINK})",
        f"{LINK}#chapter-2",
        f'<a href="{LINK.replace("&", "&amp;")}" style="x">our offer</a>',
        f"<A HREF='{LINK}'>",
        f"http://t.example.com/w/{T}/example.net/a/b?c=d&e=f%2Fg",
        "https://eur01.safelinks.protection.outlook.com/?url="
        + quote(LINK, safe="")
        + "&data=05%7C01%7C&reserved=0",
        '<a href="https://eur01.safelinks.protection.outlook.com/?url='
        + quote(LINK, safe="")
        + '&amp;data=05">',
        defense_2(LINK),
        defense_3(LINK),
        "https://www.google.com/url?q=" + quote(LINK, safe="") + "&source=gmail",
        "https://a.example/?url=" + quote("https://b.example/?u=" + quote(LINK, safe=""), safe=""),
    ],
)
def test_a_link_is_found_with_all_that_its_tag_covers(pasted: str) -> None:
    assert LEAF in list(find_links(pasted))


@pytest.mark.parametrize(
    "pasted",
    ["", "https://example.net/", f"/x/{T}", f"/o/{T[:-1]}", f"/c/{T}x/example.net", "%" * 9],
)
def test_what_holds_no_link_of_ours_gives_none(pasted: str) -> None:
    assert list(find_links(pasted)) == []


@given(st.text(max_size=300))
def test_nothing_that_is_pasted_breaks_it(pasted: str) -> None:
    assert len(list(find_links(pasted + LINK + pasted))) < 1000


def test_a_flood_of_wrappers_is_bounded() -> None:
    nested = LINK
    for _ in range(6):
        nested = "https://a.example/?u=" + quote(nested, safe="") + "&v=" + quote(nested, safe="")
        nested = nested[:60_000]
    assert len(list(find_links(nested))) < 1000
