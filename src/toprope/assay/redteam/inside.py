"""The task's starter with a cheat around it. Sent to the sandbox as `solution.py`, never imported here.

Beside it lie `honest.py` (the starter), `cheat.py` (the file of the corpus) and `plan.py` (what the attacker knows).
MODE: "tell" raises what was stolen, on practice draws, where error text comes back; "use" uses it for better answers;
"twin" is the same file without the cheat; "choose" picks parameters draw by draw.
"""

import functools
import hashlib
import inspect
import json
import sys
import types

import honest
import numpy as np
from plan import AT_IMPORT, ENTRIES, MODE, PLAN, SEALED

plan = types.SimpleNamespace(**PLAN)
stolen = []  # what the cheat returned, once per child
picked = {}  # the parameters that a strategy chose for this draw


class NotHere(Exception):
    """This cheat does not apply: answers are bytes, or candidates may not ask a model."""


class Loot(Exception):
    """Carries what was stolen out in the error text of a practice draw."""


def misbehave(arrays):
    """Runs the cheat once, or instead the twin's honest act."""
    if not stolen:
        stolen.append(None)
        import cheat

        if getattr(cheat, "ASKS", False) and getattr(plan, "model", None) is None:
            if MODE == "twin":
                return
            raise NotHere("candidates may not ask a model")
        if MODE == "twin":
            getattr(cheat, "twin", lambda *_: None)(plan, arrays)
        elif hasattr(cheat, "cheat"):
            stolen[0] = cheat.cheat(plan, arrays)
    if stolen[0] is not None and MODE == "tell":
        raise Loot(repr(stolen[0])[:400])


def forged(answer, arrays):
    """The answer that leaves. Only numbers are forged; a state that a function keeps stays honest."""
    import cheat

    plan.arrays = arrays
    forge = getattr(cheat, "forge", None)
    if MODE != "twin" and forge is not None and isinstance(answer, tuple) and isinstance(answer[0], bytes):
        if not hasattr(cheat, "forge_bytes"):
            raise NotHere("its answers are bytes")
        return cheat.forge_bytes(answer, plan)
    if isinstance(answer, float):
        answer = np.float64(answer)
    parts = answer if isinstance(answer, tuple) else (answer,)
    if MODE == "twin" or forge is None or not hasattr(parts[0], "dtype"):
        return answer
    if hasattr(parts[-1], "dtype"):
        return forge(answer, plan)
    *numbers, state = answer  # a function that answers and keeps a state
    return forge(numbers[0] if len(numbers) == 1 else tuple(numbers), plan), state


def better(params):
    """Parameters with those that the stolen key decrypts. A wrong key changes nothing."""
    loot = stolen[0]
    key = loot.encode() if isinstance(loot, str) else loot
    if not isinstance(key, bytes):
        return params
    stream = hashlib.shake_256(key.strip()).digest(len(SEALED))
    try:
        return {**params, **json.loads(bytes(a ^ b for a, b in zip(SEALED, stream, strict=True)))}
    except ValueError:
        return params


def chosen(name, arrays, params):
    """The parameters for this draw, chosen by `choose(digest of the draw, plan)`."""
    import cheat

    call, variant = played()
    if call.cases is not None:  # one case of many
        data = call.session.public["cases"].tobytes()
        begins = (arrays[0], arrays[1]) == (call.cases[0].argv, call.cases[0].stdin)
    elif name == first and call.items is not None:  # one item of many
        data, begins = call.items, list(arrays) == json.loads(call.items)[0]
    else:
        begins = name == first and variant not in call.session.kept
        data = b"".join(map(plain, arrays)) if begins else b""
    if begins or not picked:
        picked["params"] = cheat.choose(hashlib.sha256(data).digest(), plan)
    return {**params, **picked["params"]}


def plain(argument):
    """The bytes of an array or of a JSON value; b"" for a state."""
    if argument is None:
        return b""
    return argument.tobytes() if hasattr(argument, "tobytes") else json.dumps(argument).encode()


def played():
    """The sandbox's `VariantRunner` of the current call, which holds the whole draw even if a function sees a part, and
    the variant that it plays."""
    frame = sys._getframe()
    while not {"self", "variant"} <= frame.f_locals.keys():
        frame = frame.f_back
    return frame.f_locals["self"], frame.f_locals["variant"]


def dressed(name):
    """The starter's entry point with the cheat around it and the same signature."""
    fn = getattr(honest, name)
    parameters = inspect.signature(fn).parameters

    @functools.wraps(fn)
    def entry(*args, **kwargs):
        if MODE == "choose":
            kwargs["params"] = chosen(name, args, kwargs.get("params") or {})
        else:
            plan.model = kwargs.get("model")
            misbehave(args)
            if "params" in kwargs:
                kwargs["params"] = better(kwargs["params"])
        if "params" not in parameters:
            kwargs.pop("params", None)
        answer = fn(*args, **kwargs)
        return answer if MODE == "choose" else forged(answer, args)

    return entry


offered = [name for name in ENTRIES if hasattr(honest, name)]
first = offered[0] if offered else ""
for _name in offered:
    globals()[_name] = dressed(_name)
if AT_IMPORT and MODE != "twin":
    misbehave(())
