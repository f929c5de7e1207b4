#!/usr/bin/env python3
"""Keys reach their users, once, whatever dies; other programs take them in and read what the gateway encrypts.

A listener that the test plays stands between the daemon and Postfix and stops at each step of a delivery. Text
messages go to a real HTTP server, and to a program. Passwords are looked for where they must not be."""
import base64
import email
import glob
import http.server
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import peers  # noqa: E402
from harness import INSIDE, PARTNER, Site, Tap, parse, program, require, wait_until  # noqa: E402
from listener import CUT, CUT_AFTER, Listener  # noqa: E402

FULL = os.environ.get("PS_FULL") == "yes"
PASSWORD = f"blue-Horse.{os.getpid()}-stable"  # another run on this host has it on its command lines
TOKEN = "token-of-the-provider-4711"
CA = f"ca@{INSIDE}"
BOSS = f"boss@{INSIDE}"


def write(path, text, mode=0o600):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as f:
        f.write(text)
    return path


def password_file(site, password=PASSWORD, name="given"):
    return write(os.path.join(site.folder, "etc", name), password + "\n")


def refused(site, what, says, *args):
    before = site.json("outbox", "list")["items"]
    done = site.cli(*args, check=False)
    require(done.returncode in (1, 2, 4, 5), f"{what}: exit {done.returncode} {done.stdout}{done.stderr}")
    require(re.search(says, done.stderr), f"{what}: {done.stderr}")
    require(site.json("outbox", "list")["items"] == before, f"{what}: something was made all the same")


def send(site, address, *args):
    return site.json("cert", "send", address, *args)["delivery"]


def sent(site, delivery, state="sent"):
    def look():
        row = site.json("outbox", "show", str(delivery))
        return row if row["state"] == state else None
    try:
        return wait_until(f"delivery {delivery} {state}", look, step=0.1)
    except Exception as why:
        raise AssertionError(f"{why}: {site.cli('outbox', 'show', str(delivery)).stdout}") from why


def bundle_of(mail):
    parts = [p for p in parse(mail).walk() if p.get_content_type() == "application/x-pkcs12"]
    require(len(parts) == 1, f"{len(parts)} files in the mail")
    return parts[0]


def arrived(site, address, folder, name):
    """The oldest mail for the address and its file, written down."""
    mail = site.wait_mail(address)
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(bundle_of(mail).get_content())
    return mail, path


# -- before anything is made ------------------------------------------------------------------


def check_refusals(site):
    given = ["--password-file", password_file(site)]
    user = f"alice@{PARTNER}"
    refused(site, "no sender", "mail_from", "cert", "send", user, *given)
    site.cli("ca", "config", "mail_from", CA)
    refused(site, "nobody knows the password", "--show-password", "cert", "send", user)
    for weak in ("short", "aaaaaaaaaaaa", "1234567890123", "alice-is-my-name", "ümlaut-password"):
        refused(site, weak, "password", "cert", "send", user, "--password-file", password_file(site, weak, "weak"))
    refused(site, "another address", "--allow-mismatch", "cert", "send", user, "--to", f"eve@{PARTNER}", *given)
    refused(site, "no key", "no private key", "cert", "send", f"nobody@{PARTNER}", *given)
    refused(site, "no SMS", "no transport", "cert", "send", user, "--sms")
    refused(site, "an address that is none", "address", "cert", "send", user, "--to", "alice@x\r\nBcc: eve@x", *given)


# -- the mail and its file --------------------------------------------------------------------


def check_mail(site, folder):
    delivery = send(site, f"alice@{PARTNER}", "--password-file", password_file(site))
    row = sent(site, delivery)
    mail, path = arrived(site, f"alice@{PARTNER}", folder, "alice.p12")
    message = parse(mail)
    require(message["From"] == f"<{CA}>" or message["From"] == CA, message["From"])
    require(message["To"] in (f"<alice@{PARTNER}>", f"alice@{PARTNER}"), message["To"])
    require(message["Auto-Submitted"] == "auto-generated", "Auto-Submitted")
    require(message["Message-ID"] == row["message_id"], f"{message['Message-ID']} {row['message_id']}")
    require(not message.defects, message.defects)
    require("Return-Path: <%s>" % CA in mail.decode(errors="replace"), "envelope sender")
    text = message.get_body(("plain",)).get_content()
    html = message.get_body(("html",)).get_content()
    for word in ("Outlook", "Thunderbird", "Apple Mail", f"alice@{PARTNER}", "Test Root"):
        require(word in text and word in html, f"{word} is not in the mail")
    require("WEAK" not in text and "{{" not in text + html, text)
    require(bundle_of(mail).get_filename() == f"alice@{PARTNER}.p12", bundle_of(mail).get_filename())
    require(PASSWORD not in mail.decode(errors="replace"), "the password is in the mail")
    shown = subprocess.run(["openssl", "pkcs12", "-in", path, "-passin", "pass:" + PASSWORD, "-info", "-nokeys"],
                           capture_output=True, text=True)
    require(shown.returncode == 0, shown.stderr)
    require(shown.stderr.count("PBKDF2, AES-256-CBC, Iteration 600000, PRF hmacWithSHA256") == 2, shown.stderr)
    require("MAC: sha256, Iteration 600000" in shown.stderr, shown.stderr)
    require(shown.stdout.count("BEGIN CERTIFICATE") == 3, "certificate, intermediate and root")
    return path


def check_german(site, folder):
    delivery = send(site, f"alice@{PARTNER}", "--password-file", password_file(site), "--language", "de", "--compatible")
    row = sent(site, delivery)
    require("weak" in row["file"], row["file"])
    mail, path = arrived(site, f"alice@{PARTNER}", folder, "alice.compat.p12")
    message = parse(mail)
    require("für verschlüsselte" in message["Subject"], message["Subject"])
    require("SCHWACHEN" in message.get_body(("plain",)).get_content(), "the weak form is not named")
    require(all(len(line) <= 998 for line in mail.split(b"\n")), "a line is too long")
    require(mail.split(b"\n\n")[0].isascii(), "a header field is not ASCII")
    return path


def check_templates(site, folder):
    good = write(os.path.join(folder, "text"), "Hallo {{name}}!\r\n{{#by_hand}}von Hand{{/by_hand}}{{#by_sms}}SMS{{/by_sms}}\n")
    html = write(os.path.join(folder, "html"), "<p>{{name}}</p>\n")
    subject = write(os.path.join(folder, "subject"), "Schlüssel für {{name}} " + "ü" * 80 + "\n")
    for part, path in (("text", good), ("html", html), ("subject", subject)):
        site.cli("template", "set", "bundle", path, "--language", "xx", "--part", part)
    for bad, says in (("{{nothing}}", "no value"), ("{{#name}} open", "no end"), ("{{ name }}", "placeholder")):
        done = site.cli("template", "set", "bundle", write(os.path.join(folder, "bad"), bad), "--language", "xx",
                        "--part", "text", check=False)
        require(done.returncode == 1 and says in done.stderr, done.stderr)
    site.issue(f"mallory@{PARTNER}", "<b>Mallory</b> & \"Co\"", "--key", "ec:P-256")
    sent(site, send(site, f"mallory@{PARTNER}", "--password-file", password_file(site), "--language", "xx"))
    mail = site.wait_mail(f"mallory@{PARTNER}")
    message = parse(mail)
    require(message["Subject"].startswith("Schlüssel für <b>Mallory</b>"), message["Subject"])
    require(message["Subject"].endswith("ü" * 80), "a long subject is cut")
    require("von Hand" in message.get_body(("plain",)).get_content(), "a section")
    require("&lt;b&gt;Mallory&lt;/b&gt; &amp;" in message.get_body(("html",)).get_content(), "HTML is not escaped")
    site.cli("template", "reset", "bundle")
    require(site.cli("template", "show", "bundle", "--language", "de").stdout.startswith("Guten Tag"), "reset")


# -- other programs ---------------------------------------------------------------------------


class Gpgsm(peers.Gpgsm):
    def _gpgsm(self, arguments, data=None, password=PASSWORD):
        return super()._gpgsm(arguments, data, password)


class OpenSSL(peers.OpenSSL):
    def add(self, identity):
        self.take_key(identity.p12)

    def take_key(self, p12):
        self.key = os.path.join(self.folder, "key.pem")
        peers.check(["openssl", "pkcs12", "-in", p12, "-passin", "pass:" + PASSWORD, "-nodes", "-nocerts", "-out", self.key])

    def decrypt(self, der, identity):
        out = self._file("content.out")
        peers.check(["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", self._file("cms", der), "-recip",
                     identity.cert, "-inkey", self.key, "-out", out])
        with open(out, "rb") as f:
            return f.read()


class Java(OpenSSL):
    """The key as keytool takes it in and gives it out again."""
    name = "keytool"

    def add(self, identity):
        out = os.path.join(self.folder, "out.p12")
        peers.check(["keytool", "-importkeystore", "-noprompt", "-srckeystore", identity.p12, "-srcstoretype", "PKCS12",
                     "-srcstorepass", PASSWORD, "-destkeystore", out, "-deststoretype", "PKCS12", "-deststorepass", PASSWORD])
        self.take_key(out)


def check_encrypted(site):
    site.prefer(f"alice@{PARTNER}", encrypt_mode="force", cipher="aes-256-cbc")
    return peers.cut_cms(site.exchange(BOSS, f"alice@{PARTNER}",
                                       f"From: {BOSS}\nTo: alice@{PARTNER}\nSubject: x\n\nthe secret plan\n"))


def check_programs(site, tap, folder, p12, compat, der):
    root = os.path.join(folder, "root.pem")
    site.cli("root", "export", "--all", "--output", root)
    # What the test itself needs comes from the file that costs less.
    identity = peers.Identity(folder, f"alice@{PARTNER}", compat, password_file(site), root, compat)
    identity.p12 = p12

    def one(maker):
        peer = maker(folder, root)
        try:
            peer.add(identity)
            require(b"the secret plan" in peer.decrypt(der, identity), "another text")
        finally:
            if hasattr(peer, "close"):
                peer.close()
    for maker, needs in ((OpenSSL, "openssl"), (peers.NSS, "pk12util"), (Java, "keytool"), (Gpgsm, "gpgsm")):
        name = f"{maker.name} takes the file in and reads what the gateway encrypts"
        if shutil.which(needs) is None:
            tap.skip(name, f"{needs} is not installed")
        else:
            tap.case(name, one, maker)


# -- whatever dies ----------------------------------------------------------------------------


def mails_of(site, address, message_id=None):
    found = [data for _, data in site.mails(address)]
    return [m for m in found if message_id is None or parse(m)["Message-ID"] == message_id]


def clear_box(site, address):
    for path, _ in list(site.mails(address)):
        os.unlink(path)


def check_crash(site, proxy, verb, twice):
    """The daemon dies at this step; its successor ends what it began."""
    address = f"crash@{PARTNER}"
    clear_box(site, address)
    proxy.forget()
    died = threading.Event()

    def die():
        site.daemon.kill()
        died.set()
    proxy.fault(verb, 1, die)
    delivery = send(site, address, "--password-file", password_file(site))
    wait_until(f"the daemon dies at {verb}", died.is_set)
    site.start_daemon()
    row = sent(site, delivery)
    wait_until("the mail", lambda: mails_of(site, address))
    wait_until("the queue is empty", lambda: not site.postfix.queue_list())
    found = mails_of(site, address)
    require(len(found) <= 1 + twice, f"{len(found)} mails")
    require(len({parse(m)["Message-ID"] for m in found}) == 1, "several Message-IDs")
    require(len({bundle_of(m).get_content() for m in found}) == 1, "several files")
    # A claim that nobody finished is counted: nobody could know.
    require((row["repeated"] > 0) == (verb in ("DATA", "END")), f"repeated {row['repeated']}")


def check_crash_before(site, seconds):
    address = f"crash@{PARTNER}"
    clear_box(site, address)
    delivery = send(site, address, "--password-file", password_file(site))
    time.sleep(seconds)
    site.daemon.kill()
    site.start_daemon()
    row = sent(site, delivery)
    wait_until("the queue is empty", lambda: not site.postfix.queue_list() and mails_of(site, address))
    require(len(mails_of(site, address)) <= 1 + row["repeated"], f"{len(mails_of(site, address))} mails")


def check_fault(site, proxy, verb, action, state, says):
    address = f"crash@{PARTNER}"
    clear_box(site, address)
    proxy.forget()
    proxy.fault(verb, 1, action)
    delivery = send(site, address, "--password-file", password_file(site))
    row = wait_until(f"{verb} {action}", lambda: (lambda r: r if r["error"] else None)(
        site.json("outbox", "show", str(delivery))), step=0.1)
    require(row["state"] == state and re.search(says, row["error"]), f"{row['state']}: {row['error']}")
    require(any(r["id"] == delivery for r in site.json("outbox", "list", "--failed" if state == "failed" else "--open")["items"]),
            "it is not in the list")
    site.cli("outbox", "retry", str(delivery))
    sent(site, delivery)
    wait_until("the mail", lambda: mails_of(site, address, row["message_id"]))
    wait_until("the queue is empty", lambda: not site.postfix.queue_list())
    require(len(mails_of(site, address)) <= 1 + (action == CUT_AFTER), "too many mails")


# -- passwords --------------------------------------------------------------------------------


class Provider(http.server.BaseHTTPRequestHandler):
    """Strict about all that the configuration of the test says."""
    protocol_version = "HTTP/1.1"
    seen, answers = [], []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        problem = None
        if self.path != "/v1/messages?from=Gate%20%26%20Co" or self.headers["Authorization"] != "Bearer " + TOKEN:
            problem = "path or authorization: " + self.path
        elif self.headers["Content-Type"] != "application/json":
            problem = "content type"
        else:
            message = json.loads(body)
            if sorted(message) != ["quote", "text", "to"] or message["to"] != "+4912345678" or message["quote"] != "a\"b\\c":
                problem = "body"
        status = self.answers.pop(0) if self.answers else 202
        if problem is None and status == 202:
            self.seen.append(message["text"])
        answer = json.dumps({"status": "queued" if problem is None else problem}).encode()
        self.send_response(400 if problem else status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def check_sms(site):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    user = f"crash@{PARTNER}"
    for name, value in (("url", f"http://127.0.0.1:{server.server_port}/v1/messages?from={{{{from}}}}"),
                        ("from", "Gate & Co"), ("user", "a\"b\\c"), ("transport", "http"), ("expect", "queued"),
                        ("headers", "'Authorization: Bearer {{secret}}'"),
                        ("body", '{"to": "{{number}}", "text": "{{text}}", "quote": "{{user}}"}')):
        site.cli("sms", "config", name, value)
    site.cli("sms", "config", "secret", "--password-file", password_file(site, TOKEN, "token"))
    require(TOKEN not in site.cli("sms", "config").stdout, "the secret is shown")
    tried = site.cli("sms", "test", "--to", "+4912345678")
    require(len(Provider.seen) == 1 and "sent" in tried.stdout, tried.stdout + tried.stderr)
    refused(site, "no user", "no such user", "cert", "send", user, "--sms")
    site.cli("user", "add", user)
    refused(site, "no telephone", "telephone", "cert", "send", user, "--sms")
    site.cli("user", "set", user, "telephone", "+4912345678")
    clear_box(site, user)
    Provider.answers[:] = [500]
    delivery = send(site, user, "--sms", "--store-password")
    sent(site, delivery)
    wait_until("the SMS fails once", lambda: "500" in str(site.json("outbox", "show", str(delivery))["sms_error"]), step=0.1)
    require(len(mails_of(site, user)) <= 1, "the mail was repeated")
    site.cli("outbox", "retry", str(delivery))
    wait_until("the SMS", lambda: len(Provider.seen) == 2)
    password = Provider.seen[1].split(": ")[-1]
    require(re.fullmatch(r"[2-9a-hjkmnp-z]{4}(-[2-9a-hjkmnp-z]{1,4}){6}", password), "the alphabet of a password")
    wait_until("the end", lambda: site.json("outbox", "show", str(delivery))["sms"] == "sent", step=0.1)
    wait_until("the mail", lambda: mails_of(site, user))
    mail = mails_of(site, user)[0]
    require(len(mails_of(site, user)) == 1 and "text message" in parse(mail).get_body(("plain",)).get_content(), "the mail")
    opens(site, bundle_of(mail).get_content(), password)
    require(site.json("user", "password", user)["password"] == password, "the stored password")
    server.shutdown()
    server.server_close()
    site.cli("sms", "config", "url", f"http://127.0.0.1:{server.server_port}/{{{{secret}}}}?text={{{{text}}}}")
    tried = site.cli("sms", "test", "--to", "+4912345678", check=False)
    require(tried.returncode == 1 and "{{secret}}" in tried.stdout + tried.stderr, tried.stdout + tried.stderr)
    require(TOKEN not in tried.stdout + tried.stderr, "the secret of the URL is in the error")
    return password


def opens(site, bundle, password):
    path = os.path.join(site.folder, "etc", "opens.p12")
    with open(path, "wb") as f:
        f.write(bundle)
    done = subprocess.run(["openssl", "pkcs12", "-in", path, "-passin", "stdin", "-noout"], input=password + "\n",
                          capture_output=True, text=True)
    os.unlink(path)
    require(done.returncode == 0, done.stderr)


def check_command(site):
    out = os.path.join(site.folder, "etc", "sms.out")
    script = os.path.join(site.folder, "etc", "sms.sh")
    write(script, f"#!/bin/sh\numask 077\necho \"$@\" >{out}\ncat >>{out}\necho >>{out}\nls /proc/self/fd | wc -l >>{out}\n", 0o700)
    site.cli("sms", "config", "command", f"{script} --to {{{{number}}}} '$(id)'")
    site.cli("sms", "config", "transport", "command")
    user = f"crash@{PARTNER}"
    delivery = send(site, user, "--sms")
    wait_until("the SMS", lambda: site.json("outbox", "show", str(delivery))["sms"] == "sent", step=0.1)
    with open(out) as f:
        lines = f.read().split("\n")
    os.unlink(out)
    require(lines[0] == "--to +4912345678 $(id)", lines[0])
    require(int(lines[-2]) <= 5, f"the command has {lines[-2]} files open")
    password = "".join(lines[1:-2]).split(": ")[-1]
    require(re.match(r"[2-9a-z]{4}-", password), "the text on its standard input")
    bad = site.cli("sms", "config", "command", f"{script} {{{{text}}}}", check=False)
    require(bad.returncode == 0 and "standard input" in site.cli("sms", "test", "--to", "+4912345678", check=False).stderr,
            "the text would be an argument")
    site.cli("sms", "config", "command", f"{script} {{{{number}}}}")
    os.chmod(script, 0o777)
    refused(site, "a command that others can change", "can be changed by others", "cert", "send", user, "--sms")
    site.cli("sms", "config", "transport", "none")
    return password


def check_shown(site):
    user = f"crash@{PARTNER}"
    clear_box(site, user)
    delivery = send(site, user, "--show-password")
    password = site.json("outbox", "password", str(delivery))["password"]
    again = site.cli("outbox", "password", str(delivery), check=False)
    require(again.returncode == 4 and "shown once" in again.stderr, again.stderr)
    sent(site, delivery)
    opens(site, bundle_of(site.wait_mail(user)).get_content(), password)
    acts = site.cli("audit", "list").stdout
    require("outbox password" in acts and "sms sent" in acts and "delivery sent" in acts, acts)
    return password


def check_request(site):
    """A request with a delivery: the mail comes when the certificate is there."""
    user = f"new@{PARTNER}"
    done = site.cli("request", "create", "--email", user, "--common-name", "New", "--key", "ec:P-256", "--send",
                    "--show-password", "--json", check=False)
    if done.returncode == 2:
        return False
    require(done.returncode == 0, done.stderr)
    mail = site.wait_mail(user)
    opens(site, bundle_of(mail).get_content(), site.json("request", "password", str(json.loads(done.stdout)["id"]))["password"])
    return True


def memory_of(process):
    """All that a core file would hold and more: pages that are kept out of one are there, too, but locked ones."""
    pid, found = process.child.pid, []
    with open(f"/proc/{pid}/smaps") as f:
        text = f.read()
    with open(f"/proc/{pid}/mem", "rb", 0) as f:
        for begin, end, rest in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw(.*?)^VmFlags:", text, re.M | re.S):
            flags = text.split(f"{begin}-{end}", 1)[1].split("VmFlags:", 1)[1].split("\n", 1)[0].split()
            if "dd" in flags:  # MADV_DONTDUMP: where secrets live
                continue
            try:
                f.seek(int(begin, 16))
                found.append(f.read(int(end, 16) - int(begin, 16)))
            except OSError:
                pass
    return b"".join(found)


def check_memory(site, passwords):
    memory = memory_of(site.daemon)
    require(CA.encode() in memory, f"{len(memory)} bytes of memory were read")
    for number, secret in enumerate(passwords):
        at = memory.find(secret.encode())
        require(at < 0, f"secret {number} at {memory[max(0, at - 100):at + 60]!r}")


def check_nowhere(site, passwords):
    """In no log, table, argument and file but those that the test wrote."""
    socket = site.database_socket()
    host, port = os.path.dirname(socket), socket.rsplit(".", 1)[1]
    dump = subprocess.run(["pg_dump", "-h", host, "-p", port, "-U", "postgres", "postseal"], capture_output=True)
    if dump.returncode != 0:
        dump = subprocess.run(["runuser", "-u", "postgres", "--", "pg_dump", "-h", host, "-p", port, "postseal"], capture_output=True)
    require(dump.returncode == 0 and b"outbox_secret" in dump.stdout, dump.stderr.decode()[-300:])
    where = {"the database": dump.stdout}
    for process in (site.daemon, site.filter, site.database):
        where[process.name + "'s log"] = process.output().encode()
    where["postfix' log"] = site.postfix.logged().encode()
    where["audit"] = site.cli("audit", "list", "--all").stdout.encode()
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                where[path] = f.read()
        except OSError:
            pass
    own = {"given", "weak", "token"}
    for folder, _, files in os.walk(site.folder):
        for name in files:
            path = os.path.join(folder, name)
            if "/people" in folder or name in own or not stat.S_ISREG(os.lstat(path).st_mode) or "/pg" in path:
                continue
            with open(path, "rb") as f:
                where[path] = f.read()
    for secret in passwords:
        forms = [secret.encode(), base64.b64encode(secret.encode()).rstrip(b"=")[:-1], secret.encode().hex().encode()]
        for place, data in where.items():
            require(not any(form in data for form in forms), f"a password is in {place}")


def check_marker():
    """The filter is behind the listener: it must leave the file as it is, though it has the user's certificate."""
    with Site({"reinject_marker": "on"}) as site:
        site.postfix.reinject_milters = site.milter_address
        site.start()
        site.make_ca()
        site.cli("ca", "config", "mail_from", CA)
        site.issue(f"alice@{PARTNER}", "Alice", "--key", "ec:P-256")
        site.issue(CA, "CA", "--key", "ec:P-256")
        site.prefer(f"alice@{PARTNER}", encrypt_mode="force")
        site.prefer(CA, sign_mode="required")
        sent(site, send(site, f"alice@{PARTNER}", "--password-file", password_file(site)))
        mail = site.wait_mail(f"alice@{PARTNER}")
        require(parse(mail).get_content_type() == "multipart/mixed" and bundle_of(mail), parse(mail).get_content_type())
        require(b"postseal-marker" not in mail.lower(), "the marker is delivered")


def main():
    tap = Tap()
    if FULL:
        tap.case("where the filter is behind the listener, it leaves the mail alone", check_marker)
    with Site() as site:
        proxy = Listener(site.postfix.reinject)
        site.settings.update(reinject_address=f"127.0.0.1:{proxy.port}", reinject_timeout="10s", database_user="postgres")
        site.start()
        folder = os.path.join(site.folder, "people")
        os.makedirs(folder)
        site.make_ca()
        site.issue(f"alice@{PARTNER}", "Alice", "--key", "rsa:2048")
        site.issue(f"crash@{PARTNER}", "Crash", "--key", "ec:P-256")
        passwords, files = [PASSWORD, TOKEN], {}
        tap.case("what cannot work is refused before anything is made", check_refusals, site)
        tap.case("the file comes by mail, from the CA's address", lambda: files.update(modern=check_mail(site, folder)))
        tap.case("in German, and in the weak form, which is named", lambda: files.update(compat=check_german(site, folder)))
        tap.case("texts of the site's own, nothing injected", check_templates, site, folder)
        if len(files) == 2:
            tap.case("mail for the user is encrypted by the gateway", lambda: files.update(der=check_encrypted(site)))
        if len(files) == 3:
            check_programs(site, tap, folder, files["modern"], files["compat"], files["der"])
        for verb, twice in (("GREETING", 0), ("MAIL", 0), ("RCPT", 0), ("DATA", 0), ("END", 1)):
            tap.case(f"the daemon is killed at {verb}", check_crash, site, proxy, verb, twice)
        for seconds in (0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0) if FULL else (0.1,):
            tap.case(f"the daemon is killed {seconds} s after it was asked", check_crash_before, site, seconds)
        for verb, action, state, says in (("RCPT", b"550 5.1.1 nobody\r\n", "failed", "5.1.1"),
                                          ("MAIL", b"451 4.3.0 not now\r\n", "ready", "4.3.0"),
                                          ("END", CUT, "ready", "may have been sent"),
                                          ("DATA", CUT, "ready", ".")):
            tap.case(f"{verb} {action}: visible, and repeated", check_fault, site, proxy, verb, action, state, says)
        tap.case("a password by SMS", lambda: passwords.append(check_sms(site)))
        tap.case("a password by a command", lambda: passwords.append(check_command(site)))
        tap.case("a password that is shown once", lambda: passwords.append(check_shown(site)))
        tap.case("a request with its delivery", check_request, site)
        tap.case("no password is in the memory of the daemon", check_memory, site, passwords)
        tap.case("no password is anywhere", check_nowhere, site, passwords)
        proxy.stop()
    tap.done()


if __name__ == "__main__":
    main()
