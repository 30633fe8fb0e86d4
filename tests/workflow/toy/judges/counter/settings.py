"""Settings of the judge."""

from pydantic import BaseModel


class Regression(BaseModel):
    """A least-squares fit has nothing to set but how many molecules it sees."""

    molecules: int = 1000


SETTINGS = {"regression": Regression}
