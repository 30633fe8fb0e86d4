"""torch.compile where it pays: layers that are called with batches of many sizes, on a GPU."""

from torch import nn


class Fused(nn.Module):
    """A layer in which, on a GPU, what stands between the matrix products is fused."""


def compile_layers(network: nn.Module) -> None:
    """On a GPU, compile the `Fused` layers of a network, for any number of molecules and atoms."""
    if not isinstance(network, Fused):
        for part in network.children():
            compile_layers(part)
    elif next(network.parameters()).is_cuda:
        network.compile(dynamic=True)
