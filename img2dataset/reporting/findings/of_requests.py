"""What findings say of rows that got no answer, or a refusal. One function a finding."""

from __future__ import annotations

from img2dataset import failures
from img2dataset.counted import counted
from img2dataset.options import option_specs
from img2dataset.reporting.facts import Facts
from img2dataset.reporting.findings.counting import (
    RETRY,
    finding_of_rows,
    hosts_with,
    rows_beginning,
    rows_with,
    share_of,
)
from img2dataset.reporting.findings.finding import Finding, FindingKind, Rule
from img2dataset.reporting.surroundings import Surroundings

# Of the failures of a kind, one host that has more of them is what is at fault.
SHARE_OF_ONE_HOST = 0.5
# Of the failures of certificates, so many that are of their time say that this machine's clock is wrong.
SHARE_OF_CLOCK = 0.9
# Of all rows, and of so many hosts, more have a bad certificate only where this machine is at fault.
SHARE_OF_ALL, LEAST_HOSTS = 0.5, 5
# Answers that say, or are, a fault of the server.
_OF_SERVERS = ("HTTP 5", "HTTP 408", "HTTP 425", "protocol: ", "encoding: ", "redirect: ", "empty body")


def wrong_column(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_beginning(facts, "invalid url: ")
    column = surroundings.options.get("url_col", "url")
    if rows == facts.count:
        cause = f"the column {column!r} has no URLs, or the list is of another format than was said"
    else:
        cause = f"they have no URL in the column {column!r}, or one that is none"
    return finding_of_rows(
        facts,
        FindingKind.WRONG_COLUMN,
        rows,
        "have no URL that can be asked for",
        cause,
        "--url_col names the column with the URLs, --input_format the format of the list; a URL begins with"
        " http:// or https://",
    )


def not_allowed(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_beginning(facts, "scheme: ", "address: ")
    private = rows_beginning(facts, "address: ")
    cause = "their scheme is not one of those that are asked for"
    remedy = "--allow_schemes, for a list that you trust"
    if private > rows / 2:
        cause = "they lead to addresses of a private network, which a list from the web has no business with"
        remedy = "--private_addresses allow, if the list is your own"
    return finding_of_rows(facts, FindingKind.NOT_ALLOWED, rows, "may not be asked for", cause, remedy)


def no_network(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_with(facts, (failures.CONNECTION_UNREACHABLE, failures.DNS_UNREACHABLE))
    servers = ", ".join(surroundings.name_servers)
    of_names = rows_with(facts, (failures.DNS_UNREACHABLE,))
    if of_names > rows / 2:
        cause = f"the name servers ({servers or 'none is set'}) cannot be reached from this machine"
        remedy = f"look after this machine's network, or --dns_servers 1.1.1.1; then {RETRY}"
    else:
        cause = "this machine, or what is between it and the web, has no way to whole networks"
        remedy = f"look after its route, its firewall and, for IPv6 alone, its gateway; then {RETRY}"
    return finding_of_rows(facts, FindingKind.NO_NETWORK, rows, "had no way to the network", cause, remedy)


def proxy(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_with(facts, (failures.CONNECTION_PROXY,)) + rows_beginning(facts, "HTTP 407")
    return finding_of_rows(
        facts,
        FindingKind.PROXY,
        rows,
        "were refused by the proxy",
        "the proxy of --proxy, or of the variables http_proxy and https_proxy, does not answer or forbids it",
        f"look after its address and credentials, or --proxy none; then {RETRY}",
    )


def names_fail(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_with(facts, (failures.DNS_TEMPORARY, failures.DNS_TIMEOUT))
    servers = ", ".join(surroundings.name_servers) or "none is set"
    return finding_of_rows(
        facts,
        FindingKind.NAMES_FAIL,
        rows,
        "have a host whose address could not be found out",
        f"the name servers ({servers}) do not answer, or too late: many give up at thousands of names",
        f"--dns_servers 1.1.1.1 8.8.8.8, or fewer --thread_count; then {RETRY}",
        hosts_with(facts, failures.DNS_TEMPORARY, failures.DNS_TIMEOUT),
    )


def certificates(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_beginning(facts, "TLS: ")
    of_time = rows_with(facts, (failures.TLS_NOT_YET_VALID, failures.TLS_EXPIRED))
    issuer = rows_with(facts, (failures.TLS_UNKNOWN_ISSUER, failures.TLS_ISSUER_MISSING))
    hosts = hosts_with(facts, "TLS: ")
    early = rows_with(facts, (failures.TLS_NOT_YET_VALID,))
    # A server whose certificate is out of date is one of many; all of them are only if it is the clock.
    many_hosts = len(hosts) >= LEAST_HOSTS
    if rows and many_hosts and (early > rows / 2 or _is_of_all(of_time, rows, facts)):
        return finding_of_rows(
            facts,
            FindingKind.CLOCK,
            rows,
            "have a certificate that is out of its time",
            "so many at once are, where the clock of this machine is wrong",
            "set the clock (timedatectl set-ntp true); then --incremental_mode retry_failed",
            hosts,
        )
    cause = "their servers have certificates that are expired, or of another name"
    remedy = f"{RETRY}: certificates are renewed; --ignore_ssl_certificate takes what comes"
    if many_hosts and issuer > rows / 2 and share_of(rows, facts) > SHARE_OF_ALL:
        cause = "this machine does not know who signed their certificates: a proxy that looks into TLS, or no"
        cause += " authorities are installed"
        remedy = "--ca_bundle with the authority of your network, or apt-get install ca-certificates"
    return finding_of_rows(
        facts, FindingKind.CERTIFICATES, rows, "have a certificate that is not trusted", cause, remedy, hosts
    )


def _is_of_all(of_time: int, rows: int, facts: Facts) -> bool:
    return of_time >= SHARE_OF_CLOCK * rows and share_of(rows, facts) > SHARE_OF_ALL


def not_connected(facts: Facts, surroundings: Surroundings) -> Finding | None:
    kinds = (
        *(failures.CONNECTION_REFUSED, failures.CONNECTION_RESET, failures.CONNECTION_CLOSED_EARLY),
        *(failures.CONNECTION_FAILED, failures.CONNECTION_NO_ANSWER, failures.HOST_UNREACHABLE),
    )
    rows = rows_with(facts, kinds)
    hosts = hosts_with(facts, *kinds)
    return finding_of_rows(
        facts,
        FindingKind.NOT_CONNECTED,
        rows,
        "have a host that refuses or drops connections",
        "their servers are gone or overloaded, or a firewall is between them and this machine",
        f"{RETRY}; where it is nearly every host, look after this machine's firewall",
        hosts,
    )


def too_slow(facts: Facts, surroundings: Surroundings) -> Finding | None:
    kinds = (
        *(failures.TIMEOUT_CONNECT, failures.TIMEOUT_SILENCE),
        *(failures.TIMEOUT_TOO_SLOW, failures.TIMEOUT_DEADLINE),
    )
    rows = rows_with(facts, kinds)
    hosts = hosts_with(facts, *kinds)
    few = bool(hosts) and hosts.most_common(1)[0][1] > SHARE_OF_ONE_HOST * rows
    cause = "one host is silent" if few else "their servers are silent, or the line of this machine is full"
    return finding_of_rows(
        facts,
        FindingKind.TOO_SLOW,
        rows,
        "got no answer in time",
        cause,
        f"a higher --timeout or --deadline, fewer --thread_count where your line is full; then {RETRY}",
        hosts,
    )


def host_limits(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_beginning(facts, "HTTP 429", "HTTP 503")
    hosts = hosts_with(facts, "HTTP 429", "HTTP 503")
    held = sum(facts.hosts[host] for host in hosts)
    share = held / facts.measured if facts.measured else 0.0
    return finding_of_rows(
        facts,
        FindingKind.HOST_LIMITS,
        rows,
        "were turned away by a host that is asked too often",
        f"{counted(len(hosts), 'host')} with {share:.0%} of the list "
        + ("limits" if len(hosts) == 1 else "limit")
        + " how fast they may be asked",
        f"--max_requests_per_second_per_host and --max_connections_per_host below their limits; then {RETRY}",
        hosts,
    )


def forbidden(facts: Facts, surroundings: Surroundings) -> Finding | None:
    beginnings = ("HTTP 401", "HTTP 403", "HTTP 406", "HTTP 451")
    rows = rows_beginning(facts, *beginnings)
    return finding_of_rows(
        facts,
        FindingKind.FORBIDDEN,
        rows,
        "were refused by their hosts (401, 403, 406 or 451)",
        "these hosts do not answer programs, programs without a name and a contact, or links from elsewhere",
        "--contact says who you are, which some want; --extra_headers for hosts that you have an account of."
        " A host that does not want programs stays closed",
        hosts_with(facts, *beginnings),
    )


def link_rot(facts: Facts, surroundings: Surroundings) -> Finding | None:
    beginnings = ("HTTP 404", "HTTP 410", failures.DNS_NOT_FOUND)
    rows = rows_beginning(facts, *beginnings)
    hosts = hosts_with(facts, *beginnings)
    largest = hosts.most_common(1)[0][1] if hosts else 0
    if largest > SHARE_OF_ONE_HOST * hosts.total() and len(hosts) > 1:
        cause = "mostly one host has moved or removed its images"
    else:
        cause = (
            "images go away with the years: of LAION-400M, of 2021, 44 % did not answer at the first try two"
            " years later"
        )
    return finding_of_rows(
        facts,
        FindingKind.LINK_ROT,
        rows,
        "are gone (404, 410, or a host without an address)",
        cause,
        "nothing brings them back; a newer list of the same dataset has fewer of them",
        hosts,
    )


def servers_fail(facts: Facts, surroundings: Surroundings) -> Finding | None:
    failed = {
        message: rows
        for message, rows in facts.messages.items()
        if message.startswith(_OF_SERVERS) and not message.startswith("HTTP 503")
    }
    retried = surroundings.options.get("retry_classes", option_specs()["retry_classes"].default)
    can_pass = sum(rows for message, rows in failed.items() if failures.is_retried(message, retried))
    remedy = "open some of the URLs in a browser; such answers rarely pass, and retry_failed leaves them out"
    if can_pass:
        remedy = RETRY if can_pass == sum(failed.values()) else f"{RETRY} asks again for {can_pass:,} of them"
    return finding_of_rows(
        facts,
        FindingKind.SERVERS_FAIL,
        sum(failed.values()),
        "got an answer that is an error of the server",
        "their servers are at fault (500, 502, broken or empty answers, endless redirects)",
        remedy,
        hosts_with(facts, *_OF_SERVERS),
    )


def odd_answers(facts: Facts, surroundings: Surroundings) -> Finding | None:
    """Statuses that no other finding is about."""
    told = ("401", "402", "403", "404", "406", "407", "408", "410", "425", "429", "451", "5")
    beginnings = tuple(
        message
        for message in facts.messages
        if message.startswith("HTTP ") and message[5:].startswith(told) is False
    )
    rows = rows_beginning(facts, *beginnings) if beginnings else 0
    return finding_of_rows(
        facts,
        FindingKind.ODD_ANSWERS,
        rows,
        "got an answer that has no image in it",
        f"their servers do not take the request as it is: {', '.join(sorted(beginnings)[:5])}",
        "open some of the URLs in a browser: they may be cut short, or need a login or other headers"
        " (--extra_headers)",
        hosts_with(facts, *beginnings) if beginnings else None,
    )


def stored(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_beginning(facts, "storage: ", "file: ")
    return finding_of_rows(
        facts,
        FindingKind.STORED,
        rows,
        "name a file or object that cannot be read",
        "it is not there, or this account may not read it",
        "look after the paths of the list, from this machine, and the account's rights",
    )


RULES: tuple[Rule, ...] = (
    wrong_column,
    not_allowed,
    no_network,
    proxy,
    names_fail,
    certificates,
    not_connected,
    too_slow,
    host_limits,
    forbidden,
    link_rot,
    servers_fail,
    odd_answers,
    stored,
)
