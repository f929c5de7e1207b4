#!/usr/bin/env python3
"""Every message of the data folder gives what its MANIFEST or SOURCE says: one test a row, also for rows to come.

Each row is read by `postseal message` as it is, and as mail whose From is its signer; that mail then comes in at a
site that holds the source's keys and roots, by the source's clock. What a row asks for is taken
from the words in its "expected" column; words that nobody here knows are a failure, not a pass.
"""
import base64
import concurrent.futures
import csv
import email
import enum
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from arriving import arrive  # noqa: E402
from forge import integer, seq  # noqa: E402
from harness import DATA, Site, Tap, program  # noqa: E402

FOLDERS = ("rfc4134", "rfc9216", "bluemind", "protected-headers", "pkits", "openssl", "cms-fixtures", "gnupg")
NOWHERE = "sender@samples.example"
EX_CONTENT = b"This is some sample content."


class Reason(enum.Enum):
    """Why a row may have another outcome than its source says: on purpose, and no other reason counts."""
    ATTRIBUTES = "signed attributes must hold the content's type and digest (RFC 5652 section 11)"
    NONCE = "a GCM nonce has 12 octets, nothing else is opened"
    CIPHER = "the cipher or key wrap is too old, or not among those that are read"
    CURVE = "an algorithm that OpenSSL 3.0's CMS does not have: said so, never guessed"
    ANCHOR = "the source names no certificate that its signer's path could end at"
    NOT_MAIL = "the signed content is no MIME entity, which mail programs read in several ways: good, never valid"
    TRANSPORT = "a way to carry keys that no mail program writes: named, not opened"
    UNVOUCHED = "CBC text that is no mail, and that no signature vouches for, is not handed to mail programs"
    LIST = "a revocation list that the store does not take"
    POLICY = "initial policies are asked of the path, not of a message"


# (folder, file): why.
ON_PURPOSE = {
    ("gnupg", "samplemsgs/pwri-sample.gcm.p7m"): Reason.NONCE,
    ("gnupg", "text-1.osig.pem"): Reason.ATTRIBUTES,
    ("gnupg", "text-2.osig.pem"): Reason.ATTRIBUTES,
    ("gnupg", "text-1.dsig.pem"): Reason.ATTRIBUTES,
    ("rfc4134", "4.3.bin"): Reason.NOT_MAIL,
}
# At a gateway, beside those.
ON_PURPOSE_ARRIVING = {
    ("gnupg", "plain-1.cms.asc"): Reason.UNVOUCHED,
    ("gnupg", "plain-2.cms.asc"): Reason.UNVOUCHED,
    ("gnupg", "plain-large.cms.asc"): Reason.UNVOUCHED,
}


# -- where the rows are -----------------------------------------------------------------------


def data(*names):
    return os.path.join(DATA, *names)


class Row:
    def __init__(self, folder, columns, path=None):
        self.folder, self.columns, self.file = folder, columns, columns["file"]
        self.path = path or data(folder, self.file)
        self.expected = " ".join(columns.get("expected", "").split())

    @property
    def key(self):
        return self.folder, self.file

    @property
    def kind(self):
        return self.columns.get("cms_type", "").split(":")[-1]


def rows():
    for folder in FOLDERS:
        path = data(folder, "MANIFEST.tsv")
        if os.path.exists(path):
            with open(path, newline="") as f:
                for columns in csv.DictReader(f, delimiter="\t"):
                    yield Row(folder, {k: v or "" for k, v in columns.items() if k})
    if os.path.exists(data("pkits", "expected.json")):
        with open(data("pkits", "expected.json")) as f:
            for test in json.load(f):
                if test.get("smime_eml"):
                    yield Row("pkits", {"file": test["smime_eml"] + "#" + test["id"], "expected": test["expected"], "test": test,
                                        "cms_type": "clear-signed:SignedData"}, data("pkits", "smime", test["smime_eml"]))


# -- keys, roots and clocks by SOURCE.txt -----------------------------------------------------


class Setting:
    """What is given beside a message."""

    def __init__(self, roots=(), keys=(), untrusted=(), at=None, password=None, revocation=None):
        self.roots, self.keys, self.untrusted = list(roots), list(keys), list(untrusted)
        self.at, self.password, self.revocation = at, password, revocation

    def arguments(self):
        given = [x for name, paths in (("--roots", self.roots), ("--untrusted", self.untrusted), ("--key", self.keys))
                 for path in paths for x in (name, path)]
        for name, value in (("--at", self.at), ("--password-file", self.password), ("--revocation", self.revocation)):
            given += [name, value] if value else []
        return given


def agent_key(path):
    """An RSA key of gpg-agent as PKCS#1."""
    with open(path, "rb") as f:
        text = f.read()
    if text.startswith(b"(11:private-key"):  # canonical form
        numbers = {}
        for name in b"nedpqu":
            at = re.search(rb"\(1:" + bytes([name]) + rb"(\d+):", text)
            numbers[chr(name)] = int.from_bytes(text[at.end():at.end() + int(at.group(1))], "big")
    else:
        numbers = {n.decode(): int(re.sub(rb"\s", b"", value), 16)
                   for n, value in re.findall(rb"\(\s*([nedpqu])\s+#([0-9A-Fa-f\s]+)#", text)}
    n, e, d, p, q = (numbers[x] for x in "nedpq")
    return seq(*map(integer, (0, n, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))))


class Settings:
    def __init__(self, scratch):
        self.scratch = scratch
        keep = lambda name, content: self.write(name, content)
        self.abc = keep("abc.password", b"abc\n")
        self.bob = keep("bob.password", b"bob\n")
        self.empty = keep("empty.password", b"\n")
        self.table = {}
        rfc4134 = lambda *names: [data("rfc4134", n) for n in names]
        self.table["rfc4134"] = Setting(rfc4134("CarlDSSSelf.cer", "CarlRSASelf.cer"), rfc4134("BobPrivRSAEncrypt.pri", "BobRSASignByCarl.cer"),
                                        [c for c in glob.glob(data("rfc4134", "*.cer")) if "Self" not in c], "1999-11-30T00:00:00Z",
                                        revocation="off")
        self.table["rfc9216"] = Setting(glob.glob(data("rfc9216", "all-certs", "*selfsigned.pem")),
                                        glob.glob(data("rfc9216", "certs-and-keys", "*")))
        self.table["bluemind"] = Setting([data("bluemind", "certificates", "basicCA.crt")])
        p12 = data("protected-headers", "autocrypt-draft", "bob.p12")
        if os.path.exists(p12):
            self.table["protected-headers"] = Setting([data("protected-headers", "autocrypt-draft", "sample-ca.pem")], [p12],
                                                      password=self.bob)
        self.table["cms-fixtures"] = Setting(keys=[data("cms-fixtures", "asn1crypto", "keys", n) for n in ("test.key", "test-der.key", "test.crt")],
                                             roots=[data("cms-fixtures", "asn1crypto", "keys", "test.crt")])
        self.table["openssl"] = Setting([data("openssl", "smime-certs", "smroot.pem"), data("pkits", "certs", "TrustAnchorRootCertificate.crt")],
                                        [p for p in glob.glob(data("openssl", "smime-certs", "*.pem")) + glob.glob(data("openssl", "cms_data", "*-key.pem")) +
                                         glob.glob(data("openssl", "cms_data", "*-cert.pem"))])
        key = data("gnupg", "32100C27173EF6E9C4E9A25D3D69F86D37A4F939")
        if os.path.exists(key):
            self.table["gnupg"] = Setting(glob.glob(data("gnupg", "cert_*")), [keep("gnupg.der", agent_key(key)), data("gnupg", "cert_g10code_test1.der")],
                                          at="2004-01-01T00:00:00Z", revocation="off")

    def write(self, name, content):
        path = os.path.join(self.scratch, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
            f.write(content)
        return path

    def of(self, row):
        if row.folder == "pkits":
            test = row.columns["test"]
            return Setting([data("pkits", "certs", test["trust_anchor"])], at="2011-04-15T00:00:00Z")
        if "password" in row.expected:
            return Setting(password=self.abc)
        return self.table.get(row.folder, Setting())


# -- reading ----------------------------------------------------------------------------------


class Read:
    """What one command said of one file."""

    def __init__(self, verb, path, arguments, scratch):
        output = os.path.join(scratch, "content")
        if os.path.exists(output):
            os.unlink(output)
        done = subprocess.run([program("postseal"), "message", verb, path, "--json", *arguments,
                               *(["--output", output] if verb != "show" else [])], capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
        self.status, self.error = done.returncode, done.stderr.decode(errors="replace")
        try:
            self.report = json.loads(done.stdout)
        except ValueError:
            self.report = {}
        if "written" in self.report:  # a result in place of the report
            self.report = Read.report_of(path, arguments)
        self.content = None
        if os.path.exists(output):
            with open(output, "rb") as f:
                self.content = f.read()

    @staticmethod
    def report_of(path, arguments):
        done = subprocess.run([program("postseal"), "message", "verify", path, "--json", *arguments], capture_output=True, timeout=300,
                              stdin=subprocess.DEVNULL)
        return json.loads(done.stdout or b"{}")

    def crashed(self):
        return self.status not in (0, 1)

    def layers(self):
        return [layer["type"] for layer in self.report.get("layers", [])]

    def signers(self):
        return self.report.get("signers", [])

    def verdict(self):
        return self.report.get("verdict")


def der_of(content):
    if content.startswith(b"-----BEGIN "):
        body = content.split(b"\n", 1)[1].split(b"-----END")[0]
        return base64.b64decode(re.sub(rb"^[A-Za-z-]+:.*$", b"", body, flags=re.M))
    return content


def is_mail(row):
    with open(row.path, "rb") as f:
        head = f.read(4000)
    return re.match(rb"(From |[A-Za-z][A-Za-z0-9-]*:)", head) is not None and b"\0" not in head[:200]


def as_mail(row, sender, content=None):
    """The message of the row; a bare object becomes the content of one."""
    with open(row.path, "rb") as f:
        found = f.read()
    if is_mail(row):
        return found
    head = f"From: {sender}\nTo: bob@inside.example\nSubject: sample\nMIME-Version: 1.0\n".encode()
    if content is None:
        return head + b"Content-Type: application/pkcs7-mime; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(der_of(found))
    return (head + b"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=sample-boundary\n\n--sample-boundary\n" + content +
            b"\n--sample-boundary\nContent-Type: application/pkcs7-signature; name=smime.p7s\nContent-Transfer-Encoding: base64\n\n" +
            base64.encodebytes(der_of(found)) + b"--sample-boundary--\n")


# -- what a row asks for ----------------------------------------------------------------------


class Unmet(Exception):
    """The row says something else."""


def need(condition, text):
    if not condition:
        raise Unmet(text)


LAYER_OF = {"SignedData": ("signed", "certs-only"), "EnvelopedData": ("encrypted",), "AuthEnvelopedData": ("encrypted",),
            "EncryptedData": ("encrypted",), "CompressedData": ("compressed",), "DigestedData": ("other",), "data": ("other",)}


class Case:
    """One row with everything that reading it gave."""

    def __init__(self, row, settings):
        self.row, self.scratch = row, tempfile.mkdtemp(dir=settings.scratch)
        self.setting = settings.of(row)
        self.show = Read("show", row.path, [], self.scratch)
        self.raw = Read("verify", row.path, self.setting.arguments(), self.scratch)
        emails = [e for s in self.raw.signers() for e in s["emails"]]
        self.sender = emails[0] if emails else NOWHERE
        self.detached = self.detached_content()
        self.message = as_mail(row, self.sender, self.detached)
        path = os.path.join(self.scratch, "message.eml")
        with open(path, "wb") as f:
            f.write(self.message)
        self.verify = Read("verify", path, self.setting.arguments(), self.scratch)
        self.decrypt = Read("decrypt", path if is_mail(row) else row.path, self.setting.arguments(), self.scratch)

    def detached_content(self):
        if not self.raw.signers() or "the content is not here" not in self.raw.signers()[0]["reason"] or is_mail(self.row):
            return None
        named = re.search(r"over ([\w.-]+)|\(([\w.]+\.bin)\)", self.row.expected)
        if named is None:
            return None
        with open(data(self.row.folder, named.group(1) or named.group(2)), "rb") as f:
            return f.read()

    def no_crash(self):
        for done in (self.show, self.raw, self.verify, self.decrypt):
            need(not done.crashed(), f"exit {done.status}: {done.error}")

    def shown(self):
        wanted = LAYER_OF.get(self.row.kind)
        if self.row.kind == "not-CMS":
            need(not self.show.layers(), f"shown as {self.show.layers()}")
        elif wanted and "cannot parse" not in self.row.columns.get("note", ""):
            need(self.show.layers() and self.show.layers()[0] in wanted, f"shown as {self.show.layers()}, not {wanted}: {self.show.report}")
        if self.row.columns.get("openssl_signature_only") == "valid":
            self.good()

    def signed_content(self):
        inner = re.match(r'"?\[(This is some sample content\.)\]', self.row.columns.get("inner", ""))
        if inner and self.raw.content is not None:
            need(inner.group(1).encode() in self.raw.content, f"content {self.raw.content[:200]}")

    def good(self):
        signers = self.verify.signers()
        need(signers and all(s["signature"] == "good" for s in signers), f"signers {signers}, {self.verify.report.get('reason')}")
        self.signed_content()

    def valid(self):
        self.good()
        need(all(s["trust"] == "valid" for s in self.verify.signers()), f"{self.verify.signers()}")
        need(self.verify.verdict() == "valid", f"{self.verify.verdict()}: {self.verify.report.get('reason')}")
        need(self.verify.status == 0, f"exit {self.verify.status}")

    def trusted(self):
        """Its From is another address than its signer's."""
        self.good()
        need(all(s["trust"] == "valid" for s in self.verify.signers()), f"{self.verify.signers()}")
        need(self.verify.verdict() in ("valid", "mismatch"), f"{self.verify.verdict()}: {self.verify.report.get('reason')}")

    def not_valid(self):
        need(self.verify.verdict() != "valid" and self.raw.verdict() != "valid", "valid")
        need(self.verify.status != 0 and self.raw.status != 0, "exit 0")

    def bad(self):
        self.not_valid()
        need(not any(s["signature"] == "good" for s in self.verify.signers()), f"{self.verify.signers()}")

    def changed(self):
        need(self.verify.verdict() == "bad", f"{self.verify.verdict()}: {self.verify.report.get('reason')}")

    def untrusted(self):
        self.good()
        need(self.verify.verdict() in ("untrusted", "mismatch"), f"{self.verify.verdict()}")
        need(not any(s["trust"] == "valid" for s in self.verify.signers()), f"{self.verify.signers()}")

    def not_smime(self):
        need(not self.verify.signers() and self.verify.verdict() in ("unsigned", "malformed"), f"{self.verify.verdict()}, {self.verify.signers()}")

    def opened(self):
        need(self.decrypt.content is not None and self.decrypt.status == 0, f"{self.decrypt.verdict()}: {self.decrypt.report.get('reason')}{self.decrypt.error}")
        inner = re.match(r'"?\[(This is some sample content\.)\]', self.row.columns.get("inner", ""))
        need(not inner or self.decrypt.content == inner.group(1).encode(), f"content {self.decrypt.content[:200]}")
        bytes_of = re.search(r"rc=0 (\d+) bytes", " ".join(str(v) for v in self.row.columns.values()))
        need(not bytes_of or len(self.decrypt.content) == int(bytes_of.group(1)), f"{len(self.decrypt.content)} bytes")

    def stays_closed(self):
        need(self.decrypt.content is None and self.decrypt.status == 1, "opened")
        need(self.decrypt.verdict() in ("undecryptable", "malformed"), f"{self.decrypt.verdict()}")

    def opened_by_measure(self):
        """Where the manifest measured a key that opens it, it is opened; else it is named."""
        (self.opened if self.row.columns.get("decrypts_with", "none") not in ("", "none") else self.shown)()

    def opened_signed(self):
        self.opened()
        need(self.decrypt.verdict() == "valid", f"{self.decrypt.verdict()}: {self.decrypt.report.get('reason')}")

    def opened_unsigned(self):
        self.opened()
        need(self.decrypt.verdict() == "unsigned", f"{self.decrypt.verdict()}")

    def real_world(self):
        self.shown()
        self.not_valid()

    def pkits_valid(self):
        need(len(self.verify.signers()) == 1, "signers")
        signer, test = self.verify.signers()[0], self.row.columns["test"]
        need(signer["signature"] == "good", signer["reason"])
        trusted = signer["trust"] == "valid"
        if default_policy(test):
            need(trusted == (test["expected"] == "valid"), signer["reason"])
            need((self.verify.verdict() in ("valid", "mismatch")) == trusted, f"{self.verify.verdict()}")
        else:
            need(path_verdict(test) == test["expected"], "cert verify says otherwise")


def default_policy(test):
    return (test["initial_policy_set"] in ([], ["2.5.29.32.0"]) and not test["initial_explicit_policy"] and
            not test["initial_policy_mapping_inhibit"] and not test["initial_inhibit_any_policy"])


def path_verdict(test):
    """Initial settings are asked of the path: `message verify` has the defaults."""
    path = lambda kind, name: data("pkits", kind, name)
    arguments = ["--roots", path("certs", test["trust_anchor"]), "--at", "2011-04-15T00:00:00Z", "--revocation", "required"]
    for name in test["intermediates"]:
        arguments += ["--untrusted", path("certs", name)]
    for name in test["crls"]:
        arguments += ["--crls", path("crls", name)]
    for policy in test["initial_policy_set"]:
        arguments += ["--policy", policy]
    for name in ("explicit_policy", "policy_mapping_inhibit", "inhibit_any_policy"):
        if test["initial_" + name]:
            arguments.append({"explicit_policy": "--explicit-policy", "policy_mapping_inhibit": "--inhibit-policy-mapping",
                              "inhibit_any_policy": "--inhibit-any-policy"}[name])
    done = subprocess.run([program("postseal"), "cert", "verify", path("certs", test["end_cert"]), "--json", *arguments], capture_output=True, timeout=300)
    return "valid" if json.loads(done.stdout)["verdict"] == "valid" else "invalid"


# The first that matches. Beside it every row is shown, and nothing crashes.
WORDS = [
    (r"^(in)?valid$", Case.pkits_valid),
    (r"must not crash; not S/MIME", Case.not_smime),
    (r"INVALID \(content modified\)", Case.changed),
    (r"INVALID signature", Case.untrusted),
    (r"verify with -policy_check MUST fail", Case.not_valid),
    (r"MUST be rejected|verify MUST fail|^BAD signature|decode MUST fail|edge case", Case.bad),
    (r"^bad: signer key usage", Case.not_valid),
    (r"decrypt MUST fail cleanly", Case.stays_closed),
    (r"decrypts with the key in", Case.shown),
    (r"decrypts with.*inner valid signature", Case.opened_signed),
    (r"decrypts with.*; unsigned", Case.opened_unsigned),
    (r"^decrypts with", Case.opened),
    (r"(?i)^enveloped|S/MIME enveloped|EnvelopedData for", Case.opened_by_measure),
    (r"real-world web.de", Case.real_world),
    (r"delivered unmodified|must not touch", Case.no_crash),
    (r"(?i)signed over DigestedData|detached p7s|BER indefinite length$|^parse/round-trip|CompressedData|certs-only|^data$|digestedData|encryptedData|^$", Case.shown),
    (r"signed with receipt", Case.shown),
    (r"multipart/signed message|signed-data message", Case.trusted),
    (r"(?i)valid|^signed|multipart/signed message|signed-data message|BER indefinite length, equals", None),
]


def demand(row):
    for words, check in WORDS:
        if re.search(words, row.expected):
            if check is not None:
                return check
            # A source without roots speaks of the signature alone.
            return Case.good if row.folder in ("cms-fixtures",) else Case.valid
    return None


def check_row(tap, case, counts):
    row = case.row
    name = f"{row.folder}/{row.file}: {row.expected[:70] or row.kind}"
    try:
        check = demand(row)
        need(check is not None, "nobody knows what these words ask for")
        case.no_crash()
        check(case)
    except Unmet as unmet:
        reason = ON_PURPOSE.get(row.key)
        counts["on purpose" if reason else "unmet"] += 1
        tap.ok(reason is not None, f"{name} (on purpose: {reason.value})" if reason else name, str(unmet))
        return
    counts["as said"] += 1
    tap.ok(row.key not in ON_PURPOSE, name, "it is met: take it off the list")


# -- the same at a site -----------------------------------------------------------------------


class Arriving:
    """A site with the keys and roots of all sources; the filter's clock is the source's."""

    LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
    RECIPIENTS = {"rfc4134": "BobRSA@example.com", "rfc9216": "bob@smime.example", "protected-headers": "bob@smime.example",
                  "cms-fixtures": "will@codexns.io"}
    # A site judges signers as of now: some samples' certificates have ended since.
    CLOCKS = {"bluemind": "2022-11-04T00:00:00Z", "cms-fixtures": "2016-01-01T00:00:00Z"}

    def __init__(self, site, settings):
        self.site, self.at = site, None
        site.start(postfix=False)
        for domain in ("smime.example", "example.com", "codexns.io"):
            site.cli("domain", "set", domain, "locality", "internal")
        for name, value in (("legacy_algorithms", "on"), ("harvest", "off"), ("on_spoofed_internal", "inbound")):
            site.cli("global", "set", name, value)
        roots, keys = set(), {}
        for setting in settings.table.values():
            roots |= set(setting.roots)
            keys.setdefault(setting.password, set()).update(setting.keys)
        roots = [r for r in roots if os.path.exists(r) and "/gnupg/" not in r] + [data("pkits", "certs", "TrustAnchorRootCertificate.crt")]
        for path in roots:
            site.cli("root", "import", path, check=False)
        for password, paths in keys.items():
            site.cli("key", "import", *sorted(paths), *(["--password-file", password] if password else []), check=False)
        site.cli("cert", "import", data("pkits", "certs"), *glob.glob(data("rfc4134", "*.cer")), check=False)
        site.cli("crl", "import", data("pkits", "crls"), check=False)
        for path in (data("gnupg", "cert_g10code_test1.der"), data("openssl", "smime-certs", "smec3.pem")):
            site.cli("cert", "import", path, check=False)
            site.cli("select", "encrypt", "bob@inside.example", path, check=False)  # their certificates name nobody

    def clock(self, at):
        if at == self.at:
            return
        self.at = at
        self.site.filter.stop()
        self.site.filter.env = dict(os.environ)
        if at:
            self.site.filter.env.update(LD_PRELOAD=self.LIBRARY, FAKETIME="@" + at.replace("T", " ").rstrip("Z"), FAKETIME_DONT_FAKE_MONOTONIC="1",
                                        TZ="UTC")
        self.site.start_filter()

    def revocation(self, folder):
        self.site.cli("global", "set", "revocation_verify", "required" if folder == "pkits" else "off")

    def take(self, case):
        """What the site says of the case's message."""
        self.clock(case.setting.at or self.CLOCKS.get(case.row.folder))
        recipient = self.RECIPIENTS.get(case.row.folder, "bob@inside.example")
        sender = case.sender if case.sender != NOWHERE else "sender@outside.example"
        return arrive(self.site, case.message, sender, [recipient])


def arriving_valid(case, arrival):
    need(arrival.verdict == "valid" and arrival.result == "pass", f"{arrival.verdict}, {arrival.added('Authentication-Results')}")


def arriving_trusted(case, arrival):
    need(arrival.verdict in ("valid", "mismatch"), f"{arrival.verdict}, {arrival.added('Authentication-Results')}")


def arriving_not_valid(case, arrival):
    need(arrival.verdict != "valid" and arrival.result != "pass", f"{arrival.verdict}")


def arriving_bad(case, arrival):
    need(arrival.verdict == "bad" and arrival.result == "fail", f"{arrival.verdict}")


def arriving_opened(case, arrival):
    need(arrival.added("X-Postseal-Decrypted") and arrival.changed_body, f"{arrival.verdict}: {arrival.added('Authentication-Results')}")
    body = case.decrypt.content.replace(b"\r\n", b"\n").split(b"\n\n", 1)[-1]
    delivered = arrival.body.replace(b"\r\n", b"\n")
    if "unsigned; legacy display" in case.row.expected:
        # The part that repeats the Subject for programs without header protection has done its duty.
        body = without_display_part(case.decrypt.content, body)
        need(b"protected-headers=" not in delivered, "the display part is still there")
    need(body.strip() in delivered, "other content")


def without_display_part(content, body):
    """The text of the last part."""
    parts = [part for part in email.message_from_bytes(content).walk() if not part.is_multipart()]
    need(len(parts) == 2 and parts[0].get_param("protected-headers"), "no display part")
    return parts[-1].get_payload().encode().replace(b"\r\n", b"\n")


def arriving_closed(case, arrival):
    need(not arrival.changed_body and arrival.verdict != "valid", "opened")


def arriving_opened_signed(case, arrival):
    arriving_opened(case, arrival)
    arriving_valid(case, arrival)


def arriving_opened_unsigned(case, arrival):
    arriving_opened(case, arrival)
    need(arrival.verdict == "unsigned" and arrival.result == "none", f"{arrival.verdict}")


def arriving_measured(case, arrival):
    """Good signatures stay good, and what can be opened is."""
    if case.decrypt.content is not None:
        arriving_opened(case, arrival)
    else:
        arriving_closed(case, arrival) if case.verify.verdict() != "valid" else arriving_valid(case, arrival)


def arriving_like_the_file(case, arrival):
    need((arrival.verdict == "valid") == (case.verify.verdict() == "valid"), f"{arrival.verdict}, but {case.verify.verdict()} in a file")


def arriving_pkits(case, arrival):
    if default_policy(case.row.columns["test"]):
        need((arrival.verdict in ("valid", "mismatch")) == (case.row.expected == "valid"), f"{arrival.verdict}: {arrival.added('X-Postseal-Signer-1')}")


AT_A_SITE = {
    Case.valid: arriving_valid, Case.trusted: arriving_trusted, Case.good: arriving_like_the_file, Case.changed: arriving_bad,
    Case.untrusted: arriving_not_valid, Case.not_valid: arriving_not_valid, Case.bad: arriving_not_valid, Case.not_smime: arriving_not_valid,
    Case.stays_closed: arriving_closed, Case.opened: arriving_opened, Case.opened_signed: arriving_opened_signed,
    Case.opened_unsigned: arriving_opened_unsigned, Case.opened_by_measure: arriving_measured, Case.shown: arriving_like_the_file,
    Case.real_world: arriving_not_valid, Case.no_crash: arriving_closed, Case.pkits_valid: arriving_pkits,
}


def arriving(tap, settings, cases):
    counts = {"as said": 0, "on purpose": 0, "unmet": 0}
    with Site() as site:
        here = Arriving(site, settings)
        folder = None
        for case in sorted(cases, key=lambda c: (c.setting.at or Arriving.CLOCKS.get(c.row.folder, ""), c.row.folder)):
            if case.setting.password == settings.abc:
                tap.skip(f"arriving: {case.row.file}", "a gateway has no passphrases")
                continue
            if case.row.folder != folder:
                folder = case.row.folder
                here.revocation(folder)
            name = f"arriving: {case.row.folder}/{case.row.file}: {case.row.expected[:50] or case.row.kind}"
            why = ON_PURPOSE.get(case.row.key) or ON_PURPOSE_ARRIVING.get(case.row.key)
            try:
                arrival = here.take(case)
                need(arrival.answer == "250", arrival.answer)
                AT_A_SITE[demand(case.row)](case, arrival)
            except Unmet as unmet:
                counts["on purpose" if why else "unmet"] += 1
                tap.ok(why is not None, f"{name} (on purpose: {why.value})" if why else name, str(unmet))
                continue
            counts["as said"] += 1
            tap.ok(case.row.key not in ON_PURPOSE_ARRIVING, name, "it is met: take it off the list")
    return counts


def report(tap, where, counts):
    total = sum(counts.values())
    print(f"# {where}: {total} rows: " + ", ".join(f"{v} {k}" for k, v in counts.items()))
    tap.ok(len(Reason) <= 10 and counts["on purpose"] * 20 <= total, f"{where}: at most 5 % differ on purpose, by ten reasons")


def main():
    tap = Tap()
    if not os.path.isdir(DATA):
        tap.skip("samples", f"no folder {DATA}")
        tap.done()
    counts = {"as said": 0, "on purpose": 0, "unmet": 0}
    with tempfile.TemporaryDirectory(prefix="pssamples-") as scratch:
        settings = Settings(scratch)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            cases = list(pool.map(lambda row: Case(row, settings), rows()))
        for case in cases:
            check_row(tap, case, counts)
        report(tap, "in files", counts)
        if os.path.exists(Arriving.LIBRARY):
            report(tap, "arriving", arriving(tap, settings, cases))
        else:
            tap.skip("the samples at a site", "no libfaketime")
    tap.done()


if __name__ == "__main__":
    main()
