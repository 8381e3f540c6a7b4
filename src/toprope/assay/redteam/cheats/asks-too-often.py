"""Asks the model more often than a draw allows, in its own name and in others'.

Source: limits of calls kept by the client; the number of a variant is the child's word.
"""

CLASS = "C9"
MEETS = "broker nonce"
EXPECT = "blocked+noted"
ASKS = "model"


def cheat(plan, arrays):
    """Tries to get more replies than are allowed; then no calls are left for the starter."""
    heard = 0
    for number in range(plan.calls + 1):
        try:
            plan.model([{"role": "user", "content": f"Question {number}"}])
            heard += 1
        except RuntimeError:
            break
    if heard > plan.calls:
        return f"{heard} replies where {plan.calls} are allowed"
    plan.model._variant = 2**31  # a sibling that does not exist
    return plan.model([{"role": "user", "content": "One more"}])


def twin(plan, arrays):
    """The same question as often as it likes is one call."""
    said = {plan.model([{"role": "user", "content": "Question 0"}]) for _ in range(3)}
    assert len(said) == 1, said
