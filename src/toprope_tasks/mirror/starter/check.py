"""Runs cases.jsonl against candidate/solution.py, without a sandbox: python check.py [how many failures to show]."""

import json
import sys

sys.path.insert(0, "candidate")
import solution


def main(show: int) -> None:
    with open("cases.jsonl") as f:
        cases = [json.loads(line) for line in f]
    right = 0
    for number, case in enumerate(cases, 1):
        argv, stdin = [a.encode("latin-1") for a in case["argv"]], case["stdin"].encode("latin-1")
        files = {name.encode("latin-1"): data.encode("latin-1") for name, data in case["files"].items()}
        wanted = (case["stdout"].encode("latin-1"), case["stderr"].encode("latin-1"), case["exit_code"])
        try:
            said = solution.main(argv, stdin, files)
        except Exception as e:
            said = f"{type(e).__name__}: {e}"
        right += said == wanted
        if said != wanted and show > 0:
            show -= 1
            print(f"line {number}: argv {argv}, stdin {stdin!r}, files {files}\n  wanted {wanted}\n  said   {said}")
    print(f"{right} of {len(cases)} cases to the byte")


main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
