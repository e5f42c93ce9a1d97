"""The domain name that somebody has registered, of a host: ``wikimedia.org`` of ``upload.wikimedia.org``.

By the part of the Public Suffix List that the registries keep (https://publicsuffix.org), as the installed
package ``publicsuffixlist`` has it: ``co.uk`` is nobody's, and ``blogspot.com`` is one domain name.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@functools.lru_cache(1 << 16)
def domain_name_of(host: str) -> str:
    """The registered domain name of ``host`` (in small letters, without a port).

    An address, and a name that nobody can register (``localhost``, ``co.uk``), stand for themselves.
    """
    host = host.removesuffix(".")
    if host.startswith("[") or host.rpartition(".")[2].isdecimal():
        return host
    return _suffixes().privatesuffix(host) or host


@functools.cache
def _suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(only_icann=True)
