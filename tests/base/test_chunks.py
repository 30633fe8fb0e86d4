"""Finished chunks survive an interruption, belong to what they depend on, and are complete or absent."""

import multiprocessing
import signal

import pytest

from latent3d.base.chunks import FinishedChunks
from latent3d.base.errors import UserError
from latent3d.data.molecules.molecules import from_list
from latent3d.data.molecules.parquet import read_metadata, read_parquet, write_parquet
from tasks import save_and_die


def test_a_second_run_finds_what_the_first_one_finished(tmp_path):
    FinishedChunks(tmp_path, "energy", {"seed": 1}).save("relax-0", [[3, "ok", {"energy": -0.1 - 0.2}]])
    again = FinishedChunks(tmp_path, "energy", {"seed": 1})
    assert "relax-0" in again and "relax-1" not in again
    assert again.load("relax-0") == [[3, "ok", {"energy": -0.1 - 0.2}]]


def test_chunks_of_other_work_are_not_found(tmp_path):
    FinishedChunks(tmp_path, "energy", {"seed": 1}).save("0", [1])
    assert "0" not in FinishedChunks(tmp_path, "energy", {"seed": 2})
    assert "0" not in FinishedChunks(tmp_path, "sample", {"seed": 1})


def test_forget_removes_this_work_alone_and_what_a_killed_run_was_writing(tmp_path):
    one, other = (FinishedChunks(tmp_path, "energy", {"seed": seed}) for seed in (1, 2))
    one.save("0", [1])
    other.save("0", [2])
    (one.folder / ".1-abc.json").write_text("[half")
    one.forget()
    one.forget()
    assert "0" not in one and other.load("0") == [2]
    assert [path.name for path in tmp_path.iterdir()] == [other.folder.name]


def test_a_damaged_chunk_is_named(tmp_path):
    chunks = FinishedChunks(tmp_path, "energy", {})
    chunks.save("0", [1])
    (chunks.folder / "0.json").write_text("[1,")
    with pytest.raises(UserError, match=r"0\.json is not a readable JSON file"):
        chunks.load("0")
    with pytest.raises(UserError, match=r"1\.json does not exist"):
        chunks.load("1")


def test_what_json_cannot_hold_leaves_no_chunk(tmp_path):
    chunks = FinishedChunks(tmp_path, "energy", {})
    with pytest.raises(ValueError, match="not JSON compliant"):
        chunks.save("0", [float("nan")])
    assert "0" not in chunks


def test_chunks_of_molecules_with_their_time(tmp_path, from_smiles):
    def write(path, drawn):
        write_parquet(path, drawn[0], {"seconds": drawn[1]})

    def read(path):
        return read_parquet(path), read_metadata(path)["seconds"]

    chunks = FinishedChunks(tmp_path, "sample", {"system": "edm"}, ".parquet", write, read)
    chunks.save("1-0-2", (from_list([from_smiles("CCO"), from_smiles("C")]), 0.25))
    found, seconds = chunks.load("1-0-2")
    assert seconds == 0.25 and [len(molecule) for molecule in found] == [9, 5]


def test_a_chunk_whose_writer_is_killed_is_absent(tmp_path):
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=save_and_die, args=(tmp_path,))
    process.start()
    process.join(60)
    chunks = FinishedChunks(tmp_path, "energy", {}, ".txt")
    assert process.exitcode == -signal.SIGKILL
    assert "0" in chunks and "1" not in chunks
    assert len(list(chunks.folder.iterdir())) == 2
