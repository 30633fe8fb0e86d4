"""Work that is continued where it was interrupted: its finished chunks, each a complete file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from latent3d.base.files import hash_configuration, read_json, write_text

Content = TypeVar("Content")


def write_compact_json(path: Path, content: Any) -> None:
    """One line of JSON, atomically. NaN is refused: a missing value is null."""
    write_text(path, json.dumps(content, allow_nan=False))


class FinishedChunks(Generic[Content]):
    """The finished chunks of one piece of work, in a folder named by everything that their contents depend on.

    What the contents do not depend on (how many chunks there are, shards, processes) stays out of `depends_on`: more
    chunks are then added to those that are there, and shards that run side by side fill one folder.

    Args:
        work: folder for work in progress (checkpoints).
        name: of the kind of work; begins the folder's name.
        depends_on: what the contents depend on, as JSON has it.
        suffix: of the files, by which some writers choose their format.
        write: writes a chunk atomically (`files.atomic_path`), so that a file is complete or absent.
        read: reads it.
    """

    def __init__(
        self,
        work: Path,
        name: str,
        depends_on: Any,
        suffix: str = ".json",
        write: Callable[[Path, Content], None] = write_compact_json,
        read: Callable[[Path], Content] = read_json,
    ) -> None:
        self.folder = work / f"{name}-{hash_configuration(depends_on)}"
        self._suffix, self._write, self._read = suffix, write, read

    def __contains__(self, chunk: str) -> bool:
        return self._path(chunk).is_file()

    def save(self, chunk: str, content: Content) -> None:
        """Keep a finished chunk.

        Raises:
            UserError: the disk is full, or the folder cannot be written to.
        """
        self._write(self._path(chunk), content)

    def load(self, chunk: str) -> Content:
        """A chunk that was kept.

        Raises:
            UserError: its file is missing or damaged.
        """
        return self._read(self._path(chunk))

    def forget(self) -> None:
        """Remove all chunks, and what a killed run was writing."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, chunk: str) -> Path:
        return self.folder / f"{chunk}{self._suffix}"
