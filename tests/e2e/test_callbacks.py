#!/usr/bin/env python3
"""The filter under an MTA that has lost its mind: random legal and illegal milter sequences.

tests/support/milter_monkey.c makes them and counts which command came after which.
"""
import json
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import INSIDE, PARTNER, Site, Tap, program, require, wait_until  # noqa: E402
from mta import Mta  # noqa: E402

FULL = os.environ.get("PS_FULL") == "yes"
SEQUENCES = 100000 if FULL else 6000
MESSAGE = [("From", f" alice@{INSIDE}"), ("To", f" bob@{PARTNER}"), ("Subject", " still there")]


def rampage(site, seed):
    argv = [program("tests/support/milter_monkey"), "-s", site.milter_address, "-n", str(SEQUENCES), "-S", str(seed)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=3000)
    row = json.loads(done.stdout)
    print(f"# {row}")
    require(done.returncode == 0, f"exit {done.returncode}: {row} {done.stderr}")


def legal_message(site):
    mta = Mta(site.milter_address)
    try:
        reply, _ = mta.message(f"<alice@{INSIDE}>", [f"<bob@{PARTNER}>"], MESSAGE, b"text\r\n")
    finally:
        mta.close()
    require(reply == "250", reply)


def counters(site):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.path.join(site.run, "milter", "status.sock"))
        s.sendall(b"json\n")
        return json.loads(s.makefile("rb").read())


def nothing_left(site):
    """Connections are gone, nothing is in flight, and no sanitizer spoke."""
    wait_until("no connection is open", lambda: counters(site)["connections"] == 0)
    log = site.filter.output()
    require("ERROR: AddressSanitizer" not in log and "runtime error:" not in log, log[-2000:])


def main():
    tap = Tap()
    with Site() as site:
        site.start(postfix=False)
        tap.case(f"{SEQUENCES} sequences end, and legal messages are answered", rampage, site, 1)
        tap.ok(site.filter.running(), "the filter still runs", site.filter.output()[-2000:])
        tap.case("a message goes through afterwards", legal_message, site)
        tap.case("nothing is left behind", nothing_left, site)
    tap.done()


if __name__ == "__main__":
    main()
