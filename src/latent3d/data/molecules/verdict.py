"""The verdict on a graph: what a molecule must be to be learned from, and to count as strictly valid."""

from dataclasses import dataclass

from rdkit import Chem

from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.rdkit import sanitised


@dataclass(frozen=True)
class GraphVerdict:
    """What a graph is worth.

    Attributes:
        status: `ok`, or the first that applies of `sanitise_failed` (RDKit refuses it, implicit hydrogens being
            forbidden), `radical`, `fragments` (more than one), `charged`, `odd_electrons`.
        mol: the graph as RDKit sanitised it, None where it refused.
        connected: whether that is one fragment.
    """

    status: str
    mol: Chem.Mol | None = None
    connected: bool = False


def judge_graph(molecule: Molecule, may_be_charged: bool = False) -> GraphVerdict:
    """Verdict on a molecule of at least one atom by its bonds, whatever its coordinates.

    Args:
        molecule: its bonds are known.
        may_be_charged: a total charge is then no fault.
    """
    mol = sanitised(molecule)
    if mol is None:
        return GraphVerdict("sanitise_failed")
    connected = len(Chem.GetMolFrags(mol)) == 1
    charge = int(molecule.formal_charges.sum(dtype=int))
    faults = {
        "radical": any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()),
        "fragments": not connected,
        "charged": charge != 0 and not may_be_charged,
        "odd_electrons": (int(molecule.atomic_numbers.sum(dtype=int)) - charge) % 2 == 1,
    }
    return GraphVerdict(next((fault for fault, applies in faults.items() if applies), "ok"), mol, connected)
