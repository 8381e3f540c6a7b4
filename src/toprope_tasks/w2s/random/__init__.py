"""`w2s/probe-runs-v1`: concepts drawn at random, digits between random cuts of 0..9."""

from toprope_tasks.w2s.task import make as make
