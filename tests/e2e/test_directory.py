#!/usr/bin/env python3
"""Certificates of recipients from LDAP servers: found, not found, not known; and servers that fail in every way."""
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import directories as ldap  # noqa: E402
from authority import Partner  # noqa: E402
from directories import BASE, FakeServer, Slapd, Tls  # noqa: E402
from harness import INSIDE, OUTSIDER, Process, Site, Tap, can_connect, in_time, program, require, wait_until  # noqa: E402
from peers import check  # noqa: E402

ALICE = f"alice@{INSIDE}"
REAL, FAKE, OTHER = "partner.example", "other.example", "strict.example"
WAIT = 2.0      # directory_wait where nobody answers, and more than an answer takes
PATIENT, SHORT = "25s", "2s"  # directory_wait: where answers come, however busy the machine is, and where none does


class Listed(Partner):
    """Gives certificates as a directory has them."""

    def issue(self, name, address, *args, **how):
        """DER of a new certificate."""
        cert, _ = super().issue(name, address, *args, **how)
        return check(["openssl", "x509", "-in", cert, "-outform", "DER"])

    def expired(self, name, address):
        key, cert, request, conf = (self.path(name + end) for end in (".key", ".pem", ".csr", ".cnf"))
        with open(conf, "w") as f:
            f.write(f"[ca]\ndefault_ca=x\n[x]\ndatabase={self.path('index')}\nserial={self.path('serial')}\nnew_certs_dir={self.folder}\n"
                    f"default_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=email:{address}\n"
                    "extendedKeyUsage=emailProtection\n")
        open(self.path("index"), "w").close()
        with open(self.path("serial"), "w") as f:
            f.write("7777\n")
        check(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}"])
        check(["openssl", "ca", "-batch", "-config", conf, "-in", request, "-cert", self.cert, "-keyfile", self.key, "-startdate",
               "20200101000000Z", "-enddate", "20210101000000Z", "-out", cert, "-notext"])
        return check(["openssl", "x509", "-in", cert, "-outform", "DER"])

    def pkcs7(self, name):
        return check(["openssl", "crl2pkcs7", "-nocrl", "-certfile", self.path(name + ".pem"), "-certfile", self.cert, "-outform", "DER"])


def letter(recipients):
    return f"From: {ALICE}\nTo: {', '.join(recipients)}\nSubject: hello\n\nsecret text\n"


def send(site, *recipients):
    """(code, text, seconds)"""
    start = time.monotonic()
    code, text = site.send(ALICE, list(recipients), letter(recipients), login=ALICE)
    return code, text, time.monotonic() - start


def stored(site, address):
    return site.json("cert", "list", "--email", address)["items"]


def encrypted(site, authority, address):
    name = address.split("@")[0]
    code, text, seconds = send(site, address)
    require(code == 250, f"{code} {text} after {seconds:.1f} s")
    got = site.wait_mail(address)
    require(b"secret text" not in got and b"enveloped-data" in got, "not encrypted")
    require(b"secret text" in authority.opens(name, got), "the recipient cannot read it")
    in_time(seconds, WAIT, f"mail for {address}")


def refused(site, address, *reasons):
    code, text, seconds = send(site, address)
    require(code == 550 and "no valid certificate" in text, f"{code} {text}")
    in_time(seconds, WAIT, f"mail for {address}")


def plain(site, address):
    code, text, _ = send(site, address)
    require(code == 250, f"{code} {text}")
    got = site.wait_mail(address)
    require(b"secret text" in got, "not in plain text")


def deferred(site, *addresses):
    code, text, seconds = send(site, *addresses)
    require(code == 451 and "4.7.5" in text, f"{code} {text} for {addresses}")
    in_time(seconds, WAIT + 1, f"mail for {addresses}")
    return seconds


# -- with a real slapd ------------------------------------------------------------------------------


def real(tap, site, slapd, good, stranger, tls):
    def case(name, function, *args):
        tap.case(name, function, *args)

    slapd.person(f"found@{REAL}", [good.issue("found", f"found@{REAL}")])
    slapd.person(f"try@{REAL}", [good.issue("try", f"try@{REAL}")])
    good.issue("smime", f"smime@{REAL}")
    slapd.person(f"smime@{REAL}", pkcs7=[good.pkcs7("smime")])
    slapd.person(f"wrong@{REAL}", [good.issue("wrong", f"somebody-else@{REAL}")])
    slapd.person(f"expired@{REAL}", [good.expired("expired", f"expired@{REAL}")])
    slapd.person(f"untrusted@{REAL}", [stranger.issue("untrusted", f"untrusted@{REAL}")])
    slapd.person(f"subca@{REAL}", [good.issue(
        "subca", f"subca@{REAL}", "basicConstraints=critical,CA:TRUE;keyUsage=critical,keyEncipherment,keyCertSign")])
    slapd.person(f"empty@{REAL}")
    many = [good.issue("many", f"many@{REAL}")] + [good.issue(f"many{n}", f"many@{REAL}") for n in range(11)]
    slapd.person(f"many@{REAL}", many)

    def found():
        encrypted(site, good, f"found@{REAL}")
        shown = site.cli("cert", "show", stored(site, f"found@{REAL}")[0]["thumbprint"]).stdout
        require("directory" in shown and "real" in shown, f"cert show does not say where it came from: {shown}")
    case("a certificate of the directory is used for the very message that asked", found)
    case("an entry with userSMIMECertificate alone", encrypted, site, good, f"smime@{REAL}")

    def again():
        start = time.monotonic()
        encrypted(site, good, f"found@{REAL}")
        in_time(time.monotonic() - start, WAIT, "the second message")
    case("the second message asks nobody", again)

    case("nobody of that address, force: refused", refused, site, f"nobody@{REAL}")
    case("an entry without certificates, force: refused", refused, site, f"empty@{REAL}")

    def of_another():
        refused(site, f"wrong@{REAL}")
        require(not stored(site, f"somebody-else@{REAL}"), "the certificate for another address is in the store")
    case("a certificate that names another address is not taken", of_another)
    case("an expired certificate is not taken", lambda: (refused(site, f"expired@{REAL}"),
                                                         require(not stored(site, f"expired@{REAL}"), "stored")))
    case("a CA certificate is never a recipient's", lambda: (refused(site, f"subca@{REAL}"),
                                                             require(not stored(site, f"subca@{REAL}"), "stored")))

    def untrusted():
        refused(site, f"untrusted@{REAL}")
        rows = stored(site, f"untrusted@{REAL}")
        require(len(rows) == 1 and rows[0]["verdict"] != "valid", f"{rows}")
    case("what comes from a directory is not trusted for that", untrusted)

    def too_many():
        code, text, _ = send(site, f"many@{REAL}")
        require(code == 250, f"{code} {text}")
        site.wait_mail(f"many@{REAL}")
        require(len(stored(site, f"many@{REAL}")) == 10, f"{len(stored(site, f'many@{REAL}'))} of one address")
    case("at most ten certificates of one address", too_many)

    def opportunistic():
        site.prefer(REAL, encrypt_mode="opportunistic")
        plain(site, f"nobody@{REAL}")
        plain(site, f"surely-not@{REAL}")
        encrypted(site, good, f"try@{REAL}")
        site.prefer(REAL, encrypt_mode="force")
    case("opportunistic: plain only where there is surely none", opportunistic)

    def no_question():
        site.prefer(REAL, encrypt_mode="none")
        slapd.person(f"unasked@{REAL}", [good.issue("unasked", f"unasked@{REAL}")])
        plain(site, f"unasked@{REAL}")
        site.prefer(REAL, encrypt_mode="force")
        require(not stored(site, f"unasked@{REAL}"), "a directory was asked for nothing")
    case("nobody wants encryption: no question", no_question)

    def special():
        address = "star*(x)@" + REAL
        code, text, _ = send(site, address)
        require(code in (550, 553, 501), f"{code} {text}")
        require(not stored(site, f"closed@{REAL}"), "a filter was let through")
    case("an address that is a filter by itself", special)

    def bind():
        slapd.person(f"closed@{REAL}", [good.issue("closed", f"closed@{REAL}")], below=f"ou=closed,{BASE}")
        refused(site, f"closed@{REAL}")
        secret = os.path.join(site.folder, "bind")
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write("not it\n")
        site.cli("directory", "set", "real", "--bind-dn", ldap.BINDER, "--password-file", secret)
        test = site.cli("directory", "test", f"closed@{REAL}", check=False)
        require(test.returncode == 1 and "Invalid credentials" in test.stdout, test.stdout + test.stderr)
        deferred(site, f"closed@{REAL}")
        with open(secret, "w") as f:
            f.write(ldap.PASSWORD + "\n")
        site.cli("directory", "set", "real", "--password-file", secret)
        encrypted(site, good, f"closed@{REAL}")
        for text in (site.cli("directory", "show", "real").stdout, site.cli("directory", "list").stdout,
                     site.cli("audit", "list").stdout, site.daemon.output(), site.filter.output()):
            require(ldap.PASSWORD not in text, "the password is shown")
        site.cli("key", "rotate-master")
        wait_until("the rotation", lambda: any(job["state"] == "done" for job in site.json("job", "list", "--kind", "rewrap")["items"]))
        require("found" in site.cli("directory", "test", f"closed@{REAL}").stdout, "the password does not open after a rotation")
        moved = site.cli("directory", "set", "real", "--url", "ldaps://127.0.0.9", check=False)
        require(moved.returncode != 0 and "give it again" in moved.stderr, "the password follows the URL")
        open_text = site.cli("directory", "set", "real", "--tls", "none", "--password-file", secret, check=False)
        require(open_text.returncode != 0 and "without TLS" in open_text.stderr, open_text.stderr)
        site.cli("directory", "set", "real", "--anonymous")
        require("unset" in site.cli("directory", "show", "real").stdout, "the password stays")
    case("a bind: wrong password, right password, shown nowhere, never sent elsewhere", bind)

    def start_tls():
        site.cli("directory", "set", "real", "--url", f"ldap://127.0.0.1:{slapd.plain}/{BASE}")
        slapd.person(f"starttls@{REAL}", [good.issue("starttls", f"starttls@{REAL}")])
        require("starttls" in site.cli("directory", "show", "real").stdout, "ldap:// is not StartTLS")
        encrypted(site, good, f"starttls@{REAL}")
    case("StartTLS", start_tls)

    def wrong_name():
        other = Slapd(site.folder, tls, "elsewhere").start()
        try:
            for url in (f"ldaps://127.0.0.1:{other.tls_port}/{BASE}", f"ldap://127.0.0.1:{other.plain}/{BASE}"):
                site.cli("directory", "set", "real", "--url", url)
                deferred(site, f"tls@{REAL}")
            site.cli("directory", "set", "real", "--url", f"ldaps://127.0.0.1:{slapd.tls_port}/{BASE}", "--ca-file", "system")
            deferred(site, f"tls@{REAL}")
        finally:
            other.stop()
            site.cli("directory", "set", "real", "--ca-file", tls.ca)
    case("a TLS certificate of another name, or of an unknown CA", wrong_name)

    def base_missing():
        site.cli("directory", "set", "real", "--base", "o=nowhere")
        deferred(site, f"base@{REAL}")
        site.cli("directory", "set", "real", "--base", BASE)
    case("a base that does not exist is no answer", base_missing)

    def down():
        site.prefer(REAL, encrypt_mode="opportunistic")
        slapd.stop()
        deferred(site, f"down@{REAL}")
        site.prefer(REAL, encrypt_mode="force")
        deferred(site, f"down2@{REAL}")
        encrypted(site, good, f"found@{REAL}")
        slapd.start(fill=False)
        slapd.person(f"down@{REAL}", [good.issue("down", f"down@{REAL}")])
        wait_until("the retry", lambda: send(site, f"down@{REAL}")[0] == 250, step=0.5)
        require(b"secret text" in good.opens("down", site.wait_mail(f"down@{REAL}")), "not for him")
    case("server down: 451, also for try; who has a certificate is served; up again: encrypted", down)


# -- with one that does what it likes -----------------------------------------------------------------


def fake(tap, site, good):
    script = {}
    server = FakeServer(lambda connection, number: script["answer"](connection, number))

    def use(answer, **settings):
        script["answer"] = answer
        options = [x for name, value in settings.items() for x in ("--" + name, value)]
        site.cli("directory", "set", "fake", "--url", f"ldap://127.0.0.1:{server.port}/{BASE}", "--tls", "none", "--domain",
                 FAKE, *options)

    def person(name):
        return good.issue(name, f"{name}@{FAKE}")

    def answers(*attributes, after=ldap.result):
        return lambda connection, number: connection.sendall(ldap.entry(number, attributes) + after(number))

    def without_binary():
        use(answers(("userCertificate", [person("nobinary")])))
        encrypted(site, good, f"nobinary@{FAKE}")
        use(answers(("USERCERTIFICATE;Binary", [person("shouting")])))
        encrypted(site, good, f"shouting@{FAKE}")
    tap.case("userCertificate without ;binary, as Active Directory answers, and in capitals", without_binary)

    def trigger():
        site.reload(directory_wait=SHORT)
        site.prefer(FAKE, encrypt_mode="opportunistic")
        for number, (what, answer) in enumerate(bad.items()):
            use(answer)
            code, text, seconds = send(site, f"bad{number}@{FAKE}")
            require(code == 451, f"{what}: {code} {text}")
            in_time(seconds, WAIT + 1, what)
        logs = site.daemon.output() + site.filter.output()
        require("LEAK" not in logs, "the server's own words are in the log")
        site.prefer(FAKE, encrypt_mode="force")

    def drip(connection, number):
        for byte in ldap.entry(number, [("userCertificate", [b"x" * 500])]):
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    big = ldap.entry(1, [("userCertificate", [b"x" * 100])])
    bad = {
        "hangs up": lambda c, n: c.shutdown(socket.SHUT_RDWR),
        "garbage": lambda c, n: c.sendall(b"HTTP/1.1 400 LEAK\r\n\r\n" * 50),
        "an error with a text": lambda c, n: c.sendall(ldap.result(n, 80, "LEAK of the server")),
        "busy": lambda c, n: c.sendall(ldap.result(n, 51)),
        "no right": lambda c, n: c.sendall(ldap.result(n, 50, "LEAK")),
        "a referral": lambda c, n: c.sendall(ldap.result(n, 10, "", f"ldap://127.0.0.1:{trap.port}/LEAK")),
        "a reference": lambda c, n: c.sendall(ldap.reference(n, f"ldap://127.0.0.1:{trap.port}/LEAK") + ldap.result(n)),
        "more entries than are read": lambda c, n: c.sendall(b"".join(
            ldap.entry(n, [("userCertificate", [b"LEAK"])], f"cn={i}") for i in range(100)) + ldap.result(n, 4)),
        "more values than are read": answers(("userCertificate", [b"LEAK%d" % i for i in range(200)])),
        "a huge value": answers(("userCertificate", [b"x" * 300000])),
        "a length of 2 GiB": lambda c, n: c.sendall(b"\x30\x84\x7f\xff\xff\xff" + b"x" * 65536),
        "an entry that ends in the middle": lambda c, n: (c.sendall(big[:-40]), c.shutdown(socket.SHUT_WR)),
        "an entry without its structure": lambda c, n: c.sendall(ldap.message(n, ldap.tlv(0x64, b"\x04\x7f")) + ldap.result(n)),
        "bytes one by one": drip,
        "silence": lambda c, n: None,
        "entries without end": lambda c, n: [c.sendall(ldap.entry(n, [])) for _ in range(100000)],
    }
    trap = FakeServer(lambda c, n: c.sendall(ldap.result(n)))
    tap.case("whatever a server does: 451 in time, never plain, and nothing of its words in the log", trigger)
    tap.ok(trap.connections == 0, "no referral and no reference was followed", trap.connections)

    def wrong_values():
        use(answers(("userCertificate", [b"no certificate", b"\x30\x03\x02\x01\x01"]), ("userSMIMECertificate", [b"\x30\x80\x06"]),
                    ("cACertificate", [person("unwanted")])))
        refused(site, f"values@{FAKE}")
        require(not stored(site, f"unwanted@{FAKE}"), "an attribute was taken that nobody asked for")
    tap.case("values that are no certificates, and attributes that nobody asked for: surely none", wrong_values)

    def bound():
        use(lambda c, n: None)
        seconds = deferred(site, f"one@{FAKE}", f"two@{FAKE}", f"three@{FAKE}")
        require(seconds > WAIT - 0.5, f"only {seconds:.2f} s: did it ask at all?")
        print(f"# three recipients of a silent directory: {seconds:.2f} s")
    tap.case("two seconds for all recipients of a message together", bound)

    def two_at_once():
        ders = {name: person(name) for name in ("left", "right")}
        both = threading.Barrier(2)

        def together(connection, number):
            both.wait(20)  # one alone is not answered
            connection.sendall(ldap.entry(number, [("userCertificate", list(ders.values()))]) + ldap.result(number))
        use(together)
        site.reload(directory_wait=PATIENT)
        code, text, seconds = send(site, f"left@{FAKE}", f"right@{FAKE}")
        require(code == 250, f"{code} {text}: one after the other?")
        for name in ders:
            require(b"secret text" in good.opens(name, site.wait_mail(f"{name}@{FAKE}")), name)
    tap.case("two recipients are asked for at once", two_at_once)

    def late():
        der, go = person("late"), threading.Event()

        def slow(connection, number):
            go.wait(60)
            connection.sendall(ldap.entry(number, [("userCertificate", [der])]) + ldap.result(number))
        use(slow)
        site.reload(directory_wait=SHORT)
        deferred(site, f"late@{FAKE}")
        go.set()
        wait_until("the late answer", lambda: stored(site, f"late@{FAKE}"), step=0.2)
        encrypted(site, good, f"late@{FAKE}")
    tap.case("an answer that comes too late serves the next try", late)

    def breaker():
        site.reload(site.daemon, directory_retry="10m")
        use(lambda c, n: c.shutdown(socket.SHUT_RDWR))
        for number in range(5):
            deferred(site, f"broken{number}@{FAKE}")
        before = server.searches
        seconds = deferred(site, f"broken9@{FAKE}")
        require(server.searches == before, "it was asked while the breaker is open")
        in_time(seconds, WAIT, "what is known")
        require("resting" in site.cli("directory", "list").stdout, "the breaker is not open")
        doctor = site.cli("doctor", "--no-mta", check=False).stdout
        require("fake" in doctor and "failed" in doctor, f"doctor does not say it: {doctor[-1500:]}")
        script["answer"] = answers(("userCertificate", [person("mended")]))
        site.sql("UPDATE directory_server SET open_until = now() - interval '1 second' WHERE name = 'fake';"
                 " SELECT change_append('directory', NULL)")
        site.settle()
        wait_until("the half-open probe", lambda: send(site, f"mended@{FAKE}")[0] == 250, step=0.5)
        require(b"secret text" in good.opens("mended", site.wait_mail(f"mended@{FAKE}")), "not for him")
        state = site.json("directory", "show", "fake")
        require(state["state"] == "in order" and state["failures"] == 0, f"{state}")
        site.reload(site.daemon, directory_retry="1s")
    tap.case("after five failures nobody asks, mail waits, and one question closes it again", breaker)

    server.stop()
    trap.stop()


# -- S1 ------------------------------------------------------------------------------------------


def new_keys(tap, site, good, other):
    """What came by itself and brings a new key waits, unless its issuer is that of the present one."""
    script = {}
    server = FakeServer(lambda connection, number: connection.sendall(
        ldap.entry(number, [("userCertificate", script["values"])]) + ldap.result(number)))
    site.cli("directory", "set", "keys", "--url", f"ldap://127.0.0.1:{server.port}/{BASE}", "--tls", "none", "--domain", OTHER)

    def waits():
        address, also = f"carol@{OTHER}", f"carol2@{OTHER}"
        good.issue("carol", address)
        site.cli("cert", "import", good.path("carol.pem"))
        # Asked for a second address, the server returns one that names the first, too.
        script["values"] = [other.issue("taker", f"{also},email:{address}")]
        code, text, _ = send(site, also)
        require(code == 550, f"{code} {text}")
        pending = site.json("cert", "list", "--pending")["items"]
        require(len(pending) == 1, f"{len(pending)} wait")
        doctor = site.cli("doctor", "--no-mta", check=False).stdout
        require("--pending" in doctor, f"doctor does not say it: {doctor[-1500:]}")
        require("cert pending" in site.cli("audit", "list").stdout, "no audit row")
        encrypted(site, good, address)
        site.cli("cert", "accept", pending[0]["thumbprint"])
        require(not site.json("cert", "list", "--pending")["items"], "still waits")
        require(send(site, also)[0] == 250, "not used after it was accepted")
        site.wait_mail(also)
        require("cert accept" in site.cli("audit", "list").stdout, "no audit row of the act")
    tap.case("a new key of another issuer waits, and is accepted", waits)

    def goes_on():
        address, also = f"dave@{OTHER}", f"dave2@{OTHER}"
        good.issue("dave", address)
        site.cli("cert", "import", good.path("dave.pem"))
        script["values"] = [good.issue("dave2", f"{also},email:{address}")]
        encrypted(site, good, also)
        require(not site.json("cert", "list", "--pending")["items"], "a renewal waits")
    tap.case("a new key of the same issuer is used at once", goes_on)

    def dropped():
        address, also = f"erin@{OTHER}", f"erin2@{OTHER}"
        good.issue("erin", address)
        site.cli("cert", "import", good.path("erin.pem"))
        script["values"] = [other.issue("taker2", f"{also},email:{address}")]
        require(send(site, also)[0] == 550, "used")
        pending = site.json("cert", "list", "--pending")["items"]
        site.cli("cert", "refuse", pending[0]["thumbprint"], "--deny")
        require(not site.json("cert", "list", "--pending")["items"], "still there")
        wrong = site.cli("cert", "accept", stored(site, address)[0]["thumbprint"], check=False)
        require(wrong.returncode != 0 and "does not wait" in wrong.stderr, wrong.stderr)
    tap.case("one that is refused is gone", dropped)

    def by_mail():
        address = f"frank@{OTHER}"
        good.issue("frank", address)
        site.cli("cert", "import", good.path("frank.pem"))
        for authority, name, pending in ((good, "frank2", 0), (other, "frank3", 1)):
            authority.issue(name, address)
            site.exchange(address, ALICE, authority.signed(name, address, ALICE), xclient=OUTSIDER)
            wait_until("what the mail brought", lambda: any(name in row["subject"] for row in stored(site, address)))
            waiting = site.json("cert", "list", "--pending")["items"]
            require(len(waiting) == pending, f"{name}: {len(waiting)} wait")
        site.cli("cert", "refuse", waiting[0]["thumbprint"])
    tap.case("the same for what signed mail brings", by_mail)
    server.stop()


def two_daemons(tap, site, good):
    """One question an address, whichever daemon asks it; one of them is enough."""
    ders = {}

    def answer(connection, number):
        time.sleep(0.1)
        connection.sendall(ldap.entry(number, [("userCertificate", list(ders.values()))]) + ldap.result(number))
    server = FakeServer(answer)
    site.cli("directory", "set", "keys", "--url", f"ldap://127.0.0.1:{server.port}/{BASE}", "--tls", "none", "--domain", OTHER)
    config, socket_path = site.config + ".2", os.path.join(site.run, "api2.sock")
    with open(config, "w") as f:
        f.writelines(f"{k} = {v}\n" for k, v in {**site.settings, "api_socket": socket_path}.items())
    second = Process("daemon2", [program("postseald"), "-c", config], os.path.join(site.folder, "daemon2.log"))

    def once():
        names = [f"pair{n}" for n in range(4)]
        ders.update({name: good.issue(name, f"{name}@{OTHER}") for name in names})
        before = server.searches
        code, text, seconds = send(site, *[f"{name}@{OTHER}" for name in names])
        require(code == 250, f"{code} {text}")
        in_time(seconds, WAIT, "four questions")
        require(server.searches - before == len(names), f"{server.searches - before} questions for {len(names)} addresses")
        for name in names:
            site.wait_mail(f"{name}@{OTHER}")

    def other_one():
        site.daemon.stop()
        try:
            ders["left-over"] = good.issue("left-over", f"left-over@{OTHER}")
            encrypted(site, good, f"left-over@{OTHER}")
        finally:
            second.stop()
        site.reload(site.filter, directory_wait=SHORT)
        deferred(site, f"no-daemon@{OTHER}")
        site.start_daemon()

    second.start()
    try:
        wait_until("the second daemon answers", lambda: can_connect("unix:" + socket_path))
        tap.case("two daemons ask once for each address", once)
        tap.case("with one of them gone the other asks; with none 451", other_one)
    finally:
        second.stop()
        server.stop()


def explained(tap, site):
    def told():
        site.cli("directory", "set", "keys", "--url", f"ldap://127.0.0.1:1/{BASE}", "--tls", "none", "--domain", OTHER)
        def says():
            text = site.cli("explain", "--from", ALICE, "--to", f"why@{OTHER}").stdout
            require("a directory has not answered" in text, text[-2000:])
            return "cannot be reached" in text
        wait_until("the reason", says)  # the daemon has just begun: the first question may be late
    tap.case("explain says which directory did not answer, and why", told)


def configuration(tap, site):
    def bad(*args):
        done = site.cli("directory", "set", *args, check=False)
        require(done.returncode != 0, f"taken: {args}")
        return done.stderr

    def wrong():
        url = ("--url", "ldaps://a.example")
        domain = ("--domain", "x.example")
        require("--url" in bad("x", *domain), "no URL")
        require("--domain" in bad("x", *url), "no domain")
        require("%s" in bad("x", *url, *domain, "--filter", "(mail=*)"), "no place for the address")
        require("parentheses" in bad("x", *url, *domain, "--filter", "(mail=%s"), "parentheses")
        require("userPKCS12" in bad("x", *url, *domain, "--attribute", "userPKCS12"), "private keys")
        bad("../x", *url, *domain)
        bad("x", "--url", "https://a.example", *domain)
        bad("x", "--url", "ldap:///o=x", *domain)
        require("--filter" in bad("x", "--url", "ldap://a.example/o=x??sub?(a=b)", *domain), "a filter in the URL")
        site.cli("directory", "set", "x", "--url", "ldap://a.example/o=x?mailCertificate?one", *domain)
        shown = site.json("directory", "show", "x")
        require((shown["scope"], shown["attributes"], shown["base"], shown["tls"]) == ("one", ["mailCertificate"], "o=x", "starttls"), shown)
        site.cli("directory", "remove", "x")
        bad("x", *url, "--domain", "a b")
        bad("x", *url, *domain, "--bind-dn", "cn=x")
        bad("x", *url, *domain, "--ca-file", "relative.pem")
    tap.case("what cannot work is refused when it is set", wrong)

    def limit():
        count = len(site.json("directory", "list")["items"])
        for number in range(count, 4):
            site.cli("directory", "set", f"more{number}", "--url", "ldaps://a.example", "--domain", "x.example")
        require("limit" in bad("fifth", "--url", "ldaps://a.example", "--domain", "x.example"), "a fifth one")
        site.cli("directory", "remove", *[f"more{number}" for number in range(count, 4)])
    tap.case("four directories at most", limit)


def main():
    tap = Tap()
    # What libldap would read by itself must have no say.
    os.environ.update({"LDAPTLS_REQCERT": "never", "LDAPREFERRALS": "on", "LDAPTLS_CACERT": "/nonexistent", "LDAPSASL_MECH": "EXTERNAL"})
    why = ldap.missing()
    if why:
        tap.skip("directories", why)
        tap.done()
    with Site({"directory_retry": "1s", "directory_keep_none": "10s", "directory_wait": PATIENT}) as site:
        site.start()
        site.make_ca()
        site.issue(ALICE)
        site.postfix.add_login(ALICE)
        good, stranger = Listed(site.folder, "Good CA"), Listed(site.folder, "Stranger CA")
        other = Listed(site.folder, "Other good CA")
        site.cli("root", "import", good.cert, other.cert)
        for domain in (REAL, FAKE, OTHER):
            site.prefer(domain, encrypt_mode="force")
        site.prefer(ALICE, encrypt_to_self="off")
        tls = Tls(site.folder)
        tls.issue("loopback", "IP:127.0.0.1")
        tls.issue("elsewhere", "DNS:elsewhere.example")
        slapd = Slapd(site.folder, tls).start()
        try:
            site.cli("directory", "set", "real", "--url", f"ldaps://127.0.0.1:{slapd.tls_port}/{BASE}", "--ca-file", tls.ca,
                     "--domain", REAL)
            real(tap, site, slapd, good, stranger, tls)
            fake(tap, site, good)
            site.reload(directory_wait=PATIENT)
            new_keys(tap, site, good, other)
            two_daemons(tap, site, good)
            explained(tap, site)
            configuration(tap, site)
        finally:
            slapd.stop()
    tap.done()


main()
