"""config.yaml and its schema."""

import json
from pathlib import Path

import yaml

from latent3d.base.files import write_json
from latent3d.plan import Configuration, Dataset, Row, hyperparameters, parse_configuration

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.json"


def schema():
    """The schema of config.yaml, for editors: what `parse_configuration` accepts."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**dialect, **Configuration.model_json_schema(), "title": "latent3d config.yaml"}


def test_schema_is_up_to_date():
    # To renew it: python tests/workflow/test_config.py
    assert json.loads(SCHEMA.read_text()) == json.loads(json.dumps(schema()))


def test_shipped_configuration_is_accepted_and_explains_every_key():
    configuration = parse_configuration(yaml.safe_load((ROOT / "config.yaml").read_text()))
    assert configuration.all == ["mini", "qm9"]
    text = (ROOT / "config.yaml").read_text()
    comments = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    for key in yaml.safe_load(text):
        place = text.index(f"\n{key}:")
        assert text[:place].splitlines()[-1].startswith("#"), f"no comment above {key}"
    for key in {*Dataset.model_fields, *Row.model_fields}:
        assert key in comments, f"config.yaml does not explain {key}"


def test_paper_scale_of_qm9_is_ten_thousand_samples_and_three_seeds():
    qm9 = parse_configuration(yaml.safe_load((ROOT / "config.yaml").read_text())).datasets["qm9"]
    assert (qm9.sample_count, qm9.sample_seeds, qm9.train_size) == (10000, [0, 1, 2], None)


def test_equal_numbers_are_one_configuration():
    row = Row(base="latent3d", overrides={"topology": {"layers": 2.0, "clip": 1}})
    settings = hyperparameters(row, "topology", "default")
    assert repr(settings["layers"]) == "2"
    assert repr(settings["clip"]) == "1.0"


if __name__ == "__main__":
    write_json(SCHEMA, schema())
