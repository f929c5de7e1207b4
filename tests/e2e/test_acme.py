#!/usr/bin/env python3
"""Certificates for DNS names from a real ACME server: pebble with its DNS (RFC 8555).

Of seven good nonces one is refused (never eight in a row: that many times is tried), the daemon dies between any two steps, and no certificate is ordered twice."""
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import Site, Tap, require, wait_until  # noqa: E402
from pebble import Pebble, installed  # noqa: E402
from ports import free_port  # noqa: E402

FULL = os.environ.get("PS_FULL") == "yes"
KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
HOOK = """#!/bin/sh
# add|remove NAME TEXT, for the DNS of pebble
echo "$1 $2 $3 $#" >>%(log)s
case "$1" in
add) exec curl -sf -d "{\\"host\\":\\"$2.\\",\\"value\\":\\"%(prefix)s$3\\"}" http://127.0.0.1:%(port)d/set-txt ;;
remove) exec curl -sf -d "{\\"host\\":\\"$2.\\"}" http://127.0.0.1:%(port)d/clear-txt ;;
esac
exit 1
"""


class Client:
    def __init__(self, site, pebble):
        self.site, self.pebble = site, pebble

    def configure(self, config, pebble=None, files=(), **values):
        pebble = pebble or self.pebble
        for name, path in (("ca_bundle", pebble.cert), ("anchors", pebble.root()), *files):
            self.site.cli("handler", "config", f"acme/{config}", name, "--file", path)
        for name, value in {"directory_url": pebble.url, "tos_agreed": "on", **values}.items():
            self.site.cli("handler", "config", f"acme/{config}", name.replace("__", "."), value)

    def secret(self, config, name, value):
        path = os.path.join(self.site.folder, "etc", "secret")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(value + "\n")
        self.site.cli("handler", "config", f"acme/{config}", name, "--password-file", path)

    def ask(self, config, *names):
        """A request; its number."""
        more = [word for name in names for word in ("--dns-name", name)]
        return self.site.json("request", "create", "--common-name", names[0], "--profile", "tls-server", "--handler",
                              f"acme/{config}", "--key", "ec:P-256", "--no-wait", *more)["id"]

    def requests(self):
        return self.site.json("request", "list")["items"]

    def show(self, number):
        return self.site.json("request", "show", str(number))

    def ends(self, number, state="issued"):
        def check():
            row = self.show(number)
            if row["state"] in ("failed", "rejected") and row["state"] != state:
                raise AssertionError(f"{row['state']}: {row}")
            return row if row["state"] == state else None
        return wait_until(f"request {number} is {state}", check, step=0.2)

    def certificate(self, row):
        path = os.path.join(self.site.folder, "cert.pem")
        self.site.cli("cert", "export", row["thumbprint"], "--format", "pem", "--output", path)
        return subprocess.run(["openssl", "x509", "-in", path, "-noout", "-text", "-serial", "-issuer"], capture_output=True, text=True,
                              check=True).stdout


def names_in(text):
    return set(re.findall(r"DNS:([^\s,]+)", text))


def serial_in(text):
    return re.search(r"serial=([0-9A-F]+)", text)[1].lower()


def issue(client):
    row = client.ends(client.ask("default", "a.site.example", "b.site.example"))
    require(names_in(client.certificate(row)) == {"a.site.example", "b.site.example"}, "other names")
    require(client.pebble.logged("-> Account") or True, "")


def account_stays(client):
    before = client.site.cli("handler", "test", "acme").stdout
    require("/my-account/" in before, before)
    client.site.daemon.kill()
    client.site.start_daemon()
    client.ends(client.ask("default", "c.site.example"))
    require(client.site.cli("handler", "test", "acme").stdout == before, "another account")


def rekeyed(client):
    """The same account under a new key, and the certificates that it got can be revoked with that."""
    before = client.site.cli("handler", "test", "acme").stdout
    row = client.ends(client.ask("default", "n.site.example"))
    require(client.site.json("handler", "rekey", "acme", "--yes")["result"] == "changed", "no new key")
    require(client.site.cli("handler", "test", "acme").stdout == before, "another account")
    serial = serial_in(client.certificate(row))
    client.site.cli("cert", "revoke", row["thumbprint"], "--reason", "superseded")
    wait_until("it is revoked", lambda: client.pebble.status(serial)["Status"] == "Revoked", 60)
    client.ends(client.ask("default", "o.site.example"))


def records(client, log):
    row = client.ends(client.ask("dns", "d.site.example", "*.d.site.example"))
    require(names_in(client.certificate(row)) == {"d.site.example", "*.d.site.example"}, "other names")
    with open(log) as f:
        lines = f.read().splitlines()
    added = {line.split()[2] for line in lines if line.startswith("add ")}
    removed = {line.split()[2] for line in lines if line.startswith("remove ")}
    require(len(added) == 2 and added == removed, f"hook: {lines}")
    require(all(re.fullmatch(r"(add|remove) _acme-challenge\.d\.site\.example [\w-]{43} 3", line) for line in lines), f"hook: {lines}")


def wrong_record(client):
    number = client.ask("wrong", "e.site.example")
    row = wait_until("the order has failed", lambda: (r := client.show(number)) and r.get("error_code") not in (None, "", "badNonce") and r)
    require(row["error_code"] == "unauthorized" and "dns-01 of e.site.example" in row["error"], f"{row}")
    require(row["state"] != "issued", f"{row}")


def unreachable(client):
    """The server does not reach us: later, with a new order."""
    client.pebble.tell_names("add-a", host="f.site.example.", addresses=["127.0.0.99"])
    number = client.ask("default", "f.site.example")
    row = wait_until("the order has failed", lambda: (r := client.show(number)) and r.get("error") and r)
    require(row["state"] in ("keyed", "pending") and "transient" in str(row), f"{row}")
    client.pebble.tell_names("clear-a", host="f.site.example.")
    client.site.cli("request", "retry", str(number))
    client.ends(number)


def revoke(client):
    row = client.ends(client.ask("default", "g.site.example"))
    serial = serial_in(client.certificate(row))
    require(client.pebble.status(serial)["Status"] == "Valid", "not valid before")
    client.site.cli("cert", "revoke", row["thumbprint"], "--reason", "superseded")
    status = wait_until("it is revoked", lambda: (s := client.pebble.status(serial)) and s["Status"] == "Revoked" and s)
    require(status["Reason"] == 4, f"{status}")


def chain(client):
    """The chain that leads to the root that is preferred; both are offered."""
    text = subprocess.run(["openssl", "x509", "-in", client.pebble.root(1), "-noout", "-subject", "-nameopt", "multiline"],
                          capture_output=True, text=True, check=True).stdout
    name = re.search(r"commonName\s*= (.*)", text)[1]
    client.site.cli("handler", "config", "acme/other", "anchors", "--file", client.pebble.root(1))
    client.configure("other", files=[("anchors", client.pebble.root(1))], preferred_chain=name)
    client.ends(client.ask("other", "h.site.example"))


def bindings(client, pebble):
    client.configure("bound", pebble=pebble, eab__kid="kid-1")
    client.secret("bound", "eab.hmac_key", KEY[:-2] + "AA")
    number = client.ask("bound", "i.site.example")
    row = wait_until("the account is refused", lambda: (r := client.show(number)) and r.get("error") and r)
    require("config" in str(row) or "input" in str(row), f"{row}")
    client.secret("bound", "eab.hmac_key", KEY)
    client.site.cli("request", "retry", str(number), check=False)
    client.ends(number)


def killed(client):
    """The daemon dies at any moment; each request has one order, and one certificate."""
    issued = client.pebble.logged("Issued certificate serial")
    numbers = [client.ask("default", f"k{i}.site.example") for i in range(6 if FULL else 2)]
    for i in range(20 if FULL else 5):
        time.sleep(0.05 + 0.13 * i % 0.7)
        client.site.daemon.kill()
        client.site.start_daemon()
    for number in numbers:
        row = client.show(number)
        if row["state"] not in ("issued",):
            client.site.cli("request", "retry", str(number), check=False)
        client.ends(number)
    require(client.pebble.logged("Issued certificate serial") - issued == len(numbers), "a certificate too many")


def main():
    tap = Tap()
    if not installed():
        tap.skip("certificates from an ACME server", "pebble is not installed")
        tap.done()
    port = free_port()
    with Site({"public_listen": f"127.0.0.1:{port}"}) as site:
        log = os.path.join(site.folder, "hook.log")
        with Pebble(os.path.join(site.folder, "pebble"), port, PEBBLE_WFE_NONCEREJECT="15", PEBBLE_ALTERNATE_ROOTS="1") as pebble, \
                Pebble(os.path.join(site.folder, "bound"), port, {"kid-1": KEY}) as bound:
            site.start(postfix=False)
            client = Client(site, pebble)
            hooks = {}
            for name, prefix in (("dns", ""), ("wrong", "x")):
                hooks[name] = os.path.join(site.folder, "etc", f"hook-{name}")
                with open(os.open(hooks[name], os.O_WRONLY | os.O_CREAT, 0o700), "w") as f:
                    f.write(HOOK % {"log": log if name == "dns" else "/dev/null", "prefix": prefix, "port": pebble.dns_management})
            client.configure("default", contact=f"root@{'inside.example'}")
            for name, hook in hooks.items():
                client.configure(name, challenge="dns-01", dns01_hook=hook, dns01_wait="0s")
            tap.case("http-01 over the public listener, for two names", issue, client)
            tap.case("the account is the same after a crash", account_stays, client)
            tap.case("a new key for the account", rekeyed, client)
            tap.case("dns-01 by a hook, for a name and all below it", records, client, log)
            tap.case("a record that is wrong: no certificate, and the reason", wrong_record, client)
            tap.case("a server that does not reach us: again later, with a new order", unreachable, client)
            tap.case("a certificate is revoked there", revoke, client)
            tap.case("the chain that is preferred", chain, client)
            tap.case("an account that is bound to a contract", bindings, client, bound)
            tap.case("killed at any moment: no order twice", killed, client)
    tap.done()


if __name__ == "__main__":
    main()
