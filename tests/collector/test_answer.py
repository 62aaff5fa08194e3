import pytest
from ada_url import URL
from hypothesis import given
from hypothesis import strategies as st

from collector.answer import (
    GIF,
    NOT_FOUND,
    PIXEL,
    answer_click,
    answer_page,
    serialise_url,
)
from collector.target import Page

hosts = st.sampled_from(
    [
        "example.net",
        "EXAMPLE.net:8080",
        "räksmörgås.example",
        "[2001:db8::1]",
        "u:p@example.net",
        "1.2.3",
    ]
)
urls = st.builds(
    lambda scheme, host, path, query, fragment: f"{scheme}://{host}/{path}{query}{fragment}",
    st.sampled_from(["http", "https", "HTTPS"]),
    hosts,
    st.text(max_size=20),
    st.one_of(st.just(""), st.text(max_size=20).map("?".__add__)),
    st.one_of(st.just(""), st.text(max_size=9).map("#".__add__)),
)


def test_the_pixel_is_a_gif_of_43_bytes_that_nobody_keeps() -> None:
    assert GIF.startswith(b"GIF89a\x01\x00\x01\x00")
    assert (PIXEL.status, len(PIXEL.body)) == (200, 43)
    assert dict(PIXEL.headers) == {"Content-Type": "image/gif", "Cache-Control": "no-store"}


@given(urls)
def test_law_the_redirect_leads_to_the_url_that_was_in_the_mail_or_nowhere(url: str) -> None:
    """Law: the redirect leads to the URL that was in the mail, by the URL Standard, or nowhere."""
    try:
        meant = URL(url)
    except ValueError:
        assert answer_click(url) is NOT_FOUND
        return
    answer = answer_click(meant.href)
    meant.hash = ""
    assert answer.status == 302
    assert answer.headers["Location"] == meant.href


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://example.net/",
        "//example.net/",
        "example.net",
        "http://",
        "http:///",
        "http://example.net/\r\nSet-Cookie: a=b",
        "http://example.net/a b",
        "http://example.net/\x00",
        "http://example.net/\x7f",
        "http://example.net/é",
        "http://exa mple.net/",
        "http://example.net:99999/",
        "http://example.net/\udcff",
    ],
)
def test_what_is_no_clean_web_address_is_redirected_nowhere(url: str) -> None:
    assert serialise_url(url) is None
    assert answer_click(url) is NOT_FOUND


def test_a_missing_slash_after_the_host_is_what_the_url_standard_adds() -> None:
    assert answer_click("http://example.com").headers["Location"] == "http://example.com/"
    assert answer_click("https://example.com?q#f").headers["Location"] == "https://example.com/?q"


@pytest.mark.parametrize("page", Page)
def test_every_page_has_an_answer_that_is_not_kept(page: Page) -> None:
    answer = answer_page(page)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.body


def test_the_page_of_a_broken_link_runs_and_loads_nothing() -> None:
    assert NOT_FOUND.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert b"<script" not in NOT_FOUND.body
