"""`w2s/bank-v2` and `w2s/bank-v1`: weak-to-strong on activations of real models, from banks in the format of `file`."""

from toprope_tasks.w2s.bank.task import make as make
