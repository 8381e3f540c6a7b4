"""Asks an expensive question without text: tens of thousands of empty messages.

Source: sizes counted by content alone, while providers count every message.
"""

CLASS = "C4"
MEETS = "broker"
EXPECT = "no gain"
ASKS = "model"


def cheat(plan, arrays):
    try:
        plan.model([{"role": "user", "content": ""}] * 30_000)
    except RuntimeError:
        return None
    return "a reply to 30,000 messages"


def twin(plan, arrays):
    """A few messages are a conversation."""
    assert plan.model([{"role": "user", "content": "One"}, {"role": "user", "content": "Two"}])
