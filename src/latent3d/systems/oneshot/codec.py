"""Molecules to z, and back."""

from dataclasses import replace

import pandas as pd
import torch

from latent3d.base.run import Run
from latent3d.data.molecules.molecules import Molecules, from_list
from latent3d.data.molecules.status import coordinate_status
from latent3d.graphs.conformers import encode_conformers, read_conformers
from latent3d.systems import Encoded, Latents, Parts
from latent3d.systems.oneshot.models import load_autoencoder
from latent3d.systems.symmetry import encode_turned, relative_change

DECODED_AT_ONCE = 200


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
