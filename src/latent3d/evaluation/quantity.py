"""A measured quantity: its name, its column in a table, its header for people."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """A measured quantity as a table prints it.

    Attributes:
        name: key in the measurement file.
        unit: unit in the table (`pct` for a rate, else as written), empty for none.
        direction: `up` if higher is better, `down` if lower is better, empty if neither.
        meaning: definition, denominator and source, in a sentence or two.
        scale: factor from the file's unit to the table's.
        spread: False for what does not vary over seeds (sizes, counts): no standard deviation is printed.
    """

    name: str
    unit: str = ""
    direction: str = ""
    meaning: str = ""
    scale: float = 1.0
    spread: bool = True

    @property
    def column(self) -> str:
        """Name of the table's column, e.g. `strict_validity_pct_up`."""
        return "_".join(part for part in (self.name, self.unit, self.direction) if part)


def rate(name: str, meaning: str, direction: str = "up") -> Quantity:
    """A share of samples: a fraction of 1 in files, percent in tables."""
    return Quantity(name, "pct", direction, meaning, 100.0)


UNIT_LABELS = {
    "pct": "%",
    "kcal_per_mol": "kcal/mol",
    "square_angstrom": "Å²",
    "angstrom": "Å",
    "degree": "°",
    "dalton": "Da",
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
