"""What trained predictors say of samples: judged.parquet beside them, one line per sample."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from latent3d.base.files import atomic_path, hash_file
from latent3d.base.run import Run
from latent3d.data.molecules.parquet import read_parquet
from latent3d.judges import load_judge

Parts = Mapping[str, Path]


def judge_samples(samples: Path, judges: Mapping[str, Parts], run: Run, out: Path) -> pd.DataFrame:
    """Write the predictions of all judges for the samples of a file to `out`, and return them.

    Columns: `seed` and `sample_index`, then `{judge}.{property}` of every judge; missing where one cannot judge.

    Args:
        samples: samples.parquet of a row.
        judges: by name, the weights file of each stage.
        run: device.
        out: judged.parquet.
    """
    records = read_parquet(samples)
    columns = [records.table[["seed", "sample_index"]].reset_index(drop=True)]
    for name, parts in judges.items():
        print(f"judge: {name} judges {len(records)} samples", file=sys.stderr)
        columns.append(load_judge(name).predict(parts, records, run).reset_index(drop=True).add_prefix(f"{name}."))
    judged = pd.concat(columns, axis=1)
    weights = {name: {stage: hash_file(file) for stage, file in parts.items()} for name, parts in judges.items()}
    metadata = json.dumps({"samples_sha256": hash_file(samples), "weights_sha256": weights}, sort_keys=True).encode()
    table = pa.Table.from_pandas(judged, preserve_index=False).replace_schema_metadata({b"latent3d": metadata})
    with atomic_path(out) as temporary:
        pq.write_table(table, temporary)
    return judged
