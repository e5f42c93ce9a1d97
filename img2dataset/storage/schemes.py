"""Which package the scheme of a path needs: the one table of it. Called where a path is opened or allowed."""

from __future__ import annotations

from collections.abc import Iterable

from img2dataset.installation import install_extra

# Object stores, each with the extra of this project that names its package.
_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "adl": "azure",
    "hf": "hf",
}

# Here a file that is being uploaded can already be seen, and a move is one step; on an object store an
# object appears whole, and a move is another copy.
_SHOW_PARTIAL_FILES = frozenset({"hdfs", "arrow_hdfs", "webhdfs", "sftp", "ssh", "ftp", "smb"})

# Here a move replaces a file that stands at its end, in one step, if the server is OpenSSH's or has its way.
_MOVE_ONTO_FILES = frozenset({"sftp", "ssh"})

# Here a file system is one connection, whose answers threads take from each other: paramiko's and ftplib's.
_ONE_AT_A_TIME = frozenset({"sftp", "ssh", "ftp"})


def are_of_stores(schemes: Iterable[str]) -> bool:
    """Whether folders need not be made there, and buckets are not ours to make."""
    return not _EXTRAS.keys().isdisjoint(schemes)


def show_partial_files(schemes: Iterable[str]) -> bool:
    """Whether a file can be seen under its name while it is being uploaded."""
    return not _SHOW_PARTIAL_FILES.isdisjoint(schemes)


def move_onto_files(schemes: Iterable[str]) -> bool:
    """Whether a move may put a file in place of another; where it does not, it fails."""
    return not _MOVE_ONTO_FILES.isdisjoint(schemes)


def take_one_at_a_time(schemes: Iterable[str]) -> bool:
    """Whether two threads that use a file system at once may wait for ever."""
    return not _ONE_AT_A_TIME.isdisjoint(schemes)


def schemes_of(path: str) -> list[str]:
    """The schemes of a path, more than one where it is a chain: ``simplecache::s3://bucket/name``."""
    return [link.partition("://")[0] for link in path.split("::") if "://" in link] or ["file"]


def way_to_install(schemes: Iterable[str], error: ImportError) -> str:
    """What to do about the package that is missing for one of these schemes.

    Args:
        schemes: of a path.
        error: what was raised for want of the package; for a scheme without an extra it names the package.
    """
    extra = next((_EXTRAS[scheme] for scheme in schemes if scheme in _EXTRAS), None)
    return install_extra(extra) if extra else " ".join(str(error).split())
