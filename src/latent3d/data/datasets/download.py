"""Downloads that retry, resume, and end as a checked, complete file or not at all.

The library for this, pooch, starts an interrupted file anew; the archive of GEOM has 50 GB.
"""

import fcntl
import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from latent3d.base.errors import UserError
from latent3d.base.progress import Progress

_BLOCK = 1 << 16
_RETRIED_CODES = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Source:
    """A file on the network: where it is, and what it must be.

    Attributes:
        url: http or https address.
        size: bytes.
        md5: hexadecimal digest.
        remedy: what a user can do if it cannot be had, as a sentence.
    """

    url: str
    size: int
    md5: str
    remedy: str = ""


@dataclass(frozen=True)
class Patience:
    """How long to go on.

    Attributes:
        attempts: tries in a row that bring less than `minimum_bytes`; one that brings more starts the count again.
        backoff: seconds before the second try; doubled each time, at most 60.
        stall: seconds in which at least `minimum_bytes` must arrive.
        minimum_bytes: what counts as progress.
    """

    attempts: int = 6
    backoff: float = 2.0
    stall: float = 60.0
    minimum_bytes: int = 1 << 16


class _Interrupted(Exception):
    """This try ended early; the next one continues."""


def download(source: Source, path: Path | str, patience: Patience = Patience()) -> Path:
    """Fetch `source` to `path`, unless the right file is there already.

    Unfinished bytes stay in `path`.part and the next call continues there (HTTP Range); `path` itself is always the
    whole, checked file. A file of the wrong size or md5 is deleted.

    Raises:
        UserError: the server refuses or does not answer, the file is not the expected one, the disk is full, or
            another process is fetching the same file.
    """
    path = Path(path)
    if path.is_file():
        if _is_right(path, source):
            return path
        print(f"{path} is not the file published at {source.url}; fetching it again.", file=sys.stderr)
        path.unlink()
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: every byte that came is in the file, whatever ends this process.
        with open(part, "ab", buffering=0) as stream:
            _lock(stream, path)
            _fill(stream, source, path, patience)
            os.fsync(stream.fileno())
            _check(part, source, path)
            part.replace(path)
    except OSError as error:
        raise _cannot_write(part, error) from error
    return path


def _cannot_write(part: Path, error: OSError) -> UserError:
    return UserError(
        f"Cannot write {part}: {error.strerror or error}. Free space or choose another folder; "
        "the next run continues where this one stopped."
    )


def _is_right(path: Path, source: Source) -> bool:
    if path.stat().st_size != source.size:
        return False
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest() == source.md5


def _check(part: Path, source: Source, path: Path) -> None:
    if not _is_right(part, source):
        raise _wrong(source, path, part.stat().st_size)


def _wrong(source: Source, path: Path, size: int) -> UserError:
    """Delete what came, and say so."""
    path.with_name(f"{path.name}.part").unlink(missing_ok=True)
    return UserError(
        f"{source.url} does not deliver the expected file for {path} ({size} bytes came or were announced, expected "
        f"are {source.size} with md5 {source.md5}); what came was deleted. Run the command again. "
        f"{source.remedy}".strip()
    )


def _lock(stream: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(f"Another process is fetching {path} right now. Wait for it, then run this again.") from error


def _fill(stream: BinaryIO, source: Source, path: Path, patience: Patience) -> None:
    """Append to `stream` until it holds all bytes, over as many connections as it takes."""
    failures = 0
    while (have := stream.seek(0, os.SEEK_END)) < source.size:
        try:
            _fetch(stream, source, path, patience)
            reason = "the connection was closed early"
        except _Interrupted as interruption:
            reason = str(interruption)
        now = stream.seek(0, os.SEEK_END)
        if now >= source.size:
            return
        failures = 0 if now - have >= patience.minimum_bytes else failures + 1
        if failures >= patience.attempts:
            raise UserError(
                f"{source.url} could not be fetched after {failures} tries ({reason}). Check the network and run the "
                f"command again; it continues at byte {now}. {source.remedy}".strip()
            )
        wait = min(60.0, patience.backoff * 2 ** max(0, failures - 1))
        print(f"{path.name}: {reason}; trying again in {wait:.0f} s", file=sys.stderr)
        time.sleep(wait)


def _fetch(stream: BinaryIO, source: Source, path: Path, patience: Patience) -> None:
    """One connection: continue `stream` by a Range request, or start it again where the server ignores Range."""
    have = stream.tell()
    request = urllib.request.Request(source.url, headers={"User-Agent": "latent3d"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=patience.stall) as response:
            if have and not _continues(response, have):
                stream.truncate(0)
                stream.seek(0)
            announced = response.length
            if announced is not None and stream.tell() + announced != source.size:
                raise _wrong(source, path, stream.tell() + announced)
            _copy(response, stream, source, path, patience)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # what we have cannot be the start of this file
                stream.truncate(0)
                raise _Interrupted("the server could not continue the unfinished file") from error
            if error.code in _RETRIED_CODES:
                raise _Interrupted(f"the server answered {error.code}") from error
            raise UserError(f"{source.url} answered {error.code} {error.reason}. {source.remedy}".strip()) from error
    except urllib.error.URLError as error:
        raise _Interrupted(f"no connection: {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:  # the network's: _write makes the disk's UserErrors
        raise _Interrupted(str(error) or type(error).__name__) from error


def _write(stream: BinaryIO, block: bytes, path: Path) -> None:
    try:
        while block:
            block = block[stream.write(block) :]
    except OSError as error:
        raise _cannot_write(path.with_name(f"{path.name}.part"), error) from error


def _continues(response: http.client.HTTPResponse, have: int) -> bool:
    return response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _copy(response: http.client.HTTPResponse, stream: BinaryIO, source: Source, path: Path, patience: Patience) -> None:
    window = time.monotonic()
    done = window_done = stream.tell()
    progress = Progress(path.name, source.size / 1e6, "MB", start=done / 1e6)
    while block := response.read1(_BLOCK):
        done += len(block)
        if done > source.size:
            raise _wrong(source, path, done)
        _write(stream, block, path)
        now = time.monotonic()
        if now - window > patience.stall:
            if done - window_done < patience.minimum_bytes:
                raise _Interrupted(f"only {done - window_done} bytes came in {now - window:.0f} s")
            window, window_done = now, done
        progress.show(done / 1e6)
