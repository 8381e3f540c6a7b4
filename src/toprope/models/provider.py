"""Models through Inspect's model layer (extra [llm]), which does providers, retries and counting."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from toprope.errors import UsageError
from toprope.models.messages import Provider, Question, Rejected, Told

RETRIES = 5
PATIENCE_S = 120  # in all, for a provider that answers with errors
LONGEST_S = 600  # of one request, also to a provider that accepts it and then stays silent or slow
REJECTS = (400, 413, 422)  # HTTP statuses of a server that refuses a request


def needed(what: str) -> None:
    """Raises UsageError if the extra is not installed. what: the feature that needs it."""
    try:
        import inspect_ai  # noqa: F401  to see whether it is installed
    except ImportError as e:
        raise UsageError(f"{what} need the extra [llm] ({e}); `pip install 'toprope[llm]'`") from e


def get(option: str, name: str | None) -> Any:
    """Inspect's model PROVIDER/NAME. Raises UsageError if Inspect cannot make it: unknown provider, missing package or
    key."""
    needed("language models")
    from inspect_ai.model import get_model

    try:
        return get_model(name)
    except Exception as e:  # providers may raise anything
        words = plain(e)
        if unset := re.search(r"\bNo ([A-Z][A-Z0-9_]+)\b", words):
            words = f"n{words[unset.start() + 1 :]}; `export {unset[1]}=…`"
        elif "pip install" not in words:
            words += "; expected PROVIDER/NAME, such as openai/NAME"
        raise UsageError(f"{option} {name}: {words}") from e


def plain(error: Exception) -> str:
    """The message of Inspect or a provider, on one line and without console markup."""
    from rich.errors import MarkupError
    from rich.text import Text

    words = str(error)
    with contextlib.suppress(MarkupError):
        words = Text.from_markup(words).plain
    return " ".join(words.split()).removeprefix("ERROR: ")[:400].rstrip(".")


def bill(usage: Any) -> tuple[int, float]:
    """Tokens and dollars of a reply, as its provider counts them. Raises RuntimeError for a provider that does not
    count tokens, because a cap would have no effect."""
    if usage is None or usage.total_tokens <= 0:
        raise RuntimeError("the model does not say how many tokens it used, so they cannot be counted")
    return usage.total_tokens, usage.total_cost or 0.0


def inspect_model(name: str) -> Provider:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, GenerateConfig

    model = get("--candidate-model", name)
    kinds: dict[str, Any] = {
        "system": ChatMessageSystem,
        "user": ChatMessageUser,
        "assistant": ChatMessageAssistant,
    }

    async def ask(question: Question, most: int) -> Told:
        config = GenerateConfig(max_tokens=most, max_retries=RETRIES, timeout=PATIENCE_S, attempt_timeout=LONGEST_S)
        try:
            output = await model.generate([kinds[m.role](content=m.content) for m in question.messages], config=config)
        except Exception as e:  # providers may raise anything
            if _status(e) in REJECTS:
                raise Rejected(str(e)) from e
            raise
        usage = output.usage
        if usage is None and output.stop_reason in ("content_filter", "model_length"):
            raise Rejected(output.stop_reason)
        if output.error:
            raise RuntimeError(output.error)
        return Told(output.completion, *bill(usage))

    return ask


def _status(e: BaseException | None) -> int | None:
    """The HTTP status behind an error of Inspect; None if unknown."""
    while e is not None:
        status = getattr(e, "status_code", None)
        if isinstance(status, int):
            return status
        e = e.__cause__
    return None
