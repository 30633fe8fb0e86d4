"""What is asked of every row of a benchmark, written once: so every row answers the same questions."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from latent3d.base.errors import UserError
from latent3d.base.files import atomic_path, hash_file
from latent3d.data.molecules.parquet import read_parquet
from latent3d.tasks import read_task, requests_of

COLUMNS = ("seed", "sample_index")


def write_requests(
    task: str, data: Path, settings: dict[str, Any], count: int, seeds: list[int], out: Path
) -> pd.DataFrame:
    """Write the requests of a task on a dataset to `out`, `count` under each of the seeds, and return them.

    Raises:
        UserError: there is no such task, the dataset cannot be read, or the task refuses the settings.
    """
    requests = requests_of(task)(read_parquet(data), settings, count, seeds)
    lacking = [name for name in (*COLUMNS, *read_task(task).conditions) if name not in requests]
    if lacking:
        raise UserError(f"tasks/{task}/requests.py gives no column {lacking[0]!r}; its task.yaml asks for it.")
    table = pa.Table.from_pandas(requests, preserve_index=False)
    metadata = {"task": task, "settings": settings, "data_sha256": hash_file(data)}
    with atomic_path(out) as temporary:
        pq.write_table(
            table.replace_schema_metadata({b"latent3d": json.dumps(metadata, sort_keys=True).encode()}), temporary
        )
    print(f"requests: {out}: {len(requests)} of task {task}, under {len(seeds)} seeds", file=sys.stderr)
    return requests


def read_requests(path: Path) -> pd.DataFrame:
    """The requests of a file, in order.

    Raises:
        UserError: the file is missing, unreadable, or holds no requests.
    """
    try:
        requests = pq.read_table(path, partitioning=None).to_pandas()
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist. Make it with latent3d requests.") from error
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path} is not a readable Parquet file ({str(error).splitlines()[0]}). Make it again."
        ) from error
    for name in COLUMNS:
        if name not in requests:
            raise UserError(f"{path} has no column {name!r}, so it holds no requests. Make it with latent3d requests.")
    return requests
