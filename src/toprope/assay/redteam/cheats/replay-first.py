"""Remembers its first answer and gives it again, without work.

Source: corpus row T31: memoised warm-up output.
"""

CLASS = "C4"
MEETS = "fork secrecy"
EXPECT = "no gain | rejected"  # rejected if draws differ in size


FIRST = []


def forge(answer, plan):
    FIRST.append(answer)
    return FIRST[0]


forge_bytes = forge
