"""The options of how images are fetched, and with what manners. Part of ``table.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from img2dataset.options.declaring import option

DOWNLOADS, MANNERS = "Downloads", "Names, manners and access"


@dataclass(frozen=True, kw_only=True)
class DownloadOptions:
    """How many downloads, how long, how large, and as whom."""

    thread_count: int = option(
        256, help="downloads in flight a process", group=DOWNLOADS, minimum=1, maximum=20000
    )
    adaptive_thread_count: bool = option(
        True,
        help="let thread_count rise and fall with what network and machine can take, from 16 to 1024",
        group=DOWNLOADS,
        default_text="True, False when thread_count is given",
    )
    timeout: float = option(
        10.0, help="bound on connecting and on every silence", unit="seconds", group=DOWNLOADS, minimum=0.001
    )
    minimum_speed: int = option(
        1000,
        help="cut downloads slower than this on average over timeout",
        unit="bytes/s",
        group=DOWNLOADS,
        minimum=0,
    )
    deadline: float = option(
        60.0,
        help="bound on one whole download, redirects included",
        unit="seconds",
        group=DOWNLOADS,
        minimum=0.001,
    )
    max_download_bytes: int = option(
        100_000_000,
        help="bound on one body, after undoing its compression",
        unit="bytes",
        group=DOWNLOADS,
        minimum=1,
    )
    body_memory: int = option(
        128_000_000,
        help="bodies held at once a process, arriving or waiting for pixels",
        unit="bytes",
        group=DOWNLOADS,
        minimum=1_000_000,
    )
    retries: int = option(
        0, help="tries after the first, for failures that can pass", group=DOWNLOADS, minimum=0
    )
    user_agent: str | None = option(
        None,
        help="the whole User-Agent header",
        group=DOWNLOADS,
        default_text="img2dataset, its version and its address",
    )
    user_agent_token: str | None = option(
        None, help="your name in the User-Agent, matched against X-Robots-Tag", group=DOWNLOADS
    )
    disallowed_header_directives: tuple[str, ...] | None = option(
        ("noai", "noimageai", "noindex", "noimageindex"),
        help="X-Robots-Tag directives that exclude an image; [] accepts all",
        group=DOWNLOADS,
        default_text="noai, noimageai, noindex, noimageindex; and noml unless consent is off",
    )
    ignore_ssl_certificate: bool = option(
        False, help="accept certificates that cannot be verified", group=DOWNLOADS
    )
    ca_bundle: str | None = option(
        None,
        help="file of the certificates to trust",
        group=DOWNLOADS,
        default_text="SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or certifi's",
    )


@dataclass(frozen=True, kw_only=True)
class MannersOptions:
    """Where addresses come from, what hosts are spared, and what opens doors."""

    dns: Literal["internal", "system"] = option(
        "internal",
        help="who finds addresses: the program itself, cached and asking again, or the system",
        group=MANNERS,
    )
    dns_servers: tuple[str, ...] = option(
        (), help="name servers to ask, address or address:port", group=MANNERS, default_text="the system's"
    )
    dns_max_ttl: float = option(
        3600.0,
        help="how long an answer is kept at most",
        unit="seconds",
        group=MANNERS,
        minimum=0,
        endless=True,
    )
    network_patience: float = option(
        120.0,
        help="how long a network or name servers that are away altogether are waited for; 0: not at all",
        unit="seconds",
        group=MANNERS,
        minimum=0,
    )
    max_connections_per_host: int | None = option(
        None,
        help="requests to one host at a time, by all processes together; 0: no bound",
        group=MANNERS,
        minimum=0,
        default_text="32; for known hosts what they ask for; no bound in one's own network",
    )
    max_requests_per_second_per_host: float | None = option(
        None,
        help="and how many a second",
        group=MANNERS,
        above=0,
        default_text="None; for known hosts what they ask for",
    )
    host_policies: str | None = option(
        None,
        help="YAML file of what certain hosts may be asked for, beside what the program knows of them",
        group=MANNERS,
    )
    max_retry_after: float = option(
        120.0,
        help="how long a host that answers 429 or 503 is waited for",
        unit="seconds",
        group=MANNERS,
        minimum=0,
    )
    consent: Literal["off", "usual", "strict"] = option(
        "usual",
        help="whose no to training counts: usual, that in the headers of answers; strict, that in robots.txt,"
        " in tdmrep.json and in the images themselves too; off, only what the options for single signals say,"
        " and no policies of hosts",
        group=MANNERS,
    )
    consent_signals: tuple[str, ...] = option(
        (), help="signals of training that installed packages add, by name", group=MANNERS
    )
    save_consent: bool = option(
        False,
        help="keep what sites, answers and pictures say of training in a column of the metadata, honoured or"
        " not",
        group=MANNERS,
        shapes_output=True,
    )
    respect_robots_txt: bool = option(
        False,
        help="ask each site's robots.txt first",
        group=MANNERS,
        default_text="False; True with consent strict",
    )
    respect_tdm: bool = option(
        False,
        help="leave images out whose site reserves text and data mining (TDMRep)",
        group=MANNERS,
        default_text="False; True with consent strict",
    )
    contact: str | None = option(
        None, help="where site owners can reach you, named in the User-Agent", group=MANNERS
    )
    private_addresses: Literal["allow", "deny"] = option(
        "allow",
        help="addresses of one's own network, named in the list; deny for lists from the web",
        group=MANNERS,
    )
    allow_schemes: tuple[str, ...] = option(
        (), help="schemes beside http, https and data that rows may have, such as file or s3", group=MANNERS
    )
    proxy: tuple[str, ...] = option(
        (),
        help="proxies, used in turn",
        group=MANNERS,
        secret=True,
        default_text="those of the environment",
    )
    extra_headers: tuple[str, ...] = option(
        (), help="'Name: value' lines sent to the hosts", group=MANNERS, secret=True
    )
    cookies: str | None = option(None, help="cookie file in Netscape format", group=MANNERS)
    credentials_file: str | None = option(
        None,
        help="netrc, or JSON with bearer tokens, for named hosts",
        group=MANNERS,
        default_text="the file named by IMG2DATASET_CREDENTIALS",
    )
    client_certificate: str | None = option(
        None, help="PEM file shown to servers that ask for one", group=MANNERS
    )
    client_key: str | None = option(None, help="PEM file of its key", group=MANNERS)
    sign_requests: str | None = option(
        None,
        help="file with a private Ed25519 key, PEM or JWK, that each request is signed with (Web Bot Auth)",
        group=MANNERS,
    )
    signature_agent: str | None = option(
        None, help="the https address that publishes its public half", group=MANNERS
    )
