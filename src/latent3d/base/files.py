"""Files that are either complete or absent: atomic writes, hashes, provenance."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latent3d.base.errors import UserError


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success rename it to `path`, on failure remove it.

    The temporary file is flushed to disk before the rename, so that `path` never names half a file. The
    temporary name keeps the suffix of `path`, since writers choose the format by it.

    Raises:
        UserError: the disk is full or the folder cannot be written to.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror}. Free space or choose another folder.") from error
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno is None:
            raise
        raise UserError(f"Cannot write {path}: {error.strerror}. Free space or choose another folder.") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def beside(samples: Path, name: str) -> Path:
    """Where a measurement of a molecule file belongs: `mine.name` beside mine.sdf.

    Just `name` beside samples.parquet and dataset.parquet, which have a folder of their own in results/.
    """
    own = stem(samples)
    return samples.with_name(name if own in ("samples", "dataset") else f"{own}.{name}")


def resource(name: str) -> Path:
    """A file or folder of the repository's resources/ (only a checkout has them, an installed package does not)."""
    return Path(__file__).parents[3] / "resources" / name


def part_of(items: range, number: int, parts: int) -> range:
    """The items of the number-th (from 1) of so many parts of nearly equal size."""
    first, last = (len(items) * bound // parts for bound in (number - 1, number))
    return items[first:last]


def stem(file: Path) -> str:
    """The file's name without the endings of its format: `epoch1.5` of epoch1.5.sdf.gz."""
    name = file.name.removesuffix(".gz")
    return name.rpartition(".")[0] or name


def write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented, key-sorted JSON, atomically. NaN is refused: a missing value is null."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist. Run the rule that makes it, or check the path.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is not a readable JSON file ({error}). Delete it and make it again.") from error


def hash_file(path: Path | str, algorithm: str = "sha256") -> str:
    """Hexadecimal digest of a file's bytes.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, algorithm).hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Check the path, or make the file.") from error


def hash_configuration(value: Any) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the value's canonical JSON. Names checkpoint folders."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
