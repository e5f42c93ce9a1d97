"""Is what the program needs installed, and whole? Asked when a room is first entered, before any work begins.

A package that cannot be loaded, or lacks a name, must never be told as the failure of rows.
"""

from __future__ import annotations

import re
import shlex
from importlib import import_module

from img2dataset.errors import MissingDependency

# How the package is called that has a module; more than one has OpenCV, and pip's name is the usual one.
_PACKAGES = {"cv2": "opencv-python-headless", "PIL": "Pillow"}
# What is used of pycurl without being looked for first. A test holds this against the code.
_NAMES_OF_PYCURL = """
ACCEPT_ENCODING BUFFERSIZE CAINFO CAPATH CONNECTTIMEOUT_MS COOKIE CSELECT_IN CSELECT_OUT Curl
CURL_HTTP_VERSION_1_0 CURL_HTTP_VERSION_1_1 CURL_HTTP_VERSION_2TLS CurlMulti DNS_CACHE_TIMEOUT
E_BAD_CONTENT_ENCODING E_COULDNT_CONNECT E_COULDNT_RESOLVE_HOST E_COULDNT_RESOLVE_PROXY
E_FILESIZE_EXCEEDED E_FTP_WEIRD_SERVER_REPLY E_GOT_NOTHING E_HTTP2 E_OPERATION_TIMEDOUT
E_OUT_OF_MEMORY E_PARTIAL_FILE E_PEER_FAILED_VERIFICATION E_RECV_ERROR E_SEND_ERROR
E_SSL_CACERT_BADFILE E_SSL_CERTPROBLEM E_SSL_CIPHER E_SSL_CONNECT_ERROR E_SSL_ISSUER_ERROR
E_UNSUPPORTED_PROTOCOL E_URL_MALFORMAT E_WRITE_ERROR error FOLLOWLOCATION FORBID_REUSE FRESH_CONNECT
HEADER_SIZE HEADERFUNCTION HTTP_CONTENT_DECODING HTTP_TRANSFER_DECODING HTTP_VERSION HTTPHEADER
IGNORE_CONTENT_LENGTH M_MAXCONNECTS M_PIPELINING M_SOCKETFUNCTION M_TIMERFUNCTION NOPROXY NOSIGNAL
NUM_CONNECTS OPENSOCKETFUNCTION
OS_ERRNO PIPE_MULTIPLEX POLL_IN POLL_INOUT POLL_OUT PREREQFUNC_ABORT PREREQFUNC_OK PREREQFUNCTION
PRETRANSFER_TIME PRIMARY_IP PROTO_HTTP PROTO_HTTPS PROTOCOLS PROXY RESOLVE SOCKET_BAD SOCKET_TIMEOUT
SSL_VERIFYHOST SSL_VERIFYPEER SSLCERT SSLKEY URL USERAGENT version WRITEFUNCTION
"""
_NAMES = {"pycurl": _NAMES_OF_PYCURL.split()}


def check_installed(*modules: str) -> None:
    """Load these modules.

    Raises:
        MissingDependency: one cannot be loaded, or has not what is used of it; one line with the way out.
    """
    for name in modules:
        package = _PACKAGES.get(name, name)
        try:
            module = import_module(name)
        except ImportError as error:
            reason = " ".join(str(error).split())
            raise MissingDependency(
                f"the package {package} cannot be loaded: {reason}; install it again: {_pip(package)}"
            ) from error
        if missing := [needed for needed in _NAMES.get(name, ()) if not hasattr(module, needed)]:
            raise MissingDependency(
                f"the installed {package} {_version(package)} has no {', '.join(missing[:3])};"
                f" install another: {_pip(package)}"
            )


def install_extra(extra: str) -> str:
    """The command that installs what an extra consists of, such as ``pip install 's3fs>=2024.2'``.

    The packages and not ``img2dataset[s3]``: by that name pip finds 1.47.0 for as long as this version is not
    released, and puts it in this one's place.
    """
    packages = []
    for text in _wanted():
        requirement, _, condition = text.partition(";")
        if re.search(rf"""extra\s*==\s*["']{re.escape(extra)}["']""", condition):
            packages.append(requirement.strip())
    # Nothing is known of extras where the program lies without its metadata: a clone on the path.
    return "pip install " + (" ".join(shlex.quote(package) for package in packages) or f"'.[{extra}]'")


def _pip(package: str) -> str:
    return f"pip install --upgrade --force-reinstall '{_requirement(package)}'"


def _requirement(package: str) -> str:
    """What this program's own metadata ask for, such as ``pycurl>=7.45.7``."""
    plain = [text.partition(";")[0].strip() for text in _wanted()]
    return next((text for text in plain if text.lower().startswith(package.lower())), package)


def _wanted() -> list[str]:
    from importlib import metadata  # tens of milliseconds, in every worker

    try:
        return metadata.requires("img2dataset") or []
    except metadata.PackageNotFoundError:
        return []


def _version(package: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of unknown version"
