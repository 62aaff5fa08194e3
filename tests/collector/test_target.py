import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.target import Asked, Page, read_target, spellings
from ledger.token import HitKind

T = "A" * 36


@pytest.mark.parametrize(
    ("raw", "token", "destination"),
    [
        (f"/c/{T}/example.net/", T, b"example.net/"),
        (f"/c/{T}/example.net", T, b"example.net"),
        (
            f"/c/{T}/example.net//a/../%2e%2F?q=/c/x&y=%zz",
            T,
            b"example.net//a/../%2e%2F?q=/c/x&y=%zz",
        ),
        (f"/c/{T}/[::1]:80/|^`{{}}", T, b"[::1]:80/|^`{}"),
        (f"/c/{T}/u:p@example.net/;p", T, b"u:p@example.net/;p"),
        (f"/c/{T}/example.net/#frag?ment", T, b"example.net/"),
        (f"/c/{T}/a\\b", T, b"a\\b"),
        (f"/c/{T}/\u00e9", T, "é".encode()),
        (f"/c/{T}/\udcff", T, b"\xff"),
        (f"/c/{T}?example.net", f"{T}?example.net", b""),
        (f"/c/{T}", T, b""),
        ("/c/", "", b""),
        (f"HTTP://evil.example/c/{T}/example.net/", T, b"example.net/"),
    ],
)
def test_a_click_is_read_byte_by_byte(raw: str, token: str, destination: bytes) -> None:
    assert read_target(raw) == Asked(HitKind.CLICK, token.encode(), destination)


@pytest.mark.parametrize(
    ("raw", "token"),
    [
        (f"/o/{T}.gif", T),
        (f"/o/{T}.gif?cache=1", T),
        (f"/o/{T}.gif#x", T),
        (f"/o/{T}", T),
        (f"/o/{T}.gif.gif", f"{T}.gif"),
        (f"https://t.example/o/{T}.gif", T),
        ("/o/", ""),
    ],
)
def test_whatever_lies_under_o_is_a_pixel(raw: str, token: str) -> None:
    assert read_target(raw) == Asked(HitKind.OPEN, token.encode())


@pytest.mark.parametrize(
    ("raw", "page"),
    [
        ("/", Page.NOTICE),
        ("/?lang=sv", Page.NOTICE),
        ("http://t.example/", Page.NOTICE),
        ("/healthz", Page.HEALTH),
        ("/robots.txt", Page.ROBOTS),
        ("", Page.NOT_FOUND),
        ("http://t.example", Page.NOT_FOUND),
        ("//", Page.NOT_FOUND),
        ("/C/x/y", Page.NOT_FOUND),
        (f"//c/{T}/example.net/", Page.NOT_FOUND),
        (f"/%63/{T}/example.net/", Page.NOT_FOUND),
        (f"/x/../c/{T}/example.net/", Page.NOT_FOUND),
        (f"/?/c/{T}/example.net/", Page.NOTICE),
    ],
)
def test_all_else_is_a_page(raw: str, page: Page) -> None:
    assert read_target(raw) is page


@given(st.text())
def test_any_target_is_read(raw: str) -> None:
    assert isinstance(read_target(raw.encode("utf-8", "replace").decode()), Asked | Page)


@pytest.mark.parametrize(
    ("asked", "spelled"),
    [
        (b"x.example/a?b", (b"x.example/a?b",)),
        (b"x.example/?a%7Cb", (b"x.example/?a%7Cb",)),
        (b"x.example/a%7Cb%7C?c%7Cd?", (b"x.example/a%7Cb%7C?c%7Cd?", b"x.example/a|b|?c%7Cd?")),
        (b"x.example/a%7C", (b"x.example/a%7C", b"x.example/a|")),
    ],
)
def test_a_bar_in_a_path_may_come_as_chromium_spells_it(
    asked: bytes, spelled: tuple[bytes, ...]
) -> None:
    assert spellings(asked) == spelled
