"""Training of the two stages; sampling, noise -> z -> molecule; encoding and decoding."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecule, Molecules, from_list
from latent3d.data.molecules.status import coordinate_status
from latent3d.diffusion.latent_diffusion import LatentPrior
from latent3d.diffusion.streams import Streams
from latent3d.graphs.conformers import Conformers, encode_conformers, read_conformers
from latent3d.graphs.graph_batches import require_molecules
from latent3d.systems import Context, Encoded, Generate, Latents, Parts
from latent3d.systems.chunks import in_chunks
from latent3d.systems.loading import Metadata, load_network, load_prior
from latent3d.systems.oneshot.model import AtomClasses, OneShotAutoencoder
from latent3d.systems.oneshot.settings import Autoencoder, Diffusion, Sampling
from latent3d.systems.symmetry import encode_turned, relative_change
from latent3d.training.batches import pairs_at_once
from latent3d.training.conformers import conformer_loss
from latent3d.training.latents import fit_latents
from latent3d.training.loop import TrainingResult, train

DECODED_AT_ONCE = 200

Fitted = tuple[TrainingResult, dict[str, Any]]


def fit(stage: str, data: Molecules, parts: Parts, settings: Autoencoder | Diffusion, run: Run) -> Fitted:
    """Train one stage; returns the result and what the weights file must know beside the settings."""
    conformers = require_molecules(read_conformers(data.split("train")))
    stages = {"autoencoder": _fit_autoencoder, "diffusion": _fit_diffusion}
    return stages[stage](conformers, parts, settings, run)


def _fit_autoencoder(conformers: Conformers, parts: Parts, settings: Autoencoder, run: Run) -> Fitted:
    graphs = conformers.graphs
    classes, places = AtomClasses.of(graphs), int(graphs.sizes.max())
    max_heavy = int(graphs.heavy().sizes.max())
    torch.manual_seed(run.seed)
    model = OneShotAutoencoder(classes, places, max_heavy, settings)
    loss, bound = conformer_loss(conformers, run.device), pairs_at_once(graphs.sizes, settings.batch_size, run.device)
    result = train("autoencoder", model, graphs.sizes, loss, settings, run, bound)
    return result, {"kinds": classes.kinds, "places": places, "max_heavy": max_heavy}


def _fit_diffusion(conformers: Conformers, parts: Parts, settings: Diffusion, run: Run) -> Fitted:
    model = load_autoencoder(parts["autoencoder"], run.device)
    # Every molecule and its mirror image.
    z = torch.stack([encode_conformers(model, conformers, mirror) for mirror in (False, True)], 1)
    return fit_latents("diffusion", z.to(run.device), None, 1, settings, run)


def generator(parts: Parts, settings: Sampling, context: Context, run: Run) -> Generate:
    """Whole molecules from z; no coordinates, no force field come in. `context` is not used."""
    model, prior = load_autoencoder(parts["autoencoder"], run.device), load_prior(parts["diffusion"], run.device)
    return in_chunks(partial(_generate_chunk, model, prior, settings), run.device)


def _generate_chunk(
    model: OneShotAutoencoder, prior: LatentPrior, settings: Sampling, streams: Streams
) -> tuple[list[Molecule], list[str]]:
    """One sample per stream: always a whole chunk, so that shapes and hence bytes never differ."""
    molecules, _ = model.decode(prior.draw(streams, settings.steps, settings.sampler))
    return molecules, list(map(coordinate_status, molecules))


class OneShotCodec:
    """Whole molecules through z. Coordinates are judged place by place, whatever atoms were decoded there.

    Molecules with more atoms or heavy atoms than any of training have no place in z.
    """

    def __init__(self, parts: Parts, run: Run) -> None:
        self.model, self.device = load_autoencoder(parts["autoencoder"], run.device), run.device
        self.latent_2d, self.latent_3d = self.model.latent, 0  # the same numbers

    def encode(self, molecules: Molecules) -> Encoded:
        """The mean of the posterior."""
        conformers = read_conformers(molecules, self.model.max_heavy, self.model.places)
        z = encode_conformers(self.model, conformers)
        return Encoded(conformers.index, conformers.molecules(), {"z": z}, conformers)

    def decode(self, latents: Latents, generator: torch.Generator, given: Encoded | None = None) -> Molecules:
        """The likeliest atoms and bonds, and coordinates. Nothing is random."""
        parts = [self.model.decode(z.to(self.device)) for z in latents["z"].split(DECODED_AT_ONCE)]
        made = [molecule for molecules, _ in parts for molecule in molecules]
        if given is not None:
            places = [x for _, of_part in parts for x in of_part.numpy()]
            made = [replace(m, positions=x[: len(m)]) for m, x in zip(given.molecules, places, strict=True)]
        return from_list(made, pd.DataFrame({"status": list(map(coordinate_status, made))}))

    def change(self, encoded: Encoded, turn: torch.Tensor) -> float:
        """Of z."""
        return float(relative_change(encoded.latents["z"], encode_turned(self.model, encoded.read, turn)).mean())


def load_autoencoder(path: Path, device: str) -> OneShotAutoencoder:
    """The autoencoder of a weights file."""

    def build(settings: Autoencoder, metadata: Metadata) -> OneShotAutoencoder:
        classes = AtomClasses(tuple(tuple(kind) for kind in metadata["kinds"]))
        return OneShotAutoencoder(classes, metadata["places"], metadata["max_heavy"], settings)

    return load_network(path, device, build)[0]


codec = OneShotCodec
