"""Whatever proposes candidates: a climber speaks ask and tell, in columns, and never sees a hidden draw."""

from toprope.climbers.registry import imported as imported
from toprope.climbers.registry import make as make
from toprope.climbers.registry import names as names
