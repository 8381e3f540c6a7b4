"""`w2s/probe-v2`: clean draws and noisy ones, so that what is best on them is good on activations of real models."""

from toprope_tasks.w2s.task import make as make
