"""The training loop: one function that reads top to bottom.

Every random draw of step k comes from a generator seeded with (seed, k), so that a run that was killed and resumed ends
with the same bytes as one that was not: weights, EMA, optimiser and step are the whole state.
"""

import csv
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from latent3d.diffusion.samplers import stream_seed
from latent3d.errors import StoppedEarly, UserError
from latent3d.files import write_text
from latent3d.run import Run
from latent3d.training.checkpoints import latest_checkpoint, read_checkpoint, write_checkpoint
from latent3d.training.ema import ema_update

Losses = dict[str, torch.Tensor]


@dataclass(frozen=True)
class TrainingResult:
    """EMA weights, wall time over all attempts (seconds), steps and the log (one dict per logged step)."""

    weights: dict[str, torch.Tensor]
    seconds: float
    steps: int
    log: list[dict[str, float]]


def train(
    name: str,
    model: nn.Module,
    loss_of_step: Callable[[nn.Module, int, torch.Generator], Losses],
    hyperparameters: dict[str, Any],
    run: Run,
) -> TrainingResult:
    """Train `model` for hyperparameters["steps"] steps of AdamW with warm-up, linear decay, clipping and EMA.

    Args:
        name: shown in progress lines.
        model: moved to the run's device.
        loss_of_step: (model, step, generator on the CPU) -> {"loss": scalar, other scalars to log}.
        hyperparameters: steps, batch_size, learning_rate, weight_decay, warmup, clip, ema.
        run: device, precision, seed, work folder, time limit.

    Raises:
        StoppedEarly: the time limit was reached; a checkpoint was written.
        UserError: the loss became NaN or infinite.
    """
    h = hyperparameters
    fabric = Fabric(accelerator="cuda" if run.device == "cuda" else "cpu", devices=1, precision=run.precision)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=h["learning_rate"], weight_decay=h["weight_decay"], betas=(0.9, 0.99), fused=True
    )
    model, optimizer = fabric.setup(model, optimizer)
    module = model.module
    ema = {key: value.detach().clone() for key, value in module.state_dict().items()}
    start, elapsed, log = 0, 0.0, []
    found = latest_checkpoint(run.work)
    if found is not None:
        start, elapsed, log = read_checkpoint(found, module, ema, optimizer)
        if start:
            print(f"{name}: resumed at step {start} of {h['steps']}", file=sys.stderr)

    progress = Progress(name, start, h["steps"], h["batch_size"], elapsed)
    for step in range(start, h["steps"]):
        for group in optimizer.param_groups:
            group["lr"] = h["learning_rate"] * learning_rate_factor(step, h["steps"], h["warmup"])
        generator = torch.Generator().manual_seed(stream_seed(run.seed, step))
        # Not through Fabric's wrapper, which would round the inputs (coordinates) to bf16 as well.
        with fabric.autocast():
            losses = loss_of_step(module, step, generator)
        optimizer.zero_grad()
        fabric.backward(losses["loss"])
        fabric.clip_gradients(model, optimizer, max_norm=h["clip"], error_if_nonfinite=False)
        optimizer.step()
        ema_update(ema, module, h["ema"], step)

        done = step + 1
        stop = run.time_limit is not None and run.seconds() > run.time_limit and done < h["steps"]
        save = stop or progress.checkpoint_due(run.checkpoint_every)
        show = done % LOG_EVERY == 0 or done == h["steps"]
        if (show or save) and not losses["loss"].isfinite():
            raise UserError(f"{name}: the loss is {losses['loss'].item()} at step {done}. Lower learning_rate or clip.")
        if show:
            log.append({"step": done, **{key: value.item() for key, value in losses.items()}})
            progress.show(done, log[-1]["loss"])
        if save:
            write_checkpoint(run.work, done, progress.seconds(), log, module, ema, optimizer)
        if stop:
            raise StoppedEarly(f"{name}: time limit reached at step {done} of {h['steps']}; run again to continue.")
    write_checkpoint(run.work, h["steps"], progress.seconds(), log, module, ema, optimizer)
    return TrainingResult(ema, progress.seconds(), h["steps"], log)


LOG_EVERY = 50  # steps
PROGRESS_EVERY = 10.0  # seconds


def learning_rate_factor(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then linear decay to 1 % of the peak."""
    return min((step + 1) / max(warmup, 1), 1.0) * max(1 - step / steps, 0.01)


class Progress:
    """Progress lines on stderr: an estimate of the whole cost first, then loss, molecules per second and time left."""

    def __init__(self, name: str, start: int, steps: int, batch_size: int, elapsed: float) -> None:
        self.name, self.start, self.steps, self.batch_size, self.elapsed = name, start, steps, batch_size, elapsed
        self.began = self.shown = self.saved = time.monotonic()
        self.estimated = False

    def seconds(self) -> float:
        """Wall time of all attempts so far."""
        return self.elapsed + time.monotonic() - self.began

    def show(self, done: int, loss: float) -> None:
        """Print a line, at most every PROGRESS_EVERY seconds."""
        now = time.monotonic()
        rate = (done - self.start) / max(now - self.began, 1e-9)
        left = (self.steps - done) / rate
        if not self.estimated:
            self.estimated = True
            print(f"{self.name}: {self.steps} steps, about {left / 60:.1f} minutes on this machine", file=sys.stderr)
        elif now - self.shown > PROGRESS_EVERY or done == self.steps:
            self.shown = now
            print(
                f"{self.name}: step {done}/{self.steps} ({100 * done / self.steps:.0f} %), loss {loss:.4f}, "
                f"{rate * self.batch_size:.0f} molecules/s, {left:.0f} s left",
                file=sys.stderr,
            )

    def checkpoint_due(self, every: float) -> bool:
        """True once every `every` seconds."""
        if time.monotonic() - self.saved < every:
            return False
        self.saved = time.monotonic()
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
