"""Drawings of samples and of paths between codes: the graph flat, and the geometry as it stands in the file."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from rdkit import Chem, rdBase
from rdkit.Chem import rdDepictor

from latent3d.base.errors import UserError
from latent3d.data.molecules.molecules import ELEMENTS, Molecule
from latent3d.data.molecules.parquet import read_parquet
from latent3d.data.molecules.perception import perceive_bonds
from latent3d.data.molecules.rdkit import canonical_smiles, to_rdkit
from latent3d.reporting.catalogue import INTERPOLATION
from latent3d.reporting.material import Material

COLUMNS = 6
COLOURS = {1: "#DDDDDD", 6: "#444444", 7: "#0072B2", 8: "#D55E00", 9: "#009E73"}
OTHER_COLOUR = "#CC79A7"
"""Colours of elements, by atomic number, in figures and in the report's gallery."""

_RADII = {1: 0.25}


def samples_figure(material: Material) -> plt.Figure:
    """The first samples of every generated row, not chosen: graph above, geometry below; failures by their reason."""
    drawn = [row for row in material.rows if row.stages or row.samples_of] or material.rows[:1]
    figure, axes = plt.subplots(2 * len(drawn), COLUMNS, figsize=(1.6 * COLUMNS, 3.1 * len(drawn)), squeeze=False)
    for number, row in enumerate(drawn):
        molecules = material.first_samples(row, "raw", COLUMNS)
        for column in range(COLUMNS):
            flat, solid = axes[2 * number, column], axes[2 * number + 1, column]
            _prepare(flat, solid)
            if column >= len(molecules):
                continue
            molecule = molecules[column]
            status = str(molecules.table["status"].iloc[column]) if "status" in molecules.table else "ok"
            if status == "ok" and molecule.bonds is None:
                molecule, status = perceive_bonds(molecule)
            _draw(flat, solid, molecule, status, _view(molecule))
        perceived = "" if molecules.bonds_known[:COLUMNS].all() else ", bonds perceived"
        axes[2 * number, 0].set_title(f"{row.name}, raw{perceived}", loc="left")
    figure.suptitle(f"{material.benchmark}: the first {COLUMNS} samples, not chosen", x=0.01, ha="left", fontsize=10)
    return figure


def interpolation_figure(material: Material) -> plt.Figure:
    """What lies on the straight path between the codes of two held-out molecules, A and B, for pairs that were drawn.

    Framed: the molecules themselves. Between them the decoded frames, from the code of A to that of B; `= A` and `= B`
    mark the graphs that are theirs. A frame that cannot be decoded says why. Of the first training seed.
    """
    drawn = [row for row in material.rows if row.interpolation]
    if not drawn:
        raise UserError(f"No row of {material.benchmark} can interpolate, so there is no such figure to draw.")
    strips = {row.name: read_parquet(material.trained(row, INTERPOLATION)[0]) for row in drawn}
    lines = [(row, pair) for row in drawn for pair in strips[row.name].table["pair"].unique()]
    columns = max(int((strips[row.name].table["pair"] == pair).sum()) for row, pair in lines)
    figure, axes = plt.subplots(2 * len(lines), columns, figsize=(1.25 * columns, 2.7 * len(lines)), squeeze=False)
    for number, (row, pair) in enumerate(lines):
        strip = strips[row.name].take(strips[row.name].table["pair"].to_numpy() == pair)
        ends = [_smiles(strip[0]), _smiles(strip[len(strip) - 1])]
        before = None
        for column, (molecule, line) in enumerate(zip(strip, strip.table.itertuples(), strict=True)):
            flat, solid = axes[2 * number, column], axes[2 * number + 1, column]
            _prepare(flat, solid)
            seen = _view(molecule, before)
            _draw(flat, solid, molecule, line.status, seen)
            before = (molecule, seen) if len(molecule) else before
            if line.origin == "held_out":
                for axis in (flat, solid):
                    axis.add_patch(plt.Rectangle((0, 0), 1, 1, transform=axis.transAxes, fill=False, ec="#999999"))
                label = "A, held out" if column == 0 else "B, held out"
            else:
                same = [name for name, end in zip("AB", ends, strict=True) if _smiles(molecule) == end]
                label = " ".join([f"{100 * line.place:.0f} %", *(f"= {name}" for name in same)])
            flat.set_title(label, fontweight="normal", fontsize=8)
        axes[2 * number, 0].text(0.04, 0.95, row.name, transform=axes[2 * number, 0].transAxes, fontsize=7, va="top")
    title = f"{material.benchmark}: straight paths between the codes of test molecules, not chosen"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _smiles(molecule: Molecule) -> str | None:
    """Canonical SMILES; None for a frame that failed."""
    return canonical_smiles(to_rdkit(molecule)) if len(molecule) else None


def _prepare(*axes: Axes) -> None:
    for axis in axes:
        axis.set_axis_off()
        axis.set_aspect("equal")


def _draw(flat: Axes, solid: Axes, molecule: Molecule, status: str, seen: np.ndarray) -> None:
    """Graph, or why there is none, and geometry as it is seen [N, 3]."""
    if status != "ok":
        flat.text(0.5, 0.5, status.replace("_", "\n"), ha="center", va="center", color="#B00000")
    else:
        _draw_graph(flat, molecule)
    if len(molecule):
        _draw_geometry(solid, molecule, seen)


def _draw_graph(axis: Axes, molecule: Molecule) -> None:
    """Skeletal formula: hydrogens left out, double and triple bonds as parallel lines.

    RDKit's rdMolDraw2D draws files or bitmaps of its own; inside a figure of matplotlib it would be pixels.
    """
    with rdBase.BlockLogs():
        mol = Chem.RemoveHs(to_rdkit(molecule), sanitize=False)
    rdDepictor.Compute2DCoords(mol)
    place = mol.GetConformer().GetPositions()[:, :2]
    for bond in mol.GetBonds():
        start, end = place[bond.GetBeginAtomIdx()], place[bond.GetEndAtomIdx()]
        across = np.array([start[1] - end[1], end[0] - start[0]])
        across *= 0.12 / max(np.linalg.norm(across), 1e-9)
        order = int(bond.GetBondTypeAsDouble())
        for shift in np.arange(order) - (order - 1) / 2:
            axis.plot(*np.transpose([start + 2 * shift * across, end + 2 * shift * across]), color="#222222", lw=1)
    for atom, (x, y) in zip(mol.GetAtoms(), place, strict=True):
        number, charge = atom.GetAtomicNum(), atom.GetFormalCharge()
        if number == 6 and not charge and mol.GetNumAtoms() > 1:
            continue
        text = ELEMENTS[number] + _hydrogens(atom.GetTotalNumHs()) + _charge(charge)
        box = {"boxstyle": "circle,pad=0.1", "facecolor": "white", "edgecolor": "none"}
        axis.text(x, y, text, ha="center", va="center", fontsize=8, color=COLOURS.get(number, OTHER_COLOUR), bbox=box)
    _same_scale(axis, place, 2.6)


def _draw_geometry(axis: Axes, molecule: Molecule, seen: np.ndarray) -> None:
    """Orthographic view; near atoms cover far ones."""
    if not np.isfinite(seen).all():
        axis.text(0.5, 0.5, "NaN\ncoordinates", ha="center", va="center", color="#B00000")
        return
    x, y, depth = seen.T
    for i, j in [] if molecule.bonds is None else molecule.bonds:
        axis.plot([x[i], x[j]], [y[i], y[j]], color="#999999", lw=2.2, zorder=float(min(depth[i], depth[j])) - 0.01)
    for i, number in enumerate(molecule.atomic_numbers.tolist()):
        circle = plt.Circle(
            (x[i], y[i]),
            _RADII.get(number, 0.38),
            facecolor=COLOURS.get(number, OTHER_COLOUR),
            edgecolor="black",
            lw=0.4,
            zorder=float(depth[i]),
        )
        axis.add_patch(circle)
    _same_scale(axis, np.stack([x, y], 1), 3.0)


def _view(molecule: Molecule, before: tuple[Molecule, np.ndarray] | None = None) -> np.ndarray:
    """Positions [N, 3] seen along the direction in which the molecule extends least.

    Of the four ways to turn it so, the one nearest to the view [M, 3] of the molecule `before`, if there is one.
    """
    if not len(molecule) or not np.isfinite(molecule.positions).all():
        return molecule.positions
    seen = (molecule.positions - molecule.positions.mean(0)) @ principal_axes(molecule.positions).T
    if before is None or not np.isfinite(before[1]).all():
        return seen
    # Atoms of one graph are matched; of two, those at the same place in the order, which codes share.
    match = to_rdkit(before[0]).GetSubstructMatch(to_rdkit(molecule)) if len(before[0]) == len(molecule) else ()
    target = before[1][list(match)] if match else before[1]
    shared = min(len(seen), len(target))
    turns = [np.array(signs) for signs in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))]
    return seen * min(turns, key=lambda turn: np.square((seen * turn)[:shared] - target[:shared]).sum())


def principal_axes(positions: np.ndarray) -> np.ndarray:
    """[3, 3] directions (rows) in which positions [N, 3] extend, most first; right-handed, so no view is mirrored."""
    centred = (positions - positions.mean(0)).astype(float)
    _, _, axes = np.linalg.svd(centred, full_matrices=len(centred) < 3)
    axes[2] = np.cross(axes[0], axes[1])
    return axes


def _same_scale(axis: Axes, place: np.ndarray, smallest: float) -> None:
    """Centre the drawing; small molecules are drawn to the scale of a molecule with the half-width `smallest`."""
    low, high = place.min(0), place.max(0)
    half = max(smallest, float((high - low).max()) / 2 + 0.7)
    centre = (low + high) / 2
    axis.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - half, centre[1] + half))


def _hydrogens(number: int) -> str:
    return "" if number == 0 else "H" if number == 1 else f"H$_{number}$"


def _charge(charge: int) -> str:
    return "" if charge == 0 else {1: "$^+$", -1: "$^-$"}.get(charge, f"$^{{{charge:+d}}}$")
