#!/usr/bin/env python3
"""Certificates for mailboxes by ACME (RFC 8823): the challenge mail is taken by the filter, answered by the daemon, signed by
the MTA's OpenDKIM, and judged by a server that was written from the RFCs alone."""
import os
import shutil
import sys
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "fakes"))
from harness import INSIDE, OUTSIDER, Site, Tap, require, wait_until  # noqa: E402

try:
    from acme_mail import AcmeMail  # noqa: E402
    from server import LOST, html, status  # noqa: E402
    MISSING = None if shutil.which("opendkim") else "opendkim is not installed"
except ImportError as why:
    MISSING = f"{why.name} is not installed"
from test_acme import Client  # noqa: E402
from test_dkim import OpenDKIM, make_key  # noqa: E402

FULL = os.environ.get("PS_FULL") == "yes"
CA = "acme@other.example"


class World:
    def __init__(self, site, folder):
        self.site, self.folder, self.taken, self.lock = site, folder, {}, threading.Lock()
        self.keys = {}
        with open(os.path.join(folder, "keys")) as f:
            for line in f:
                name, record = line.strip().split(" ", 1)
                self.keys[name.encode() + b"."] = record.encode()

    def send(self, sender, recipient, message):
        return self.site.send(sender, [recipient], message, xclient=OUTSIDER)

    def inbox(self, address, mailbox):
        """What has come for the CA from this mailbox; it stays there."""
        return [data for _, data in self.site.mails(address) if f"\nFrom: <{mailbox}>".encode() in data]

    def lookup(self, name, timeout=5):
        return self.keys.get(name if name.endswith(b".") else name + b".")

    def ca(self, name, **more):
        with open(os.path.join(self.folder, "other.example.private"), "rb") as f:
            key = ("other.example", "sel", f.read())
        return AcmeMail(os.path.join(self.site.folder, name), self.send, self.inbox, key, self.lookup, **more)


class MailClient(Client):
    def __init__(self, world):
        self.site, self.world = world.site, world

    def use(self, config, ca, **values):
        for name, path in (("ca_bundle", ca.cert), ("anchors", ca.root)):
            self.site.cli("handler", "config", f"acme/{config}", name, "--file", path)
        for name, value in {"directory_url": ca.url + "/dir", "tos_agreed": "on", "challenge": "email-reply-00", **values}.items():
            self.site.cli("handler", "config", f"acme/{config}", name.replace("__", "."), value)

    def ask_for(self, config, mailbox, *more):
        return self.site.json("request", "create", "--email", mailbox, "--common-name", "Somebody", "--handler", f"acme/{config}",
                              "--key", "ec:P-256", "--no-wait", *more)["id"]

    def not_delivered(self, mailbox):
        require(not list(self.site.mails(mailbox)), "the challenge was delivered to its owner")

    def fair(self, ca, orders=None):
        require(ca.complaints == [], f"{ca.complaints}")
        if orders is not None:
            require(len(ca.orders) == orders, f"{len(ca.orders)} orders")


def simple(client, ca):
    ca.nonce_rejects = 3
    row = client.ends(client.ask_for("ca", f"alice@{INSIDE}"))
    require(f"alice@{INSIDE}" in client.certificate(row), "another address")
    client.not_delivered(f"alice@{INSIDE}")
    client.fair(ca, 1)


def with_the_order(client, ca):
    """The mail is there before our order knows its challenge: 451, and it comes again."""
    ca.mail_at = "order"
    client.ends(client.ask_for("ca", f"bob@{INSIDE}"))
    require(any(code == 451 for code, _ in ca.mails), f"{ca.mails}")
    client.not_delivered(f"bob@{INSIDE}")
    client.fair(ca, 2)
    ca.mail_at = "authorization"


def forged(client, ca):
    """From elsewhere, without DKIM, with another token by somebody else: mail like any other, and no answer."""
    mailbox = f"carol@{INSIDE}"
    other = "B" * 22

    def forge(server, order):
        return [server.challenge_mail(order, token=other, sender="evil@other.example"),
                server.challenge_mail(order, token=other, signed=False),
                server.challenge_mail(order, token="short")]
    ca.forge, ca.duplicates = forge, 2
    client.ends(client.ask_for("ca", mailbox))
    wait_until("the forged ones are delivered", lambda: len(list(client.site.mails(mailbox))) == 3)
    ca.forge, ca.duplicates = None, 0
    client.fair(ca)
    order = next(o for o in ca.orders.values() if o["mailbox"] == mailbox)
    require(len(client.world.inbox(CA, mailbox)) == 1 and order["finalized"] == 1, "answered more than once")


def pair(client, ca):
    """Two orders for one mailbox: one after the other, for nobody could tell their challenges apart."""
    mailbox = f"dave@{INSIDE}"
    client.site.cli("request", "create", "--email", mailbox, "--common-name", "Dave", "--handler", "acme/back", "--key", "ec:P-256",
                    "--key-use", "pair", "--no-wait")
    rows = [row for row in client.site.json("request", "list")["items"] if row["email"] == mailbox]
    require(len(rows) == 2, f"{rows}")

    def both():
        now = [client.show(row["id"]) for row in rows]
        done = [row for row in now if row["state"] == "issued"]
        if len(done) == 1:
            for path, _ in client.site.mails(ca.reply_to):
                os.unlink(path)
            for row in now:
                if row["state"] != "issued":
                    client.site.cli("request", "retry", str(row["id"]), check=False)
        return len(done) == 2
    wait_until("both halves are issued", both, 300, 5)
    client.fair(ca, 3)  # with the one of the lost answers


def lost_answers(client, ca):
    """What the server did and could not say: found again, among many, and not done again."""
    ca.gone_orders = 45  # more than are looked at in one act
    ca.fault("POST /new-order", LOST)
    ca.fault("POST /finalize", LOST)
    ca.fault("POST /challenge", status(503))
    ca.fault("POST /authorization", html())
    number = client.ask_for("back", f"erin@{INSIDE}")

    def push():
        row = client.show(number)
        if row["state"] != "issued":
            client.site.cli("request", "retry", str(number), check=False)
        return row["state"] == "issued"
    wait_until("it is issued", push, step=1.5)
    client.fair(ca)
    orders = [o for o in ca.orders.values() if o["mailbox"] == f"erin@{INSIDE}"]
    require(len(orders) == 1 and orders[0]["finalized"] == 1, f"{len(orders)} orders")
    require(ca.count("POST /order/gone-") == 45, f"{ca.count('POST /order/gone-')} looks, not each order once")
    ca.gone_orders = 0


def decoded(client, ca):
    ca.join = "decoded"
    client.use("decoded", ca, email__token_join="decoded")
    client.ends(client.ask_for("decoded", f"frank@{INSIDE}"))
    ca.join = "string"
    client.fair(ca)


def rekeyed(client, ca):
    """The account gets a new key once, also where the server's word about it is lost, or it says no."""
    key = lambda: client.site.sql("SELECT thumbprint FROM acme_account WHERE config = 'back'")
    url, before = list(ca.accounts), key()
    rekey = lambda: client.site.cli("handler", "rekey", "acme/back", "--yes", check=False)
    ca.fault("POST /key-change", status(503))
    require(rekey().returncode == 1 and key() == before, "changed without the server")
    ca.fault("POST /key-change", LOST)
    done = rekey()
    require(done.returncode == 1, f"the answer was lost: {done.stdout}")
    good = client.site.cli("handler", "test", "acme/back")  # finds out which key it has
    theirs = ca._thumbprint(next(iter(ca.accounts.values()))["jwk"])
    require(key() == theirs != before and list(ca.accounts) == url, f"{key()} {theirs} {good.stdout}")
    rekey()
    require(key() not in (before, theirs) and key() == ca._thumbprint(next(iter(ca.accounts.values()))["jwk"]), "the third key")
    client.ends(client.ask_for("back", f"ivan@{INSIDE}"))
    client.fair(ca)


def hurry(site, kind):
    for job in site.json("job", "list", "--kind", kind, "--all")["items"][:1]:
        if job["state"] == "due":  # it may begin between the two commands
            site.cli("job", "retry", str(job["id"]), check=False)


def renewed(client, ca):
    """The CA would have it renewed now (RFC 9773): long before our own days, in its place, and once."""
    mailbox = f"heidi@{INSIDE}"
    ca.window = (time.time() + 86400 * 20, time.time() + 86400 * 21)
    first = client.ends(client.ask_for("ca", mailbox))
    said = lambda: hurry(client.site, "renewal-advice") or client.show(first["id"]).get("renewal")
    require(wait_until("the CA was asked", said, 30)["renew_at"] is not None and ca.asked_windows, "no moment was drawn")
    mine = lambda: [row for row in client.site.json("request", "list")["items"] if row["email"] == mailbox]
    require(len(mine()) == 1 and not ca.replaced, "renewed too early")
    for path, _ in client.site.mails(CA):  # the CA takes one answer of a mailbox
        os.unlink(path)
    ca.window = (time.time() - 7200, time.time() - 3600)
    client.site.sql(f"UPDATE renewal_advice SET next_ask = now() WHERE thumbprint = '{first['thumbprint']}'")
    wait_until("a new one is ordered", lambda: hurry(client.site, "renewal-advice") or len(mine()) == 2, 60)
    client.ends(mine()[0]["id"] if mine()[0]["id"] != first["id"] else mine()[1]["id"])
    ca.window = None
    require(len(ca.replaced) == 1, f"{ca.replaced}")
    client.fair(ca)


def killed(client, ca):
    """The daemon dies while it is about it: one order, one answer."""
    mailbox = f"grace@{INSIDE}"
    number = client.ask_for("ca", mailbox)
    for i in range(12 if FULL else 3):
        threading.Event().wait(0.1 + 0.3 * i % 1.1)
        client.site.daemon.kill()
        client.site.start_daemon()

    def push():
        row = client.show(number)
        if row["state"] != "issued":
            client.site.cli("request", "retry", str(number), check=False)
        return row["state"] == "issued"
    wait_until("it is issued", push, 300, 5)
    client.fair(ca)
    orders = [o for o in ca.orders.values() if o["mailbox"] == mailbox]
    require(len(orders) == 1 and len(client.world.inbox(CA, mailbox)) == 1, f"{len(orders)} orders")


def signer(folder):
    """With the fields that RFC 8823 section 3.2 wants to be covered: OpenDKIM's own list lacks Message-ID."""
    behind = OpenDKIM(folder, "s", INSIDE)
    with open(behind.conf, "a") as f:
        f.write("SignHeaders From,Sender,Reply-To,To,Cc,Subject,Date,In-Reply-To,References,Message-ID,Auto-Submitted,Content-Type,"
                "Content-Transfer-Encoding\n")
    return behind


def main():
    tap = Tap()
    if MISSING:
        tap.skip("certificates for mailboxes by ACME", MISSING)
        tap.done()
    with Site() as site:
        folder = os.path.join(site.folder, "dkim")
        os.makedirs(folder, mode=0o755)
        for domain in (INSIDE, "other.example"):
            make_key(folder, domain)
        behind = signer(folder)
        site.settings["dkim_keys"] = os.path.join(folder, "keys")
        site.postfix.reinject_milters = f"inet:127.0.0.1:{behind.port}"
        try:
            behind.start()
            site.start()
            world = World(site, folder)
            client = MailClient(world)
            with world.ca("ca") as ca, world.ca("back", reply_to="responses@other.example") as back:
                client.use("ca", ca)
                client.use("back", back)
                tap.case("a mailbox is proved by mail that its owner never sees", simple, client, ca)
                tap.case("the challenge comes before we know of it", with_the_order, client, ca)
                tap.case("forged challenges are mail like any other", forged, client, ca)
                tap.case("answers of the server that are lost", lost_answers, client, back)
                tap.case("parts of the token that are decoded", decoded, client, ca)
                tap.case("renewed when the CA says so", renewed, client, ca)
                tap.case("a new key for the account", rekeyed, client, back)
                if FULL:  # leases have to run out: minutes
                    tap.case("Reply-To, and two halves of a pair one after the other", pair, client, back)
                    tap.case("killed while it is about it", killed, client, ca)
        finally:
            behind.process.stop()
    tap.done()


if __name__ == "__main__":
    main()
