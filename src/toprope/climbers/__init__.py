"""Climbers propose candidates. They speak ask and tell, in columns, and never see a hidden draw."""

from toprope.climbers.registry import imported as imported
from toprope.climbers.registry import make as make
from toprope.climbers.registry import names as names
