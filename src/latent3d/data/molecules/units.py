"""Units and constants, CODATA 2018."""

HARTREE_IN_KCAL_PER_MOL = 627.5094740631
"""CODATA 2018."""


KCAL = 4.184
"""kJ per kcal."""


BOHR = 0.529177210903
"""Angstrom per bohr (CODATA 2018)."""


HARTREE_EV = 27.211386245988


KJ_PER_HARTREE = 2625.4996394799
"""kJ/mol per hartree (CODATA 2018)."""
