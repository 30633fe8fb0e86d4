"""A molecule that cannot be computed, and why: what a task of `workers.Workers` raises."""


class Failed(Exception):
    """A molecule that cannot be computed; `reason` is the status that the ledger gets."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
