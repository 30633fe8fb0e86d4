"""Training speed of LDM-3DG's topological autoencoder, against loops over molecules, one at a time.

python benchmarks/motif_autoencoder.py [--quick]

Writes results/bench_motif_autoencoder.csv; README.md beside this file says how to read it. All lines are measured in
one process, at the authors' size (250 wide, 5,636 motifs, 15,864 pairs) and a small one, with the same molecules,
noise and batch: gradients of the mean loss, then Adam. `plain` is plain_motifs.py, molecule by molecule; `ours, one by
one` is the suite's network on batches of one. Molecules are QM9's where LATENT3D_MIRROR is set, else the embedded ones.
Times of a processor are those that one thread computed. On a machine with a GPU its lines follow those of the
processor. --quick: a small network and eight molecules.
"""

import argparse
import itertools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import plain_motifs
import torch

from latent3d.base.files import atomic_path
from latent3d.base.run import Run
from latent3d.data.datasets.qm9 import MIRROR_VARIABLE
from latent3d.data.molecules.bonds import with_smiles_bonds
from latent3d.data.molecules.molecules import Molecules
from latent3d.data.molecules.parquet import read_parquet
from latent3d.systems.ldm3dg.settings import Topology
from latent3d.systems.ldm3dg.topology.autoencoder import TopologicalAutoencoder
from latent3d.systems.ldm3dg.topology.motifs import ROOT, Vocabulary
from latent3d.systems.ldm3dg.topology.trees import MotifTrees, read_trees

REPOSITORY = Path(__file__).parents[1]
BETA = 0.1


def molecules() -> Molecules:
    """Some thousand molecules with bonds, for a vocabulary of that many."""
    if os.environ.get(MIRROR_VARIABLE):
        data = read_parquet(Path(os.environ[MIRROR_VARIABLE], "qm9", "qm9_geometries.parquet"))
        return with_smiles_bonds(data.take(np.random.default_rng(0).permutation(len(data))[:4000]), 1)
    return read_parquet(REPOSITORY / "resources" / "mini.parquet")


def padded(found: Vocabulary) -> Vocabulary:
    """A vocabulary with unused entries up to the authors' 5,636 motifs, 15,864 pairs and 69 types."""
    chains = ("C" + "".join(letters) for letters in itertools.product("CNO", repeat=8))
    motifs = found.motifs + tuple(itertools.islice(chains, 5_636 - len(found.motifs)))
    pairs = [(motif, site) for site in (ROOT, 0, 1, 2) for motif in range(len(found.motifs), 5_636)]
    pairs = found.pairs + tuple(sorted(pairs[: 15_864 - len(found.pairs)]))
    return Vocabulary(found.types + tuple((118, 0, valence) for valence in range(69 - len(found.types))), motifs, pairs)


def steps(model: TopologicalAutoencoder, trees: MotifTrees, device: str) -> dict[str, Callable[[], float]]:
    """A training step on all molecules, by three implementations; each returns the loss before the step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0, fused=True)  # all of its work, but the weights stay
    rows = np.arange(len(trees))

    def ours() -> float:
        generator = torch.Generator().manual_seed(0)
        optimizer.zero_grad()
        loss = model(trees.select(rows, device), generator, BETA)["loss"]
        loss.backward()
        optimizer.step()
        return loss.item()

    def one_by_one(loss_of_one: Callable[..., torch.Tensor]) -> Callable[[], float]:
        def step() -> float:
            # Of 32 numbers for each molecule: the same noise as in one piece.
            generator = torch.Generator().manual_seed(0)
            optimizer.zero_grad()
            total = 0.0
            for row in rows:
                loss = loss_of_one(model, trees.select([row], device), generator, BETA) / len(rows)
                loss.backward()
                total += loss.item()
            optimizer.step()
            return total

        return step

    def ours_of_one(
        model: TopologicalAutoencoder, batch: object, generator: torch.Generator, beta: float
    ) -> torch.Tensor:
        return model(batch, generator, beta)["loss"]

    return {"plain": one_by_one(plain_motifs.loss), "ours, one by one": one_by_one(ours_of_one), "ours": ours}


def _seconds(step: Callable[[], float], device: str, repeats: int) -> tuple[float, float]:
    """Best time of a step, after one to warm up, and its loss."""
    clock = time.perf_counter if device == "cuda" else time.process_time
    times = []
    for _ in range(repeats + 1):
        began = clock()
        loss = step()  # ends with the loss read from the device
        times.append(clock() - began)
    return min(times[1:]), loss


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    # Width, vocabulary, molecules in a batch: as the authors trained, and a size for a processor.
    data = molecules()
    own = Vocabulary.of(data)
    sizes = [(32, own, 8)] if quick else [(250, padded(own), 32), (96, own, 128)]
    trees = read_trees(own, data)
    rows = np.random.default_rng(1).permutation(len(trees))
    lines = []
    for device in ["cpu"] + (["cuda"] if torch.cuda.is_available() else []):
        for width, vocabulary, count in sizes:
            torch.manual_seed(0)
            model = TopologicalAutoencoder(vocabulary, Topology(hidden=width, embed=width)).to(device)
            measured = steps(model, read_trees(vocabulary, data.take(trees.index[rows[:count]])), device)
            found = {name: _seconds(step, device, repeats=1 if quick else 2) for name, step in measured.items()}
            for name, (seconds, loss) in found.items():
                lines.append(
                    {
                        "implementation": name,
                        "device": Run(0, Path(), device).device_name(),
                        "hidden": width,
                        "parameters": sum(p.numel() for p in model.parameters()),
                        "molecules": count,
                        "loss": loss,
                        "training_molecules_per_s": count / seconds,
                        "training_speedup": found["plain"][0] / seconds,
                    }
                )
            print(pd.DataFrame(lines[-3:]).to_string(index=False), file=sys.stderr)
    with atomic_path(REPOSITORY / "results" / "bench_motif_autoencoder.csv") as temporary:
        pd.DataFrame(lines).to_csv(temporary, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
