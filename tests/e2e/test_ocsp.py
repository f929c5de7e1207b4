#!/usr/bin/env python3
"""OCSP: real responders behind daemon and filter; responders that fail in every way; mail that never waits."""
import http.server
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import INSIDE, PARTNER, Process, Site, Tap, free_port, in_time, require, wait_until  # noqa: E402
from peers import check  # noqa: E402

ALICE = f"alice@{INSIDE}"
SLOW = 200.0  # longer than a question may take
USAGE = "keyUsage=critical,digitalSignature,keyEncipherment"


class Authority:
    """A CA made with openssl, its index, and responders that speak for it."""

    def __init__(self, folder, name):
        self.folder, self.name = os.path.join(folder, name), name
        os.makedirs(self.folder)
        self.key, self.cert, self.index = self.path("ca.key"), self.path("ca.pem"), self.path("index")
        self.processes, self.rows = [], {}
        check(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.cert,
               "-days", "300", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign"])

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, name, url=None, extensions=None, usage="emailProtection", address=None):
        """Path of a new certificate; unknown to the responders until set() is called."""
        key, cert, request, ext = (self.path(name + end) for end in (".key", ".pem", ".csr", ".ext"))
        lines = [extensions or USAGE]
        if usage:
            lines.append(f"extendedKeyUsage={usage}")
        if address:
            lines.append(f"subjectAltName=email:{address}")
        if url:
            lines.append(f"authorityInfoAccess=OCSP;URI:{url}")
        with open(ext, "w") as f:
            f.write("\n".join(lines) + "\n")
        check(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}"])
        check(["openssl", "x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial",
               "-days", "200", "-extfile", ext, "-out", cert])
        return cert

    def set(self, name, status):
        """V, or R with a reason."""
        serial = check(["openssl", "x509", "-in", self.path(name + ".pem"), "-noout", "-serial"]).decode().strip().split("=")[1]
        kind, _, reason = status.partition(",")
        gone = f"260101000000Z,{reason}" if kind == "R" else ""
        self.rows[serial] = f"{kind}\t350101000000Z\t{gone}\t{serial}\tunknown\t/CN={name}\n"
        with open(self.index + ".new", "w") as f:
            f.writelines(self.rows.values())
        with open(self.index + ".attr", "w") as f:
            f.write("unique_subject = no\n")
        os.rename(self.index + ".new", self.index)

    def argv(self, signer=None, key=None):
        return ["openssl", "ocsp", "-index", self.index, "-CA", self.cert, "-rsigner", signer or self.cert,
                "-rkey", key or self.key, "-rmd", "sha256", "-ndays", "1"]

    def start(self, port, signer=None, key=None):
        """A real responder with the index of now. It hangs when somebody connects and says nothing: its log tells
        when it listens."""
        process = Process("openssl ocsp", self.argv(signer, key) + ["-port", str(port)], self.path(f"responder-{port}.log"))
        open(process.log, "w").close()
        process.start()
        self.processes.append(process)
        wait_until("the responder listens", lambda: "waiting for" in process.output())
        return process

    def respond(self, signer=None, key=None):
        port = free_port()
        self.start(port, signer, key)
        return f"http://127.0.0.1:{port}/"

    def answer(self, request, signer=None, key=None, *args):
        """DER of what a responder would say."""
        question, answer = self.path("q.der"), self.path("a.der")
        with open(question, "wb") as f:
            f.write(request)
        check(self.argv(signer, key) + ["-reqin", question, "-respout", answer, *args])
        with open(answer, "rb") as f:
            return f.read()

    def stop(self):
        for process in self.processes:
            process.stop()


def element(data, at):
    """(tag, start of content, end) of the DER element that begins there."""
    length, start = data[at + 1], at + 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[at + 2:start], "big")
    return data[at], start, start + length


def redated(authority, answer, year):
    """The same answer with all its times in another year, signed again (RSA: of the same length)."""
    data = bytearray(answer)
    basic = data.index(bytes.fromhex("06092b0601050507300101")) + 11
    _, octets, _ = element(data, basic)
    _, begin, _ = element(data, octets)
    _, _, end = element(data, begin)
    at = begin
    while (at := data.find(b"\x18\x0f20", at, end)) >= 0:
        data[at + 2:at + 6] = year.encode()
        at += 17
    with open(authority.path("tbs"), "wb") as f:
        f.write(data[begin:end])
    signature = check(["openssl", "dgst", "-sha256", "-sign", authority.key, authority.path("tbs")])
    _, _, algorithm = element(data, end)
    _, start, stop = element(data, algorithm)
    require(stop - start - 1 == len(signature), "the signature has another length")
    data[start + 1:stop] = signature
    return bytes(data)


class Front(http.server.ThreadingHTTPServer):
    """Answers by path; what it does is a function of the request's body. Counts the questions."""

    daemon_threads = True

    def __init__(self, address="127.0.0.1"):
        self.acts, self.asked = {}, {}
        super().__init__((address, 0), FrontHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, name, act):
        self.acts["/" + name] = act
        host, port = self.server_address[:2]
        return f"http://{host}:{port}/{name}"

    def count(self, name):
        return self.asked.get("/" + name, 0)


class FrontHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.asked[self.path] = self.server.asked.get(self.path, 0) + 1
        if self.headers.get("Content-Type") != "application/ocsp-request":
            return self.say(415, b"")
        self.server.acts[self.path](self, body)

    def do_GET(self):
        self.server.asked[self.path] = self.server.asked.get(self.path, 0) + 1
        self.say(200, b"got")

    def say(self, code, body, **headers):
        self.send_response(code)
        self.send_header("Content-Type", "application/ocsp-response")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def log_message(self, *args):
        pass


class Gateway:
    """A site with the CA's root trusted, and its certificates imported as they are made."""

    def __init__(self, site, authority):
        self.site, self.authority = site, authority
        site.cli("root", "import", authority.cert)

    def certificate(self, name, url, address=None, known=True):
        path = self.authority.issue(name, url, address=address)
        if known:
            self.authority.set(name, "V")
        self.site.cli("cert", "import", path)
        return self.thumbprint(name)

    def thumbprint(self, name):
        der = check(["openssl", "x509", "-in", self.authority.path(name + ".pem"), "-outform", "DER"])
        return check(["openssl", "dgst", "-sha512", "-r"], data=der).decode().split()[0]

    def ask(self, thumbprint):
        import json
        done = self.site.cli("cert", "ocsp", thumbprint, "--json", check=False)
        require(done.returncode in (0, 1), f"{done.returncode} {done.stderr}")
        answer = json.loads(done.stdout)
        require((done.returncode == 0) == (answer["answered"] and answer["status"] == "good"), done.stdout)
        return answer

    def shown(self, thumbprint):
        return self.site.json("cert", "show", thumbprint)["certificates"][0]


# -- what responders do ---------------------------------------------------------------------


def garbage(handler, body):
    handler.say(200, os.urandom(300))


def empty(handler, body):
    handler.say(200, b"")


def huge(handler, body):
    handler.say(200, b"\x30\x83\x20\x00\x00" + b"\0" * 0x200000)


def slow(handler, body):
    time.sleep(SLOW)
    handler.say(200, b"")


def dribble(handler, body):
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    try:
        for _ in range(int(SLOW)):
            handler.wfile.write(b"0")
            handler.wfile.flush()
            time.sleep(1)
    except OSError:
        pass


def cut_short(handler, body):
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b"\x30\x82")


def html(handler, body):
    handler.say(200, b"<html>SECRET-BANNER please log in</html>", Content_Type="text/html")


def failing_ways(front, private, authority, stranger):
    """(name, URL, part of the error)"""
    other = authority.issue("other")
    authority.set("other", "V")
    good = lambda handler, body: handler.say(200, authority.answer(body))

    def other_serial(handler, body):
        check(["openssl", "ocsp", "-issuer", authority.cert, "-cert", other, "-no_nonce", "-reqout", authority.path("o.der")])
        with open(authority.path("o.der"), "rb") as f:
            handler.say(200, authority.answer(f.read()))

    def with_signer(name, *args):
        return lambda handler, body: handler.say(200, authority.answer(
            body, authority.path(name + ".pem"), authority.path(name + ".key"), *args))

    def redirect(url):
        return lambda handler, body: handler.say(302, b"", Location=url)

    authority.issue("unauthorised", usage="emailProtection")
    authority.issue("unchecked", usage="OCSPSigning")
    return [
        ("down", f"http://127.0.0.1:{free_port()}/", ""),
        ("slow", front.url("slow", slow), ""),
        ("dribbling", front.url("dribbling", dribble), ""),
        ("cut-short", front.url("cut", cut_short), ""),
        ("garbage", front.url("garbage", garbage), "not an OCSP answer"),
        ("empty", front.url("empty", empty), ""),
        ("huge", front.url("huge", huge), "larger than"),
        ("a-web-page", front.url("html", html), ""),
        ("not-found", front.url("404", lambda h, b: h.say(404, b"SECRET-BANNER")), "404"),
        ("server-error", front.url("500", lambda h, b: h.say(500, b"SECRET-BANNER")), "500"),
        ("try-later", front.url("later", lambda h, b: h.say(200, bytes.fromhex("30030a0103"))), "try later"),
        ("unauthorized", front.url("unauthorized", lambda h, b: h.say(200, bytes.fromhex("30030a0106"))), "not the one to ask"),
        ("expired-answer", front.url("expired", lambda h, b: h.say(200, redated(authority, authority.answer(b), "2020"))),
         "the OCSP answer expired on 2020"),
        ("future-answer", front.url("future", lambda h, b: h.say(200, redated(authority, authority.answer(b), "2080"))),
         "is of the future"),
        ("another-serial", front.url("serial", other_serial), "about another certificate"),
        ("wrong-signer", stranger_url(authority, stranger), "was not certified by"),
        ("unauthorised-responder", authority.respond(authority.path("unauthorised.pem"), authority.path("unauthorised.key")),
         "is not for OCSP"),
        ("responder-not-sent", front.url("notsent", with_signer("unauthorised", "-resp_no_certs")), "nobody who may speak"),
        ("unchecked-responder", front.url("unchecked", with_signer("unchecked")), "its responder may be revoked itself"),
        ("redirect-to-private", front.url("private", redirect(private.url("target", good))), ""),
        ("redirect-to-metadata", front.url("metadata", redirect("http://169.254.169.254/latest/")), ""),
        ("redirect-for-ever", None, ""),
        ("redirect-to-ldap", front.url("ldap", redirect("ldap://127.0.0.1/")), ""),
        ("smtp-port", "http://127.0.0.2:25/", ""),
    ]


def stranger_url(authority, stranger):
    return authority.respond(stranger.cert, stranger.key)


def test_failing(tap, site, gateway, front, private, stranger):
    for name, url, why in failing_ways(front, private, gateway.authority, stranger):
        if url is None:
            url = front.url("loop", lambda h, b: h.say(302, b"", Location=f"http://127.0.0.1:{front.server_address[1]}/loop"))

        def one():
            cert = gateway.certificate(name, url)
            start = time.monotonic()
            answer = gateway.ask(cert)
            took = time.monotonic() - start
            require(not answer["answered"] and answer["status"] == "no answer yet", answer)
            require(why in answer["error"], answer["error"])
            require("SECRET" not in answer["error"] and "\n" not in answer["error"], answer["error"])
            require(took < SLOW / 2, f"took {took:.1f} s")
            require(any(answer["error"] in text for text in gateway.shown(cert)["ocsp"]), gateway.shown(cert)["ocsp"])
            return answer["error"]
        tap.case(f"no answer: {name}", one)
    tap.case("nothing private was reached", lambda: require(private.count("target") == 0, private.asked))


# -- real responders ------------------------------------------------------------------------


def test_answers(tap, site, gateway):
    authority = gateway.authority
    certs, url = {}, None
    authority.issue("responder", usage="OCSPSigning", extensions=USAGE + "\nnoCheck=ignored")
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    for name in ("good", "revoked", "held", "unknown"):
        certs[name] = gateway.certificate(name, url, known=name != "unknown")
    authority.set("revoked", "R,keyCompromise")
    authority.set("held", "R,certificateHold")

    def with_responder(what, *signer):
        process = authority.start(port, *signer)
        try:
            what()
        finally:
            process.stop()

    def said(name, status, reason=None):
        answer = gateway.ask(certs[name])
        require(answer["answered"] and answer["status"] == status and answer["responder"] == url, answer)
        require(answer.get("reason") == reason, answer)

    def by_the_issuer():
        said("good", "good")
        said("revoked", "revoked", "keyCompromise")
        said("held", "revoked", "certificateHold")
        said("unknown", "unknown")

    def afterwards():
        for name in ("revoked", "held"):
            authority.set(name, "V")

        def ask():
            time.sleep(1.1)  # a later answer, by its seconds
            answer = gateway.ask(certs["revoked"])
            require(answer["status"] == "revoked", answer)
            said("held", "good")
        with_responder(ask)
        for purpose in ("to_encrypt", "to_sign", "to_verify"):
            text = gateway.shown(certs["revoked"])[purpose]
            require(text.startswith("revoked") and f"OCSP responder '{url}'" in text, text)

    tap.case("the issuer answers", lambda: with_responder(by_the_issuer))
    tap.case("a responder of the issuer answers", lambda: with_responder(
        lambda: said("good", "good"), authority.path("responder.pem"), authority.path("responder.key")))
    tap.case("revoked stays revoked, a hold is lifted", afterwards)


# -- mail -----------------------------------------------------------------------------------


def send(site, recipient):
    start = time.monotonic()
    code, text = site.send(ALICE, [recipient], f"From: {ALICE}\nTo: {recipient}\nSubject: hello\n\nsecret text\n", login=ALICE)
    return code, text, time.monotonic() - start


def encrypted(site, recipient):
    code, text, seconds = send(site, recipient)
    require(code == 250, f"{code} {text}")
    got = site.wait_mail(recipient)
    require(b"secret text" not in got and b"enveloped-data" in got, "not encrypted")
    return seconds


def valid_row(gateway, thumbprint, status):
    return any(text.startswith(status) for text in gateway.shown(thumbprint).get("ocsp", []))


def test_mail(tap, site, gateway, front):
    authority = gateway.authority
    authority.set("good", "V")
    site.prefer(PARTNER, encrypt_mode="force")

    def never_waits():
        site.prefer(None, ocsp_encrypt="prefer")
        cert = gateway.certificate("patient", front.url("patient", slow), f"patient@{PARTNER}")
        for _ in range(3):
            seconds = encrypted(site, f"patient@{PARTNER}")
            in_time(seconds, 5, "mail")
        wait_until("the question arrives", lambda: front.count("patient") == 1)
        encrypted(site, f"patient@{PARTNER}")
        wait_until("the failure is kept", lambda: "ocsp" in gateway.shown(cert))
        require(front.count("patient") == 1, "asked more than once")

    def revoked_in_the_background():
        url = front.url("gone", lambda h, b: h.say(200, authority.answer(b)))
        cert = gateway.certificate("gone", url, f"gone@{PARTNER}")
        authority.set("gone", "R,superseded")
        encrypted(site, f"gone@{PARTNER}")
        wait_until("the answer is kept", lambda: valid_row(gateway, cert, "revoked"))
        wait_until("the filter hears of it", lambda: send(site, f"gone@{PARTNER}")[0] == 550, step=0.2)
        told = site.cli("explain", "--from", ALICE, "--to", f"gone@{PARTNER}").stdout
        require("says the OCSP responder" in told, told)

    def required_waits_with_451():
        site.prefer(PARTNER, revocation_encrypt="required")
        held = threading.Event()

        def answer(handler, body):
            held.wait(SLOW)
            handler.say(200, authority.answer(body))
        cert = gateway.certificate("strict", front.url("strict", answer), f"strict@{PARTNER}")
        code, text, seconds = send(site, f"strict@{PARTNER}")
        require(code == 451, f"{code} {text} after {seconds:.1f} s")
        in_time(seconds, 5, "451")
        held.set()
        wait_until("the answer is kept", lambda: valid_row(gateway, cert, "good"))
        wait_until("mail flows", lambda: send(site, f"strict@{PARTNER}")[0] == 250, step=0.2)
        shown = gateway.shown(cert)
        require(any("OCSP responder" in text for text in shown.get("revocation", [])), shown)

    def required_and_unknown():
        url = front.url("nobody", lambda h, b: h.say(200, authority.answer(b)))
        cert = gateway.certificate("nobody", url, f"nobody@{PARTNER}", known=False)
        send(site, f"nobody@{PARTNER}")
        wait_until("the answer is kept", lambda: valid_row(gateway, cert, "unknown"))
        wait_until("refused", lambda: send(site, f"nobody@{PARTNER}")[0] == 550, step=0.2)

    def off_asks_nobody():
        site.cli("domain", "unset", PARTNER, "revocation_encrypt")
        site.prefer(None, ocsp_encrypt="off")
        gateway.certificate("quiet", front.url("quiet", garbage), f"quiet@{PARTNER}")
        encrypted(site, f"quiet@{PARTNER}")
        time.sleep(3)
        require(front.count("quiet") == 0, "asked")

    def when_no_crl():
        site.prefer(None, ocsp_encrypt="when-no-crl")
        crl = authority.path("ca.crl")
        with open(authority.path("crl.cnf"), "w") as f:
            f.write(f"[ca]\ndefault_ca=x\n[x]\ndatabase={authority.index}\ndefault_md=sha256\ncrlnumber={authority.path('number')}\n")
        with open(authority.path("number"), "w") as f:
            f.write("01\n")
        check(["openssl", "ca", "-gencrl", "-config", authority.path("crl.cnf"), "-cert", authority.cert, "-keyfile", authority.key,
               "-crldays", "30", "-out", crl])
        site.cli("crl", "import", crl)
        gateway.certificate("listed", front.url("listed", garbage), f"listed@{PARTNER}")
        encrypted(site, f"listed@{PARTNER}")
        time.sleep(3)
        require(front.count("listed") == 0, "asked although a list answers")
        site.prefer(None, ocsp_encrypt="prefer")
        encrypted(site, f"listed@{PARTNER}")
        wait_until("asked beside the list", lambda: front.count("listed") == 1)

    def leads_nowhere():
        stranger = Authority(authority.folder, "Unknown Root")
        path = stranger.issue("lost", front.url("lost", garbage), address=f"lost@{PARTNER}")
        site.cli("cert", "import", path)
        code, _, _ = send(site, f"lost@{PARTNER}")
        require(code == 550, code)
        time.sleep(2)
        require(front.count("lost") == 0, "asked about one that leads to no root")

    for name, what in (("a slow responder delays no mail, and is asked once", never_waits),
                       ("revoked by an answer that came meanwhile", revoked_in_the_background),
                       ("required: 451 until there is an answer", required_waits_with_451),
                       ("required: unknown is refused", required_and_unknown),
                       ("off asks nobody", off_asks_nobody),
                       ("when-no-crl and prefer beside a list", when_no_crl),
                       ("a certificate that leads nowhere names nobody", leads_nowhere)):
        tap.case(name, what)


def main():
    tap = Tap()
    # The one that fails in every way has a rest then; mail has a responder of its own.
    front, private, mail = Front(), Front("127.0.0.2"), Front()
    with Site({"fetch_allow": "127.0.0.1:*", "ocsp_per_minute": "1000"}) as site:
        authority, stranger = Authority(site.folder, "OCSP Root"), Authority(site.folder, "Stranger")
        try:
            site.start()
            site.postfix.add_login(ALICE)
            gateway = Gateway(site, authority)
            test_answers(tap, site, gateway)
            test_failing(tap, site, gateway, front, private, stranger)
            test_mail(tap, site, gateway, mail)
        finally:
            authority.stop()
            front.shutdown()
            private.shutdown()
            mail.shutdown()
    tap.done()


if __name__ == "__main__":
    main()
