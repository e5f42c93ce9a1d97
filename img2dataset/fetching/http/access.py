"""By which way and as whom servers are asked: proxies, headers, cookies, credentials, certificate, signing.

``load_access`` turns the user's options and files into an ``Access``, once, where the files are; it travels
to workers and shows none of its secrets. ``find_ca_bundle`` says which certificates are trusted in turn.
``RequestAccess`` tells a libcurl handle what goes with one request.

What a redirect to another host (or from https to http) takes along: cookies of that host, headers of
``HARMLESS`` names, a signature made for that host; no credentials, not even that host's own, no other extra
header, no client certificate.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from img2dataset.errors import OptionError
from img2dataset.fetching.http.cookies import Cookie, CookieJar, load_cookies
from img2dataset.fetching.http.credentials import (
    ENVIRONMENT_VARIABLE,
    Credential,
    Credentials,
    Secret,
    load_credentials,
)
from img2dataset.fetching.http.signing import SIGNATURE_HEADERS, RequestSigner
from img2dataset.fetching.http.signing_key import SigningIdentity, load_identity

if TYPE_CHECKING:
    import pycurl


# They name the file of trusted certificates, the first that is set.
CA_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
# They say what is wanted, not who asks: these follow a redirect to another host.
HARMLESS = frozenset({"accept", "accept-language", "dnt", "save-data", "sec-gpc"})
# Another option's, or the transport's own: a second one would break or contradict the request.
_RESERVED = {
    "user-agent": "use --user_agent",
    "cookie": "use --cookies",
    "accept-encoding": "it is decided by what can be undone",
    **dict.fromkeys(
        ("host", "connection", "content-length", "transfer-encoding", "upgrade", "expect", "te", "trailer"),
        "it is the transport's own",
    ),
}
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([!-~]|[!-~][ -~\t]*[!-~])[ \t]*")


@dataclass(frozen=True)
class Access:
    """See ``load_access``, which checks what it puts in here."""

    proxies: tuple[Secret, ...] = ()
    extra_headers: tuple[Secret, ...] = ()
    cookies: tuple[Cookie, ...] = ()
    credentials: tuple[Credential, ...] = ()
    client_certificate: str | None = None
    client_key: str | None = None
    signing: SigningIdentity | None = None


def load_access(
    *,
    proxy: str | Sequence[str] | None = None,
    extra_headers: str | Sequence[str] | None = None,
    cookies: str | None = None,
    credentials_file: str | None = None,
    client_certificate: str | None = None,
    client_key: str | None = None,
    sign_requests: str | None = None,
    signature_agent: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Access:
    """Read and check what the user says about access.

    Args:
        proxy: one URL or several, used in turn for each request: http, https, socks4, socks5 (names
            resolved here) or socks5h (by the proxy), with ``user:password@`` if needed. None: the
            variables http_proxy, https_proxy, all_proxy and no_proxy are honoured.
        extra_headers: ``Name: value`` lines sent to the hosts of the list.
        cookies: a Netscape cookie file.
        credentials_file: netrc, or JSON with bearer tokens; None: the file named by
            IMG2DATASET_CREDENTIALS, if set. ``~/.netrc`` is not read by itself.
        client_certificate: PEM file shown to https servers that ask for one.
        client_key: PEM file of its key; None: in the same file.
        sign_requests: file of the key that signs each request; signature_agent: where it is published; see
            ``load_identity``.

    Raises:
        OptionError: a value or file is wrong. No secret is quoted.
        MissingDependency: ``sign_requests`` without the package that signs.
    """
    check_client_certificate(client_certificate, client_key)
    credentials_file = credentials_file or environment.get(ENVIRONMENT_VARIABLE) or None
    signing = load_identity(sign_requests, signature_agent)
    return Access(
        proxies=tuple(_checked_proxy(url) for url in _sequence(proxy)),
        extra_headers=tuple(_checked_header(line, signing is not None) for line in _sequence(extra_headers)),
        cookies=load_cookies(cookies) if cookies else (),
        credentials=load_credentials(credentials_file) if credentials_file else (),
        client_certificate=client_certificate,
        client_key=client_key,
        signing=signing,
    )


def check_client_certificate(certificate: str | None, key: str | None) -> None:
    """See that the files are there that are shown to servers; None: there is none, or it is in the other.

    Raises:
        OptionError: one cannot be read, is not PEM, or is missing.
    """
    for name, path in (("client_certificate", certificate), ("client_key", key)):
        if path is not None:
            _check_pem(name, path)
    if key is not None and certificate is None:
        raise OptionError("--client_key is given without --client_certificate; give both, or neither")
    if certificate is not None and key is None:
        _check_has_key(certificate)


def find_ca_bundle(chosen: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The path of the PEM file to trust: the chosen one, the first named by the environment, or certifi's.

    Raises:
        OptionError: the file is missing or holds no certificate. Said here once, not by each row.
    """
    source, path = "--ca_bundle", chosen
    if path is None:
        for source in CA_BUNDLE_VARIABLES:
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


def masked_proxy(url: str) -> str:
    """``url`` as it may be shown or written down: without user and password."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    hidden = "***@" if "@" in rest else ""
    return f"{scheme}{separator}{hidden}{rest.rpartition('@')[2]}"


def masked_header(line: str) -> str:
    """``line`` as it may be shown or written down: its value only if the name says it is harmless."""
    name, colon, _ = line.partition(":")
    if not colon:
        return "***"
    return line if name.strip().lower() in HARMLESS else f"{name}: ***"


class RequestAccess:
    """Puts on a handle what goes with a request; one a fetcher."""

    def __init__(self, access: Access) -> None:
        self._headers = tuple(header.reveal() for header in access.extra_headers)
        self._unauthorized = tuple(line for line in self._headers if not _is_authorization(line))
        self._harmless = tuple(line for line in self._headers if line.partition(":")[0].lower() in HARMLESS)
        self._own_cookies = access.cookies
        self._cookies = CookieJar(access.cookies)
        self._credentials = Credentials(access.credentials)
        self._signer = RequestSigner(access.signing) if access.signing is not None else None
        self.is_plain = not (self._headers or access.cookies or access.credentials or access.signing)

    def prepare(
        self,
        easy: pycurl.Curl,
        uri: str,
        foreign: bool,
        cookies: tuple[Cookie, ...] = (),
        own_headers: tuple[str, ...] = (),
        had_own: bool = False,
    ) -> bool:
        """Set everything on ``easy``, whatever its last request was for.

        Args:
            easy: the handle.
            uri: what it is going to ask for.
            foreign: it was redirected there from another host.
            cookies: what the redirects that led there have set.
            own_headers: lines that go with this request only.
            had_own: the last request of the handle had a cookie or headers of its own.

        Returns:
            Whether this one has.
        """
        if self.is_plain and not cookies and not own_headers and not had_own:
            return False
        import pycurl

        headers = self._harmless
        if not foreign:
            authorization = self._credentials.header_for(uri)
            headers = self._headers
            if authorization is not None:
                headers = (*self._unauthorized, f"Authorization: {authorization}")
        signature = () if self._signer is None else self._signer.lines_for(uri)
        if headers or own_headers or signature:
            easy.setopt(pycurl.HTTPHEADER, (*headers, *own_headers, *signature))
        else:
            easy.unsetopt(pycurl.HTTPHEADER)
        jar = CookieJar((*self._own_cookies, *cookies)) if cookies else self._cookies
        cookie = jar.header_for(uri, time.time())
        if cookie is not None:
            easy.setopt(pycurl.COOKIE, cookie)
        elif had_own:
            easy.unsetopt(pycurl.COOKIE)
        return cookie is not None or bool(own_headers)


def _is_authorization(line: str) -> bool:
    return line.partition(":")[0].lower() == "authorization"


def _sequence(value: str | Sequence[str] | None) -> Sequence[str]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _checked_proxy(url: str) -> Secret:
    # Looked at without what may be secret, so that no message can show it.
    shown = masked_proxy(url)
    try:
        parts = urlsplit(shown.replace("***@", ""))
        usable = parts.scheme in PROXY_SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
        usable = usable and parts.path in ("", "/") and not parts.query and not parts.fragment
    except ValueError:
        usable = False
    if not usable or not (url.isascii() and url.isprintable()) or " " in url:
        raise OptionError(
            f"--proxy is {shown!r}; it must be like http://host:port or socks5://user:password@host:port "
            f"(schemes: {', '.join(PROXY_SCHEMES)})"
        )
    return Secret(url)


def _checked_header(line: str, signs: bool) -> Secret:
    match = _HEADER.fullmatch(line)
    if match is None:
        raise OptionError(
            f"--extra_headers has {masked_header(line)!r}; each must be one 'Name: value' of printable ASCII"
        )
    name = match.group(1).lower()
    reason = "--sign_requests makes it" if signs and name in SIGNATURE_HEADERS else _RESERVED.get(name)
    if reason is not None:
        raise OptionError(f"--extra_headers has {match.group(1)!r}, which cannot be set here: {reason}")
    return Secret(f"{match.group(1)}: {match.group(2)}")


def _check_pem(name: str, path: str) -> None:
    way_out = "name a PEM file"
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise OptionError(
            f"--{name} names {path!r}, which cannot be read ({error.strerror}); {way_out}"
        ) from error
    if b"-----BEGIN " not in content:
        raise OptionError(f"--{name} names {path!r}, which is not PEM; {way_out}")
    if b"ENCRYPTED PRIVATE KEY" in content or b"Proc-Type: 4,ENCRYPTED" in content:
        raise OptionError(
            f"--{name} names {path!r}, whose key is encrypted; nobody is there to type its password: "
            "decrypt it with openssl pkey -in FILE -out NEW_FILE"
        )


def _check_has_key(path: str) -> None:
    with open(path, "rb") as file:
        if b"PRIVATE KEY-----" not in file.read():
            raise OptionError(
                f"--client_certificate names {path!r}, which holds no private key; name its file as"
                " --client_key"
            )
