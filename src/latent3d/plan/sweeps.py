"""The rows that a sweep makes of others."""

import itertools
from dataclasses import dataclass
from typing import Any

from latent3d.plan.models import Configuration, Row


@dataclass(frozen=True)
class Swept:
    """A row that a sweep makes of another: `of` with the `settings` {stage.hyper-parameter: value}."""

    of: str
    settings: dict[str, Any]
    row: Row


def swept_rows(configuration: Configuration, sweep: str) -> dict[str, Swept]:
    """The rows of a sweep by name, e.g. `edm-ddim-50`.

    Only raw samples are drawn, and only the metrics that need no energies are measured.
    """
    vary = configuration.sweeps[sweep].vary
    found = {}
    for of in configuration.sweeps[sweep].rows:
        row = configuration.rows[of]
        for values in itertools.product(*vary.values()):
            overrides = {stage: dict(settings) for stage, settings in row.overrides.items()}
            for key, value in zip(vary, values, strict=True):
                stage, _, name = key.partition(".")
                overrides.setdefault(stage, {})[name] = value
            changed = {"overrides": overrides, "variants": ["raw"], "published": {}}
            settings = dict(zip(vary, values, strict=True))
            found["-".join([of, *map(str, values)])] = Swept(of, settings, row.model_copy(update=changed))
    return found
