"""SMILES of the embedded dataset, for tests of metrics that need no coordinates."""

from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
from rdkit import Chem

_MINI = Path(__file__).parents[2] / "resources" / "mini.parquet"


@cache
def mini_smiles(count: int) -> list[str]:
    """Canonical SMILES, without stereochemistry, of `count` molecules spread over mini."""
    smiles = pq.read_table(_MINI, columns=["smiles"])["smiles"].to_pylist()
    chosen = smiles[:: len(smiles) // count][:count]
    return [Chem.MolToSmiles(Chem.MolFromSmiles(text), isomericSmiles=False) for text in chosen]
