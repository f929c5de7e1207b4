#!/usr/bin/env python3
"""Forged, wrapped, replayed and ambiguous mail: nothing of it is valid, and honest mail of all makers is."""
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import attack_mails  # noqa: E402
from harness import Tap, program  # noqa: E402


def verify(folder, roots, number, message):
    path = os.path.join(folder, f"{number}.eml")
    with open(path, "wb") as f:
        f.write(message)
    done = subprocess.run([program("postseal"), "message", "verify", path, "--roots", roots, "--json"],
                          capture_output=True, text=True, timeout=60)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = {"verdict": f"exit {done.returncode}", "reason": done.stderr, "signers": []}
    if (done.returncode == 0) != (report["verdict"] == "valid"):
        report["verdict"] += f", but exit {done.returncode}"
    return report


def main():
    tap = Tap()
    cast = attack_mails.Cast()
    with tempfile.TemporaryDirectory(prefix="psattack-") as folder, concurrent.futures.ThreadPoolExecutor(4) as pool:
        roots = os.path.join(folder, "root.pem")
        with open(roots, "w") as f:
            f.write(cast.root.pem())
        rows = list(attack_mails.attacks(cast))
        rows += [("honest", name, message, ("valid",)) for name, message in attack_mails.honest(cast)]
        reports = pool.map(lambda item: verify(folder, roots, item[0], item[1][2]), enumerate(rows))
        for (kind, name, _, right), report in zip(rows, reports):
            tap.ok(report["verdict"] in right and (kind == "honest" or report["verdict"] != "valid"), f"{kind}: {name}: {' or '.join(right)}",
                   f"{report['verdict']}: {report['reason']}\n{report['signers']}")
        if os.environ.get("PS_KEEP") == "1":
            keep = os.path.join(tempfile.gettempdir(), f"psattack-kept-{os.getpid()}")
            os.rename(folder, keep)
            os.mkdir(folder)
            print(f"# kept: {keep}")
    tap.done()


if __name__ == "__main__":
    main()
