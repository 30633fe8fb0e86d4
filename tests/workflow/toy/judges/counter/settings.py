"""Settings of the judge."""

from latent3d.base.settings import Count, Settings


class Regression(Settings):
    """A least-squares fit has nothing to set but how many molecules it sees."""

    molecules: Count = 1000


SETTINGS = {"regression": Regression}
