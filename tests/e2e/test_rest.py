#!/usr/bin/env python3
"""EJBCA, Atlas and EPKI through the daemon and the command line: set up, issue, revoke, claims; what nobody may see."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import drive  # noqa: E402  (the fakes' folder)
from harness import INSIDE, Site, Tap, require, wait_until  # noqa: E402

import server  # noqa: E402
from atlas import Atlas, PREFIX  # noqa: E402
from ejbca import Ejbca  # noqa: E402
from epki import Epki  # noqa: E402
from txt import TxtServer  # noqa: E402


class Shell:
    def __init__(self, site):
        self.site, self.files = site, 0

    def file(self, text):
        self.files += 1
        path = os.path.join(self.site.folder, f"given-{self.files}")
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o600)
        return path

    def __call__(self, *args, good=True):
        done = self.site.cli(*args, check=False)
        require((done.returncode == 0) == good, f"{args}: {done.returncode} {done.stdout} {done.stderr}")
        return done.stdout

    def json(self, *args, good=True):
        return json.loads(self(*args, "--json", good=good))

    def set(self, handler, **values):
        for name, value in {**values.pop("more", {}), **values}.items():
            self("handler", "config", handler, name, value)

    def secret(self, handler, name, value):
        self("handler", "config", handler, name, "--password-file", self.file(value + "\n"))

    def upload(self, handler, name, path):
        self("handler", "config", handler, name, "--file", path)

    def request(self, handler, email, name="Alice Example"):
        answer = self.json("request", "create", "--email", email, "--common-name", name, "--handler", handler, "--key", "ec:P-256")
        return answer["id"]

    def issued(self, number):
        def done():
            row = self.json("request", "show", str(number))
            require(row["state"] not in ("failed", "rejected"), row)
            return row if row["state"] == "issued" else None
        return wait_until(f"request {number} is issued", done)


def test_ejbca(shell, fake):
    shell.set("ejbca", url=fake.base, ca_name=fake.ca_name, certificate_profile=fake.certificate_profile,
              end_entity_profile=fake.end_entity_profile)
    shell.upload("ejbca", "ca_bundle", fake.cert)
    shell.upload("ejbca", "client_cert", fake.admin[0])
    shell.upload("ejbca", "client_key", fake.admin[1])
    require("Mail CA" in shell("handler", "test", "ejbca"), "test")
    shell("handler", "import-chain", "ejbca", "--yes")
    row = shell.issued(shell.request("ejbca", f"alice@{INSIDE}"))
    fake.fault("POST /ejbca/ejbca-rest-api/v1/certificate/pkcs10enroll", server.LOST)
    number = shell.request("ejbca", f"lost@{INSIDE}")
    wait_until("the answer is lost", lambda: shell.json("request", "show", str(number))["error_class"] == "conflict")
    shell.site.daemon.kill()
    shell.site.start_daemon()
    shell.site.cli("request", "retry", str(number), check=False)  # unless it has been taken up already
    shell.issued(number)
    require(fake.issuer.issued_for(f"lost@{INSIDE}") == 1, "issued twice")
    shell("cert", "revoke", row["thumbprint"], "--reason", "superseded")
    wait_until("it is revoked", lambda: "SUPERSEDED" in fake.certs.values())


def test_atlas(shell, fake, names):
    shell.set("atlas", url=fake.base, api_key=fake.api_key, pickup_delay="0s", more={"claims.resolver": names.address})
    shell.secret("atlas", "api_secret", fake.api_secret)
    shell.upload("atlas", "ca_bundle", fake.cert)
    csr = os.path.join(shell.site.folder, "mtls.csr")
    shell("handler", "mtls-request", "atlas", "--output", csr)
    require("-BEGIN" not in shell("handler", "mtls-request", "atlas", good=False), "asks before it drops a key")
    shell("handler", "mtls-import", "atlas", fake.account[0], good=False)
    cert = shell.file(fake.issuer.client_certificate("ours", drive.read(csr).encode()).decode())
    shell("handler", "mtls-import", "atlas", cert)
    require("logged in" in shell("handler", "test", "atlas"), "test")
    shell("handler", "import-chain", "atlas", "--yes")
    shell.issued(shell.request("atlas", f"bob@{INSIDE}"))


def test_claims(shell, fake, names):
    claim = shell.json("handler", "claim", "add", "sub.example.org", "--authorization-domain", "example.org")
    token = list(fake.claims.values())[0]["token"]
    require(claim["record"] == f'example.org. 3600 IN TXT "{PREFIX}{token}"', claim)
    again = shell.json("handler", "claim-add", "sub.example.org", "--authorization-domain", "example.org")
    require(again["id"] == claim["id"] and len(fake.claims) == 1, "shown again")
    answer = shell.json("handler", "claim", "validate", "sub.example.org", good=False)
    require("not in the DNS yet" in answer["result"] and fake.count("POST /v2/claims") == 1, answer)
    fake.txt["example.org"] = ["v=spf1 -all", f"{PREFIX}{token}"]
    answer = shell.json("handler", "claim", "validate", claim["id"])
    require(answer["result"] == "verified", answer)
    rows = shell.json("handler", "claim", "list")["items"]
    require([(row["domain"], row["status"]) for row in rows] == [("sub.example.org", "VERIFIED")], rows)
    shown = shell.json("handler", "claim", "show", "sub.example.org")
    require("TXT record found" in shown["log"][0] and shown["expires"], shown)
    fake.token_prefixed = True
    other = shell.json("handler", "claim", "add", "example.net")
    require(other["record"].count(PREFIX) == 1, other)
    fake.txt["example.net"] = [PREFIX + fake.claims[other["id"]]["token"].removeprefix(PREFIX)]
    job = shell.json("job", "list", "--kind", "check-claims")["items"][0]["id"]
    shell("job", "retry", str(job))
    wait_until("it is verified by itself", lambda: fake.claims[other["id"]]["status"] == "VERIFIED")
    shell("handler", "claim", "delete", "example.net", good=False)
    shell("handler", "claim", "delete", "example.net", "--yes")
    require(len(fake.claims) == 1, fake.claims)
    shell("handler", "claim", "show", "example.net", good=False)
    shell("handler", "claim", "add", "no domain", good=False)


def test_epki(shell, fake):
    shell.set("epki", url=fake.base, username=fake.username, profile_id=fake.profile, poll_interval="1s")
    shell.secret("epki", "password", fake.password)
    shell.upload("epki", "ca_bundle", fake.cert)
    require("Inside Ltd" in shell("handler", "test", "epki"), "test")
    shell("root", "import", shell.file(fake.issuer.root.decode()))
    shell.issued(shell.request("epki", f"carol@{INSIDE}", "Carol Example"))


def test_secrets(shell, *fakes):
    """Not in a log, not in what is shown, not in the database."""
    secrets = [fake.api_secret if isinstance(fake, Atlas) else fake.password if isinstance(fake, Epki) else None for fake in fakes]
    shown = "".join(shell("handler", "config", name, "--json") for name in ("ejbca", "atlas", "epki"))
    shown += shell("request", "list", "--all", "--json") + shell("audit", "list", "--json")
    with open(shell.site.daemon.log, errors="replace") as f:
        shown += f.read()
    for secret in filter(None, secrets):
        require(secret not in shown, "a secret is shown")


def main():
    tap = Tap()
    with Site() as site:
        site.start(postfix=False)
        shell, folder = Shell(site), site.folder
        with Ejbca(os.path.join(folder, "ejbca")) as ejbca, Atlas(os.path.join(folder, "atlas")) as atlas, \
                Epki(os.path.join(folder, "epki")) as epki, TxtServer(atlas.txt) as names:
            tap.case("EJBCA, an answer lost and the daemon killed", test_ejbca, shell, ejbca)
            tap.case("Atlas from the key for mTLS on", test_atlas, shell, atlas, names)
            tap.case("claims of domains", test_claims, shell, atlas, names)
            tap.case("EPKI", test_epki, shell, epki)
            tap.case("secrets", test_secrets, shell, ejbca, atlas, epki)
            for fake in (ejbca, atlas, epki):
                tap.ok(fake.complaints == [], f"{type(fake).__name__}: nothing that should not be", str(fake.complaints))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
