"""What is run: config.yaml and the systems' defaults.yaml, checked. Mistakes are refused in plain sentences.

The Snakefile and the command line both read configuration through `parse_configuration`; the JSON schema of
`Configuration` is the workflow's schema. Importing this package never imports torch.
"""

from latent3d.config.models import FIGURES, TABLES, Configuration, Dataset, Geometry, Metrics, Row, SystemDefaults
from latent3d.config.parse import for_dataset, parse_configuration, parse_dataset
from latent3d.config.sharing import owners
from latent3d.config.sweeps import variants
from latent3d.config.systems import (
    autoencoder_stages,
    check_precision,
    check_stage,
    check_weights,
    has_preset,
    hyperparameters,
    system_defaults,
    system_names,
)

__all__ = [
    "FIGURES",
    "TABLES",
    "Configuration",
    "Dataset",
    "Geometry",
    "Metrics",
    "Row",
    "SystemDefaults",
    "autoencoder_stages",
    "check_precision",
    "check_stage",
    "check_weights",
    "for_dataset",
    "has_preset",
    "hyperparameters",
    "owners",
    "parse_configuration",
    "parse_dataset",
    "system_defaults",
    "system_names",
    "variants",
]
