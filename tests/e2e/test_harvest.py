#!/usr/bin/env python3
"""Certificates of partners come out of their signed mail, so that answers are encrypted; nothing else comes."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import INSIDE, OUTSIDER, PARTNER, Site, Tap, require, wait_until  # noqa: E402
from peers import check  # noqa: E402

ALICE, BOB = f"alice@{INSIDE}", f"bob@{PARTNER}"


class Authority:
    """A CA of somebody else, made with openssl."""

    def __init__(self, folder, name):
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder)
        self.key, self.cert = self.path("ca.key"), self.path("ca.pem")
        check(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.cert,
               "-days", "300", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign"])

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, name, address, extensions="keyUsage=critical,digitalSignature,keyEncipherment"):
        key, cert, request, ext = (self.path(name + end) for end in (".key", ".pem", ".csr", ".ext"))
        with open(ext, "w") as f:
            f.write(f"subjectAltName=email:{address}\nextendedKeyUsage=emailProtection\n" + extensions.replace(";", "\n") + "\n")
        check(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}"])
        check(["openssl", "x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", "200",
               "-extfile", ext, "-out", cert])
        return cert, key

    def signed(self, address, cert, key, extra=(), opaque=False):
        """A whole message from address, signed."""
        content = self.path("content")
        with open(content, "wb") as f:
            f.write(b"Content-Type: text/plain\r\n\r\nhello\r\n")
        argv = ["openssl", "cms", "-sign", "-in", content, "-signer", cert, "-inkey", key, "-md", "sha256"]
        for path in extra:
            argv += ["-certfile", path]
        entity = check(argv + (["-nodetach"] if opaque else []))
        return f"From: {address}\nTo: {ALICE}\nSubject: signed\n".encode() + entity.replace(b"\r\n", b"\n")


def known(site, address):
    return site.json("cert", "list", "--email", address)["items"]


def receive(site, message, sender=BOB):
    site.exchange(sender, ALICE, message, xclient=OUTSIDER)


def taken(site, authority, address, opaque):
    name = address.split("@")[0]
    cert, key = authority.issue(name, address)
    receive(site, authority.signed(address, cert, key, opaque=opaque), sender=address)
    rows = wait_until("the certificate in the store", lambda: known(site, address))
    shown = site.cli("cert", "show", rows[0]["thumbprint"]).stdout
    require("harvest" in shown, f"cert show does not say where it came from: {shown}")


def answered(site, authority):
    """The point of it all: the answer is encrypted, and the partner opens it."""
    site.prefer(BOB, encrypt_mode="force")
    got = site.exchange(ALICE, BOB, f"From: {ALICE}\nTo: {BOB}\nSubject: answer\n\nsecret\n", login=ALICE)
    require(b"secret" not in got and b"enveloped-data" in got, "not encrypted")
    path = authority.path("answer.eml")
    with open(path, "wb") as f:
        f.write(got)
    opened = check(["openssl", "cms", "-decrypt", "-in", path, "-recip", authority.path("bob.pem"), "-inkey",
                    authority.path("bob.key")])
    require(b"secret" in opened, "the partner cannot read the answer")


def refused(site, send, address):
    send()
    marker(site)
    require(not known(site, address), f"{address} has a certificate in the store")


def marker(site):
    """One more that is taken: the writer works in order, so all before it has had its turn."""
    marker.count += 1
    address = f"marker{marker.count}@{PARTNER}"
    cert, key = marker.authority.issue(f"marker{marker.count}", address)
    receive(site, marker.authority.signed(address, cert, key), sender=address)
    wait_until("the marker", lambda: known(site, address))


marker.count = 0


def main():
    tap = Tap()
    with Site() as site:
        site.start()
        site.make_ca()
        site.issue(ALICE)
        site.postfix.add_login(ALICE)
        good = Authority(site.folder, "Good CA")
        stranger = Authority(site.folder, "Stranger CA")
        marker.authority = good
        site.cli("root", "import", good.cert)

        tap.case("a clear-signed message brings its sender's certificate", taken, site, good, BOB, False)
        tap.case("an opaque one, too", taken, site, good, f"opal@{PARTNER}", True)
        tap.case("the answer is encrypted with it", answered, site, good)

        def untrusted():
            cert, key = stranger.issue("eve", f"eve@{PARTNER}")
            receive(site, stranger.signed(f"eve@{PARTNER}", cert, key), sender=f"eve@{PARTNER}")
        tap.case("nothing from a signer without a path to a root", refused, site, untrusted, f"eve@{PARTNER}")

        def tampered():
            cert, key = good.issue("mallory", f"mallory@{PARTNER}")
            message = good.signed(f"mallory@{PARTNER}", cert, key).replace(b"hello", b"jello")
            receive(site, message, sender=f"mallory@{PARTNER}")
        tap.case("nothing from a signature that does not fit", refused, site, tampered, f"mallory@{PARTNER}")

        def other_from():
            cert, key = good.issue("trent", f"trent@{PARTNER}")
            receive(site, good.signed(f"walter@{PARTNER}", cert, key), sender=f"walter@{PARTNER}")
        tap.case("nothing for another From than the certificate's", refused, site, other_from, f"trent@{PARTNER}")

        def authority_cert():
            cert, key = good.issue("subca", f"subca@{PARTNER}",
                                   "basicConstraints=critical,CA:TRUE;keyUsage=critical,digitalSignature,keyCertSign")
            receive(site, good.signed(f"subca@{PARTNER}", cert, key), sender=f"subca@{PARTNER}")
        tap.case("never the certificate of a CA", refused, site, authority_cert, f"subca@{PARTNER}")

        def switched_off():
            site.prefer(ALICE, harvest="off")
            cert, key = good.issue("quiet", f"quiet@{PARTNER}")
            receive(site, good.signed(f"quiet@{PARTNER}", cert, key), sender=f"quiet@{PARTNER}")
            site.prefer(ALICE, harvest="on")
        tap.case("nothing where the recipient has harvest off", refused, site, switched_off, f"quiet@{PARTNER}")

        def new_key():
            """Another CA's certificate for a known address waits; a renewal under the same CA does not."""
            other = Authority(site.folder, "Other Good CA")
            site.cli("root", "import", other.cert)
            cert, key = other.issue("bob", BOB)
            receive(site, other.signed(BOB, cert, key))
            pending = wait_until("the certificate that waits", lambda: site.json("cert", "list", "--pending")["items"])
            require(len(pending) == 1 and pending[0]["issuer"].endswith("Other Good CA"), f"pending: {pending}")
            cert, key = good.issue("bob2", BOB)
            receive(site, good.signed(BOB, cert, key))
            wait_until("the renewal", lambda: len(known(site, BOB)) == 3)
            require(len(site.json("cert", "list", "--pending")["items"]) == 1, "the renewal under the same CA waits, too")
        tap.case("a new key from another CA waits, a renewal does not", new_key)

        def too_many():
            address = f"busy@{PARTNER}"
            for number in range(7):
                cert, key = good.issue(f"busy{number}", address)
                receive(site, good.signed(address, cert, key), sender=address)
            marker(site)
            count = len(known(site, address))
            require(count == 5, f"{count} certificates of one sender on one day")
        tap.case("at most five a day of one sender", too_many)
    tap.done()


main()
