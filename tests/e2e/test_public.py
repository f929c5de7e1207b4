#!/usr/bin/env python3
"""The public listener: CRLs, CA certificates and OCSP answers, as other programs see them."""
import base64
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import directories  # noqa: E402
from harness import INSIDE, Site, Tap, free_port, require, wait_until  # noqa: E402

OCSP_REQUEST, OCSP_RESPONSE = "application/ocsp-request", "application/ocsp-response"
FULL = os.environ.get("PS_FULL") == "yes"


class Web:
    """The listener as an HTTP client sees it; one connection, kept."""

    def __init__(self, port):
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def ask(self, path, method="GET", body=None, **headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
        except (ConnectionError, http.client.RemoteDisconnected):  # it was idle for too long
            self.connection.close()
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
        body = answer.read()
        if answer.will_close:
            self.connection.close()
        return answer.status, answer.headers, body

    def get(self, path, **headers):
        return self.ask(path, **headers)


def run(*argv, check=True, stdin=None):
    done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    if check and done.returncode != 0:
        raise AssertionError(f"{argv}: {done.stdout.decode(errors='replace')}")
    return done.stdout.decode(errors="replace")


class Case:
    """What the tests below share."""

    def __init__(self, site, port):
        self.site, self.port, self.web = site, port, Web(port)
        self.url = f"http://127.0.0.1:{port}"
        self.folder = tempfile.mkdtemp(dir=site.folder)
        _, _, page = self.web.get("/")
        ids = re.findall(rb'ca/([0-9a-f]+)\.cer', page)
        self.ca_id, self.root_id = ids[0].decode(), ids[1].decode()
        for name, key_id in (("ca", self.ca_id), ("root", self.root_id)):
            status, _, pem = self.web.get(f"/ca/{key_id}.pem")
            require(status == 200, f"{name}: {status}")
            self.write(name + ".pem", pem)
        self.leaf = self.certificate("alice@" + INSIDE)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def certificate(self, address):
        """Path of the certificate of this address, which is issued."""
        self.site.issue(address)
        path = self.path(address + ".pem")
        self.site.cli("cert", "export", "--output", path, self.serials(address)[0]["thumbprint"])
        return path

    def serials(self, address):
        return self.site.json("cert", "list", "--email", address)["items"]

    def request(self, leaf, *options, issuer="ca.pem"):
        path = self.path("request.der")
        run("openssl", "ocsp", "-issuer", self.path(issuer), "-cert", leaf, "-reqout", path, *options)
        with open(path, "rb") as f:
            return f.read()

    def status(self, leaf, *options, issuer="ca.pem"):
        """What openssl makes of the answer by POST, verified up to the root."""
        text = run("openssl", "ocsp", *options, "-issuer", self.path(issuer), "-cert", leaf, "-url",
                   f"{self.url}/ocsp/{self.ca_id}", "-CAfile", self.path("root.pem"), "-verify_other", self.path("ca.pem"), "-no_nonce",
                   check=False)
        require("Response verify OK" in text or "unauthorized" in text, text)
        return text


def page(case):
    status, headers, body = case.web.get("/")
    require(status == 200 and headers["Content-Type"].startswith("text/html"), f"{status} {headers}")
    require(b"<script" not in body and b"Set-Cookie" not in bytes(str(headers), "ascii"), "a script or a cookie")
    sha256 = run("openssl", "x509", "-in", case.path("root.pem"), "-noout", "-fingerprint", "-sha256").split("=")[1].strip()
    require(sha256.encode() in body, f"no fingerprint {sha256}")
    for link in re.findall(rb'href="([^"]+)"', body):
        status, _, _ = case.web.get("/" + link.decode())
        require(status == 200, f"{link}: {status}")
    require("default-src 'none'" in headers["Content-Security-Policy"], "no policy")


def certificates(case):
    status, headers, der = case.web.get(f"/ca/{case.ca_id}.cer")
    require(status == 200 and headers["Content-Type"] == "application/pkix-cert", f"{status} {headers}")
    run("openssl", "x509", "-inform", "DER", "-noout", stdin=der)
    status, headers, p7c = case.web.get(f"/ca/{case.ca_id}.p7c")
    require(status == 200 and headers["Content-Type"] == "application/pkcs7-mime", f"{status} {headers}")
    text = run("openssl", "pkcs7", "-inform", "DER", "-print_certs", "-noout", stdin=p7c)
    require(text.count("subject=") == 2, text)


def lists(case):
    for key_id, issuer in ((case.ca_id, "ca.pem"), (case.root_id, "root.pem")):
        status, headers, der = case.web.get(f"/crl/{key_id}.crl")
        require(status == 200 and headers["Content-Type"] == "application/pkix-crl", f"{status} {headers}")
        text = run("openssl", "crl", "-inform", "DER", "-noout", "-nextupdate", "-CAfile", case.path(issuer), stdin=der)
        require("verify OK" in text, text)
    require(case.web.get(f"/crl/{case.ca_id}-7.crl")[0] == 404, "a part that is not there")


def conditional(case):
    for path in (f"/crl/{case.ca_id}.crl", f"/ca/{case.ca_id}.cer"):
        status, headers, body = case.web.get(path)
        etag, modified = headers["ETag"], headers["Last-Modified"]
        require(int(headers["Content-Length"]) == len(body), "length")
        status, headers, body = case.web.get(path, If_None_Match=etag)
        require(status == 304 and body == b"" and headers["ETag"] == etag, f"{status} {headers}")
        require(case.web.get(path, If_None_Match='"other", ' + etag)[0] == 304, "a list of tags")
        require(case.web.get(path, If_None_Match='"other"')[0] == 200, "another tag")
        require(case.web.get(path, If_Modified_Since=modified)[0] == 304, "the same date")
        require(case.web.get(path, If_Modified_Since="Sun, 06 Nov 1994 08:49:37 GMT")[0] == 200, "an old date")
        require(case.web.get(path, If_Modified_Since=modified, If_None_Match='"other"')[0] == 200, "the tag comes first")
        status, headers, body = case.web.ask(path, "HEAD")
        require(status == 200 and headers["ETag"] == etag and body == b"", "HEAD")
    status, headers, _ = case.web.get(f"/crl/{case.ca_id}.crl")
    require("max-age=" in headers["Cache-Control"] and headers["Expires"].endswith("GMT"), str(headers))


def refusals(case):
    for path, method, headers, expected in (
            ("/v1/status", "GET", {}, 404), ("/nothing", "GET", {}, 404), ("/ca/", "GET", {}, 404),
            ("/ca/../../etc/passwd", "GET", {}, 404), (f"/ca/{case.ca_id}.key", "GET", {}, 404),
            ("/crl/%00.crl", "GET", {}, 404), ("/", "POST", {}, 405), (f"/ca/{case.ca_id}.cer", "PUT", {}, 405),
            ("/ocsp", "GET", {}, 405), ("/ocsp", "POST", {"Content_Type": "text/plain"}, 415),
            ("/", "DELETE", {}, 405), ("/", "BREW", {}, 405)):
        web = Web(case.port)
        status, got, _ = web.ask(path, method, b"x" if method == "POST" else None, **headers)
        require(status == expected, f"{method} {path}: {status}")
        require(status != 405 or "Allow" in got, f"{method} {path}: no Allow")
        web.connection.close()
    web = Web(case.port)
    status, _, _ = web.ask("/ocsp", "POST", b"x" * 20000, Content_Type=OCSP_REQUEST)
    require(status == 413, f"a large request: {status}")
    web.connection.close()


def limits(case):
    """Who sends nothing, or slowly, is cut off; the others are served meanwhile."""
    idle = [socket.create_connection(("127.0.0.1", case.port)) for _ in range(20)]
    drip = socket.create_connection(("127.0.0.1", case.port))
    drip.sendall(b"GET / HT")
    require(case.web.get("/")[0] == 200, "served beside those who wait")
    if FULL:
        start = time.monotonic()
        while time.monotonic() < start + 40:
            try:
                drip.sendall(b"x")
                time.sleep(0.5)
            except OSError:
                break
        require(time.monotonic() < start + 30, "a request that never ends")
    for one in idle + [drip]:
        one.close()


def ocsp_forms(case):
    """The same answer by POST and GET, however the request comes."""
    request = case.request(case.leaf, "-no_nonce")
    status, headers, answer = case.web.ask("/ocsp", "POST", request, Content_Type=OCSP_REQUEST)
    require(status == 200 and headers["Content-Type"] == OCSP_RESPONSE, f"{status} {headers}")
    path = urllib.parse.quote(base64.b64encode(request).decode(), safe="")
    plain = base64.b64encode(request).decode()
    for way in (f"/ocsp/{case.ca_id}/{path}", f"/ocsp/{path}", f"/ocsp/{plain}", f"/ocsp/{case.ca_id}/{plain}"):
        status, got, other = case.web.get(way)
        require(status == 200 and other == answer, f"{way}: {status}")
        require(got["ETag"] == headers["ETag"], "another tag")
    require(int(re.search(r"max-age=(\d+)", got["Cache-Control"])[1]) > 3600, str(got))
    require(case.web.get(way, If_None_Match=got["ETag"])[0] == 304, "not conditional")
    with_nonce = case.request(case.leaf)
    _, _, other = case.web.ask(f"/ocsp/{case.ca_id}", "POST", with_nonce, Content_Type=OCSP_REQUEST + "; x=y")
    require(other == answer, "a nonce is passed over")
    text = run("openssl", "ocsp", "-respin", case.write("answer.der", answer), "-text", "-noverify", check=False)
    require("Responder Id: " in text and "OCSP Nonce" not in text and "Next Update" in text and "noCheck" in text or
            "OCSP No Check" in text, text)


def ocsp_answers(case):
    good = case.status(case.leaf)
    require(": good" in good, good)
    require(": good" in case.status(case.leaf, "-sha256"), "SHA-256")
    require(": good" in case.status(case.path("ca.pem"), issuer="root.pem"), "the CA itself")
    text = run("openssl", "ocsp", "-issuer", case.path("ca.pem"), "-serial", "0x1234567890", "-url", case.url + "/ocsp",
               "-CAfile", case.path("root.pem"), check=False)
    require("unauthorized" in text, text)
    text = run("openssl", "ocsp", "-issuer", case.path("ca.pem"), "-cert", case.leaf, "-serial", "0x1234567890", "-url",
               case.url + "/ocsp", "-CAfile", case.path("root.pem"), "-verify_other", case.path("ca.pem"), check=False)
    require(": good" in text and "0x1234567890: unknown" in text, text)
    for bad in (b"", b"\x30\x00", b"x" * 100, case.request(case.leaf) + b"\0"):
        status, _, answer = case.web.ask("/ocsp", "POST", bad, Content_Type=OCSP_REQUEST)
        require(status == 200 and answer == b"\x30\x03\x0a\x01\x01", f"{bad[:10]}: {status} {answer!r}")
    require(case.web.get("/ocsp/Mxyz")[2] == b"\x30\x03\x0a\x01\x01", "no base64 of a request")


def ocsp_revoked(case):
    """A revocation is told at once, and a hold that is lifted, too."""
    for reason, says in (("keyCompromise", "keyCompromise"), ("certificateHold", "certificateHold"), (None, "")):
        leaf = case.certificate(f"r{reason}@{INSIDE}".lower())
        require(": good" in case.status(leaf), "good first")
        serial = run("openssl", "x509", "-in", leaf, "-noout", "-serial").split("=")[1].strip()
        case.site.cli("ca", "revoke", serial, *(["--reason", reason] if reason else []))
        text = wait_until("the revocation is told", lambda: re.search(r": revoked[^$]*", case.status(leaf)))[0]
        require(says in text and ("Reason" in text) == bool(says), text)


def hurry(case, kind):
    """A duty that waits for its time has its turn now. It may have begun between the two commands."""
    for job in case.site.json("job", "list", "--kind", kind, "--all")["items"][:1]:
        if job["state"] == "due":
            case.site.cli("job", "retry", str(job["id"]), check=False)


def ocsp_ahead(case):
    """Every certificate has its answer before anybody asks, also what it is after a revocation."""
    leaf = case.certificate("ahead@" + INSIDE)
    doctor = lambda: hurry(case, "ocsp-presign") or case.site.cli("doctor", "--no-mta", check=False).stdout
    ready = lambda: re.search(r"\b(\d+) of \1 certificates have an OCSP answer ready", doctor())
    wait_until("all have an answer", ready, step=0.5)
    require(": good" in case.status(leaf), "good")
    serial = run("openssl", "x509", "-in", leaf, "-noout", "-serial").split("=")[1].strip()
    case.site.cli("ca", "revoke", serial)
    wait_until("all have an answer again", ready, step=0.5)
    require(": revoked" in case.status(leaf), "revoked")


def gnutls(case):
    if not shutil.which("ocsptool"):
        return
    trust = case.write("trust.pem", b"".join(open(case.path(name), "rb").read() for name in ("ca.pem", "root.pem")))
    text = run("ocsptool", f"--ask={case.url}/ocsp", "--load-cert", case.leaf, "--load-issuer", case.path("ca.pem"),
               "--load-trust", trust, check=False)
    require("Certificate Status: good" in text and "Verifying OCSP Response: Success" in text, text.split("-----END")[-1])


def folder(case):
    """publish_dir holds what the listener gives, and follows a new list."""
    path = lambda name: os.path.join(case.publish_dir, name)

    def same(name):
        try:
            with open(path(name), "rb") as f:
                return f.read() == case.web.get("/" + name)[2]
        except FileNotFoundError:
            return False

    for name in (f"crl/{case.ca_id}.crl", f"crl/{case.root_id}.crl", f"ca/{case.ca_id}.cer", f"ca/{case.root_id}.p7c"):
        wait_until(name, lambda: same(name))
        require(os.stat(path(name)).st_mode & 0o777 == 0o644, f"{name}: mode")
    with open(path(f"crl/{case.ca_id}.crl"), "rb") as f:
        before = f.read()
    case.site.cli("ca", "crl")
    wait_until("the new list", lambda: same(f"crl/{case.ca_id}.crl") and open(path(f"crl/{case.ca_id}.crl"), "rb").read() !=
               before)
    wait_until("nothing is left behind", lambda: not [n for n in os.listdir(path("crl")) if n.startswith(".")])


def search(server, base, *attributes):
    """{attribute: [values]} of one entry."""
    text = run("ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", f"ldap://127.0.0.1:{server.plain}", "-b", base, "-s",
               "base", *attributes, check=False)
    found = {}
    for name, value in re.findall(r"^([A-Za-z;]+):: (.*)$", text, re.M):
        found.setdefault(name, []).append(base64.b64decode(value))
    return found


def directory(case):
    """A real slapd gets the CA, its lists and users' certificates; and they go when they are revoked."""
    tls = directories.Tls(case.folder)
    tls.issue("loopback", "IP:127.0.0.1")
    server = directories.Slapd(case.folder, tls)
    entry, root = "cn=Test Issuing CA,o=partner", "cn=Test Root,o=partner"
    password = case.write("password", b"admin\n")
    publish = ["ca", "publish", "--url", f"ldaps://127.0.0.1:{server.tls_port}", "--ca-file", tls.ca, "--bind-dn",
               "cn=admin,o=partner", "--password-file", password, "--entry", entry, "--root-entry", root, "--user",
               "@" + INSIDE, "--users-base", "o=partner"]
    again = lambda: hurry(case, "publish")
    state = lambda: {row["object"]: row for row in case.site.json("ca", "published")["items"]
                     if row["target"].startswith("ldap:")}
    case.site.cli(*publish)
    try:
        wait_until("a failure is seen", lambda: again() is None and any(row["state"] == "failing" for row in state().values()))
        doctor = case.site.cli("doctor", "--no-mta", check=False).stdout
        require("was not written" in doctor and "leads here" in doctor, doctor)
        server.start()
        server.person("alice@" + INSIDE)
        case.site.cli(*publish)

        def written():
            again()
            found = search(server, entry, "cACertificate", "certificateRevocationList", "authorityRevocationList")
            return found if len(found) == 3 else None

        found = wait_until("the entry of the CA", written, step=1)
        require(found["cACertificate;binary"] == [case.web.get(f"/ca/{case.ca_id}.cer")[2]], "another certificate")
        require(found["certificateRevocationList;binary"] == [case.web.get(f"/crl/{case.ca_id}.crl")[2]], "another list")
        found = search(server, root, "cACertificate", "authorityRevocationList")
        require(found["authorityRevocationList;binary"] == [case.web.get(f"/crl/{case.root_id}.crl")[2]], "the root's list")
        with open(case.leaf, "rb") as f:
            der = run_bytes("openssl", "x509", "-outform", "DER", stdin=f.read())
        person = "cn=alice,o=partner"
        wait_until("her certificate", lambda: again() is None and
                   search(server, person, "userCertificate").get("userCertificate;binary") == [der], step=1)
        serial = run("openssl", "x509", "-in", case.leaf, "-noout", "-serial").split("=")[1].strip()
        case.site.cli("ca", "revoke", serial, "--reason", "superseded")
        wait_until("it is taken away", lambda: not search(server, person, "userCertificate"), step=1)
        require(all(row["state"] != "failing" for name, row in state().items() if name in ("ca", "root")), str(state()))
    finally:
        server.stop()
        case.site.cli("ca", "unpublish")


def run_bytes(*argv, stdin):
    return subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, timeout=300, check=True).stdout


def main():
    tap = Tap()
    port = free_port()
    publish_dir = tempfile.mkdtemp(prefix="pspublish-")
    settings = {"public_listen": f"127.0.0.1:{port}", "public_url": f"http://127.0.0.1:{port}", "publish_dir": publish_dir,
                "key_pool_busy_max": 101}
    with Site(settings) as site:
        site.start(postfix=False)
        site.make_ca(*([] if FULL else ["--key", "ec:P-256"]))
        case = Case(site, port)
        case.publish_dir = publish_dir
        for name, function in (("the page lists the CAs", page), ("CA certificates", certificates), ("lists", lists),
                               ("conditional requests", conditional), ("refusals", refusals), ("limits", limits),
                               ("OCSP by GET and POST", ocsp_forms), ("OCSP answers", ocsp_answers),
                               ("OCSP of what is revoked", ocsp_revoked), ("OCSP before anybody asks", ocsp_ahead),
                               ("GnuTLS believes them", gnutls), ("a folder", folder)):
            tap.case(name, function, case)
        if directories.missing():
            tap.skip("a directory", directories.missing())
        else:
            tap.case("a directory", directory, case)
    shutil.rmtree(publish_dir, ignore_errors=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
