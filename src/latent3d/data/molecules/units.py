"""Conversions between units, `A_PER_B`: CODATA 2018 (Tiesinga et al., Rev. Mod. Phys. 93, 025010, 2021).

Energies per molecule and per mole are the same quantity here: kcal and kJ stand for kcal/mol and kJ/mol.
"""

ANGSTROM_PER_BOHR = 0.529177210903
EV_PER_HARTREE = 27.211386245988
KJ_PER_HARTREE = 2625.4996394799
KCAL_PER_HARTREE = 627.5094740631
KJ_PER_KCAL = 4.184
"""Thermochemical calorie, exact."""
DEBYE_PER_ATOMIC_UNIT = 2.541746473
"""Of dipole moment, e a0; 1 debye is 1e-18 statC cm."""
