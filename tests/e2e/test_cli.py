#!/usr/bin/env python3
"""The command line against a running gateway: every noun once, roles, exit statuses, and clear lines for bad input."""
import csv
import grp
import io
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from commands import Cli, file_with, openssl  # noqa: E402
from harness import INSIDE, PARTNER, Failed, Site, Tap, program, wait_until  # noqa: E402

ALICE, BOB, EVE = f"alice@{INSIDE}", f"bob@{PARTNER}", f"eve@{PARTNER}"


# -- the nouns ------------------------------------------------------------------------------


def test_setup(cli):
    cli.expect(0, "setup", "--yes", output="was there", name="setup a second time changes nothing")
    again = cli.run("setup", "--yes")
    cli.tap.ok("safe" not in again.stdout, "what to keep in a safe is said once")
    cli.expect(1, "setup", "--database", "host=elsewhere", error="says another database", name="setup does not change settings")


def test_certificates(cli):
    site = cli.site
    first = cli.json("cert", "list", "--email", BOB)["items"][0]
    cli.tap.ok(first["verdict"] == "valid" and first["key"] is True, "cert list has verdict and key mark", first)
    cli.expect(0, "cert", "show", first["thumbprint"][:12], output="key usage")
    facts = cli.json("cert", "show", first["thumbprint"])["certificates"][0]
    wanted = ["subject", "email", "issuer", "serial", "not_before", "not_after", "spki_sha256", "signature_algorithm",
              "extended_key_usage", "kind", "thumbprint", "thumbprint_sha256", "private_key", "origin", "verdict", "selected"]
    cli.tap.ok(all(name in facts for name in wanted), "cert show has the facts of an administrator", sorted(facts))
    rows = list(csv.DictReader(io.StringIO(cli.run("cert", "list", "--csv").stdout)))
    cli.tap.ok(any(row["email"] == ALICE for row in rows), "cert list --csv can be read by others", rows)
    cli.expect(5, "cert", "show", "0123456789abcdef", error="no certificate and no root")
    page = cli.json("cert", "list", "--limit", "1")
    rest = cli.json("cert", "list", "--limit", "100", "--after", page["next"])["items"]
    cli.tap.ok(page["items"][0]["thumbprint"] not in [item["thumbprint"] for item in rest] and rest, "pages go on")
    pem = os.path.join(site.folder, "export.pem")
    cli.expect(0, "cert", "export", first["thumbprint"], "--chain", "--output", pem)
    cli.tap.ok(open(pem).read().count("BEGIN CERTIFICATE") == 3, "exported with its chain")
    cli.expect(0, "cert", "import", pem, output="already there", name="re-import is harmless")
    for form in ("der", "pkcs7"):
        path = os.path.join(site.folder, "export." + form)
        cli.expect(0, "cert", "export", first["thumbprint"], "--format", form, "--output", path)
        cli.expect(0, "cert", "show", path, output="CN=", name=f"cert show of a {form} file")


def test_delete_and_import_again(cli):
    site = cli.site
    secret = file_with(site, "pw", "secret\n")
    p12 = os.path.join(site.folder, "carol.p12")
    site.issue(f"carol@{INSIDE}", "Carol")
    cli.expect(0, "cert", "export", "--email", f"carol@{INSIDE}", "--format", "pkcs12", "--password-file", secret, "--output", p12)
    one = cli.json("cert", "list", "--email", f"carol@{INSIDE}")["items"][0]
    spki = cli.json("cert", "show", one["thumbprint"])["certificates"][0]["spki_sha256"]
    cli.expect(1, "key", "delete", spki, error="can never be read again; add --yes")
    cli.expect(1, "cert", "delete", one["thumbprint"], error=f"encrypt for carol@{INSIDE} (automatic)")
    cli.expect(0, "cert", "delete", one["thumbprint"], "--yes")
    cli.expect(0, "key", "delete", spki)
    cli.expect(5, "key", "show", spki)
    folder = os.path.join(site.folder, "many")
    os.makedirs(folder, exist_ok=True)
    shutil.copy(p12, folder)
    file_with(site, "many/broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    done = cli.run("cert", "import", folder, "--password-file", secret)
    cli.tap.ok(done.returncode == 1 and "broken.pem" in done.stdout and "rejected" in done.stdout.splitlines()[-1]
               and cli.json("key", "show", spki)["keys"][0]["certificates"] == 1,
               "import: one line an object and a total, a broken file stops nothing", done.stdout + done.stderr)


def test_trust(cli):
    site = cli.site
    bob = cli.json("cert", "list", "--email", BOB)["items"][0]["thumbprint"]
    root = cli.json("root", "list")["items"][0]
    cli.expect(0, "ctl", "add", bob[:16], "deny", "--comment", "lost card")
    cli.tap.ok(cli.json("cert", "list", "--email", BOB)["items"][0]["verdict"] == "invalid", "denied: invalid")
    cli.expect(1, "ctl", "add", bob, "allow", error="there is an entry already")
    cli.expect(0, "ctl", "list", output="lost card")
    cli.expect(0, "ctl", "set", bob, "--mark", "allow", "--expired", "yes")
    cli.tap.ok(cli.json("ctl", "show", bob)["mark"] == "allow-expired", "changed")
    cli.expect(0, "ctl", "remove", bob)
    cli.expect(5, "ctl", "show", bob)
    cli.expect(5, "ctl", "add", "00112233445566", "deny", error="give all 128 digits")
    cli.expect(0, "ctl", "add", "ab" * 64, "deny", name="an entry can come before its certificate")
    pem = os.path.join(site.folder, "root.pem")
    cli.expect(0, "root", "export", "--all", "--output", pem)
    cli.expect(1, "root", "remove", root["thumbprint"], error="will not be valid any more; add --yes")
    cli.expect(0, "root", "remove", root["thumbprint"], "--yes")
    cli.tap.ok(cli.json("cert", "list", "--email", BOB)["items"][0]["verdict"] == "invalid", "without its root: invalid")
    cli.expect(0, "root", "import", pem, output="new")
    cli.tap.ok(cli.json("cert", "list", "--email", BOB)["items"][0]["verdict"] == "valid", "with it again: valid")
    user = os.path.join(site.folder, "bob.pem")
    cli.expect(0, "cert", "export", bob, "--output", user)
    cli.expect(1, "root", "import", user, error="is no self-signed CA certificate", name="an end user's certificate is no root")
    cli.expect(0, "crl", "list", output="Test Issuing CA")


def test_preferences(cli):
    cli.expect(0, "domain", "set", PARTNER, "encrypt_mode", "force")
    shown = {row["preference"]: row for row in cli.json("user", "show", BOB)["items"]}
    cli.tap.ok(shown["encrypt_mode"]["value"] == "force" and shown["encrypt_mode"]["scope"] == f"domain {PARTNER}",
               "a user inherits from his domain", shown["encrypt_mode"])
    cli.expect(0, "user", "set", BOB, "encrypt_mode", "allow")
    cli.expect(0, "user", "show", BOB, "--own", output="allow")
    cli.expect(0, "user", "unset", BOB, "encrypt_mode")
    cli.expect(5, "user", "unset", BOB, "encrypt_mode")
    cli.expect(2, "domain", "set", PARTNER, "encrypt_mod", "force", error="did you mean 'encrypt_mode'?")
    cli.expect(2, "domain", "set", PARTNER, "encrypt_mode", "forse", error="did you mean 'force'?")
    cli.expect(0, "domain", "preset", "other.example", "strict")
    cli.expect(1, "domain", "preset", "other.example", "strikt", error="did you mean 'strict'?")
    cli.expect(1, "domain", "delete", "other.example", error="add --yes")
    cli.expect(0, "domain", "delete", "other.example", "--yes")
    cli.expect(0, "user", "add", "new@other.example", "--comment", "x")
    cli.expect(0, "user", "list", output="new@other.example")
    cli.expect(0, "global", "list", "trigger", output="encrypt_trigger_subject")
    cli.expect(0, "global", "set", "digest", "sha512")
    cli.expect(0, "global", "unset", "digest")


def test_selection(cli):
    bob = cli.json("cert", "list", "--email", BOB)["items"][0]["thumbprint"]
    alice = cli.json("cert", "list", "--email", ALICE)["items"][0]["thumbprint"]
    cli.expect(0, "select", "show", ALICE, output="automatic")
    cli.expect(0, "select", "sign", INSIDE, alice, output="will be used:")
    cli.expect(0, "select", "auto", INSIDE)
    cli.expect(0, "select", "additional", "global", bob, output="can read all encrypted mail")
    cli.expect(0, "select", "show", ALICE, output="additional")
    cli.expect(0, "select", "additional", "global", bob, "--remove")
    cli.expect(5, "select", "additional", "global", bob, "--remove")


def test_ca_and_requests(cli):
    site = cli.site
    cli.expect(0, "ca", "list", output="Test Issuing CA")
    cli.expect(0, "ca", "show", output="Test Root")
    cli.expect(0, "ca", "config", "validity_days", "200")
    cli.expect(0, "ca", "config", output="200")
    cli.expect(1, "ca", "config", "validity_dais", "200", error="validity_days")
    cli.expect(1, "ca", "create", "--common-name", "Test Root", "--intermediate-common-name", "Other", "--yes",
               error="Test Root", name="names of CAs do not repeat")
    cli.expect(2, "request", "create", "--email", "no address", "--common-name", "x", error="not a mail address")
    made = cli.json("request", "create", "--email", f"dave@{INSIDE}", "--common-name", "Dave", "--key", "ec:P-256")
    cli.tap.ok(made["state"] == "issued", "request create issues at once", made)
    cli.expect(0, "request", "show", str(made["id"]), output="ec:P-256")
    csr = cli.run("request", "csr", str(made["id"]))
    cli.tap.ok(csr.returncode == 0 and b"Dave" in openssl("req", "-noout", "-subject", stdin=csr.stdout.encode()),
               "its CSR can be read by others", csr.stderr)
    dave = cli.json("cert", "list", "--email", f"dave@{INSIDE}")["items"][0]
    cli.expect(1, "ca", "revoke", "0badc0de", error="add --yes", name="a serial that was never issued asks first")
    cli.expect(0, "ca", "revoke", dave["serial"], "--reason", "keyCompromise", output="revoked")
    cli.tap.ok(cli.json("cert", "list", "--email", f"dave@{INSIDE}")["items"][0]["verdict"] == "revoked", "revoked at once")
    crl = os.path.join(site.folder, "ca.crl")
    cli.expect(0, "ca", "export", "--crl", "--output", crl)
    cli.tap.ok(dave["serial"].upper().lstrip("0").encode() in openssl("crl", "-inform", "DER", "-in", crl, "-noout", "-text").replace(b":", b""),
               "the CRL names it")
    cli.expect(0, "ca", "export", "--format", "pkcs7", "--output", os.path.join(site.folder, "ca.p7b"))


def test_external_root(cli):
    site = cli.site
    answer = json.loads(cli.run("ca", "create", "--external-root", "--intermediate-common-name", "Under Others", "--intermediate-key", "ec:P-256",
                                "--json").stdout)
    csr = file_with(site, "under.csr", answer["csr"])
    key, root = os.path.join(site.folder, "others.key"), os.path.join(site.folder, "others.pem")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", root, "-days", "900",
            "-subj", "/CN=Root of Others")
    extensions = file_with(site, "others.ext", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
                           "extendedKeyUsage=emailProtection\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    issued = os.path.join(site.folder, "under.pem")
    openssl("x509", "-req", "-in", csr, "-CA", root, "-CAkey", key, "-days", "800", "-extfile", extensions, "-out", issued)
    order = ("request", "create", "--email", f"ext@{INSIDE}", "--common-name", "Ext", "--ca", "Under Others", "--key", "ec:P-256")
    cli.expect(0, "request", "upload", issued, root, output="Under Others", name="the certificate finds the CA that waits for it")
    cli.expect(0, "root", "import", root)
    cli.expect(0, *order)
    certs = cli.json("cert", "list", "--email", f"ext@{INSIDE}")["items"]
    cli.tap.ok(len(certs) == 1 and certs[0]["verdict"] == "valid", "what it issues is valid below the external root", certs)


def test_records(cli):
    rows = cli.json("audit", "list", "--limit", "1000")["items"]
    operations = {row["operation"] for row in rows}
    wanted = {"ca create", "request create", "cert delete", "key delete", "root import", "ctl add", "domain set", "user unset",
              "select sign", "ca revoke", "cert export"}
    cli.tap.ok(wanted <= operations, "every change is in the audit", wanted - operations)
    cli.tap.ok(all(row["actor"].split(" ")[0] in ("root", "bin") and row["at"] for row in rows if row["from"] != "job"), "with who and when")
    cli.expect(0, "job", "list", "--all", output="housekeeping", name="job list: housekeeping, which may be more than a page ago")
    cli.expect(5, "trace", "--queue-id", "NOSUCH", error="postseal: trace: nothing in the record fits")
    cli.expect(1, "trace", error="say what to look for")


def test_explain(cli):
    answer = cli.json("explain", "--from", ALICE, "--to", BOB, "--client", "127.0.0.1")
    cli.tap.ok(answer["recipients"][0]["reason"] == "signed-encrypted", "explain tells the outcome", answer["recipients"][0])
    cli.expect(0, "explain", "--from", ALICE, "--to", BOB, output=f"domain {PARTNER}", name="explain names the scope of a preference")
    cli.expect(0, "explain", "--from", ALICE, "--to", BOB, output="encryption  5: ", name="and the row that decided")
    message = file_with(cli.site, "m.eml", f"From: Alice\n <{ALICE}>\nTo: {BOB}\nSubject: x\n\nbody\n")
    same = cli.json("explain", "--message", message, "--to", BOB)
    cli.tap.ok(same["sender"]["author"] == ALICE, "explain --message takes the author from it", same["sender"])
    later = cli.json("explain", "--from", ALICE, "--to", BOB, "--at", "2046-01-01T00:00:00Z")
    cli.tap.ok(later["recipients"][0]["reason"] == "refused.no-certificate" and "expired" in json.dumps(later["recipients"][0]["certificates"]),
               "explain --at judges by that time", later["recipients"][0])
    now = cli.json("explain", "--from", ALICE, "--to", BOB)
    cli.tap.ok(now["recipients"][0]["reason"] == "signed-encrypted", "and leaves nothing of it behind", now["recipients"][0])
    cli.expect(2, "explain", "--from", ALICE, error="--to is missing")
    cli.expect(2, "explain", "--from", ALICE, "--to", BOB, "--client", "nowhere", error="--client: 'nowhere' is no IP address")


def test_status(cli):
    status = cli.json("status")
    cli.tap.ok(status["database"]["up"] and status["milter"]["up"], "status knows database and filter", status)
    text = cli.run("status", "--prometheus").stdout
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    cli.tap.ok(all(len(line.rsplit(" ", 1)) == 2 and _number(line.rsplit(" ", 1)[1]) for line in lines), "Prometheus text parses", text)
    names = [line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE")]
    cli.tap.ok(len(names) == len(set(names)) and "postseal_database_up 1" in lines, "each metric has one type", names)


def _number(text):
    try:
        float(text)
        return True
    except ValueError:
        return False


# -- what goes wrong ------------------------------------------------------------------------


def test_bad_input(cli):
    site = cli.site
    other = os.path.join(site.folder, "bad.conf")
    for line, error in (("databse = embedded", "bad.conf:1: unknown setting 'databse', did you mean 'database'?"),
                        ("database", "bad.conf:1: "),
                        ("database_pool = many", "bad.conf:1: "),
                        ("log_level = loud", "bad.conf:1: ")):
        with open(other, "w") as f:
            f.write(line + "\n")
        cli.expect(1, "config", "check", other, error=error, name=f"settings line '{line}': {error}")
        done = subprocess.run([program("postseald"), "-c", other], capture_output=True, text=True)
        cli.tap.ok(done.returncode != 0 and error in done.stderr and done.stderr.count("\n") == 1, f"postseald does not start: {error}", done.stderr)
    secret, wrong = file_with(site, "pw", "secret\n"), file_with(site, "pw2", "wrong\n")
    p12 = os.path.join(site.folder, "wrong.p12")
    cli.expect(0, "cert", "export", "--email", ALICE, "--format", "pkcs12", "--password-file", secret, "--output", p12)
    cli.expect(1, "key", "import", p12, "--password-file", wrong, error="postseal: key import: wrong.p12: wrong password\n")
    cli.expect(1, "cert", "import", p12, error="wrong.p12:", stdin="", name="a PKCS#12 file without a password")
    damaged = file_with(site, "damaged.cer", open(os.path.join(site.folder, "export.der"), "rb").read()[:-40])
    cli.expect(1, "cert", "import", damaged, error="postseal: cert import: damaged.cer: ")
    cli.expect(1, "cert", "import", file_with(site, "empty.pem", ""), error="empty.pem: ")
    cli.expect(5, "cert", "import", "/nonexistent.pem", error="postseal: cert import: /nonexistent.pem: No such file")
    cli.expect(2, "cert", "lsit", error="did you mean 'list'?")
    cli.expect(2, "cert", "list", "--limit", "many", error="--limit: 'many' is not a number")
    cli.expect(2, "cert", "list", "--limit", "0", error="--limit: at least 1")
    cli.expect(2, "user", "list", "--limit", "0", error="--limit: at least 1")
    cli.expect(1, "cert", "list", "--serial", "zz", error="is no serial number", name="a serial without a digit is not found in all")
    cli.expect(2, "trace", "--since", "yesterday", error="--since: 'yesterday' is not a time")
    cli.expect(2, "ctl", "add", "00112233", "perhaps", error="'perhaps' is none of allow|deny")
    cli.expect(5, "cert", "show", "alice", error="neither a file nor a thumbprint")
    cli.expect(5, "selftest", "--to", BOB, "--mta-config", "/nonexistent", error="--mta-config: /nonexistent")
    finished = wait_until("a job that is done", lambda: [job["id"] for job in cli.json("job", "list", "--all")["items"] if job["state"] == "done"])
    cli.expect(1, "job", "retry", str(finished[0]), error="is not waiting and has not failed", name="a job that is done is not repeated")
    cli.expect(5, "job", "retry", "999999", error="does not exist")
    cli.expect(2, "key", "import", p12, "--password", "x", error="a password is no argument")
    alone, other = os.path.join(site.folder, "alone.key"), os.path.join(site.folder, "alone.pem")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", alone, "-out", other, "-days", "9", "-subj", "/CN=Alone")
    sealed = os.path.join(site.folder, "sealed.eml")
    cli.expect(0, "message", "encrypt", file_with(site, "open.eml", f"From: {ALICE}\n\nbody\n"), "--to", other, "--output", sealed)
    cli.expect(1, "message", "decrypt", sealed, "--key", alone, output="no certificate that fits the given key")
    cli.expect(0, "message", "decrypt", sealed, "--key", alone, "--key", other)
    short = file_with(site, "short.eml", open(sealed, "rb").read()[:-400])
    cli.expect(1, "message", "verify", short, output="malformed", name="a cut message is not merely unsigned")
    read, write = os.pipe()
    os.write(write, b"secret\n")
    os.close(write)
    cli.expect(0, "key", "import", p12, "--password-fd", str(read), fds=(read,), name="a password from a descriptor")
    os.close(read)


def test_unreadable_key(cli):
    site = cli.site
    key = site.settings["master_key_file"]
    os.chmod(key, 0o644)
    found = cli.run("doctor", "--no-mta")
    cli.tap.ok("others than its owner have rights on it" in found.stdout and "chmod 600" in found.stdout and found.returncode == 1,
               "doctor says how to mend a key that others can read", found.stdout)
    done = subprocess.run([program("postseald"), "-c", site.config], capture_output=True, text=True, timeout=300)
    cli.tap.ok(done.returncode != 0 and "chmod 600" in done.stderr and done.stderr.count("\n") == 1, "postseald refuses it with one line", done.stderr)
    os.chmod(key, 0o600)


# A line for main.cf or options of the listener for copies, and what doctor says of it.
PLACES = [
    ("the filter on the listener for copies", "", "-o smtpd_milters={milter}", "pass Postseal again"),
    ("a content filter behind it", "", "-o content_filter=smtp:[127.0.0.1]:1", "go through a content filter"),
    ("its addresses expanded", "", "-o receive_override_options=", "may be expanded to others'"),
    ("loopback not let in", "", "-o mynetworks=192.0.2.0/24", "loopback is not in mynetworks"),
    ("virtual aliases", "virtual_alias_maps = hash:/etc/x\nreceive_override_options =", "", "what was left plain for one inside can leave"),
    ("a copy of everything", "always_bcc = x@inside.example\nreceive_override_options =", "", "a copy of all mail, decrypted mail too"),
    ("maps that have no effect", "virtual_alias_maps = hash:/etc/x\nalways_bcc = x@inside.example", "", None),
    ("aliases of local(8)", "mydestination = local.example\nalias_maps = hash:/etc/aliases", "", "alias_maps is set: an alias with an address outside"),
    (".forward", "mydestination = local.example", "", "forward_path is set: a user's .forward"),
    ("generic", "smtp_generic_maps = hash:/etc/x", "", "smtp_generic_maps is set"),
    ("little patience", "milter_content_timeout = 60s", "", "does not wait long enough"),
]


def test_doctor_place(cli, folder, reinject):
    def examined(main, options, old=reinject, new=reinject, more=()):
        for name in ("main.cf", "master.cf"):
            shutil.copy(os.path.join(cli.site.postfix.conf, name), folder)
        with open(os.path.join(folder, "main.cf"), "a") as f:
            f.write(main + "\n")
        path = os.path.join(folder, "master.cf")
        with open(path) as f:
            lines = f.read().splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith(reinject))
        end = next(i for i in range(at + 1, len(lines)) if not lines[i].startswith(" "))
        lines.insert(end, "  " + options if options else "#")
        with open(path, "w") as f:
            f.write("\n".join(lines).replace(old, new) + "\n")
        return cli.run("doctor", "--postfix-config", folder, *more).stdout
    for name, main, options, said in PLACES:
        text = examined(main, options.format(milter=cli.site.postfix.milter))
        good = said in text if said else "copies go" not in text and "_maps is set" not in text
        cli.tap.ok(good, f"doctor: {name}", text)
    text = examined("", "", new="127.0.0.1:9")
    cli.tap.ok("nothing in master.cf listens on reinject_address" in text, "doctor: no listener for copies", text)
    text = examined("inet_interfaces = all", "", new=reinject.split(":")[1])
    cli.tap.ok("takes mail from the network, and it passes Postseal by" in text, "doctor: it listens to the network", text)


def test_doctor(cli):
    done = cli.run("doctor", "--postfix-config", cli.site.postfix.conf)
    cli.tap.ok("filter, tempfail" in done.stdout and "reinject" not in done.stderr, "doctor reads Postfix' configuration", done.stdout)
    reinject = f"127.0.0.1:{cli.site.postfix.reinject}"
    cli.tap.ok(f"listener {reinject}/inet takes copies" in done.stdout and "passes Postseal by" not in done.stdout,
               "the listener for copies is known, and needs no filter", done.stdout)
    bad = os.path.join(cli.site.folder, "badpostfix")
    shutil.copytree(cli.site.postfix.conf, bad)
    with open(os.path.join(bad, "main.cf"), "a") as f:
        f.write("milter_protocol = 2\nnon_smtpd_milters =\nvirtual_alias_maps = hash:/etc/x\nreceive_override_options =\nheader_size_limit = 1000\n"
                "header_address_token_limit = 10240\n"
                f"smtpd_milters = {cli.site.postfix.milter}\nmilter_default_action = accept\n")
    with open(os.path.join(bad, "master.cf"), "a") as f:
        f.write("127.0.0.1:2525 inet n - n - - smtpd\n  -o smtpd_milters=\n")
    found = cli.run("doctor", "--postfix-config", bad)
    for part in ("mail that comes in at 127.0.0.1:2525/inet passes Postseal by", "goes out unprotected when Postseal does not answer", "milter_protocol is too old", "mail of the sendmail command passes Postseal by",
                 "virtual_alias_maps is set", "header fields are cut", "fields of many addresses lose"):
        cli.tap.ok(part in found.stdout, f"doctor: {part}", found.stdout)
    cli.tap.ok(found.returncode == 1 and "remedies:" in found.stdout and "  1. " in found.stdout, "and ends with the remedies in order")
    test_doctor_place(cli, bad, reinject)
    cli.site.prefer(PARTNER, mode="observe")
    cli.tap.ok("is only watched" in cli.run("doctor", "--no-mta").stdout, "doctor: observe mode")
    cli.site.prefer(ALICE, mode="observe")
    cli.tap.ok("mail of 1 users (user " + ALICE in cli.run("doctor", "--no-mta").stdout, "doctor: observe mode of a user")
    cli.run("user", "unset", ALICE, "mode")
    cli.run("domain", "unset", PARTNER, "mode")


def forged_cert(site, pem, address):
    """With the public key of pem, the address of somebody else, and an issuer that nobody knows."""
    def openssl(*args, text=None):
        return subprocess.run(["openssl", *args], input=text, capture_output=True, text=True, check=True).stdout

    at = {name: os.path.join(site.folder, "etc", "forged." + name) for name in ("key", "pub", "csr", "ext", "pem")}
    for name, text in (("pub", openssl("x509", "-pubkey", "-noout", text=pem)), ("ext", f"subjectAltName=email:{address}\n")):
        with open(at[name], "w") as f:
            f.write(text)
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Eve", "-keyout",
            at["key"], "-out", at["csr"])
    openssl("x509", "-req", "-in", at["csr"], "-signkey", at["key"], "-force_pubkey", at["pub"], "-extfile", at["ext"],
            "-days", "30", "-out", at["pem"])
    return at["pem"]


def test_roles(cli):
    """api_group_view is the group daemon, api_group_operate the group bin, of the users daemon and bin."""
    cli.expect(0, "cert", "list", user="daemon", name="view may look")
    cli.expect(4, "domain", "set", PARTNER, "encrypt_mode", "force", user="daemon", error="it needs the role 'operate'", name="view may not change")
    cli.expect(0, "domain", "set", PARTNER, "encrypt_mode", "force", user="bin", name="operate may change")
    cli.expect(4, "key", "export", "00112233", "--password-file", "/dev/null", user="bin", error="it needs the role 'keys'", name="operate gets no keys")
    secret = file_with(cli.site, "pw3", "secret\n", 0o644)
    cli.expect(4, "cert", "export", "--email", ALICE, "--format", "pkcs12", "--password-file", secret, user="bin", error="private keys leave only",
               name="nor by another way")
    forged = forged_cert(cli.site, cli.site.cli("cert", "export", "--email", ALICE).stdout, EVE)
    cli.expect(0, "cert", "import", forged, user="bin", name="operate takes a certificate of anybody's making")
    thumb = cli.json("cert", "list", "--email", EVE)["items"][0]["thumbprint"]
    cli.expect(4, "cert", "send", EVE, thumb, "--password-file", secret, user="bin", error="was not requested here",
               name="nor with a certificate that has somebody else's key")
    cli.expect(4, "cert", "send", EVE, "--to", ALICE, "--password-file", secret, user="bin", error="--to another address",
               name="nor the password to the one and the key to the other")
    cli.run("cert", "delete", thumb, "--yes", user="bin")
    cli.expect(4, "status", user="nobody", error="not permitted", name="others do not reach the socket")
    rows = cli.json("audit", "list", "--limit", "20")["items"]
    mine = [row for row in rows if row["from"] != "job"]  # the daemon has acts of its own meanwhile
    cli.tap.ok(mine[0]["actor"].startswith("bin (uid 2)"), "the audit knows who it was", mine[0])


def test_once(cli):
    """The same id twice: answered from the record, not done again."""
    def post(identity, body):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(cli.site.settings["api_socket"])
            data = json.dumps(body).encode()
            s.sendall(b"POST /v1/user/add HTTP/1.1\r\nHost: x\r\nConnection: close\r\nPostseal-Request: %s\r\nContent-Length: %d\r\n\r\n%s"
                      % (identity.encode(), len(data), data))
            answer = b""
            while piece := s.recv(65536):
                answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)
    first = post("once-1", {"name": "once@other.example"})
    second = post("once-1", {"name": "once@other.example"})
    cli.tap.ok(first == second == (200, {"name": "once@other.example", "new": True}), "a repeated request is answered, not done twice", (first, second))
    cli.tap.ok(post("once-1", {"name": "twice@other.example"})[0] == 400, "an id is for one request")
    cli.tap.ok(post("", {"name": "x@other.example"})[0] == 400, "a change needs an id")


def test_database_down(cli):
    site = cli.site
    site.database.stop(signal.SIGINT)
    done = cli.run("cert", "list")
    cli.tap.ok(done.returncode == 1 and done.stderr.startswith("postseal: cert list: ") and done.stderr.count("\n") == 1, "database down: one line", done.stderr)
    found = cli.run("doctor", "--no-mta")
    cli.tap.ok("start postseal-db" in found.stdout and "clock" in found.stdout, "doctor goes on and says what to start", found.stdout)
    cli.tap.ok(cli.json("status")["database"]["up"] is False, "status says that it is away")
    site.start_database()
    cli.tap.case("the daemon finds it again", wait_until, "cert list works", lambda: cli.run("cert", "list").returncode == 0)
    site.daemon.stop()
    cli.expect(3, "status", error="is postseald running?", name="daemon down: exit 3")
    site.start_daemon()


def test_backup(cli):
    site = cli.site
    secret = file_with(site, "backup.pw", "correct horse\n")
    backup = os.path.join(site.folder, "backup.cms")
    before = cli.json("cert", "list")
    cli.expect(0, "db", "backup", backup, "--password-file", secret)
    with open(backup, "rb") as f:
        cli.tap.ok(ALICE.encode() not in f.read(), "nothing readable in it")
    cli.expect(1, "db", "backup", backup, "--password-file", secret, error="is there already")
    cli.expect(0, "domain", "set", "later.example", "encrypt_mode", "force")
    cli.expect(1, "db", "restore", backup, "--password-file", secret, error="add --yes")
    cli.expect(1, "db", "restore", backup, "--password-file", file_with(site, "pw4", "x\n"), "--yes", error="wrong passphrase")
    data = bytearray(open(backup, "rb").read())
    data[-200] ^= 1
    cli.expect(1, "db", "restore", file_with(site, "flipped.cms", bytes(data)), "--password-file", secret, "--yes", error="cannot be opened",
               name="one flipped bit: nothing is restored")
    cli.expect(0, "domain", "list", output="later.example")
    cli.expect(4, "db", "restore", backup, "--password-file", secret, "--yes", error="stop postseald", name="nothing is restored under running programs")
    site.filter.stop()
    site.daemon.stop()
    cli.expect(0, "db", "restore", backup, "--password-file", secret, "--yes", output="restored")
    site.start_daemon()
    site.start_filter()
    cli.tap.ok("later.example" not in cli.run("domain", "list").stdout, "what came after the backup is gone")
    cli.tap.case("and all certificates are there", wait_until, "the same list",
                 lambda: [c["thumbprint"] for c in cli.json("cert", "list")["items"]] == [c["thumbprint"] for c in before["items"]])
    key = site.settings["master_key_file"]
    kept = open(key).read()
    other = os.path.join(site.folder, "other.key")
    subprocess.run([program("postseal"), "-c", site.config, "db", "restore", "/nonexistent", "--password-file", secret, "--yes"], capture_output=True)
    site.filter.stop()
    site.daemon.stop()
    with open(key, "w") as f:
        f.write("1 " + "A" * 43 + "=\n")
    cli.expect(1, "db", "restore", backup, "--password-file", secret, "--yes", error="master key", name="under another master key: a clear line")
    with open(key, "w") as f:
        f.write(kept)
    del other
    site.start_daemon()
    site.start_filter()
    cli.expect(0, "doctor", "--no-mta", output="all open", name="with the right one all open again")


def test_rotation(cli):
    site = cli.site
    done = cli.run("key", "rotate-master")
    cli.tap.ok(done.returncode == 0 and "generation:" in done.stdout, "key rotate-master begins", done.stderr)
    generation = int(done.stdout.split("generation:")[1].split()[0])
    wait_until("everything is sealed anew",
               lambda: all(key["generation"] == generation for key in _all_keys(cli)))
    cli.tap.ok(True, "everything is sealed under the new generation")
    with open(site.settings["master_key_file"]) as a, open(site.settings["milter_master_key_file"]) as b:
        cli.tap.ok(a.read() == b.read(), "the filter's key file has it too")


def _all_keys(cli):
    keys = cli.json("key", "list")["items"]
    return [cli.json("key", "show", key["spki"])["keys"][0] for key in keys]


def test_selftest(cli):
    site = cli.site
    done = cli.run("selftest", "--from", ALICE, "--to", BOB, "--mta-config", site.postfix.conf, "--json")
    answer = json.loads(done.stdout) if done.returncode == 0 else {}
    cli.tap.ok(answer.get("reason") == "signed-encrypted", "selftest sends a mail and finds its outcome", done.stdout + done.stderr)
    cli.tap.ok("takes them: PIPELINING SIZE 8BITMIME SMTPUTF8 DSN" in answer.get("copies", ""), "selftest tries the listener for copies", done.stdout)
    if answer:
        cli.expect(0, "trace", "--queue-id", answer["queue_id"], output="signed-encrypted")
        cli.expect(0, "explain", "--queue-id", answer["queue_id"], output="signed-encrypted")
        cli.expect(0, "trace", "--recipient", BOB, "--since", "2020-01-01", output=answer["queue_id"])


def main():
    tap = Tap()
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root for a Postfix and a database of its own")
        return
    with Site({"api_group_view": grp.getgrgid(1).gr_name, "api_group_operate": grp.getgrgid(2).gr_name}) as site:
        site.start()
        site.make_ca()
        site.issue(ALICE, "Alice")
        site.issue(BOB, "Bob")
        cli = Cli(site, tap)
        for test in (test_setup, test_certificates, test_delete_and_import_again, test_trust, test_preferences, test_selection,
                     test_ca_and_requests, test_external_root, test_explain, test_status, test_selftest, test_bad_input, test_doctor, test_unreadable_key, test_roles,
                     test_once, test_records, test_rotation, test_database_down, test_backup):
            try:
                test(cli)
            except (Failed, KeyError, IndexError, ValueError, OSError, subprocess.SubprocessError) as error:
                tap.ok(False, f"{test.__name__} ran to its end", f"{type(error).__name__}: {error}")
        if tap.failures:
            site.show_logs()
    tap.done()


main()
