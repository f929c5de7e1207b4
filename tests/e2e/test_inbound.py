#!/usr/bin/env python3
"""Mail that comes in: opened with the recipient's keys and nobody else's, verified, told of, held or refused."""
import contextlib
import email
import email.header
import os
import re
import socket
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from authority import Partner  # noqa: E402
from harness import INSIDE, OUTSIDER, PARTNER, Site, Tap, require, wait_until  # noqa: E402
from peers import check, crlf  # noqa: E402

ALICE, DIRECTOR, CAROL = f"alice@{INSIDE}", f"director@{INSIDE}", f"carol@{INSIDE}"
BOB = f"bob@{PARTNER}"
TEXT = b"Content-Type: text/plain; charset=us-ascii\r\n\r\nthe secret text\r\n"
HTML = (b"Content-Type: text/html; charset=us-ascii\r\n\r\n<p>hello</p><img src=\"http://evil.example/x\">\r\n")


class Mails:
    """Messages of a partner, made with openssl, and what the site's people have."""

    def __init__(self, site, partner):
        self.site, self.partner, self.count = site, partner, 0

    def file(self, data):
        self.count += 1
        path = os.path.join(self.site.folder, f"made{self.count}")
        with open(path, "wb") as f:
            f.write(data)
        return path

    def cert(self, address):
        path = os.path.join(self.site.folder, address + ".public.pem")
        if not os.path.exists(path):
            self.site.cli("cert", "export", "--email", address, "--format", "pem", "--output", path)
        return path

    def encrypt(self, entity, *certs, cipher="-aes-256-cbc"):
        entity = crlf(entity)
        return check(["openssl", "cms", "-encrypt", "-binary", cipher, "-in", self.file(entity), *certs])

    def sign(self, entity, name="bob", opaque=False, partner=None):
        partner, entity = partner or self.partner, crlf(entity)
        return check(["openssl", "cms", "-sign", "-binary", "-in", self.file(entity), "-signer", partner.path(name + ".pem"),
                      "-inkey", partner.path(name + ".key"), "-md", "sha256", *(["-nodetach"] if opaque else [])])

    @staticmethod
    def wrap(entity, sender=BOB, to=ALICE, subject="a subject", extra=""):
        entity = entity.replace(b"\r\n", b"\n")
        return f"From: {sender}\nTo: {to}\nSubject: {subject}\n{extra}".encode() + entity


def fields(data, name):
    return email.message_from_bytes(data).get_all(name) or []


def result(data):
    """The words of our own result: ("pass", the whole value), unfolded."""
    ours = [re.sub(r"\s+", " ", v) for v in fields(data, "Authentication-Results") if "smime=" in v]
    require(len(ours) == 1, f"not one result: {ours}\n{data.decode(errors='replace')[:1500]}")
    return re.search(r"smime=(\w+)", ours[0]).group(1), ours[0]


def postseal(data, name):
    found = fields(data, "X-Postseal-" + name)
    require(len(found) <= 1, f"X-Postseal-{name} is there {len(found)} times")
    return re.sub(r"\s+", " ", found[0]) if found else None


def subject(data):
    return str(email.header.make_header(email.header.decode_header(fields(data, "Subject")[0])))


def untouched(data):
    require(b"pkcs7-mime" in data and b"secret" not in data, f"it is not the cipher text:\n{data.decode()[:1500]}")


class FullMailbox(threading.Thread):
    """A mail server that takes everything up to its last dot."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                with self.socket.accept()[0] as peer:
                    self.serve(peer.makefile("rwb"))

    @staticmethod
    def serve(peer):
        def say(text):
            peer.write(text + b"\r\n")
            peer.flush()
        say(b"220 full.example")
        for line in peer:
            word = line.strip().upper()
            if word == b"DATA":
                say(b"354 go on")
                while peer.readline().rstrip(b"\r\n") != b".":
                    pass
                say(b"552 5.2.2 the mailbox is full")
            else:
                say(b"250 DSN" if word.startswith(b"EHLO") else b"250 fine")
            if word == b"QUIT":
                return


class Tests:
    def __init__(self, site, tap):
        self.site, self.tap = site, tap
        self.partner = Partner(site.folder, "Partner CA")
        self.stranger = Partner(site.folder, "Stranger CA")
        for who in (self.partner, self.stranger):
            who.issue("bob", BOB)
        self.partner.issue("eve", f"eve@{PARTNER}")
        site.cli("root", "import", self.partner.cert)
        self.mails = Mails(site, self.partner)

    def receive(self, message, to=ALICE, sender=BOB):
        return self.site.exchange(sender, to, message, xclient=OUTSIDER)

    def answer(self, message, to=ALICE, sender=BOB):
        return self.site.send(sender, [to] if isinstance(to, str) else to, message, xclient=OUTSIDER)

    def encrypted(self, *to, entity=TEXT, **how):
        return self.mails.encrypt(entity, *[self.mails.cert(a) for a in to], **how)

    def prefer(self, who, **preferences):
        """Sets preferences, or unsets those that are None."""
        for name, value in preferences.items():
            if value is None:
                self.site.cli("user" if "@" in who else "domain", "unset", who, name)
            else:
                self.site.prefer(who, **{name: value})

    # -- opened ------------------------------------------------------------------------------

    def opens(self):
        got = self.receive(self.mails.wrap(self.encrypted(ALICE)))
        require(b"the secret text" in got and b"pkcs7-mime" not in got, got.decode()[:1500])
        require(result(got)[0] == "none" and postseal(got, "Decrypted") == "yes", got.decode()[:1500])
        require(postseal(got, "Decryption-Integrity") == "none", got.decode()[:1500])
        require(len(fields(got, "Content-Type")) == 1 and len(fields(got, "MIME-Version")) == 1, got.decode()[:1500])

    def signed_inside(self):
        entity = self.mails.encrypt(self.mails.sign(TEXT), self.mails.cert(ALICE))
        got = self.receive(self.mails.wrap(entity))
        word, value = result(got)
        require(word == "pass" and f"body.smime-identifier={BOB}" in value and "smime-part=2" in value, value)
        require(postseal(got, "Decryption-Integrity") == "signature", got.decode()[:1500])
        require("multipart/signed" in fields(got, "Content-Type")[0], "the signature did not stay")

    def triple(self):
        entity = self.mails.sign(self.mails.encrypt(self.mails.sign(TEXT), self.mails.cert(ALICE)))
        got = self.receive(self.mails.wrap(entity))
        require(result(got)[0] == "pass" and b"the secret text" in got, got.decode()[:1500])
        require(postseal(got, "Layer-3") is not None, "three layers are not told")

    def opaque(self):
        got = self.receive(self.mails.wrap(self.mails.sign(TEXT, opaque=True)))
        word, value = result(got)
        require(word == "pass" and "smime-part=1" in value, value)

    # -- whose keys --------------------------------------------------------------------------

    def never_anothers(self):
        """The director's cipher text, sent to somebody else."""
        entity = self.encrypted(DIRECTOR)
        got = self.receive(self.mails.wrap(entity, to=CAROL), to=CAROL)
        untouched(got)
        require(result(got)[0] == "neutral" and postseal(got, "Verdict") == "undecryptable", got.decode()[:1500])
        require(b"the secret text" in self.receive(self.mails.wrap(entity, to=DIRECTOR), to=DIRECTOR), "the director cannot")

    def alias(self):
        entity = self.encrypted(DIRECTOR)
        alias = f"boss@{INSIDE}"
        untouched(self.receive(self.mails.wrap(entity, to=alias), to=alias))
        self.prefer(DIRECTOR, aliases=alias)
        require(b"the secret text" in self.receive(self.mails.wrap(entity, to=alias), to=alias), "not for his alias")
        untouched(self.receive(self.mails.wrap(entity, to=f"team@{INSIDE}"), to=f"team@{INSIDE}"))
        self.prefer(DIRECTOR, aliases=None)

    def mixed(self):
        """Both in one envelope: each gets his own."""
        code, text = self.answer(self.mails.wrap(self.encrypted(DIRECTOR)), [DIRECTOR, CAROL])
        require(code == 250, text)
        require(b"the secret text" in self.site.wait_mail(DIRECTOR), "the director has none")
        untouched(self.site.wait_mail(CAROL))

    def selected(self):
        """A key chosen for the domain opens for everybody in it where it is marked so."""
        address = f"gateway@{INSIDE}"
        self.site.issue(address, "Gateway")
        entity = self.encrypted(address)
        thumbprint = self.site.json("cert", "list", "--email", address)["items"][0]["thumbprint"]
        for kind, without, with_mark in (("encrypt", "--no-decrypt", None), ("additional", None, "--decrypt")):
            for mark, opens in ((without, False), (with_mark, True)):
                self.site.cli("select", kind, INSIDE, thumbprint, *([mark] if mark else []))
                got = self.receive(self.mails.wrap(entity, to=CAROL), to=CAROL)
                require((b"the secret text" in got) == opens, f"select {kind} {mark}: opened is not {opens}")
                self.site.cli("select", kind, INSIDE, thumbprint, "--remove")

    # -- verified ----------------------------------------------------------------------------

    def verdicts(self):
        good = self.mails.wrap(self.mails.sign(TEXT))
        require(result(self.receive(good))[0] == "pass", "valid")
        bad = good.replace(b"the secret text", b"the public text")
        require(result(self.receive(bad))[0] == "fail", "bad")
        stranger = self.mails.wrap(self.mails.sign(TEXT, partner=self.stranger))
        require(result(self.receive(stranger))[0] == "policy", "untrusted")
        other = self.mails.wrap(self.mails.sign(TEXT, name="eve"))
        word, value = result(self.receive(other))
        require(word == "policy" and "mismatch" in value, value)

    def domain_signer(self):
        self.partner.issue("gate", f"gateway@{PARTNER}")
        message = self.mails.wrap(self.mails.sign(TEXT, name="gate"))
        require(result(self.receive(message))[0] == "policy", "mismatch before")
        self.site.cli("cert", "import", self.partner.path("gate.pem"))
        rows = self.site.json("cert", "list", "--email", f"gateway@{PARTNER}")["items"]
        self.with_preference("domain_signer", rows[0]["thumbprint"], lambda: require(
            result(self.receive(message))[0] == "pass", "not valid for the domain"), PARTNER)

    # -- preferences -------------------------------------------------------------------------

    def with_preference(self, name, value, check_with, who=ALICE):
        self.prefer(who, **{name: value})
        try:
            check_with()
        finally:
            self.prefer(who, **{name: None})

    def decrypt_off(self):
        def look():
            got = self.receive(self.mails.wrap(self.encrypted(ALICE)))
            untouched(got)
            require(not fields(got, "Authentication-Results"), "something was added")
        self.with_preference("decrypt", "off", look)

    def keep_signature(self):
        signed = self.mails.wrap(self.mails.sign(TEXT))
        bad = signed.replace(b"the secret text", b"the public text")

        def valid_only():
            got = self.receive(signed)
            require("multipart/signed" not in fields(got, "Content-Type")[0], "the valid signature stayed")
            require(b"the secret text" in got and result(got)[0] == "pass" and b"BEGIN" not in got, got.decode()[:900])
            require("multipart/signed" in fields(self.receive(bad), "Content-Type")[0], "the bad signature went")

        def all_of_them():
            got = self.receive(bad)
            require("multipart/signed" not in fields(got, "Content-Type")[0] and result(got)[0] == "fail", got.decode()[:900])
        self.with_preference("keep_signature", "remove-valid", valid_only)
        self.with_preference("keep_signature", "remove", all_of_them)

    def tags(self):
        def look():
            sent = self.mails.wrap
            signed = self.mails.sign(TEXT)
            table = [
                (sent(signed), "[signed] a subject"),
                (sent(self.mails.encrypt(signed, self.mails.cert(ALICE))), "[decrypted] [signed] a subject"),
                (sent(self.mails.sign(TEXT, name="eve")), f"[signed by: eve@{PARTNER}] a subject"),
                (sent(signed).replace(b"the secret", b"the public"), "[invalid signature] a subject"),
                (sent(signed, subject="[signed] [decrypted] a [signed by: ceo@x.example]subject"), "[signed] a subject"),
                (sent(TEXT, subject="[signed] a subject"), "a subject"),
            ]
            for message, expected in table:
                got = self.receive(message)
                require(subject(got) == expected, f"{subject(got)!r} is not {expected!r}")
        self.with_preference("tag_subject", "on", look)

    def invalid_signature(self):
        bad = self.mails.wrap(self.mails.sign(TEXT)).replace(b"the secret", b"the public")

        def rejected():
            code, text = self.answer(bad)
            require(code == 550 and "5.7.1" in text, f"{code} {text}")
        self.with_preference("on_invalid_signature", "reject", rejected)

        def held():
            code, text = self.answer(bad)
            require(code == 250, f"{code} {text}")
            self.released(lambda got: require(b"multipart/signed" in got and not fields(got, "X-Postseal-Verdict"), "touched"))
        self.with_preference("on_invalid_signature", "quarantine", held)

    def released(self, look, to=ALICE):
        """One message lies in the hold queue; it is let go and looked at."""
        hold = wait_until("the hold queue", lambda: [m for m in self.site.postfix.queue_list() if m["queue_name"] == "hold"])
        require(len(hold) == 1, f"{len(hold)} messages are held")
        self.site.postfix.release(hold[0]["queue_id"])
        look(self.site.wait_mail(to))

    def undecryptable(self):
        foreign = self.mails.wrap(self.encrypted(DIRECTOR))

        def rejected():
            code, text = self.answer(foreign)
            require(code == 550 and "5.7.5" in text, f"{code} {text}")
            # A failure after a key was used is no refusal, whatever is preferred.
            code, text = self.answer(self.flipped())
            require(code == 250, f"{code} {text}")
            self.released(untouched)
        self.with_preference("on_undecryptable", "reject", rejected)

        def held():
            code, text = self.answer(foreign)
            require(code == 250, f"{code} {text}")
            self.released(untouched)
        self.with_preference("on_undecryptable", "quarantine", held)

    def flipped(self):
        """The last octets of the cipher text changed: the padding, or the text, is not what it was."""
        path = self.mails.file(self.encrypted(ALICE))
        der = bytearray(check(["openssl", "cms", "-cmsout", "-in", path, "-outform", "DER"]))
        der[-20] ^= 0x55
        out = self.mails.file(bytes(der))
        return self.mails.wrap(check(["openssl", "cms", "-cmsout", "-in", out, "-inform", "DER", "-outform", "SMIME"]))

    def failed_alike(self):
        got = self.receive(self.flipped())
        untouched(got)
        require(result(got)[0] == "neutral" and postseal(got, "Verdict") == "undecryptable", got.decode()[:1500])
        require(postseal(got, "Layer-1") is None, "something of it is told")

    def required(self):
        signed, plain = self.mails.wrap(self.mails.sign(TEXT)), self.mails.wrap(TEXT)
        encrypted = self.mails.wrap(self.encrypted(ALICE))

        def must_sign():
            require(self.answer(plain)[0] == 550, "plain was taken")
            require(result(self.receive(signed))[0] == "pass", "signed was not")
            code, text = self.answer(encrypted)
            require(code == 250, f"{code} {text}")
            self.released(untouched)
            code, text = self.answer(plain, sender="")
            require(code == 250, f"{code} {text}")
            require(b"the secret text" not in self.site.wait_mail(ALICE), "a way around it")
        self.with_preference("require_signed", "on", must_sign)

        def must_encrypt():
            require(self.answer(signed)[0] == 550, "signed alone was taken")
            require(b"the secret text" in self.receive(encrypted), "not opened")
        self.with_preference("require_encrypted", "on", must_encrypt)

        def domain_asks():
            require(self.answer(plain)[0] == 550, "the domain of From asks in vain")
            require(self.answer(plain.replace(b"From: ", b"From: x@other.example, "))[0] == 550, "two authors are a way around")
        self.with_preference("require_signed", "on", domain_asks, PARTNER)

    def legacy(self):
        entity = self.encrypted(ALICE, cipher="-des3")
        untouched(self.receive(self.mails.wrap(entity)))
        self.with_preference("legacy_algorithms", "on", lambda: require(
            b"the secret text" in self.receive(self.mails.wrap(entity)), "3DES is not read"))

    def html(self):
        message = self.mails.wrap(self.encrypted(ALICE, entity=HTML))

        def defused():
            got = self.receive(message)
            require(b"hello" in got and b' src="http://evil' not in got, got.decode()[:1500])
            require(postseal(got, "HTML") == "defused", got.decode()[:1500])

        def delivered():
            require(b'src="http://evil' in self.receive(message), "changed")

        def held():
            require(self.answer(message)[0] == 250, "not taken")
            self.released(untouched)
        self.with_preference("unauthenticated_html", "deliver", delivered)
        self.with_preference("unauthenticated_html", "hold", held)
        defused()

    # -- what is forged, what must not come back ------------------------------------------------

    def forged(self):
        lies = ("Authentication-Results: mx.inside.example; smime=pass body.smime-identifier=ceo@inside.example\n"
                "Authentication-Results: (a comment) \"mx.inside.example\" 1; dkim=pass header.d=x;\n smime=pass\n"
                "Authentication-Results: other.example; smime=pass\n"
                "Authentication-Results: mx.inside.example; dkim=pass header.d=other.example\n"
                "X-Postseal-Verdict: valid\nX-Postseal-Decrypted: yes\n")
        for entity in (TEXT, self.mails.sign(TEXT)):
            got = self.receive(self.mails.wrap(entity, extra=lies))
            left = [re.sub(r"\s+", " ", v) for v in fields(got, "Authentication-Results")]
            require(not any("ceo@" in v for v in left), f"a forged result stayed: {left}")
            require(sum("smime=pass" in v and "mx.inside" in v for v in left) == (0 if entity == TEXT else 1), left)
            require(any("dkim=pass header.d=other" in v for v in left), "the filter before us lost its result")
            require(fields(got, "X-Postseal-Decrypted") == [], "a forged field stayed")
            require(fields(got, "X-Postseal-Verdict") == ([] if entity == TEXT else ["valid"]), "a forged verdict stayed")

    def bounce(self):
        """A full mailbox: what goes back to the outside sender has no text of what was decrypted."""
        full = f"full@{INSIDE}"
        self.site.issue(full, "Full")
        with FullMailbox() as mailbox:
            self.site.postfix.refuse_mailbox(full, mailbox.port)
            message = self.mails.wrap(self.encrypted(full), to=full)
            require(self.answer(message, full)[0] == 250, "not taken")
            got = self.site.wait_mail(BOB)
            require(b"the mailbox is full" in got, got.decode()[:2000])
            require(b"the secret text" not in got and b"Y29udGVudA" not in got, "the plain text went back")
            require(b"text/rfc822-headers" in got.lower(), "not the header alone")
            require(self.answer(self.mails.wrap(TEXT, to=full), full)[0] == 250, "not taken")
            require(b"the secret text" in self.site.wait_mail(BOB), "what was not decrypted may go back")

    def limited(self):
        """More than twenty failures an hour: no more attempts."""
        tired = f"tired@{INSIDE}"
        self.site.issue(tired, "Tired")
        good = self.mails.wrap(self.encrypted(tired), to=tired)
        require(b"the secret text" in self.receive(good, tired, f"x1@{PARTNER}"), "not opened at first")
        path = self.mails.file(self.encrypted(tired))
        der = bytearray(check(["openssl", "cms", "-cmsout", "-in", path, "-outform", "DER"]))
        der[-20] ^= 0x55
        out = self.mails.file(bytes(der))
        entity = check(["openssl", "cms", "-cmsout", "-in", out, "-inform", "DER", "-outform", "SMIME"])
        for i in range(21):
            untouched(self.receive(self.mails.wrap(entity, to=tired), tired, f"y{i}@{PARTNER}"))
        untouched(self.receive(good, tired, f"x2@{PARTNER}"))
        require(b"the secret text" in self.receive(self.mails.wrap(self.encrypted(ALICE))), "others suffer")

    def told(self):
        """One line and one row a message, with what was found."""
        self.receive(self.mails.wrap(self.mails.encrypt(self.mails.sign(TEXT), self.mails.cert(ALICE))))
        line = [x for x in self.site.filter.output().splitlines() if "outcome=decrypted" in x][-1]
        for word in ("verdict=valid", "layers=encrypted,signed", "decrypted=yes", "integrity=signature"):
            require(word in line, f"{word} is not in {line}")

    def explained(self):
        path = self.mails.file(self.mails.wrap(self.encrypted(DIRECTOR), to=CAROL))
        told = self.site.json("explain", "--sender", BOB, "--to", CAROL, "--to", DIRECTOR,
                              "--client", OUTSIDER, "--message", path)
        carol, director = told["recipients"]
        require("cannot be decrypted" in carol["row"], carol["row"])
        require("decrypted" in director["row"] and len(director["inbound"]["keys"]) >= 1, director)


def main():
    tap = Tap()
    with Site() as site:
        site.start()
        site.make_ca()
        for who in (ALICE, DIRECTOR, CAROL):
            site.issue(who)
        tests = Tests(site, tap)
        for name in ("opens", "signed_inside", "triple", "opaque", "never_anothers", "alias", "mixed", "selected", "verdicts",
                     "domain_signer", "decrypt_off", "keep_signature", "tags", "invalid_signature", "failed_alike",
                     "undecryptable", "required", "legacy", "html", "forged", "bounce", "limited", "told", "explained"):
            case = getattr(tests, name)
            tap.case(name.replace("_", " ") + (": " + case.__doc__.strip().rstrip(".") if case.__doc__ else ""), case)
    tap.done()


main()
