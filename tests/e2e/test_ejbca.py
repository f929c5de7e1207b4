#!/usr/bin/env python3
"""EJBCA's REST interface: a strict fake (tests/fakes/ejbca.py), every way to fail, and never two certificates for one."""
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from drive import TIMEOUT, Drive, expect, expect_issued_for, faults_of_order, issued, read  # noqa: E402
from harness import Tap, require  # noqa: E402

import server  # noqa: E402
from ejbca import Ejbca  # noqa: E402
from issuer import pem_of  # noqa: E402

def configure(handler, fake, **more):
    handler.set(url=fake.base, ca_bundle=read(fake.cert), ca_name=fake.ca_name, timeout=TIMEOUT,
                certificate_profile=fake.certificate_profile, end_entity_profile=fake.end_entity_profile, **more)
    if not fake.oauth:
        handler.set(client_cert=read(fake.admin[0]), client_key=read(fake.admin[1]))


def address(number):
    return f"user{number}@inside.example"


def test_issue(fake, handler):
    answer = issued(handler.submit("alice@inside.example"))
    require(len(answer["certs"]) == 3 and answer["saved"][0].startswith("sent "), answer)
    issued(handler.submit("bob@inside.example", key="rsa:2048"))
    again = issued(handler.submit("alice@inside.example", fresh=True))
    require(len(fake.users["alice@inside.example"]) == 2 and again["spki"] != answer["spki"], "the same end entity")


def test_check(fake, handler):
    expect(handler.check(), "issued", text="Mail CA")
    require("error" not in handler.ask(do="ready"), "ready")
    handler.set(ca_name="No CA")
    expect(handler.check(), "rejected", "permanent-config", "ca_name")
    expect(handler.submit("nobody@inside.example"), "retry", "permanent-config", "does not exist")
    handler.set(ca_name=fake.ca_name)
    chain = handler.ask(do="chain")
    require([cert["ca"] for cert in chain["certs"]] == [True, True], chain)
    handler.set(ca_bundle=fake.issuer.root.decode())
    expect(handler.check(), "retry", "permanent-config", "certificate")
    handler.set(ca_bundle=read(fake.cert))
    fake.allowed_domain = "inside.example"
    expect(handler.submit("eve@elsewhere.example"), "rejected", "permanent-input", "not allowed")
    fake.allowed_domain = None


def test_faults(fake, handler):
    for number, (fault, acted, error_class) in enumerate(faults_of_order()):
        who = address(number)
        fake.clear()
        fake.fault("POST /ejbca/ejbca-rest-api/v1/certificate/pkcs10enroll", fault)
        answer = handler.submit_under(fault, who)
        require(answer.get("class") == error_class, f"{fault.name}: {answer}")
        require(answer["wait"] == (77 if fault.name in ("status 503", "status 429") else 0), f"{fault.name}: {answer}")
        expect_issued_for(fake, who, acted, fault)
        issued(handler.submit(who))
        require(fake.issuer.issued_for(who) == 1, f"{fault.name}: issued twice")
        searched = fake.count("POST /ejbca/ejbca-rest-api/v1/certificate/search")
        require(searched == (error_class == "conflict"), f"{fault.name}: {searched} searches")


def test_search_fails(fake, handler):
    """Without having looked nothing is enrolled again."""
    who = "searched@inside.example"
    fake.clear()
    fake.fault("POST /ejbca/ejbca-rest-api/v1/certificate/pkcs10enroll", server.LOST)
    expect(handler.submit(who), "retry", "conflict")
    for fault in (server.status(500), server.html(), server.CUT, server.HALF, server.garbage(), server.status(400)):
        fake.fault("POST /ejbca/ejbca-rest-api/v1/certificate/search", fault)
        expect(handler.submit(who), "retry", "transient")
        require(fake.issuer.issued_for(who) == 1, fault.name)
    fake.double = True
    issued(handler.submit(who))
    fake.double = False
    require(fake.issuer.issued_for(who) == 1, "issued twice")


def test_blind(fake, handler):
    """A server that cannot be searched is asked a few times, then a person has to look."""
    fake.clear()
    fake.searchable = False
    fake.fault("POST /ejbca/ejbca-rest-api/v1/certificate/pkcs10enroll", server.LOST, times=None)
    for _ in range(3):
        expect(handler.submit("blind@inside.example"), "retry", "conflict")
    expect(handler.submit("blind@inside.example"), "retry", "permanent-config", "cannot be searched")
    require(fake.issuer.issued_for("blind@inside.example") == 3, "more than three")
    fake.clear()
    fake.searchable = True
    issued(handler.submit("blind@inside.example"))
    require(fake.issuer.issued_for("blind@inside.example") == 3, "found among them")


def test_died(fake, handler):
    answer = handler.submit("died@inside.example", die=1)
    require("died" in answer["error"] and fake.issuer.issued_for("died@inside.example") == 0, answer)
    issued(handler.submit("died@inside.example"))
    require(fake.issuer.issued_for("died@inside.example") == 1, "once")


def test_revoke(fake, handler):
    issued(handler.submit("gone@inside.example"))
    cert = pem_of(fake.users["gone@inside.example"][-1][0]).decode()
    expect(handler.revoke(cert, reason="superseded"), "issued")
    require("SUPERSEDED" in fake.certs.values(), fake.certs)
    expect(handler.revoke(cert), "issued", text="before")
    fake.fault("PUT ", server.LOST)
    expect(handler.revoke(cert, reason="keyCompromise"), "retry", "transient")
    expect(handler.revoke(cert, reason="keyCompromise"), "issued")
    expect(handler.revoke(fake.issuer.ca.decode()), "rejected", text="does not exist")


def test_switches(fake, handler):
    fake.existing.add("there@inside.example")
    fake.reversed_chain = True
    handler.set(endpoint="certificaterequest")
    issued(handler.submit("there@inside.example"))
    expect(handler.submit("missing@inside.example"), "retry", "permanent-config", "end entity does not exist")
    handler.set(endpoint=None, send_response_format="on", send_validity="on", subject_dn="CN={common_name}",
                extension_data="1.2.3=abcd 1.2.4=ef", custom_data="a=b", account_binding_id="7", search="v2",
                username_template="x-{hash}")
    fake.fault("POST /ejbca/ejbca-rest-api/v1/certificate/pkcs10enroll", server.LOST)
    expect(handler.submit("new@inside.example", days=90), "retry", "conflict")
    issued(handler.submit("new@inside.example", days=90))
    require(fake.issuer.issued_for("new@inside.example") == 1, "found by v2")
    fake.old = True
    answer = handler.submit("old@inside.example", days=90)
    require("not known here" in answer["text"] and fake.complaints, answer)
    fake.complaints.clear()
    handler.set(send_response_format=None, send_validity=None, subject_dn=None, extension_data=None, custom_data=None,
                account_binding_id=None, search=None, username_template=None)
    issued(handler.submit("old@inside.example"))
    handler.set(username_template="{nothing}")
    require("{email}" in handler.submit("odd@inside.example")["error"], "template")
    handler.set(username_template=None)


def test_approval(folder, handler):
    with Ejbca(os.path.join(folder, "approval"), approval=True, link=False) as fake:
        configure(handler, fake, poll_interval="7m")
        for who, link in (("waits@inside.example", False), ("waits2@inside.example", True)):
            fake.link = link
            answer = expect(handler.submit(who), "pending", "pending-human", "waiting for approval")
            number = int(answer["handle"].split()[1])
            require(answer["wait"] == 420, answer)
            expect(handler.poll(who), "pending", "pending-human")
            fake.fault("POST ", server.html(), times=1)
            expect(handler.poll(who), "retry", "conflict")
            fake.approve(number)
            fake.fault(f"POST /ejbca/ejbca-rest-api/v1/certificate/{number}", server.LOST if link else server.slow(0))
            answer = handler.poll(who)
            if link:
                expect(answer, "retry", "conflict")
                answer = handler.poll(who)
            issued(answer)
            require(fake.issuer.issued_for(who) == 1, "once")
        # Died after the server had given the certificate: the second finalize is refused, the search finds it.
        answer = handler.submit("crash@inside.example")
        number = int(answer["handle"].split()[1])
        fake.approve(number)
        issued(handler.poll("crash@inside.example"))
        issued(handler.poll("crash@inside.example"))
        require(fake.issuer.issued_for("crash@inside.example") == 1, "once")
        answer = handler.submit("denied@inside.example")
        fake.deny(int(answer["handle"].split()[1]))
        expect(handler.poll("denied@inside.example"), "rejected", "permanent-input", "rejected")
        require(fake.complaints == [], fake.complaints)


def test_oauth(folder, handler):
    with Ejbca(os.path.join(folder, "oauth"), oauth=True) as fake:
        handler.set(client_cert=None, client_key=None)
        configure(handler, fake)
        require("neither client_cert nor oauth" in handler.ask(do="ready")["error"], "not ready")
        handler.set(more={"oauth.token_url": fake.token_url, "oauth.client_id": fake.client_id, "oauth.scope": "a b",
                          "oauth.client_secret": "wrong"})
        expect(handler.check(), "retry", "permanent-config", "unknown client")
        handler.set(more={"oauth.client_secret": fake.client_secret})
        expect(handler.check(), "issued")
        for number in range(3):
            issued(handler.submit(address(number)))
        require(fake.count("POST /token") == 2, "one log-in serves all")
        fake.tokens.clear()
        issued(handler.submit("later@inside.example"))
        require(fake.count("POST /token") == 3 and fake.issuer.issued_for("later@inside.example") == 1, "logged in again")
        fake.fault("POST /token", server.html(503))
        fake.tokens.clear()
        expect(handler.submit("busy@inside.example"), "retry", "transient")
        require(fake.complaints == [], fake.complaints)


def main():
    tap, folder = Tap(), tempfile.mkdtemp(prefix="postseal-ejbca-")
    try:
        with Drive("ejbca") as handler:
            with Ejbca(os.path.join(folder, "plain")) as fake:
                configure(handler, fake)
                for name, function in (("issue, renew", test_issue), ("check, chain", test_check), ("faults", test_faults),
                                       ("a search that fails", test_search_fails), ("no search", test_blind),
                                       ("died before the answer", test_died), ("revoke", test_revoke)):
                    tap.case(name, function, fake, handler)
                    tap.ok(fake.complaints == [], f"{name}: nothing that should not be", str(fake.complaints))
                    fake.complaints.clear()
                tap.case("fields of newer servers, certificaterequest", test_switches, fake, handler)
            tap.case("approval and finalize", test_approval, folder, handler)
            tap.case("OAuth 2.0", test_oauth, folder, handler)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
