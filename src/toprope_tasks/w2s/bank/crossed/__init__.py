"""`w2s/bank-v2`: practice on four banks, two models each on the texts of both.

With one bank for a model and a text, as in `w2s/bank-v1`, a climb may learn what holds for one of them alone. Draws
take the banks in turn, so the first rung must have a draw of each.
"""

from pathlib import Path

from toprope_tasks.w2s.bank.task import PAIRED, BankTask, shipped

VISIBLE = (*PAIRED, "smollm2-verses", "minilm-wordnet")


def make(task_id: str) -> BankTask:
    """The task `w2s/bank-v2`."""
    return BankTask(task_id, shipped(VISIBLE), card=Path(__file__).with_name("task.toml"))
