#!/usr/bin/env python3
"""CMP: openssl cmp -port for the protocol, every refusal; a CA of our own on OpenSSL's server side for issuing and going on."""
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from drive import Drive, expect, issued, read  # noqa: E402
from harness import BUILD, Tap, require  # noqa: E402

import server  # noqa: E402
from cmp import CmpIssuer, OpensslCmp  # noqa: E402
from issuer import Issuer, pem_of  # noqa: E402

POST = "POST /.well-known/cmp"
# By number of the bit: config, input, transient, conflict (look before asking again).
CLASSES = "C C I T I I C I C I I L C T T I I I T I C L C C T T L".split()
NAMES = {"C": ("retry", "permanent-config"), "I": ("rejected", "permanent-input"), "T": ("retry", "transient"), "L": ("retry", "conflict")}
FULL = os.environ.get("PS_FULL") == "yes"


def configure(handler, fake, **more):
    settings = {"url": fake.cmp_url, "ca_bundle": read(fake.cert), "ref": "ref", "secret": "cmp-secret", "msg_timeout": "2m",
                "trusted": None, "server_cert": None, "cert": None, "key": None, "command": None, "popo": None, "renewal": None,
                "implicit_confirm": None, "unprotected_errors": None, "total_timeout": None, "mac": None, "recipient": None,
                "client_cert": None, "client_key": None}
    handler.set(**{**settings, **more})


class Peer:
    """What openssl cmp -port needs to know beforehand: a certificate for the key that will be asked for."""

    def __init__(self, folder, handler):
        self.folder, self.handler, self.number = folder, handler, 0
        self.issuer = Issuer(os.path.join(folder, "ca"), "CMP")
        self.cert, self.key = self.issuer.client_certificate("server")
        handler.set(ca_bundle=None, trusted=None)

    def believes(self):
        return ["-srv_trusted", self.issuer.path("root.pem"), "-srv_untrusted", self.issuer.path("ca.pem")]

    def certificate(self, email):
        """Makes the request's key, and the certificate that the server is to give for it."""
        self.handler.set(url="http://127.0.0.1:1/", secret="x")
        answer = self.handler.submit(email, fresh=True)
        require(answer["handle"] == "" and answer["class"] == "transient", answer)
        csr = answer["csr"].encode()
        der, _ = self.issuer.issue(self.issuer.check_csr(csr), "Alice Example", [email])
        path = os.path.join(self.folder, email + ".pem")
        with open(path, "wb") as f:
            f.write(pem_of(der))
        return path

    def serve(self, email, *options):
        self.number += 1
        return OpensslCmp(os.path.join(self.folder, str(self.number)), "-srv_ref", "ref", "-srv_secret", "pass:cmp-secret",
                          "-srv_cert", self.cert, "-srv_key", self.key, "-rsp_cert", self.certificate(email), *options)


def test_commands(peer, handler):
    for number, (command, options, more) in enumerate((
            ("ir", [], {}), ("cr", [], {"mac": "hmac-sha1"}), ("p10cr", [], {"recipient": "/O=Fake/CN=CMP Issuing CA"}),
            ("ir", ["-grant_implicitconf"], {"implicit_confirm": "on"}),
            ("ir", ["-accept_raverified"], {"popo": "raverified"}),
            ("cr", peer.believes(), {"signed": "trusted"}),
            ("p10cr", peer.believes(), {"signed": "server_cert"}))):
        email = f"command{number}@inside.example"
        with peer.serve(email, *options) as fake:
            signed = more.pop("signed", None)
            configure(handler, fake, command=command, **more)
            if signed:
                ours, key = peer.issuer.client_certificate("ra")
                handler.set(secret=None, ref=None, cert=read(ours), key=read(key),
                            **{signed: peer.issuer.root.decode() + peer.issuer.ca.decode() if signed == "trusted" else read(peer.cert)})
            issued(handler.submit(email), chain=False)
            require(fake.complaints == [], fake.complaints)


def test_polling(peer, handler):
    with peer.serve("polls@inside.example", "-poll_count", "3", "-check_after", "7") as fake:
        configure(handler, fake)
        answer = expect(handler.submit("polls@inside.example"), "pending", "pending-human")
        require(answer["wait"] == 7 and answer["handle"].startswith("cmp1:0:"), answer)
        expect(handler.poll("polls@inside.example"), "pending")
        fake.fault(POST, server.status(503))
        expect(handler.poll("polls@inside.example"), "retry", "transient")
        issued(handler.poll("polls@inside.example"), chain=False)
        require(fake.complaints == [], fake.complaints)


def test_renew_revoke(peer, handler):
    with peer.serve("old@inside.example") as fake:
        configure(handler, fake)
        old = issued(handler.submit("old@inside.example"), chain=False)["certs"][0]["pem"]
        # It knows one certificate, the one it gives.
        expect(handler.revoke(old, reason="superseded"), "issued")
        expect(handler.revoke(read(peer.cert)), "rejected", "permanent-input")
        fake.fault(POST, server.LOST)
        expect(handler.revoke(old), "retry", "transient")
        expect(handler.revoke(old), "issued")
    with peer.serve("revoked@inside.example", "-pkistatus", "2", "-failure", "10") as fake:
        configure(handler, fake)
        expect(handler.revoke(read(os.path.join(peer.folder, "revoked@inside.example.pem"))), "issued")
    # kur, signed by the old certificate, and under the secret; the old one must be the one it gives.
    for number, more in enumerate(({"trusted": peer.issuer.root.decode() + peer.issuer.ca.decode()}, {})):
        email = f"renewed{number}@inside.example"
        with peer.serve(email, *peer.believes()) as fake:
            stored = handler.ask(do="import", cert=read(os.path.join(peer.folder, email + ".pem")))["thumbprint"]
            configure(handler, fake, **more)
            issued(handler.submit(email, renews=stored), chain=False)
            require(fake.bodies == [7, 24], fake.bodies)


def test_failures(peer, handler):
    """Every bit, in an answer to the request; some of them as error messages, protected and not."""
    for bit, letter in enumerate(CLASSES):
        email = f"bit{bit}@inside.example"
        with peer.serve(email, "-pkistatus", "2", "-failure", str(bit), "-statusstring", f"bit {bit}") as fake:
            configure(handler, fake)
            answer = expect(handler.submit(email), *NAMES[letter], f"bit {bit}")
            require(answer["code"] and answer["handle"] == "", answer)


def test_errors(peer, handler):
    with peer.serve("error@inside.example", "-send_error", "-failure", "24") as fake:
        configure(handler, fake)
        answer = handler.submit("error@inside.example")
        require(answer["status"] in ("retry", "rejected") and answer["code"] and answer["handle"] == "", answer)
    with peer.serve("bare@inside.example", "-send_error", "-send_unprot_err") as fake:
        configure(handler, fake)
        expect(handler.submit("bare@inside.example"), "retry", "permanent-config", "cannot be believed")
        handler.set(unprotected_errors="on")
        answer = handler.submit("bare@inside.example")
        require(answer["status"] in ("retry", "rejected") and "believed" not in answer["text"], answer)
    with peer.serve("secret@inside.example") as fake:
        configure(handler, fake, secret="wrong")
        expect(handler.submit("secret@inside.example"), "retry", "permanent-config")
        expect(handler.check(), "retry", "permanent-config")
        handler.set(secret="cmp-secret")
        expect(handler.check(), "issued")
        require("does not tell" in handler.ask(do="chain")["error"], "chain")
    with peer.serve("unprotected@inside.example", "-send_unprotected") as fake:
        configure(handler, fake)
        expect(handler.submit("unprotected@inside.example"), "retry", "permanent-config", "cannot be believed")
    with peer.serve("stranger@inside.example", *peer.believes()) as fake:
        ours, key = peer.issuer.client_certificate("ra")
        other = peer.issuer.client_certificate("other")[0]
        configure(handler, fake, secret=None, ref=None, cert=read(ours), key=read(key), server_cert=read(other))
        expect(handler.submit("stranger@inside.example"), "retry", "permanent-config", "cannot be believed")


# --- a CA that issues ---

def confirmed(fake):
    return fake.stats()["confirmed"]


def test_issuer(fake, handler):
    answer = issued(handler.submit("alice@inside.example"))
    require(confirmed(fake) == 1 and answer["saved"][0].count(":") == 2, answer)
    chain = handler.ask(do="chain")
    require([cert["ca"] for cert in chain["certs"]] == [True], chain)
    expect(handler.check(), "issued", text="1 certificates")
    pem = answer["certs"][0]["pem"]
    expect(handler.revoke(pem, reason="keyCompromise"), "issued")
    require(fake.stats()["revoked"] == 1, fake.stats())
    fake.set(wrong_name=True)
    expect(handler.submit("mine@inside.example"), "rejected", "permanent-input", "sent back")
    require(fake.stats()["rejected"] == 1 and confirmed(fake) == 1, fake.stats())
    fake.set(wrong_name=False)


def test_lost(fake, handler):
    """Message by message: an answer is lost, or the message never arrives. One certificate is confirmed in the end."""
    fake.set(polls=2, check_after=1)
    faults = [server.LOST, server.CUT, server.HALF, server.html(502), server.html_after(200), server.status(500), server.garbage()]
    number = 0
    for step in range(4):
        for fault in faults if FULL else faults[step % 2::2]:
            number += 1
            email, before = f"lost{number}@inside.example", confirmed(fake)
            fake.clear()
            fake.fault(POST, fault, skip=step)
            for _ in range(12):
                answer = handler.submit(email)
                if answer.get("status") in ("issued", "rejected") or "error" in answer:
                    break
            issued(answer)
            require(confirmed(fake) == before + 1, f"{fault.name} at {step}: {fake.stats()}")
            require(fake.faults == [], f"{fault.name} at {step} did not happen")
    fake.set(polls=0)


def test_died(fake, handler):
    """The program ends each time it has saved something; the next one goes on."""
    fake.set(polls=2)
    for number in range(1, 5):
        email, before = f"died{number}@inside.example", confirmed(fake)
        goes = 0
        answer = handler.submit(email, die=number)
        while answer.get("status") != "issued" and goes < 10:
            answer, goes = handler.submit(email), goes + 1
        issued(answer)
        require(confirmed(fake) == before + 1, fake.stats())
    fake.set(polls=0)


def test_restart_of_ca(fake, handler):
    """A CA that forgot the transaction: a new one; the old one was never confirmed."""
    before = confirmed(fake)
    fake.set(polls=2)
    expect(handler.submit("forgotten@inside.example"), "pending")
    fake.forget()
    expect(handler.poll("forgotten@inside.example"), "retry", "conflict")
    fake.set(polls=0)
    issued(handler.submit("forgotten@inside.example"))
    require(confirmed(fake) == before + 1, fake.stats())


def test_implicit(fake, handler):
    """What nobody confirms stands at once: a lost answer is a person's business."""
    fake.set(implicit_confirm=True)
    handler.set(implicit_confirm="on")
    before = confirmed(fake)
    fake.clear()
    issued(handler.submit("implicit@inside.example"))
    fake.fault(POST, server.LOST)
    expect(handler.submit("implicit2@inside.example"), "retry", "conflict")
    expect(handler.submit("implicit2@inside.example"), "pending", "pending-human", "request upload")
    expect(handler.poll("implicit2@inside.example"), "pending", "pending-human")
    require(confirmed(fake) == before + 2 and fake.count("POST") == 2, fake.stats())
    fake.set(refuse_twice=True)
    expect(handler.poll("implicit2@inside.example", released=True), "retry", "conflict", "there is one")
    fake.set(refuse_twice=False, implicit_confirm=False)
    handler.set(implicit_confirm=None)


def test_patience(fake, handler):
    fake.set(polls=100, check_after=3600)
    answer = expect(handler.submit("patient@inside.example"), "pending")
    require(answer["wait"] == 3600, answer)
    fake.set(polls=0)


def main():
    tap, folder = Tap(), tempfile.mkdtemp(prefix="postseal-cmp-")
    try:
        with Drive("cmp") as handler:
            peer = Peer(folder, handler)
            for name, function in (("ir, cr, p10cr, confirmed and not, secret and signature", test_commands), ("polling", test_polling),
                                   ("kur and rr", test_renew_revoke), ("every bit of a refusal", test_failures),
                                   ("errors, wrong secrets, strangers", test_errors)):
                tap.case(name, function, peer, handler)
            with CmpIssuer(os.path.join(folder, "issuer"), os.path.join(BUILD, "tests/support/cmp_issuer")) as fake:
                configure(handler, fake)
                for name, function in (("a CA that issues", test_issuer), ("lost on the way", test_lost), ("died", test_died),
                                       ("a CA that forgot", test_restart_of_ca), ("implicit confirmation", test_implicit),
                                       ("patience", test_patience)):
                    tap.case(name, function, fake, handler)
                    tap.ok(fake.complaints == [], f"{name}: nothing that should not be", str(fake.complaints))
                    fake.complaints.clear()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
