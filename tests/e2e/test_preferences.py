#!/usr/bin/env python3
"""Each outbound preference and value through a real message: one row, what it was set to and what has to be seen."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from authority import Partner  # noqa: E402
from harness import INSIDE, PARTNER, Site, Tap, require  # noqa: E402
from peers import check  # noqa: E402

ALICE, BOB, ERIK = f"alice@{INSIDE}", f"bob@{PARTNER}", f"erik@{PARTNER}"
CALENDAR = {"Content-Type": "text/calendar; method=REQUEST"}
FORCE = {"encrypt_mode": "force"}


def printed(site, message):
    path = os.path.join(site.folder, "seen.eml")
    with open(path, "wb") as f:
        f.write(message)
    return check(["openssl", "cms", "-cmsout", "-print", "-noout", "-in", path]).decode(errors="replace")


# who sets it, preferences, recipient, subject and fields, what is seen: signed, opaque, encrypted, plain, a code, or text of the CMS
ROWS = [
    (ALICE, {"sign_mode": "never"}, ERIK, "x", {}, "plain"),
    (ALICE, {"sign_mode": "when-encrypted"}, ERIK, "x", {}, "plain"),
    (ALICE, {"sign_mode": "if-possible"}, ERIK, "x", {}, "signed"),
    (ALICE, {"sign_mode": "never"}, ERIK, "x [sign]", {}, "plain"),
    (ALICE, {"sign_mode": "when-encrypted"}, ERIK, "x [sign]", {}, "signed"),
    (ALICE, {"digest": "sha512"}, ERIK, "x", {}, "sha512"),
    (ALICE, {"smime": "off"}, ERIK, "x", {}, "plain"),
    (ALICE, {"max_size": "1K"}, ERIK, "x", {}, "plain"),
    (ALICE, {"max_size": "1K", "sign_mode": "required"}, ERIK, "x", {}, 552),
    (ALICE, {"mode": "observe"}, ERIK, "x", {}, "plain"),
    (ERIK, {"signing_format": "opaque"}, ERIK, "x", {}, "opaque"),
    (ERIK, {"calendar": "plain"}, ERIK, "x", CALENDAR, "plain"),
    (ERIK, {"calendar": "sign-only"}, ERIK, "x", CALENDAR, "signed"),
    (ERIK, {"encrypt_mode": "force"}, ERIK, "x", {}, 550),
    (ERIK, {"encrypt_mode": "opportunistic"}, ERIK, "x", {}, "signed"),
    (ALICE, {"encrypt_mode": "none"}, BOB, "x [encrypt]", {}, "encrypted"),
    (BOB, {"encrypt_mode": "opportunistic"}, BOB, "x", {}, "encrypted"),
    (BOB, {"encrypt_mode": "allow"}, BOB, "x", {}, "signed"),
    (BOB, {"encrypt_mode": "allow"}, BOB, "x [encrypt]", {}, "encrypted"),
    (BOB, {"cipher": "aes-128-cbc", **FORCE}, BOB, "x", {}, "aes-128-cbc"),
    (BOB, {"cipher": "aes-256-gcm", **FORCE}, BOB, "x", {}, "aes-256-gcm"),
    (BOB, {"key_transport": "oaep-sha256", **FORCE}, BOB, "x", {}, "rsaesOaep"),
    (ALICE, {"encrypt_to_self": "off", **FORCE}, BOB, "x", {}, "d.ktri"),
]


def one(site, who, preferences, recipient, subject, fields, wanted):
    site.prefer(who, **preferences)
    try:
        extra = "".join(f"{name}: {value}\n" for name, value in {**({"MIME-Version": "1.0"} if fields else {}), **fields}.items())
        code, text = site.send(ALICE, [recipient], f"From: {ALICE}\nTo: {recipient}\nSubject: {subject}\n{extra}\nbody\n", login=ALICE)
        if isinstance(wanted, int):
            require(code == wanted, f"{code} {text}")
            return
        require(code == 250, f"{code} {text}")
        got = site.wait_mail(recipient)
        seen = ("signed" if b"multipart/signed" in got else "opaque" if b"signed-data" in got
                else "encrypted" if b"enveloped-data" in got.lower() else "plain")
        if wanted in ("signed", "opaque", "encrypted", "plain"):
            require(seen == wanted, f"{seen}: {got[-900:]}")
        else:
            require(wanted in printed(site, got), wanted)
        if wanted != "plain":
            require(b"[encrypt]" not in got and b"[sign]" not in got, "the trigger is still in the Subject")
    finally:
        for name in preferences:
            site.cli("user", "unset", who, name)


def main():
    tap = Tap()
    with Site() as site:
        site.start()
        site.make_ca()
        site.issue(ALICE)
        site.postfix.add_login(ALICE)
        partner = Partner(site.folder, "Good CA")
        site.cli("root", "import", partner.cert)
        partner.issue("bob", BOB)
        site.cli("cert", "import", partner.path("bob.pem"))
        for row in ROWS:
            name = ", ".join(f"{key} = {value}" for key, value in row[1].items())
            tap.case(f"{row[0]}: {name}, {row[3]!r} to {row[2]}: {row[5]}", one, site, *row)
    tap.done()


main()
