"""Our own ledger and sandboxes keep the contracts that anybody's would."""

import cells
import pytest

from toprope.journal.ledger import SqliteLedger
from toprope.testing.ledgers import LedgerContract
from toprope.testing.sandboxes import SandboxContract

pytestmark = pytest.mark.e2e


class TestSqlite(LedgerContract):
    def make_ledger(self, folder):
        return SqliteLedger(folder / "ledger.db", create=True)


class TestLandlock(SandboxContract):
    tier = "linux-landlock"


@pytest.mark.skipif(not cells.full(), reason="no namespaces here")
class TestFull(SandboxContract):
    tier = "linux-full"
