#!/usr/bin/env python3
"""Stores and selection by command: lists, filters and pages, everything about a certificate, trust list, roots, choices, keys."""
import csv
import glob
import grp
import io
import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from commands import Cli, file_with, openssl  # noqa: E402
from harness import BUILD, INSIDE, PARTNER, Failed, Site, Tap, program, wait_until  # noqa: E402

ALICE, BOB, CAROL = f"alice@{INSIDE}", f"bob@{PARTNER}", f"carol@{INSIDE}"
MANY = 320


def make_cert(folder, name, subject, days=90, extensions=(), key=None):
    """A self-signed certificate with a P-256 key; gives the paths of certificate and key."""
    cert, made = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
    extra = [part for line in extensions for part in ("-addext", line)]
    how = ["-key", key] if key else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", made]
    openssl("req", "-x509", "-utf8", *how, "-out", cert, "-days", str(days), "-subj", subject, *extra)
    return cert, key or made


def thumbprint(pem):
    return openssl("x509", "-in", pem, "-noout", "-fingerprint", "-sha512").decode().strip().split("=")[1]


def items(cli, *args):
    return cli.json(*args)["items"]


def pages(cli, limit, *args, between=None):
    """All rows of a list, asked for page by page as a person would."""
    rows, after = [], []
    while True:
        page = cli.json(*args, "--limit", str(limit), *after)
        rows += page["items"]
        if "next" not in page:
            return rows
        after = ["--after", page["next"]]
        if between:
            between()


def on_terminal(cli, *args):
    """What a person sees: output on a terminal of its own."""
    leader, follower = pty.openpty()
    child = subprocess.Popen([program("postseal"), "-c", cli.site.config, *args], stdin=subprocess.DEVNULL, stdout=follower,
                             stderr=follower, env={**os.environ, "TERM": "xterm", "NO_COLOR": ""})
    os.close(follower)
    seen = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(leader)
    child.wait(60)
    return seen.decode(errors="replace")


# -- lists ----------------------------------------------------------------------------------


def test_filters(cli):
    alice = items(cli, "cert", "list", "--email", ALICE)[0]
    serial, digits = alice["serial"], alice["thumbprint"]
    spelt = ":".join(serial[i:i + 2] for i in range(0, len(serial) // 2 * 2, 2)).upper()
    ours = len(items(cli, "cert", "list", "--issuer", "test issuing"))
    for args, count in ((("--email", ALICE.upper()), 1), (("--email", INSIDE), 2), (("--subject", "ALICE"), 1),
                        (("--issuer", "test issuing ca"), ours), (("--serial", serial), 1), (("--serial", "0x" + serial.upper()), 1),
                        (("--serial", spelt), 1), (("--serial", str(int(serial, 16))), 1), (("--thumbprint", digits), 1),
                        (("--thumbprint", ":".join(digits[i:i + 2] for i in range(0, 24, 2)).upper()), 1), (("alice@",), 1),
                        (("Test Issuing", "--with-key", "--limit", "1000"), ours + 1), (("--email", BOB, "--with-key"), 0),
                        (("--subject", "JÜRGEN"), 1), (("jürgen",), 1), (("--expired", "only"), 1), (("expired one", "--expired", "no"), 0),
                        (("expired one", "--expired", "all"), 1), (("no such text",), 0), (("--pending",), 0)):
        found = items(cli, "cert", "list", *args)
        cli.tap.ok(len(found) == count, f"cert list {' '.join(args)[:60]}: {count}", [row["subject"] for row in found][:10])
    cli.expect(1, "cert", "list", "--email", ALICE, "--issuer", "x", error="one field can be searched at a time")
    cli.expect(1, "cert", "list", "text", "--issuer", "x", error="one field can be searched at a time")
    cli.expect(1, "cert", "list", "--thumbprint", "xyz", error="is no thumbprint: hex digits")
    cli.expect(2, "cert", "list", "--expired", "perhaps", error="'perhaps' is none of all|no|only")
    cli.expect(2, "cert", "list", "--after", "alice", error="--after: not a cursor of this list")
    cli.expect(0, "cert", "list", "--thumbprint", "ab" * 32, output="searched by SHA-512", name="a SHA-256 digest is not found, and why")
    heading = cli.run("cert", "list", "--email", ALICE).stdout.splitlines()[0].split()
    cli.tap.ok(heading == ["THUMBPRINT", "EMAIL", "VERDICT", "CTL", "KEY", "SUBJECT", "NOT", "AFTER"], "the marks stand beside the address", heading)
    plain = items(cli, "cert", "list", "--email", ALICE, "--no-verdict")[0]
    cli.tap.ok("verdict" not in plain and plain["key"] is True, "--no-verdict judges nothing", plain)


def test_pages(cli):
    whole = [row["thumbprint"] for row in items(cli, "cert", "list", "--limit", "5000")]
    cli.tap.ok(len(whole) > MANY and len(set(whole)) == len(whole), f"one large page has them all: {len(whole)}")
    cli.tap.ok([row["thumbprint"] for row in pages(cli, 37, "cert", "list")] == whole, "pages of 37: the same order, none missing, none twice")
    count = [0]

    def insert():
        if count[0] < 12:
            pem, _ = make_cert(cli.site.folder, f"late{count[0]}", f"/CN=Late {count[0]}")
            cli.run("cert", "import", pem)
            count[0] += 1

    seen = [row["thumbprint"] for row in pages(cli, 37, "cert", "list", between=insert)]
    cli.tap.ok(len(set(seen)) == len(seen) and set(whole) <= set(seen) and seen[:len(whole)] == whole and len(seen) > len(whole),
               "while others come in: none missing, none twice", (len(whole), len(seen)))
    many = [row["subject"] for row in pages(cli, 50, "cert", "list", "--subject", "one of many", "--no-verdict")]
    cli.tap.ok(len(many) == MANY and len(set(many)) == MANY, f"a filter in pages: {MANY}", len(many))
    hint = cli.run("cert", "list", "--limit", "3")
    cli.tap.ok("there are more: --after " in hint.stderr and len(hint.stdout.splitlines()) == 4, "a page says how to go on", hint.stderr)
    return len(set(seen))


def test_all(cli):
    total = len(items(cli, "cert", "list", "--limit", "5000", "--no-verdict"))
    rows = list(csv.DictReader(io.StringIO(cli.run("cert", "list", "--all", "--csv", "--limit", "41").stdout)))
    cli.tap.ok(len(rows) == total and len({row["thumbprint"] for row in rows}) == total, f"--all as CSV: {total} rows under one heading", len(rows))
    cli.tap.ok(all(len(row["thumbprint"]) == 128 and row["verdict"] for row in rows) and {"issuer", "serial", "reason"} <= set(rows[0]),
               "with whole thumbprints, issuers, serials and reasons", rows[0])
    document = json.loads(cli.run("cert", "list", "--all", "--json", "--limit", "50").stdout)
    cli.tap.ok(len(document["items"]) == total, "--all as JSON: one document")
    lines = cli.run("cert", "list", "--all", "--no-verdict", "--limit", "100").stdout.splitlines()
    cli.tap.ok(len(lines) == total + 1 and sum(line.startswith("THUMBPRINT") for line in lines) == 1, "--all as a table: one heading", len(lines))
    cli.tap.ok(json.loads(cli.run("cert", "list", "nobody at all", "--all", "--json").stdout) == {"items": []}, "nothing is an empty list")
    for noun in ("key", "ctl", "user", "job", "audit", "request"):
        cli.tap.ok("items" in json.loads(cli.run(noun, "list", "--all", "--json").stdout), f"{noun} list --all")


def test_hostile(cli):
    """What strangers write into certificates reaches neither terminal nor spreadsheet as it is."""
    rows = list(csv.DictReader(io.StringIO(cli.run("cert", "list", "--csv", "--subject", "cmd").stdout)))
    cli.tap.ok(len(rows) == 1 and rows[0]["subject"].startswith("'") is False and "\x1b" not in rows[0]["subject"], "escapes are written out in CSV", rows)
    text = cli.run("ctl", "list", "--csv").stdout
    cli.tap.ok("\"'=HYPERLINK" in text, "a cell that a spreadsheet would take for a formula is text", text)
    for args in (("cert", "list", "--subject", "evil"), ("cert", "show", items(cli, "cert", "list", "--subject", "evil")[0]["thumbprint"])):
        seen = on_terminal(cli, *args)
        cli.tap.ok("\x1b[2J" not in seen and "\u202e" not in seen and "\\x1b" in seen, f"{args[1]}: no escape of a subject reaches the terminal", repr(seen[:600]))


# -- one certificate ------------------------------------------------------------------------


def test_show(cli, rich):
    facts = cli.json("cert", "show", rich)["certificates"][0]
    wanted = {
        "subject": "emailAddress=other@partner.example, CN=Rich", "serial": "1234abcd", "public_key": "EC P-256", "kind": "end user", "self_signed": "yes", "ca": "no",
        "private_key": "not held", "ctl": "none", "origin": "import (rich.pem)",
    }
    cli.tap.ok(all(str(facts.get(name)).startswith(value) for name, value in wanted.items()), "cert show: single facts",
               {name: facts.get(name) for name in wanted})
    lists = {
        "email": ["rich@partner.example", "other@partner.example"], "key_usage": ["digitalSignature", "keyAgreement"],
        "extended_key_usage": ["emailProtection", "1.2.3.4.5.6"], "policy": ["2.23.140.1.5.2.2", "0.4.0.194112.1.0"],
        "crl_url": ["http://crl.partner.example/a.crl"], "ocsp_url": ["http://ocsp.partner.example/"],
        "ca_issuers_url": ["http://ca.partner.example/ca.cer"],
        "qualified_statement": ["EU qualified certificate", "key in a qualified device"],
    }
    cli.tap.ok(all(set(values) <= set(facts.get(name, [])) for name, values in lists.items()), "cert show: lists",
               {name: facts.get(name) for name in lists})
    cli.tap.ok(any(line.startswith("1.2.3.4.5.7") for line in facts.get("extension", [])), "cert show: an extension that nobody knows, by OID",
               facts.get("extension"))
    cli.tap.ok("organization validated" in json.dumps(facts.get("validation_level")) and "qualified" in json.dumps(facts.get("validation_level")),
               "cert show: what the policies stand for", facts.get("validation_level"))
    for name, digits in (("thumbprint_sha1", 40), ("thumbprint_sha256", 64), ("thumbprint", 128), ("spki_sha256", 64), ("subject_key_id", 40)):
        cli.tap.ok(len(facts.get(name, "")) == digits, f"cert show: {name}", facts.get(name))
    cli.tap.ok(facts["verdict"] == "invalid" and facts["reason"] and facts["to_encrypt"].startswith("invalid: "), "cert show: verdict and reason", facts)
    alice = cli.json("cert", "show", items(cli, "cert", "list", "--email", ALICE)[0]["thumbprint"])["certificates"][0]
    cli.tap.ok(alice["private_key"] == "held" and f"sign for {ALICE} (automatic)" in alice["selected"] and f"encrypt for {ALICE} (automatic)" in
               alice["selected"], "cert show: selected by itself", alice["selected"])
    cli.tap.ok(alice["origin"].startswith("handler") and "request" in alice["origin"] and len(alice["path"]) == 3, "cert show: which request, which path", alice)
    root = items(cli, "root", "list", "Test Root")[0]["thumbprint"]
    shown = cli.json("cert", "show", root)["certificates"][0]
    cli.tap.ok(shown["trusted_root"] == "yes" and shown["root_source"] == "ca" and shown["verdict"] == "valid", "cert show of a root", shown)
    spelt = ":".join(root[i:i + 2] for i in range(0, 128, 2)).upper()
    cli.expect(0, "cert", "show", spelt, output="Test Root", name="cert show takes a thumbprint as others spell it")


def test_export(cli):
    site = cli.site
    two = [items(cli, "cert", "list", "--email", who)[0]["thumbprint"] for who in (ALICE, CAROL)]
    folder = os.path.join(site.folder, "out")
    os.makedirs(folder)
    pem = os.path.join(folder, "two.pem")
    cli.expect(0, "cert", "export", *two, *two, "--output", pem, name="cert export: two")
    cli.tap.ok(open(pem).read().count("BEGIN CERT") == 2, "each once")
    cli.expect(0, "cert", "export", *two, "--chain", "--format", "pkcs7", "--output", os.path.join(folder, "two.p7b"))
    inside = openssl("pkcs7", "-inform", "DER", "-in", os.path.join(folder, "two.p7b"), "-print_certs", "-noout").decode()
    cli.tap.ok(inside.count("subject=") == 4, "pkcs7 with the chain: two users, intermediate, root", inside)
    many = os.path.join(folder, "der")
    os.makedirs(many)
    cli.expect(0, "cert", "export", *two, "--format", "der", "--output", many, name="cert export: several as DER, a file each")
    cli.tap.ok(len(os.listdir(many)) == 2 and all(openssl("x509", "-inform", "DER", "-noout", "-in", os.path.join(many, f)) == b"" for f in os.listdir(many)),
               "each can be read by others", os.listdir(many))
    secret = file_with(site, "pw", "secret\n")
    p12 = os.path.join(folder, "two.p12")
    cli.expect(0, "cert", "export", *two, "--format", "pkcs12", "--password-file", secret, "--no-chain", "--output", p12)
    text = openssl("pkcs12", "-in", p12, "-passin", "pass:secret", "-nodes").decode()
    cli.tap.ok(text.count("BEGIN PRIVATE KEY") == 2 and text.count("BEGIN CERT") == 2, "pkcs12 of two, without the chain")
    cli.expect(0, "cert", "export", two[0], "--format", "pkcs12", "--password-file", secret, "--output", p12)
    cli.tap.ok(openssl("pkcs12", "-in", p12, "-passin", "pass:secret", "-nodes").decode().count("BEGIN CERT") == 3, "with it")
    cli.expect(4, "cert", "export", two[0], "--format", "pkcs12", "--password-file", file_with(site, "pwo", "x\n", 0o644), user="bin",
               error="private keys leave only")
    cli.expect(1, "cert", "export", two[0], "--format", "pkcs12", stdin="", error="needs a password")
    cli.expect(5, "cert", "export", "00" * 64, error="no certificate and no root")
    cli.expect(5, "cert", "export", "--email", "jurgen@partner.example", error="no certificate", name="what is not valid is not exported by address")


def test_delete(cli):
    alice = items(cli, "cert", "list", "--email", ALICE)[0]["thumbprint"]
    issuing = items(cli, "cert", "list", "--subject", "Test Issuing")[0]["thumbprint"]
    cli.expect(1, "cert", "delete", alice, error=f"encrypt for {ALICE} (automatic)", name="cert delete asks when it is selected")
    cli.expect(1, "cert", "delete", issuing, error="it is the certificate of the CA 'Test Issuing CA' here; 2 certificates name it as issuer",
               name="cert delete asks when others hang on it")
    one = items(cli, "cert", "list", "--subject", "one of many 7,")[0]["thumbprint"]
    cli.expect(0, "cert", "delete", one, name="cert delete of one that nobody uses does not")
    cli.expect(5, "cert", "delete", one, error="no certificate and no root")
    cli.expect(4, "cert", "delete", issuing, "--yes", user="daemon", error="it needs the role 'operate'")


# -- the trust list -------------------------------------------------------------------------


def mark(cli, *args):
    return items(cli, "cert", "list", *args)[0]["ctl"]


def test_ctl(cli):
    site = cli.site
    alice = items(cli, "cert", "list", "--email", ALICE)[0]["thumbprint"]
    issuing = items(cli, "cert", "list", "--subject", "Test Issuing")[0]["thumbprint"]
    root = items(cli, "root", "list", "Test Root")[0]["thumbprint"]
    # Deny reaches all below, allow the one alone.
    done = cli.json("ctl", "add", issuing, "deny", "--comment", "gone")
    cli.tap.ok(done["reaches"] == 2 and "2 certificates of the store" in done["note"], "a deny entry for a CA says how many it reaches", done)
    cli.tap.ok(mark(cli, "--email", ALICE) == "denied through 'CN=Test Issuing CA, O=Test Root, C=XX'" and mark(cli, "--subject", "Test Issuing") == "deny",
               "lists mark what stands under a denied CA", mark(cli, "--email", ALICE))
    facts = cli.json("cert", "show", alice)["certificates"][0]
    cli.tap.ok(facts["ctl"].startswith("denied through") and facts["ctl_entry"] == issuing and facts["verdict"] == "invalid",
               "cert show names the entry", facts.get("ctl_entry"))
    spki = facts["spki_sha256"]
    shown = cli.json("key", "show", spki)["keys"][0]["used_by"][0]
    cli.tap.ok(shown["ctl"].startswith("denied through"), "key show marks it too", shown)
    row = next(row for row in items(cli, "select", "show", ALICE) if row["purpose"] == "sign")
    cli.tap.ok(row["used"] is False and row["ctl"].startswith("denied through") and "denied" in row["why"], "and select show", row)
    told = cli.json("explain", "--from", ALICE, "--to", BOB)
    cli.tap.ok("denied through" in json.dumps(told["sender"]["signing"]), "and explain")
    cli.expect(0, "ctl", "show", issuing[:20], output="gone")
    cli.expect(0, "ctl", "set", issuing, "--mark", "allow", output="has no effect on what it issued", name="an allow entry for a CA says that it speaks for it alone")
    cli.tap.ok(mark(cli, "--email", ALICE) == "" and mark(cli, "--subject", "Test Issuing") == "allow", "allow is not inherited")
    cli.expect(0, "ctl", "set", issuing, "--expired", "yes")
    cli.tap.ok(mark(cli, "--subject", "Test Issuing") == "allow also expired", "allow also expired is marked")
    cli.expect(1, "ctl", "set", issuing, "--mark", "deny", "--expired", "yes", error="--expired goes with allow only")
    cli.expect(1, "ctl", "set", issuing, error="say what to change")
    cli.expect(0, "ctl", "remove", issuing)
    cli.expect(5, "ctl", "set", issuing, "--mark", "deny", error="has no entry")
    cli.expect(5, "ctl", "remove", issuing, error="has no entry")
    # A root; every spelling; a file; before the certificate is there.
    spelt = " ".join(root[i:i + 2] for i in range(0, 128, 2)).upper()
    done = cli.json("ctl", "add", spelt, "deny")
    cli.tap.ok(done["reaches"] == 3, "a root can be denied, in any spelling", done)
    cli.tap.ok(next(row for row in items(cli, "root", "list"))["ctl"] == "deny", "root list marks it")
    cli.tap.ok(mark(cli, "--email", ALICE) == "denied through 'CN=Test Root, O=Test Root, C=XX'", "denied through the root", mark(cli, "--email", ALICE))
    cli.expect(0, "ctl", "remove", ":".join(root[i:i + 4] for i in range(0, 40, 4)))
    later, _ = make_cert(site.folder, "later", "/CN=Later")
    cli.expect(0, "ctl", "add", later, "allow", "--comment", "ünïcode", output="is not in the store yet", name="ctl add FILE: an entry before its certificate")
    cli.expect(0, "cert", "import", later)
    row = items(cli, "cert", "list", "--subject", "later", "--limit", "500")
    row = next(r for r in row if r["subject"] == "CN=Later")
    cli.tap.ok(row["verdict"] == "valid" and row["ctl"] == "allow", "and it counts as soon as that comes", row)
    cli.tap.ok(cli.json("ctl", "show", later)["comment"] == "ünïcode", "ctl show FILE")
    cli.expect(0, "ctl", "remove", later)
    cli.expect(1, "ctl", "add", os.path.join(site.folder, "made", "bundle.pem"), "deny", error="and one is wanted")
    done = cli.run("ctl", "add", "/etc/hostname", "deny")
    cli.tap.ok(done.returncode == 1 and "holds 0 certificates" in done.stderr, "a file without a certificate", done.stderr)
    cli.expect(5, "ctl", "add", "alice", "deny", error="neither a file nor a thumbprint")
    cli.expect(1, "ctl", "add", alice, "deny", "--expired", error="--expired goes with allow only")
    cli.expect(2, "ctl", "add", alice, error="allow|deny is missing")
    cli.expect(4, "ctl", "add", alice, "deny", user="daemon", error="it needs the role 'operate'")
    for n in range(25):
        site.cli("ctl", "add", f"{n:02x}" * 64, "deny", "--comment", f"entry {n}")
    whole = [row["thumbprint"] for row in items(cli, "ctl", "list")]
    cli.tap.ok([row["thumbprint"] for row in pages(cli, 4, "ctl", "list")] == whole and len(whole) == 26, "ctl list in pages", len(whole))
    cli.expect(2, "ctl", "list", "--limit", "0", error="--limit: at least 1")
    cli.expect(0, "ctl", "remove", *[f"{n:02x}" * 64 for n in range(25)], output="25", name="several entries removed at once")


# -- roots ----------------------------------------------------------------------------------


def mail_roots():
    """NSS's own opinion by its own tool: how many built-in roots are trusted for mail. None: no such tool here."""
    if not shutil.which("certutil"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["certutil", "-N", "-d", folder, "--empty-password"], capture_output=True, check=True)
        module = next((path for path in glob.glob("/usr/lib/*/libnssckbi.so")), None)
        if not module:
            return None
        os.symlink(module, os.path.join(folder, "libnssckbi.so"))
        done = subprocess.run(["certutil", "-L", "-h", "Builtin Object Token", "-d", folder], capture_output=True, text=True)
        flags = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("Builtin Object Token:")]
        return sum("C" in flag.split(",")[1] for flag in flags) or None


def test_roots(cli):
    root = items(cli, "root", "list", "Test Root")[0]["thumbprint"]
    cli.expect(1, "root", "remove", root, error="3 certificates of the store name 'CN=Test Root, O=Test Root, C=XX' as issuer", name="root remove says what loses its path")
    before = len(items(cli, "root", "list"))
    done = cli.run("root", "import-system")
    if done.returncode == 5:
        cli.tap.skip("root import-system", done.stderr.strip())
    else:
        rows = items(cli, "root", "list", "system-email")
        wanted = mail_roots()
        cli.tap.ok(done.returncode == 0 and len(rows) > 20 and (wanted is None or len(rows) == wanted),
                   f"root import-system takes NSS's roots for mail: {len(rows)}, certutil says {wanted}", done.stderr + done.stdout[-300:])
        again = cli.json("root", "import-system", "--purpose", "email")["total"]
        cli.tap.ok(again["new"] == 0 and again["already_there"] == len(rows), "a second run changes nothing", again)
        cli.expect(0, "root", "remove", *[row["thumbprint"] for row in rows], "--yes", output=str(len(rows)), name="and they can all be removed at once")
    cli.expect(1, "root", "import-system", "--purpose", "any", error="vetted for web servers, not for mail", name="web roots: asks, and says what they are")
    cli.tap.ok(len(items(cli, "root", "list")) == before, "and took none")
    pem, _ = make_cert(cli.site.folder, "own", "/CN=Own Root \xdc", extensions=["basicConstraints=critical,CA:TRUE"])
    cli.expect(0, "root", "import", pem, output="new")
    cli.expect(0, "root", "import", pem, output="already there", name="a root again: already there")
    own = items(cli, "root", "list", "own root ü")[0]
    cli.tap.ok(own["subject"] == "CN=Own Root Ü", "root list finds by any case", own)
    cli.expect(0, "root", "show", own["thumbprint"][:16], output="verdict")
    done = cli.json("root", "remove", own["thumbprint"], "--yes")
    cli.tap.ok(done["removed"] == 1 and done["effect"].startswith("0 certificates"), "root remove of one that nobody needs", done)
    cli.expect(5, "root", "remove", own["thumbprint"], "--yes", error="is not in the root store")
    cli.expect(4, "root", "remove", root, "--yes", user="daemon", error="it needs the role 'operate'")


# -- choosing -------------------------------------------------------------------------------


def test_select(cli):
    site = cli.site
    alice, carol = (items(cli, "cert", "list", "--email", who)[0]["thumbprint"] for who in (ALICE, CAROL))
    many = [row["thumbprint"] for row in items(cli, "cert", "list", "--subject", "one of many 1", "--limit", "3")]
    # What can be chosen.
    found = items(cli, "select", "candidates", ALICE)
    cli.tap.ok([row["thumbprint"] for row in found] == [alice] and found[0]["selected"] == "automatic", "candidates of a user: his address", found)
    found = items(cli, "select", "candidates", "jurgen@partner.example")
    cli.tap.ok(len(found) == 1 and found[0]["verdict"] == "invalid" and "to mend it" in found[0]["why"], "an invalid one says what would make it valid", found)
    cli.tap.ok(len(items(cli, "select", "candidates", INSIDE, "--limit", "1000")) > MANY, "of a domain: all")
    cli.tap.ok(len(items(cli, "select", "candidates", ALICE, "--any", "--subject", "one of many 30,")) == 1, "other filters")
    cli.tap.ok({row["key"] for row in items(cli, "select", "candidates", INSIDE, "--for", "sign")} == {True}, "for signing: with a key alone")
    whole = [row["thumbprint"] for row in items(cli, "select", "candidates", INSIDE, "--limit", "1000")]
    cli.tap.ok([row["thumbprint"] for row in pages(cli, 99, "select", "candidates", INSIDE)] == whole, "candidates in pages")
    # Several in one step; what will not be used says so.
    done = cli.json("select", "encrypt", BOB, alice, *many)
    cli.tap.ok([row["will_be_used"] for row in done["chosen"]] == [True, False, False, False], "several chosen at once", done)
    notes = " ".join(done["chosen"][1]["notes"])
    cli.tap.ok("it will not be used" in notes and "import the root 'CN=" in notes and "CTL entry" in notes, "and what would make them valid", notes)
    shown = items(cli, "select", "show", BOB)
    cli.tap.ok(sum(row["origin"] == f"by hand (user {BOB})" for row in shown if row["purpose"] == "encrypt") == 4, "shown with their origin", shown)
    facts = cli.json("cert", "show", alice)["certificates"][0]["selected"]
    cli.tap.ok(any(text.startswith(f"encrypt for user {BOB} (by hand") for text in facts), "cert show knows for whom", facts)
    cli.expect(0, "select", "encrypt", BOB, *many, "--remove", name="several taken back at once")
    cli.expect(5, "select", "encrypt", BOB, many[0], "--remove", error="not chosen by hand")
    cli.expect(0, "select", "encrypt", BOB, alice, "--remove")
    cli.expect(5, "select", "encrypt", ALICE, alice, "--remove", error="only switched off with the preference auto_select_certificates")
    # Signing: one, replaced; a stranger's; a domain's.
    cli.tap.ok("replaced" not in cli.json("select", "sign", ALICE, alice), "a first signing choice replaces nothing")
    done = cli.json("select", "sign", ALICE, carol)
    cli.tap.ok(done["replaced"]["thumbprint"] == alice and "mismatch" in " ".join(done["chosen"][0]["notes"]), "a new one replaces it, and that is said", done)
    cli.expect(0, "select", "auto", ALICE, output="selected by themselves again")
    cli.expect(0, "select", "auto", ALICE, output="nothing was chosen by hand")
    cli.expect(1, "select", "sign", ALICE, many[0], error="its private key is not held here")
    cli.expect(0, "select", "sign", INSIDE, carol, output="sign_as_domain is off", name="a domain's signer: only for those it names")
    row = next(row for row in items(cli, "select", "show", f"new@{INSIDE}") if row["purpose"] == "sign")
    cli.tap.ok(row["used"] is False and row["origin"] == f"inherited from domain {INSIDE}" and "sign_as_domain" in row["why"], "and his users see why", row)
    cli.expect(0, "domain", "set", INSIDE, "sign_as_domain", "on")
    cli.expect(0, "select", "sign", INSIDE, carol, output="sign_as_domain is on", name="with sign_as_domain: readers will see a mismatch")
    cli.expect(0, "select", "sign", PARTNER, carol, output="domain_signer", name="a partner's domain: domain_signer is what is meant")
    cli.expect(0, "select", "auto", PARTNER)
    facts = cli.json("cert", "show", carol)["certificates"][0]["selected"]
    cli.tap.ok(f"sign for domain {INSIDE} (by hand, inherited by all of this scope)" in facts, "cert show: inherited", facts)
    cli.expect(0, "domain", "unset", INSIDE, "sign_as_domain")
    cli.expect(0, "select", "auto", INSIDE)
    # Additional ones.
    done = cli.json("select", "additional", "global", carol)
    cli.tap.ok("can read all encrypted mail" in done["note"] and "is held in this gateway" in " ".join(done["chosen"][0]["notes"]), "additional: who can read, where its key is", done)
    shown = next(row for row in items(cli, "select", "show", INSIDE))
    cli.tap.ok(shown["origin"] == "inherited from global" and shown["used"] is True, "a domain shows what comes from above", shown)
    cli.expect(5, "select", "additional", INSIDE, carol, "--remove", error="says where what is inherited was chosen")
    site.cli("cert", "delete", carol, "--yes")
    cli.expect(0, "select", "show", "global", output="no certificate and no root", name="a choice whose certificate is gone is shown")
    cli.expect(0, "select", "additional", "global", carol[:20], "--remove", name="and can be taken back")
    cli.expect(4, "select", "encrypt", BOB, alice, user="daemon", error="it needs the role 'operate'")
    cli.expect(1, "select", "show", "not an address@", error="address")
    cli.expect(5, "select", "encrypt", BOB, "00" * 64, error="no certificate and no root")
    seen = on_terminal(cli, "select", "show", ALICE)
    cli.tap.ok("\x1b[32mvalid\x1b[0m" in seen, "verdicts have colour on a terminal", repr(seen))


# -- keys, and what ends soon ---------------------------------------------------------------


def test_keys(cli):
    site = cli.site
    site.cli("request", "create", "--email", f"erin@{INSIDE}", "--common-name", "Erin", "--key", "ec:P-256", "--days", "20")
    erin = items(cli, "cert", "list", "--email", f"erin@{INSIDE}")[0]["thumbprint"]
    spki = cli.json("cert", "show", erin)["certificates"][0]["spki_sha256"]
    request = items(cli, "request", "list", "--limit", "1")[0]["id"]
    for name in (spki, spki[:12].upper(), ":".join(spki[i:i + 2] for i in range(0, 64, 2)), erin[:16]):
        key = cli.json("key", "show", name)["keys"][0]
        cli.tap.ok(key["spki"] == spki, f"key show {name[:20]}", key)
    cli.tap.ok(key["origin"] == f"generated (request {request})" and key["type"] == "EC 256" and key["made"] and key["request"] == request
               and key["certificates"] == 1 and key["requests"] == 0, "key show: origin, request, type, made", key)
    cli.tap.ok(key["used_by"][0]["thumbprint"] == erin and key["used_by"][0]["verdict"] == "valid" and key["asked_for_by"][0]["state"] == "issued",
               "key show: certificates and requests that use it", key)
    row = next(row for row in items(cli, "key", "list", "--limit", "100") if row["spki"] == spki)
    cli.tap.ok(row["last_used"] is None and row["origin"] == key["origin"], "key list: never used", row)
    alone = os.path.join(site.folder, "alone.key")
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", alone)
    cli.expect(0, "key", "import", alone, output="new")
    row = items(cli, "key", "list", "--limit", "100")[-1]
    cli.tap.ok(row["origin"] == "imported" and row["certificates"] == 0 and row["type"] == "RSA 2048", "a key without a certificate is listed", row)
    issuing = items(cli, "cert", "list", "--subject", "Test Issuing")[0]["thumbprint"]
    cli.tap.ok(cli.json("key", "show", issuing)["keys"][0]["signs_for_ca"] == ["Test Issuing CA: issues"], "the key of a CA says so")
    cli.expect(1, "key", "delete", spki, error="can never be read again", name="key delete asks when a certificate needs it")
    cli.expect(0, "key", "delete", row["spki"], name="and does not when nobody does")
    cli.expect(5, "key", "show", "alice", error="neither an SPKI digest nor a thumbprint")
    cli.expect(5, "key", "show", "00" * 32, error="no key with this SPKI digest")
    # An additional certificate that ends soon is told ahead of time.
    site.cli("select", "additional", f"alice@{INSIDE}", erin)
    found = cli.run("doctor", "--no-mta").stdout
    cli.tap.ok("ends within 30 days" in found and "additional certificate" in found, "doctor: an additional certificate ends soon", found)
    cli.tap.ok("names are found by an index" in found, "doctor: searches are indexed", found)
    own = [row["thumbprint"] for row in items(cli, "crl", "list") if row["issuer"] == "CN=Test Issuing CA, O=Test Root, C=XX"]
    cli.expect(0, "crl", "delete", *own, "--yes", name="the list of our own CA is deleted")
    cli.tap.ok("is not in the store: nothing that it issued is used" in cli.run("doctor", "--no-mta").stdout,
               "doctor: our own CA has no list", own)
    cli.expect(0, "ca", "crl", name="and gets a new one")
    cli.tap.ok("nothing that it issued" not in cli.run("doctor", "--no-mta").stdout, "doctor: and all is well again")
    housekeeping = next(row for row in items(cli, "job", "list", "--kind", "housekeeping") if row["kind"] == "housekeeping")
    sql(site, f"UPDATE job SET state = 'due', due = now() WHERE id = {housekeeping['id']}")
    site.daemon.stop()
    site.start_daemon()
    cli.tap.case("the log says so once a day", wait_until, "a line in the log",
                 lambda: "an additional certificate ends soon" in site.daemon.output() and erin in site.daemon.output())
    sql(site, f"UPDATE certificate SET pending = true WHERE thumbprint = '{erin}'")
    rows = items(cli, "cert", "list", "--pending")
    cli.tap.ok([row["thumbprint"] for row in rows] == [erin] and rows[0]["pending"] is True, "cert list --pending", rows)


def test_completion(cli):
    """By bash itself, with the script that is installed."""
    site = cli.site
    script = os.path.join(BUILD, "contrib", "completion", "postseal")

    def completed(*words):
        line = [program("postseal"), "-c", site.config, *words]
        done = subprocess.run(["bash", "-c", 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _postseal; printf "%s\n" "${COMPREPLY[@]}"',
                               script, *line], capture_output=True, text=True, cwd=site.folder)
        return done.stdout.split("\n")[:-1], done.stderr

    for words, wanted in ((("ce",), ["cert"]), (("cert", "sh"), ["show"]), (("cert", "list", "--exp"), ["--expired"]),
                          (("cert", "list", "--expired", ""), ["all", "no", "only"]), (("ca", "show", "Test\\ Iss"), ["Test\\ Issuing\\ CA"]),
                          (("domain", "show", "ins"), [INSIDE]), (("domain", "set", INSIDE, "encrypt_mode", "fo"), ["force"]),
                          (("cert", "import", "rich.p"), ["rich.pem"])):
        found, complaint = completed(*words)
        cli.tap.ok(found == wanted and not complaint, f"bash completes {' '.join(words)}", (found, complaint))
    alice = items(cli, "cert", "list", "--email", ALICE)[0]["thumbprint"]
    cli.tap.ok(completed("cert", "show", alice[:6])[0] == [alice[:16]], "a thumbprint by its first digits", completed("cert", "show", alice[:6]))
    done = subprocess.run([program("postseal"), "complete", "--", "cert", "list", "--p"], capture_output=True, text=True)
    fish = os.path.join(BUILD, "contrib", "completion", "postseal.fish")
    cli.tap.ok(done.stdout == "--pending\tonly those that wait for an administrator\n" and "complete --" in open(fish).read(), "fish gets the meanings", done.stdout)


def sql(site, text):
    """As the database's own superuser, where no command does it."""
    folder = os.path.dirname(site.database_socket())
    done = subprocess.run(["psql", "-X", "-q", "-h", folder, "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", text, "postseal"],
                          capture_output=True, text=True, user="postgres")
    if done.returncode != 0:
        raise Failed(done.stderr)


def fill(site):
    """Several hundred certificates of strangers, and some that are strange."""
    folder = os.path.join(site.folder, "made")
    os.makedirs(folder)
    bundle = os.path.join(folder, "bundle.pem")
    key = os.path.join(folder, "one.key")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    with open(bundle, "w") as out:
        for n in range(MANY):
            pem, _ = make_cert(folder, f"m{n}", f"/O=Noise/CN=one of many {n},", key=key)
            out.write(open(pem).read())
        strange = {"jurgen": ("/CN=Jürgen Müßig", ["subjectAltName=email:jurgen@partner.example"]),
                   "evil": ("/CN=evil \x1b[2J\u202e", []), "formula": ("/CN==cmd\x1b|x", [])}
        for name, (subject, extensions) in strange.items():
            out.write(open(make_cert(folder, name, subject, extensions=extensions)[0]).read())
        config = file_with(site, "expired.cnf", "[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index\nserial=%s/serial\nnew_certs_dir=%s\npolicy=p\n"
                           "default_md=sha256\n[p]\ncommonName=supplied\n" % (folder, folder, folder))
        file_with(site, "made/index", "")
        file_with(site, "made/serial", "77\n")
        csr = os.path.join(folder, "expired.csr")
        openssl("req", "-new", "-key", key, "-subj", "/CN=Expired one", "-out", csr)
        openssl("ca", "-batch", "-selfsign", "-config", config, "-keyfile", key, "-in", csr, "-startdate", "20200101000000Z", "-enddate",
                "20210101000000Z", "-notext", "-out", os.path.join(folder, "expired.pem"))
        out.write(open(os.path.join(folder, "expired.pem")).read())
    site.cli("cert", "import", bundle)
    statements = file_with(site, "rich.cnf", RICH)
    rich = os.path.join(site.folder, "rich.pem")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", os.path.join(folder, "rich.key"), "-out", rich,
            "-days", "90", "-config", statements, "-set_serial", "0x1234abcd")
    site.cli("cert", "import", rich)
    return thumbprint(rich).replace(":", "").lower()


RICH = """[req]
distinguished_name = dn
x509_extensions = ext
prompt = no
[dn]
CN = Rich
emailAddress = other@partner.example
[ext]
basicConstraints = CA:FALSE
subjectKeyIdentifier = hash
keyUsage = digitalSignature, keyAgreement
extendedKeyUsage = emailProtection, 1.2.3.4.5.6
subjectAltName = email:rich@partner.example
certificatePolicies = 2.23.140.1.5.2.2, 0.4.0.194112.1.0
crlDistributionPoints = URI:http://crl.partner.example/a.crl
authorityInfoAccess = OCSP;URI:http://ocsp.partner.example/, caIssuers;URI:http://ca.partner.example/ca.cer
qcStatements = ASN1:SEQUENCE:qc
1.2.3.4.5.7 = ASN1:UTF8String:something of their own
[qc]
a = SEQUENCE:qc1
b = SEQUENCE:qc4
[qc1]
id = OID:0.4.0.1862.1.1
[qc4]
id = OID:0.4.0.1862.1.4
"""


def guarded(tap, test, *args):
    try:
        test(*args)
    except (Failed, KeyError, IndexError, ValueError, OSError, subprocess.SubprocessError) as error:
        tap.ok(False, f"{test.__name__} ran to its end", f"{type(error).__name__}: {error}")


def main():
    tap = Tap()
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root for a database of its own")
        return
    with Site({"api_group_view": grp.getgrgid(1).gr_name, "api_group_operate": grp.getgrgid(2).gr_name}) as site:
        site.start(postfix=False)
        cli = Cli(site, tap)
        site.make_ca()
        for address, name in ((ALICE, "Alice"), (CAROL, "Carol")):
            site.issue(address, name, "--key", "ec:P-256")
        rich = fill(site)
        site.cli("ctl", "add", "cd" * 64, "deny", "--comment", "=HYPERLINK(\"http://x\")")
        for test in (test_filters, test_pages, test_all, test_hostile, test_export, test_delete, test_ctl, test_roots):
            guarded(tap, test, cli)
        guarded(tap, test_show, cli, rich)
        guarded(tap, test_select, cli)
        guarded(tap, test_keys, cli)
        guarded(tap, test_completion, cli)
        site.daemon.stop()
        tap.ok("Sanitizer" not in site.daemon.output() and "runtime error" not in site.daemon.output(), "nothing that a sanitizer found")
    tap.done()


if __name__ == "__main__":
    main()
