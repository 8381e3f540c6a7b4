"""`toprope` whose sittings plant every decoy, so that who throws a switch is always seen."""

import secrets
from types import SimpleNamespace

from toprope.cli import main
from toprope.referee.honeypots import complete_secret
from toprope.run import session

SECRET = complete_secret()
session.secrets = SimpleNamespace(token_bytes=lambda _: SECRET, token_hex=secrets.token_hex)  # type: ignore
main()
