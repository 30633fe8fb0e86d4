"""Errors meant for people: one plain sentence that names the file or key and the remedy."""


class UserError(Exception):
    """A mistake or a condition the user can mend. The command line prints it without a traceback, exit code 2."""


class Failed(Exception):
    """A molecule that cannot be computed, and why: what a task of `workers.Workers` raises.

    `reason` is the status that the ledger gets.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason


class StoppedEarly(Exception):
    """Work stopped on purpose (time limit, or a signal) after saving its state. Exit code 75: run the same again."""
