"""The errors a user can meet. One root, few children, each one clear line; a traceback is always a bug of ours."""


class TopropeError(Exception):
    """Root of every error that toprope raises on purpose. `exit_code`: exit status of the command line."""

    exit_code = 2


class UsageError(TopropeError, ValueError):
    """A bad argument, file or directory: the message names it, its value, what was expected and the remedy."""


class RunError(TopropeError):
    """A run directory that cannot be opened or continued: corrupt, of another version, or in use."""


class NoProtection(TopropeError):
    """No sandbox tier passed its self-test on this machine."""

    exit_code = 3


class MachineFault(TopropeError):
    """The machine's limits are too low to run any candidate. Such an end is never attributed to a candidate."""


class ModelSpent(RunError):
    """The candidates have used all tokens of their model that the run allows."""


class NoAnswer(RunError):
    """The provider of the candidates' model is down or refuses to serve. The provider's text is not included, because
    it may contain an API key."""


class NoReply(RunError):
    """In a replay, a candidate asks its model a question whose reply the run's ledger does not hold."""


class TooLate(TopropeError):
    """Hidden work did not end before the last release slot of its schedule. This error never leaves the hub."""


class WorkerDied(TopropeError, RuntimeError):
    """A scorer, hub or zygote ended without an answer. The run can be resumed."""
