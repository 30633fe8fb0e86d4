"""Scalar descriptors of one molecule's graph."""

from rdkit import Chem
from rdkit.Chem import QED

from latent3d.evaluation.distribution.contrib import contrib_module


def descriptors(mol: Chem.Mol) -> tuple[float, ...]:
    """Values in the order of `registry.DESCRIPTORS`, as RDKit defines them, rounded to 1e-9.

    Molecular weight (Da), Crippen logP, TPSA (Å², without S and P), QED (mean weights), SA score.

    Args:
        mol: sanitised, without explicit hydrogens, parsed from its canonical SMILES: RDKit counts the stereocentres
            of some cages differently by the order of atoms, which moves the SA score by up to 0.4.

    Raises:
        UserError: RDKit came without Contrib/SA_Score.
    """
    # QED's own ingredients are three of the descriptors: computing logP twice would cost a fifth of the time.
    ingredients = QED.properties(mol)
    synthetic_accessibility = contrib_module("SA_Score", "sascorer").calculateScore(mol)
    values = (
        ingredients.MW,
        ingredients.ALOGP,
        ingredients.PSA,
        QED.qed(mol, qedProperties=ingredients),
        synthetic_accessibility,
    )
    # Sums over atoms differ in their last digits between isomers, which must not fall on two sides of a bin's edge.
    return tuple(round(value, 9) for value in values)
