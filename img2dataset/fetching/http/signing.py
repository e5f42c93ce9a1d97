"""Web Bot Auth: each request signed, so that a site can check whose it is. Used by ``access``.

Comes in: the key and the origin that publishes it, from ``signing_key``. Goes out: the lines
``Signature-Agent``, ``Signature-Input`` and ``Signature`` of a request, by RFC 9421 (HTTP Message
Signatures), draft-meunier-web-bot-auth-architecture and draft-meunier-http-message-signatures-directory.

``Signature-Agent`` is a structured-field string, as in revision 03 of the latter: the newest that Cloudflare
documents (https://developers.cloudflare.com/bots/reference/bot-verification/web-bot-auth/). It refuses the
dictionary of later drafts, such as draft-ietf-webbotauth-httpsig-protocol-00, whose verifiers may take the
string as well.

A signature names no path and has no nonce: it is good for every request to its host for ``VALID_S``, and is
sent again for ``RENEWED_AFTER_S``. That costs 2 µs a request; signing costs 90, and is done once a host.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from img2dataset.fetching.http.signing_key import SigningIdentity, authority_of, public_jwk, thumbprint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VALID_S = 300
RENEWED_AFTER_S = 240
# Some 600 bytes each.
MOST_KEPT = 10_000
SIGNATURE_HEADERS = frozenset({"signature", "signature-input", "signature-agent"})


class RequestSigner:
    """Signs for one host after the other, and keeps the signatures while they are good.

    Args:
        identity: who signs.
        now: the clock, seconds since 1970.
    """

    def __init__(self, identity: SigningIdentity, now: Callable[[], float] = time.time) -> None:
        self._key = identity.private_key()
        self._key_id = thumbprint(public_jwk(self._key))
        self._agent = f'"{identity.agent}"'
        self._now = now
        # When each was made, and its lines; by scheme and authority, the oldest first.
        self._kept: dict[str, tuple[float, tuple[str, ...]]] = {}

    def lines_for(self, uri: str) -> tuple[str, ...]:
        """The lines that go with a request for ``uri``."""
        end = uri.find("/", 8)  # behind "https://"
        origin = uri if end < 0 else uri[:end]
        now = self._now()
        made, lines = self._kept.get(origin, (0.0, ()))
        # A clock that is set back would let a signature live on that is not valid yet.
        if lines and made <= now < made + RENEWED_AFTER_S:
            return lines
        self._kept.pop(origin, None)
        if len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        lines = self._sign(authority_of(uri), int(now))
        self._kept[origin] = (now, lines)
        return lines

    def _sign(self, authority: str, created: int) -> tuple[str, ...]:
        components = [('"@authority"', authority), ('"signature-agent"', self._agent)]
        parameters = signature_parameters(created, created + VALID_S, self._key_id, "web-bot-auth")
        signed, signature = sign(self._key, "sig1", components, parameters)
        return (
            f"Signature-Agent: {self._agent}",
            f"Signature-Input: {signed}",
            f"Signature: {signature}",
        )


def sign(
    key: Ed25519PrivateKey, label: str, components: Sequence[tuple[str, str]], parameters: str
) -> tuple[str, str]:
    """One signature (RFC 9421, 2.5 and 3.1).

    Args:
        key: signs.
        label: names the signature among others.
        components: what is covered, each an identifier as it is written and its value.
        parameters: as ``signature_parameters`` writes them.

    Returns:
        The values of ``Signature-Input`` and ``Signature``.
    """
    covered = f"({' '.join(identifier for identifier, _ in components)}){parameters}"
    lines = [f"{identifier}: {value}" for identifier, value in components]
    base = "\n".join([*lines, f'"@signature-params": {covered}'])
    signature = base64.b64encode(key.sign(base.encode("ascii"))).decode("ascii")
    return f"{label}={covered}", f"{label}=:{signature}:"


def signature_parameters(created: int, expires: int, key_id: str, tag: str) -> str:
    """Parameters of a signature (RFC 9421, 2.3)."""
    return f';created={created};expires={expires};keyid="{key_id}";alg="ed25519";tag="{tag}"'
