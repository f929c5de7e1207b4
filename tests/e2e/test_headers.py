#!/usr/bin/env python3
"""Header protection (RFC 9788) through a real mail server: what is inside and outside of signed and encrypted copies,
opened by OpenSSL and read back by `postseal message`."""
import email
import email.header
import email.policy
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import DATA, INSIDE, OUTSIDER, PARTNER, Site, Tap, require  # noqa: E402
from mta import Mta, new_body, new_field  # noqa: E402
import peers  # noqa: E402
import samples  # noqa: E402

FULL = os.environ.get("PS_FULL") == "yes"
SENDER, SILENT = f"sender@{INSIDE}", f"silent@{INSIDE}"
INBOX = f"inbox@{INSIDE}"
READER, PLAIN = f"reader@{PARTNER}", f"plain@{PARTNER}"
TRACE = {"received", "return-path", "delivered-to", "x-original-to"}
# name, sender, recipient, format; the reader has a certificate and is always encrypted to
MODES = [
    ("signed", SENDER, PLAIN, "clear"),
    ("signed opaque", SENDER, PLAIN, "opaque"),
    ("encrypted", SILENT, READER, None),
    ("signed and encrypted", SENDER, READER, "clear"),
    ("opaque signed and encrypted", SENDER, READER, "opaque"),
]
UMLAUTS = "Grüße: Prüfung ąęł 東京"
LONG = " ".join(f"word{i:04d}" for i in range(900))
SUBJECTS = [
    ("plain", "Dinner plans", "Dinner plans"),
    ("UTF-8", email.header.Header(UMLAUTS, "utf-8").encode(), UMLAUTS),
    ("folded", "a subject\n that is folded\n\tthree times\n over", "a subject that is folded\tthree times over"),
    ("long", LONG.replace(" word0", "\n word0"), LONG),
    ("raw UTF-8", UMLAUTS, UMLAUTS),
    ("empty", "", ""),
    ("absent", None, None),
    ("markup", 'a <b> & "c" =3D', 'a <b> & "c" =3D'),
    ("brackets", "[...]", "[...]"),
]


class World:
    def __init__(self, site):
        self.site = site
        folder = os.path.join(site.folder, "people")
        os.makedirs(folder)
        site.make_ca()
        self.root = os.path.join(folder, "root.pem")
        site.cli("root", "export", "--all", "--output", self.root)
        for address in (SENDER, READER, INBOX):
            site.issue(address, address.split("@")[0])
        p12 = os.path.join(folder, "reader.p12")
        site.export_p12(READER, p12)
        self.reader = peers.Identity(folder, READER, p12, os.path.join(site.folder, "etc", "p12.password"), self.root)
        self.openssl = peers.OpenSSL(os.path.join(site.folder, "witness"), self.root)
        site.prefer(SILENT, sign_mode="never")
        site.prefer(READER, encrypt_mode="force")
        site.prefer(INBOX, encrypt_mode="force", protect_internal="on")
        site.prefer(INSIDE, header_protection="signed-and-encrypted")

    def shape(self, form):
        for who in (READER, PLAIN):
            self.site.prefer(who, signing_format=form or "clear")

    def payload(self, mode, got):
        """What OpenSSL finds inside of all layers."""
        _, sender, recipient, form = mode
        entity = got
        if recipient == READER:
            entity = self.openssl.decrypt(peers.cut_cms(entity), self.reader)
        if sender == SENDER and form == "clear":
            return self.openssl.verify_clear(*peers.cut_signed(entity))
        if sender == SENDER:
            return self.openssl.verify_opaque(peers.cut_cms(entity))
        return entity

    def read_back(self, mode, got):
        """What the gateway itself says of it."""
        path = os.path.join(self.site.folder, "got.eml")
        with open(path, "wb") as f:
            f.write(got)
        how = ["decrypt", path, "--key", self.reader.pem, "--output", path + ".out"] if mode[2] == READER else ["verify", path]
        if os.path.exists(path + ".out"):
            os.unlink(path + ".out")
        done = self.site.cli("message", how[0], *how[1:], "--roots", self.root, "--json", check=False)
        require(done.stdout.startswith("{"), done.stderr)
        return json.loads(done.stdout)


def message(subject, sender, recipient, extra="", body=None):
    text = (f"From: Sender <{sender}>\nTo: <{recipient}>\n" + ("" if subject is None else f"Subject: {subject}\n".replace(": \n", ":\n"))
            + f"Message-ID: <{os.urandom(8).hex()}@{INSIDE}>\nDate: Fri, 21 Nov 2025 10:00:00 +0000\n{extra}")
    body = body or ("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
                    "The text of the letter.\n")
    return (text + body).encode()


def parsed(data):
    found = email.message_from_bytes(data.replace(b"\r\n", b"\n"), policy=email.policy.compat32)
    found._headers = [(n, v.encode(errors="surrogateescape").decode(errors="replace")) for n, v in found._headers]
    return found


def decoded(value):
    """As subject and folds are read (RFC 5322, 2047)."""
    if value is None:
        return None
    value = re.sub(r"\n(?=[ \t])", "", str(value)).strip()
    if not value.isascii():
        return value
    return str(email.header.make_header(email.header.decode_header(value)))


def same_text(a, b):
    return (a is None) == (b is None) and (a is None or re.sub(r"\s+", " ", a) == re.sub(r"\s+", " ", b))


def recorded(payload):
    """Name and value of each HP-Outer field."""
    return [tuple(p.strip() for p in re.sub(r"\n(?=[ \t])", "", v).split(":", 1)) for v in payload.get_all("HP-Outer", [])]


def check_outside(mode, outer, inner, subject):
    encrypted = mode[2] == READER
    hidden = "[...]" if subject is not None else None
    require(same_text(decoded(outer["Subject"]), hidden if encrypted else subject), f"outside: {outer['Subject']!r}")
    require(inner.get_param("hp") == ("cipher" if encrypted else "clear"), inner["Content-Type"])
    require(len(inner.get_all("Content-Type")) == 1 and len(inner.get_all("MIME-Version", [])) == 1, "fields twice")
    seen = recorded(inner)
    if not encrypted:
        require(not seen, f"HP-Outer in a signed message: {seen}")
        return
    visible = [(n, decoded(v)) for n, v in outer.items()
               if n.lower() not in TRACE | {"mime-version"} and not n.lower().startswith(("content-", "x-postseal-"))]
    require(sorted((n, decoded(v)) for n, v in seen) == sorted(visible), f"HP-Outer {seen}\noutside {visible}")


def round_trip(world, mode, case):
    name, raw, subject = case
    sent = message(raw, mode[1], mode[2])
    got = world.site.exchange(mode[1], mode[2], sent)
    payload = world.payload(mode, got)
    require(b"\n" not in payload.replace(b"\r\n", b""), "a bare LF inside")
    if mode[1] == SENDER:
        require(max(payload) < 128, "not 7-bit")
    outer, inner = parsed(got), parsed(payload)
    check_outside(mode, outer, inner, subject)
    require(same_text(decoded(inner["Subject"]), subject), f"inside: {inner['Subject']!r}")
    if name in ("plain", "UTF-8", "folded", "long"):
        require(str(inner["Subject"]) == raw, "written anew")
    answer = world.read_back(mode, got)
    require(answer["verdict"] == ("valid" if mode[1] == SENDER else "unsigned"), answer["reason"])
    fields = {f["name"]: f for f in answer["protected_header"]["fields"]}
    require(same_text(fields["Subject"]["value"] if "Subject" in fields else None, subject), fields.get("Subject"))
    signed, encrypted = mode[1] == SENDER, mode[2] == READER
    states = {(True, True): "signed-and-encrypted", (True, False): "signed", (False, True): "encrypted"}
    if subject is not None and not (encrypted and subject == "[...]"):
        require(fields["Subject"]["protection"] == states[signed, encrypted], fields["Subject"])
    require(fields["From"]["protection"] == ("signed" if signed else "neither") and fields["From"]["same_outside"], fields["From"])


# -- contents -----------------------------------------------------------------------------------


def without_display(payload):
    """The leaves of a payload as a reader shows them that knows legacy display elements."""
    found = []
    for part in payload.walk():
        if part.is_multipart():
            continue
        data = part.get_payload(decode=True) or b""
        kind = part.get_content_type()
        if kind.startswith("text/"):
            data = data.replace(b"\r\n", b"\n")
        if part.get_param("hp-legacy-display") == "1":
            before = data
            data = (data.split(b"\n\n", 1)[1] if kind == "text/plain" else
                    re.sub(rb'<div class="header-protection-legacy-display">.*?</div>\n', b"", data, count=1, flags=re.S))
            require(len(data) < len(before), "nothing to take away")
        found.append((kind, data))
    return found


HTML = ('MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary="a"\n\n--a\nContent-Type: text/plain; charset=iso-8859-1\n'
        "Content-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe\n--a\nContent-Type: text/html; charset=utf-8\n"
        "Content-Transfer-Encoding: base64\n\nPGh0bWw+PGJvZHk+PHA+R3LDvMOfZTwvcD48L2JvZHk+PC9odG1sPg==\n--a--\n")
PICTURE = "MIME-Version: 1.0\nContent-Type: image/png; name=x.png\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n"
CALENDAR = "MIME-Version: 1.0\nContent-Type: text/calendar; charset=utf-8\n\nBEGIN:VCALENDAR\nEND:VCALENDAR\n"
BROKEN = "MIME-Version: 1.0\nContent-Type: nonsense\n\nA type that is none.\n"


def contents(world, mode):
    fixed = [message("contents", mode[1], mode[2], body=body) for body in (HTML, PICTURE, CALENDAR, BROKEN)]
    made = [sample(mode[1], mode[2]) for sample in samples.some_samples(FULL, MODES.index(mode))]
    for sent in fixed + made:
        got = world.site.exchange(mode[1], mode[2], sent)
        inner = parsed(world.payload(mode, got))
        require(inner.get_param("hp") is not None, "not protected")
        wanted = samples.leaves(sent)
        found = without_display(inner)
        require([d for _, d in found] == [d for _, d in wanted], f"{found!r:.300}\n{wanted!r:.300}")
        require(world.read_back(mode, got)["verdict"] in ("valid", "unsigned"), "the gateway does not read it")


# -- which fields -------------------------------------------------------------------------------


def what_stays_out(world, mode):
    extra = ("Comments: a comment\nKeywords: a, b\nThread-Topic: Dinner\nX-Custom: one\nX-Custom: two\n"
             f"DKIM-Signature: v=1; d=x\nARC-Seal: i=1\nAuthentication-Results: mx.{PARTNER}; none\n"
             "HP-Outer: Subject: forged\nX-Postseal-Note: x\n")
    sent = message("fields", mode[1], mode[2], extra)
    got = world.site.exchange(mode[1], mode[2], sent)
    outer, inner = parsed(got), parsed(world.payload(mode, got))
    for name in ("DKIM-Signature", "ARC-Seal", "Authentication-Results", "Received", "Return-Path", "X-Postseal-Note", "Bcc"):
        require(inner[name] is None, f"{name} is inside")
    require(inner.get_all("X-Custom") == ["one", "two"] and inner["Comments"] == "a comment", "not inside")
    for name in ("Comments", "Keywords", "Thread-Topic"):
        require((outer[name] is None) == (mode[2] == READER), f"{name} outside: {outer[name]}")
    require(not [v for v in inner.get_all("HP-Outer", []) if "forged" in v], "a forged HP-Outer came along")
    require(outer.get_all("X-Custom") == ["one", "two"], "outside")


def never_bcc(world):
    """Bcc is in no payload, and hides nobody's copy."""
    for mode, name in ((MODES[3], "Bcc"), (MODES[3], "X-Bcc"), (MODES[0], "X-Bcc"), (MODES[2], "Resent-Bcc")):
        sent = message("secret copy", mode[1], mode[2], f"{name}: hidden@{PARTNER}\n")
        got = world.site.exchange(mode[1], mode[2], sent)
        require(b"hidden@" not in world.payload(mode, got), f"{name} is inside")


def triggers(world):
    """The Subject inside is the one without the trigger word; its fields do not come along."""
    world.site.prefer(READER, encrypt_mode="allow")
    try:
        got = world.site.exchange(SENDER, READER, message("[encrypt] Dinner [sign] plans", SENDER, READER, "X-Postseal-Encrypt: yes\n"))
        inner = parsed(world.payload(MODES[3], got))
        require(decoded(inner["Subject"]) == "Dinner plans", inner["Subject"])
        require(inner["X-Postseal-Encrypt"] is None, "the trigger field is inside")
        require(parsed(got)["Subject"] == "[...]", "outside")
        require(inner.get_payload().startswith("Subject: Dinner plans\n\n"), inner.get_payload()[:80])
    finally:
        world.site.prefer(READER, encrypt_mode="force")


# -- preferences --------------------------------------------------------------------------------


def preference(world, sender_side, recipient_side, mode, hp, hidden):
    world.site.prefer(INSIDE, header_protection=sender_side)
    world.site.prefer(mode[2], header_protection=recipient_side)
    try:
        got = world.site.exchange(mode[1], mode[2], message("Dinner plans", mode[1], mode[2]))
        inner = parsed(world.payload(mode, got))
        require(inner.get_param("hp") == hp, f"hp={inner.get_param('hp')}")
        require((parsed(got)["Subject"] == "[...]") == hidden, parsed(got)["Subject"])
        require((inner["Subject"] is None) == (hp is None), inner["Subject"])
        require(("Dinner" in inner.get_payload()) == hidden, "legacy display")
    finally:
        world.site.cli("user", "unset", mode[2], "header_protection")
        world.site.prefer(INSIDE, header_protection="signed-and-encrypted")


ON, SIGNED, OFF = "signed-and-encrypted", "signed", "off"
PREFERENCES = [
    (OFF, OFF, 0, None, False),
    (OFF, OFF, 3, None, False),
    (OFF, SIGNED, 0, "clear", False),
    (ON, OFF, 0, "clear", False),
    (SIGNED, OFF, 3, "cipher", False),
    (OFF, ON, 3, "cipher", True),
    (SIGNED, ON, 3, "cipher", True),
    (SIGNED, SIGNED, 2, None, False),
    (OFF, ON, 2, "cipher", True),
]


def arrived_protected(world):
    """What was signed before it came is not given another payload."""
    world.site.prefer(READER, signing_format="clear")
    content = b"Content-Type: text/plain\r\n\r\nSigned by somebody else.\r\n"
    wrapped = peers.wrap_signed(content, world.openssl.sign(content, world.reader))
    sent = message("theirs", SENDER, READER, body=wrapped.decode())
    got = world.site.exchange(SENDER, READER, sent)
    entity = world.openssl.decrypt(peers.cut_cms(got), world.reader)
    require(b"hp=" not in entity and b"Subject: theirs" not in entity, "a payload of ours around it")
    require(parsed(got)["Subject"] == "theirs", "its Subject was hidden")


# -- back through a gateway ---------------------------------------------------------------------


def without_trace(data):
    """A message as the next server gets it."""
    return b"".join(f for f in re.findall(rb"[^\n]+\n(?:[ \t][^\n]*\n)*", data.split(b"\n\n", 1)[0] + b"\n")
                    if f.split(b":")[0].decode().lower() not in TRACE) + b"\n" + data.split(b"\n\n", 1)[1]


class Far:
    """The senders are strangers for a while, and what was sent to INBOX comes in from outside."""

    def __init__(self, world, **preferences):
        self.world, self.preferences = world, preferences

    def __enter__(self):
        for who in (SENDER, SILENT):
            self.world.site.prefer(who, locality="external")
        self.world.site.prefer(INBOX, **self.preferences)
        return lambda data: self.world.site.exchange(SENDER, INBOX, without_trace(data), xclient=OUTSIDER)

    def __exit__(self, *_):
        for who in (SENDER, SILENT):
            self.world.site.cli("user", "unset", who, "locality")
        for name in self.preferences:
            self.world.site.cli("user", "unset", INBOX, name)


def sent_to_inbox(world, sender, messages):
    return [world.site.exchange(sender, INBOX, m) for m in messages]


def back_again(world, sender, keep):
    """Every Subject is what it was, and the text has nothing before it."""
    sent = sent_to_inbox(world, sender, [message(raw, sender, INBOX) for _, raw, _ in SUBJECTS])
    require(all(parsed(s)["Subject"] in ("[...]", None) for s in sent), "a Subject is not hidden")
    with Far(world, keep_signature=keep) as receive:
        for (name, _, subject), data in zip(SUBJECTS, sent):
            got = parsed(receive(data))
            require(same_text(decoded(got["Subject"]), subject), f"{name}: {got['Subject']!r}")
            require(len(got.get_all("Subject", [])) == (subject is not None), "several Subjects")
            require(got["HP-Outer"] is None, "a field of the payload came outside")
            if sender == SENDER and keep == "keep":
                require(got.get_content_type() == "multipart/signed", got["Content-Type"])
                require(got.get_payload(0).get_param("hp") == "cipher", "the signed payload was touched")
            else:
                require(got.get_param("hp") is None and got.get_param("hp-legacy-display") is None, got["Content-Type"])
                text = got.get_payload(decode=True).replace(b"\r\n", b"\n")
                require(text == b"The text of the letter.\n", text[:200])
            require(decoded(got["X-Postseal-Verdict"]) == ("valid" if sender == SENDER else "unsigned"), got["X-Postseal-Verdict"])


def kept_signature(world):
    """What is delivered with its signature still verifies."""
    sent = sent_to_inbox(world, SENDER, [message(email.header.Header(UMLAUTS, "utf-8").encode(), SENDER, INBOX, body=HTML)])
    with Far(world) as receive:
        got = receive(sent[0])
    content = world.openssl.verify_clear(*peers.cut_signed(got))
    require(content.count(b"hp-legacy-display") == 2, "the signed bytes have no display element")


def contents_again(world):
    """Bodies of all kinds are what they were, once the signature is off."""
    bodies = [HTML, PICTURE, BROKEN, "MIME-Version: 1.0\nContent-Type: text/html\n\n<p>a page without a body tag\n"]
    for sender in (SENDER, SILENT):
        letters = [message("contents", sender, INBOX, body=body) for body in bodies]
        letters += [s(sender, INBOX) for s in samples.some_samples(FULL, 2) if s.__name__ not in ("binary", "many_recipients")]
        sent = sent_to_inbox(world, sender, letters)
        with Far(world, keep_signature="remove", unauthenticated_html="deliver") as receive:
            for letter, data in zip(letters, sent):
                found = samples.leaves(receive(data))
                wanted = samples.leaves(letter)
                require([d.rstrip(b"\n") for _, d in found] == [d.rstrip(b"\n") for _, d in wanted], f"{found!r:.300}\n{wanted!r:.300}")


def forged_inside(world):
    """A stranger's payload: tags and trigger words of ours, another From, two Subjects, line ends that are encoded."""
    folder = os.path.join(world.site.folder, "inbox.crt")
    world.site.cli("cert", "export", "--email", INBOX, "--format", "pem", "--output", folder)
    inbox = type("Someone", (), {"cert": folder})
    rows = [
        ("Subject: [signed] [decrypted] [encrypt] x", "x"),
        ("Subject: =?utf-8?b?W3NpZ25lZF0=?= x", "x"),
        ("Subject: a\r\nSubject: b", "[...]"),
        ("From: <ceo@inside.example>\r\nSender: <ceo@inside.example>\r\nSubject: x\r\nBcc: <x@y.example>", "x"),
        ("Subject: =?utf-8?q?a=0D=0ABcc:_x=40y.example?=", "a  Bcc: x@y.example"),
        ("Authentication-Results: mx.inside.example; smime=pass\r\nX-Postseal-Verdict: valid\r\nSubject: x", "x"),
        ("HP-Outer: From: ceo@inside.example\r\nSubject: x", "x"),
    ]
    with Far(world, unauthenticated_html="deliver") as receive:
        for fields, subject in rows:
            entity = f"{fields}\r\nContent-Type: text/plain; hp=\"cipher\"\r\n\r\nforged\r\n".encode()
            cms = peers.wrap_cms(world.openssl.encrypt(entity, inbox), "enveloped-data")
            got = parsed(receive(message("[...]", SENDER, INBOX, body=cms.decode())))
            require("forged" in got.get_payload(), f"{fields}: not opened")
            require(same_text(decoded(got["Subject"]), re.sub(r"\s+", " ", subject)), f"{fields}: {got['Subject']!r}")
            require(got.get_all("From") == [f"Sender <{SENDER}>"] and got["Sender"] is None and got["Bcc"] is None, str(got)[:500])
            require(got.get_all("X-Postseal-Verdict") == ["unsigned"], got.get_all("X-Postseal-Verdict"))
            require(not any("smime=pass" in v for v in got.get_all("Authentication-Results", [])), "a forged result")
        # without cover it is text
        got = parsed(receive(message("outside", SENDER, INBOX, body=(
            'MIME-Version: 1.0\nSubject2: x\nContent-Type: text/plain; hp="cipher"; hp-legacy-display="1"\n\nSubject: inside\n\nforged\n'))))
        require(got["Subject"] == "outside" and got.get_payload().startswith("Subject: inside"), "a claim without cover counts")


def tags(world):
    """They stand before the Subject that was inside."""
    sent = sent_to_inbox(world, SENDER, [message("Dinner plans", SENDER, INBOX)])
    with Far(world, tag_subject="on") as receive:
        got = decoded(parsed(receive(sent[0]))["Subject"])
    require(got.endswith("Dinner plans") and got.startswith("[") and "[...]" not in got, got)


# -- messages of others, from before RFC 9788 -----------------------------------------------------

OTHERS = os.path.join(DATA, "protected-headers")


def smime_rows():
    """Name and path of each S/MIME message in the folder's manifest."""
    with open(os.path.join(OTHERS, "MANIFEST.tsv")) as f:
        lines = [line.rstrip("\n").split("\t") for line in f]
    place = {name: i for i, name in enumerate(lines[0])}
    return [(os.path.basename(row[0]), os.path.join(OTHERS, row[0]), row[place["expected"]]) for row in lines[1:]
            if row[place["cms_type"]]]


def others_from_files(world, path, expected):
    secret = os.path.join(world.site.folder, "bob.password")
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        f.write("bob\n")
    how = (["decrypt", path, "--key", os.path.join(OTHERS, "autocrypt-draft", "bob.p12"), "--password-file", secret,
            "--output", os.path.join(world.site.folder, os.urandom(4).hex())] if "decrypts" in expected else ["verify", path])
    done = world.site.cli("message", *how, "--roots", os.path.join(OTHERS, "autocrypt-draft", "sample-ca.pem"), "--json", check=False)
    require(done.stdout.startswith("{"), done.stderr)
    answer = json.loads(done.stdout)
    signed = "unsigned" not in expected
    require(answer["verdict"] == ("valid" if signed else "unsigned"), f"{answer['verdict']}: {answer['reason']}")
    if "/pkcs7/" in path:  # fields inside, and no word that they count
        require(answer["protected_header"] is None, answer["protected_header"])
        return
    found = {f["name"]: f for f in answer["protected_header"]["fields"]}
    require(answer["protected_header"]["scheme"] == "protected-headers", answer["protected_header"]["scheme"])
    require("contract" in found["Subject"]["value"], found["Subject"])
    require(found["Subject"]["same_outside"] != ("decrypts" in expected), found["Subject"])


def others_from_outside(world, path, expected):
    """The same by the filter, as Bob's gateway sees it; what is said in the manifest of the legacy part holds, too."""
    with open(path, "rb") as f:
        header, body = peers.split_header(peers.crlf(f.read()))
    fields = [(n, " " + v.strip().replace("\r\n", "\n")) for n, v in
              re.findall(r"(?m)^([^\s:]+):((?:[^\r\n]|\r\n[ \t])*)", header.decode())]
    world.site.settle_if_unheard()
    mta = Mta(world.site.milter_address, client=OUTSIDER)
    code, edits = mta.message("<alice@smime.example>", ["<bob@smime.example>"], fields, body)
    mta.close()
    require(code == "250", code)
    require(new_field(edits, "X-Postseal-Verdict").strip() == ("valid" if "unsigned" not in expected else "unsigned"),
            new_field(edits, "X-Postseal-Verdict"))
    if "decrypts" not in expected:
        require(new_field(edits, "Subject") is None, "the Subject was changed")
        return
    require(new_field(edits, "Subject").strip() == "BarCorp contract signed, let's go!", new_field(edits, "Subject"))
    require(b"correct-horse" in new_body(edits), "not opened")
    require(b"Subject:" not in new_body(edits), "the part for old programs is still there")


def others(world, tap):
    if not os.path.exists(os.path.join(OTHERS, "MANIFEST.tsv")):
        tap.skip("messages of others", "no " + OTHERS)
        return
    site = world.site
    site.cli("root", "import", os.path.join(OTHERS, "autocrypt-draft", "sample-ca.pem"))
    secret = os.path.join(site.folder, "etc", "bob.password")
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        f.write("bob\n")
    site.cli("cert", "import", os.path.join(OTHERS, "autocrypt-draft", "bob.p12"), "--password-file", secret)
    bob = "bob@smime.example"
    site.prefer(bob, locality="internal", legacy_algorithms="on", keep_signature="remove", unauthenticated_html="deliver")
    for name, path, expected in smime_rows():
        tap.case(f"{name}, as a file", others_from_files, world, path, expected)
        tap.case(f"{name}, by the filter", others_from_outside, world, path, expected)


def main():
    tap = Tap()
    with Site() as site:
        site.start()
        world = World(site)
        form = object()
        for mode in MODES:
            if mode[3] != form:
                form = mode[3]
                world.shape(form)
            for case in SUBJECTS:
                tap.case(f"{mode[0]}: Subject {case[0]}", round_trip, world, mode, case)
            tap.case(f"{mode[0]}: contents", contents, world, mode)
            tap.case(f"{mode[0]}: which fields", what_stays_out, world, mode)
        world.shape("clear")
        tap.case("Bcc", never_bcc, world)
        tap.case("triggers", triggers, world)
        for row in PREFERENCES:
            tap.case(f"sender {row[0]}, recipient {row[1]}: {MODES[row[2]][0]}", preference, world, row[0], row[1],
                     MODES[row[2]], row[3], row[4])
        tap.case("arrived signed", arrived_protected, world)
        world.site.prefer(INBOX, signing_format="clear")
        for sender, keep in ((SENDER, "keep"), (SENDER, "remove"), (SILENT, "keep")):
            tap.case(f"back through the gateway: {sender}, {keep}", back_again, world, sender, keep)
        world.site.prefer(INBOX, signing_format="opaque")
        tap.case("back through the gateway: opaque, remove", back_again, world, SENDER, "remove")
        world.site.prefer(INBOX, signing_format="clear")
        tap.case("back through the gateway: contents", contents_again, world)
        tap.case("back through the gateway: a kept signature", kept_signature, world)
        tap.case("back through the gateway: tags", tags, world)
        tap.case("back through the gateway: forged", forged_inside, world)
        others(world, tap)
    tap.done()


if __name__ == "__main__":
    main()
