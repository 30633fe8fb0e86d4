"""What a task measures."""

from latent3d.evaluation.score import Measure, family
from latent3d.tasks import read_task


def measure_families(task: str) -> list[Measure]:
    """The families of measures that a task lists."""
    listed = read_task(task).measures
    return [family(one) if isinstance(one, str) else family(one.name, one.function) for one in listed]
