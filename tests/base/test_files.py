"""The contract of every file that this project writes: complete or absent, whatever happens."""

import hashlib
import json
import os
import resource as limits
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from latent3d.base.errors import UserError
from latent3d.base.files import (
    atomic_path,
    beside,
    hash_configuration,
    hash_file,
    part_of,
    read_json,
    resource,
    stem,
    write_json,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_complete_and_nothing_else_is_left(tmp_path):
    target = tmp_path / "new" / "folder" / "samples.sdf.gz"
    with atomic_path(target) as temporary:
        # Writers choose the format by the suffix; a rename is atomic within one folder only.
        assert temporary.suffix == ".gz" and temporary.parent == target.parent and temporary.name.startswith(".")
        temporary.write_text("half")
        assert not target.exists()
        temporary.write_text("whole")
    assert target.read_text() == "whole" and names(target.parent) == ["samples.sdf.gz"]
    assert target.stat().st_mode & 0o777 == 0o644  # not the private mode of temporary files


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_keeps_the_file_that_was_there_and_its_own_name(tmp_path, error):
    target = tmp_path / "a.json"
    target.write_text("before")
    with pytest.raises(error, match="the writer's"), atomic_path(target) as temporary:
        temporary.write_text("after")
        raise error("the writer's")
    assert target.read_text() == "before" and names(tmp_path) == ["a.json"]


def test_an_interruption_between_write_and_rename_keeps_the_file_that_was_there(tmp_path, monkeypatch):
    def interrupted(descriptor):
        raise KeyboardInterrupt

    target = tmp_path / "a.json"
    target.write_text("before")
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_text(target, "after")
    assert target.read_text() == "before" and names(tmp_path) == ["a.json"]


KILLED = """
import os, signal, sys
from pathlib import Path
from latent3d.base.files import atomic_path

if sys.argv[2] == "before the rename":
    os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
with atomic_path(Path(sys.argv[1])) as temporary:
    with open(temporary, "w") as stream:
        stream.write("after")
        stream.flush()
        if sys.argv[2] == "while writing":
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["while writing", "before the rename"])
def test_a_kill_keeps_the_file_that_was_there(tmp_path, moment):
    target = tmp_path / "a.json"
    target.write_text("before")
    done = subprocess.run([sys.executable, "-c", KILLED, target, moment])
    assert done.returncode == -signal.SIGKILL
    assert target.read_text() == "before"
    assert len(names(tmp_path)) == 2  # what it was writing, hidden


@pytest.fixture()
def at_most_a_kilobyte():
    """Files of this process cannot grow beyond it: as on a full disk, writing fails in their middle."""
    before = limits.getrlimit(limits.RLIMIT_FSIZE)
    limits.setrlimit(limits.RLIMIT_FSIZE, (1000, before[1]))
    yield
    limits.setrlimit(limits.RLIMIT_FSIZE, before)


def test_a_file_that_cannot_be_finished_is_a_sentence_and_the_old_one_stays(tmp_path, at_most_a_kilobyte):
    target = tmp_path / "a.json"
    write_text(target, "before")
    with pytest.raises(UserError, match=r"Cannot write .*a\.json: File too large\. Free space"):
        write_text(target, "after" * 1000)
    assert target.read_text() == "before" and names(tmp_path) == ["a.json"]


FULL = """
import sys
from pathlib import Path
from latent3d.base.errors import UserError
from latent3d.base.files import write_text

folder = Path(sys.argv[1])
write_text(folder / "a.json", "before")
try:
    write_text(folder / "a.json", "after" * 100_000)
except UserError as error:
    print(error)
print((folder / "a.json").read_text(), len(list(folder.iterdir())))
"""


def test_a_full_disk_is_a_sentence_and_the_old_file_stays(tmp_path):
    mount = 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"'
    shell = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, tmp_path]
    if not shutil.which("unshare") or subprocess.run([*shell, "true"], capture_output=True).returncode:
        pytest.skip("a disk of 64 kB cannot be mounted here")
    done = subprocess.run([*shell, sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=True)
    sentence, left = done.stdout.splitlines()
    assert sentence == (
        f"Cannot write {tmp_path / 'a.json'}: No space left on device. Free space or choose another folder."
    )
    assert left == "before 1"


def test_a_folder_that_cannot_be_written_to_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"Cannot write .*file/a\.json: .* choose another folder"):
        write_text(tmp_path / "file" / "a.json", "")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"Cannot write .*folder: Is a directory"):
        write_text(tmp_path / "folder", "")
    assert names(tmp_path) == ["file", "folder"]


def test_json_is_sorted_readable_and_without_nan(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"b": [1, None, 0.1], "a": "Å"})
    assert list(json.loads(path.read_text())) == ["a", "b"] and path.read_text().count("\n") > 3
    assert read_json(path) == {"a": "Å", "b": [1, None, 0.1]}
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(path, {"a": value})
    assert read_json(path) == {"a": "Å", "b": [1, None, 0.1]} and names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("damaged", [b"", b'{"a": 1', b"\xff\xfe"])
def test_a_damaged_json_file_is_named_with_the_remedy(tmp_path, damaged):
    (tmp_path / "a.json").write_bytes(damaged)
    with pytest.raises(UserError, match=r"a\.json is not a readable JSON file .* Delete it and make it again"):
        read_json(tmp_path / "a.json")


def test_a_missing_file_is_named_with_the_remedy(tmp_path):
    with pytest.raises(UserError, match=r"a\.json does not exist\. Run the rule that makes it"):
        read_json(tmp_path / "a.json")
    with pytest.raises(UserError, match=r"a\.json cannot be read: No such file"):
        hash_file(tmp_path / "a.json")


def test_hashes_are_those_of_every_other_program(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(content)
    assert hash_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()
    assert hash_file(tmp_path / "a", "md5") == hashlib.md5(content).hexdigest()


def test_a_configuration_is_known_by_its_content_alone():
    one = hash_configuration({"a": 1, "b": {"c": [1.5, None], "d": "x"}})
    assert one == hash_configuration({"b": {"d": "x", "c": [1.5, None]}, "a": 1})
    assert one == hashlib.sha256(b'{"a":1,"b":{"c":[1.5,null],"d":"x"}}').hexdigest()[:16]
    assert one != hash_configuration({"a": 1, "b": {"c": [None, 1.5], "d": "x"}})
    with pytest.raises(ValueError, match="not JSON compliant"):
        hash_configuration({"a": float("nan")})


@pytest.mark.parametrize(
    ("file", "base", "measurement"),
    [
        ("mine.sdf", "mine", "mine.energies.parquet"),
        ("epoch1.5.sdf.gz", "epoch1.5", "epoch1.5.energies.parquet"),
        ("no_suffix", "no_suffix", "no_suffix.energies.parquet"),
        ("samples.parquet", "samples", "energies.parquet"),
        ("dataset.parquet", "dataset", "energies.parquet"),
    ],
)
def test_measurements_lie_beside_their_molecules(file, base, measurement):
    assert stem(Path("folder", file)) == base
    assert beside(Path("folder", file), "energies.parquet") == Path("folder", measurement)


@pytest.mark.parametrize("items", [range(0), range(7), range(0, 1000, 100), range(3, 50)])
@pytest.mark.parametrize("parts", [1, 2, 3, 11])
def test_parts_are_everything_once_and_of_nearly_equal_size(items, parts):
    pieces = [part_of(items, number, parts) for number in range(1, parts + 1)]
    assert [item for piece in pieces for item in piece] == list(items)
    sizes = [len(piece) for piece in pieces]
    assert max(sizes) - min(sizes) <= 1


def test_resources_are_those_of_the_checkout():
    assert resource("mini.parquet").is_file()
