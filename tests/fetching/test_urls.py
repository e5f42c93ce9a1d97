"""Text → URI, as a pure function."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from img2dataset.fetching.urls import MAX_URL_CHARACTERS, UrlRefused, redirect_target, to_uri


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("http://example.com/a.jpg", "http://example.com/a.jpg"),
        ("https://example.com:8443/a/b.jpg?w=1&h=2", "https://example.com:8443/a/b.jpg?w=1&h=2"),
        ("  http://example.com/a.jpg\r\n", "http://example.com/a.jpg"),
        ("\ufeffhttp://example.com/a.jpg", "http://example.com/a.jpg"),
        ("HTTP://Example.com/a.jpg", "http://Example.com/a.jpg"),
        ("http://example.com", "http://example.com/"),
        ("http://example.com?x=1", "http://example.com/?x=1"),
        ("http://example.com/my photo.jpg", "http://example.com/my%20photo.jpg"),
        ("http://example.com/my%20photo.jpg", "http://example.com/my%20photo.jpg"),
        ("http://example.com/100%.jpg", "http://example.com/100%25.jpg"),
        ("http://example.com/100%zz%41.jpg", "http://example.com/100%25zz%41.jpg"),
        ("http://example.com/été.jpg?q=日本", "http://example.com/%C3%A9t%C3%A9.jpg?q=%E6%97%A5%E6%9C%AC"),
        ("http://example.com/a\u00a0b.jpg", "http://example.com/a%C2%A0b.jpg"),
        # As browsers read them (the URL standard's special schemes): backslashes are slashes in the path,
        # slashes before the host are not counted, tabs and line ends go, other control characters are
        # escaped.
        ("http://example.com/<a>|b\\c^{d}.jpg?x\\y", "http://example.com/%3Ca%3E%7Cb/c%5E%7Bd%7D.jpg?x%5Cy"),
        ("http:/example.com/a.jpg", "http://example.com/a.jpg"),
        ("http:example.com/a.jpg", "http://example.com/a.jpg"),
        ("http:///example.com/a.jpg", "http://example.com/a.jpg"),
        ("http:\\\\example.com\\a.jpg", "http://example.com/a.jpg"),
        ("http:/\\example.com/a.jpg", "http://example.com/a.jpg"),
        ("http://good.example\\@bad.example:80x/", "http://good.example/@bad.example:80x/"),
        ("http://good.example\\.bad.example/", "http://good.example/.bad.example/"),
        ("http://exam\tple.com/a\r\nb.jpg", "http://example.com/ab.jpg"),
        ("ht\ntp://example.com/a.jpg", "http://example.com/a.jpg"),
        ("\x00\x1f http://example.com/a.jpg \x07", "http://example.com/a.jpg"),
        ("http://example.com/a\x01b\x7f\x85.jpg", "http://example.com/a%01b%7F%C2%85.jpg"),
        ("http://example.com/a.jpg#\x01\x1b[0m", "http://example.com/a.jpg"),
        ("http://example.com:00080/a.jpg", "http://example.com:80/a.jpg"),
        ("http://example.com:0000000008080/a.jpg", "http://example.com:8080/a.jpg"),
        ("http://%65xample.com/a.jpg", "http://example.com/a.jpg"),
        ("http://b%C3%BCcher.example/a.jpg", "http://xn--bcher-kva.example/a.jpg"),
        ("http://%31%32%37.0.0.1/a.jpg", "http://127.0.0.1/a.jpg"),
        ("http://example。com/a.jpg", "http://example.com/a.jpg"),
        ("http://straße.example/a.jpg", "http://xn--strae-oqa.example/a.jpg"),
        ("http://faß.my_bücket.example/a.jpg", "http://xn--fa-hia.xn--my_bcket-95a.example/a.jpg"),
        ("http://i❤.ws/a.jpg", "http://xn--i-7iq.ws/a.jpg"),
        ("http://xn--bcher-kva.bücher.example/", "http://xn--bcher-kva.xn--bcher-kva.example/"),
        ("http://example.com/a[1].jpg", "http://example.com/a[1].jpg"),
        ("http://example.com/a.jpg#part", "http://example.com/a.jpg"),
        ("http://example.com#part", "http://example.com/"),
        ("http://example.com//a//b.jpg", "http://example.com//a//b.jpg"),
        ("http://bücher.example/a.jpg", "http://xn--bcher-kva.example/a.jpg"),
        ("http://BÜCHER.example/a.jpg", "http://xn--bcher-kva.example/a.jpg"),
        ("http://my_bucket.example.com/a.jpg", "http://my_bucket.example.com/a.jpg"),
        ("http://my_bücket.example.com/a.jpg", "http://xn--my_bcket-95a.example.com/a.jpg"),
        ("http://☃.example/a.jpg", "http://xn--n3h.example/a.jpg"),
        ("http://example.com./a.jpg", "http://example.com./a.jpg"),
        ("http://user:p%40ss@example.com/a.jpg", "http://user:p%40ss@example.com/a.jpg"),
        ("http://user:p@ss word@example.com/a.jpg", "http://user:p%40ss%20word@example.com/a.jpg"),
        ("http://[2001:db8::1]:8080/a.jpg", "http://[2001:db8::1]:8080/a.jpg"),
        ("http://example.com:/a.jpg", "http://example.com/a.jpg"),
        ("data:image/png;base64,iVBORw0KGgo=", "data:image/png;base64,iVBORw0KGgo="),
    ],
)
def test_what_people_write_becomes_what_goes_on_the_wire(text: str, uri: str) -> None:
    assert to_uri(text) == uri
    assert to_uri(uri) == uri


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("", "invalid url: empty"),
        ("   ", "invalid url: empty"),
        ("example.com/a.jpg", "invalid url: no scheme"),
        ("example.com:8080/a.jpg", "invalid url: no scheme"),
        ("localhost:8080/a.jpg", "invalid url: no scheme"),
        ("//example.com/a.jpg", "invalid url: no scheme"),
        ("/etc/passwd", "invalid url: no scheme"),
        ("file:///etc/passwd", "scheme: file not allowed"),
        ("FILE:///etc/passwd", "scheme: file not allowed"),
        ("ftp://example.com/a.jpg", "scheme: ftp not allowed"),
        ("s3://bucket/a.jpg", "scheme: s3 not allowed"),
        ("javascript:alert(1)", "scheme: javascript not allowed"),
        ("somethingmadeup://x/y", "scheme: not allowed"),
        ("http://", "invalid url: no host"),
        ("http://user@/a.jpg", "invalid url: no host"),
        ("http://exa mple.com/a.jpg", "invalid url: host"),
        ("http://example..com/a.jpg", "invalid url: host"),
        ("http://exa%20mple.com/a.jpg", "invalid url: host"),
        ("http://example.com%2f@bad.example%00/", "invalid url: host"),
        ("http://exam%2Fple.com/", "invalid url: host"),
        ("http://%ff.example/", "invalid url: host"),
        ("http:///", "invalid url: no host"),
        ("http:\\\\", "invalid url: no host"),
        (f"http://{'a' * 64}.com/a.jpg", "invalid url: host"),
        (f"http://{'ü' * 64}.com/a.jpg", "invalid url: host"),
        ("http://[::1/a.jpg", "invalid url: host"),
        ("http://[zz]/a.jpg", "invalid url: host"),
        ("http://example.com:port/a.jpg", "invalid url: port"),
        ("http://example.com:65536/a.jpg", "invalid url: port"),
        ("http://example.com:-1/a.jpg", "invalid url: port"),
        ("http://example.com:0065536/a.jpg", "invalid url: port"),
        ("http://[::1]x/a.jpg", "invalid url: port"),
        ("http://exam\x01ple.com/", "invalid url: control character"),
        ("http://example.com\x00.bad.example/", "invalid url: control character"),
        ("http://example.com/\ud800", "invalid url: not Unicode"),
        ("http://example.com/" + "a" * MAX_URL_CHARACTERS, "invalid url: too long"),
    ],
)
def test_what_cannot_or_may_not_be_fetched_is_refused_in_few_words(text: str, failure: str) -> None:
    with pytest.raises(UrlRefused) as refused:
        to_uri(text)
    assert str(refused.value) == failure


@given(st.text() | st.text().map("http://example.com/".__add__) | st.text().map("https://".__add__))
def test_whatever_comes_in_one_safe_line_goes_out_or_a_fixed_text(text: str) -> None:
    try:
        uri = to_uri(text)
    except UrlRefused as error:
        refusal = str(error)
        assert re.fullmatch(r"invalid url: [A-Za-z ]+|scheme: ([a-z0-9]+ )?not allowed", refusal)
        return
    assert uri.startswith(("http://", "https://", "data:"))
    if not uri.startswith("data:"):
        assert re.fullmatch(r"[!-~]+", uri)
        assert "#" not in uri
        assert to_uri(uri) == uri


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"http://other.example/b.jpg", "http://other.example/b.jpg"),
        (b"/b.jpg", "https://example.com/b.jpg"),
        (b"b.jpg?x=1#part", "https://example.com/folder/b.jpg?x=1"),
        (b"../b.jpg", "https://example.com/b.jpg"),
        (b"//cdn.example/b.jpg", "https://cdn.example/b.jpg"),
        (b"?size=2", "https://example.com/folder/a.jpg?size=2"),
        (b"/my photo.jpg", "https://example.com/my%20photo.jpg"),
        ("/été.jpg".encode(), "https://example.com/%C3%A9t%C3%A9.jpg"),
        # Bytes that are no UTF-8 are escaped as they are: the server knows what they mean.
        ("/été.jpg".encode("latin-1"), "https://example.com/%E9t%E9.jpg"),
        ("/写真.jpg".encode("shift-jis"), "https://example.com/%8E%CA%90%5E.jpg"),
        ("https://bücher.example/é".encode(), "https://xn--bcher-kva.example/%C3%A9"),
        ("https://bücher.example/é".encode("latin-1"), "https://xn--bcher-kva.example/%E9"),
        (b"///cdn.example/b.jpg", "https://cdn.example/b.jpg"),
        (b"\\\\cdn.example\\b.jpg", "https://cdn.example/b.jpg"),
        (b"https:///cdn.example/b.jpg", "https://cdn.example/b.jpg"),
        (b"https:/b.jpg", "https://example.com/b.jpg"),
        (b"https:b.jpg", "https://example.com/folder/b.jpg"),
        (b"http:/cdn.example/b.jpg", "http://cdn.example/b.jpg"),
        (b"", "https://example.com/folder/a.jpg?x=0"),
        (b"#part", "https://example.com/folder/a.jpg?x=0"),
        (b"  \t", "https://example.com/folder/a.jpg?x=0"),
        (b"\\b.jpg", "https://example.com/b.jpg"),
        (b"/b\r\n.jpg", "https://example.com/b.jpg"),
    ],
)
def test_a_location_is_read_from_where_it_was_sent(location: bytes, target: str) -> None:
    assert redirect_target("https://example.com/folder/a.jpg?x=0", location) == target


@pytest.mark.parametrize(
    ("location", "failure"),
    [
        (b"file:///etc/passwd", "scheme: file not allowed"),
        (b"data:image/png;base64,aaaa", "scheme: data not allowed"),
        (b"gopher://x/", "scheme: not allowed"),
        (b"http://[/", "invalid url: host"),
        (b"http:///", "invalid url: no host"),
        (b"https://exa mple.com/", "invalid url: host"),
    ],
)
def test_a_location_is_refused_by_the_same_rules_as_the_list(location: bytes, failure: str) -> None:
    with pytest.raises(UrlRefused) as refused:
        redirect_target("https://example.com/a.jpg", location)
    assert str(refused.value) == failure
