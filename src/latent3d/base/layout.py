"""Where every file lies: the only place that knows. Patterns of the workflow are the same paths with wildcards.

`Layout().of_samples("{benchmark}", "{row}", "{train_seed}", "{variant}", MEASURES)` is the pattern of a rule.
"""

from dataclasses import dataclass
from pathlib import Path

TrainSeed = int | str


@dataclass(frozen=True)
class Layout:
    """Paths below the folder of results."""

    root: Path = Path("results")

    # Data and what is trained on it: by dataset.

    def raw(self, source: str) -> str:
        """Molecules of a source as they come, with bonds."""
        return str(self.root / "raw" / f"{source}.parquet")

    def dataset(self, dataset: str) -> str:
        """The molecules of a dataset with their split."""
        return str(self.root / dataset / "dataset.parquet")

    def reference(self, dataset: str) -> str:
        """Statistics of the training molecules."""
        return str(self.root / dataset / "reference.safetensors")

    def reference_energies(self, dataset: str) -> str:
        """Energies of the test molecules."""
        return str(self.root / dataset / "energies.parquet")

    def trained(self, dataset: str, row: str, train_seed: TrainSeed, file: str) -> str:
        """A file of what a row trained, e.g. `topology.safetensors`, or `reconstruction.json`."""
        return str(self.root / dataset / row / f"train{train_seed}" / file)

    # Requests, samples and what is measured of them: by benchmark. A file holds all sampling seeds, in a column.

    def requests(self, benchmark: str) -> str:
        """What is asked of every row."""
        return str(self.root / benchmark / "requests.parquet")

    def of_samples(self, benchmark: str, row: str, train_seed: TrainSeed, variant: str, file: str) -> str:
        """A file of a row's samples: samples.parquet, energies.parquet, measures.parquet, ledger.csv or run.json."""
        return str(self.root / benchmark / row / f"train{train_seed}" / variant / file)

    # What people read.

    def table(self, table: str | None, benchmark: str) -> str:
        """A table; the main one has no name of its own."""
        return str(self.root / ("_".join(["table", *filter(None, [table]), benchmark]) + ".csv"))

    def figure(self, figure: str, benchmark: str, ending: str = ".svg") -> str:
        """A figure."""
        return str(self.root / f"fig_{figure}_{benchmark}{ending}")


SAMPLES, ENERGIES, JUDGED, MEASURES, LEDGER, RUN = (
    *("samples.parquet", "energies.parquet", "judged.parquet"),
    *("measures.parquet", "ledger.csv", "run.json"),
)
"""Names of the files of samples."""
