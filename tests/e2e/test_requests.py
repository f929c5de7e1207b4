#!/usr/bin/env python3
"""Requests for certificates: handlers and their settings, CSRs that people carry to other CAs, a program of the site's own,
answers that are lost when the daemon is killed, revocation elsewhere."""
import contextlib
import glob
import json
import os
import subprocess
import sys
import time
import zipfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from authority import Authority  # noqa: E402
from commands import Cli, file_with, openssl  # noqa: E402
from harness import FULL, INSIDE, Failed, Site, Tap, wait_until  # noqa: E402

# A CA's client as a site would write it. What it did is in its folder, a file an event; a file "mode" says how it behaves.
PROGRAM = r'''#!/usr/bin/python3 -I
import json, os, subprocess, sys, time
HERE = os.path.dirname(os.path.abspath(__file__))
question = json.load(sys.stdin)
def path(*names): return os.path.join(HERE, *names)
def mode():
    try: return open(path("mode")).read().strip()
    except FileNotFoundError: return "issue"
def answer(**what):
    json.dump(what, sys.stdout); sys.exit(0)
with open(path("log"), "a") as log:
    log.write(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "action": question["action"], "question": question}) + "\n")
if question["action"] == "check":
    answer(status="issued", text="secret of %d letters" % len(question["settings"]["secret"] or ""))
if question["action"] == "chain":
    answer(status="issued", certificates=open(path("root.pem")).read())
if question["action"] == "revoke":
    open(path("revoked-" + question["revocation"]["serial"]), "w").write(question["revocation"]["reason"] or "")
    answer(status="issued")
request = question["request"]
done = path("issued-%d.pem" % request["id"])
def issue():
    open(path("in.csr"), "w").write(request["csr"])
    ext = path("ext-%d" % request["id"])
    open(ext, "w").write("subjectAltName=email:%s\nkeyUsage=critical,digitalSignature,keyAgreement\n"
                         "extendedKeyUsage=emailProtection\n" % (request["email"] if mode() != "wrong" else "eve@example.com"))
    open(path("csr-%d" % request["id"]), "w").write(request["csr"])
    subprocess.run(["openssl", "x509", "-req", "-in", path("csr-%d" % request["id"]), "-CA", path("root.pem"), "-CAkey", path("root.key"),
                    "-set_serial", str(int.from_bytes(os.urandom(8), "big") | 1), "-days", "90", "-extfile", ext, "-out", done + ".new"],
                   check=True, capture_output=True)
    with open(path("count"), "a") as f: f.write("%d\n" % request["id"])
    os.rename(done + ".new", done)
if question["action"] == "submit":
    if request["answer_was_lost"] and os.path.exists(done):
        answer(status="issued", certificates=open(done).read())
    if mode() == "pending":
        answer(status="pending", handle="order %d" % request["id"], retry_after=1)
    if mode() == "reject":
        answer(status="rejected", code="E4", text="no such person")
    if mode() == "nonsense":
        sys.stdout.write("<html>"); sys.exit(0)
    if mode() == "before":
        open(path("reached"), "w").write(str(os.getpid())); time.sleep(300)
    issue()
    if mode() == "after":
        open(path("reached"), "w").write(str(os.getpid())); time.sleep(300)
    answer(status="issued", certificates=open(done).read())
if question["action"] == "poll":
    assert question["request"]["handle"] == "order %d" % request["id"]
    if not os.path.exists(done): issue()
    answer(status="issued", certificates=open(done).read())
sys.exit(3)
'''


class Plant:
    """The folder of the program, and what it did."""

    def __init__(self, site):
        self.folder = os.path.join(site.folder, "plant")
        os.mkdir(self.folder, 0o755)
        self.ca = Authority(self.folder, "Plant Root")
        for name, source in (("root.pem", self.ca.cert), ("root.key", self.ca.key)):
            file_with(site, "plant/" + name, open(source, "rb").read())
        self.program = file_with(site, "plant/client", PROGRAM, 0o755)

    def mode(self, text):
        for name in ("reached",):
            if os.path.exists(os.path.join(self.folder, name)):
                os.unlink(os.path.join(self.folder, name))
        with open(os.path.join(self.folder, "mode"), "w") as f:
            f.write(text)

    def calls(self):
        with open(os.path.join(self.folder, "log")) as f:
            return [json.loads(line) for line in f]

    def count(self, number):
        try:
            with open(os.path.join(self.folder, "count")) as f:
                return f.read().split().count(str(number))
        except FileNotFoundError:
            return 0

    def reached(self):
        """The number of the process that waits in there."""
        try:
            with open(os.path.join(self.folder, "reached")) as f:
                return int(f.read() or 0)
        except FileNotFoundError:
            return 0


def sql(site, text):
    socket = site.database_socket()
    done = subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "/usr/bin/psql", "-X", "-qAt", "-v",
                           "ON_ERROR_STOP=1", "-h", os.path.dirname(socket), "-p", socket.rsplit(".", 1)[1], "-U", "postgres", "-d",
                           "postseal", "-c", text], capture_output=True, check=True, text=True)
    return done.stdout.strip()


def shown(cli, number):
    return cli.json("request", "show", str(number))


def order(cli, name, *args):
    return cli.json("request", "create", "--email", f"{name}@{INSIDE}", "--common-name", name.title(), "--key", "ec:P-256", *args)


def wait_state(cli, number, state):
    wait_until(f"request {number} is {state}", lambda: shown(cli, number)["state"] == state)
    return shown(cli, number)


# -- handlers ----------------------------------------------------------------------------------


def test_handlers(cli, plant):
    rows = {row["handler"]: row for row in cli.json("handler", "list")["items"]}
    cli.tap.ok(not rows["builtin"]["ready"] and "postseal ca create" in rows["builtin"]["lacks"], "without a CA the list says how to make one", rows)
    cli.expect(1, "request", "create", "--email", f"a@{INSIDE}", "--common-name", "A", error="postseal ca create", name="and so does a request")
    cli.tap.ok(rows["intellicard"]["lacks"] and not rows["intellicard"]["ready"], "intellicard is never ready")
    cli.expect(0, "handler", "config", "intellicard", "customer_id", "4711", output="4711", name="its settings are kept and shown")
    cli.expect(1, "handler", "test", "intellicard", output="not available: the interface is not public", name="its test says why not")
    cli.expect(1, "request", "create", "--email", f"a@{INSIDE}", "--common-name", "A", "--handler", "intellicard", error="not ready")
    cli.expect(5, "handler", "show", "comand", error="did you mean 'command'")
    for mistyped in ("csr/nothing", "builtin/nothing"):
        cli.expect(1, "request", "create", "--email", f"a@{INSIDE}", "--common-name", "A", "--handler", mistyped,
                   error="has no configuration 'nothing'")
    cli.expect(1, "handler", "config", "command", "progam", "/bin/true", error="did you mean 'program'")
    cli.expect(1, "request", "create", "--email", f"a@{INSIDE}", "--common-name", "A", "--handler", "command", error="program is not set")
    cli.expect(0, "handler", "config", "command", "program", plant.program)
    cli.expect(0, "handler", "config", "command", "settings", "url=https://ca.example 'dept=a b'")
    secret = file_with(cli.site, "secret", "wonderfully-hidden\n")
    cli.expect(0, "handler", "config", "command", "secret", "--password-file", secret, output="(set)")
    cli.expect(2, "handler", "config", "command", "secret", "told", error="is a secret")
    everything = cli.run("handler", "show", "command", "--json").stdout + cli.run("handler", "config", "command").stdout
    cli.tap.ok("wonderfully-hidden" not in everything, "a secret is never shown again")
    cli.expect(0, "handler", "test", "command", output="secret of 18 letters")
    cli.expect(0, "handler", "config", "command/second", "program", "/usr/bin/false")
    names = [row["handler"] for row in cli.json("handler", "list")["items"]]
    cli.tap.ok("command/second" in names, "several configurations stand side by side", names)
    cli.expect(0, "handler", "delete", "command/second")
    cli.expect(1, "handler", "config", "command", "chain", "maybe", error="on or off")
    cli.expect(0, "handler", "config", "command", "chain", "on")
    cli.expect(0, "handler", "config", "command", "revokes", "on")


def test_program(cli, plant):
    plant.mode("issue")
    early = order(cli, "early", "--handler", "command")
    cli.tap.ok(early["state"] == "failed" and "was not taken" in early["error"], "a chain that leads nowhere is not taken", early)
    cli.expect(1, "handler", "import-chain", "command", error="makes a root trusted")
    cli.expect(0, "handler", "import-chain", "command", "--yes", output="new")
    cli.expect(0, "request", "retry", str(early["id"]), output="issued", name="looked at once more it is")
    cli.tap.ok(plant.count(early["id"]) == 1, "and was not asked for twice")
    started = time.monotonic()
    ann = order(cli, "ann", "--handler", "command")
    took = time.monotonic() - started
    cli.tap.ok(ann["state"] == "issued" and took < (3 if FULL else 90), "a request is worked on at once", f"{took:.2f} s: {ann}")
    call = [c for c in plant.calls() if c["action"] == "submit"][-1]
    cli.tap.ok(call["argv"] == ["submit"] and set(call["env"]) <= {"PATH", "LANG", "LC_CTYPE"} and "wonderfully" not in json.dumps([call["argv"], call["env"]]),
               "the program has a clean environment and no secret in its arguments", call["env"])
    cli.tap.ok(call["question"]["settings"] == {"values": {"url": "https://ca.example", "dept": "a b"}, "secret": "wonderfully-hidden"},
               "it is told its settings")
    plant.mode("pending")
    bob = order(cli, "bob", "--handler", "command")
    cli.tap.ok(bob["state"] in ("pending", "issued"), "pending has a handle", bob)
    bob = wait_state(cli, bob["id"], "issued")
    cli.tap.ok([h["state"] for h in bob["history"]][-2:] == ["pending", "issued"], "it is polled to its end", bob["history"])
    plant.mode("reject")
    eve = order(cli, "eve", "--handler", "command")
    cli.tap.ok(eve["state"] == "rejected" and eve["error"] == "no such person", "a no is a state", eve)
    plant.mode("wrong")
    dave = order(cli, "dave", "--handler", "command")
    got = shown(cli, dave["id"])
    cli.tap.ok(got["state"] == "failed" and f"dave@{INSIDE}" in got["error"] and got["returned"][0]["our_key"], "what is for somebody else is kept, not stored", got)
    cli.expect(1, "request", "accept", str(dave["id"]), error="add --yes")
    cli.expect(0, "request", "delete", str(dave["id"]), str(eve["id"]), output="2")
    plant.mode("nonsense")
    nora = order(cli, "nora", "--handler", "command")
    cli.tap.ok(nora["state"] == "keyed" and "no JSON" in nora["error"], "nonsense is a lost answer", nora)
    # It is asked for again and again, and cannot be cancelled meanwhile.
    wait_until("it is cancelled", lambda: cli.run("request", "cancel", str(nora["id"])).returncode == 0, 60, step=0.5)
    cli.tap.ok(True, "a request whose answer was lost can be cancelled")
    cli.expect(5, "request", "csr", str(ann["id"] + 4711), error="does not exist")
    plant.mode("issue")
    serial = cli.json("cert", "show", ann["thumbprint"])["certificates"][0]["serial"]
    cli.expect(0, "cert", "revoke", ann["thumbprint"], "--reason", "superseded", output="its CA is asked")
    wait_until("its CA has revoked it", lambda: (shown(cli, ann["id"]).get("revocation") or {}).get("state") == "done")
    cli.tap.ok(glob.glob(os.path.join(plant.folder, "revoked-*")), "revoked at its CA", serial)
    cli.expect(1, "cert", "revoke", ann["thumbprint"], error="revoked already")


def test_wrong_settings(cli, plant):
    cli.expect(0, "handler", "config", "command", "program", "/nonexistent/client")
    cli.expect(1, "request", "create", "--email", f"x@{INSIDE}", "--common-name", "X", "--handler", "command", error="not ready")
    cli.expect(0, "handler", "config", "command", "program", plant.program)
    plant.mode("pending")
    sql(cli.site, "SELECT 1")
    kate = order(cli, "kate", "--handler", "command", "--no-wait")
    os.rename(plant.program, plant.program + ".away")
    wait_until("the request stops", lambda: shown(cli, kate["id"])["state"] == "issued" or "settings" in (shown(cli, kate["id"])["waits_for"] or ""))
    os.rename(plant.program + ".away", plant.program)
    cli.expect(0, "handler", "config", "command", "timeout", "30s", name="settings are changed")
    wait_state(cli, kate["id"], "issued")
    cli.tap.ok(True, "then what waited for them goes on")


def killed(cli, plant, name, mode):
    """The daemon dies while the CA is asked; the next one finds out."""
    site = cli.site
    plant.mode(mode)
    made = order(cli, name, "--handler", "command", "--no-wait")["id"]
    wait_until("the CA is being asked", plant.reached)
    cli.expect(4, "request", "retry", str(made), name=f"{name}: hands off while it is asked")
    running = plant.reached()
    site.daemon.kill()
    with contextlib.suppress(ProcessLookupError):  # it may have gone with its daemon
        os.kill(running, 9)
    plant.mode("issue")
    site.start_daemon()
    # A minute goes by.
    sql(site, "UPDATE request SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL;"
              " UPDATE job SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL;"
              " UPDATE job SET due = now() WHERE kind IN ('ask-ca', 'work-requests') AND state = 'due'")
    row = wait_state(cli, made, "issued")
    asked = [c for c in plant.calls() if c["action"] == "submit" and c["question"]["request"]["id"] == made]
    certs = cli.json("cert", "list", "--email", f"{name}@{INSIDE}")["items"]
    cli.tap.ok(plant.count(made) == 1 and len(certs) == 1 and asked[-1]["question"]["request"]["answer_was_lost"],
               f"killed {mode} it issued: one certificate, and the CA is told that an answer was lost", (plant.count(made), len(certs), row))
    return made


def test_killed(cli, plant):
    killed(cli, plant, "carol", "before")
    killed(cli, plant, "chris", "after")
    loose = sql(cli.site, "SELECT count(*) FROM private_key k WHERE k.request_id IS NOT NULL AND NOT EXISTS"
                          " (SELECT 1 FROM request r WHERE r.spki_sha256 = k.spki_sha256)")
    deleted = 2  # of test_program
    cli.tap.ok(int(loose) == deleted, "no key without its request", loose)


# -- CSRs ----------------------------------------------------------------------------------------


def sign_x509(folder, ca, csr, email):
    out = csr + ".pem"
    ext = file_in(folder, "x509.ext", f"subjectAltName=email:{email}\nkeyUsage=critical,digitalSignature,keyAgreement\nextendedKeyUsage=emailProtection\n")
    openssl("x509", "-req", "-in", csr, "-CA", ca.cert, "-CAkey", ca.key, "-set_serial", str(int.from_bytes(os.urandom(8), "big") | 1),
            "-days", "90", "-extfile", ext, "-out", out)
    return out


def file_in(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def sign_ca(folder, ca, csr, email):
    """openssl ca, which takes the extensions that the CSR asks for."""
    out, conf = csr + ".pem", os.path.join(folder, "ca.cnf")
    for name, text in (("index", ""), ("index.attr", "unique_subject = no\n")):
        file_in(folder, name, text)
    file_in(folder, "ca.cnf", f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nnew_certs_dir={folder}\nrand_serial=yes\ndefault_md=sha256\n"
                              "policy=p\ncopy_extensions=copy\n[p]\ncommonName=optional\norganizationName=optional\n")
    openssl("ca", "-batch", "-notext", "-config", conf, "-in", csr, "-cert", ca.cert, "-keyfile", ca.key, "-days", "90", "-out", out)
    return out


def sign_certtool(folder, ca, csr, email):
    out = csr + ".pem"
    template = file_in(folder, "certtool.cfg", f"cn = X\nemail = {email}\nexpiration_days = 90\nsigning_key\nkey_agreement\nemail_protection_key\n")
    subprocess.run(["certtool", "--generate-certificate", "--load-request", csr, "--load-ca-certificate", ca.cert, "--load-ca-privkey", ca.key,
                    "--template", template, "--outfile", out], check=True, capture_output=True)
    return out


def test_csr(cli, plant):
    site, folder = cli.site, os.path.join(cli.site.folder, "csr")
    os.mkdir(folder)
    root = Authority(folder, "Outside Root")
    below = Authority(folder, "Outside Issuing", root)
    made = {}
    for name in ("mia", "noah", "olga", "paul", "quin", "rosa", "sven"):
        answer = order(cli, name, "--handler", "csr")
        made[name] = answer["id"]
        cli.tap.ok(answer["state"] == "pending" and answer["waits_for"] == "a person", f"{name} waits for a person", answer) if name == "mia" else None
        with open(os.path.join(folder, name), "w") as f:
            f.write(cli.run("request", "csr", str(answer["id"])).stdout)
    text = openssl("req", "-in", os.path.join(folder, "mia"), "-noout", "-text", "-verify").decode()
    cli.tap.ok(f"email:mia@{INSIDE}" in text and "E-mail Protection" in text and "Digital Signature" in text, "the CSR asks for address and usages", text)
    both = cli.run("request", "csr", str(made["mia"]), str(made["noah"])).stdout
    cli.tap.ok(both.count("BEGIN CERTIFICATE REQUEST") == 2, "several CSRs at once")
    der = os.path.join(folder, "mia.der")
    cli.expect(0, "request", "csr", str(made["mia"]), "--format", "der", "--output", der)
    openssl("req", "-inform", "DER", "-in", der, "-noout")
    signed = {}
    for name, sign in (("mia", sign_x509), ("noah", sign_ca), ("olga", sign_certtool), ("paul", sign_x509), ("quin", sign_x509), ("rosa", sign_x509)):
        signed[name] = sign(folder, below, os.path.join(folder, name), f"{name}@{INSIDE}")
    cli.expect(0, "request", "upload", signed["mia"], output="chain is not complete", name="PEM; a chain that lacks is told")
    cli.expect(0, "root", "import", root.cert)
    p7 = os.path.join(folder, "noah.p7b")
    openssl("crl2pkcs7", "-nocrl", "-certfile", signed["noah"], "-certfile", below.cert, "-certfile", root.cert, "-outform", "DER", "-out", p7)
    done = cli.expect(0, "request", "upload", p7, output="intermediate", name="PKCS#7 with its chain: the intermediate is kept")
    cli.tap.ok("root import" in done.stdout, "and the root is not", done.stdout)
    openssl("x509", "-in", signed["olga"], "-outform", "DER", "-out", signed["olga"] + ".der")
    cli.expect(0, "request", "upload", signed["olga"] + ".der", output=str(made["olga"]), name="DER, from certtool")
    p12, password = os.path.join(folder, "paul.p12"), file_with(site, "p12password", "open-sesame\n")
    openssl("pkcs12", "-export", "-nokeys", "-in", signed["paul"], "-out", p12, "-passout", "pass:open-sesame")
    cli.expect(1, "request", "upload", p12, output="password", name="PKCS#12 without its password")
    cli.expect(0, "request", "upload", p12, "--password-file", password, output="taken", name="PKCS#12 with it")
    archive = os.path.join(folder, "all.zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as z:
        z.write(signed["quin"], "a/quin.pem")
        z.write(signed["rosa"], "rosa.pem")
    done = cli.run("request", "upload", archive, "--json").stdout
    cli.tap.ok(done.count('"taken"') == 2, "a ZIP archive of several", done)
    cli.expect(1, "request", "upload", signed["rosa"], output="no request waits", name="once is enough")
    other = sign_x509(folder, below, os.path.join(folder, "sven"), "somebody@else.example")
    cli.expect(1, "request", "upload", other, output="does not have the address", name="not for somebody else")
    states = {row["email"].split("@")[0]: row["state"] for row in cli.json("request", "list", "--handler", "csr")["items"]}
    cli.tap.ok([states[n] for n in sorted(made)] == ["issued"] * 6 + ["pending"], "six are there, one waits", states)
    cli.expect(1, "cert", "revoke", shown(cli, made["mia"])["thumbprint"], error="cannot revoke")
    found = cli.json("request", "list", "--open", "--email", f"sven@{INSIDE}")["items"]
    cli.tap.ok([row["id"] for row in found] == [made["sven"]], "lists are filtered", found)
    cli.expect(0, "request", "cancel", str(made["sven"]))
    key = cli.json("key", "list")["items"]
    cli.tap.ok(all(row["origin"].startswith("generated (request ") for row in key), "keys say which request they were made for", key[:2])
    pair = order(cli, "tess", "--handler", "csr", "--key-use", "pair")
    twins = cli.json("request", "list", "--email", f"tess@{INSIDE}")["items"]
    cli.tap.ok(len(twins) == 2 and {t["pair"] for t in twins} == {pair["id"]}, "a pair is two requests", twins)


def test_builtin(cli, plant):
    cli.site.make_ca()
    rows = {row["handler"]: row for row in cli.json("handler", "list")["items"]}
    cli.tap.ok(rows["builtin"]["ready"], "with a CA the built-in handler is ready")
    uma = order(cli, "uma")
    cli.tap.ok(uma["state"] == "issued", "it answers at once", uma)
    cli.expect(2, "request", "create", "--email", f"v@{INSIDE}", "--common-name", "V", "--sms", error="needs --send")
    cli.expect(1, "request", "create", "--email", f"v@{INSIDE}", "--common-name", "V", "--send", name="a key is not sent without sender and password")
    cli.tap.ok(not cli.json("request", "list", "--email", f"v@{INSIDE}")["items"], "and nothing was made")
    cli.expect(0, "cert", "revoke", uma["thumbprint"], "--reason", "keyCompromise", output="revoked")
    cli.expect(0, "handler", "import-chain", "builtin", "--yes", output="already there")
    cli.expect(1, "handler", "test", "builtin", error="nothing to test")


def main():
    tap = Tap()
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root for a database of its own")
        return
    with Site() as site:
        site.start(postfix=False)
        cli, plant = Cli(site, tap), Plant(site)
        for test in (test_handlers, test_program, test_wrong_settings, test_killed, test_csr, test_builtin):
            try:
                started = time.monotonic()
                test(cli, plant)
                print(f"# {test.__name__}: {time.monotonic() - started:.1f} s")
            except (Failed, KeyError, IndexError, ValueError, OSError, AssertionError, subprocess.SubprocessError) as error:
                tap.ok(False, f"{test.__name__} ran to its end", f"{type(error).__name__}: {error} {getattr(error, 'stderr', '')}")
        if tap.failures:
            site.show_logs()
    tap.done()


main()
