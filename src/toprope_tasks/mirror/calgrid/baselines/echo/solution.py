"""Says back what it was given, on one line."""


def main(argv, stdin, files):
    return b" ".join(argv) + b"\n", b"", 0
