#!/usr/bin/env python3
"""AD CS web enrolment: a strict fake written from public sources (tests/fakes/certsrv.py), not the real service."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from drive import TIMEOUT, Drive, expect, expect_issued_for, faults_of_order, issued, read  # noqa: E402
from harness import Tap, require  # noqa: E402

import server  # noqa: E402
from certsrv import Certsrv  # noqa: E402

FORM = "POST /certsrv/certfnsh.asp"


FULL = os.environ.get("PS_FULL") == "yes"


def faults():
    """In the short form not those that are like another one."""
    return [row for row in faults_of_order() if FULL or row[0].name not in ("lost in silence", "HTML with 404", "status 500")]


def configure(handler, fake, **more):
    settings = {"url": fake.url + "/certsrv/", "ca_bundle": read(fake.cert), "auth": fake.auth, "timeout": TIMEOUT,
                "template": fake.template, "user": f"{fake.domain}\\{fake.user}", "password": fake.password,
                "poll_interval": "90s", "attributes": None, "lookback": None}
    handler.set(**{**settings, **more})


def known(handler, fake):
    """The gateway has had the newest request: what comes after it can be looked at."""
    handler.ask(do="sql", text="INSERT INTO request (state, handler, email, common_name, key, validity_days, handle) "
                f"VALUES ('issued', 'adcs', 'x@inside.example', 'x', 'ec:P-256', 1, 'adcs1:req:{fake.next}')")


def test_ntlm(folder, handler):
    with Certsrv(os.path.join(folder, "ntlm")) as fake:
        configure(handler, fake)
        done = subprocess.run(["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "--cacert", fake.cert, "--ntlm", "-A", "Mozilla/5.0",
                               "-u", f"{fake.domain}\\{fake.user}:{fake.password}", fake.url + "/certsrv/"], capture_output=True)
        require(done.stdout == b"200", f"curl is not let in: {done}")
        expect(handler.check(), "issued")
        answer = issued(handler.submit("alice@inside.example"))
        require(answer["handle"] == "adcs1:req:101" and len(answer["certs"]) == 3, answer)
        issued(handler.submit("bob@inside.example", key="rsa:2048"))
        handler.set(password="wrong")
        expect(handler.check(), "retry", "permanent-config")
        expect(handler.submit("eve@inside.example"), "retry", "permanent-config")
        handler.set(password=fake.password)
        issued(handler.submit("eve@inside.example"))
        require(fake.issuer.issued_for("eve@inside.example") == 1 and fake.complaints == [], fake.complaints)


def test_client_certificate(folder, handler):
    with Certsrv(os.path.join(folder, "cert"), auth="cert") as fake:
        cert, key = fake.issuer.client_certificate("gateway")
        configure(handler, fake, client_cert=read(cert), client_key=read(key))
        expect(handler.check(), "issued")
        issued(handler.submit("tls@inside.example"))
        handler.set(client_cert=None)
        require("client_cert" in handler.ask(do="ready")["error"], "ready")
        require(fake.complaints == [], fake.complaints)


def test_issue(fake, handler):
    issued(handler.submit("alice@inside.example", fresh=True))
    fake.attributes = ["EncodedName:x y", "More:1"]
    handler.set(attributes='"EncodedName:x y" More:1')
    issued(handler.submit("attributes@inside.example"))
    fake.attributes = []
    handler.set(attributes=None)
    chain = handler.ask(do="chain")
    require([cert["ca"] for cert in chain["certs"]] == [True, True], chain)
    fake.fault("GET /certsrv/certcarc.asp", server.html(200))
    require("certcarc.asp" in handler.ask(do="chain")["error"], "no number of renewals")


def test_denied(fake, handler):
    for code, error_class in ((0x80094800, "permanent-config"), (0x8009480f, "permanent-input"), (0x80094012, "permanent-config")):
        fake.refuse = code
        answer = expect(handler.submit("denied@inside.example"), "rejected", error_class)
        require(answer["code"] == f"{code:#010x}" and answer["handle"] == "", answer)
    fake.refuse = None
    fake.fault(FORM, server.status(200, b"<html>The RPC server is unavailable. 0x800706ba</html>", "text/html"))
    expect(handler.submit("denied@inside.example"), "retry", "transient", "RPC server")
    issued(handler.submit("denied@inside.example"))


def test_faults(fake, handler):
    """After each the numbers are looked at: what was issued is found, what was not is asked for again, once."""
    for number, (fault, acted, error_class) in enumerate(faults()):
        if fault.name == "garbage":
            continue
        who = f"user{number}@inside.example"
        known(handler, fake)
        fake.clear()
        fake.foreign("issued")
        fake.fault(FORM, fault)
        answer = handler.submit_under(fault, who)
        require(answer.get("class") == error_class, f"{fault.name}: {answer}")
        require(answer["wait"] == (77 if fault.name in ("status 503", "status 429") else 0), f"{fault.name}: {answer}")
        expect_issued_for(fake, who, acted, fault)
        issued(handler.submit(who))
        require(fake.issuer.issued_for(who) == 1, f"{fault.name}: issued twice")
        require(fake.count("POST") == (1 if acted else 2), f"{fault.name}: {fake.seen}")


def test_cannot_look(fake, handler):
    who = "unknown@inside.example"
    known(handler, fake)
    fake.clear()
    fake.fault(FORM, server.LOST)
    expect(handler.submit(who), "retry", "conflict")
    for fault in (server.status(500), server.html(502), server.CUT, server.HALF):
        fake.fault("GET /certsrv/certnew.cer", fault)
        expect(handler.submit(who), "retry", "conflict")
        require(fake.count("POST") == 1, f"{fault.name}: asked again")
    issued(handler.submit(who))
    require(fake.issuer.issued_for(who) == 1, "issued twice")


def test_undecided(fake, handler):
    """Among the numbers is one that nobody has decided: it may be ours, and a person looks."""
    who = "undecided@inside.example"
    known(handler, fake)
    fake.clear()
    fake.foreign("pending")
    fake.fault(FORM, server.CUT)
    expect(handler.submit(who), "retry", "conflict")
    expect(handler.submit(who), "pending", "pending-human", "request numbers")
    require(fake.count("POST") == 1, "asked again")
    issued(handler.poll(who, released=True))
    require(fake.issuer.issued_for(who) == 1, "once")
    fake.absent = "plain"  # and where the CA does not say which numbers there are
    known(handler, fake)
    fake.fault(FORM, server.CUT)
    expect(handler.submit("plain@inside.example"), "retry", "conflict")
    expect(handler.submit("plain@inside.example"), "pending", "pending-human")
    fake.absent = "code"
    handler.set(lookback="0")
    fake.fault(FORM, server.LOST)
    expect(handler.submit("nolook@inside.example"), "retry", "conflict")
    expect(handler.submit("nolook@inside.example"), "pending", "pending-human")
    require(fake.issuer.issued_for("nolook@inside.example") == 1, "issued twice")
    handler.set(lookback=None)


def test_died(fake, handler):
    known(handler, fake)
    answer = handler.submit("died@inside.example", die=1)
    require("died" in answer["error"] and fake.issuer.issued_for("died@inside.example") == 0, answer)
    issued(handler.submit("died@inside.example"))
    require(fake.issuer.issued_for("died@inside.example") == 1, "once")


def test_pending(folder, handler, language):
    with Certsrv(os.path.join(folder, "pending-" + language), auth="basic", approval=True, language=language) as fake:
        configure(handler, fake)
        answer = expect(handler.submit("slow@inside.example", fresh=True), "pending", "pending-human")
        require(answer["wait"] == 90 and answer["handle"] == "adcs1:req:101", answer)
        expect(handler.poll("slow@inside.example"), "pending", "pending-human")
        for fault in (server.status(500), server.html(502), server.status(400), server.CUT, server.HALF):
            fake.fault("GET /certsrv/certnew.cer", fault)
            expect(handler.poll("slow@inside.example"), "retry", ("transient", "permanent-config"))
        fake.approve(101)
        issued(handler.poll("slow@inside.example"))
        expect(handler.submit("no@inside.example", fresh=True), "pending")
        fake.deny(102)
        expect(handler.poll("no@inside.example"), "rejected", "pending-human")
        expect(handler.submit("gone@inside.example", fresh=True), "pending")
        del fake.requests[103]
        expect(handler.poll("gone@inside.example"), "rejected", "permanent-input")
        require(len(fake.issuer.issued) == 1 and fake.count("POST") == 3 and fake.complaints == [], fake.complaints)


def main():
    tap, folder = Tap(), tempfile.mkdtemp(prefix="postseal-certsrv-")
    try:
        with Drive("adcs") as handler:
            tap.case("NTLM, cross-checked with curl", test_ntlm, folder, handler)
            with Certsrv(os.path.join(folder, "plain"), auth="basic", first=200) as fake:
                configure(handler, fake)
                for name, function in (("issue, chain", test_issue), ("denied", test_denied), ("faults", test_faults),
                                       ("looking fails", test_cannot_look), ("undecided numbers", test_undecided),
                                       ("died before the answer", test_died)):
                    tap.case(name, function, fake, handler)
                    tap.ok(fake.complaints == [], f"{name}: nothing that should not be", str(fake.complaints))
                    fake.complaints.clear()
            for language in ("en", "de"):
                tap.case(f"pending, approved, denied ({language})", test_pending, folder, handler, language)
            tap.case("client certificate", test_client_certificate, folder, handler)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
