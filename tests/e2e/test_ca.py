#!/usr/bin/env python3
"""The built-in CA by its commands: what it makes is checked field by field, and by OpenSSL, GnuTLS and gpgsm."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint_cert
from harness import Failed, Site, Tap, require

FULL = os.environ.get("PS_FULL") == "yes"
PROFILES = [f"{kind}-{generation}" for kind in ("mailbox", "individual", "sponsor", "organisation")
            for generation in ("multipurpose", "strict")]
KEYS = ["ec:P-256", "rsa:2048", "rsa:3072", "rsa:4096", "ec:P-384"] if FULL else ["ec:P-256", "rsa:2048"]


def run(*argv, check=True, **how):
    done = subprocess.run(argv, capture_output=True, timeout=300, **how)
    if check and done.returncode != 0:
        raise Failed(f"{argv}: {done.stdout.decode(errors='replace')[-400:]} {done.stderr.decode(errors='replace')[-400:]}")
    return done


def der_of(pem_path):
    return run("openssl", "x509", "-in", pem_path, "-outform", "DER").stdout


class Ca:
    def __init__(self, site):
        self.site, self.count = site, 0
        self.folder = os.path.join(site.folder, "ca")
        os.mkdir(self.folder)
        self.knows_profiles = "--profile" in site.cli("request", "create", "--help", check=False).stdout

    def path(self, name):
        return os.path.join(self.folder, name)

    def export(self, thumbprint):
        path = self.path(thumbprint[:16] + ".pem")
        self.site.cli("cert", "export", thumbprint, "--format", "pem", "--output", path)
        return path

    def request(self, *args, name="Erika Muster"):
        self.count += 1
        email = f"user{self.count}@example.com"
        answer = self.site.json("request", "create", "--email", email, "--common-name", name, *args)
        require(answer["state"] == "issued", answer)
        return self.export(answer["thumbprint"])

    def serial(self, path):
        return run("openssl", "x509", "-in", path, "-noout", "-serial").stdout.decode().strip().split("=")[1]

    def crl(self, *args):
        path = self.path("ca.crl")
        if os.path.exists(path):
            os.unlink(path)
        self.site.cli("ca", "export", "Our Mail CA", "--crl", "--part", "0", "--output", path, *args)
        with open(path, "rb") as f:
            return f.read()

    # -- cases ------------------------------------------------------------------------------

    def settings(self):
        for name, value in {"organisation": "Example GmbH", "organisation_id": "NTRDE-DER3306.HRB12345", "country": "DE",
                            "key": "ec:P-256"}.items():
            self.site.cli("ca", "config", name, value)
        for name, value, says in [("organisation_id", "HRB 12345", "schemes"), ("key", "rsa:1024", "rsa:2048"),
                                  ("digest", "sha1", "sha256"), ("policy", "2.23.140.1.5.1.3", "follows")]:
            done = self.site.cli("ca", "config", name, value, check=False)
            require(done.returncode == 1 and says in done.stderr, done.stderr)
        answer = self.site.json("ca", "config", "validity_days", "900")
        require(any("6.3.2" in text for text in answer["warnings"]), answer)
        answer = self.site.json("ca", "config", "validity_days", "365")
        require("warnings" not in answer, answer)

    def create(self):
        for args, says in [(["--key", "rsa:1024"], "rsa:2048"), (["--intermediate-days", "9000"], "outlive"),
                           (["--common-name", "X", "--intermediate-common-name", "x"], "different")]:
            done = self.site.cli("ca", "create", "--yes", *args, check=False)
            require(done.returncode == 1 and says in done.stderr, done.stderr)
        done = self.site.cli("ca", "create", "--digest", "sha1", "--yes", check=False)
        require(done.returncode != 0, done.stdout)
        asked = self.site.cli("ca", "create", check=False, stdin="")
        require(asked.returncode != 0 and not self.site.json("ca", "list")["items"], asked.stdout)
        answer = self.site.json("ca", "create", "--common-name", "Our Root", "--intermediate-common-name", "Our Mail CA",
                                "--key", "ec:P-384", "--intermediate-key", "rsa:2048", "--make-default", "--yes")
        require("warnings" not in answer, answer)
        again = self.site.cli("ca", "create", "--common-name", "Our Root", "--intermediate-common-name", "Else", "--yes",
                              check=False)
        require(again.returncode == 1 and "store already" in again.stderr, again.stderr)
        self.root, self.chain = self.path("root.pem"), self.path("chain.pem")
        self.site.cli("ca", "export", "--root", "--output", self.root)
        self.site.cli("ca", "export", "--output", self.chain)
        pems = re.findall(r"-----BEGIN.*?END CERTIFICATE-----\n", open(self.chain).read(), re.S)
        require(len(pems) == 2, pems)
        for i, pem in enumerate(pems):
            with open(self.path(f"chain{i}.pem"), "w") as f:
                f.write(pem)
            found = lint_cert.lint_certificate(der_of(self.path(f"chain{i}.pem")))
            require(not found, found)
        require(not lint_cert.lint_crl(self.crl()), "the empty CRL")
        self.intermediate = self.path("chain0.pem")

    def verify(self, path, email_purpose=True):
        found = lint_cert.lint_certificate(der_of(path))
        require(not found, f"{path}: {found}")
        with open(self.path("crls.pem"), "wb") as out:
            for flag in ([], ["--root"]):
                self.crl(*flag)
                out.write(run("openssl", "crl", "-inform", "DER", "-in", self.path("ca.crl")).stdout)
        purpose = ["-purpose", "smimesign"] if email_purpose else []
        done = run("openssl", "verify", "-x509_strict", "-CAfile", self.root, "-untrusted", self.intermediate, "-CRLfile",
                   self.path("crls.pem"), "-crl_check_all", *purpose, path, check=False)
        return done.returncode == 0, done.stderr.decode()

    def profiles(self):
        if not self.knows_profiles:
            paths = [self.request(), self.request(name="user2@example.com"), self.request("--organisation", "Example GmbH"),
                     self.request("--key", "rsa:2048"), self.request("--key", "ec:P-384")]
        else:
            paths = [self.request("--profile", profile, "--key", key, "--key-use", use) for profile in PROFILES
                     for key in KEYS for use in (["dual", "sign", "encrypt"] if FULL or profile == "mailbox-strict" else ["dual"])]
        for path in paths:
            found = lint_cert.lint_certificate(der_of(path))
            require(not found, f"{path}: {found}")
        self.user = self.request(name="Someone Else")
        good, why = self.verify(self.user)
        require(good, why)
        if shutil.which("certtool"):
            done = run("certtool", "--verify", "--load-ca-certificate", self.root, "--infile",
                       self.joined(self.user, self.intermediate))
            require(b"Verified" in done.stdout, done.stdout)
            done = run("certtool", "--crl-info", "--inder", "--infile", self.path("ca.crl"))
            require(b"CRL Number" in done.stdout, done.stdout)

    def joined(self, *paths):
        path = self.path("joined.pem")
        with open(path, "wb") as out:
            for one in paths:
                out.write(open(one, "rb").read())
        return path

    def refusals(self):
        if not self.knows_profiles:
            return
        self.site.cli("ca", "config", "organisation_id", "")
        done = self.site.cli("request", "create", "--email", "x@example.com", "--common-name", "X", "--profile",
                             "sponsor-strict", check=False)
        require(done.returncode == 1 and "organisation_id" in done.stdout + done.stderr, done.stdout + done.stderr)
        self.site.cli("ca", "config", "organisation_id", "NTRDE-DER3306.HRB12345")

        for status, says, option in [(5, "handler list", ("--handler", "nobody")), (1, "by itself", ("--profile", "ocsp"))]:
            done = self.site.cli("request", "create", "--email", "x@example.com", "--common-name", "X", *option, check=False)
            require(done.returncode == status and says in done.stderr, f"{option}: {done.returncode} {done.stderr}")

    def points(self):
        """What is said of the distribution point goes before the default, either way."""
        def has(path):
            return b"CRL Distribution" in run("openssl", "x509", "-in", path, "-noout", "-text").stdout
        require(has(self.request()) and not has(self.request("--crl-url", "no")), "on by default")
        self.site.cli("ca", "config", "add_crl_url", "off")
        require(not has(self.request()) and has(self.request("--crl-url", "yes")), "off by default")
        self.site.cli("ca", "config", "add_crl_url", "on")

    def revocation(self):
        serial = self.serial(self.user)
        spelt = ":".join(serial[i:i + 2] for i in range(0, len(serial), 2)).lower()
        done = self.site.cli("ca", "revoke", "abcd", check=False, stdin="")
        require(done.returncode != 0 and "never issued" in done.stdout + done.stderr, done.stdout + done.stderr)
        self.site.cli("ca", "revoke", spelt, "--reason", "certificateHold")
        require(not self.verify(self.user)[0], "on hold, and verified")
        self.site.cli("ca", "revoke", "0x" + serial, "--release")
        require(self.verify(self.user)[0], "released, and not verified")
        self.site.cli("ca", "revoke", serial, "--reason", "keyCompromise")
        good, why = self.verify(self.user)
        require(not good and "revoked" in why, why)
        require(not lint_cert.lint_crl(self.crl()), lint_cert.lint_crl(self.crl()))
        done = self.site.cli("ca", "crl", "--anew", check=False, stdin="")
        require(done.returncode != 0 and serial.lower().lstrip("0") in done.stdout + done.stderr,
                done.stdout + done.stderr)

    def parts(self):
        self.site.cli("ca", "config", "crl_partition_entries", "1")
        self.site.cli("ca", "crl")
        second = self.request(name="The Next")
        require("-1.crl" in run("openssl", "x509", "-in", second, "-noout", "-text").stdout.decode(), "the next part's point")
        self.site.cli("ca", "revoke", self.serial(second), "--reason", "superseded")
        lists = {one["part"]: one for one in self.site.json("ca", "show", "Our Mail CA")["crls"]}
        require(set(lists) >= {0, 1}, lists)
        path = self.path("part.crl")
        self.site.cli("ca", "export", "Our Mail CA", "--crl", "--part", "1", "--output", path)
        text = run("openssl", "crl", "-inform", "DER", "-in", path, "-noout", "-text").stdout.decode()
        require("Issuing Distribution Point: critical" in text and self.serial(second) in text, text)
        with open(path, "rb") as f:
            require(not lint_cert.lint_crl(f.read()), "the second part")
        verdict = self.site.json("cert", "show", self.thumbprint(second))["certificates"][0]
        require(verdict["verdict"] == "revoked", verdict)
        self.site.cli("ca", "config", "crl_partition_entries", "100000")

    def thumbprint(self, path):
        out = run("openssl", "x509", "-in", path, "-noout", "-fingerprint", "-sha512").stdout.decode()
        return out.split("=")[1].strip().replace(":", "").lower()

    def extensions(self):
        path = self.path("extensions.txt")
        with open(path, "w") as f:
            f.write("1.3.6.1.4.1.99999.7 = ASN1:UTF8String:of our own\n")
        self.site.cli("ca", "extensions", "Our Mail CA", "--file", path)
        shown = self.site.json("ca", "show")["extensions"]
        require(shown[0]["extension"] == "1.3.6.1.4.1.99999.7", shown)
        require("1.3.6.1.4.1.99999.7" in run("openssl", "x509", "-in", self.request(), "-noout", "-text").stdout.decode(), "not in")
        with open(path, "w") as f:
            f.write("basicConstraints = CA:TRUE\n")
        done = self.site.cli("ca", "extensions", "Our Mail CA", "--file", path, check=False)
        require(done.returncode == 1 and "cannot be set" in done.stderr, done.stderr)
        self.site.cli("ca", "extensions", "Our Mail CA", "--remove")
        require(not self.site.json("ca", "show")["extensions"], "they are still there")

    def hand_out(self):
        for form in ("pem", "der", "pkcs7"):
            path = self.path("out." + form)
            self.site.cli("ca", "export", "--format", form, "--output", path)
            require(os.path.getsize(path) > 300, form)
        script = self.path("root.sh")
        self.site.cli("ca", "installer", "--platform", "linux", "--output", script)
        run("sh", "-n", script)
        text = open(script).read()
        require("PRIVATE" not in text and run("openssl", "x509", "-in", self.root, "-noout", "-fingerprint", "-sha256")
                .stdout.decode().split("=")[1].strip() in text, "the fingerprint")
        # In a root of its own, where nothing of this machine is touched.
        place, tools = self.path("place"), self.path("tools")
        for folder in (place, tools):
            os.mkdir(folder)
        with open(os.path.join(tools, "update-ca-certificates"), "w") as f:
            f.write("#!/bin/sh\nexit 0\n")
        os.chmod(os.path.join(tools, "update-ca-certificates"), 0o755)
        with open(script, "w") as f:
            f.write(text.replace("/usr/local/share/ca-certificates", place).replace("$(id -u)", "0"))
        env = dict(os.environ, PATH=tools + ":" + os.environ["PATH"])
        require(b"installed" in run("sh", script, env=env).stdout, "install")
        require(b"already" in run("sh", script, env=env).stdout, "again")
        require(der_of(os.path.join(place, os.listdir(place)[0])) == der_of(self.root), "another certificate")
        require(b"removed" in run("sh", script, "--remove", env=env).stdout, "remove")
        damaged = self.path("damaged.sh")
        with open(damaged, "w") as f:
            f.write(re.sub(r"wanted='..", "wanted='zz", open(script).read()))
        require(run("sh", damaged, env=env, check=False).returncode == 1 and not os.listdir(place), "a damaged script installs")
        self.site.cli("ca", "installer", "--platform", "windows", "--output", self.path("root.ps1"))
        require("X509Store" in open(self.path("root.ps1")).read(), "the other platform")

    def by_mail(self):
        done = self.site.cli("ca", "send", "--to", "partner@example.org", check=False)
        require(done.returncode == 1 and "mail_from" in done.stderr, done.stderr)
        self.site.cli("ca", "config", "mail_from", "ca@example.com")
        answer = self.site.json("ca", "send", "--to", "partner@example.org")
        require(answer["items"][0]["outcome"] == "queued", answer)

    def several(self):
        self.site.cli("ca", "create", "--use", "tls", "--under", "Our Root", "--intermediate-common-name", "Our TLS CA",
                      "--intermediate-key", "ec:P-256", "--yes")
        path = self.path("tls.pem")
        self.site.cli("ca", "export", "Our TLS CA", "--output", path)
        text = run("openssl", "x509", "-in", path, "-noout", "-text").stdout.decode()
        require("TLS Web Server Authentication" in text and "E-mail Protection" not in text, text)
        serial = self.serial(path)
        done = self.site.cli("ca", "revoke", serial, "--ca", "Our Root", check=False)
        require(done.returncode == 1 and "for a reason" in done.stderr, done.stderr)
        self.site.cli("ca", "revoke", serial, "--ca", "Our Root", "--reason", "cessationOfOperation")
        root_crl = self.path("root.crl")
        self.site.cli("ca", "export", "Our TLS CA", "--crl", "--root", "--output", root_crl)
        require(serial in run("openssl", "crl", "-inform", "DER", "-in", root_crl, "-noout", "-text").stdout.decode(), "not listed")
        warnings = self.site.json("ca", "show", "Our TLS CA")["warnings"]
        require(any("revoked" in text for text in warnings), warnings)

    def renewal(self):
        path = self.request(name="To Renew")
        answer = self.site.json("request", "create", "--renew", self.thumbprint(path))
        require(answer["state"] == "issued", answer)
        new = self.export(answer["thumbprint"])
        same = [run("openssl", "x509", "-in", one, "-noout", "-subject").stdout for one in (path, new)]
        keys = [run("openssl", "x509", "-in", one, "-noout", "-pubkey").stdout for one in (path, new)]
        require(same[0] == same[1] and keys[0] != keys[1], same)
        done = self.site.cli("request", "create", "--email", "x@example.com", check=False)
        require(done.returncode == 2 and "--common-name" in done.stderr, done.stderr)
        require(len(self.site.json("ca", "profiles")["items"]) == 11, "the table of profiles")

    def external(self):
        request = self.path("external.csr")
        for option in (("--common-name", "X"), ("--key", "ec:P-256"), ("--days", "9"), ("--make-default",)):
            done = self.site.cli("ca", "create", "--external-root", *option, "--yes", check=False)
            require(done.returncode == 1 and not done.stdout, f"{option} is passed over: {done.stdout}{done.stderr}")
        done = self.site.json("ca", "create", "--external-root", "--intermediate-common-name", "Below Another",
                              "--intermediate-key", "ec:P-256", "--yes")
        with open(request, "w") as f:
            f.write(done["csr"])
        key, root, cert, ext = (self.path(n) for n in ("x.key", "x.pem", "below.pem", "x.ext"))
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
            "-out", root, "-subj", "/CN=Another Root", "-days", "100", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        with open(ext, "w") as f:
            f.write("subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        run("openssl", "x509", "-req", "-in", request, "-CA", root, "-CAkey", key, "-out", cert, "-days", "90", "-extfile", ext)
        done = self.site.cli("request", "upload", cert, check=False)
        require(done.returncode == 1 and "is not a CA certificate" in done.stdout, done.stdout)
        run("openssl", "x509", "-req", "-in", request, "-CA", root, "-CAkey", key, "-out", cert, "-days", "90", "-extfile", ext,
            "-copy_extensions", "copy")  # the request asks for all that a CA needs
        self.site.cli("request", "upload", cert)
        answer = self.site.json("request", "create", "--email", "below@example.com", "--common-name", "Below", "--ca",
                                "Below Another", "--days", "30")
        require(answer["state"] == "issued", answer)
        run("openssl", "verify", "-x509_strict", "-CAfile", root, "-untrusted", cert, self.export(answer["thumbprint"]))

    def gpgsm(self):
        home = tempfile.mkdtemp(prefix="psg", dir="/tmp")
        try:
            with open(os.path.join(home, "gpgsm.conf"), "w") as f:
                f.write("disable-crl-checks\nno-secmem-warning\n")
            fingerprint = run("openssl", "x509", "-in", self.root, "-noout", "-fingerprint", "-sha1").stdout.decode()
            with open(os.path.join(home, "trustlist.txt"), "w") as f:
                f.write(fingerprint.split("=")[1].strip() + " S relax\n")
            env = dict(os.environ, GNUPGHOME=home)
            path = self.request(name="Someone for gpgsm")
            for one in (self.root, self.intermediate, path):
                run("gpgsm", "--batch", "--import", one, env=env)
            done = run("gpgsm", "--batch", "--with-validation", "--list-keys", env=env)
            shown = done.stdout.decode(errors="replace")
            require("certificate is good" in shown and "certificate is bad" not in shown, shown[-1500:])
        finally:
            subprocess.run(["gpgconf", "--kill", "all"], env=dict(os.environ, GNUPGHOME=home), capture_output=True, timeout=300)
            shutil.rmtree(home, ignore_errors=True)


def main():
    tap = Tap()
    with Site({"public_url": "http://pki.example.com"}) as site:
        site.start(postfix=False)
        ca = Ca(site)
        tap.case("defaults are checked, and what leaves the rules is said", ca.settings)
        tap.case("root and intermediate in one step", ca.create)
        tap.case("what is issued is within the rules", ca.profiles)
        tap.case("what is missing is said", ca.refusals)
        tap.case("revoked, on hold, released", ca.revocation)
        tap.case("a list in parts", ca.parts)
        tap.case("extensions of a site's own", ca.extensions)
        tap.case("files and scripts to hand out", ca.hand_out)
        tap.case("certificates by mail", ca.by_mail)
        tap.case("several CAs below one root, and one revoked", ca.several)
        tap.case("renewed by hand: the same data, another key", ca.renewal)
        tap.case("with a distribution point, or without", ca.points)
        tap.case("below somebody else's root", ca.external)
        if shutil.which("gpgsm"):
            tap.case("gpgsm takes them", ca.gpgsm)
        else:
            tap.skip("gpgsm takes them", "there is no gpgsm")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
