#!/usr/bin/env python3
"""The order of filters: one OpenDKIM verifies before us, another signs behind us, and both are right."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import INSIDE, OUTSIDER, PARTNER, Process, Site, Tap, can_connect, free_port, require, wait_until  # noqa: E402

ALICE, BOB, STRANGER = f"alice@{INSIDE}", f"bob@{PARTNER}", "stranger@other.example"


class OpenDKIM:
    """One OpenDKIM with its configuration; keys come from a file, never from the DNS."""

    def __init__(self, folder, mode, domain=None):
        self.folder, self.mode, self.domain = folder, mode, domain
        self.port = free_port()
        self.conf = os.path.join(folder, f"opendkim-{mode}.conf")
        lines = [f"Mode {mode}", f"Socket inet:{self.port}@127.0.0.1", "Syslog no", "UserID root", f"TestPublicKeys {folder}/keys",
                 "AuthservID mx.inside.example", "Background no", "RequireSafeKeys no"]
        if domain:
            lines += [f"Domain {domain}", "Selector sel", f"KeyFile {folder}/{domain}.private", "InternalHosts 127.0.0.1"]
        else:
            lines += ["InternalHosts 192.0.2.1", "AlwaysAddARHeader yes"]
        with open(self.conf, "w") as f:
            f.write("\n".join(lines) + "\n")
        self.process = Process(f"opendkim-{mode}", ["opendkim", "-x", self.conf, "-f"], os.path.join(folder, f"opendkim-{mode}.log"))

    def start(self):
        self.process.start()
        wait_until("OpenDKIM answers", lambda: can_connect(f"inet:{self.port}@127.0.0.1"))


def make_key(folder, domain):
    private = os.path.join(folder, f"{domain}.private")
    subprocess.run(["openssl", "genrsa", "-out", private, "2048"], check=True, capture_output=True)
    os.chmod(private, 0o600)
    public = subprocess.run(["openssl", "rsa", "-in", private, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    import base64
    with open(os.path.join(folder, "keys"), "a") as f:
        f.write(f"sel._domainkey.{domain} v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}\n")


def dkim_result(folder, conf, message):
    path = os.path.join(folder, "message")
    with open(path, "wb") as f:
        f.write(message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    done = subprocess.run(["opendkim", "-x", conf, "-t", path, "-vv"], capture_output=True, text=True)
    return done.stdout + done.stderr


def main():
    tap = Tap()
    if shutil.which("opendkim") is None:
        tap.skip("order of filters", "opendkim is not installed")
        tap.done()
    with Site() as site:
        folder = os.path.join(site.folder, "dkim")
        os.makedirs(folder, mode=0o700)
        for domain in (INSIDE, "other.example"):
            make_key(folder, domain)
        before, behind = OpenDKIM(folder, "v"), OpenDKIM(folder, "s", INSIDE)
        site.postfix.filters_around([before.port], [behind.port])
        site.postfix.reinject_milters = f"inet:127.0.0.1:{behind.port}"
        try:
            for filter_ in (before, behind):
                filter_.start()
            site.start()
            site.make_ca()
            for address in (ALICE, BOB):
                site.issue(address)
            tap.case("the DKIM signature made behind us verifies on a signed message", outbound, site, folder, before)
            site.prefer(PARTNER, encrypt_mode="force")
            tap.case("the DKIM signature made behind us verifies on an encrypted message", outbound, site, folder, before)
            tap.case("so does that of each copy of a message whose recipients need different ones", copies, site, folder, before)
            tap.case("the result of the verification before us stays in the header", inbound, site, folder)
        finally:
            for filter_ in (before, behind):
                filter_.process.stop()
    tap.done()


def outbound(site, folder, before):
    got = site.exchange(ALICE, BOB, f"From: {ALICE}\nTo: {BOB}\nSubject: order\n\nbody\n")
    require(b"pkcs7" in got, "neither signed nor encrypted")
    shown = dkim_result(folder, before.conf, got)
    require("dkim=pass" in shown, shown[-1500:])


def copies(site, folder, before):
    """One stays, the others come in through the listener for copies, where the signer stands, too."""
    recipients = [BOB, "dave@other.example", f"hidden@{PARTNER}"]
    site.issue(recipients[2])
    code, text = site.send(ALICE, recipients, f"From: {ALICE}\nTo: {BOB}, {recipients[1]}\nSubject: order\n\nbody\n")
    require(code == 250, f"{code} {text}")
    for who in recipients:
        got = site.wait_mail(who)
        shown = dkim_result(folder, before.conf, got)
        require("dkim=pass" in shown, f"{who}: {shown[-1500:]}")
        require(got.split(b"\n\n", 1)[0].lower().count(b"dkim-signature:") == 1, f"{who}: not one DKIM signature")


def inbound(site, folder):
    signer = OpenDKIM(folder, "s", "other.example")
    signer.start()
    try:
        # The outsider's own MTA is played by the same one: a listener whose only filter signs.
        message = f"From: {STRANGER}\nTo: {ALICE}\nSubject: from outside\n\nbody\n"
        signed = sign_through(site, signer, message)
    finally:
        signer.process.stop()
    got = site.exchange(STRANGER, ALICE, signed, xclient=OUTSIDER)
    header = got.split(b"\n\n", 1)[0]
    require(b"dkim=pass" in header, header.decode(errors="replace")[-1500:])


def sign_through(site, signer, message):
    """The message as the outsider's mail server would send it: through a listener with his filter alone."""
    port = site.postfix.listener_behind(signer.port)
    site.send(STRANGER, ["outsider-out@other.example"], message, port=port)
    got = site.wait_mail("outsider-out@other.example")
    lines = got.split(b"\n")
    start = next(i for i, line in enumerate(lines) if line.lower().startswith(b"dkim-signature"))
    header_end = lines.index(b"")
    kept, skip = [], False
    for line in lines[start:header_end]:
        if line[:1] not in b" \t":
            skip = line.lower().startswith((b"received:", b"delivered-to:", b"return-path:"))
        if not skip:
            kept.append(line)
    return b"\n".join(kept + lines[header_end:])


if __name__ == "__main__":
    main()
