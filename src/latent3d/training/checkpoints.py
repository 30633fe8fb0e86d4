"""Training checkpoints: the unfinished state of one configuration, in a folder named by its hash.

Two files per checkpoint would not be atomic together, so weights, EMA, clipping and optimiser state share one
safetensors file, with step, elapsed time and log in its metadata. No pickle is involved.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from latent3d.training.weights import write_safetensors

NAME = "checkpoint.safetensors"
Log = list[dict[str, float]]


def latest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of a work folder, if it has one."""
    path = folder / NAME
    return path if path.is_file() else None


def write_checkpoint(
    folder: Path,
    step: int,
    seconds: float,
    log: Log,
    model: nn.Module,
    ema: dict[str, torch.Tensor],
    clip: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Replace the folder's checkpoint atomically."""
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    tensors |= {f"ema.{key}": value for key, value in ema.items()}
    tensors |= {f"clip.{key}": value for key, value in clip.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
    metadata = {"step": str(step), "seconds": repr(seconds), "log": json.dumps(log)}
    write_safetensors(folder / NAME, tensors, metadata)


def read_checkpoint(
    path: Path, model: nn.Module, ema: dict[str, torch.Tensor], clip: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, float, Log]:
    """Load a checkpoint in place; returns (step, seconds so far, log). An unreadable one is reported and ignored."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        print(f"{path} is not readable ({error}); training starts anew.", file=sys.stderr)
        return 0, 0.0, []

    def part(prefix: str) -> dict[str, torch.Tensor]:
        return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}

    shapes = {key: value.shape for key, value in part("model.").items()}
    if shapes != {key: value.shape for key, value in model.state_dict().items()}:
        print(f"{path} is of another network; training starts anew.", file=sys.stderr)
        return 0, 0.0, []
    model.load_state_dict(part("model."))
    for key, value in part("ema.").items():
        ema[key].copy_(value)
    clip.load_state_dict(part("clip."))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in part("optimizer.").items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(metadata["step"]), float(metadata["seconds"]), json.loads(metadata["log"])
