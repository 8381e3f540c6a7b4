"""`w2s/finetune-v1`: the targets of a method train the strong language model itself, all of its weights."""

from toprope_tasks.w2s.finetune.task import make as make
