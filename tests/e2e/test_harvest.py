#!/usr/bin/env python3
"""Certificates of partners come out of their signed mail, so that answers are encrypted; nothing else comes."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from authority import Partner  # noqa: E402
from harness import INSIDE, OUTSIDER, PARTNER, Site, Tap, require, wait_until  # noqa: E402

ALICE, BOB = f"alice@{INSIDE}", f"bob@{PARTNER}"


def known(site, address):
    return site.json("cert", "list", "--email", address)["items"]


def receive(site, message, sender=BOB):
    site.exchange(sender, ALICE, message, xclient=OUTSIDER)


def taken(site, authority, address, opaque):
    name = address.split("@")[0]
    authority.issue(name, address)
    receive(site, authority.signed(name, address, ALICE, opaque), sender=address)
    rows = wait_until("the certificate in the store", lambda: known(site, address))
    shown = site.cli("cert", "show", rows[0]["thumbprint"]).stdout
    require("harvest" in shown, f"cert show does not say where it came from: {shown}")


def answered(site, authority):
    """The point of it all: the answer is encrypted, and the partner opens it."""
    site.prefer(BOB, encrypt_mode="force")
    got = site.exchange(ALICE, BOB, f"From: {ALICE}\nTo: {BOB}\nSubject: answer\n\nsecret\n", login=ALICE)
    require(b"secret" not in got and b"enveloped-data" in got, "not encrypted")
    require(b"secret" in authority.opens("bob", got), "the partner cannot read the answer")


def refused(site, send, address):
    send()
    marker(site)
    require(not known(site, address), f"{address} has a certificate in the store")


def marker(site):
    """One more that is taken: the writer works in order, so all before it has had its turn."""
    marker.count += 1
    name = f"marker{marker.count}"
    address = f"{name}@{PARTNER}"
    marker.authority.issue(name, address)
    receive(site, marker.authority.signed(name, address, ALICE), sender=address)
    wait_until("the marker", lambda: known(site, address))


marker.count = 0


def main():
    tap = Tap()
    with Site() as site:
        site.start()
        site.make_ca()
        site.issue(ALICE)
        site.postfix.add_login(ALICE)
        good = Partner(site.folder, "Good CA")
        stranger = Partner(site.folder, "Stranger CA")
        marker.authority = good
        site.cli("root", "import", good.cert)

        tap.case("a clear-signed message brings its sender's certificate", taken, site, good, BOB, False)
        tap.case("an opaque one, too", taken, site, good, f"opal@{PARTNER}", True)
        tap.case("the answer is encrypted with it", answered, site, good)

        def untrusted():
            stranger.issue("eve", f"eve@{PARTNER}")
            receive(site, stranger.signed("eve", f"eve@{PARTNER}", ALICE), sender=f"eve@{PARTNER}")
        tap.case("nothing from a signer without a path to a root", refused, site, untrusted, f"eve@{PARTNER}")

        def tampered():
            good.issue("mallory", f"mallory@{PARTNER}")
            message = good.signed("mallory", f"mallory@{PARTNER}", ALICE).replace(b"hello", b"jello")
            receive(site, message, sender=f"mallory@{PARTNER}")
        tap.case("nothing from a signature that does not fit", refused, site, tampered, f"mallory@{PARTNER}")

        def other_from():
            good.issue("trent", f"trent@{PARTNER}")
            receive(site, good.signed("trent", f"walter@{PARTNER}", ALICE), sender=f"walter@{PARTNER}")
        tap.case("nothing for another From than the certificate's", refused, site, other_from, f"trent@{PARTNER}")

        def authority_cert():
            good.issue("subca", f"subca@{PARTNER}",
                                   "basicConstraints=critical,CA:TRUE;keyUsage=critical,digitalSignature,keyCertSign")
            receive(site, good.signed("subca", f"subca@{PARTNER}", ALICE), sender=f"subca@{PARTNER}")
        tap.case("never the certificate of a CA", refused, site, authority_cert, f"subca@{PARTNER}")

        def switched_off():
            site.prefer(ALICE, harvest="off")
            good.issue("quiet", f"quiet@{PARTNER}")
            receive(site, good.signed("quiet", f"quiet@{PARTNER}", ALICE), sender=f"quiet@{PARTNER}")
            site.prefer(ALICE, harvest="on")
        tap.case("nothing where the recipient has harvest off", refused, site, switched_off, f"quiet@{PARTNER}")

        def new_key():
            """Another CA's certificate for a known address waits; a renewal under the same CA does not."""
            other = Partner(site.folder, "Other Good CA")
            site.cli("root", "import", other.cert)
            other.issue("bob", BOB)
            receive(site, other.signed("bob", BOB, ALICE))
            pending = wait_until("the certificate that waits", lambda: site.json("cert", "list", "--pending")["items"])
            require(len(pending) == 1 and pending[0]["issuer"].endswith("Other Good CA"), f"pending: {pending}")
            good.issue("bob2", BOB)
            receive(site, good.signed("bob2", BOB, ALICE))
            wait_until("the renewal", lambda: len(known(site, BOB)) == 3)
            require(len(site.json("cert", "list", "--pending")["items"]) == 1, "the renewal under the same CA waits, too")
        tap.case("a new key from another CA waits, a renewal does not", new_key)

        def too_many(name="busy"):
            address, day = f"{name}@{PARTNER}", time.gmtime().tm_yday
            for number in range(7):
                good.issue(f"{name}{number}", address)
                receive(site, good.signed(f"{name}{number}", address, ALICE), sender=address)
            marker(site)
            if day != time.gmtime().tm_yday:
                return too_many(name + "again")
            count = len(known(site, address))
            require(count == 5, f"{count} certificates of one sender on one day")
        tap.case("at most five a day of one sender", too_many)
    tap.done()


main()
