"""The training loop: one function that reads top to bottom.

Every random draw of step k comes from a generator seeded with (seed, k), so that a run that was killed and resumed ends
with the same bytes as one that was not: weights, EMA, optimiser and step are the whole state.
"""

import csv
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from latent3d.base.errors import StoppedEarly, UserError
from latent3d.base.files import write_text
from latent3d.base.progress import Progress
from latent3d.base.run import Run
from latent3d.diffusion.streams import stream_seed
from latent3d.nets.compiling import compile_layers
from latent3d.training.batches import Batches
from latent3d.training.checkpoints import latest_checkpoint, read_checkpoint, write_checkpoint
from latent3d.training.ema import ema_update
from latent3d.training.optimizer import adamw, gradient_clip, learning_rate_factor
from latent3d.training.settings import Clipped
from latent3d.training.stopping import StopSignals, all_stop

Losses = dict[str, torch.Tensor]
LossOfRows = Callable[[nn.Module, torch.Tensor, torch.Generator, int], Losses]


@dataclass(frozen=True)
class TrainingResult:
    """EMA weights, wall time over all attempts (seconds), steps, the log (one dict per logged step), and processes."""

    weights: dict[str, torch.Tensor]
    seconds: float
    steps: int
    log: list[dict[str, float]]
    processes: int


def train(
    name: str,
    model: nn.Module,
    sizes: np.ndarray,
    loss_of_rows: LossOfRows,
    settings: Clipped,
    run: Run,
    pairs_at_once: int | None = None,
) -> TrainingResult:
    """Train `model` for settings.steps steps of AdamW with clipping and EMA.

    Started by `torchrun`, every process takes its share of each batch and gradients are averaged: the batch size is
    that of all processes together.

    Args:
        name: shown in progress lines.
        model: moved to the run's device.
        sizes: [M] number of atoms (or the like) of every training molecule: batches hold similar sizes.
        loss_of_rows: (model, rows of the batch, generator on the CPU, step) -> {"loss": scalar, other scalars to log}:
            means over the rows.
        settings: of the stage.
        run: device, precision, seed, work folder, time limit.
        pairs_at_once: batches are worked through in parts of at most so many pairs (rows times squared size) whose
            gradients add up: what a processor's cache, or a GPU's memory, holds. None for whole batches.

    Raises:
        StoppedEarly: the time limit was reached, or a signal asked to stop (see StopSignals); a checkpoint was written.
        UserError: the loss became NaN or infinite.
    """
    fabric = launch_fabric(run)
    batches = Batches(sizes, settings.batch_size, run.seed)
    # The bare module: Fabric's wrapper would round the inputs (coordinates) to bf16 as well.
    module, optimizer = fabric.to_device(model), fabric.setup_optimizers(adamw(model, settings))
    compile_layers(module)
    clip = fabric.to_device(gradient_clip(settings))
    ema = {key: value.detach().clone() for key, value in module.state_dict().items()}
    start, elapsed, log = 0, 0.0, []
    found = latest_checkpoint(run.work)
    if found is not None:
        start, elapsed, log = read_checkpoint(found, module, ema, clip, optimizer)
        if start and run.is_main:
            print(f"{name}: resumed at step {start} of {settings.steps}", file=sys.stderr)

    clock, progress = Clock(elapsed), Progress(name, settings.steps, "steps", start)
    with StopSignals() as signals:
        for step in range(start, settings.steps):
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * learning_rate_factor(step, settings)
            rank, processes = fabric.global_rank, fabric.world_size
            generator = torch.Generator().manual_seed(stream_seed(run.seed, step * processes + rank))
            rows = batches(step)[rank::processes]
            optimizer.zero_grad()
            losses: Losses = {}
            for part in parts(rows, sizes, pairs_at_once):
                with fabric.autocast():
                    mean = loss_of_rows(module, part, generator, step)
                share = len(part) / len(rows)
                fabric.backward(share * mean["loss"])
                losses = {key: losses.get(key, 0) + share * value.detach() for key, value in mean.items()}
            average_gradients(fabric, module)
            clip(module, step)
            optimizer.step()
            ema_update(ema, module, settings.ema, step)

            done = step + 1
            stop = done < settings.steps and all_stop(fabric, done, signals.received or run.is_out_of_time())
            save = (stop or clock.checkpoint_due(run.checkpoint_every)) and run.is_main
            show = done % LOG_EVERY == 0 or done == settings.steps
            if (show or save) and not losses["loss"].isfinite():
                raise UserError(
                    f"{name}: the loss is {losses['loss'].item()} at step {done}. Lower learning_rate or clip."
                )
            if show:
                log.append({"step": done, **{key: value.item() for key, value in losses.items()}})
                if run.is_main:
                    progress.estimate(done)
                    speed = settings.batch_size * progress.rate(done)
                    progress.show(done, f"loss {log[-1]['loss']:.4f}, {speed:.0f} molecules/s", done == settings.steps)
            if save:
                write_checkpoint(run.work, done, clock.seconds(), log, module, ema, clip, optimizer)
            if stop:
                fabric.barrier()  # before the first to end makes torchrun end the others, the checkpoint is written
                raise StoppedEarly(f"{name}: saved at step {done} of {settings.steps}; run again to continue.")
    if run.is_main:
        write_checkpoint(run.work, settings.steps, clock.seconds(), log, module, ema, clip, optimizer)
    return TrainingResult(ema, clock.seconds(), settings.steps, log, fabric.world_size)


def parts(rows: torch.Tensor, sizes: np.ndarray, pairs_at_once: int | None) -> list[torch.Tensor]:
    """The rows of a batch in parts of similar size with at most so many pairs each (at least one row)."""
    if pairs_at_once is None:
        return [rows]
    rows = rows[np.argsort(sizes[rows], kind="stable")]
    return list(rows.split(max(1, pairs_at_once // int(sizes[rows].max()) ** 2)))


def launch_fabric(run: Run) -> Fabric:
    """Fabric on the run's device: one process, or those that torchrun has started."""
    local, all_processes = (int(os.environ.get(name, "1")) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    fabric = Fabric(
        accelerator="cuda" if run.device == "cuda" else "cpu",
        devices=local,
        num_nodes=all_processes // local,
        strategy="ddp" if all_processes > 1 else "auto",
        precision=run.precision,
    )
    fabric.launch()
    return fabric


def average_gradients(fabric: Fabric, module: nn.Module) -> None:
    """Replace every gradient by its mean over the processes, in one message."""
    if fabric.world_size == 1:
        return
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    mean = fabric.all_reduce(torch.cat([gradient.flatten() for gradient in gradients]), reduce_op="mean")
    for gradient, part in zip(gradients, mean.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


LOG_EVERY = 50  # steps


class Clock:
    """Wall time of this attempt and those before it (`elapsed`, seconds), and when a checkpoint is due."""

    def __init__(self, elapsed: float) -> None:
        self._elapsed = elapsed
        self._began = self._saved = time.monotonic()

    def seconds(self) -> float:
        """Wall time of all attempts so far."""
        return self._elapsed + time.monotonic() - self._began

    def checkpoint_due(self, every: float) -> bool:
        """True once every `every` seconds."""
        if time.monotonic() - self._saved < every:
            return False
        self._saved = time.monotonic()
        return True


def write_log(path: Path, log: list[dict[str, float]]) -> None:
    """The training log as CSV: step, loss, and whatever else the objective reports."""
    lines: list[str] = []
    writer = csv.DictWriter(_Lines(lines), fieldnames=list(log[0]) if log else ["step", "loss"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: f"{value:.6g}" for key, value in row.items()} for row in log)
    write_text(path, "".join(lines))


class _Lines:
    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append
