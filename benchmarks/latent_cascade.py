"""Speed of latent3d: training of its stages, and what each part of sampling costs.

python benchmarks/latent_cascade.py --data dataset.parquet [--preset cpu] [--steps 30] [--samples 1000] [--threads 1]

Writes results/bench_latent3d_training.csv and results/bench_latent3d_sampling.csv; README.md beside this file says how
to read them. Networks are untrained: neither a training step nor a sample costs more or less for that, but that graphs
from untrained networks are smaller or larger than QM9's. `--weights FOLDER` takes trained ones for sampling.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from latent3d.base.files import atomic_path
from latent3d.base.run import Run, resolve_device
from latent3d.data.molecules.parquet import read_parquet
from latent3d.diffusion.streams import CHUNK, Streams
from latent3d.graphs.graph_batches import Graphs
from latent3d.graphs.molecular_graphs import canonical_graph
from latent3d.nets.compiling import compile_layers
from latent3d.plan import Row, settings, system_defaults
from latent3d.systems.latent3d import fitting
from latent3d.systems.latent3d.conformers import decode_conformers
from latent3d.systems.latent3d.models import load_geometry, load_guided_prior, load_topology
from latent3d.systems.latent3d.settings import Sampling
from latent3d.systems.latent3d.topology import decode_graphs, encode_graphs
from latent3d.training import latents
from latent3d.training.ema import ema_update
from latent3d.training.optimizer import adamw, gradient_clip
from latent3d.training.settings import Clipped
from latent3d.training.weights import write_weights

RESULTS = Path(__file__).parents[1] / "results"


def synchronise(device: str) -> None:
    """Wait for a GPU."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_of(call: Callable[[], Any], device: str, repeats: int) -> float:
    """Mean time of a call, after one to warm up (and on a GPU to compile)."""
    call()
    synchronise(device)
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    synchronise(device)
    return (time.perf_counter() - began) / repeats


def matmul_flops(device: str, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product: what the device gives at best."""
    n = 8192 if device == "cuda" else 1024
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    return 2 * n**3 / seconds_of(lambda: a @ b, device, 5)


@contextmanager
def captured() -> Iterator[list]:
    """The arguments of `train` instead of a training."""
    calls: list = []
    original, modules = fitting.train, (fitting, latents)

    def train(
        name: str, model: torch.nn.Module, sizes: np.ndarray, loss: Callable, of_stage: Clipped, run: Run, *_: Any
    ) -> Any:
        model.to(run.device)
        compile_layers(model)
        calls.append((model, sizes, loss, of_stage))
        weights = {key: value.detach().clone() for key, value in model.state_dict().items()}
        return argparse.Namespace(weights=weights)

    for module in modules:
        module.train = train
    try:
        yield calls
    finally:
        for module in modules:
            module.train = original


def training(stage: str, call: tuple, device: str, precision: str, steps: int, peak: float) -> dict[str, Any]:
    """One line: molecules per second, what the step is made of, and the share of the device's best matrix product."""
    model, sizes, loss_of_rows, of_stage = call
    batch = min(of_stage.batch_size, len(sizes))
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    rows = torch.from_numpy(rng.permutation(len(sizes))[:batch])
    optimizer, clip = adamw(model, of_stage), gradient_clip(of_stage).to(device)
    ema = {key: value.detach().clone() for key, value in model.state_dict().items()}

    def forward() -> torch.Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16-mixed"):
            return loss_of_rows(model, rows, generator, 0)["loss"]

    def both() -> None:
        optimizer.zero_grad()
        forward().backward()

    def step() -> None:
        both()
        clip(model, 0)
        optimizer.step()
        ema_update(ema, model, of_stage.ema, 0)

    with FlopCounterMode(display=False) as counter:
        both()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    whole, gradient, value = (seconds_of(part, device, steps) for part in (step, both, forward))
    flops = counter.get_total_flops()
    return {
        "stage": stage,
        "parameters": sum(p.numel() for p in model.parameters()),
        "batch_size": batch,
        "steps_per_s": 1 / whole,
        "molecules_per_s": batch / whole,
        "gflop_per_molecule": flops / batch / 1e9,
        "utilisation_pct": 100 * flops / whole / peak,
        "forward_pct": 100 * value / whole,
        "backward_pct": 100 * (gradient - value) / whole,
        "optimiser_pct": 100 * (whole - gradient) / whole,
        "peak_gpu_memory_mb": torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else np.nan,
    }


def sampling(folder: Path, device: str, count: int, told: Sampling) -> pd.DataFrame:
    """Seconds of each part of sampling `count` molecules, in the order of the work."""
    files = {stage: folder / f"{stage}.safetensors" for stage in system_defaults("latent3d").stages}
    topology, geometry = load_topology(files["topology"], device), load_geometry(files["geometry"], device)
    prior_2d = load_guided_prior("2d", files, told.guidance_2d, device)
    prior_3d = load_guided_prior("3d", files, told.guidance_3d, device)
    steps, sampler = told.steps, told.sampler
    spent: dict[str, float] = {}

    def timed(part: str, call: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = call()
        synchronise(device)
        spent[part] = spent.get(part, 0) + time.perf_counter() - began
        return result

    def chunk(start: int) -> None:
        streams = Streams.of(0, range(start, start + CHUNK[device]), device)
        z_2d = timed("z_2d", lambda: prior_2d.draw(streams, steps, sampler))
        molecules = timed("graphs from z_2d", lambda: decode_graphs(topology, z_2d))
        graphs = timed("canonical order (RDKit)", lambda: [canonical_graph(molecule) for molecule in molecules])
        usable = [i for i, graph in enumerate(graphs) if graph is not None]
        found = Graphs.of(graphs[i] for i in usable)
        condition = timed("z_2d of the graphs", lambda: encode_graphs(topology, found).to(device))
        z_3d = timed("z_3d", lambda: prior_3d.draw(streams.take(usable), steps, sampler, condition))
        timed("coordinates from z_3d", lambda: decode_conformers(geometry, found, z_3d, told.decodings))

    with torch.no_grad():
        chunk(0)  # warms up
        spent.clear()
        for start in range(0, count, CHUNK[device]):
            chunk(start)
    table = pd.DataFrame({"part": [*spent, "all"], "seconds": [*spent.values(), sum(spent.values())]})
    table["ms_per_molecule"] = 1000 * table["seconds"] / count
    table["share_pct"] = 100 * table["seconds"] / sum(spent.values())
    return table.assign(molecules=count, sampler=sampler, network_evaluations=steps)


def main() -> None:
    """Run both benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="dataset.parquet")
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--weights", type=Path, help="folder with trained weights, for sampling")
    options = parser.parse_args()
    device = resolve_device(options.device)
    torch.set_num_threads(options.threads)
    data, row = read_parquet(options.data), Row(base="latent3d")
    peak = matmul_flops(device, torch.bfloat16 if options.precision == "bf16-mixed" else torch.float32)
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = Run(0, folder, device, options.precision)
        weights: dict[str, Path] = {}
        for stage, needs in system_defaults("latent3d").stages.items():
            of_stage = settings(row, stage, options.preset)
            with captured() as calls:
                result, more = fitting.fit(stage, data, {need: weights[need] for need in needs}, of_stage, run)
            lines.append(training(stage, calls[0], device, options.precision, options.steps, peak))
            print(lines[-1])
            weights[stage] = folder / f"{stage}.safetensors"
            write_weights(weights[stage], result.weights, "latent3d", stage, of_stage.model_dump(), **more)
        costs = sampling(options.weights or folder, device, options.samples, settings(row, "sampling", options.preset))
    print(costs.to_string())
    shared = {"device": run.device_name(), "threads": options.threads, "preset": options.preset}
    table = pd.DataFrame(lines).assign(precision=options.precision, peak_gflops=peak / 1e9, **shared)
    for name, content in (("training", table), ("sampling", costs.assign(**shared))):
        with atomic_path(RESULTS / f"bench_latent3d_{name}.csv") as path:
            content.to_csv(path, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
