"""Which lines of a robots.txt speak to this program, and which of its rules a path meets. RFC 9309.

The cases cover what the RFC says and what the tests of Google's parser hold it to; where they differ, the RFC
counts.
"""

from __future__ import annotations

import random

import pytest
from protego import Protego

from img2dataset.fetching.consent.path_rules import MOST_WILDCARDS
from img2dataset.fetching.consent.robots_txt import RobotsRules, RobotsTxt


def rules_of(text: str, token: str | None = None) -> RobotsRules:
    return RobotsTxt(token).parse(text.encode())


def allowed(text: str, path: str, token: str | None = None) -> bool:
    return rules_of(text, token).refusal(f"https://example.org{path}") is None


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        ("img2dataset", True),
        ("IMG2DATASET", True),
        ("img2dataset/2.0", True),
        ("img2dataset/2.0.0 (+https://github.com/rom1504/img2dataset)", True),
        ("img2dataset (bot)", True),
        ("img2dataset*", True),
        ("img2dataset # ours", True),
        ("*", True),
        ("* # all", True),
        ("* all", True),
        ("img", False),
        ("img2", False),
        ("img2datasets", False),
        ("img2dataset-other", False),
        ("dataset", False),
        ("otherbot", False),
        ("otherbot img2dataset", False),
        ("", False),
    ],
)
def test_names_match_whole(name: str, is_ours: bool) -> None:
    assert allowed(f"User-agent: {name}\nDisallow: /\n", "/a.jpg") is not is_ours


@pytest.mark.parametrize(
    ("token", "name", "is_ours"),
    [
        ("my.bot", "my.bot", True),
        ("my.bot", "my", False),
        ("a bot", "a bot", True),
        ("MyBot", "mybot/1", True),
    ],
)
def test_the_name_that_the_user_gives_matches_whole(token: str, name: str, is_ours: bool) -> None:
    assert allowed(f"User-agent: {name}\nDisallow: /\n", "/a.jpg", token) is not is_ours


@pytest.mark.parametrize(
    "text",
    [
        "User-agent: otherbot\nUser-agent: img2dataset\nDisallow: /x\n",
        "User-agent: img2dataset\nSitemap: https://example.org/s.xml\nUser-agent: otherbot\nDisallow: /x\n",
        "User-agent: img2dataset\nno rule at all\nUser-agent: otherbot\nDisallow: /x\n",
        "User-agent: img2dataset\nunknown: value\n\n\nUser-agent: otherbot\nDisallow: /x\n",
        "User-agent: img2dataset\nCrawl-delay: 1\nUser-agent: otherbot\nDisallow: /x\n",
        "User-agent: img2dataset\nDisallow: /y\n\nUser-agent: otherbot\nAllow: /\n\nUser-agent: img2dataset\n"
        "Disallow: /x\n",
        "User-agent: *\nDisallow: /y\n\nUser-agent: *\nDisallow: /x\n",
        "user-agent:img2dataset\ndisallow:/x",
        "User-agent : img2dataset\rDisallow :\t/x\r",
        "USER-AGENT: img2dataset\r\nDISALLOW: /x\r\n",
        "user agent: img2dataset\ndissallow: /x",
        "User-agent img2dataset\nDisallow /x\n",
        "\ufeffUser-agent: img2dataset\nDisallow: /x\n",
        "Allow: /x\nUser-agent: img2dataset\nDisallow: /x\n",
        "\x00\x01garbage\nUser-agent: img2dataset\nDisallow: /x # not this\n",
    ],
)
def test_groups_are_found_whatever_stands_between_and_around(text: str) -> None:
    assert not allowed(text, "/x/a.jpg")
    assert allowed(text, "/z/a.jpg")


@pytest.mark.parametrize(
    "text",
    [
        "Disallow: /x\n",
        "User-agent: img2dataset\nAllow: /\n\nUser-agent: *\nDisallow: /\n",
        "User-agent: img2dataset\nDisallow:\nUser-agent: *\nDisallow: /\n",
        "User-agent: *\nDisallow: /\nUser-agent: img2dataset\n",
        "User-agent: otherbot\nDisallow: /\n",
        "User-agent: otherbot\nUser-agent: another\nDisallow: /\n",
        "User-agent: otherbot\nDisallow: /\nSitemap: /x\nDisallow: /x\n",
        "User-agent: *\nDisallow: x\n",
        "User-agent: *\nDisallow: /X\n",
        "User-agent: *\nDisallowed: /x\n",
        "User-agent: *\n#Disallow: /x\n",
        "<html><body>Disallow: /x</body></html>",
        "",
    ],
)
def test_what_does_not_speak_of_us_or_of_the_path_allows(text: str) -> None:
    assert allowed(text, "/x/a.jpg")


# (rules of one group, path, whether it may be fetched)
PATHS = [
    (["Disallow: /x", "Allow: /x/page.html"], "/x/page.html", True),
    (["Disallow: /x", "Allow: /x/page.html"], "/x/", False),
    (["Allow: /x/page.html", "Disallow: /x/"], "/x/page.htm", False),
    (["Disallow: /", "Allow: /"], "/x", True),
    (["Disallow: ", "Allow: "], "/x", True),
    (["Disallow: /fish"], "/fish.html", False),
    (["Disallow: /fish"], "/Fish.asp", True),
    (["Disallow: /fish"], "/catfish", True),
    (["Disallow: /fish*"], "/fishheads/yummy.html", False),
    (["Disallow: /fish/"], "/fish", True),
    (["Disallow: /fish/"], "/fish/salmon?id=1", False),
    (["Disallow: /*.php"], "/folder/filename.php?parameters", False),
    (["Disallow: /*.php"], "/windows.PHP", True),
    (["Disallow: /*.php$"], "/filename.php?parameters", True),
    (["Disallow: /*.php$"], "/filename.php", False),
    (["Disallow: /*.php$"], "/a.php/b.php", False),
    (["Disallow: /fish*.php"], "/fishheads/catfish.php?parameters", False),
    (["Disallow: /fish*.php"], "/Fish.PHP", True),
    (["Disallow: *.gif"], "/a/b.gif", False),
    (["Disallow: /a*b*c$"], "/axbxc", False),
    (["Disallow: /a*b*c$"], "/axbxcx", True),
    (["Disallow: /a*b*c$"], "/axcxb", True),
    (["Disallow: /a*a$"], "/a", True),
    (["Disallow: /$"], "/", False),
    (["Disallow: /$"], "/x", True),
    (["Disallow: /?"], "/?q=1", False),
    (["Disallow: /a$b"], "/a$b", False),
    (["Disallow: /x", "Allow: /*.jpg$"], "/x/a.jpg", True),
    (["Disallow: /x/pages", "Allow: /x/*"], "/x/pages/a", False),
    (["Allow: /page", "Disallow: /*.htm"], "/page.htm", False),
    (["Allow: /page", "Disallow: /*.ph"], "/page.php5", True),
    (["Allow: /$", "Disallow: /"], "/", True),
    (["Allow: /$", "Disallow: /"], "/page.htm", False),
    (["Disallow: /foo/bar?qux=taz"], "/foo/bar?qux=taz&x=http://foo.bar?tar", False),
    (["Disallow: /foo/bar/ツ"], "/foo/bar/%E3%83%84", False),
    (["Disallow: /foo/bar/%E3%83%84"], "/foo/bar/%e3%83%84", False),
    (["Disallow: /foo/bar/%62%61%7A"], "/foo/bar/baz", False),
    (["Disallow: /foo/bar/baz"], "/foo/bar/%62%61%7A", False),
    (["Disallow: /foo%2Fbar"], "/foo/bar", True),
    (["Disallow: /"], "/robots.txt", True),
    (["Disallow: /a"], "/a#fragment", False),
    (["Disallow: /b"], "/a#/b", True),
]


@pytest.mark.parametrize(("lines", "path", "may"), PATHS)
def test_the_longest_rule_that_matches_counts(lines: list[str], path: str, may: bool) -> None:
    assert allowed("\n".join(["User-agent: *", *lines]), path) is may


@pytest.mark.parametrize(
    ("lines", "delay_s"),
    [
        (["Crawl-delay: 2.5"], 2.5),
        (["Crawl-delay: .5"], 0.5),
        (["Request-rate: 1/10"], 10.0),
        (["Request-rate: 2/1m"], 30.0),
        (["Crawl-delay: 5", "Request-rate: 1/4s 0000-0700"], 5.0),
        (["Crawl-delay: 86400"], 60.0),
        (["Crawl-delay: 9999999999"], 60.0),
        (["Crawl-delay: " + 5000 * "9"], 60.0),
        (["Request-rate: 1/5\u017f"], 5.0),
        (
            [
                "Crawl-delay: nan",
                "Crawl-delay: -1",
                "Crawl-delay: soon",
                "Crawl-delay: 1_0",
                "Crawl-delay: 1e1",
                "Crawl-delay: \u0661",
                "Request-rate: \u0661/10",
                "Request-rate: 0/5",
                "Request-rate: x",
            ],
            0.0,
        ),
    ],
)
def test_the_delay_that_a_site_wishes(lines: list[str], delay_s: float) -> None:
    assert rules_of("\n".join(["User-agent: *", *lines])).delay_s == delay_s


def test_ten_thousand_files_made_up_say_what_another_parser_reads() -> None:
    draw = random.Random(5)
    pieces = ["/", "a", "b", "*", "/a", "/b", "ab", "."]
    for _ in range(10_000):
        lines = [
            f"{draw.choice(('Allow', 'Disallow'))}: /{''.join(draw.choices(pieces, k=draw.randrange(5)))}"
            + draw.choice(("", "", "$"))
            for _ in range(draw.randrange(1, 5))
        ]
        path = "/" + "".join(draw.choices(["/", "a", "b", ".", "ab"], k=draw.randrange(6)))
        text = "\n".join(["User-agent: *", *lines])
        other = Protego.parse(text).can_fetch(f"https://example.org{path}", "img2dataset")
        assert allowed(text, path) is other, (text, path)


def test_rules_beyond_the_bound_are_read_with_care() -> None:
    many = [f"Disallow: /many/*{number}$" for number in range(MOST_WILDCARDS)]
    text = "\n".join(["User-agent: *", *many, "Disallow: /folder/*.jpg", "Allow: /many/*"])
    assert not allowed(text, "/folder/a.jpg")
    assert not allowed(text, "/folder/a.png")
    assert not allowed(text, "/many/1")
    assert allowed(text, "/many/x")
    assert allowed(text, "/a.jpg")
