"""`toprope` whose sittings plant every decoy, so that who throws a switch is always seen."""

from types import SimpleNamespace

from toprope.cli import main
from toprope.referee.honeypots import complete_secret
from toprope.run import session

SECRET = complete_secret()
session.secrets = SimpleNamespace(token_bytes=lambda _: SECRET)
main()
