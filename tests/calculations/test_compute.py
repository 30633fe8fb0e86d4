"""energies.parquet: one row per requested sample, every failure with its reason, whatever happens on the way."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from latent3d.base.errors import UserError
from latent3d.calculations import stages
from latent3d.calculations.energies_file import read_energies
from latent3d.calculations.engine import LIMITS, Request
from latent3d.calculations.stages import EXPENSIVE, SINGLE_POINT
from latent3d.commands.compute import compute_files
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.parquet import read_parquet, write_parquet
from latent3d.data.molecules.read import write_molecules
from latent3d.data.records import concatenate

MINI = Path(__file__).parents[2] / "resources" / "mini.parquet"
WATER = np.array([[0.00783, 0.39774, 0.0], [-0.76723, -0.18385, 0.0], [0.75941, -0.21389, 0.0]])
NOTHING_MORE = Request(relaxation=0, strain=0)
RELAX, STRAIN, DYNAMICS, GFN2_DYNAMICS = EXPENSIVE


def _molecule(numbers, positions, bonds=None, charges=None):
    orders = None if bonds is None else np.ones(len(bonds), np.uint8)
    bonds = None if bonds is None else np.array(bonds, np.int16).reshape(-1, 2)
    charges = None if charges is None else np.array(charges, np.int8)
    positions = np.array(positions, np.float32).reshape(-1, 3)
    return Molecule(np.array(numbers, np.uint8), positions, bonds, orders, charges)


@pytest.fixture
def samples(tmp_path):
    """Samples of which the first and the last two are fine, with every other kind of failure between."""
    molecules = [
        _molecule([8, 1, 1], WATER),
        _molecule([], []),
        _molecule([8, 1, 1], WATER * np.nan),
        _molecule([0, 1], [[0, 0, 0], [0, 0, 1]]),
        _molecule([8, 1], WATER[:2]),
        _molecule([8, 1, 1], WATER * 0),
        _molecule([8, 1], WATER[:2], [(0, 1)], [-1, 0]),
        _molecule([8, 1, 1], WATER, [(0, 1), (0, 2)], [0, 0, 0]),
    ]
    table = pd.DataFrame(
        {"sample_index": np.arange(8) + 100, "seed": 0, "status": ["ok", "sanitise_failed"] + ["ok"] * 6}
    )
    path = tmp_path / "raw" / "samples.parquet"
    write_parquet(path, from_list(molecules, table))
    return path


@pytest.fixture(scope="module")
def mini():
    """250 molecules of at most seven heavy atoms, of all sizes: two chunks and a half."""
    molecules = read_parquet(MINI)
    molecules = molecules.take(np.linspace(0, len(molecules) - 1, 250).astype(int))
    return molecules.with_columns(sample_index=range(250), seed=0, status="ok")


def run(files, request=NOTHING_MORE, processes=1, checkpoints=None, **options):
    """`compute_files`, with its finished work beside the first file; the tables it wrote."""
    compute_files(files, request, processes, checkpoints or files[0].parent / "checkpoints", **options)
    return [read_energies(file.with_name("energies.parquet")) for file in files if "shard" not in options]


def test_every_sample_has_a_row_and_every_failure_a_reason(samples, monkeypatch):
    monkeypatch.setattr(stages, "PICOSECONDS", 0.02)
    rows = run([samples], Request(dynamics=None, gfn2_dynamics=None), processes=2)[0]
    assert rows["sample_index"].tolist() == list(range(100, 108))
    failures = ["sanitise_failed", "nan_coordinates", "foreign_element", "odd_electrons"]
    assert rows["status"].tolist() == ["ok", *failures, "scf_failed", "ok", "ok"]
    done = rows["status"] == "ok"
    assert rows.loc[~done, ["energy", "energy_per_atom", "dipole", "homo", "lumo", "gap"]].isna().all(axis=None)
    assert rows["charge"].tolist() == [0, 0, 0, 0, 0, 0, -1, 0]
    assert rows["unpaired_electrons"].tolist()[4] == 1
    assert rows[["atoms", "heavy_atoms"]].values.tolist()[6:] == [[2, 1], [3, 1]]
    assert rows["energy"][0] == pytest.approx(-5.07020801, abs=1e-6)
    assert rows["energy_per_atom"][0] == pytest.approx(-5.07020801 / 3, abs=1e-6)
    assert rows["energy"][7] == rows["energy"][0]
    assert rows["gap"][0] == pytest.approx(rows["lumo"][0] - rows["homo"][0])
    # What no calculation can start on is that in all of them; MMFF94s does not ask GFN2-xTB.
    for stage in EXPENSIVE:
        assert rows[stage.status].tolist()[:5] == ["ok", *failures]
        assert rows[stage.status].notna().all()
    assert rows["relax_status"][5] == "scf_failed" == rows["md_gfn2_status"][5]
    assert rows["strain_status"][5] not in ("ok", "scf_failed")
    assert rows["relaxation_energy"][7] == pytest.approx(627.5094740631 * (rows["energy"] - rows["energy_relaxed"])[7])
    assert 0 < rows["relaxation_energy"][7] < 5 and rows["graph_survived"][7]
    assert rows["relaxation_energy"].isna().tolist() == (rows["relax_status"] != "ok").tolist()
    assert rows["md_mmff_survived"][0] and rows["md_gfn2_survived"][7]
    assert rows["strain"][0] == pytest.approx(0, abs=1e-3)  # the geometry is one of MMFF94s


def test_what_a_failed_sample_left_is_not_computed(tmp_path):
    table = pd.DataFrame({"sample_index": [0, 1], "seed": 0, "status": ["ff_untyped", "ff_unconverged"]})
    write_parquet(tmp_path / "samples.parquet", from_list([_molecule([8, 1, 1], WATER)] * 2, table))
    rows = run([tmp_path / "samples.parquet"], Request(relaxation=0))[0]
    for column in ("status", "strain_status"):
        assert rows[column].tolist() == ["ff_untyped", "ok"]
    assert rows["energy"].isna().tolist() == [True, False] == rows["strain"].isna().tolist()


def test_bytes_do_not_depend_on_run_processes_or_shards(mini, tmp_path):
    samples, out = tmp_path / "samples.parquet", tmp_path / "energies.parquet"
    write_parquet(samples, mini)
    request = Request(relaxation=5, strain=20, dynamics=2, seed=4)
    rows = run([samples], request)[0]
    first = out.read_bytes()
    assert [rows[stage.status].notna().sum() for stage in EXPENSIVE] == [5, 20, 2, 0]
    out.unlink()
    run([samples], request, processes=3)
    assert out.read_bytes() == first
    out.unlink()
    shards = {"checkpoints": tmp_path / "shards"}
    for shard in (3, 1, 2):
        run([samples], request, shard=(shard, 3), **shards)
        assert not out.exists()
    # What the shards have done is found, not done again.
    kept = sorted((tmp_path / "shards").glob("*/*.json"))
    assert len(kept) == 3 + 3 + 3 + 2  # single points and strain of three chunks, and the chunks that were drawn
    relaxed = next(path for path in kept if path.name.startswith("relaxation"))
    relaxed.write_text(relaxed.read_text().replace('"ok"', '"marked"'))
    marked = run([samples], request, **shards)[0]
    assert (marked["relax_status"] == "marked").any()
    out.unlink()
    run([samples], request)
    assert out.read_bytes() == first


def test_finished_work_of_a_seed_is_found_again_when_another_joins_it(mini, tmp_path):
    samples, kept = tmp_path / "samples.parquet", tmp_path / "checkpoints"
    first, second = mini.take(np.arange(110)), mini.take(np.arange(110, 230)).with_columns(seed=1)
    write_parquet(samples, first)
    alone = run([samples], Request(relaxation=4, strain=0))[0]
    for path in kept.glob("*/single_point-*.json"):
        path.write_text(path.read_text().replace('"ok"', '"marked"'))
    write_parquet(samples, concatenate([first, second]))
    both = run([samples], Request(relaxation=4, strain=0))[0]
    assert both["seed"].tolist() == [0] * 110 + [1] * 120
    assert both["sample_index"].tolist() == [*range(110), *range(110, 230)]
    assert (both["status"] == "marked").tolist() == [True] * 110 + [False] * 120
    # As many of each seed are drawn, and the same of the first.
    assert both["relax_status"].notna().tolist()[:110] == alone["relax_status"].notna().tolist()
    assert both["relax_status"].notna()[110:].sum() == 4


def test_draws_are_nested_and_the_same_for_files_of_equal_length():
    few, many = (Request(relaxation=n, strain=None).drawn(RELAX, 1000) for n in (10, 100))
    assert few.sum() == 10 and many.sum() == 100 and not (few & ~many).any()
    assert (Request(relaxation=10).drawn(RELAX, 1000) == few).all()
    assert (Request(relaxation=10, seed=1).drawn(RELAX, 1000) != few).any()
    assert Request(relaxation=0).drawn(SINGLE_POINT, 7).all()
    assert Request(dynamics=9).drawn(DYNAMICS, 5).all()


def test_one_split_of_a_dataset(mini, tmp_path):
    write_parquet(tmp_path / "dataset.parquet", mini)
    rows = run([tmp_path / "dataset.parquet"], split="test")[0]
    test = np.flatnonzero(mini.table["split"] == "test")
    assert rows["sample_index"].tolist() == test.tolist() and (rows["status"] == "ok").all()


def test_text_files_bonds_are_perceived_and_unreadable_records_counted(tmp_path, from_smiles):
    molecules = [from_smiles(smiles) for smiles in ("CCO", "C#N", "COC=O")]
    write_molecules(tmp_path / "mine.xyz", from_list(molecules))
    text = (tmp_path / "mine.xyz").read_text()
    (tmp_path / "mine.xyz").write_text(text + "3\nbroken\nO 0 0 0\nH 0 0 x\nH 0 1 0\n")
    compute_files([tmp_path / "mine.xyz"], Request(dynamics=None), 2, tmp_path / "checkpoints")
    rows = read_energies(tmp_path / "mine.energies.parquet")
    for column in ("status", "relax_status", "strain_status", "md_mmff_status"):
        assert rows[column].tolist()[:3] == ["ok"] * 3 and rows[column][3] not in ("ok", None)
    assert rows["graph_survived"].tolist() == [True, True, True, None]


def test_units_and_provenance_are_in_the_file(samples):
    run([samples])
    metadata = json.loads(pq.read_schema(samples.with_name("energies.parquet")).metadata[b"latent3d"])
    assert metadata["units"]["energy"] == "hartree" and metadata["units"]["relaxation_energy"] == "kcal/mol"
    assert {"python", "tblite", "openmm"} < set(metadata["versions"]) and len(metadata["samples_sha256"]) == 64
    assert metadata["request"]["relaxation"] == 0
    names = set(read_energies(samples.with_name("energies.parquet")))
    assert set(metadata["units"]) < names


def test_a_file_without_samples(tmp_path):
    write_parquet(tmp_path / "samples.parquet", from_list([]))
    assert len(run([tmp_path / "samples.parquet"])[0]) == 0


def test_an_unreadable_file_is_found_before_the_work(samples, tmp_path):
    broken = tmp_path / "samples.parquet"
    broken.write_bytes(samples.read_bytes()[:100])
    with pytest.raises(UserError, match=r"samples\.parquet is not a readable"):
        run([samples, broken])
    assert not samples.with_name("energies.parquet").exists()
    (tmp_path / "graphs.smi").write_text("CCO\n")
    with pytest.raises(UserError, match="no coordinates"):
        run([tmp_path / "graphs.smi"])


def test_injected_faults_end_in_recorded_reasons_and_a_complete_table(tmp_path, from_smiles):
    """Overlapping atoms, a radical, 200 atoms with a limit of one second; healthy molecules around them."""
    ethanol, radical = from_smiles("CCO"), _molecule([8, 1], WATER[:2])
    overlapping = _molecule([6, 6, 8, 1, 1], np.zeros((5, 3)))
    lattice = 3.2 * np.stack(np.meshgrid(*[range(5)] * 3, indexing="ij"), -1).reshape(-1, 3)[:67]
    big = _molecule([8, 1, 1] * 67, (lattice[:, None] + WATER).reshape(-1, 3))
    molecules = [ethanol, overlapping, radical, big, ethanol]
    write_parquet(tmp_path / "samples.parquet", from_list(molecules))
    rows = run([tmp_path / "samples.parquet"], Request(), processes=2, limits={**LIMITS, "relaxation": 1.0})[0]
    assert len(big) == 201
    assert rows["status"].tolist() == ["ok", "scf_failed", "odd_electrons", "ok", "ok"]
    assert rows["relax_status"].tolist() == ["ok", "scf_failed", "odd_electrons", "timeout", "ok"]
    assert rows["relaxation_energy"].notna().tolist() == [True, False, False, False, True]
    assert rows["strain_status"].notna().all() and rows["strain_status"][4] == "ok"
    assert rows["relaxation_energy"][0] == rows["relaxation_energy"][4]


COMMAND = [sys.executable, "-m", "latent3d.cli", "energy"]
SETTINGS = ["--relaxation", "60", "--strain", "all", "--processes", "2"]


def start(folder, *options, **arguments):
    """`latent3d energy` on samples.parquet in its own process group."""
    return subprocess.Popen(
        [*COMMAND, "samples.parquet", *SETTINGS, *options],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **arguments,
    )


@pytest.fixture(scope="module")
def undisturbed(mini, tmp_path_factory):
    """energies.parquet of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_parquet(folder / "samples.parquet", mini)
    process = start(folder)
    message = process.communicate()[1]
    assert process.returncode == 0, message
    assert "250 single_point, 60 relaxation, 250 strain; about" in message
    return folder / "energies.parquet"


def _wait_for(condition, process):
    for _ in range(6000):
        if condition():
            return
        assert process.poll() is None, "ended before the fault"
        time.sleep(0.01)
    raise AssertionError("nothing happened")


def _workers_of(process):
    """Process identifiers of the workers: children that were spawned."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_a_worker_killed_by_signal_9_costs_its_molecule_alone(mini, tmp_path, undisturbed):
    write_parquet(tmp_path / "samples.parquet", mini)
    process = start(tmp_path)
    _wait_for(lambda: list(tmp_path.glob("checkpoints/*/single_point-0.json")), process)
    os.kill(_workers_of(process)[0], signal.SIGKILL)
    assert process.wait() == 0
    rows, whole = (read_energies(path) for path in (tmp_path / "energies.parquet", undisturbed))
    assert len(rows) == 250
    crashed = np.flatnonzero((rows == "crashed").any(axis=1))
    # None, if the worker was between two tasks.
    assert len(crashed) <= 1
    kept = np.delete(np.arange(250), crashed)
    pd.testing.assert_frame_equal(rows.iloc[kept], whole.iloc[kept])


def test_the_whole_command_killed_by_signal_9_continues_with_equal_bytes(mini, tmp_path, undisturbed):
    write_parquet(tmp_path / "samples.parquet", mini)
    process = start(tmp_path)
    _wait_for(lambda: list(tmp_path.glob("checkpoints/*/relaxation-1.json")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "energies.parquet").exists()
    finished = sum(1 for _ in tmp_path.glob("checkpoints/*/[!.]*.json"))
    assert finished >= 4
    again = start(tmp_path)
    message = again.communicate()[1]
    assert again.returncode == 0
    assert "250 single_point (250 of them done before)" in message
    assert (tmp_path / "energies.parquet").read_bytes() == undisturbed.read_bytes()


def test_a_full_disk_is_one_sentence_and_the_next_run_continues(mini, tmp_path, undisturbed):
    write_parquet(tmp_path / "samples.parquet", mini)

    def limit():
        # Files of single points of a chunk have about 18 kB, the table has more.
        resource.setrlimit(resource.RLIMIT_FSIZE, (26_000, 26_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    process = start(tmp_path, preexec_fn=limit)
    message = process.communicate()[1].splitlines()
    assert process.returncode == 2
    assert message[-1].startswith("latent3d: Cannot write ") and "Free space" in message[-1]
    assert "Traceback" not in "".join(message)
    assert not (tmp_path / "energies.parquet").exists()
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
    assert start(tmp_path).wait() == 0
    assert (tmp_path / "energies.parquet").read_bytes() == undisturbed.read_bytes()
