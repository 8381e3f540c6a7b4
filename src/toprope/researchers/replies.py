"""A provider's replies that are no replies: a gateway's page with status 200 is tried again like an error.

The provider's package then raises whatever it stumbled over, which Inspect takes for a fault of ours.
"""

from __future__ import annotations

import json
from typing import Any

TRIES = 5  # of one question whose replies are none


class FruitlessTurns(RuntimeError):
    """The provider replied with something that is no reply of a model."""


def watched(model: Any) -> Any:
    """The model, whose provider's pages are tried again, TRIES times running."""
    ask, retry = model.api.generate, model.api.should_retry
    failed = 0

    async def generate(*args: Any, **options: Any) -> Any:
        nonlocal failed
        try:
            said = await ask(*args, **options)
        except Exception as e:
            if not _no_reply(e):
                raise
            failed += 1
            raise FruitlessTurns(
                f"the provider's reply was no JSON of a model ({type(e).__name__}), {failed} times"
            ) from e
        failed = 0
        return said

    def should_retry(error: BaseException) -> Any:
        return failed < TRIES if isinstance(error, FruitlessTurns) else retry(error)

    model.api.generate, model.api.should_retry = generate, should_retry
    return model


def _no_reply(e: Exception) -> bool:
    """No JSON; or, where a package hands over what is none, an attribute of a model's reply that text has not."""
    return isinstance(e, json.JSONDecodeError) or (isinstance(e, AttributeError) and "'str' object" in str(e))
