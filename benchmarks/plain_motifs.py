"""The loss of LDM-3DG's topological autoencoder written plainly, for one molecule; tests and benchmarks compare.

Tree messages go along all edges round after round, and the decoder takes one step of one molecule after the other,
as it does in decoding.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F

from latent3d.nets.gaussian import draw, kl_divergence
from latent3d.systems.ldm3dg.topology.autoencoder import TopologicalAutoencoder
from latent3d.systems.ldm3dg.topology.batches import AtomGraph, TreeBatch
from latent3d.systems.ldm3dg.topology.messages import GraphLSTM, MessageLSTM, TreeLSTM


def loss(model: TopologicalAutoencoder, batch: TreeBatch, generator: torch.Generator, beta: float) -> torch.Tensor:
    """What `model(batch, generator, beta)["loss"]` is, for a batch of one molecule."""
    root = encode(model, batch)
    mean, log_variance = model.mean(root), -model.to_variance(root).abs()
    return decoder_loss(model, batch, draw(mean, log_variance, generator)) + beta * kl_divergence(mean, log_variance)


def encode(model: TopologicalAutoencoder, batch: TreeBatch) -> torch.Tensor:
    """Root code [1, H]."""
    encoder, rounds = model.encoder, model.encoder.levels - 1
    atoms = _flood_atoms(encoder.atoms, batch.atoms)
    members = [atoms[batch.member_atom[batch.member_motif == node]].sum(0) for node in range(len(batch.pair))]
    x = encoder.attachment(torch.cat([model.pairs(batch.pair), torch.stack(members)], 1))
    h = _flood(encoder.attachments, x, batch, rounds)
    x = encoder.motif(torch.cat([model.motifs(batch.motif), h], 1))
    return torch.tanh(encoder.root(_flood(encoder.motifs, x, batch, rounds)[:1]))


def _flood_atoms(network: GraphLSTM, graph: AtomGraph) -> torch.Tensor:
    """[A, H], atoms after messages along all bonds in both directions."""
    x = sum(table(column) for table, column in zip(network.features, graph.features.T, strict=True))
    return _rounds(network.cell, x, graph.sources, graph.targets, network.bond(graph.kinds), network.depth)


def _flood(tree: TreeLSTM, x: torch.Tensor, batch: TreeBatch, rounds: int) -> torch.Tensor:
    """[N, H], motifs after messages along all edges in both directions."""
    child = torch.arange(1, len(x), device=x.device)
    parent, order, site = batch.parent[1:], batch.order[1:], batch.site[1:]
    sources, targets = torch.cat([child, parent]), torch.cat([parent, child])
    edges = torch.cat([tree.edge(order, site, down=False), tree.edge(order, site, down=True)])
    return _rounds(tree.cell, x, sources, targets, edges, rounds)


def _rounds(
    cell: MessageLSTM, x: torch.Tensor, sources: torch.Tensor, targets: torch.Tensor, edges: torch.Tensor, rounds: int
) -> torch.Tensor:
    gates, forget = cell.gates(x)
    # Messages k -> i go into i -> j, but not j -> i itself.
    into = ((targets[None] == sources[:, None]) & (sources[None] != targets[:, None])).to(x)
    arrived = x.new_zeros(len(sources), 2 * cell.hidden)
    for _ in range(rounds):
        h, memory = cell.send(gates[sources] + edges, into @ arrived)
        arrived = cell.arrive(forget[targets], h, memory)
    return cell.read(x, (targets[None] == torch.arange(len(x), device=x.device)[:, None]).to(x) @ arrived)


def decoder_loss(model: TopologicalAutoencoder, batch: TreeBatch, z: torch.Tensor) -> torch.Tensor:
    """Nats of all choices, made in depth-first order; z [1, latent]."""
    decoder = model.decoder
    all_rounds = replace(batch.used.atoms, active=(len(batch.used.atoms.sources),))
    used = replace(batch.used, atoms=all_rounds)
    known = decoder.know(used, model.motifs(used.motif), model.pairs(used.pair))
    trees = (decoder.attachments, decoder.motifs)
    xs = [vectors[batch.used_of] for vectors in (known.attachments, known.motifs)]
    nothing = z.new_zeros(1, decoder.hidden)
    losses = [
        F.cross_entropy(decoder.word_logits(torch.cat([nothing, z], 1), decoder.may_be_root[None]), batch.motif[:1])
    ]

    def message(
        kind: int, source: int, target: int, child: int, arrived: list[torch.Tensor], down: bool
    ) -> torch.Tensor:
        cell = trees[kind].cell
        at = slice(child, child + 1)
        gates = cell.gates(xs[kind][source : source + 1])[0] + trees[kind].edge(batch.order[at], batch.site[at], down)
        h, memory = cell.send(gates, torch.stack(arrived).sum(0) if arrived else None)
        return cell.arrive(cell.gates(xs[kind][target : target + 1])[1], h, memory)

    def visit(node: int, from_parent: list[list[torch.Tensor]]) -> list[torch.Tensor]:
        """All choices at a motif and below it; its messages to its parent."""
        from_children: list[list[torch.Tensor]] = [[], []]

        def state(kind: int) -> torch.Tensor:
            sums = torch.stack([*from_parent[kind], *from_children[kind], z.new_zeros(1, 2 * decoder.hidden)]).sum(0)
            return trees[kind].cell.read(xs[kind][node : node + 1], sums)

        def topology(adds: float) -> torch.Tensor:
            logit = decoder.topology(torch.cat([state(1), z], 1))[:, 0]
            return F.binary_cross_entropy_with_logits(logit, torch.full_like(logit, adds))

        children = (batch.parent[1:] == node).nonzero()[:, 0] + 1
        for child in children[batch.order[children].argsort()].tolist():
            pair, motif = batch.pair[child : child + 1], batch.motif[child : child + 1]
            met = batch.open_sets[batch.open_before[child : child + 1]]
            losses.append(topology(1.0))
            logits = decoder.word_logits(torch.cat([state(1), z], 1), decoder.allowed_motifs(met))
            losses.append(F.cross_entropy(logits, motif))
            logits = decoder.pair_logits(torch.cat([state(0), model.motifs(motif), z], 1), motif, met)
            losses.append(F.cross_entropy(logits, (decoder.pairs_of_motif[motif] == pair).long().argmax(1)))
            for row in (batch.choice == child).nonzero()[:, 0]:
                logits = decoder.site_logits(
                    torch.cat([state(1), model.pairs(pair), z], 1),
                    known.atoms[batch.candidates[row]][None],
                    batch.candidate_free[row][None],
                    batch.candidate_mask[row][None],
                )
                losses.append(F.cross_entropy(logits, batch.chosen[row : row + 1]))
            down = [
                message(kind, node, child, child, from_parent[kind] + from_children[kind], down=True) for kind in (0, 1)
            ]
            for kind, found in enumerate(visit(child, [[found] for found in down])):
                from_children[kind].append(found)
        if batch.open_sets[batch.open_after[node]].any():
            losses.append(topology(0.0))
        if node == 0:
            return []
        return [message(kind, node, int(batch.parent[node]), node, from_children[kind], down=False) for kind in (0, 1)]

    visit(0, [[], []])
    return torch.stack(losses).sum()
