"""Names, units and directions of the measured quantities: one place for tables, figures and report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """A measured quantity as a table prints it.

    Attributes:
        name: key in the measurement file.
        unit: unit in the table (`pct` for a rate, else as written), empty for none.
        direction: `up` if higher is better, `down` if lower is better, empty if neither.
        scale: factor from the file's unit to the table's.
        published: metric id in the table of published numbers, if it is there under the same protocol.
        spread: False for what does not vary over seeds (sizes, counts): no standard deviation is printed.
    """

    name: str
    unit: str = ""
    direction: str = ""
    scale: float = 1.0
    published: str | None = None
    spread: bool = True

    @property
    def column(self) -> str:
        """Name of the table's column, e.g. `strict_validity_pct_up`."""
        return "_".join(part for part in (self.name, self.unit, self.direction) if part)


def _rate(name: str, direction: str = "up", published: str | None = None) -> Quantity:
    return Quantity(name, "pct", direction, 100.0, published)


QUALITY = [
    _rate("legacy_atom_stability", published="atom_stability"),
    _rate("legacy_molecule_stability", published="molecule_stability"),
    _rate("legacy_validity", published="validity"),
    _rate("legacy_uniqueness", published="uniqueness"),
    _rate("legacy_novelty", published="novelty"),
    _rate("strict_validity"),
    _rate("valid_unique"),
    _rate("valid_unique_novel"),
]

ENERGY = [
    _rate("gfn2_success"),
    Quantity("gfn2_energy_per_atom_wasserstein", "kcal_per_mol", "down"),
]

AUTOENCODER = [
    _rate("exact_match_2d"),
    Quantity("bond_length_mae", "angstrom", "down"),
    *(
        Quantity(f"rmsd_{atoms}{kind}", "angstrom", direction)
        for kind, direction in (("", "down"), ("_median", "down"), ("_shuffled", ""))
        for atoms in ("heavy", "all")
    ),
    _rate("chirality_recovered"),
    _rate("chirality_recovered_shuffled", direction=""),
    Quantity("n_stereocentres", spread=False),
    Quantity("latent_2d", spread=False),
    Quantity("latent_3d", spread=False),
    Quantity("rotation_error", "", "down"),
    Quantity("reflection_change", "", "up"),
]

UNIT_LABELS = {
    "pct": "%",
    "kcal_per_mol": "kcal/mol",
    "angstrom": "Å",
    "debye": "D",
    "ev": "eV",
    "s": "s",
    "mb": "MB",
}
DIRECTION_LABELS = {"up": "↑", "down": "↓"}


def header(column: str) -> str:
    """A column's name for people: `strict_validity_pct_up` -> `strict validity (%, ↑)`.

    Of a value taken from a publication, `..._published`: `legacy validity (%, ↑), published`.
    """
    name, details = column.removesuffix("_published"), []
    for ending, label in (*DIRECTION_LABELS.items(), *UNIT_LABELS.items()):
        if name.endswith("_" + ending):
            name = name.removesuffix("_" + ending)
            details.insert(0, label)
    # No-break spaces keep unit and direction on one line of a narrow header.
    details_text = ",\u00a0".join(details)
    source = ", published" if column.endswith("_published") else ""
    return name.replace("_", " ") + (f" ({details_text})" if details else "") + source
