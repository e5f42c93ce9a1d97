"""What a run needs of each machine beside this package: packages that options name, and files.

In: what the members will be told. Out: plain values, which travel with the question of ``reaching``; and on a
machine, what is missing. The program has looked for the same on its own machine when it checked the options.
Files that are read once, such as the key of signed requests, travel with what members are told, and are no
part of it.
"""

from __future__ import annotations

from typing import Any

from img2dataset.fetching import check_schemes
from img2dataset.fetching.http.access import check_client_certificate, find_ca_bundle
from img2dataset.fetching.http.signing_key import check_signing_package
from img2dataset.formats import output_format
from img2dataset.plugins import SIGNALS, load_plugin
from img2dataset.working import WorkSettings


def needs_of(work: WorkSettings) -> dict[str, Any]:
    """What ``check_needs`` is told; no secret is in it."""
    fetch = work.fetch
    return {
        "output_format": work.write.output_format,
        "consent_signals": list(fetch.consent_signals),
        "allow_schemes": list(fetch.allow_schemes),
        "signs_requests": fetch.access.signing is not None,
        "checks_certificates": not fetch.ignore_ssl_certificate,
        "ca_bundle": fetch.ca_bundle,
        "client_certificate": fetch.access.client_certificate,
        "client_key": fetch.access.client_key,
    }


def check_needs(needs: dict[str, Any]) -> None:
    """See that this machine has it all.

    Raises:
        Img2datasetError: what it lacks, in one line.
    """
    output_format(needs["output_format"]).check_installed()
    for name in needs["consent_signals"]:
        load_plugin(SIGNALS, name)
    check_schemes(needs["allow_schemes"])
    if needs["signs_requests"]:
        check_signing_package()
    if needs["checks_certificates"]:
        find_ca_bundle(needs["ca_bundle"])
    if needs["client_certificate"] is not None:
        check_client_certificate(needs["client_certificate"], needs["client_key"])
