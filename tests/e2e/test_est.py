#!/usr/bin/env python3
"""EST: a strict server written from the RFCs (tests/fakes/est.py), every way to fail, and never two certificates for one."""
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from drive import TIMEOUT, Drive, expect, expect_issued_for, faults_of_order, issued, read  # noqa: E402
from harness import Tap, require  # noqa: E402

import server  # noqa: E402
from est import Est  # noqa: E402

ENROLL = "POST /.well-known/est/simpleenroll"
EC_384 = bytes.fromhex("3012301006072a8648ce3d020131050603550403")  # ecPublicKey with something that is no curve of ours
EC_P384 = bytes.fromhex("3014301206072a8648ce3d0201310706052b81040022")


FULL = os.environ.get("PS_FULL") == "yes"


def faults():
    """In the short form not those that are like another one."""
    return [row for row in faults_of_order() if FULL or row[0].name not in ("lost in silence", "HTML with 404", "status 500")]


def configure(handler, fake, **more):
    settings = {"url": fake.url, "ca_bundle": read(fake.cert), "user": fake.user, "password": fake.password, "timeout": TIMEOUT,
                "label": fake.label or None, "auth": "digest" if fake.digest else None, "fingerprint": None, "client_cert": None,
                "client_key": None, "use_csrattrs": None, "reenroll": None, "resend": None, "max_wait": None}
    handler.set(**{**settings, **more})


def test_issue(fake, handler):
    answer = issued(handler.submit("alice@inside.example"), chain=False)
    require(answer["saved"] and answer["saved"][0].startswith("est1:sent:0"), answer)
    issued(handler.submit("bob@inside.example", key="rsa:2048"), chain=False)
    issued(handler.submit("alice@inside.example", fresh=True), chain=False)
    require(len(fake.issuer.issued) == 3, fake.issuer.issued)


def test_check(fake, handler):
    expect(handler.check(), "issued", text="3 CA certificates")
    chain = handler.ask(do="chain")
    require(sum(cert["ca"] for cert in chain["certs"]) >= 2, chain)
    handler.set(password="wrong")
    expect(handler.check(), "retry", "permanent-config")
    expect(handler.submit("nobody@inside.example"), "retry", "permanent-config")
    handler.set(password=None)
    require("password" in handler.ask(do="ready")["error"], "ready without a password")
    handler.set(password=fake.password, ca_bundle=fake.issuer.root.decode())
    expect(handler.check(), "retry", "permanent-config")
    configure(handler, fake, label="other")
    expect(handler.submit("nobody@inside.example"), "retry", "permanent-config")
    configure(handler, fake)
    require(fake.issuer.issued_for("nobody@inside.example") == 0, "issued")


def test_first_contact(fake, handler):
    """No anchor but the SHA-256 of a certificate; who we are is not told before it fits."""
    configure(handler, fake, ca_bundle=None, fingerprint="00" * 32)
    fake.clear()
    expect(handler.submit("first@inside.example"), "retry", "permanent-config", "fingerprint")
    require(fake.seen == ["GET /.well-known/est/cacerts"], fake.seen)
    spelled = ":".join(fake.served_fingerprint().upper()[i:i + 2] for i in range(0, 64, 2))
    handler.set(fingerprint=spelled)
    issued(handler.submit("first@inside.example"), chain=False)
    expect(handler.check(), "issued")
    configure(handler, fake)


def test_faults(fake, handler):
    for number, (fault, acted, error_class) in enumerate(faults()):
        who = f"user{number}@inside.example"
        fake.clear()
        fake.fault(ENROLL, fault)
        answer = handler.submit_under(fault, who)
        require(answer.get("class") == error_class, f"{fault.name}: {answer}")
        require(answer["wait"] == (77 if fault.name in ("status 503", "status 429") else 0), f"{fault.name}: {answer}")
        expect_issued_for(fake, who, acted, fault)
        issued(handler.submit(who), chain=False)
        require(fake.issuer.issued_for(who) == 1, f"{fault.name}: issued twice")


def test_lost(fake, handler):
    """A server that does not know a request again: not for ever, or with resend off not at all."""
    fake.knows_again = False
    fake.fault(ENROLL, server.LOST, times=None)
    who = "lost@inside.example"
    for _ in range(3):
        expect(handler.submit(who), "retry", "conflict")
    held = expect(handler.submit(who), "pending", "pending-human", "request upload")
    require(held["handle"] == "held" and fake.issuer.issued_for(who) == 3, held)
    expect(handler.poll(who), "pending", "pending-human")
    require(fake.issuer.issued_for(who) == 3, "asked again")
    fake.clear()
    issued(handler.poll(who, released=True), chain=False)
    handler.set(resend="off")
    fake.fault(ENROLL, server.LOST)
    expect(handler.submit("careful@inside.example"), "retry", "conflict")
    expect(handler.submit("careful@inside.example"), "pending", "pending-human")
    require(fake.issuer.issued_for("careful@inside.example") == 1, "asked again")
    handler.set(resend=None)
    fake.knows_again = True


def test_died(fake, handler):
    answer = handler.submit("died@inside.example", die=1)
    require("died" in answer["error"] and fake.issuer.issued_for("died@inside.example") == 0, answer)
    issued(handler.submit("died@inside.example"), chain=False)
    require(fake.issuer.issued_for("died@inside.example") == 1, "once")


def test_refused(fake, handler):
    for fault, status, error_class in ((server.status(400, b"bad CSR\r\n", "text/plain"), "rejected", "permanent-input"),
                                       (server.status(415), "retry", "permanent-config"),
                                       (server.status(302, headers=[("Location", "https://127.0.0.1:1/")]), "retry", "permanent-config")):
        fake.fault(ENROLL, fault)
        expect(handler.submit("refused@inside.example"), status, error_class)
    require(fake.issuer.issued_for("refused@inside.example") == 0, "issued")


def test_attributes(fake, handler):
    handler.set(use_csrattrs="on")
    issued(handler.submit("plain@inside.example"), chain=False)
    fake.attributes = EC_P384
    expect(handler.submit("wrong@inside.example"), "rejected", "permanent-input", "EC 384")
    issued(handler.submit("right@inside.example", key="ec:P-384"), chain=False)
    fake.attributes = b"\x05\x00"
    expect(handler.submit("odd@inside.example"), "retry", text="attributes")
    fake.attributes = EC_384
    issued(handler.submit("curve@inside.example"), chain=False)
    fake.attributes = None
    handler.set(use_csrattrs=None)


def test_waiting(folder, handler):
    with Est(os.path.join(folder, "waiting"), approval=True, retry_after="120") as fake:
        configure(handler, fake)
        answer = expect(handler.submit("slow@inside.example"), "pending", "pending-human")
        require(119 <= answer["wait"] <= 121 and answer["handle"].startswith("est1:wait:0"), answer)
        expect(handler.poll("slow@inside.example"), "pending")
        fake.fault(ENROLL, server.LOST)
        expect(handler.poll("slow@inside.example"), "retry", "conflict")
        fake.fault(ENROLL, server.html(502))
        handler.poll("slow@inside.example")
        require(len(fake.waiting) == 1, "more than one request")
        fake.approve()
        issued(handler.poll("slow@inside.example"), chain=False)
        require(len(fake.issuer.issued) == 1, fake.issuer.issued)
        expect(handler.submit("never@inside.example"), "pending")
        require(fake.complaints == [], fake.complaints)


def test_renewal(folder, handler):
    """The old certificate says who we are; the names are its own, also where the request has others."""
    with Est(os.path.join(folder, "renewal"), label="mail", digest=True, tls_client=True) as fake:
        configure(handler, fake)
        first = issued(handler.submit("again@inside.example", common_name="Old Name"), chain=False)
        stored = handler.ask(do="import", cert=first["certs"][0]["pem"])["thumbprint"]
        configure(handler, fake, user=None, password=None, client_cert=None)
        fake.clear()
        fake.fault("POST ", server.LOST)
        expect(handler.submit("again@inside.example", common_name="New Name", renews=stored, fresh=True), "retry", "conflict")
        renewed = issued(handler.submit("again@inside.example"), chain=False)
        require("Old Name" in renewed["certs"][0]["subject"] and renewed["spki"] != first["spki"], renewed)
        require(len(fake.issuer.issued) == 2 and fake.count("POST /.well-known/est/mail/simplereenroll") == 2, fake.seen)
        configure(handler, fake, reenroll="off")
        issued(handler.submit("again@inside.example", common_name="New Name", renews=stored, fresh=True), chain=False)
        require(fake.count("POST /.well-known/est/mail/simpleenroll") > 0, fake.seen)
        require(fake.complaints == [], fake.complaints)


def test_client_certificate(folder, handler):
    with Est(os.path.join(folder, "client")) as fake:
        cert, key = fake.issuer.client_certificate("gateway")
        configure(handler, fake, user=None, password=None, client_cert=read(cert), client_key=read(key))
        expect(handler.check(), "issued")
        first = issued(handler.submit("tls@inside.example"), chain=False)
        stored = handler.ask(do="import", cert=first["certs"][0]["pem"])["thumbprint"]
        # A certificate for mail alone says in TLS who nobody is: it is renewed like a new one.
        issued(handler.submit("tls@inside.example", renews=stored, fresh=True), chain=False)
        require(fake.count("POST /.well-known/est/simplereenroll") == 0 and fake.complaints == [], fake.complaints)


def main():
    tap, folder = Tap(), tempfile.mkdtemp(prefix="postseal-est-")
    try:
        with Drive("est") as handler:
            with Est(os.path.join(folder, "plain")) as fake:
                configure(handler, fake)
                for name, function in (("issue", test_issue), ("check, chain", test_check), ("first contact", test_first_contact),
                                       ("faults", test_faults), ("lost answers", test_lost), ("died before the answer", test_died),
                                       ("refused", test_refused), ("attributes", test_attributes)):
                    tap.case(name, function, fake, handler)
                    tap.ok(fake.complaints == [], f"{name}: nothing that should not be", str(fake.complaints))
                    fake.complaints.clear()
            tap.case("202 and Retry-After", test_waiting, folder, handler)
            tap.case("renewal, Digest, label", test_renewal, folder, handler)
            tap.case("client certificate", test_client_certificate, folder, handler)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
