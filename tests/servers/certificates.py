"""A certificate authority of our own, and server certificates it signs: good, expired, for another host."""

from __future__ import annotations

import datetime
from pathlib import Path

import trustme

LOOPBACK_HOSTS = ("localhost", *(f"127.0.0.{last}" for last in range(1, 17)))


class TestAuthority:
    """Signs certificates into ``folder``; ``authority_file`` is what a client has to trust."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.authority_file = str(folder / "authority.pem")
        self._authority.cert_pem.write_to_path(self.authority_file)

    def certificate(self, *hosts: str, expired: bool = False) -> str:
        """The path of a file with private key and chain, for ``hosts`` (default: every loopback address)."""
        names = hosts or LOOPBACK_HOSTS
        path = self._folder / f"{names[0]}{'-expired' if expired else ''}.pem"
        if not path.exists():
            now = datetime.datetime.now(datetime.timezone.utc)
            issued = self._authority.issue_cert(
                *names,
                not_before=now - datetime.timedelta(days=30),
                not_after=now + datetime.timedelta(days=-1 if expired else 30),
            )
            issued.private_key_and_cert_chain_pem.write_to_path(str(path))
        return str(path)
