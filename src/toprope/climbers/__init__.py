"""Whatever proposes candidates: a climber speaks ask and tell, in columns, and never sees a hidden draw."""

from toprope.climbers.registry import authored as authored
from toprope.climbers.registry import known as known
from toprope.climbers.registry import make as make
from toprope.climbers.registry import names as names
