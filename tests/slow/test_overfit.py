"""EDM and GeoLDM learn eight molecules by heart and give them back: `make test-slow`."""

import numpy as np
import pandas as pd
import pytest

from asking import asked
from latent3d.base.run import Run
from latent3d.data.molecules.molecules import from_list
from latent3d.data.molecules.perception import perceive_bonds
from latent3d.data.molecules.rdkit import canonical_smiles, sanitised
from latent3d.evaluation.validity import edm_protocol
from latent3d.plan import Row, settings, system_defaults
from latent3d.systems import Context, load_system, system_settings
from latent3d.training.weights import write_weights

pytestmark = pytest.mark.slow

SMILES = ["CCO", "CC=O", "C1CC1", "CC#N", "NC=O", "C#CC", "COC", "CCF"]
STEPS = {"autoencoder": 2000, "diffusion": 10000}
SETTINGS = {
    **{"width": 64, "layers": 5, "decoder_layers": 3, "batch_size": 64, "learning_rate": 0.002},
    **{"warmup": 200, "decay": "linear", "ema": 0.998},
}


@pytest.mark.parametrize("system", ["edm", "geoldm"])
def test_eight_molecules_are_learnt_by_heart(system, from_smiles, tmp_path):
    molecules = [from_smiles(smiles) for smiles in SMILES]
    # Eight copies of each: a batch sees every molecule at eight noise levels.
    data = from_list(molecules * 8, pd.DataFrame({"split": ["train"] * 64}))
    known = {canonical_smiles(sanitised(molecule)) for molecule in molecules}
    module, weights = load_system(system), {}
    for stage, needs in system_defaults(system).stages.items():
        names = system_settings(system)[stage].model_fields
        changed = {name: SETTINGS[name] for name in SETTINGS if name in names} | {"steps": STEPS[stage]}
        row = Row(base=system, overrides={stage: changed})
        h = settings(row, stage, "default")
        needed = {need: weights[need] for need in needs}
        result, more = module.fit(stage, data, needed, h, Run(0, tmp_path / stage))
        weights[stage] = tmp_path / f"{stage}.safetensors"
        write_weights(weights[stage], result.weights, system, stage, h.model_dump(), **more)

    sampling = settings(Row(base=system), "sampling", "default")
    made = module.generator(weights, sampling, Context(), Run(0, tmp_path))(asked(range(100)))
    stable = edm_protocol.stable_atoms(made, edm_protocol.perceive(made))
    whole = edm_protocol.stable_molecules(made, stable)
    found = [canonical_smiles(mol) if (mol := sanitised(perceive_bonds(m)[0])) else None for m in made]
    recalled = np.isin(np.array(found, dtype=object), list(known))
    print(f"{system}: atoms {stable.mean():.3f}, molecules {whole.mean():.2f} stable, {recalled.mean():.2f} known")
    # Of random clouds none is stable, and none has one of these graphs.
    assert whole.mean() > 0.5
    assert recalled.mean() > 0.6
