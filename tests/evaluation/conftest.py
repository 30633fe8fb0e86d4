"""Workers of the evaluation, started once, and references made by them."""

import pytest

from latent3d.base.workers import Workers, run_task
from latent3d.commands.families import measure_families
from latent3d.data.molecules.parquet import write_parquet
from latent3d.evaluation.analysis.reference import make_reference, read_reference_molecules
from latent3d.evaluation.context import Options
from latent3d.evaluation.score import score

FAMILIES = measure_families("unconditional")
QUICK = Options(posebusters=0, fcd=False)


@pytest.fixture(scope="session")
def workers():
    with Workers(run_task, 2, 300) as pool:
        yield pool


@pytest.fixture(scope="session")
def dataset_file(tmp_path_factory, dataset):
    path = tmp_path_factory.mktemp("reference") / "dataset.parquet"
    write_parquet(path, dataset)
    return path


@pytest.fixture(scope="session")
def reference(dataset_file, workers):
    """Statistics of the small dataset of the tests, without FCD and floor."""
    return make_reference(read_reference_molecules(dataset_file, 1), dataset_file, workers, with_fcd=False)


@pytest.fixture(scope="session")
def quick_score(workers):
    """`score` without PoseBusters and FCD: (samples, reference, ...) -> (ledger, metrics)."""

    def run(samples, reference, options=QUICK, **more):
        ledger, measures = score(samples, FAMILIES, workers, options, reference=reference, **more)
        return ledger, measures.summary()

    return run
