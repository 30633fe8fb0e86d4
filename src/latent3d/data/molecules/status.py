"""What may have become of a sample: the words of the column `status`."""

import sys

import numpy as np

from latent3d.data.molecules.molecules import Molecule, Molecules

USABLE_STATUSES = ("ok", "ff_unconverged")
"""Sample statuses that leave a molecule to be judged. An unconverged relaxation is kept and judged as it stands."""


FAILURES = frozenset(
    [
        *("decode_failed", "nan_coordinates", "foreign_element", "too_large", "atoms_overlap", "sanitise_failed"),
        *("radical", "fragments", "charged", "odd_electrons", "embed_failed", "ff_untyped", "scf_failed"),
        *("opt_unconverged", "topology_changed", "timeout", "crashed"),
    ]
)
"""Sample statuses that are failures."""


def coordinate_status(molecule: Molecule) -> str:
    """The status of a molecule that was decoded: `ok`, unless a coordinate is not finite."""
    return "ok" if np.isfinite(molecule.positions).all() else "nan_coordinates"


def sample_status(molecules: Molecules) -> list[str]:
    """The column `status`; `ok` where there is none, or where it says what is no status of a sample.

    Coordinates that are not finite are seen again, whatever reader or relaxation has said of them; that way a graph is
    judged alike in every format.
    """
    if "status" not in molecules.table:
        return ["ok"] * len(molecules)
    given = molecules.table["status"].fillna("ok").tolist()
    unknown = {str(status) for status in given} - FAILURES - set(USABLE_STATUSES)
    if unknown:
        print(
            f"The column 'status' says {sorted(unknown)[0]!r}, which is no sample's status: such values are ignored.",
            file=sys.stderr,
        )
    return [
        status if status in FAILURES - {"nan_coordinates"} or status in USABLE_STATUSES else "ok" for status in given
    ]
