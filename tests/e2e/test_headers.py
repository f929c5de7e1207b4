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
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import INSIDE, PARTNER, Site, Tap, require  # noqa: E402
import peers  # noqa: E402
import samples  # noqa: E402

FULL = os.environ.get("PS_FULL") == "yes"
SENDER, SILENT = f"sender@{INSIDE}", f"silent@{INSIDE}"
READER, PLAIN = f"reader@{PARTNER}", f"plain@{PARTNER}"
CHANGE_SECONDS = 0.5  # until a filter has heard of a change
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
        for address in (SENDER, READER):
            site.issue(address, address.split("@")[0])
        p12 = os.path.join(folder, "reader.p12")
        site.export_p12(READER, p12)
        self.reader = peers.Identity(folder, READER, p12, os.path.join(site.folder, "etc", "p12.password"), self.root)
        self.openssl = peers.OpenSSL(os.path.join(site.folder, "witness"), self.root)
        site.prefer(SILENT, sign_mode="never")
        site.prefer(READER, encrypt_mode="force")
        site.prefer(INSIDE, header_protection="signed-and-encrypted")

    def shape(self, form):
        for who in (READER, PLAIN):
            self.site.prefer(who, signing_format=form or "clear")
        time.sleep(CHANGE_SECONDS)

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
    time.sleep(CHANGE_SECONDS)
    try:
        got = world.site.exchange(SENDER, READER, message("[encrypt] Dinner [sign] plans", SENDER, READER, "X-Postseal-Encrypt: yes\n"))
        inner = parsed(world.payload(MODES[3], got))
        require(decoded(inner["Subject"]) == "Dinner plans", inner["Subject"])
        require(inner["X-Postseal-Encrypt"] is None, "the trigger field is inside")
        require(parsed(got)["Subject"] == "[...]", "outside")
        require(inner.get_payload().startswith("Subject: Dinner plans\n\n"), inner.get_payload()[:80])
    finally:
        world.site.prefer(READER, encrypt_mode="force")
        time.sleep(CHANGE_SECONDS)


# -- preferences --------------------------------------------------------------------------------


def preference(world, sender_side, recipient_side, mode, hp, hidden):
    world.site.prefer(INSIDE, header_protection=sender_side)
    world.site.prefer(mode[2], header_protection=recipient_side)
    time.sleep(CHANGE_SECONDS)
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
    tap.done()


if __name__ == "__main__":
    main()
