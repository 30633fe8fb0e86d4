"""Greedy decoding of graphs over their length, against plain_decoding.py; memory of a data set, flat beside padded.

python benchmarks/graph_decoding.py [--preset cpu] [--molecules 20] [--sizes 9 18 36 72] [--repeats 3]

Writes results/bench_graph_decoding.csv and, where LATENT3D_MIRROR is set, results/bench_dataset_memory.csv; README.md
beside this file says how to read them. Networks are untrained and end a molecule only where nothing else is allowed,
so that molecules are as large as their grammar allows; both decoders have to give the same ones.
"""

import argparse
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plain_decoding
import torch

from latent3d.base.files import atomic_path
from latent3d.base.run import Run, resolve_device
from latent3d.data.datasets.qm9 import MIRROR_VARIABLE
from latent3d.data.molecules.parquet import read_parquet
from latent3d.graphs.conformers import read_conformers
from latent3d.graphs.molecular_graphs import RING_SIZES
from latent3d.plan import Row, settings
from latent3d.systems.latent3d.grammar import END, FEATURES, Builder, Grammar
from latent3d.systems.latent3d.sequences import read_sequences
from latent3d.systems.latent3d.settings import Topology
from latent3d.systems.latent3d.topology import TopologicalAutoencoder

RESULTS = Path(__file__).parents[1] / "results"
TYPES = ((6, 0, 4), (7, 0, 3), (8, 0, 2), (9, 0, 1), (16, 0, 6))
DRUGS, LARGEST_DRUG = 290_000, 181  # GEOM-Drugs as EDM takes it: molecules, atoms of the largest
DECODERS = {"plain": plain_decoding.decode, "ours": TopologicalAutoencoder.decode}


def counted(decode: Callable[[TopologicalAutoencoder, torch.Tensor], Builder]) -> Callable[..., tuple[Builder, int]]:
    """A decoder that also tells how many actions the longest molecule took."""

    def call(model: TopologicalAutoencoder, z: torch.Tensor) -> tuple[Builder, int]:
        steps, step = 0, Builder.step

        def one_more(builder: Builder, tokens: torch.Tensor) -> None:
            nonlocal steps
            steps += 1
            step(builder, tokens)

        Builder.step = one_more
        try:
            return decode(model, z), steps
        finally:
            Builder.step = step

    return call


def decoding(heavy: int, topology: Topology, count: int, repeats: int, run: Run) -> list[dict[str, Any]]:
    """One line per decoder: the best of some times for molecules of so many heavy atoms."""
    torch.manual_seed(0)
    model = TopologicalAutoencoder(Grammar(TYPES, heavy), topology).to(run.device).eval()
    with torch.no_grad():
        model.logits.bias[END] = -1e6
    z = torch.randn(count, model.code.latent, generator=torch.Generator().manual_seed(0)).to(run.device)
    lines, made = [], []
    for name, decode in DECODERS.items():
        builder, actions = counted(decode)(model, z)  # warms up
        made.append(builder.orders)
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            decode(model, z)  # waits for the device: it asks whether all molecules are finished
            seconds.append(time.perf_counter() - began)
        lines.append({"heavy_atoms": heavy, "actions": actions, "implementation": name, "seconds": min(seconds)})
    assert torch.equal(*made), "the decoders disagree"
    return [{**line, "speedup": lines[0]["seconds"] / line["seconds"]} for line in lines]


def with_growth(table: pd.DataFrame) -> pd.DataFrame:
    """The exponent of the actions with which the time grew, from the size before."""
    for _, lines in table.groupby("implementation"):
        growth = np.log(lines["seconds"]).diff() / np.log(lines["actions"]).diff()
        table.loc[lines.index, "exponent"] = growth
    return table


def memory(file: Path) -> pd.DataFrame:
    """Bytes per molecule of what training holds, flat and padded to the largest molecule of GEOM-Drugs."""
    conformers = read_conformers(read_parquet(file))
    graphs = conformers.graphs
    grammar = Grammar.of(graphs)
    sequences = read_sequences(grammar, graphs)
    n = LARGEST_DRUG
    heavy = math.ceil(n * grammar.max_atoms / graphs.sizes.max())
    length = math.ceil(heavy * sequences.tokens.counts.max() / grammar.max_atoms)
    actions = Grammar(grammar.types, heavy).size
    # numbers, charges, valences, ordinals, mask and rings in bytes, parents in int64; four matrices of bytes.
    padded = {
        "graphs": n * (5 + len(RING_SIZES) + 8) + 4 * n**2,
        "positions": 2 * 3 * 4 * n,
        "sequences": length * (8 * (1 + FEATURES) + actions),
    }
    flat = {
        "graphs": (graphs.atoms, graphs.bonds, graphs.source),
        "positions": (conformers.positions, conformers.mirrored),
        "sequences": (sequences.tokens, sequences.features, sequences.masks),
    }
    lines = []
    for what, parts in flat.items():
        size = sum(part.values.nbytes + part.offsets.nbytes for part in parts) / len(graphs)
        for layout, of_one in (("padded", padded[what]), ("flat", size)):
            line = {"array": what, "layout": layout, "bytes_per_molecule": of_one, "gb_of_drugs": of_one * DRUGS / 1e9}
            lines.append({**line, "ratio": padded[what] / of_one})
    return pd.DataFrame(lines)


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--molecules", type=int, default=20)
    parser.add_argument("--sizes", type=int, nargs="+", default=[9, 18, 36, 72])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run = Run(0, RESULTS, resolve_device(options.device))
    topology = settings(Row(base="latent3d"), "topology", options.preset)
    lines = [line for n in options.sizes for line in decoding(n, topology, options.molecules, options.repeats, run)]
    shared = {"molecules": options.molecules, "preset": options.preset, "device": run.device_name()}
    tables = {"graph_decoding": with_growth(pd.DataFrame(lines)).assign(**shared)}
    if os.environ.get(MIRROR_VARIABLE):
        tables["dataset_memory"] = memory(Path(os.environ[MIRROR_VARIABLE], "druglike", "druglike_gfn2.parquet"))
    for name, table in tables.items():
        print(table.to_string())
        with atomic_path(RESULTS / f"bench_{name}.csv") as path:
            table.to_csv(path, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
