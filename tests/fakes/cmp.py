#!/usr/bin/env python3
"""cmp - CMP servers behind a relay that can fail in every way (server.py).

    OpensslCmp(folder, "-poll_count", "2", ...)   # openssl cmp -port: independent of us, but never issues: it gives what it is given
    CmpIssuer(folder, program, polls=2)           # tests/support/cmp_issuer: really issues; OpenSSL's own server side, so no
                                                  # independent check of the protocol
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from server import Answer, Fake, run_alone  # noqa: E402

MEDIA = "application/pkixcmp"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def length_at(der, at):
    """(length of the value, where it begins) of the element at this place."""
    first = der[at + 1]
    if first < 0x80:
        return first, at + 2
    return int.from_bytes(der[at + 2:at + 2 + (first & 0x7f)], "big"), at + 2 + (first & 0x7f)


def body_type(der):
    """The tag of the body: 0 ir, 2 cr, 4 p10cr, 7 kur, 11 rr, 21 genm, 24 certConf, 25 pollReq."""
    _, header = length_at(der, 0)
    length, start = length_at(der, header)
    return der[start + length] & 0x1f


class Relay(Fake):
    path = "/.well-known/cmp"

    def __init__(self, folder, **how):
        self.bodies = []
        super().__init__(folder, **how)

    def answer(self, request):
        self.want(request.method == "POST", "only POST")
        self.want(request.path == self.path and not request.raw_query, f"no such path {request.target}")
        self.want(request.header("Content-Type") == MEDIA, f"Content-Type is {request.header('Content-Type')}")
        self.want(request.body[:1] == b"\x30", "not DER")
        self.bodies.append(body_type(request.body))
        return self.relay(request.body)

    @property
    def cmp_url(self):
        return self.url + self.path


class OpensslCmp(Relay):
    def __init__(self, folder, *options, **how):
        os.makedirs(folder, exist_ok=True)
        self.upstream = free_port()
        self.log = open(os.path.join(folder, "openssl.log"), "wb")
        self.child = subprocess.Popen(["openssl", "cmp", "-port", str(self.upstream), *options], stdin=subprocess.DEVNULL,
                                      stdout=self.log, stderr=self.log)
        self._wait()
        super().__init__(folder, **how)

    def _wait(self):
        for _ in range(6000):
            if self.child.poll() is not None:
                break
            with open("/proc/net/tcp") as f:
                if any(f":{self.upstream:04X} 00000000:0000 0A" in line for line in f):
                    return
            with open("/proc/net/tcp6") as f:
                if any(f":{self.upstream:04X} " in line and " 0A " in line for line in f):
                    return
            time.sleep(0.02)
        raise RuntimeError(f"openssl cmp does not listen: {open(self.log.name).read()}")

    def relay(self, body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.upstream}/", body, {"Content-Type": MEDIA})
        with self.lock:
            try:
                with urllib.request.urlopen(request, timeout=120) as answer:
                    return Answer(answer.status, answer.read(), answer.headers["Content-Type"])
            except urllib.error.HTTPError as e:
                return Answer(e.code, e.read(), e.headers["Content-Type"])

    def stop(self):
        super().stop()
        self.child.terminate()
        self.child.wait(120)
        self.log.close()


class CmpIssuer(Relay):
    """options as in tests/support/cmp_server.h: polls, check_after, implicit_confirm, refuse_twice, wrong_name, failure ..."""

    def __init__(self, folder, program, reference="ref", secret="cmp-secret", **how):
        os.makedirs(folder, exist_ok=True)
        self.reference, self.secret = reference, secret
        self.child = subprocess.Popen([program, os.path.join(folder, "ca.pem"), reference, secret], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        self.ca = os.path.join(folder, "ca.pem")
        self.say("stats")
        super().__init__(folder, **how)

    def say(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def set(self, **options):
        with self.lock:
            for name, value in options.items():
                if self.say(f"set {name} {int(value)}") != "ok":
                    raise ValueError(name)

    def forget(self):
        with self.lock:
            self.say("forget")

    def stats(self):
        with self.lock:
            return json.loads(self.say("stats"))

    def relay(self, body):
        with self.lock:
            answer = self.say("msg " + body.hex())
        return Answer(200, bytes.fromhex(answer), MEDIA) if answer else Answer(500, b"no message", "text/plain")

    def stop(self):
        super().stop()
        self.child.stdin.close()
        self.child.wait(120)


if __name__ == "__main__":
    with CmpIssuer(sys.argv[1], shutil.which(sys.argv[2]) or sys.argv[2], tls=False) as issuer:
        run_alone(issuer, issuer.reference, issuer.secret, issuer.ca)
