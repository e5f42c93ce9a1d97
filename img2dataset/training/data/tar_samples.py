"""Samples of a tar that any tool has packed, read forwards. Called by ``tar_stream``.

In: a path on any file system, which need not be able to seek. Out: samples as the webdataset library groups
them: members of one name up to a dot, beside each other. The library reads on ``tarfile``, for which a
damaged tar is a shorter one; so the stream it reads is checked, and what it gives is counted.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from img2dataset.counted import counted
from img2dataset.errors import InputError, one_line
from img2dataset.formats.checked_tar import ByteStream, CheckedTar
from img2dataset.formats.dataset import IMAGE_NAMES
from img2dataset.formats.findings import BrokenFile
from img2dataset.formats.tar import Member
from img2dataset.storage.locations import locate
from img2dataset.training.data.tar_source import open_tar

KeyEnd = Literal["first_dot", "last_dot"]
KEY_ENDS = ("first_dot", "last_dot")

# What the library takes for notes about a tar, and leaves out.
_NOTES = re.compile(r"__[^/]*__($|/)")
_OF_THE_LIBRARY = ("__key__", "__url__", "__local_path__")
_HERE = re.compile(r"(\./+)+")
_PACK_AGAIN = "pack them beside each other (GNU tar: --sort=name)"


@dataclass(frozen=True, slots=True)
class TarSample:
    """One sample.

    Attributes:
        key: what its members' names have in common, with the folder in the tar.
        image: the bytes of its image.
        metadata: the object of its json, or nothing.
        caption: the text of its txt; None where there is none.
        files: the contents of all others, by ending.
    """

    key: str
    image: bytes
    metadata: dict[str, Any]
    caption: str | None
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class TarReader:
    """How tars are read.

    Args:
        key_end: the dot of a member's name that its ending begins behind.
        image_ending: of the images, lower case; None: told from the endings of image files.
    """

    key_end: KeyEnd = "first_dot"
    image_ending: str | None = None

    def samples(self, path: str) -> Iterator[TarSample]:
        """The samples of a tar, in its order.

        Raises:
            InputError: it cannot be opened, is cut short or damaged, or has members that are no whole sample.
        """
        try:
            with open_tar(locate(path, "tars", InputError)) as file:
                for parts in self._groups(file, path):
                    yield self._sample(parts)
        except BrokenFile as error:
            raise InputError(f"the tar {path!r} {error}") from error

    def _groups(self, source: ByteStream, path: str) -> Iterator[dict[str, Any]]:
        from webdataset import tariterators

        names = _Names(self.key_end)
        tar = CheckedTar(source, names.take)
        given = tariterators.tar_file_expander(
            iter([{"url": path, "stream": tar}]),
            rename_files=_without_here,
            select_files=names.is_sample_file,
        )
        samples = 0
        groups = tariterators.group_by_keys(names.checked(given), keys=names.key_and_ending)
        try:
            for count, group in enumerate(groups, start=1):
                samples = count
                yield group
        except BrokenFile:
            tar.check()  # the library adds to the errors that pass through it
            raise
        except Exception as error:
            tar.check()
            raise BrokenFile(f"is broken: {one_line(error)}") from error
        tar.finish()
        names.check_all_given(samples)

    def _sample(self, parts: dict[str, Any]) -> TarSample:
        key = parts["__key__"]
        files = {ending: value for ending, value in parts.items() if ending not in _OF_THE_LIBRARY}
        image = files.pop(self._image_ending(key, files))
        text, document = _only(files, "txt"), _only(files, "json")
        metadata = _object(key, files[document]) if document is not None else None
        if document is not None and metadata is not None:
            del files[document]
        try:
            caption = files.pop(text).decode() if text is not None else None
        except UnicodeDecodeError as error:
            raise BrokenFile(f"has a caption of {key!r} that is no UTF-8: {error}") from error
        return TarSample(key, image, metadata or {}, caption, files)

    def _image_ending(self, key: str, files: dict[str, bytes]) -> str:
        wanted = self.image_ending
        images = [
            ending
            for ending in files
            if (ending == wanted if wanted is not None else ending.rpartition(".")[2] in IMAGE_NAMES)
        ]
        if len(images) == 1:
            return images[0]
        if images:
            raise BrokenFile(
                f"has {len(images)} images of the sample {key!r}: {', '.join(images)}; say which with"
                " image_ending, or that names go to the last dot with key_end='last_dot'"
            )
        raise BrokenFile(
            f"has no image of the sample {key!r}, but {', '.join(files)}; if members of a sample are apart,"
            f" {_PACK_AGAIN}; if its image has another ending, say it with image_ending"
        )


class _Names:
    """The names of a tar's members, as they pass and as the library gives them."""

    def __init__(self, key_end: KeyEnd) -> None:
        self._key_end = key_end
        self._passed: deque[Member] = deque()
        self._given: Member | None = None  # what the library has read last
        self._files = 0
        self._key: str | None = None
        self._endings: set[str] = set()
        self._keys: set[str] = set()

    def take(self, member: Member) -> None:
        """Note a member that passes; folders are called so in the oldest tars."""
        if not _NOTES.match(member.name) and not member.name.endswith("/"):
            self._passed.append(member)
            self._files += 1

    def is_sample_file(self, name: str) -> bool:
        """Whether the library is to give a member; it asks for each that it reads. Hidden ones it is not."""
        self._given = self._passed.popleft() if self._passed else None
        return not name.rpartition("/")[2].startswith(".")

    def key_and_ending(self, name: str) -> tuple[str | None, str | None]:
        """As the library's own, which has no key for a name without an ending."""
        from webdataset import tariterators

        if self._key_end == "last_dot":
            key, dot, ending = name.rpartition(".")
            return (key, ending) if dot and "/" not in ending else (None, None)
        key, ending = tariterators.base_plus_ext(name)
        return key, ending

    def checked(self, files: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The members as they come, each sample's beside each other.

        Raises:
            BrokenFile: a name comes twice, the members of a sample are apart, or the library does not see the
                members that pass.
        """
        for file in files:
            if file:  # newer versions of the library put an empty one at the end of a tar
                if self._given is None or self._given.size != len(file["data"]):
                    size = counted(len(file["data"]), "byte")
                    raise BrokenFile(f"has {file['fname']}, which is read as {size}")
                self._check(file["fname"])
            yield file

    def _check(self, name: str) -> None:
        key, ending = self.key_and_ending(name)
        if key is None or ending is None:
            return
        if key != self._key:
            if key in self._keys:
                raise BrokenFile(f"has {name}, apart from the others of its sample; {_PACK_AGAIN}")
            self._keys.add(key)
            self._key, self._endings = key, set()
        if ending.lower() in self._endings:
            raise BrokenFile(f"has {name} twice")
        self._endings.add(ending.lower())

    def check_all_given(self, samples: int) -> None:
        """To be asked at the end, with the number of samples.

        Raises:
            BrokenFile: the library has not read each member, has left a sample out, or there is none.
        """
        if self._passed:
            unread = f"{len(self._passed):,} could not be read"
            raise BrokenFile(f"has {counted(self._files, 'file')}, of which {unread}")
        if samples != len(self._keys):
            raise BrokenFile(f"has {counted(len(self._keys), 'sample')}, of which {samples:,} could be read")
        if self._files and not samples:
            raise BrokenFile(f"has {counted(self._files, 'file')}, and none with an ending, so no sample")


def _without_here(name: str) -> str:
    """The name without the ``./`` that ``tar cf x.tar .`` begins each with."""
    return _HERE.sub("", name, count=1) if name.startswith("./") else name


def _only(files: dict[str, bytes], kind: str) -> str | None:
    """The ending that is of this kind, such as ``txt``; the one like ``b.txt``, if there is one alone."""
    if kind in files:
        return kind
    found = [ending for ending in files if ending.endswith("." + kind)]
    return found[0] if len(found) == 1 else None


def _object(key: str, document: bytes) -> dict[str, Any] | None:
    """The object of a json; None where it is another value."""
    try:
        value = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise BrokenFile(f"has a json of {key!r} that is none: {error}") from error
    return value if isinstance(value, dict) else None
