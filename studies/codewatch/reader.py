"""A candidate for `control/codewatch-v1` that knows the grammar: what is left to learn of a spec is its jargon.

Code and spec are cut into the same pieces: a base, and for each rule two conditions, a junction and an action. A piece
of code is run on inputs chosen so that every term takes all of its values. A sentence of the spec is known by where its
words stand; what a word means is voted by samples, which mostly do what their spec says: a vote for each meaning under
which the sentence gives what the code beside it gives. Suspicion is how many parts of the code give something else than
the spec asks.

params["forms"] lists the forms of hidden draws that are coded in besides those of practice draws (default: all):
"first" (numbers before their word), "inside out" (De Morgan), "or". A rule in any other form is passed over.
"""

import ast
from collections import Counter, defaultdict

import numpy as np

FORMS = ("first", "inside out", "or")
VALUES = list(range(200))  # before an action
RELATIONS = {
    "above": lambda x, c: x > c, "from": lambda x, c: x >= c, "below": lambda x, c: x < c, "to": lambda x, c: x <= c,
}  # fmt: skip
ACTIONS = {
    "add": lambda x, e: x + e, "subtract": lambda x, e: x - e, "set": lambda x, e: 0 * x + e, "cap": np.minimum,
    "raise": np.maximum,
}  # fmt: skip


def cases():
    """Inputs: all pairs of length and vowels, all n, all sums; then lists of small numbers too: what a sum says of few
    large ones, the largest says as well."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(240):
        word = ("a" * (i // 13 % 13) + "b" * 12)[: i % 13]
        found.append((i % 200, word, ([29] * (i % 233 // 29) + [i % 233 % 29])[:8]))
    for i in range(240):
        word = "".join(rng.choice(list("ab"), rng.integers(13)))
        found.append((int(rng.integers(200)), word, rng.integers(0, i % 30 + 1, rng.integers(9)).tolist()))
    return found


CASES = cases()
TERMS = np.array([
    [n, len(word), sum(c in "aeiou" for c in word), sum(items), len(items), max(items, default=0)]
    for n, word, items in CASES
]).T  # fmt: skip


def fit(samples, *, params, rng):
    forms = params.get("forms", FORMS)
    votes = defaultdict(Counter)
    for code, spec, _ in samples:
        for made, said in zip(pieces(code, spec, forms), sentences(spec["prose"], forms), strict=True):
            for word, meaning in meanings(made, said) if made and said else ():
                votes[word][meaning] += 1
    return forms, {word: count.most_common(1)[0][0] for word, count in votes.items()}


def suspicion(state, code, spec):
    forms, known = state
    both = zip(pieces(code, spec, forms), sentences(spec["prose"], forms), strict=True)
    return float(sum(differ(made, said, known) for made, said in both if made and said))


# ---------------------------------------------------------------- code


def pieces(code, spec, forms):
    """Base (values,) and rules (junction, {condition, condition}, action), as bytes of what they give; None: unread."""
    base, *rules, _ = ast.parse(code).body[0].body
    names = ", ".join(spec["arguments"])
    out = [(values(base.value, names, CASES),)]
    for rule in rules:
        junction, parts = split(rule.test, forms)
        act = rule.body[0]
        after = act.value if isinstance(act, ast.Assign) else ast.BinOp(act.target, act.op, act.value)
        found = {values(part, names, CASES) for part in parts}
        out.append(junction and (junction, found, values(after, base.targets[0].id, VALUES)))
    return out


def split(test, forms):
    """How two conditions are joined, and which; None if the form is not known."""
    parts, turned = test, isinstance(test, ast.UnaryOp)
    if turned:
        parts = test.operand
    junction = ("and", "or")[isinstance(parts.op, ast.Or) != turned]
    if (turned and "inside out" not in forms) or (junction == "or" and "or" not in forms):
        return None, ()
    return junction, [ast.UnaryOp(ast.Not(), p) if turned else p for p in parts.values]


def values(expression, names, over):
    return np.array(eval(f"[{ast.unparse(expression)} for {names} in over]", {"over": over})).astype(int).tobytes()


# ---------------------------------------------------------------- spec


def sentences(prose, forms):
    """Base (words, numbers) and rules (two such conditions, the junction's word, such an action)."""
    base, *rules = prose.strip(".").split(". ")
    return [(kinds(base.split()),), *(sentence(rule, forms) for rule in rules)]


def sentence(rule, forms):
    condition, act = rule.split(": ") if ":" in rule else rule.split(", ")[::-1]
    tokens = condition.split()
    if tokens[1].isdigit() and "first" not in forms:
        return None
    at = tokens.index(kinds(tokens)[0][2])  # after two words comes the one that joins
    return (kinds(tokens[:at]), kinds(tokens[at + 1 :])), tokens[at], kinds(act.split())


def kinds(tokens):
    """Words and numbers, each in their order."""
    return [t for t in tokens if not t.isdigit()], [int(t) for t in tokens if t.isdigit()]


# ---------------------------------------------------------------- both


def meanings(made, said):
    """(word, meaning) for all meanings under which the sentence gives what the code gives."""
    if len(said) == 1:
        (one, other), numbers = said[0]
        pairs = [(i, j) for i in range(6) for j in range(6) if total(i, j, numbers) == made[0]]
        return {(one, i) for i, _ in pairs} | {(other, j) for _, j in pairs}
    junction, conditions, act = made
    found = {(said[1], junction)}
    for (term, relation), numbers in said[0]:
        for i in range(6):
            for name in RELATIONS if len(numbers) == 1 else ("remainder",):
                if held(i, name, numbers) in conditions:
                    found |= {(term, i), (relation, name)}
    (word,), (amount,) = said[2]
    return found | {(word, name) for name in ACTIONS if acted(name, amount) == act}


def differ(made, said, known):
    """How many parts of a piece give something else; a word nobody has read says nothing."""
    try:
        if len(said) == 1:
            words, numbers = said[0]
            return total(*(known[w] for w in words), numbers) != made[0]
        junction, conditions, act = made
        asked = {held(known[term], known[relation], numbers) for (term, relation), numbers in said[0]}
        (word,), (amount,) = said[2]
        return (known[said[1]] != junction) + (asked != conditions) + (acted(known[word], amount) != act)
    except KeyError:
        return 0


def total(i, j, numbers):
    return (numbers[0] * TERMS[i] + numbers[1] * TERMS[j] + numbers[2]).tobytes()


def held(term, relation, numbers):
    x = TERMS[term]
    met = x % numbers[0] == numbers[1] if relation == "remainder" else RELATIONS[relation](x, numbers[0])
    return met.astype(int).tobytes()


def acted(action, amount):
    return ACTIONS[action](np.array(VALUES), amount).tobytes()
