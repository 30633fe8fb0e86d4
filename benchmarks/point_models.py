"""Speed and memory of EDM, GeoLDM, GDM and GraphLDM against the same networks written plainly (scatter_egnn.py).

python benchmarks/point_models.py [--quick]

Writes results/bench_point_models.csv; README.md beside this file says how to read it. Each line is a process of its
own, one after the other on this machine: training steps (forward, backward, AdamW, float32) of 64 molecules with
the authors' networks for QM9, network evaluations of a sampling step for 64, and the peak memory of both. The plain
networks get the batch as the authors give it: padded to its largest molecule, all at once. Molecules are QM9's where
LATENT3D_MIRROR is set, else clouds of about its numbers of atoms. On a machine with a GPU its lines follow those of the
processor. --quick takes eight molecules and one repeat, to try the script out.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scatter_egnn
import torch

from latent3d.base.files import atomic_path
from latent3d.base.run import Run
from latent3d.data.datasets.qm9 import MIRROR_VARIABLE
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.parquet import read_parquet
from latent3d.diffusion.points import PointCondition, PointNetwork, eps_loss
from latent3d.graphs.point_clouds import PointCloudBatch, PointClouds, read_clouds
from latent3d.nets.compiling import compile_layers
from latent3d.nets.egnn import EGNN, GNN, PAIRS_AT_ONCE
from latent3d.plan import Row, settings
from latent3d.systems.edm.model import AtomDiffusion
from latent3d.systems.geoldm.model import PointAutoencoder, latent_denoiser
from latent3d.training.loop import parts

ROOT = Path(__file__).parents[1]
ELEMENTS, LARGEST = (1, 6, 7, 8, 9), 29
KINDS = {"edm": EGNN, "geoldm": EGNN, "gdm": GNN, "graphldm": GNN}
STEPS = 1000  # of the chain


def molecules(count: int) -> PointClouds:
    """`count` molecules of QM9's sizes."""
    if os.environ.get(MIRROR_VARIABLE):
        data = read_parquet(Path(os.environ[MIRROR_VARIABLE], "qm9", "qm9_geometries.parquet"))
        return read_clouds(data.take(np.random.default_rng(0).permutation(len(data))[:count]), ELEMENTS)[0]
    rng = np.random.default_rng(0)
    counts = rng.normal(18, 3, count).round().clip(5, 27).astype(int)
    random = [Molecule(rng.choice(ELEMENTS, n), 2 * rng.normal(size=(n, 3))) for n in counts]
    return read_clouds(from_list(random), ELEMENTS)[0]


def networks(system: str, device: str) -> tuple[torch.nn.ModuleList, PointNetwork, Callable[..., torch.Tensor]]:
    """All that a training step of the authors trains, the denoising network, and the loss of a batch."""
    torch.manual_seed(0)
    kind = KINDS[system]
    diffusion = settings(Row(base=system), "diffusion", "default")
    if system in ("edm", "gdm"):
        model = AtomDiffusion(kind, ELEMENTS, LARGEST, diffusion).to(device)
        loss: Callable[..., torch.Tensor] = lambda clouds, generator: model(clouds, generator)["loss"]  # noqa: E731
        return torch.nn.ModuleList([model]), model.denoiser.network, loss
    of_autoencoder = settings(Row(base=system), "autoencoder", "default")
    autoencoder = PointAutoencoder(kind, ELEMENTS, LARGEST, of_autoencoder).to(device)
    denoiser = latent_denoiser(kind, autoencoder.latent, diffusion).to(device)

    def both(clouds: PointCloudBatch, generator: torch.Generator) -> torch.Tensor:
        """Reconstruction and diffusion, as the released code adds them."""
        with torch.no_grad():
            z = autoencoder.draw(autoencoder.encode(clouds), clouds.mask, generator)
        rebuilt = autoencoder(clouds, generator, train_encoder=False)["loss"]
        return rebuilt + eps_loss(denoiser, z, PointCondition(clouds.mask), LARGEST, generator, discrete=False)

    return torch.nn.ModuleList([autoencoder, denoiser]), denoiser.network, both


def measure(system: str, plain: bool, device: str, count: int, repeats: int) -> dict[str, Any]:
    """Seconds of a training step and of a sampling step for `count` molecules, the best of some, and peak memory."""
    trained, network, loss = networks(system, device)
    if plain:
        EGNN.forward = GNN.forward = scatter_egnn.forward
    else:
        compile_layers(trained)
    clouds = molecules(count).to(device)
    at_once = None if plain else PAIRS_AT_ONCE[device]
    batches = [clouds.padded(part) for part in parts(torch.arange(count), clouds.sizes, at_once)]
    optimizer = torch.optim.AdamW(trained.parameters(), lr=1e-4, amsgrad=True, fused=True)
    generator = torch.Generator().manual_seed(0)

    def training_step() -> None:
        optimizer.zero_grad()
        for batch in batches:
            (loss(batch, generator) * len(batch) / count).backward()
        optimizer.step()

    @torch.no_grad()
    def sampling_step() -> None:
        for batch in batches:
            z = torch.randn(*batch.mask.shape, 3 + network.features, generator=generator).to(device)
            t = torch.full((len(batch),), 0.5, device=device)
            network(z * batch.mask[..., None], t, PointCondition(batch.mask))

    before = _memory(device)
    training, sampling = (_seconds(step, device, repeats) for step in (training_step, sampling_step))
    return {"training": training, "sampling": sampling, "memory": _memory(device) - before}


def _memory(device: str) -> float:
    """Peak memory so far, MB: of this process, or of its GPU."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _seconds(step: Callable[[], None], device: str, repeats: int) -> float:
    """Best time of a call, after one to warm up (and on a GPU to compile)."""
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return min(times[1:])


def main() -> None:
    """Measure every system, ours and plain, in processes of their own, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    count, repeats = (8, 1) if arguments.quick else (64, 3)
    if arguments.one:
        system, plain, device = arguments.one
        print(json.dumps(measure(system, plain == "plain", device, count, repeats)))
        return
    lines = []
    for device in ["cpu"] + (["cuda"] if torch.cuda.is_available() else []):
        for system in KINDS:
            found = {kind: _run(system, kind, device, arguments.quick) for kind in ("plain", "ours")}
            name = Run(0, Path(), device).device_name()
            for kind, values in found.items():
                lines.append(
                    {
                        "system": system,
                        "implementation": kind,
                        "device": name,
                        "molecules": count,
                        "training_steps_per_s": 1 / values["training"],
                        "training_speedup": found["plain"]["training"] / values["training"],
                        "samples_per_s_at_1000_steps": count / values["sampling"] / STEPS,
                        "sampling_speedup": found["plain"]["sampling"] / values["sampling"],
                        "peak_memory_mb": values["memory"],
                        "memory_ratio": values["memory"] / found["plain"]["memory"],
                    }
                )
            print(pd.DataFrame(lines[-2:]).to_string(index=False), file=sys.stderr)
    with atomic_path(ROOT / "results" / "bench_point_models.csv") as temporary:
        pd.DataFrame(lines).to_csv(temporary, index=False, float_format="%.4g")


def _run(system: str, kind: str, device: str, quick: bool) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", system, kind, device] + (["--quick"] if quick else [])
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
