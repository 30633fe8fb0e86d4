"""Plans of the shipped configuration with changes on top, as Snakemake would merge them; no Snakemake."""

import json
from pathlib import Path

import pytest
import yaml
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from latent3d.plan.plan import read_plan
from latent3d.plan.targets import Targets

ROOT = Path(__file__).parents[2]


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """A function (text or files of YAML on top of config.yaml) -> Targets, whose attribute `plan` is the plan."""
    monkeypatch.chdir(tmp_path)

    def plan(*overlays):
        # Through JSON: what YAML aliases share would be changed together.
        raw = json.loads(json.dumps(load_configfile(ROOT / "config.yaml")))
        for overlay in overlays:
            update_config(raw, load_configfile(overlay) if isinstance(overlay, Path) else yaml.safe_load(overlay))
        return Targets(read_plan(raw, ROOT, str(ROOT / "resources")))

    return plan
