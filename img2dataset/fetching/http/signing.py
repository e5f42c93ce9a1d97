"""Web Bot Auth: each request signed, so that a site can check whose it is. Used by ``access``.

Comes in: a file with a private Ed25519 key, and the origin that publishes its public half. Goes out: the lines
``Signature-Agent``, ``Signature-Input`` and ``Signature`` of a request, by RFC 9421 (HTTP Message Signatures),
https://datatracker.ietf.org/doc/draft-ietf-webbotauth-httpsig-protocol/ and what it was made from,
draft-meunier-web-bot-auth-architecture and draft-meunier-http-message-signatures-directory.

``Signature-Agent`` is a structured-field string, as in the latter's revision 03. That is the newest one that
Cloudflare says it takes
(https://developers.cloudflare.com/bots/reference/bot-verification/web-bot-auth/); it refuses the dictionary of later
drafts, whose verifiers may take the string as well.

A signature names no path and has no nonce: it is good for every request to its host for ``VALID_S``, and is used
again for ``RENEWED_AFTER_S``. 60 µs of signing are then spent on a host and not on each of its images.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from img2dataset.errors import MissingDependency, OptionError
from img2dataset.fetching.http.credentials import Secret
from img2dataset.installation import install_extra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VALID_S = 300
RENEWED_AFTER_S = 240
# Some 600 bytes each.
MOST_KEPT = 10_000
DIRECTORY_PATH = "/.well-known/http-message-signatures-directory"
SIGNATURE_HEADERS = frozenset({"signature", "signature-input", "signature-agent"})
_LARGEST_KEY_FILE = 1_000_000
_USUAL_PORTS = {"http": 80, "https": 443}
_MAKE_ONE = "make one with openssl genpkey -algorithm ed25519 -out FILE"


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """Who signs; picklable, for workers.

    ``key``: the 32 bytes of the private key, in hexadecimal. ``agent``: the origin that publishes its public half.
    """

    key: Secret
    agent: str

    def private_key(self) -> Ed25519PrivateKey:
        """The key as ``cryptography`` has it.

        Raises:
            MissingDependency: that is not installed here.
        """
        return _ed25519().Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self.key.reveal()))


def load_identity(key_file: str | None, agent: str | None) -> SigningIdentity | None:
    """Read and check what ``--sign_requests`` and ``--signature_agent`` name; None without them.

    Args:
        key_file: a private Ed25519 key, as PEM (PKCS #8) or JWK (RFC 8037), not encrypted.
        agent: ``https://HOST``, where ``DIRECTORY_PATH`` has its public half. http on loopback, for tests.

    Raises:
        OptionError: one is missing or wrong; never quotes what is in the file.
        MissingDependency: the package that signs is not installed.
    """
    if key_file is None and agent is None:
        return None
    if key_file is None:
        raise OptionError("--signature_agent is given without --sign_requests; give both, or neither")
    if agent is None:
        raise OptionError(
            "--sign_requests is given without --signature_agent: the address that publishes the key,"
            " such as https://bot.example"
        )
    return SigningIdentity(load_key(key_file), checked_agent(agent))


def checked_agent(agent: str) -> str:
    """``agent`` as it is sent: an origin, without a path.

    Raises:
        OptionError: it is none, or could be read and changed on its way.
    """
    try:
        parts = urlsplit(agent)
        origin = f"{parts.scheme}://{_authority(agent)}"
        is_origin = parts.scheme in _USUAL_PORTS and agent.isascii() and agent.isprintable()
        is_origin = is_origin and not set(agent) & set(' "\\?#@') and parts.path in ("", "/")
    except ValueError:
        is_origin = False
    if not is_origin:
        raise OptionError(
            f"--signature_agent is {agent!r}; it must be https://HOST alone, where {DIRECTORY_PATH} is published"
        )
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise OptionError(f"--signature_agent is {agent!r}; it must be https, or nobody can trust the key")
    return origin


def load_key(path: str) -> Secret:
    """The private key in a file, as ``SigningIdentity`` has it.

    Raises:
        OptionError: there is none of the right kind, or it is encrypted.
        MissingDependency: the package that signs is not installed.
    """
    _ed25519()
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST_KEY_FILE)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OptionError(f"--sign_requests names {path!r}, which cannot be read ({reason})") from None
    key = _from_jwk(path, content) if content.lstrip().startswith(b"{") else _from_pem(path, content)
    return Secret(key.hex())


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
        lines = self._sign(_authority(uri), int(now))
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


def public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """The public half of ``key``, what is required of it and no more (RFC 8037)."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(public)}


def thumbprint(jwk: dict[str, str]) -> str:
    """The name of a public key, made from itself (RFC 7638)."""
    canonical = json.dumps(jwk, sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode("ascii")).digest())


def _authority(uri: str) -> str:
    """``@authority`` (RFC 9421, 2.2.3): the host in small letters, and a port that is not the usual one."""
    parts = urlsplit(uri)
    host = parts.hostname
    if not host:
        raise ValueError("no host")
    if ":" in host:
        host = f"[{host}]"
    return host if parts.port in (None, _USUAL_PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise MissingDependency(
            f"--sign_requests needs the package cryptography: {install_extra('sign')}"
        ) from error
    return ed25519


def _from_pem(path: str, content: bytes) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    if b"ENCRYPTED" in content:
        raise OptionError(
            f"--sign_requests names {path!r}, whose key is encrypted; nobody is there to type its password:"
            " decrypt it with openssl pkey -in FILE -out NEW_FILE"
        )
    if b"-----BEGIN PUBLIC KEY" in content:
        raise OptionError(f"--sign_requests names {path!r}, which is a public key; name the private one")
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise OptionError(
            f"--sign_requests names {path!r}, which holds no private key as PEM (PKCS #8) or JWK; {_MAKE_ONE}"
        ) from None
    if not isinstance(key, _ed25519().Ed25519PrivateKey):
        raise _wrong_kind(path)
    raw = serialization.Encoding.Raw
    return bytes(key.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()))


def _from_jwk(path: str, content: bytes) -> bytes:
    try:
        jwk = json.loads(content)
        kind = (jwk.get("kty"), jwk.get("crv"))
    except (ValueError, RecursionError):
        raise OptionError(f"--sign_requests names {path!r}, which is not valid JSON; {_MAKE_ONE}") from None
    if "keys" in jwk:
        raise OptionError(f"--sign_requests names {path!r}, which is a set of keys; write one key to a file")
    if kind != ("OKP", "Ed25519"):
        raise _wrong_kind(path)
    if "d" not in jwk:
        raise OptionError(f"--sign_requests names {path!r}, which is a public key; name the private one")
    try:
        private = _from_base64url(jwk["d"])
        key = _ed25519().Ed25519PrivateKey.from_private_bytes(private)
    except (ValueError, TypeError, AttributeError):
        raise OptionError(
            f"--sign_requests names {path!r}, whose 'd' is not 32 bytes in base64url; {_MAKE_ONE}"
        ) from None
    if "x" in jwk and jwk["x"] != public_jwk(key)["x"]:
        raise OptionError(f"--sign_requests names {path!r}, whose 'x' is not the public half of its 'd'")
    return private


def _wrong_kind(path: str) -> OptionError:
    return OptionError(f"--sign_requests names {path!r}, whose key is not Ed25519; {_MAKE_ONE}")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _from_base64url(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
