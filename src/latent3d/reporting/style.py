"""How figures look: colours that colour-blind readers can tell apart, the same for a row in every figure."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from latent3d.base.files import atomic_path
from latent3d.reporting.rows import TableRow

# Colours of Okabe and Ito (2008) and of Tol's muted scheme (2021), by place in config.yaml: controls first (greys,
# blues), EDM and its ablations (indigo to sky), GeoLDM and its own (wine to sand), latent3d (greens), LDM-3DG and
# its own (reds), then others.
COLOURS = [
    *("#000000", "#7F7F7F", "#56B4E9", "#0072B2", "#CC79A7", "#B8A800"),
    *("#332288", "#6699CC", "#88CCEE", "#882255", "#AA4499", "#DDCC77", "#E69F00"),
    *("#009E73", "#44AA99"),
    *("#D55E00", "#F4A582", "#661100", "#CC6677", "#999933"),
    *("#117733", "#5D3A9B"),
]
LINE_STYLES = ["-", "--", ":", "-."]

plt.rcParams.update(
    {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        "svg.hashsalt": "latent3d",
    }
)


def colour(row: TableRow) -> str:
    """Colour of a row, fixed by its place in config.yaml."""
    return COLOURS[row.position % len(COLOURS)]


def save(figure: Figure, path: Path) -> None:
    """Write the vector file and beside it a PNG (150 dpi). Equal figures give equal bytes."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, metadata={"Date": None})
    with atomic_path(path.with_suffix(".png")) as temporary:
        figure.savefig(temporary, dpi=150, metadata={"Software": None})
    plt.close(figure)
