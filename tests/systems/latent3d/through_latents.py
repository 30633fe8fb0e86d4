"""Large molecules through the autoencoders of latent3d in a process of its own, whose memory can be measured.

python through_latents.py dataset.parquet SETTINGS FOLDER

Trains both autoencoders for a few steps (settings by stage, as JSON), then encodes and decodes all molecules with the
split `train`; prints what came out as JSON.
"""

import json
import resource
import sys
from pathlib import Path

import numpy as np
import torch

from latent3d import plan
from latent3d.base.run import Run
from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.rdkit import sanitised
from latent3d.plan import Row
from latent3d.systems import load_system
from latent3d.training.weights import write_weights


def main(file: Path, overrides: dict[str, dict[str, int]], folder: Path) -> None:
    """Print one line."""
    data, system, parts = read_parquet(file), load_system("latent3d"), {}
    row = Row(base="latent3d", overrides=overrides)
    for stage in ("topology", "geometry"):
        settings = plan.settings(row, stage, "quick")
        result, more = system.fit(stage, data, parts, settings, Run(0, folder / stage))
        parts[stage] = folder / f"{stage}.safetensors"
        write_weights(parts[stage], result.weights, "latent3d", stage, settings.model_dump(), **more)
    codec = system.codec(parts, Run(0, folder))
    encoded = codec.encode(data.split("train"))
    conformers, made = (codec.decode(encoded.latents, torch.Generator(), given) for given in (encoded, None))
    print(
        json.dumps(
            {
                "encoded": len(encoded.index),
                "atoms": [int(conformers.atom_counts.min()), int(conformers.atom_counts.max())],
                "finite_latents": all(bool(z.isfinite().all()) for z in encoded.latents.values()),
                "same_graphs": sum(
                    np.array_equal(a.atomic_numbers, b.atomic_numbers) and np.array_equal(a.bonds, b.bonds)
                    for a, b in zip(encoded.molecules, conformers, strict=True)
                ),
                "conformers": conformers.table["status"].value_counts().to_dict(),
                "decoded": made.table["status"].value_counts().to_dict(),
                "valid": sum(sanitised(molecule) is not None for molecule in made),
                "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3]))
