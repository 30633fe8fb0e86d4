"""Weights files: EMA weights as safetensors, with everything needed to rebuild the network in their metadata."""

import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from latent3d import __version__
from latent3d.base.errors import UserError
from latent3d.base.files import atomic_path, hash_configuration
from latent3d.nets.compiling import compile_layers

Network = TypeVar("Network", bound=nn.Module)


def write_weights(
    path: Path, weights: dict[str, torch.Tensor], system: str, stage: str, hyperparameters: dict[str, Any], **more: Any
) -> None:
    """Write a weights file atomically.

    Metadata: system, stage, hyperparameters, configuration hash, code version, and `more` (vocabulary, scales...).
    """
    metadata = {
        "system": system,
        "stage": stage,
        "hyperparameters": hyperparameters,
        "configuration_hash": hash_configuration([system, stage, hyperparameters]),
        "version": __version__,
        **more,
    }
    write_safetensors(path, weights, {"latent3d": json.dumps(metadata, sort_keys=True)})


def write_safetensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Write tensors atomically; a full disk is a UserError (safetensors' own writer has no errno to tell it by)."""
    content = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """(weights, metadata) of a weights file.

    Raises:
        UserError: the file is missing, truncated, or not one of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {})["latent3d"])
            # Half precision is how released weights are kept, not what networks compute with.
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
            return {key: t.float() if t.dtype == torch.float16 else t for key, t in tensors.items()}, metadata
    except FileNotFoundError as error:
        raise UserError(
            f"{path} does not exist. Train this stage first (latent3d train), or check the path."
        ) from error
    except (SafetensorError, KeyError, OSError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is not a weights file of latent3d ({error}). Delete it and train again.") from error


def for_inference(model: Network, weights: dict[str, torch.Tensor], device: str) -> Network:
    """The network with these weights on a device, for inference alone."""
    model.load_state_dict(weights)
    model = model.to(device).eval().requires_grad_(False)
    compile_layers(model)
    return model
