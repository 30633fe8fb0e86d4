"""The topological autoencoder of LDM-3DG (You et al. 2024): the hierarchical motif autoencoder of Jin et al. 2020.

Its latent code is the root code (250 numbers), which the encoder gives before the Gaussian bottleneck (32): what the
decoder sees of it is a linear map, hence most directions of the code mean nothing to it.
"""

import torch
from torch import nn

from latent3d.data.molecules.molecules import Molecule
from latent3d.nets.gaussian import draw, kl_divergence
from latent3d.nets.self_supervision import SelfSupervision, View
from latent3d.systems.ldm3dg.settings import Topology
from latent3d.systems.ldm3dg.topology.batches import TreeBatch
from latent3d.systems.ldm3dg.topology.decoder import MotifDecoder
from latent3d.systems.ldm3dg.topology.decoding import decode
from latent3d.systems.ldm3dg.topology.encoder import MotifEncoder
from latent3d.systems.ldm3dg.topology.motifs import Vocabulary
from latent3d.systems.ldm3dg.topology.trees import MotifTrees

_DECODED_AT_ONCE = 500


class TopologicalAutoencoder(nn.Module):
    """Molecular graph to root code [B, hidden], to z [B, latent], and back.

    Encoder and decoder share the embeddings of motifs and pairs. With the authors' sizes (hidden and embed 250, latent
    32, depths 15) and vocabulary it has 15.9 million parameters (theirs: 15.2 million).
    """

    def __init__(self, vocabulary: Vocabulary, settings: Topology) -> None:
        super().__init__()
        hidden, embed, latent = settings.hidden, settings.embed, settings.latent
        self.vocabulary = vocabulary
        self.motifs = nn.Embedding(len(vocabulary.motifs), embed)
        self.pairs = nn.Embedding(len(vocabulary.pairs), embed)
        self.encoder = MotifEncoder(len(vocabulary.types), settings)
        self.decoder = MotifDecoder(vocabulary, settings)
        self.to_mean, self.to_variance = (nn.Linear(hidden, latent) for _ in range(2))
        self.self_supervision = SelfSupervision(settings, hidden, hidden, len(vocabulary.types))
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_normal_(parameter)
            else:
                nn.init.zeros_(parameter)

    def encode_with_nodes(self, batch: TreeBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Root codes [B, hidden] in (-1, 1), vectors of heavy atoms [A, hidden], and the molecule of each atom [A]."""
        root, atoms = self.encoder(batch, *self._embedded(batch))
        return root, atoms, batch.molecule_of_atom

    def encode(self, batch: TreeBatch) -> torch.Tensor:
        """Root codes [B, hidden] in (-1, 1), as they are before the bottleneck."""
        return self.encode_with_nodes(batch)[0]

    def mean(self, root: torch.Tensor) -> torch.Tensor:
        """Root codes [B, hidden] -> [B, latent], what the decoder reads."""
        return self.to_mean(root)

    def forward(self, batch: TreeBatch, generator: torch.Generator, beta: float) -> dict[str, torch.Tensor]:
        """Loss (nats per molecule, the KL term weighted by beta), its parts, and the share of molecules rebuilt."""
        embedded = self._embedded(batch)  # once: the gradient of an embedding is as large as the vocabulary
        root, atoms = self.encoder(batch, *embedded)
        mean, log_variance = self.mean(root).float(), -self.to_variance(root).float().abs()
        parts = self.decoder(draw(mean, log_variance, generator), batch, *embedded)
        kl = kl_divergence(mean, log_variance)
        nll = parts["topology"] + parts["word"] + parts["attachment"] + parts["assembly"]
        losses = {"loss": nll + beta * kl, "nll": nll, "kl": kl, **parts}

        def view(root: torch.Tensor, atoms: torch.Tensor) -> View:
            return View(root, atoms, batch.molecule_of_atom)

        def hide(hidden: torch.Tensor) -> View:
            return view(*self.encoder(batch, *embedded, hidden))

        return self.self_supervision(losses, view(root, atoms), hide, batch.atoms.features[:, 0], generator)

    def _embedded(self, batch: TreeBatch) -> tuple[torch.Tensor, torch.Tensor]:
        return self.motifs(batch.used.motif), self.pairs(batch.used.pair)

    def decode(self, z: torch.Tensor) -> list[Molecule]:
        """Greedy decoding of z [B, latent]: one valid, connected molecule with its hydrogens per row, positions NaN."""
        made = []
        for part in z.split(_DECODED_AT_ONCE):
            made += decode(self.decoder, self.vocabulary, part, self.motifs, self.pairs).molecules()
        return made


def kl_weight(step: int, settings: Topology) -> float:
    """beta at a training step: 0 at first, then more every so many steps (the authors' schedule)."""
    if step < settings.beta_from:
        return 0.0
    return min(settings.beta_max, settings.beta_step * (1 + (step - settings.beta_from) // settings.beta_every))


def encode_trees(model: TopologicalAutoencoder, trees: MotifTrees, batch_size: int = 500) -> torch.Tensor:
    """Root codes [M, hidden] of many molecules, on the CPU."""
    device = model.to_mean.weight.device
    rows = torch.arange(len(trees)).split(batch_size)
    with torch.no_grad():
        return torch.cat([model.encode(trees.select(part, device)).cpu() for part in rows])
