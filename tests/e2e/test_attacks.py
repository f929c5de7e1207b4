#!/usr/bin/env python3
"""Forged, wrapped, replayed and ambiguous mail: nothing of it is valid, and honest mail of all makers is.

Each message goes through `postseal message verify` and through the filter of a site that trusts the same root.
"""
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import attack_mails  # noqa: E402
from arriving import arrive  # noqa: E402
from harness import Site, Tap, program  # noqa: E402

# RFC 8601's words for a verdict.
WORDS = {"valid": "pass", "mismatch": "policy", "untrusted": "policy", "partial": "policy", "bad": "fail", "malformed": "neutral",
         "unsigned": "none"}


def verify(folder, roots, number, message):
    path = os.path.join(folder, f"{number}.eml")
    with open(path, "wb") as f:
        f.write(message)
    done = subprocess.run([program("postseal"), "message", "verify", path, "--roots", roots, "--json"],
                          capture_output=True, text=True, timeout=300)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = {"verdict": f"exit {done.returncode}", "reason": done.stderr, "signers": []}
    if (done.returncode == 0) != (report["verdict"] == "valid"):
        report["verdict"] += f", but exit {done.returncode}"
    return report


def through_the_filter(tap, site, kind, name, message, right):
    if b"\0" in message.split(b"\r\n\r\n")[0] or name in ("a delimiter line of one LF", "opaque, binary"):
        return None  # SMTP does not carry it
    if message.startswith(b"From :"):
        return None  # an MTA takes it for the separator of a mailbox file
    arrival = arrive(site, message, sender="list@outside.example")
    # What the MTA ends the header at is its end for everybody; mail whose first type is no protected one is left alone.
    ended = "none" in name or "control" in name or "at the top" in name
    fine = (*right, "unsigned", "mismatch") if ended else (*right, "unsigned") if "two types, text first" in name or "with a blank" in name else right
    verdict = arrival.verdict or ("unsigned" if arrival.result in (None, "none") else arrival.result)
    good = arrival.answer == "250" and verdict in fine and (arrival.result or "none") == WORDS[verdict]
    tap.ok(good, f"filter: {kind}: {name}", f"{arrival.answer}: {verdict}, smime={arrival.result}: {arrival.added('Authentication-Results')}")
    return arrival


def arriving(tap, cast, rows):
    with Site() as site:
        site.start(postfix=False)
        root = os.path.join(site.folder, "root.pem")
        with open(root, "w") as f:
            f.write(cast.root.pem())
        site.cli("root", "import", root)
        site.cli("global", "set", "harvest", "off")
        for kind, name, message, right in rows:
            arrival = through_the_filter(tap, site, kind, name, message, right)
            if kind == "honest" and name == "several addresses":
                told = arrival.added("Authentication-Results")[0] + arrival.added("X-Postseal-Signer-1")[0]
                tap.ok("smime-identifier=alice@good.example" in told and "eve@evil.example" not in told,
                       "filter: of several addresses the one that From names is told", told)
            if name == "forged results":
                tap.ok(len(arrival.removed("Authentication-Results")) == 1 and len(arrival.removed("X-Postseal-Verdict")) == 1,
                       "filter: forged results are taken out", arrival.edits)


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
    arriving(tap, cast, rows)
    tap.done()


if __name__ == "__main__":
    main()
