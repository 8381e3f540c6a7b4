"""`w2s/probe-hard-v1`: teachers below 74 %, concepts that no tuned method lifts far."""

from toprope_tasks.w2s.task import make as make
