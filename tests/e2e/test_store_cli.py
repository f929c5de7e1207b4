#!/usr/bin/env python3
"""Stores and selection by command: lists, filters and pages, everything about a certificate, trust list, roots, choices, keys."""
import csv
import grp
import io
import json
import os
import pty
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from commands import Cli, file_with, openssl  # noqa: E402
from harness import INSIDE, PARTNER, Failed, Site, Tap, program  # noqa: E402

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
    cli.expect(1, "cert", "list", "--after", "alice", error="--after: not a cursor of this list")
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
        for test in (test_filters, test_pages, test_all, test_hostile, test_export, test_delete):
            guarded(tap, test, cli)
        guarded(tap, test_show, cli, rich)
    tap.done()


if __name__ == "__main__":
    main()
