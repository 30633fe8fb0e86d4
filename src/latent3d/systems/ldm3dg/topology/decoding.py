"""Greedy decoding: every molecule takes its most probable choice, step by step, all molecules side by side."""

import numpy as np
import torch
from torch import nn

from latent3d.systems.ldm3dg.topology.assembly import MAX_MOTIFS, Assembly
from latent3d.systems.ldm3dg.topology.batches import to_device, used_pairs
from latent3d.systems.ldm3dg.topology.decoder import KnownPairs, MotifDecoder
from latent3d.systems.ldm3dg.topology.messages import TreeLSTM
from latent3d.systems.ldm3dg.topology.motifs import MAX_STEPS, Vocabulary


class _Path:
    """Messages of one kind of tree at the motifs from the root to the current one: sums [B, depth, 2 H]."""

    def __init__(self, tree: TreeLSTM, count: int, device: torch.device) -> None:
        self.tree = tree
        self.parents, self.children = (torch.zeros(count, 8, 2 * tree.cell.hidden, device=device) for _ in range(2))

    def read(self, rows: torch.Tensor, depth: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """State of the current motifs, [R, H], from their vectors x [R, H]."""
        return self.tree.cell.read(x, self.parents[rows, depth] + self.children[rows, depth])

    def down(
        self, rows: torch.Tensor, depth: torch.Tensor, x: torch.Tensor, edge: torch.Tensor, child: torch.Tensor
    ) -> None:
        """Pass on to new children, with vectors [R, H], what their parents x [R, H] know."""
        if int(depth.max()) + 1 == self.parents.shape[1]:
            grown = [torch.cat([sums, torch.zeros_like(sums)], 1) for sums in (self.parents, self.children)]
            self.parents, self.children = grown
        sums = self.parents[rows, depth] + self.children[rows, depth]
        self.parents[rows, depth + 1] = self._message(x, edge, child, sums)
        self.children[rows, depth + 1] = 0

    def up(
        self, rows: torch.Tensor, depth: torch.Tensor, x: torch.Tensor, edge: torch.Tensor, parent: torch.Tensor
    ) -> None:
        """Pass on to parents, with vectors [R, H], what their finished children x [R, H] know."""
        self.children[rows, depth - 1] += self._message(x, edge, parent, self.children[rows, depth])

    def _message(self, x: torch.Tensor, edge: torch.Tensor, to: torch.Tensor, sums: torch.Tensor) -> torch.Tensor:
        cell = self.tree.cell
        return cell.arrive(cell.gates(to)[1], *cell.send(cell.gates(x)[0] + edge, sums))


class _Known:
    """Vectors of the pairs that have been used so far."""

    def __init__(
        self, decoder: MotifDecoder, vocabulary: Vocabulary, motifs: nn.Embedding, pairs: nn.Embedding
    ) -> None:
        self.decoder, self.tables, self.motifs, self.pairs = decoder, vocabulary.tables, motifs, pairs
        self.place = np.full(len(vocabulary.pairs), -1)
        none = motifs.weight.new_zeros(0, decoder.hidden)
        self.vectors = KnownPairs(none, none, none, torch.zeros(0, dtype=torch.long, device=none.device))

    def find(self, pairs: np.ndarray) -> torch.Tensor:
        """Places [R] of pairs in `vectors`."""
        new = np.unique(pairs[self.place[pairs] < 0])
        old = self.vectors
        if len(new):
            self.place[new] = np.arange(len(new)) + len(old.first)
            used = to_device(used_pairs(self.tables, new), old.first.device)
            found = self.decoder.know(used, self.motifs(used.motif), self.pairs(used.pair))
            self.vectors = KnownPairs(
                torch.cat([old.attachments, found.attachments]),
                torch.cat([old.motifs, found.motifs]),
                torch.cat([old.atoms, found.atoms]),
                torch.cat([old.first, found.first + len(old.atoms)]),
            )
        return torch.from_numpy(self.place[pairs]).to(old.first.device)


@torch.no_grad()
def decode(
    decoder: MotifDecoder, vocabulary: Vocabulary, z: torch.Tensor, motifs: nn.Embedding, pairs: nn.Embedding
) -> Assembly:
    """Molecules of z [B, latent], with the embeddings of the vocabulary; after MAX_STEPS they stay as they are."""
    tables, device = vocabulary.tables, z.device
    known = _Known(decoder, vocabulary, motifs, pairs)
    nothing = z.new_zeros(len(z), decoder.hidden)
    words = decoder.word_logits(torch.cat([nothing, z], 1), decoder.may_be_root.expand(len(z), -1)).argmax(1)
    assembly = Assembly(vocabulary, tables.root_of_motif[words.cpu().numpy()])
    paths = (_Path(decoder.attachments, len(z), device), _Path(decoder.motifs, len(z), device))
    depths = np.zeros(len(z), int)
    orders, sites = (np.zeros((len(z), MAX_MOTIFS), int) for _ in range(2))  # of each motif

    def vectors(nodes: np.ndarray, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        at = known.find(assembly.pairs[rows, nodes])
        return known.vectors.attachments[at], known.vectors.motifs[at]

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(device)

    for _ in range(MAX_STEPS):
        rows = np.flatnonzero(assembly.current >= 0)
        if not len(rows):
            break
        current, met = assembly.current[rows], assembly.requirements(rows)
        x = vectors(current, rows)
        at = (tensor(rows), tensor(depths[rows]))
        at_pair, at_motif = (path.read(*at, vector) for path, vector in zip(paths, x, strict=True))
        code = z[at[0]]
        more = decoder.topology(torch.cat([at_motif, code], 1))[:, 0].cpu().numpy() > 0
        adds = more & met.any(1) & (assembly.motifs[rows] < MAX_MOTIFS)

        done = rows[~adds]
        up = done[depths[done] > 0]
        if len(up):
            node = assembly.current[up]
            parent = assembly.parents[up, node]
            order, site = tensor(orders[up, node]), tensor(sites[up, node])
            for path, child, to in zip(paths, vectors(node, up), vectors(parent, up), strict=True):
                edge = path.tree.edge(order, site, down=False)
                path.up(tensor(up), tensor(depths[up]), child, edge, to)
        assembly.back(done)
        depths[done] -= 1
        if not adds.any():
            continue

        chosen = tensor(np.flatnonzero(adds))
        rows, current, met = rows[adds], current[adds], tensor(met[adds])
        at_pair, at_motif, code = at_pair[chosen], at_motif[chosen], code[chosen]
        allowed = decoder.allowed_motifs(met)
        motif = decoder.word_logits(torch.cat([at_motif, code], 1), allowed).argmax(1)
        state = torch.cat([at_pair, motifs(motif), code], 1)
        place = decoder.pair_logits(state, motif, met).argmax(1, keepdim=True)
        pair = decoder.pairs_of_motif[motif].gather(1, place)[:, 0]
        candidates = assembly.sites(rows, pair.cpu().numpy())
        free = assembly.open_atoms(rows)[1].astype(int)
        first = known.vectors.first[known.find(assembly.pairs[rows, current])]
        atoms = first[:, None] + torch.arange(candidates.shape[1], device=device)
        atoms = known.vectors.atoms[atoms.clamp(max=len(known.vectors.atoms) - 1)]
        state = torch.cat([at_motif, pairs(pair), code], 1)
        site = decoder.site_logits(state, atoms, tensor(free), tensor(candidates)).argmax(1).cpu().numpy()
        order = assembly.children[rows, current]
        assembly.add(rows, pair.cpu().numpy(), site)
        node = assembly.current[rows]
        orders[rows, node], sites[rows, node] = order, site
        for path, parent, child in zip(paths, vectors(current, rows), vectors(node, rows), strict=True):
            edge = path.tree.edge(tensor(order), tensor(site), down=True)
            path.down(tensor(rows), tensor(depths[rows]), parent, edge, child)
        depths[rows] += 1
    return assembly
