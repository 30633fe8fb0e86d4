"""Errors meant for people: one plain sentence that names the file or key and the remedy."""


class UserError(Exception):
    """A mistake or a condition the user can mend. The command line prints it without a traceback, exit code 2."""


class StoppedEarly(Exception):
    """Work stopped on purpose (time limit, or a signal) after saving its state. Exit code 75: run the same again."""
