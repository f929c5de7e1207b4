#!/usr/bin/env python3
"""No secret where it does not belong: logs, records, database, process list, core files, files that all may read.

Keys and passwords are planted or made, used in every way that there is, and then looked for in several shapes
(plain, base64, hexadecimal, reversed, UTF-16)."""
import glob
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import INSIDE, PARTNER, Site, Tap, require, wait_until  # noqa: E402
from secrets_search import ProcessList, Search, core_of, readable_by_all  # noqa: E402

ALICE, BOB = f"alice@{INSIDE}", f"bob@{INSIDE}"
GIVEN = {
    "password of an exported file": "Exported-3fK9wPz7Qm2Lx",
    "password of a delivery": "Delivered-8sRv4Tn6Yb1Jc",
    "bind password of a directory": "Directory-5hGd2Wq9Zk7Xf",
    "secret of the SMS service": "Service-6jNp3Mt8Vr4Bs",
    "password of a handler": "Handler-7kCx1Lz5Fd9Hg",
    "password of a client key": "ClientKey-2vYb6Rm3Ts8Pw",
}


class SmsServer:
    """A server for text messages: keeps what it was told."""

    def __init__(self):
        self.bodies = bodies = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                bodies.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/send"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def password_file(site, name):
    path = os.path.join(site.folder, "etc", name.replace(" ", "-"))
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
        f.write(GIVEN[name] + "\n")
    return path


def numbers_of(pem):
    """The private numbers of an RSA key, and its PKCS#8, as bytes."""
    der = subprocess.run(["openssl", "pkey", "-outform", "DER"], input=pem, capture_output=True, check=True).stdout
    text = subprocess.run(["openssl", "rsa", "-text", "-noout"], input=pem, capture_output=True, check=True).stdout.decode()
    found = {"PKCS#8": der}
    for name in ("privateExponent", "prime1", "prime2"):
        digits = text.split(name + ":")[1]
        hexa = "".join(line.strip().replace(":", "") for line in digits.splitlines()[1:] if line.startswith("    "))
        hexa = hexa.split("exponent")[0]
        found[name] = bytes.fromhex(hexa).lstrip(b"\0")
    return found


def use_everything(site, sms, folder):
    """Every way of a secret through the gateway. Returns what could not be planted, because it is made there."""
    site.cli("ca", "config", "mail_from", f"pki@{INSIDE}")
    site.cli("ca", "config", "key", "rsa:2048")
    site.make_ca()
    site.issue(ALICE, "Alice")
    site.issue(BOB, "Bob")
    for user in (ALICE, BOB):
        site.cli("user", "set", user, "telephone", "+4930123456")
    site.cli("directory", "set", "ours", "--url", "ldaps://ldap.partner.example/dc=x", "--domain", PARTNER, "--bind-dn", "cn=x",
             "--password-file", password_file(site, "bind password of a directory"))
    site.cli("sms", "config", "transport", "http")
    site.cli("sms", "config", "url", sms.url)
    site.cli("sms", "config", "body", '{"to": "{{number}}", "text": "{{text}}", "key": "{{secret}}"}')
    site.cli("sms", "config", "secret", "--password-file", password_file(site, "secret of the SMS service"))
    site.cli("handler", "config", "ejbca", "password", "--password-file", password_file(site, "password of a handler"))
    client_key(site, folder)
    p12 = os.path.join(folder, "alice.p12")
    site.cli("cert", "export", "--email", ALICE, "--format", "pkcs12", "--output", p12,
             "--password-file", password_file(site, "password of an exported file"))
    pem = subprocess.run(["openssl", "pkcs12", "-in", p12, "-nocerts", "-noenc", "-passin",
                          "file:" + os.path.join(site.folder, "etc", "password-of-an-exported-file")],
                         capture_output=True, check=True).stdout
    site.cli("cert", "send", ALICE, "--password-file", password_file(site, "password of a delivery"), "--store-password")
    site.cli("cert", "send", BOB, "--sms")
    site.wait_mail(ALICE)
    site.wait_mail(BOB)
    wait_until("the password is on its way", lambda: sms.bodies)
    made = json.loads(sms.bodies[0][1])
    require(made["key"] == GIVEN["secret of the SMS service"], made)
    text = max(made["text"].split(), key=lambda word: sum(c.isdigit() for c in word) + 10 * word.count("-")).strip(".,:;\"'")
    site.exchange(ALICE, BOB, b"Subject: a signed one\r\n\r\nhello\r\n")
    return {"text of an SMS": made["text"].encode(), "password in an SMS": text.encode(),
            **{f"private key: {name}": value for name, value in numbers_of(pem).items()}}


def client_key(site, folder):
    """A key for the TLS log-in of a handler, encrypted under a password."""
    path = os.path.join(folder, "client.key")
    password = password_file(site, "password of a client key")
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-aes256", "-pass", "file:" + password, "-out", path],
                   capture_output=True, check=True)
    site.cli("handler", "config", "ejbca", "client_key", "--file", path, "--password-file", password)


def dump_of(site):
    """The whole database as text."""
    done = subprocess.run(["runuser", "-u", site.settings["database_user"], "--", *dump_command(site)], capture_output=True)
    require(done.returncode == 0 and len(done.stdout) > 10000, done.stderr[-500:])
    return done.stdout


def dump_command(site):
    socket = site.database_socket()
    where, port = os.path.dirname(socket), socket.rsplit(".", 1)[1]
    program = max(glob.glob("/usr/lib/postgresql/*/bin/pg_dump"))
    return [program, "-h", where, "-p", port, "-U", "postgres", "--inserts", "postseal"]


def works(tap, search):
    """The search finds what is there: in a core file of a process that has it, in text, in base64."""
    needle = GIVEN["password of a delivery"]
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.Popen([sys.executable, "-c", "import sys; s = sys.stdin.readline(); print(1, flush=True); sys.stdin.read()"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        child.stdin.write(needle.encode() + b"\n")
        child.stdin.flush()
        child.stdout.readline()
        found = search.in_file(core_of(child.pid, folder))
        child.kill()
        child.wait()
    tap.ok("password of a delivery" in found, "the search finds a password in the core file of a program that holds it", found)


def main():
    tap = Tap()
    if shutil.which("gcore") is None:
        tap.skip("no secret where it does not belong", "gdb is not installed")
        tap.done()
    with Site() as site, tempfile.TemporaryDirectory() as folder:
        sms = SmsServer()
        watch = ProcessList()
        watch.start()
        site.start()
        made = use_everything(site, sms, folder)
        listed = watch.stop()
        with open(site.settings["master_key_file"], "rb") as f:
            words = [word for word in f.read().split() if len(word) >= 32]
        search = Search({**{name: text.encode() for name, text in GIVEN.items()}, **made,
                         **{f"master key {i}": word for i, word in enumerate(words)}})
        works(tap, search)
        for process in (site.daemon, site.filter):
            found = search.in_file(core_of(process.child.pid, folder))
            tap.ok(not found, f"core file of the {process.name}", found)
        for process in (site.daemon, site.filter, site.database):
            found = search.in_file(process.log)
            tap.ok(not found, f"log of the {process.name}", found)
        found = search.in_bytes(site.postfix.logged().encode())
        tap.ok(not found, "log of the MTA", found)
        found = search.in_bytes(dump_of(site))
        tap.ok(not found, "database: audit, requests, deliveries, answers", found)
        for name in ("cmdline", "environ"):
            found = sorted({n for kind, data in listed if kind == name for n in search.in_bytes(data)})
            tap.ok(not found and len(listed) > 20, f"process list: {name}", found)
        found = {path: names for path in readable_by_all(site.folder) if (names := search.in_file(path))}
        tap.ok(not found, "files that all may read", found)
        sms.stop()
    tap.done()


main()
