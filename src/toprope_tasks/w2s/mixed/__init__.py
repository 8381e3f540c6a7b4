"""`w2s/probe-v2`: clean draws and noisy ones for practice, activations of real models for gate and sealed test."""

from toprope_tasks.w2s.mixed.task import make as make
