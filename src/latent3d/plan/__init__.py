"""What is run: config.yaml and the systems' defaults.yaml, checked. Mistakes are refused in plain sentences.

The Snakefile and the command line both read configuration through `parse_configuration`; the JSON schema of
`Configuration` is the workflow's schema. Importing this package never imports torch.
"""

from latent3d.plan.models import Configuration, Dataset, Metrics, Row
from latent3d.plan.parse import parse_configuration, parse_dataset
from latent3d.plan.sharing import owners
from latent3d.plan.sweeps import swept_rows
from latent3d.plan.systems import (
    SystemDefaults,
    check_precision,
    check_stage,
    check_weights,
    has_preset,
    hyperparameters,
    settings,
    system_defaults,
)

__all__ = [
    "Configuration",
    "Dataset",
    "Metrics",
    "Row",
    "SystemDefaults",
    "check_precision",
    "check_stage",
    "check_weights",
    "has_preset",
    "hyperparameters",
    "owners",
    "parse_configuration",
    "parse_dataset",
    "settings",
    "swept_rows",
    "system_defaults",
]
