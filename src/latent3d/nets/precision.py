"""Where lower precision stops: coordinates."""

import torch


def full_precision(tensor: torch.Tensor) -> torch.autocast:
    """Context without autocast: products of coordinates in bf16 would be wrong by hundredths of an angstrom."""
    return torch.autocast(tensor.device.type, enabled=False)
