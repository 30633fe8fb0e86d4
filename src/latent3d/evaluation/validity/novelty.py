"""How many different molecules there are among the strictly valid, and how many of them are new."""

from collections import Counter

import pandas as pd

from latent3d.data.molecules.molecules import Molecules
from latent3d.evaluation.context import Context
from latent3d.evaluation.measures import Measures


def measure(samples: Molecules, requests: pd.DataFrame, context: Context, out: Measures) -> pd.DataFrame:
    """V&U, V&U&N and the share of known molecules, by canonical SMILES."""
    smiles, n, reference = context.population().table["smiles"], len(samples), context.reference
    valid = Counter(text for text in smiles if text is not None)
    out.distinct("valid_unique", valid, n)
    novel = pd.Series([None] * n, dtype=object)
    if reference is None:
        out.missing(["valid_unique_novel", "known"])
    else:
        unseen = {text: count for text, count in valid.items() if text not in reference.smiles}
        out.distinct("valid_unique_novel", unseen, n)
        known = reference.smiles | reference.held_out_smiles
        out.rate("known", sum(count for text, count in valid.items() if text in known), n)
        novel = pd.Series([None if s is None else s not in reference.smiles for s in smiles], dtype=object)
    return pd.DataFrame({"atoms": samples.atom_counts, "smiles": smiles, "novel": novel})
