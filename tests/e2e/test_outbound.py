#!/usr/bin/env python3
"""What a site learns from mail decides on the mail it sends: ciphers that partners announced, answers to what was
decrypted, certificates requested for authors who have none; and mail that nobody wrote."""
import base64
import email
import email.utils
import hashlib
import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from authority import Partner  # noqa: E402
from harness import INSIDE, OUTSIDER, PARTNER, Site, Tap, require, wait_until  # noqa: E402
from peers import check  # noqa: E402

ALICE, BOB = f"alice@{INSIDE}", f"bob@{PARTNER}"


def letter(sender, recipient, text="secret", **fields):
    extra = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in fields.items())
    return f"From: {sender}\nTo: {recipient}\nSubject: letter\nMessage-ID: <{os.urandom(8).hex()}@{INSIDE}>\n{extra}\n{text}\n"


def cms_text(site, message, inform="SMIME"):
    path = os.path.join(site.folder, "seen.eml")
    with open(path, "wb") as f:
        f.write(message)
    return check(["openssl", "cms", "-cmsout", "-print", "-noout", "-inform", inform, "-in", path]).decode(errors="replace")


def cipher_of(site, message):
    text = cms_text(site, message)
    found = re.search(r"contentEncryptionAlgorithm:\s+algorithm: (\S+)", text)
    require(found, f"no content encryption in {text[:300]}")
    return found.group(1)


def drain(site, address):
    for path, _ in list(site.mails(address)):
        os.unlink(path)


# --- ciphers --------------------------------------------------------------------------------------------------------

def tlv(tag, content):
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


AES = {"aes-128-cbc": 0x02, "aes-256-cbc": 0x2a, "aes-128-gcm": 0x06, "aes-256-gcm": 0x2e}


def capability_list(ciphers):
    def oid(name):
        return tlv(6, bytes.fromhex("608648016503040100")[:-1] + bytes([AES[name]])) if name in AES \
            else tlv(6, bytes.fromhex("2a864886f70d0307"))      # triple DES
    return tlv(0x30, b"".join(tlv(0x30, oid(name)) for name in ciphers))


def attribute(oid_hex, value):
    return tlv(0x30, tlv(6, bytes.fromhex(oid_hex)) + tlv(0x31, value))


def sign_by_hand(partner, name, address, recipient, ciphers, when):
    """A clear-signed message whose signer announces these ciphers (None: nothing) at this time (None: no time)."""
    content = b"Content-Type: text/plain\r\n\r\nhello\r\n"
    attributes = [attribute("2a864886f70d010903", tlv(6, bytes.fromhex("2a864886f70d010701"))),
                  attribute("2a864886f70d010904", tlv(4, hashlib.sha256(content).digest()))]
    if when is not None:
        attributes.append(attribute("2a864886f70d010905", tlv(0x17, time.strftime("%y%m%d%H%M%SZ", time.gmtime(when)).encode())))
    if ciphers is not None:
        attributes.append(attribute("2a864886f70d01090f", capability_list(ciphers)))
    body = b"".join(sorted(attributes))
    to_sign = partner.path("attributes")
    with open(to_sign, "wb") as f:
        f.write(tlv(0x31, body))
    signature = check(["openssl", "dgst", "-sha256", "-sign", partner.path(name + ".key"), to_sign])
    der = check(["openssl", "x509", "-in", partner.path(name + ".pem"), "-outform", "DER"])
    names = check(["openssl", "asn1parse", "-in", partner.path(name + ".pem")]).decode()
    # issuer: the first SEQUENCE of depth 2 after the signature algorithm; serial: the INTEGER before it.
    rows = [re.match(r"\s*(\d+):d=(\d+)\s+hl=(\d+)\s+l=\s*(\d+) (\w+): (.*)", line) for line in names.splitlines()]
    rows = [(int(r[1]), int(r[2]), int(r[3]) + int(r[4]), r[6].strip()) for r in rows if r]
    depth2 = [r for r in rows if r[1] == 2]
    serial = next(r for r in depth2 if r[3].startswith("INTEGER"))
    after = [r for r in depth2 if r[0] > serial[0]]
    issuer_name = after[1]
    sid = tlv(0x30, der[issuer_name[0]:issuer_name[0] + issuer_name[2]] + der[serial[0]:serial[0] + serial[2]])
    sha256 = tlv(0x30, tlv(6, bytes.fromhex("608648016503040201")))
    rsa = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010101")) + tlv(5, b""))
    info = tlv(0x30, tlv(2, b"\x01") + sid + sha256 + tlv(0xa0, body) + rsa + tlv(4, signature))
    data = tlv(0x30, tlv(2, b"\x01") + tlv(0x31, sha256) + tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010701"))) +
               tlv(0xa0, der) + tlv(0x31, info))
    whole = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010702")) + tlv(0xa0, data))
    return (f"From: {address}\nTo: {recipient}\nSubject: signed\nDate: {email.utils.formatdate(when)}\nMIME-Version: 1.0\n"
            "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"b1\"\n\n"
            "--b1\n").encode() + content.replace(b"\r\n", b"\n") + (
            "\n--b1\nContent-Type: application/pkcs7-signature; name=smime.p7s\nContent-Transfer-Encoding: base64\n\n" +
            base64.encodebytes(whole).decode() + "\n--b1--\n").encode()


def ciphers(tap, site, partner):
    now = int(time.time())
    steps = [
        # what it proves, ciphers, seconds from now, is it heard, the cipher of the next letter
        ("nothing known: aes-256-cbc", None, None, False, "aes-256-cbc"),
        ("a signature that announces nothing", None, -5000, False, "aes-256-cbc"),
        ("announced aes-128-gcm and aes-128-cbc", ["aes-128-gcm", "aes-128-cbc"], -4000, True, "aes-128-gcm"),
        ("newer: aes-128-cbc alone", ["aes-128-cbc"], -3000, True, "aes-128-cbc"),
        ("older than what is known: not heard", ["aes-256-gcm"], -3500, False, "aes-128-cbc"),
        ("without a time: not heard", ["aes-256-gcm"], "none", False, "aes-128-cbc"),
        ("two days in the future: not heard", ["aes-256-gcm"], 2 * 86400, False, "aes-128-cbc"),
        ("newest: everything", ["aes-256-gcm", "aes-128-gcm", "aes-256-cbc", "aes-128-cbc"], -1000, True, "aes-256-gcm"),
        ("newest: triple DES alone is never used", ["des-ede3-cbc"], -900, True, "aes-256-cbc"),
    ]
    address = f"cipher@{PARTNER}"
    partner.issue("cipher", address)
    site.cli("cert", "import", partner.path("cipher.pem"))
    site.prefer(address, encrypt_mode="force")

    def step(names, when, heard, wanted):
        if when is not None:
            before = site.notes()
            at = None if when == "none" else now + when
            message = sign_by_hand(partner, "cipher", address, ALICE, names, at)
            site.exchange(address, ALICE, message, xclient=OUTSIDER)
            if heard:
                wait_until("the note", lambda: site.notes() > before)
            else:
                time.sleep(0.3)
        wait_until(wanted, lambda: cipher_of(site, site.exchange(ALICE, address, letter(ALICE, address), login=ALICE)) == wanted, step=0.3)
    for name, names, when, heard, wanted in steps:
        tap.case("cipher = auto: " + name, step, names, when, heard, wanted)

    def other_signer():
        """A signature that is not valid for the author teaches nothing about him."""
        partner.issue("mallory", f"mallory@{PARTNER}")
        message = sign_by_hand(partner, "mallory", address, ALICE, ["aes-256-gcm"], now - 10)
        site.exchange(address, ALICE, message, xclient=OUTSIDER)
        time.sleep(0.5)
        require(cipher_of(site, site.exchange(ALICE, address, letter(ALICE, address), login=ALICE)) == "aes-256-cbc", "heard")
    tap.case("cipher = auto: another's signature is not heard", other_signer)

    def by_certificate():
        """RFC 4262: the certificate itself says it; the second one says nothing, and both have to read it."""
        who = f"extension@{PARTNER}"
        der = capability_list(["aes-256-gcm", "aes-256-cbc"]).hex()
        usage = f"keyUsage=critical,digitalSignature,keyEncipherment;1.2.840.113549.1.9.15=DER:{der}"
        partner.issue("extension", who, usage)
        site.cli("cert", "import", partner.path("extension.pem"))
        site.prefer(who, encrypt_mode="force")
        got = cipher_of(site, site.exchange(ALICE, who, letter(ALICE, who), login=ALICE))
        require(got == "aes-256-gcm", f"{got} for one certificate")
        partner.issue("plain", who)
        site.cli("cert", "import", partner.path("plain.pem"))
        wait_until("both", lambda: cipher_of(site, site.exchange(ALICE, who, letter(ALICE, who), login=ALICE)) == "aes-256-cbc", step=0.3)
        site.prefer(who, cipher="aes-128-gcm")
        wait_until("set by hand", lambda: cipher_of(site, site.exchange(ALICE, who, letter(ALICE, who), login=ALICE)) == "aes-128-gcm", step=0.3)
    tap.case("cipher = auto: from the certificate's own extension", by_certificate)

    def ours():
        got = site.exchange(ALICE, f"nobody@{PARTNER}", letter(ALICE, f"nobody@{PARTNER}"), login=ALICE)
        part = email.message_from_bytes(got).get_payload()[1].get_payload(decode=True)
        path = os.path.join(site.folder, "ours.p7s")
        with open(path, "wb") as f:
            f.write(part)
        text = check(["openssl", "asn1parse", "-inform", "DER", "-in", path]).decode()
        names = re.findall(r"OBJECT\s+:(aes-\S+|id-aes\S+|des\S*|rc2\S*)", text)
        wanted = ["aes-256-gcm", "aes-128-gcm", "aes-256-cbc", "aes-192-cbc", "aes-128-cbc"]
        require([n.replace("id-aes256-GCM", "aes-256-gcm").replace("id-aes128-GCM", "aes-128-gcm") for n in names] == wanted, names)
    tap.case("what we announce ourselves: what we read, strongest first", ours)


# --- answers --------------------------------------------------------------------------------------------------------

def encrypted_to(site, address, text, ident):
    """A partner's encrypted letter to one of ours."""
    pem = os.path.join(site.folder, "to.pem")
    with open(pem, "w") as f:
        f.write(site.cli("cert", "export", "--email", address, "--format", "pem").stdout)
    plain = os.path.join(site.folder, "plain.txt")
    with open(plain, "w") as f:
        f.write(f"Content-Type: text/plain\r\n\r\n{text}\r\n")
    entity = check(["openssl", "cms", "-encrypt", "-aes256", "-in", plain, pem])
    return f"From: {BOB}\nTo: {address}\nSubject: question\nMessage-ID: <{ident}>\n".encode() + entity.replace(b"\r\n", b"\n")


def answers(tap, site, partner):
    ident = f"q1@{PARTNER}"
    open_to, closed_to = f"open@{PARTNER}", f"closed@{PARTNER}"
    partner.issue("open", open_to)
    site.cli("cert", "import", partner.path("open.pem"))

    if b"the question" not in site.exchange(BOB, ALICE, encrypted_to(site, ALICE, "the question", f"q0@{PARTNER}"), xclient=OUTSIDER):
        tap.skip("reply_encrypt", "inbound mail is not decrypted")
        return

    def decrypted():
        got = site.exchange(BOB, ALICE, encrypted_to(site, ALICE, "the question", ident), xclient=OUTSIDER)
        require(b"the question" in got, "not decrypted")
        wait_until("the note", lambda: site.sql("SELECT 1 FROM decrypted_mail"))
        require(ident.encode() not in str(site.sql("SELECT * FROM decrypted_mail")).encode(), "the Message-ID is readable")
    tap.case("reply_encrypt: a decrypted message is remembered", decrypted)

    rows = [
        # what it proves, preferences of the author, recipient, reference, wanted: encrypted, plain, or a code
        ("allow: an answer is encrypted", {}, open_to, {"In_Reply_To": f"<{ident}>"}, "encrypted"),
        ("allow: by References, too", {}, open_to, {"References": f"<a@b> <{ident}>\n <c@d>"}, "encrypted"),
        ("allow: another letter is not", {}, open_to, {"In_Reply_To": "<other@partner.example>"}, "plain"),
        ("allow: no certificate, plain", {}, closed_to, {"In_Reply_To": f"<{ident}>"}, "plain"),
        ("encrypt_mode = none: allow changes nothing", {"encrypt_mode": "none"}, open_to, {"In_Reply_To": f"<{ident}>"}, "plain"),
        ("off: plain", {"reply_encrypt": "off"}, open_to, {"In_Reply_To": f"<{ident}>"}, "plain"),
        ("force: encrypted", {"reply_encrypt": "force"}, open_to, {"In_Reply_To": f"<{ident}>"}, "encrypted"),
        ("force: whatever encrypt_mode says", {"reply_encrypt": "force", "encrypt_mode": "none"}, open_to,
         {"In_Reply_To": f"<{ident}>"}, "encrypted"),
        ("force: no certificate, refused", {"reply_encrypt": "force"}, closed_to, {"In_Reply_To": f"<{ident}>"}, 550),
        ("force: another letter goes", {"reply_encrypt": "force"}, closed_to, {}, "plain"),
        ("smime = off: nothing", {"reply_encrypt": "force", "smime": "off"}, open_to, {"In_Reply_To": f"<{ident}>"}, "plain"),
    ]

    def row(preferences, recipient, fields, wanted):
        drain(site, recipient)
        site.prefer(ALICE, **preferences)
        try:
            code, text = site.send(ALICE, [recipient], letter(ALICE, recipient, "the answer", **fields), login=ALICE)
            if isinstance(wanted, int):
                require(code == wanted, f"{code} {text}")
                return
            require(code == 250, f"{code} {text}")
            got = site.wait_mail(recipient)
            require((b"the answer" not in got) == (wanted == "encrypted"), got[:600])
        finally:
            for name in preferences:
                site.cli("user", "unset", ALICE, name)
    for name, preferences, recipient, fields, wanted in rows:
        tap.case("reply_encrypt: " + name, row, preferences, recipient, fields, wanted)

    def somebody_else():
        carol = f"carol@{INSIDE}"
        site.issue(carol)
        site.postfix.add_login(carol)
        got = site.exchange(carol, open_to, letter(carol, open_to, "the answer", In_Reply_To=f"<{ident}>"), login=carol)
        require(b"the answer" in got, "encrypted for somebody who never got the question")
    tap.case("reply_encrypt: only for whom it was decrypted", somebody_else)


# --- certificates on request ----------------------------------------------------------------------------------------

def requests_of(site, address):
    return [row for row in site.json("request", "list")["items"] if row["email"] == address]


def requests(tap, site):
    def author(name, **preferences):
        address = f"{name}@{INSIDE}"
        site.postfix.add_login(address)
        site.prefer(address, auto_request="builtin", **preferences)
        return address

    def send(address, **fields):
        return site.send(address, [BOB], letter(address, BOB, **fields), login=address)

    def tried():
        address = author("dave")
        for _ in range(3):
            code, text = send(address)
            require(code == 250, f"{code} {text}")
        first = site.wait_mail(BOB)
        require(b"pkcs7-signature" not in first, "signed without a certificate")
        wait_until("the certificate", lambda: [r for r in requests_of(site, address) if r["state"] == "issued"])
        drain(site, BOB)
        wait_until("a signed message", lambda: b"pkcs7-signature" in site.exchange(address, BOB, letter(address, BOB), login=address), step=0.5)
        require(len(requests_of(site, address)) == 1, f"{requests_of(site, address)}")
    tap.case("auto_request: unsigned, one request for three messages, then signed", tried)

    def required():
        address = author("erin", sign_mode="required")
        code, text = send(address)
        require(code == 550, f"{code} {text}")
        drain(site, BOB)
        wait_until("signed", lambda: send(address)[0] == 250, step=0.5)
        require(b"pkcs7-signature" in site.wait_mail(BOB), "not signed")
    tap.case("auto_request: required is refused, and goes once the certificate is there", required)

    def waited():
        address = author("frank", sign_mode="required", auto_request_wait="on")
        code, text = send(address)
        require(code == 451 and "4.7.5" in text, f"{code} {text}")
        drain(site, BOB)
        wait_until("signed", lambda: send(address)[0] == 250, step=0.5)
        require(b"pkcs7-signature" in site.wait_mail(BOB), "not signed")
    tap.case("auto_request_wait: deferred until the certificate is there", waited)

    def in_vain():
        """A CA that does not issue: after the time is over, the answer is no."""
        address = author("grace", sign_mode="required", auto_request_wait="on")
        site.sql(f"INSERT INTO auto_request (email, asked) VALUES ('{address}', now() - interval '14 minutes')")
        require(send(address)[0] == 451, "not deferred within the time")
        site.sql(f"UPDATE auto_request SET asked = now() - interval '16 minutes' WHERE email = '{address}'")
        code, text = send(address)
        require(code == 550 and "5.7.5" in text, f"{code} {text}")
        require(not requests_of(site, address), "asked again")
    tap.case("auto_request_wait: refused when the time is over", in_vain)

    def automatic():
        address = author("heidi", sign_mode="required", auto_request_wait="on")
        code, text = send(address, Auto_Submitted="auto-replied")
        require(code == 550, f"{code} {text}")
        time.sleep(1)
        require(not site.sql(f"SELECT 1 FROM auto_request WHERE email = '{address}'"), "a program's mail started a request")
        code, _ = send(address, Auto_Submitted="no")
        require(code == 451, "Auto-Submitted: no is anybody's mail")
    tap.case("auto_request: Auto-Submitted starts none", automatic)

    def observed():
        address = author("ivan", mode="observe")
        require(send(address)[0] == 250, "not sent")
        time.sleep(1)
        require(not site.sql(f"SELECT 1 FROM auto_request WHERE email = '{address}'"), "observe asked for a certificate")
        site.wait_mail(BOB)
    tap.case("auto_request: observe asks for nothing", observed)


# --- mail that nobody wrote -----------------------------------------------------------------------------------------

REPORT = ("From: {author}\nTo: {to}\nSubject: Undelivered\nMIME-Version: 1.0\n"
          "Content-Type: multipart/report; report-type={kind}; boundary=\"r\"\n\n--r\n\nYour text was: secret\n"
          "--r\nContent-Type: message/{part}\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; {to}\nAction: failed\nStatus: 5.0.0\n\n"
          "--r\nContent-Type: message/rfc822\n\nFrom: {to}\nSubject: secret subject\n\nsecret body\n--r--\n")


def nobody(tap, site, partner):
    strict, able = f"strict@{PARTNER}", f"able@{PARTNER}"
    partner.issue("able", able)
    site.cli("cert", "import", partner.path("able.pem"))
    site.prefer(strict, encrypt_mode="force")
    site.prefer(able, encrypt_mode="force")

    def report(to, kind="delivery-status", author=f"MAILER-DAEMON@{INSIDE}"):
        return REPORT.format(author=author, to=to, kind=kind, part=kind)

    rows = [
        # what it proves, envelope sender, recipient, message, login, wanted
        ("a bounce to who can be encrypted to", "", able, report(able), None, "encrypted"),
        ("a bounce to who cannot: cut", "", strict, report(strict), None, "cut"),
        ("a bounce to who wants nothing: as it is", "", BOB, report(BOB), None, "plain"),
        ("a report with a sender: cut, not refused", ALICE, strict, report(strict, author=ALICE), ALICE, "cut"),
        ("a read receipt: cut, not refused", ALICE, strict, report(strict, "disposition-notification", ALICE), ALICE, "cut"),
        ("a letter that calls itself text is refused", ALICE, strict, letter(ALICE, strict), ALICE, 550),
        ("Auto-Submitted is as any mail", ALICE, strict, letter(ALICE, strict, Auto_Submitted="auto-replied"), ALICE, 550),
    ]

    def row(sender, to, message, login, wanted):
        drain(site, to)
        code, text = site.send(sender, [to], message, login=login)
        if isinstance(wanted, int):
            require(code == wanted, f"{code} {text}")
            return
        require(code == 250, f"{code} {text}")
        got = site.wait_mail(to)
        require((b"secret body" in got) == (wanted == "plain"), got[:800])
        if wanted == "encrypted":
            require(b"enveloped-data" in got and b"secret body" in partner.opens("able", got), "not encrypted")
        if wanted == "cut":
            require(b"secret" not in got and b"Action: failed" in got, got[-800:])
        require(b"pkcs7-signature" not in got, "signed")
    for name, sender, to, message, login, wanted in rows:
        tap.case("nobody wrote it: " + name, row, sender, to, message, login, wanted)

    def listed():
        """Ours by its envelope sender, a stranger's by its author: relayed, so that nothing of ours is asked of it."""
        site.prefer(INSIDE, sign_mode="required", encrypt_mode="force")
        drain(site, BOB)
        try:
            message = letter(f"writer@{PARTNER}", BOB, List_Id="<list.inside.example>")
            code, text = site.send(f"list-bounces@{INSIDE}", [BOB], message)
            require(code == 250, f"{code} {text}")
            require(b"secret" in site.wait_mail(BOB), "changed")
        finally:
            site.cli("domain", "unset", INSIDE, "sign_mode")
            site.cli("domain", "unset", INSIDE, "encrypt_mode")
    tap.case("nobody wrote it: list mail is relayed", listed)

    def resent():
        message = letter(ALICE, BOB, Resent_From=ALICE)
        got = site.exchange(ALICE, BOB, message, login=ALICE)
        require(b"pkcs7-signature" not in got, "somebody else's letter was signed")
    tap.case("nobody wrote it: a resent letter is not signed", resent)


# --- revocation that has to be known --------------------------------------------------------------------------------

def revocation(tap, site, partner):
    address = f"listless@{PARTNER}"
    partner.issue("listless", address)
    site.cli("cert", "import", partner.path("listless.pem"))

    def row(mode, wanted):
        drain(site, address)
        site.prefer(address, encrypt_mode=mode, revocation_encrypt="required")
        code, text = site.send(ALICE, [address], letter(ALICE, address), login=ALICE)
        require(code == wanted and (wanted != 451 or "4.7.5" in text), f"{code} {text}")
    tap.case("revocation = required, no list: try is deferred, not sent in plain", row, "opportunistic", 451)
    tap.case("revocation = required, no list: must is deferred", row, "force", 451)

    def forged():
        """A signature that comes in is not believed, and the mail goes on."""
        site.prefer(None, revocation_verify="required")
        got = site.exchange(address, ALICE, partner.signed("listless", address, ALICE), xclient=OUTSIDER)
        require(b"hello" in got, "not delivered")
        site.cli("global", "unset", "revocation_verify")
    tap.case("revocation = required, no list: a signature that comes in is no reason to wait", forged)


def main():
    tap = Tap()
    with Site() as site:
        site.start()
        site.make_ca()
        site.issue(ALICE)
        site.postfix.add_login(ALICE)
        partner = Partner(site.folder, "Good CA")
        site.cli("root", "import", partner.cert)
        Database(site)
        ciphers(tap, site, partner)
        answers(tap, site, partner)
        requests(tap, site)
        nobody(tap, site, partner)
        revocation(tap, site, partner)
    tap.done()


class Database:
    """Looks into the site's database, as its administrator."""

    def __init__(self, site):
        site.sql, site.notes = self.sql, self.notes
        self.site = site

    def sql(self, text):
        socket = self.site.database_socket()
        psql = "/usr/bin/psql"
        done = check(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", psql, "-X", "-At", "-F", "\t", "-v",
                      "ON_ERROR_STOP=1", "-h", os.path.dirname(socket), "-p", socket.rsplit(".", 1)[1], "-U", "postgres", "-d",
                      "postseal", "-c", text]).decode()
        return [line.split("\t") for line in done.splitlines() if line and not re.match(r"(INSERT|UPDATE|DELETE) ", line)]

    def notes(self):
        return int(self.sql("SELECT coalesce(sum(extract(epoch FROM learned) * 1000)::bigint, 0) FROM capability")[0][0])


main()
