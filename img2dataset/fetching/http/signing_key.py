"""The key that requests are signed with, and who publishes it: options → a ``SigningIdentity``, checked once.

Comes in: a private Ed25519 key in a file, and the origin that publishes its public half. Called by ``access``
and ``key_directory``; ``signing`` signs with it.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from img2dataset.errors import MissingDependency, OptionError
from img2dataset.fetching.http.credentials import Secret
from img2dataset.fetching.urls import to_uri
from img2dataset.installation import install_extra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DIRECTORY_PATH = "/.well-known/http-message-signatures-directory"
_LARGEST_KEY_FILE = 1_000_000
_USUAL_PORTS = {"http": 80, "https": 443}
_MAKE_ONE = "make one with openssl genpkey -algorithm ed25519 -out FILE"


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """Who signs; picklable, for workers.

    ``key``: the 32 bytes of the private key, in hexadecimal. ``agent``: the origin that publishes its public
    half.
    """

    key: Secret
    agent: str

    def private_key(self) -> Ed25519PrivateKey:
        """The key as ``cryptography`` has it.

        Raises:
            MissingDependency: that is not installed here.
        """
        key: Ed25519PrivateKey = _ed25519().Ed25519PrivateKey.from_private_bytes(
            bytes.fromhex(self.key.reveal())
        )
        return key


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


def check_signing_package() -> None:
    """See that what signs is installed here.

    Raises:
        MissingDependency: it is not.
    """
    _ed25519()


def checked_agent(agent: str) -> str:
    """``agent`` as it is sent: an origin, without a path.

    Raises:
        OptionError: it is none, or could be read and changed on its way.
    """
    try:
        parts = urlsplit(agent)
        origin = f"{parts.scheme}://{authority_of(agent)}"
        is_origin = parts.scheme in _USUAL_PORTS and agent.isascii() and agent.isprintable()
        is_origin = is_origin and not set(agent) & set(' "\\?#@') and parts.path in ("", "/")
        # A host that is none publishes nothing, and a sender that nobody can look up is trusted by nobody.
        is_origin = is_origin and to_uri(f"{origin}/") == f"{origin}/"
    except ValueError:
        is_origin = False
    if not is_origin:
        raise OptionError(
            f"--signature_agent is {agent!r}; it must be https://HOST alone, which publishes the key at"
            f" {DIRECTORY_PATH}"
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


def public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """The public half of ``key``, what is required of it and no more (RFC 8037)."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(public)}


def thumbprint(jwk: dict[str, str]) -> str:
    """The name of a public key, made from itself (RFC 7638)."""
    canonical = json.dumps(jwk, sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode("ascii")).digest())


def authority_of(uri: str) -> str:
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
