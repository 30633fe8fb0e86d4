"""torch.compile where it pays: layers that are called with batches of many sizes, on a GPU."""

from torch import nn


def compile_layers(*layers: nn.Module) -> None:
    """On a GPU, fuse what stands between the matrix products of each layer, for any number of molecules and atoms."""
    for layer in layers:
        if next(layer.parameters()).is_cuda:
            layer.compile(dynamic=True)
