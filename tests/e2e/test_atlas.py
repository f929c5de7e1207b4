#!/usr/bin/env python3
"""GlobalSign Atlas: a strict fake (tests/fakes/atlas.py), requests by policy, every way to fail, never two for one."""
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from drive import TIMEOUT, Drive, expect, expect_issued_for, faults_of_order, issued, read  # noqa: E402
from harness import Tap, require  # noqa: E402

import server  # noqa: E402
from atlas import Atlas, policy  # noqa: E402
from issuer import pem_of  # noqa: E402


def configure(handler, fake, **more):
    handler.set(url=fake.base, ca_bundle=read(fake.cert), api_key=fake.api_key, api_secret=fake.api_secret, timeout=TIMEOUT,
                pickup_delay="0s", client_cert=read(fake.account[0]), client_key=read(fake.account[1]), **more)


def cert_of(fake, number=-1):
    return pem_of(list(fake.certs.values())[number]["der"]).decode()


def test_check(fake, handler):
    expect(handler.check(), "issued", text="1000 may still be issued")
    handler.set(api_secret="wrong")
    expect(handler.check(), "retry", "permanent-config", "invalid credentials")
    expect(handler.submit("no@inside.example"), "retry", "permanent-config")
    handler.set(api_secret=fake.api_secret)
    fake.quota = 0
    expect(handler.check(), "rejected", "permanent-config", "used up")
    fake.quota = 1000
    require(len(handler.ask(do="chain")["certs"]) == 2, "chain")
    handler.set(client_key=None)
    require("client_key" in handler.ask(do="ready")["error"], "not ready")
    handler.set(client_key=read(fake.account[1]))


def test_issue(fake, handler):
    fake.clear()
    answer = issued(handler.submit("alice@inside.example", first_name="Alice", last_name="Example", days=90))
    require(answer["handle"] == "serial " + list(fake.certs)[-1] and len(answer["saved"]) == 2, answer)
    issued(handler.submit("alice@inside.example", fresh=True))
    require(fake.count("GET /v2/validationpolicy") <= 1 and fake.count("POST /v2/login") <= 1, "kept for a day")
    fake.forget_tokens()
    issued(handler.submit("token@inside.example"))
    require(fake.issuer.issued_for("token@inside.example") == 1, "logged in once more")


def test_policy(fake, handler):
    """Refused here, before the peer hears of it."""
    refused = [("elsewhere.example", {}, policy(), "san.emails"),
               ("inside.example", {}, policy(lengths=(384,)), "ECDSA of 256 bits"),
               ("inside.example", {}, policy(key_type="RSA", lengths=(2048,)), "public_key 'ECDSA'"),
               ("inside.example", {"first_name": "7"}, policy(), "subject_dn.given_name '7'"),
               ("inside.example", {}, policy(locality={"presence": "REQUIRED", "format": ""}), "requires subject_dn.locality"),
               ("inside.example", {"days": 1}, policy(seconds=(864000, 8640000)), "no validity below 10 days"),
               ("inside.example", {}, {**policy(), "subject_da": {"gender": {"presence": "REQUIRED"}}}, "gender of subject_da")]
    for number, (domain, more, rules, text) in enumerate(refused):
        fake.rules = rules
        handler.check()
        fake.clear()
        answer = handler.submit(f"policy{number}@{domain}", **more)
        expect(answer, "rejected", "permanent-input", text)
        require(fake.count("POST /v2/certificates") == 0, f"was sent: {text}")
    taken = [(policy(key_format="PKCS10", signature="FORBIDDEN"), {}), (policy(signature="FORBIDDEN"), {}),
             (policy(key_type="RSA", lengths=(2048,)), {"key": "rsa:2048"}), (policy(signature="OPTIONAL"), {"days": 9999}),
             (policy(locality={"presence": "REQUIRED", "format": "^L"},
                     email={"presence": "REQUIRED", "format": "@"},
                     organizational_unit={"static": False, "list": ["^Mail$"], "mincount": 1, "maxcount": 2}), {})]
    handler.set(more={"subject.l": "London", "subject.o": "Other", "subject.c": "DE"})
    for number, (rules, more) in enumerate(taken):
        fake.rules = rules
        handler.check()
        if number == 4:
            handler.set(more={"subject.ou": "Mail"})
        issued(handler.submit(f"good{number}@inside.example", **more))
    handler.set(more={"subject.l": None, "subject.o": None, "subject.c": None, "subject.ou": None})
    # The account changed since the policy was read: the peer says no, and it is read again.
    fake.rules = policy()
    handler.check()
    fake.rules = policy(common_name={"presence": "FORBIDDEN", "format": ""})
    answer = handler.submit("changed@inside.example")
    require(answer["status"] == "rejected" and fake.complaints, answer)
    fake.complaints.clear()
    fake.rules = policy()


def test_pickup(fake, handler):
    fake.ready_after = 2
    issued(handler.submit("soon@inside.example"))
    fake.ready_after = 9
    handler.set(pickup_retries="1")
    answer = expect(handler.submit("late@inside.example"), "pending", "none")
    for fault in (server.status(503), server.html(), server.CUT, server.SILENCE, server.status(404), server.status(422)):
        fake.fault("GET /v2/certificates/", fault, times=None)
        expect(handler.poll_under(fault, "late@inside.example"), "retry", "transient")
        fake.clear()
    while True:
        answer = handler.poll("late@inside.example")
        if answer["status"] != "pending":
            break
    issued(answer)
    fake.fault("GET /v2/certificates/", server.HALF)
    expect(handler.poll("late@inside.example"), "retry")
    require(fake.issuer.issued_for("late@inside.example") == 1, "once")
    fake.ready_after = 0
    handler.set(pickup_retries=None)


def test_faults(fake, handler):
    for number, (fault, acted, error_class) in enumerate(faults_of_order()):
        who = f"user{number}@inside.example"
        fake.clear()
        fake.fault("POST /v2/certificates", fault)
        if fault is server.HALF:
            continue  # the answer has no body
        answer = handler.submit_under(fault, who)
        require(answer.get("class") == error_class, f"{fault.name}: {answer}")
        expect_issued_for(fake, who, acted, fault)
        issued(handler.submit(who))
        require(fake.issuer.issued_for(who) == 1, f"{fault.name}: issued twice")
    fake.fault("POST /v2/certificates", server.status(429))
    require(expect(handler.submit("busy@inside.example"), "retry", "transient")["wait"] == 5, "five seconds")
    fake.fault("POST /v2/login", server.html(503))
    fake.forget_tokens()
    expect(handler.submit("busy@inside.example"), "retry", "transient")


def test_look_fails(fake, handler):
    who = "looked@inside.example"
    fake.clear()
    fake.fault("POST /v2/certificates", server.LOST)
    expect(handler.submit(who), "retry", "conflict")
    for where in ("GET /v2/stats/issued", "GET /v2/certificates/"):
        for fault in (server.status(500), server.html(), server.CUT, server.garbage(), server.status(401), server.status(400)):
            fake.fault(where, fault, times=None)
            answer = handler.submit(who)
            fake.clear()
            require(answer.get("status") == "retry" and answer["class"] != "permanent-input", f"{where} {fault.name}: {answer}")
    issued(handler.submit(who))
    require(fake.issuer.issued_for(who) == 1, "issued twice")
    fake.listed_stats = False
    fake.fault("POST /v2/certificates", server.LOST, times=None)
    for _ in range(3):
        expect(handler.submit("blind@inside.example"), "retry", "conflict")
    expect(handler.submit("blind@inside.example"), "retry", "permanent-config", "portal")
    fake.clear()
    fake.listed_stats = True
    issued(handler.submit("blind@inside.example"))
    require(fake.issuer.issued_for("blind@inside.example") == 3, "found among them")


def test_died(fake, handler):
    for die in (1, 2):
        who = f"died{die}@inside.example"
        answer = handler.submit(who, die=die)
        require("died" in answer["error"] and fake.issuer.issued_for(who) == die - 1, answer)
        issued(handler.submit(who))
        require(fake.issuer.issued_for(who) == 1, "once")


def test_revoke(fake, handler):
    answer = issued(handler.submit("gone@inside.example"))
    cert = cert_of(fake)
    expect(handler.revoke(cert, handle=answer["handle"], reason="keyCompromise"), "issued", text="revoked")
    require(list(fake.certs.values())[-1]["reason"] == "keyCompromise", "reason")
    expect(handler.revoke(cert, handle=answer["handle"]), "issued", text="before")
    expect(handler.revoke(cert, reason="certificateHold"), "rejected", "permanent-input", "no reason")
    expect(handler.poll("gone@inside.example"), "rejected", text="revoked")


def test_headers(folder, handler):
    with Atlas(os.path.join(folder, "serial"), need_serial=True) as fake:
        configure(handler, fake, extra_headers='"X-SSL-Client-Serial: {client_serial}"')
        expect(handler.check(), "issued")
        issued(handler.submit("serial@inside.example"))
        require(fake.complaints == [], fake.complaints)


def main():
    tap, folder = Tap(), tempfile.mkdtemp(prefix="postseal-atlas-")
    try:
        with Drive("atlas") as handler:
            with Atlas(os.path.join(folder, "plain")) as fake:
                configure(handler, fake)
                for name, function in (("check, chain", test_check), ("issue", test_issue), ("policy", test_policy),
                                       ("picked up later", test_pickup), ("faults", test_faults),
                                       ("a look that fails", test_look_fails), ("died before the answer", test_died),
                                       ("revoke", test_revoke)):
                    tap.case(name, function, fake, handler)
                    tap.ok(fake.complaints == [], f"{name}: nothing that should not be", str(fake.complaints))
                    fake.complaints.clear()
            tap.case("headers", test_headers, folder, handler)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
