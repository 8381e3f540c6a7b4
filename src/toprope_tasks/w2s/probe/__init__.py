"""`w2s/probe-v1`: concepts whose weak teacher is right at least 70 % of the time."""

from toprope_tasks.w2s.task import make as make
