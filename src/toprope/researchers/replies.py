"""Malformed replies of a provider: a gateway's page with status 200 is retried like an error.

The provider's package raises an arbitrary exception for such a page, which Inspect would treat as a bug of ours.
"""

from __future__ import annotations

import json
from typing import Any

TRIES = 5  # for one question, while the replies are malformed


class FruitlessTurns(RuntimeError):
    """The provider sent something other than a reply of a model."""


def watched(model: Any) -> Any:
    """The model, changed so that malformed replies are retried, TRIES times in a row."""
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
                f"the provider's reply was not JSON of a model ({type(e).__name__}), {failed} times"
            ) from e
        failed = 0
        return said

    def should_retry(error: BaseException) -> Any:
        return failed < TRIES if isinstance(error, FruitlessTurns) else retry(error)

    model.api.generate, model.api.should_retry = generate, should_retry
    return model


def _no_reply(e: Exception) -> bool:
    """Whether the reply was not JSON, or the package passed on text and then failed on an attribute of a reply."""
    return isinstance(e, json.JSONDecodeError) or (isinstance(e, AttributeError) and "'str' object" in str(e))
