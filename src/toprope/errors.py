"""The errors a user can meet. One root, few children, each one clear line; a traceback is always a bug of ours."""


class TopropeError(Exception):
    """Root of everything toprope raises on purpose. `exit_code` is what the command line ends with."""

    exit_code = 2


class UsageError(TopropeError, ValueError):
    """A bad argument, file or directory: the message names it, its value, what was expected and the remedy."""


class RunError(TopropeError):
    """A run directory that cannot be opened or continued: corrupt, of another version, or in use."""


class NoProtection(TopropeError):
    """No sandbox tier passed its self-test on this machine."""

    exit_code = 3


class MachineFault(TopropeError):
    """What this machine allows is too little to run a candidate at all. Never booked on a candidate."""


class ModelSpent(RunError):
    """Candidates have used the tokens of their model that the run allows."""


class NoAnswer(RunError):
    """The provider of candidates' model is down, or will not serve us. In our words: its own may hold a key."""


class NoReply(RunError):
    """A candidate asks its model, in a replay, what the run's ledger does not hold."""


class TooLate(TopropeError):
    """Hidden work that did not end before the last tick of its schedule. Never leaves the hub."""


class WorkerDied(TopropeError, RuntimeError):
    """A scorer, hub or zygote ended without an answer. The run can be resumed."""
