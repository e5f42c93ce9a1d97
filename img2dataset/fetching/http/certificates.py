"""Which file of trusted certificates to verify servers with. Called once, when a fetcher is made."""

from __future__ import annotations

import os
from collections.abc import Mapping

from img2dataset.errors import OptionError

ENVIRONMENT_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def find_ca_bundle(chosen: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The path of the PEM file to trust: the chosen one, the first named by the environment, or certifi's.

    Raises:
        OptionError: the file is missing or holds no certificate. Said here once, not by each row.
    """
    source, path = "ca_bundle", chosen
    if path is None:
        for source in ENVIRONMENT_VARIABLES:
            path = environment.get(source)
            if path:
                break
    if not path:
        import certifi

        return certifi.where()
    way_out = "name a PEM file of trusted certificates, or leave it out to use certifi's"
    try:
        with open(path, "rb") as file:
            has_certificate = b"-----BEGIN " in file.read()
    except OSError as error:
        raise OptionError(
            f"{source} names {path!r}, which cannot be read ({error.strerror}); {way_out}"
        ) from error
    if not has_certificate:
        raise OptionError(f"{source} names {path!r}, which holds no certificate; {way_out}")
    return path
