"""What the operator of ``--sign_requests`` publishes, so that sites can check the signatures.

``python -m img2dataset.fetching.http.key_directory KEY`` prints the key directory: a JSON Web Key Set with
the public half of the key, for ``/.well-known/http-message-signatures-directory``. With the origin behind it,
``KEY https://bot.example``, it prints the header lines to serve it with. These prove that whoever serves the
directory has the key: one signature over ``"@authority";req``, good for ``VALID_DAYS``, as
https://developers.cloudflare.com/bots/reference/bot-verification/web-bot-auth/ asks for.
"""

from __future__ import annotations

import json
import sys
import time
from urllib.parse import urlsplit

from img2dataset.errors import Img2datasetError
from img2dataset.fetching.http.signing import sign, signature_parameters
from img2dataset.fetching.http.signing_key import (
    SigningIdentity,
    checked_agent,
    load_key,
    public_jwk,
    thumbprint,
)

VALID_DAYS = 90
MEDIA_TYPE = "application/http-message-signatures-directory+json"
USAGE = "usage: python -m img2dataset.fetching.http.key_directory KEY [https://HOST]"


def key_directory(key_file: str) -> str:
    """The JSON Web Key Set of one private key's public half.

    Raises:
        OptionError, MissingDependency: as ``load_key``.
    """
    jwk = public_jwk(SigningIdentity(load_key(key_file), "").private_key())
    return json.dumps({"keys": [{**jwk, "kid": thumbprint(jwk), "use": "sig"}]}, indent=2)


def response_headers(key_file: str, agent: str, created: int) -> list[str]:
    """The lines that the directory is served with.

    Args:
        key_file: of the private key.
        agent: the origin that serves it.
        created: seconds since 1970.

    Raises:
        OptionError, MissingDependency: as ``load_identity``.
    """
    key = SigningIdentity(load_key(key_file), "").private_key()
    authority = urlsplit(checked_agent(agent)).netloc
    parameters = signature_parameters(
        created,
        created + VALID_DAYS * 86400,
        thumbprint(public_jwk(key)),
        "http-message-signatures-directory",
    )
    signed, signature = sign(key, "sig1", [('"@authority";req', authority)], parameters)
    return [
        f"Content-Type: {MEDIA_TYPE}",
        "Cache-Control: max-age=86400",
        f"Signature-Input: {signed}",
        f"Signature: {signature}",
    ]


def main(words: list[str]) -> int:
    """Print what ``words`` ask for; the exit status."""
    if len(words) not in (1, 2) or words[0] in ("--help", "-h"):
        print(USAGE)
        return 0 if "--help" in words or "-h" in words else 2
    try:
        if len(words) == 1:
            print(key_directory(words[0]))
        else:
            print("\n".join(response_headers(words[0], words[1], int(time.time()))))
    except Img2datasetError as error:
        print(f"img2dataset: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
