"""Says nothing and reports success."""


def main(argv, stdin, files):
    return b"", b"", 0
