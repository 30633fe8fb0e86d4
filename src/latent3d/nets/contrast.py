"""Self-supervised regularisation of autoencoders: the code of a graph against what its nodes say (You et al. 2024)."""

import torch
import torch.nn.functional as F

DROPPED = 0.2
"""Share of the nodes that are left out of the local view."""


def global_local_loss(
    codes: torch.Tensor, nodes: torch.Tensor, owner: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """-mean_i log(exp s_ii / sum_{j != i} exp s_ij): cosines s_ij of code i and the mean of random nodes of graph j.

    InfoNCE in one direction at temperature 1, the positive pair not in the denominator, as LDM-3DG has it: it can be
    negative, and is least where codes agree with their own nodes and with no others'.

    Args:
        codes: [B, D], B > 1.
        nodes: [A, D] vectors of the nodes of all graphs.
        owner: [A] the graph of each node.
        generator: on the CPU; every node is left out with probability DROPPED.
    """
    kept = (torch.rand(len(nodes), generator=generator) >= DROPPED).to(nodes.device)
    # A sum instead of the mean: cosines do not see lengths.
    local = torch.zeros_like(codes).index_add(0, owner, (nodes * kept[:, None]).to(codes.dtype))
    cosines = F.normalize(codes.float(), dim=1) @ F.normalize(local.float(), dim=1).T
    own = torch.eye(len(codes), dtype=torch.bool, device=codes.device)
    return (cosines.masked_fill(own, -torch.inf).logsumexp(1) - cosines.diagonal()).mean()
