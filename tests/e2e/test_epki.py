#!/usr/bin/env python3
"""GlobalSign EPKI: a strict fake (tests/fakes/epki.py), every way to fail, never two orders for one."""
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from drive import TIMEOUT, Drive, expect, expect_issued_for, faults_of_order, issued, read  # noqa: E402
from harness import Tap, require  # noqa: E402

import server  # noqa: E402
from epki import Epki  # noqa: E402
from issuer import pem_of  # noqa: E402


def configure(handler, fake, **more):
    handler.set(url=fake.base, ca_bundle=read(fake.cert), username=fake.username, password=fake.password, timeout=TIMEOUT,
                profile_id=fake.profile, **more)


def cert_of(fake):
    return pem_of(list(fake.orders.values())[-1]["der"]).decode()


def test_check(fake, handler):
    expect(handler.check(), "issued", text="Inside Ltd")
    handler.set(profile_id="MP0")
    expect(handler.check(), "rejected", "permanent-config", "profile_id")
    expect(handler.submit("no@inside.example"), "rejected", "permanent-input", "ProfileID: Invalid parameter")
    handler.set(profile_id=fake.profile, password="wrong")
    expect(handler.check(), "retry", "permanent-config", "Login failure")
    expect(handler.submit("no@inside.example"), "retry", "permanent-config")
    handler.set(password=fake.password)
    fake.fault("POST ", server.html(503))
    expect(handler.check(), "retry", "transient")


def test_issue(fake, handler):
    handler.set(ou='Mail "R & D <1>"', efs="on", upn_template="{email}")
    answer = issued(handler.submit("alice@inside.example", common_name='Ålice & <"Bob">'))
    require(answer["handle"] == "order " + list(fake.orders)[-1], answer)
    row = list(fake.orders.values())[-1]
    require(row["names"]["OrganizationUnit"] == ["Mail", "R & D <1>"], row)
    handler.set(ou=None, efs=None, upn_template=None)
    issued(handler.submit("alice@inside.example", fresh=True))
    require(len(fake.pickups) == 2, "each order has a password of its own")


def test_domains(fake, handler):
    fake.accounts["second"] = "other password"
    fake.profiles["MP2"] = "Second Ltd"
    handler.set(more={"per_domain.second.example.profile_id": "MP2", "per_domain.second.example.username": "second",
                      "per_domain.second.example.password": "other password", "per_domain.second.example.years": "2"})
    issued(handler.submit("bob@second.example"))
    row = list(fake.orders.values())[-1]
    require((row["profile"], row["years"], row["product"]) == ("MP2", 2, "EPKIPSPersonal"), row)
    issued(handler.submit("bob@inside.example"))
    require(list(fake.orders.values())[-1]["profile"] == fake.profile, "the others")


def test_later(fake, handler):
    fake.withhold = 2
    answer = expect(handler.submit("later@inside.example"), "pending", "none")
    require(answer["wait"] == 300, answer)
    for fault in (server.status(503), server.html(), server.HALF, server.CUT, server.SILENCE, server.garbage()):
        fake.fault("POST ", fault)
        expect(handler.poll_under(fault, "later@inside.example"), "retry")
    fake.withhold = 4
    expect(handler.poll("later@inside.example"), "pending")
    expect(handler.poll("later@inside.example"), "pending")
    issued(handler.poll("later@inside.example"))
    fake.withhold = 2
    handler.set(mode="sync")
    issued(handler.submit("sync@inside.example"))
    handler.set(mode=None)
    fake.withhold = 0
    fake.approval = True
    expect(handler.submit("refused@inside.example"), "pending")
    list(fake.orders.values())[-1]["status"] = "10"
    expect(handler.poll("refused@inside.example"), "rejected", "permanent-input")
    fake.approval = False


def test_faults(fake, handler):
    fault = server.Fault("fault", lambda _: fake._fault("Server", "database"), acts=False)
    mine = server.Fault("fault", lambda _: fake._fault("Client", "schema"), acts=False)
    rows = faults_of_order() + [(fault, False, "conflict"), (mine, False, "permanent-config")]
    for number, (fault, acted, error_class) in enumerate(rows):
        who, name = f"user{number}@inside.example", f"User {number}"
        fake.clear()
        fake.fault("POST ", fault)
        answer = handler.submit_under(fault, who, common_name=name)
        require(answer.get("class") == error_class, f"{fault.name}: {answer}")
        expect_issued_for(fake, who, acted, fault)
        issued(handler.submit(who, common_name=name))
        require(fake.issuer.issued_for(who) == 1, f"{fault.name}: issued twice")
        require(fake.count("GetOrders") == (error_class == "conflict"), f"{fault.name}: {fake.seen}")


def test_codes(fake, handler):
    for code, status, error_class in ((-101, "rejected", "permanent-input"), (-105, "rejected", "permanent-input"),
                                      (-300, "retry", "conflict"), (-4001, "retry", "permanent-config"),
                                      (-6101, "retry", "permanent-config"), (-9999, "rejected", "permanent-config")):
        fake.refuse = (code, "Field", "text <of> the error")
        answer = expect(handler.submit(f"code{-code}@inside.example"), status, error_class, "Field: text <of> the error")
        require(answer["code"] == str(code), answer)
    fake.refuse = None
    issued(handler.submit("code300@inside.example"))


def test_look_fails(fake, handler):
    who, name = "looked@inside.example", "Looked For"
    fake.clear()
    fake.fault("POST ", server.LOST)
    expect(handler.submit(who, common_name=name), "retry", "conflict")
    for fault in (server.status(500), server.html(), server.CUT, server.HALF, server.garbage(), server.status(400)):
        fake.fault("POST ", fault)
        expect(handler.submit(who), "retry", "transient")
        require(fake.issuer.issued_for(who) == 1, fault.name)
    issued(handler.submit(who))
    require(fake.issuer.issued_for(who) == 1, "issued twice")
    # Ordered, not issued yet, the answer lost: the order is found by name, time and address.
    fake.approval = True
    fake.fault("POST ", server.LOST)
    expect(handler.submit("held@inside.example", common_name="Held"), "retry", "conflict")
    expect(handler.submit("held@inside.example"), "pending")
    fake.issue(list(fake.orders)[-1])
    fake.approval = False
    issued(handler.poll("held@inside.example"))
    require(fake.issuer.issued_for("held@inside.example") == 1, "once")


def test_died(fake, handler):
    for die in (1, 2):
        who = f"died{die}@inside.example"
        answer = handler.submit(who, common_name=f"Died {die}", die=die)
        require("died" in answer["error"] and fake.issuer.issued_for(who) == die - 1, answer)
        issued(handler.submit(who))
        require(fake.issuer.issued_for(who) == 1, "once")


def test_revoke(fake, handler):
    answer = issued(handler.submit("gone@inside.example", common_name="Gone"))
    expect(handler.revoke(cert_of(fake), handle=answer["handle"]), "issued", text="revoked")
    expect(handler.revoke(cert_of(fake), handle=answer["handle"]), "issued", text="before")
    issued(handler.submit("gone2@inside.example", common_name="Gone Too"))
    expect(handler.revoke(cert_of(fake)), "issued")
    require(list(fake.orders.values())[-1]["status"] == "7", "found by its serial number")
    expect(handler.revoke(fake.issuer.ca.decode()), "rejected", text="no order")


def test_switches(folder, handler):
    with Epki(os.path.join(folder, "bare"), qualified=False, lower=True, warnings=True) as fake:
        configure(handler, fake, qualified="off")
        expect(handler.check(), "issued")
        issued(handler.submit("bare@inside.example"))
        require(fake.complaints == [], fake.complaints)


def main():
    tap, folder = Tap(), tempfile.mkdtemp(prefix="postseal-epki-")
    try:
        with Drive("epki") as handler:
            with Epki(os.path.join(folder, "plain"), qualified=True) as fake:
                configure(handler, fake)
                for name, function in (("check", test_check), ("issue", test_issue), ("accounts of domains", test_domains),
                                       ("certificates that come later", test_later), ("faults", test_faults),
                                       ("error codes", test_codes), ("a look that fails", test_look_fails),
                                       ("died before the answer", test_died), ("revoke", test_revoke)):
                    tap.case(name, function, fake, handler)
                    tap.ok(fake.complaints == [], f"{name}: nothing that should not be", str(fake.complaints))
                    fake.complaints.clear()
            tap.case("elements without namespace, small letters, warnings", test_switches, folder, handler)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
