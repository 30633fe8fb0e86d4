"""What arguments say, checked, where several commands take the same."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from latent3d.base.errors import UserError
from latent3d.base.settings import Settings
from latent3d.base.validation import suggest
from latent3d.plan import (
    Row,
    has_preset,
    settings,
    system_defaults,
)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def named_files(pairs: list[str]) -> dict[str, Path]:
    """{stage: file} of `STAGE=FILE` pairs."""
    for pair in pairs:
        if "=" not in pair:
            raise UserError(f"{pair!r} must have the form STAGE=FILE, e.g. topology=topology.safetensors.")
    return {name: Path(file) for name, file in (pair.split("=", 1) for pair in pairs)}


def check_origin(files: dict[str, Path], system: str, data: Path | None) -> None:
    """Raise UserError unless every weights file is of the system and stage it is given as; warn of other data."""
    from latent3d.base.files import hash_file
    from latent3d.training.weights import read_weights

    elsewhere = []
    for stage, file in files.items():
        metadata = read_weights(file)[1]
        if (metadata["system"], metadata["stage"]) != (system, stage):
            raise UserError(
                f"{file} holds weights of system {metadata['system']!r}, stage {metadata['stage']!r}, not of "
                f"{system!r}, {stage!r}. Give each stage its own file."
            )
        if data is not None and metadata.get("data_sha256") != hash_file(data):
            elsewhere.append(stage)
    if elsewhere:
        print(
            f"latent3d: WARNING: {', '.join(elsewhere)} of {system} were trained on another file than {data}. Novelty "
            "and distances to its training molecules may be of molecules that the weights have not seen.",
            file=sys.stderr,
        )


def resolved(system: str, stage: str, preset: str, text: str) -> Settings:
    """The settings of a stage: defaults, preset, then the JSON object `text`; checked."""
    overrides = parse_object("--hyperparameters", text)
    if not has_preset(system, preset):
        raise UserError(f"--preset: {system} has no {preset!r}.{suggest(preset, system_defaults(system).presets)}")
    return settings(Row(base=system, overrides={stage: overrides}), stage, preset)


def parse_object(option: str, text: str) -> dict[str, Any]:
    """A JSON object."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{option} is not JSON ({error}); give an object.") from error
    if not isinstance(value, dict):
        raise UserError(f"{option} is {text}; give a JSON object.")
    return value


def parse_count(option: str, text: str) -> int | None:
    """A number of samples, None for `all`."""
    if text == "all":
        return None
    if not text.isdecimal():
        raise UserError(f"{option} {text}: give a number of samples, or all.")
    return int(text)


def parse_shard(text: str) -> tuple[int, int]:
    """(i, n) of `i/n`, the i-th of n."""
    number, slash, shards = text.partition("/")
    if not (slash and number.isdecimal() and shards.isdecimal() and 1 <= int(number) <= int(shards)):
        raise UserError(f"--shard {text}: give I/N, the I-th of N parts, e.g. 1/3.")
    return int(number), int(shards)
