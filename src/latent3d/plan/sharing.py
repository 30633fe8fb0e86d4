"""Stages that rows share: what is set alike is trained once."""

import json
from collections.abc import Mapping

from latent3d.plan.models import Row
from latent3d.plan.systems import hyperparameters, system_defaults

Owners = dict[tuple[str, str], str]
"""(row, stage) -> the row under whose name the stage is trained."""


def owners(rows: Mapping[str, Row], preset: str) -> Owners:
    """Who trains each stage of each row: the first row whose stage, with all that it needs, is set alike."""
    first: dict[str, str] = {}
    return {
        (name, stage): first.setdefault(_description(row, stage, preset), name)
        for name, row in rows.items()
        for stage in system_defaults(row.base).stages
    }


def _description(row: Row, stage: str, preset: str) -> str:
    """Everything in the configuration that the weights of a stage depend on."""
    needs = [_description(row, need, preset) for need in system_defaults(row.base).stages[stage]]
    return json.dumps([row.base, stage, hyperparameters(row, stage, preset), needs], sort_keys=True)
