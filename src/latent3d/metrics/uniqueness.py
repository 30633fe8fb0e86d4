"""Valid, unique and novel over all requested samples: nested sets, one denominator."""

from collections.abc import Sequence, Set
from dataclasses import dataclass


@dataclass(frozen=True)
class Uniqueness:
    """Sizes of the nested sets L, U, V of N requested samples, so that |L| <= |U| <= |V| <= N.

    Attributes:
        requested: N.
        valid: |V|, strictly valid samples.
        unique: |U|, distinct canonical SMILES among them.
        novel: |L|, those of U that are not in the training set.
    """

    requested: int
    valid: int
    unique: int
    novel: int

    def rates(self) -> dict[str, float | None]:
        """V, V&U and V&U&N: |V| / N, |U| / N, |L| / N. None when nothing was requested."""
        sizes = {"strict_validity": self.valid, "valid_unique": self.unique, "valid_unique_novel": self.novel}
        return {name: size / self.requested if self.requested else None for name, size in sizes.items()}


def count_unique(smiles: Sequence[str | None], train_smiles: Set[str]) -> Uniqueness:
    """Count the nested sets.

    Args:
        smiles: canonical SMILES of each requested sample, None where the sample is not strictly valid.
        train_smiles: canonical SMILES of the training molecules, by the same `canonical_smiles`.
    """
    valid = [s for s in smiles if s is not None]
    distinct = set(valid)
    return Uniqueness(len(smiles), len(valid), len(distinct), len(distinct - train_smiles))
