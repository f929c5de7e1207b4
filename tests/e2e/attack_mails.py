"""attack_mails - the ways to make a reader believe a signature that does not speak for what he sees.

Classes after the literature on forged signatures in mail programs (Müller et al. 2019 and 2020), on ambiguous
From fields (Chen, Paxson, Jiang 2020; Shen et al. 2021) and on parsers that disagree (Zhang et al. 2024). A row is
(class, name, message, verdicts that are right); none of them is "valid". honest() gives mail as programs make it,
which must stay valid.
"""
import base64
import email.utils
import time

from forge import (CONTENT_TYPE, DATA, ENVELOPED, MESSAGE_DIGEST, SERVER_AUTH, SIGNATURE_FIELDS, SIGNED_DATA, SIGNING_TIME,
                   TST_INFO, Person, Signer, attribute, b64, by, compressed, container, crlf, email_attribute, extension, mail,
                   mail_name, multipart_signed, octets, oid, opaque, seq, signed_data, text, tlv, utf8_mail_name)

NOW = int(time.time())
DAY = 86400
GOOD, EVIL = "alice@good.example", "eve@evil.example"
EVIL_TEXT = text("Pay Eve one million, says Alice.")
EVIL_HTML = text("<p>Pay Eve one million.</p>", "html")


class Cast:
    """Who plays: a CA that is trusted, Alice whose words are wanted, Eve who has a good certificate of her own."""

    def __init__(self):
        old = NOW - 900 * DAY
        self.root = Person("Root", ca=True, start=old)
        person = lambda cn, *names, **how: Person(cn, self.root, [mail_name(n) for n in names], start=old, **how)
        self.alice = person("Alice", GOOD)
        self.alice_twin = Person("Alice", Person("Other Root", ca=True, start=old), [mail_name(GOOD)], start=old,
                                 key=self.alice.key)
        self.eve = person("Eve", EVIL)
        self.self_signed = Person("Alice", None, [mail_name(GOOD)], key=self.eve.key)
        key = self.eve.key
        self.expired = person("Alice", GOOD, key=key, end=NOW - DAY)
        self.server = person("Alice", GOOD, key=key, purpose=SERVER_AUTH)
        self.by_leaf = Person("Alice", self.eve, [mail_name(GOOD)], key=key)
        self.fake = Person("Alice", Person("Root", ca=True, start=old), [mail_name(GOOD)], start=old, key=key, serial=self.alice.serial)
        only_evil = extension("2.5.29.30", seq(tlv(0xA0, seq(tlv(0x81, b"evil.example")))), True)
        self.bound_ca = Person("Sub", self.root, ca=True, start=old, extensions=[only_evil])
        bound = lambda names, *more: Person("x", self.bound_ca, names, more, key=key, start=old)
        self.bound = {"SAN": (GOOD, bound([mail_name(GOOD)])), "subject": (GOOD, bound([], email_attribute(GOOD))),
                      "subject beside a SAN": (GOOD, bound([mail_name(EVIL)], email_attribute(GOOD))),
                      "UTF-8 mailbox": ("\u00e4lice@good.example", bound([utf8_mail_name("\u00e4lice@good.example")]))}
        odd = lambda cn, names, *more: Person(cn, self.root, names, more, key=key, start=old)
        self.odd = {
            "null byte in SAN": odd("x", [mail_name(b"alice@good.example\0.evil.example")]),
            "null byte in the local part": odd("x", [mail_name(b"alice\0x@good.example")]),
            "address only in the common name": odd(GOOD, []),
            "address only as a DNS name": odd("x", [tlv(0x82, GOOD.encode())]),
            "address only as a URI": odd("x", [tlv(0x86, b"mailto:alice@good.example")]),
            "name and brackets in SAN": odd("x", [mail_name("Alice <alice@good.example>")]),
            "several in one SAN entry": odd("x", [mail_name("eve@evil.example,alice@good.example")]),
            "blank behind": odd("x", [mail_name("alice@good.example .evil.example")]),
            "Cyrillic local part": odd("x", [utf8_mail_name("\u0430lice@good.example")]),
            "Cyrillic domain": odd("x", [utf8_mail_name("alic\u00e9@g\u043e\u043ed.example")]),
            "subdomain": odd("x", [mail_name("alice@mail.good.example")]),
            "domain only": odd("x", [mail_name("good.example")]),
            "dot domain": odd("x", [mail_name(".good.example")]),
            "at and domain": odd("x", [mail_name("@good.example")]),
            "wild card": odd("x", [mail_name("*@good.example")]),
            "null byte in subject": odd("x", [], email_attribute(b"alice@good.example\0.evil.example", 12)),
            "line end in SAN": odd("x", [mail_name(b"alice@good.example\n.evil.example")]),
            "address as unstructured name": odd("x", [], attribute("1.2.840.113549.1.9.2", GOOD, 22)),
        }
        self.several = odd("Eve", [mail_name(EVIL), mail_name(GOOD)])
        self.upper = odd("Alice", [mail_name("Alice@GOOD.Example")])
        self.utf8 = odd("Alice", [utf8_mail_name("\u00e4lice@good.example")])
        self.in_subject = odd("Alice", [], email_attribute(GOOD))


def cms_rows(c):
    words = text("Alice's words.")
    evil = EVIL_TEXT
    good_sig, eve_sig = by(c.alice, words), by(c.eve, words)
    a, e = Signer(c.alice), Signer(c.eve)

    def row(name, entity, *right, sender=GOOD):
        return ("cms", name, mail(sender, entity), right)
    yield row("detached object with the signed content inside, other text shown", multipart_signed(evil, by(c.alice, words, False)),
              "malformed")
    yield row("the same with the content shown twice", multipart_signed(words, by(c.alice, words, False)), "malformed")
    yield row("an opaque one without content", opaque(good_sig), "malformed")
    yield row("other content", multipart_signed(evil, good_sig), "bad")
    yield row("no signerInfo, detached", multipart_signed(evil, signed_data(b"", [], True, certs=[c.alice.cert])), "unsigned", "malformed")
    yield row("no signerInfo, no certificate", multipart_signed(evil, signed_data(b"", [], True)), "unsigned", "malformed")
    yield row("no signerInfo, opaque", opaque(signed_data(evil, [], certs=[c.alice.cert])), "unsigned", "malformed")
    yield row("certs-only as signed-data", opaque(signed_data(b"", [], True, certs=[c.alice.cert])), "unsigned", "malformed")
    bad = Signer(c.alice, content=evil)
    for name, order in (("good first", [e, bad]), ("bad first", [bad, e])):
        yield row("two signers, Alice's is bad, " + name, multipart_signed(words, signed_data(words, order, True)), "bad", sender=EVIL)
        yield row("two signers, From Alice, " + name, multipart_signed(words, signed_data(words, order, True)), "bad")
    yield row("two signers, neither is From", multipart_signed(words, signed_data(words, [e, Signer(c.several)], True)),
              "mismatch", sender="bob@good.example")
    yield row("Eve signs under Alice's name", multipart_signed(words, signed_data(words, [Signer(c.eve, identifier=c.alice.id())], True,
              certs=[c.alice.cert, c.eve.cert])), "bad")
    yield row("Alice's certificate beside Eve's signature", multipart_signed(words, signed_data(words, [e], True,
              certs=[c.alice.cert, c.eve.cert])), "mismatch")
    yield row("a certificate of the same name by another root", multipart_signed(words, signed_data(words, [Signer(c.alice_twin)], True)),
              "untrusted")
    yield row("self-signed", multipart_signed(words, by(c.self_signed, words)), "untrusted")
    for where, order in (("first", [c.fake.cert, c.alice.cert]), ("last", [c.alice.cert, c.fake.cert])):
        yield row("Eve's key under Alice's issuer and serial number, " + where, multipart_signed(words, signed_data(
            words, [Signer(c.fake)], True, certs=order)), "untrusted", "bad")
    yield row("a root that has the name of the right one", multipart_signed(words, signed_data(
        words, [Signer(c.fake)], True, certs=[c.fake.cert, c.fake.issuer.cert])), "untrusted")
    yield row("issued by a certificate that is no CA", multipart_signed(words, signed_data(words, [Signer(c.by_leaf)], True,
              certs=[c.by_leaf.cert, c.eve.cert])), "untrusted")
    yield row("a certificate for servers", multipart_signed(words, by(c.server, words)), "untrusted")
    yield row("expired", multipart_signed(words, by(c.expired, words)), "untrusted")
    yield row("expired, signed now by its own word", multipart_signed(words, by(c.expired, words, when=NOW)), "untrusted")
    yield row("no certificate at all", multipart_signed(words, signed_data(words, [a], True, certs=[])), "untrusted")
    for kind, name in ((ENVELOPED, "enveloped"), (SIGNED_DATA, "signed"), (TST_INFO, "time stamp")):
        yield row(f"content type {name}, opaque", opaque(signed_data(words, [a], content_type=kind)), "malformed", "bad")
        yield row(f"content type {name}, detached", multipart_signed(words, signed_data(words, [a], True, content_type=kind)),
                  "malformed", "bad")
    yield row("content type attribute of another type", opaque(signed_data(words, [Signer(c.alice, replace={CONTENT_TYPE: oid(TST_INFO)})])), "bad")
    for name, how in {"no content type attribute": {"drop": [CONTENT_TYPE]}, "no digest attribute": {"drop": [MESSAGE_DIGEST]},
                      "digest attribute of other content": {"replace": {MESSAGE_DIGEST: octets(b"\0" * 32)}},
                      "short digest": {"replace": {MESSAGE_DIGEST: octets(b"")}},
                      "two digest attributes": {"extra": [seq(oid(MESSAGE_DIGEST), tlv(0x31, octets(b"\0" * 32)))]},
                      "two content type attributes": {"extra": [seq(oid(CONTENT_TYPE), tlv(0x31, oid(DATA)))]},
                      "two values in the digest attribute": {"replace": {MESSAGE_DIGEST: octets(b"\0" * 32) * 2}},
                      "two signing times": {"extra": [seq(oid(SIGNING_TIME), tlv(0x31, tlv(23, b"250101000000Z")))], "when": NOW},
                      "empty signature": {"signature": b""}, "zero signature": {"signature": b"\0" * 256},
                      "one as signature": {"signature": b"\0" * 255 + b"\1"}}.items():
        yield row(name, multipart_signed(words, signed_data(words, [Signer(c.alice, **how)], True)), "bad")
    attributes = tlv(0x31, *sorted([seq(oid(CONTENT_TYPE), tlv(0x31, oid(DATA))),
                                    seq(oid(MESSAGE_DIGEST), tlv(0x31, octets(__import__("hashlib").sha256(words).digest())))]))
    yield row("attributes shown as content", opaque(signed_data(attributes, [Signer(c.alice, attributes=False)])), "bad", "malformed")
    yield row("digest named other than used", multipart_signed(words, signed_data(words, [Signer(c.alice, says="sha512")], True)), "bad")
    yield row("digest not announced, opaque", opaque(signed_data(words, [a], digests=("sha512",))), "untrusted", "bad")
    yield row("trailing object", opaque(by(c.alice, words, False) + by(c.eve, evil, False)), "malformed", "unsigned")
    yield row("trailing object, detached", multipart_signed(words, good_sig + eve_sig), "malformed", "unsigned")
    yield row("an encrypted label on a signed object of Eve", mail_entity_enveloped(by(c.eve, evil, False)), "mismatch")
    yield row("a signature in a signature's place of its own kind", multipart_signed(words, signed_data(good_sig, [e], False)), "malformed")


def mail_entity_enveloped(der):
    return opaque(der, b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n"
                       b"Content-Transfer-Encoding: base64\r\n")


def wrap_rows(c):
    words = text("Alice's words.")
    signed = multipart_signed(words, by(c.alice, words))
    whole = opaque(by(c.alice, words, False))
    inner = mail(GOOD, signed)
    attached = b"Content-Type: message/rfc822\r\n\r\n" + inner

    def row(name, entity, *right):
        return ("wrap", name, mail(GOOD, entity), right)
    hide = text('<p>Pay.</p><div style="display:none">', "html")
    for kind in ("mixed", "related", "alternative", "parallel", "digest", "unknown", "report; report-type=x", "form-data"):
        yield row(f"text before, {kind}", container(kind, EVIL_TEXT, signed), "partial")
        yield row(f"text behind, {kind}", container(kind, signed, EVIL_TEXT), "partial")
        yield row(f"opaque, {kind}", container(kind, EVIL_TEXT, whole), "partial")
    yield row("alone in a mixed", container("mixed", signed), "partial")
    yield row("hidden by HTML", container("mixed", hide, signed, text("</div>", "html")), "partial")
    yield row("hidden by an open comment", container("mixed", text("<p>Pay.</p><!--", "html"), signed), "partial")
    yield row("hidden by plaintext", container("mixed", text("<p>Pay.</p><textarea hidden>", "html"), signed), "partial")
    yield row("referred to by cid", container("related", text('<p>Pay.</p><img src="cid:x">', "html"),
              b"Content-ID: <x>\r\n" + signed), "partial")
    yield row("as attachment", container("mixed", EVIL_TEXT, b"Content-Disposition: attachment; filename=a.eml\r\n" + signed), "partial")
    yield row("as inline attachment", container("mixed", EVIL_TEXT, b"Content-Disposition: inline\r\n" + whole), "partial")
    yield row("signed alternative that is not shown", container("alternative", signed, EVIL_HTML), "partial")
    yield row("deep", container("mixed", container("mixed", EVIL_HTML, container("alternative", signed, boundary=b"c"), boundary=b"b")), "partial")
    yield row("two signed parts", container("mixed", signed, multipart_signed(EVIL_TEXT, by(c.eve, EVIL_TEXT), b"sig2")), "partial")
    yield row("signed by Alice twice, other text between", container("mixed", signed, EVIL_TEXT, signed.replace(b"sig", b"gis")), "partial")
    yield row("forwarded", container("mixed", EVIL_TEXT, attached), "unsigned", "partial")
    yield row("forwarded alone", container("mixed", attached), "unsigned", "partial")
    yield row("encapsulated", attached, "unsigned", "partial", "malformed")
    yield row("encapsulated, opaque", b"Content-Type: message/rfc822\r\n\r\n" + mail(GOOD, whole), "unsigned", "partial", "malformed")
    yield row("encapsulated in a digest", container("digest", b"\r\n" + inner), "unsigned", "partial")
    yield row("message/global", attached.replace(b"rfc822", b"global"), "unsigned", "partial", "malformed")
    yield row("message/partial", b"Content-Type: message/partial; id=x; number=1; total=2\r\n\r\n" + inner, "unsigned", "malformed")
    yield row("message/external-body", b"Content-Type: message/external-body; access-type=URL; URL=\"http://evil.example/\"\r\n\r\n" + signed,
              "unsigned", "malformed")
    fields = b"Content-Type: application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z\r\nContent-Transfer-Encoding: base64\r\n"
    packed = compressed(signed)
    yield row("compressed, text behind", opaque(b"", fields, b64(packed) + b"\r\n<p>Pay Eve</p>\r\n"), "malformed")
    yield row("compressed, two encodings", opaque(packed, fields + b"Content-Transfer-Encoding: 7bit\r\n"), "malformed")
    yield row("compressed, a type of two readings", opaque(packed, fields.replace(b"name=", b"x=\"\\\"; name=")), "malformed")
    yield row("compressed, two objects", opaque(packed + compressed(EVIL_TEXT), fields), "malformed")
    yield row("compressed, beside other text", opaque(compressed(container("mixed", EVIL_TEXT, signed)), fields), "partial")
    documents = {"a document: " + kind: f"Content-Type: application/{kind}; name=smime.p7m" for kind in ("xhtml+xml", "xml", "rtf", "pdf")}
    documents["a file of another name"] = "Content-Type: application/octet-stream; name=smime.p7m\r\nContent-Disposition: inline; filename=a.html"
    documents["a part of another name"] = "Content-Type: application/octet-stream; name=a.html\r\nContent-Disposition: inline; filename=smime.p7m"
    for name, field in documents.items():
        yield row("opaque, as " + name, opaque(by(c.alice, words, False), field.encode() + b"\r\nContent-Transfer-Encoding: base64\r\n"), "malformed")
    same = container("mixed", text("a"), text("b"), boundary=b"sig")
    yield row("a boundary twice", multipart_signed(same, by(c.alice, same)), "malformed")
    same = container("mixed", text("a"), container("alternative", text("b"), EVIL_HTML, boundary=b"sig"))
    yield row("a boundary twice, deeper", multipart_signed(same, by(c.alice, same)), "malformed")
    for charset in ("utf-7", "utf-16", "iso-2022-jp"):
        yield row("a charset for all parts: " + charset, multipart_signed(words, by(c.alice, words), type_field=b"Content-Type: multipart/signed; "
                  b"protocol=\"application/pkcs7-signature\"; charset=" + charset.encode() + b"; boundary=sig\r\n"), "malformed")
    yield row("of another type with the protocol", signed.replace(b"multipart/signed", b"multipart/mixed"), "partial")
    yield row("of an unknown type", signed.replace(b"multipart/signed", b"multipart/x-signed"), "partial")
    yield row("a signature in a file", container("mixed", EVIL_TEXT, SIGNATURE_FIELDS + b"\r\n" + b64(by(c.alice, words, False))), "partial")
    yield row("signed mail in an octet-stream", container("mixed", EVIL_TEXT, whole.replace(
        b"application/pkcs7-mime; smime-type=signed-data", b"application/octet-stream")), "partial")
    resigned = opaque(by(c.eve, container("mixed", EVIL_TEXT, signed), False))
    yield row("Alice's signed part in what Eve signed", resigned, "mismatch")
    yield row("Alice's whole message in what Eve signed", multipart_signed(attached, by(c.eve, attached), b"out"), "mismatch")
    broken = signed.replace(b"Alice's", b"Aline's")
    yield row("a changed part beside text", container("mixed", broken, EVIL_TEXT), "bad")
    covered = multipart_signed(broken, by(c.alice, broken), b"out")
    yield row("a bad signature within a good one", covered, "bad")


def frame_rows(c):
    """What stands around the signed part so that somebody else could read it another way."""
    words = text("Alice's words.")
    sig = by(c.alice, words)
    ordinary = multipart_signed(words, sig)
    head = b"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256;"

    def row(name, entity, *right, **how):
        return ("frame", name, mail(GOOD, entity, **how), right)

    def typed(name, field, *right, **how):
        return row(name, multipart_signed(words, sig, type_field=field, **how), *right)
    third = EVIL_TEXT
    no = ("malformed", "partial", "unsigned", "bad")
    yield row("three parts", multipart_signed(words, sig, more=[third]), *no)
    yield row("three parts, signature in the middle", multipart_signed(third, sig, more=[words]), *no)
    yield row("signature first", multipart_signed(words, sig, order=(1, 0)), *no)
    yield row("text first, signature last", multipart_signed(third, sig, order=(0, 0, 1)), *no)
    yield row("two signature parts", multipart_signed(words, sig, order=(0, 1, 1)), *no)
    yield row("one part", multipart_signed(words, sig, order=(0,)), *no)
    yield row("no closing delimiter and text behind", ordinary.replace(b"--sig--\r\n", b"\r\nPay Eve.\r\n"), *no)
    for where in ("preamble", "epilogue"):
        lines = crlf("--other\nContent-Type: text/plain\n\nPay Eve.\n--other--\n")
        yield row(f"{where} with parts", multipart_signed(words, sig, **{where: lines}), *no)
        lines = crlf("--sigma\nContent-Type: text/plain\n\nPay Eve.\n--sigma--\n")
        yield row(f"{where} with parts of a longer boundary", multipart_signed(words, sig, **{where: lines}), *no)
        yield row(f"{where} with a bare CR", multipart_signed(words, sig, **{where: b"x\r--sig\rContent-Type: text/plain\r\rPay\r\n"}), *no)
        yield row(f"{where} with bare LFs", multipart_signed(words, sig, **{where: b"x\n--sig\n\nPay\n--sig--\n"}), *no)
        yield row(f"{where} with a null byte", multipart_signed(words, sig, **{where: b"x\0--sig\r\n"}), *no)
        yield row(f"{where} with a message", multipart_signed(words, sig, **{where: b"Content-Type: text/html\r\n\r\n<p>Pay Eve.</p>\r\n"}), *no)
    yield row("text in the epilogue", multipart_signed(words, sig, epilogue=b"Pay Eve one million.\r\n"), "partial")
    yield row("preamble, but no MIME-Version", multipart_signed(words, sig, preamble=b"Pay Eve one million.\r\n"), *no, version=b"")
    yield row("signature part of type text", multipart_signed(words, sig, signature_fields=b"Content-Type: text/html\r\n"
              b"Content-Transfer-Encoding: base64\r\n"), *no)
    yield row("signature part without a type", multipart_signed(words, sig, signature_fields=b"Content-Transfer-Encoding: base64\r\n"), *no)
    yield row("signature part of type image", multipart_signed(words, sig, signature_fields=b"Content-Type: image/png\r\n"
              b"Content-Transfer-Encoding: base64\r\n"), *no)
    yield row("signature part with two types", multipart_signed(words, sig, signature_fields=SIGNATURE_FIELDS +
              b"Content-Type: text/html\r\n"), *no)
    yield row("signature part with two encodings", multipart_signed(words, sig, signature_fields=SIGNATURE_FIELDS +
              b"Content-Transfer-Encoding: 7bit\r\n"), *no)
    yield row("text behind the base64", multipart_signed(words, sig, body=b64(sig) + b"\r\nPay Eve one million.\r\n"), *no)
    yield row("junk between the base64", multipart_signed(words, sig, body=b64(sig).replace(b"\r\n", b"\r\n<b>Pay!</b>\r\n", 1)), *no)
    yield row("a part within the signature part", multipart_signed(words, sig, body=b64(sig) + b"--sigma\r\n\r\nPay\r\n"), *no)
    yield row("text behind the opaque object", opaque(b"", body=b64(by(c.alice, words, False)) + b"\r\nPay Eve one million.\r\n"), *no)
    yield row("base64 with padding inside", opaque(b"", body=b64(b"0") + b64(by(c.alice, words, False))), *no)
    yield row("opaque, two encodings", opaque(by(c.alice, words, False), b"Content-Type: application/pkcs7-mime; name=smime.p7m\r\n"
              b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n"), *no)
    yield row("two types, text first", b"Content-Type: text/plain\r\n" + ordinary, "malformed")
    yield row("two types, text last", ordinary.replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain\r\n\r\n", 1), "malformed")
    yield row("two types, other boundary", ordinary.replace(b"\r\n\r\n", b"\r\n" + head + b" boundary=other\r\n\r\n", 1), "malformed")
    yield row("the type once with a blank", ordinary.replace(b"Content-Type:", b"Content-Type: text/plain\r\nContent-Type :", 1), "malformed")
    yield row("a multipart in base64", multipart_signed(words, sig, between=b"Content-Transfer-Encoding: base64\r\n"), "malformed")
    yield row("a multipart in quoted-printable", multipart_signed(words, sig, between=b"Content-Transfer-Encoding: quoted-printable\r\n"), "malformed")
    yield row("a multipart in an unknown encoding", multipart_signed(words, sig, between=b"Content-Transfer-Encoding: x-uuencode\r\n"), *no)
    lines = crlf("--other\n\nPay Eve.\n--other--\n")
    for name, more in {"two boundaries": b" boundary=\"sig\"; boundary=\"other\"", "two boundaries, the other way": b" boundary=\"other\"; boundary=\"sig\"",
                       "RFC 2231 beside plain": b" boundary=\"sig\"; boundary*=us-ascii''other",
                       "RFC 2231 first": b" boundary*=us-ascii''sig; boundary=\"other\"",
                       "RFC 2231 pieces": b" boundary*0=\"si\"; boundary*1=\"g\"; boundary=\"other\"",
                       "RFC 2231 alone": b" boundary*=us-ascii''sig", "RFC 2231 pieces alone": b" boundary*0=\"si\"; boundary*1=\"g\"",
                       "percent": b" boundary*=us-ascii''%73ig; boundary=%73ig",
                       "comment before": b" (boundary=\"other\") boundary=\"sig\"", "comment inside": b" boundary=(other)sig",
                       "comment behind": b" boundary=sig(other)", "comment with a quote": b" x=\"(\"; boundary=\"other\"; y=\")\"; boundary=\"sig\"",
                       "escaped": b" boundary=\"s\\ig\"", "escaped quote": b" boundary=\"sig\\\"; boundary=\\\"other\"",
                       "single quotes": b" boundary='sig'", "quote inside": b" boundary=si\"g\"", "quote and more": b" boundary=\"si\"g",
                       "blank in it": b" boundary=sig other", "blank around": b" boundary = \"sig\"; boundary=\"other\"",
                       "empty, then one": b" boundary=\"\"; boundary=\"sig\"", "no equals sign": b" boundary \"sig\"",
                       "unfinished quote": b" boundary=\"sig", "no semicolon": b" x=y boundary=\"sig\"",
                       "comma": b" x=y, boundary=\"sig\"", "encoded word": b" boundary=\"=?us-ascii?q?sig?=\"",
                       "null byte": b" boundary=\"sig\0other\"", "bare CR": b" boundary=\"sig\"\r boundary=\"other\"",
                       "8-bit": b" boundary=\"sig\xff\"", "form feed": b" boundary=\"sig\"\x0c; boundary=\"other\"",
                       "vertical tab": b"\x0b boundary=\"sig\""}.items():
        yield typed("boundary: " + name, head + more + b"\r\n", *no, preamble=lines)
        yield typed("boundary: " + name + ", no preamble", head + more + b"\r\n", *no)
    for name, field in {"another protocol": b"Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=sig\r\n",
                        "protocol of text": b"Content-Type: multipart/signed; protocol=\"text/plain\"; boundary=sig\r\n",
                        "two protocols": b"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; "
                        b"protocol=\"application/pgp-signature\"; boundary=sig\r\n",
                        "two types in one": b"Content-Type: multipart/signed, text/plain; boundary=sig\r\n",
                        "a comment as type": b"Content-Type: (text/plain) multipart/signed; boundary=sig\r\n",
                        "a comment in the type": b"Content-Type: multipart/(mixed)signed; boundary=sig\r\n",
                        "quoted type": b"Content-Type: \"multipart/signed\"; boundary=sig\r\n",
                        "blanks in the type": b"Content-Type: multipart / signed; boundary=sig\r\n",
                        "type with a null byte": b"Content-Type: multipart/signed\0; boundary=sig\r\n",
                        "Content-Type in an encoded word": b"Content-Type: =?us-ascii?q?multipart/signed?=; boundary=sig\r\n"}.items():
        yield typed(name, field, *no)
    broken = mail(GOOD, ordinary)
    yield ("frame", "header ended by a line that is none", broken.replace(b"To: bob", b"this is no field\r\nFrom: eve@evil.example\r\nTo: bob"), no)
    yield ("frame", "a line that is none before the type", broken.replace(b"MIME-Version", b"this is no field\r\nMIME-Version"), no)
    yield ("frame", "a line of blanks before the type", broken.replace(b"MIME-Version", b" \r\nMIME-Version"), no)
    yield ("frame", "a line of a tab in the type", broken.replace(b" boundary=", b"\t\r\n boundary="), no)
    yield ("frame", "a field name with a control", broken.replace(b"MIME-Version", b"X\x07Y: z\r\nMIME-Version"), no)
    yield ("frame", "a bare CR in the header", broken.replace(b"To: bob", b"X: y\rFrom: eve@evil.example\r\nTo: bob"), no)
    yield ("frame", "a null byte in the header", broken.replace(b"Subject: s", b"Subject: s\0"), no)
    yield ("frame", "a bare CR before a delimiter", broken.replace(b"\r\n--sig\r\nContent-Type: text", b"\r\nx\r--sig\r\nContent-Type: text"), no)
    yield ("frame", "a delimiter line of one LF", broken.replace(b"--sig\r\nContent-Type: text", b"--sig\nContent-Type: text"), no)
    yield ("frame", "a continuation at the top", b" X: y\r\n" + broken, no)


def from_rows(c):
    words = text("Eve's words.")
    entity = multipart_signed(words, by(c.eve, words))
    fields = lambda *lines: b"".join(line if isinstance(line, bytes) else line.encode() for line in lines)

    def row(name, sender, *right):
        sender = sender if isinstance(sender, bytes) else f"From: {sender}\r\n".encode()
        return ("from", name, mail(sender, entity), right or ("mismatch",) + ("malformed",) * ("null byte" in name))
    yield row("somebody else", GOOD)
    yield row("two fields, Alice first", fields(f"From: {GOOD}\r\nFrom: {EVIL}\r\n"))
    yield row("two fields, Alice last", fields(f"From: {EVIL}\r\nFrom: {GOOD}\r\n"))
    yield row("twice the same", fields(f"From: {EVIL}\r\nFrom: {EVIL}\r\n"))
    yield row("two fields, one with a blank before the colon", fields(f"From: {EVIL}\r\nFrom : {GOOD}\r\n"))
    yield row("two fields, one in capitals", fields(f"FROM: {EVIL}\r\nfrom\t: {GOOD}\r\n"))
    yield row("no From", b"")
    yield row("no From, but Sender", fields(f"Sender: {EVIL}\r\n"))
    yield row("Sender is the signer", fields(f"From: {GOOD}\r\nSender: {EVIL}\r\n"))
    yield row("Reply-To is the signer", fields(f"From: {GOOD}\r\nReply-To: {EVIL}\r\n"))
    yield row("Resent-From is the signer", fields(f"From: {GOOD}\r\nResent-From: {EVIL}\r\n"))
    yield row("Return-Path is the signer", fields(f"Return-Path: <{EVIL}>\r\nFrom: {GOOD}\r\n"))
    yield row("two addresses", f"{GOOD}, {EVIL}")
    yield row("two addresses, the other way", f"{EVIL}, {GOOD}")
    yield row("two with names", f"Alice <{GOOD}>, Eve <{EVIL}>")
    yield row("two pairs of brackets", f"<{GOOD}> <{EVIL}>")
    yield row("brackets in brackets", f"<{GOOD}<{EVIL}>>")
    yield row("brackets twice", f"<<{EVIL}>> {GOOD}")
    yield row("semicolon", f"{EVIL}; {GOOD}")
    yield row("blank between", f"{EVIL} {GOOD}")
    yield row("text behind", f"<{EVIL}> {GOOD}")
    yield row("text behind without address", f"<{EVIL}> Alice")
    yield row("no bracket at the end", f"Alice <{EVIL}")
    yield row("group", f"{GOOD}: {EVIL};")
    yield row("group of Alice and Eve", f"x: {GOOD}, {EVIL};")
    yield row("group, then an address", f"Alice:; {EVIL}")
    yield row("route", f"<@good.example:{EVIL}>")
    yield row("route, Alice's", f"<{GOOD}:{EVIL}>")
    yield row("name that is Alice's address", f"{GOOD} <{EVIL}>")
    yield row("name that is Alice's address, padded", f"{GOOD}               . <{EVIL}>")
    yield row("quoted name that is Alice's address", f"\"{GOOD}\" <{EVIL}>")
    yield row("quoted name with Alice's address", f"\"Alice <{GOOD}>\" <{EVIL}>")
    yield row("quoted name that closes early", f"\"Alice <{GOOD}>\\\" <x@y>\" <{EVIL}>")
    yield row("escaped quote", f"\"Alice\\\" <{GOOD}>, \\\"\" <{EVIL}>")
    yield row("comment with Alice's address", f"{EVIL} ({GOOD})")
    yield row("comment before", f"({GOOD}) {EVIL}")
    yield row("comment nested", f"Eve (a (b) <{GOOD}>) <{EVIL}>")
    yield row("comment in the address", f"eve(@good.example)@evil.example (<{GOOD}>)")
    yield row("open comment", f"<{EVIL}> (<{GOOD}>")
    encoded = base64.b64encode(f"Alice <{GOOD}>".encode()).decode()
    yield row("encoded word with brackets", f"=?utf-8?b?{encoded}?= <{EVIL}>")
    yield row("encoded word, quoted-printable", f"=?utf-8?q?alice=40good.example?= <{EVIL}>")
    yield row("encoded words apart", f"=?utf-8?q?alice?= =?utf-8?q?=40good.example?= <{EVIL}>")
    yield row("encoded word that ends with a null", f"=?utf-8?b?{base64.b64encode(GOOD.encode() + bytes(1)).decode()}?= <{EVIL}>")
    yield row("quoted encoded word", f"\"=?utf-8?q?alice=40good.example?=\" <{EVIL}>")
    yield row("encoded word in the place of the address", f"=?utf-8?q?alice=40good.example?=")
    yield row("encoded word as the address", f"<=?utf-8?q?alice=40good.example?=> <{EVIL}>")
    yield row("wide at sign", f"=?utf-8?b?{base64.b64encode('alice＠good.example'.encode()).decode()}?= <{EVIL}>")
    yield row("invisible letters", f"=?utf-8?b?{base64.b64encode('ali​ce@good​.example'.encode()).decode()}?= <{EVIL}>")
    yield row("reversed text", f"=?utf-8?b?{base64.b64encode(chr(0x202e).encode() + b'elpmaxe.doog@ecila').decode()}?= <{EVIL}>")
    yield row("8-bit name with an address", f"\"Ällice <{GOOD}>\" <{EVIL}>")
    yield row("Latin-1 name with an address", b"From: \"\xc4lice " + GOOD.encode() + b"\" <" + EVIL.encode() + b">\r\n")
    yield row("UTF-7 name", f"=?utf-7?q?alice+AEA-good.example?= <{EVIL}>")
    word = lambda shown, charset="utf-8": f"=?{charset}?b?{base64.b64encode(shown.encode(charset)).decode()}?= <{EVIL}>"
    for name, shown in {"hair spaces around the at sign": "alice\u200a@\u200agood.example", "hair spaces at the dot": "alice@good\u200a.\u200aexample",
                        "non-breaking spaces": "alice\u00a0@\u00a0good.example", "blanks": "alice @ good.example",
                        "blank Braille": "alice\u2800@\u2800good.example", "a mark on the at sign": "alice@\u0332good.example",
                        "a small at sign": "alice\ufe6bgood.example", "an ideographic full stop": "alice@good\u3002example",
                        "a half-width full stop": "alice@good\uff61example", "a filler": "alice\u3164@\u3164good.example",
                        "mathematical letters": "".join(chr(0x1d41a + ord(x) - 97) if x.isalpha() else x for x in GOOD),
                        "an encoded word inside": "=?utf-8?q?alice=40good.example?="}.items():
        yield row("name with " + name, word(shown))
    for charset in ("utf-16", "utf-32", "cp037", "iso-2022-jp"):
        yield row("name in " + charset, word(GOOD, charset))
    yield row("name in a language", f"=?us-ascii*en?q?alice=40good.example?= <{EVIL}>")
    yield row("escaped at sign in a quoted name", f"\"alice\\@good.example\" <{EVIL}>")
    yield row("two fields, the first with a blank before the colon", fields(f"From : {GOOD}\r\nFrom: {EVIL}\r\n"))
    yield row("local part that is Alice's address", f"\"{GOOD}\"@evil.example")
    yield row("local part with brackets", f"\"<{GOOD}>\"@evil.example")
    yield row("percent", f"alice%good.example@evil.example")
    yield row("two at signs", f"{GOOD}@evil.example")
    yield row("null byte", b"From: eve@evil.example\0@good.example\r\n")
    yield row("null byte in the name", b"From: Alice <alice@good.example>\0 <eve@evil.example>\r\n")
    yield row("bare CR", b"From: eve@evil.example\rFrom: alice@good.example\r\n", "mismatch", "malformed")
    yield row("comma at the front", f", {GOOD}, {EVIL}")
    yield row("empty", "")
    yield row("empty brackets", f"{EVIL} <>")
    yield row("no domain", "eve")
    yield row("name only", "Eve at evil")
    yield row("folded between two", f"{EVIL},\r\n {GOOD}")
    yield row("folded with a line of blanks", f"{EVIL}\r\n \r\n ,{GOOD}", "mismatch", "malformed")
    yield row("folded inside the address", f"alice@good.example\r\n .evil.example")
    yield row("trailing dot domain of Alice", f"alice@good.example.evil.example")
    yield row("homograph", f"<alice@gооd.example>")
    yield row("A-label", f"<alice@xn--gd-jlcc.example>")
    alices = multipart_signed(words, by(c.alice, words))
    for name, sender in {"homograph of the signer": "alice@gооd.example", "local part homograph": "аlice@good.example",
                         "plus": "alice+x@good.example", "dots": "al.ice@good.example", "subdomain": "alice@mail.good.example",
                         "parent domain": "alice@example", "literal": "alice@[127.0.0.1]"}.items():
        yield ("from", "Alice signs, From is a " + name, mail(sender, alices), ("mismatch",))


def certificate_rows(c):
    words = text("Eve's words.")
    for name, person in c.odd.items():
        yield ("certificate", name, mail(GOOD, multipart_signed(words, by(person, words))), ("mismatch", "untrusted"))
    for name, (address, person) in c.bound.items():
        entity = multipart_signed(words, signed_data(words, [Signer(person)], True, certs=[person.cert, c.bound_ca.cert]))
        yield ("certificate", "outside of its issuer's name constraints: " + name, mail(address, entity), ("untrusted",))
    for name, (has, shown) in {"sharp s": ("wei\u00df", "weiss"), "long s": ("\u017fmith", "smith"), "ligature": ("\ufb00ar", "ffar"),
                               "wide": ("\uff41lice", "alice"), "dotless i": ("al\u0131ce", "alice"), "superscript": ("a\u00b2", "a2"),
                               "invisible": ("al\u200dice", "alice")}.items():
        person = Person("x", c.root, [utf8_mail_name(has + "@good.example")], key=c.eve.key, start=NOW - 900 * DAY)
        yield ("certificate", "a local part that folds to another: " + name, mail(shown + "@good.example", multipart_signed(words, by(person, words))),
               ("mismatch",))
    yield ("certificate", "UTF8 mailbox against another", mail(GOOD, multipart_signed(words, by(c.utf8, words))), ("mismatch",))


def replay_rows(c):
    words = text("You are fired.")
    old = multipart_signed(words, by(c.alice, words, when=NOW - 400 * DAY))
    date = b"Date: " + email.utils.formatdate(NOW).encode() + b"\r\n"
    then = b"Date: " + email.utils.formatdate(NOW - 400 * DAY).encode() + b"\r\n"
    no = ("partial",)
    yield ("replay", "an old signature under today's Date", mail(GOOD, old, date), no)
    yield ("replay", "opaque", mail(GOOD, opaque(by(c.alice, words, False, NOW - 400 * DAY)), date), no)
    yield ("replay", "two Date fields", mail(GOOD, old, then + date), no)
    yield ("replay", "a Date in a comment", mail(GOOD, old, b"Date: (" + then[6:-2] + b") " + date[6:]), no)
    yield ("replay", "a Date that is none", mail(GOOD, old, b"Date: today\r\n"), no)
    inner = crlf("Content-Type: text/plain; hp=\"clear\"\nFrom: carol@good.example\n\nYou are fired.\n")
    yield ("replay", "a protected From of somebody else", mail(GOOD, multipart_signed(inner, by(c.alice, inner))), ("mismatch",))
    inner = crlf("Content-Type: text/plain; protected-headers=\"v1\"\nFrom: carol@good.example\n\nYou are fired.\n")
    for name, sender in {"quoted": f"\"{GOOD}\" <{EVIL}>", "comment": f"{EVIL} ({GOOD})", "encoded": f"=?utf-8?q?alice=40good.example?= <{EVIL}>",
                         "two": f"{EVIL}\nFrom: {GOOD}"}.items():
        for mark in ("hp=\"clear\"", "protected-headers=\"v1\""):
            shown = crlf(f"Content-Type: text/plain; {mark}\nFrom: {sender}\n\nPay.\n")
            yield ("replay", f"a protected From that shows Alice, {name}, {mark}", mail(EVIL, multipart_signed(shown, by(c.eve, shown))), ("mismatch",))
        shown = crlf(f"Content-Type: message/rfc822; forwarded=no\n\nFrom: {sender}\nMessage-ID: <x>\nContent-Type: text/plain\n\nPay.\n")
        yield ("replay", f"a message as header that shows Alice, {name}", mail(EVIL, multipart_signed(shown, by(c.eve, shown))), ("mismatch",))
    yield ("replay", "the same, older", mail(GOOD, multipart_signed(inner, by(c.alice, inner))), ("mismatch",))


def interface_rows(c):
    fake = text('<table bgcolor=green><tr><td>&#10004; Signed by alice@good.example</td></tr></table><p>Pay.</p>', "html")
    forged = (b"Authentication-Results: mx.inside.example; smime=pass body.smime-identifier=alice@good.example\r\n"
              b"X-Postseal-Verdict: valid\r\n")
    yield ("interface", "a picture of a result", mail(GOOD, fake), ("unsigned",))
    yield ("interface", "forged results", mail(GOOD, EVIL_TEXT, forged), ("unsigned",))
    yield ("interface", "forged tag", mail(GOOD, EVIL_TEXT).replace(b"Subject: s", b"Subject: [signed by: alice@good.example] s"), ("unsigned",))


def attacks(c):
    for rows in (cms_rows, wrap_rows, frame_rows, from_rows, certificate_rows, replay_rows, interface_rows):
        yield from rows(c)


def honest(c):
    """(name, message): what programs and lists make of signed mail; all valid."""
    words = text("Alice's words.")
    sig = by(c.alice, words, when=NOW)
    plain = multipart_signed(words, sig)
    date = b"Date: " + email.utils.formatdate(NOW).encode() + b"\r\n"
    shape = lambda entity, sender=GOOD, extra=date, **how: mail(sender, entity, extra, **how)

    def typed(field, **how):
        return shape(multipart_signed(words, sig, type_field=crlf(field), **how))
    yield "plain", shape(plain)
    yield "plain, LF", shape(plain).replace(b"\r\n", b"\n")
    yield "no Date", shape(plain, extra=b"")
    yield "no signing time", shape(multipart_signed(words, by(c.alice, words)))
    yield "no attributes", shape(multipart_signed(words, signed_data(words, [Signer(c.alice, attributes=False)], True)))
    yield "opaque", shape(opaque(by(c.alice, words, False, NOW)))
    yield "opaque without attributes", shape(opaque(signed_data(words, [Signer(c.alice, attributes=False)])))
    yield "opaque octet-stream", shape(opaque(by(c.alice, words, False), b"Content-Type: application/octet-stream; name=\"smime.p7m\"\r\n"
          b"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7m\"\r\n"))
    yield "opaque x-pkcs7-mime", shape(opaque(by(c.alice, words, False), b"Content-Type: application/x-pkcs7-mime; name=\"smime.p7m\"\r\n"
          b"Content-Transfer-Encoding: base64\r\n"))
    yield "opaque without smime-type, one long line", shape(opaque(b"", b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: BASE64\r\n",
          base64.b64encode(by(c.alice, words, False)) + b"\r\n"))
    yield "opaque, blanks at line ends", shape(opaque(b"", body=b64(by(c.alice, words, False)).replace(b"\r\n", b" \t\r\n")))
    yield "opaque, binary", shape(opaque(b"", b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n"
          b"Content-Transfer-Encoding: binary\r\n", by(c.alice, words, False)))
    yield "opaque, no blank line at the end", shape(opaque(by(c.alice, words, False)))[:-2]
    yield "Thunderbird", typed('Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256;\n'
                               ' boundary="------------ms050709060704020303030501"\n', boundary=b"------------ms050709060704020303030501",
                               preamble=b"This is a cryptographically signed message in MIME format.\r\n\r\n",
                               signature_fields=crlf("Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\nContent-Transfer-Encoding: base64\n"
                                                     "Content-Disposition: attachment; filename=\"smime.p7s\"\nContent-Description: S/MIME Cryptographic Signature\n"),
                               epilogue=b"\r\n")
    yield "Outlook", typed('Content-Type: multipart/signed;\n\tprotocol="application/x-pkcs7-signature";\n\tmicalg=SHA1;\n'
                           '\tboundary="----=_NextPart_000_0015_01D9F2A0.5E7B2C10"\n', boundary=b"----=_NextPart_000_0015_01D9F2A0.5E7B2C10",
                           preamble=b"This is a multipart message in MIME format.\r\n\r\n",
                           signature_fields=crlf('Content-Type: application/pkcs7-signature;\n\tname="smime.p7s"\nContent-Transfer-Encoding: base64\n'
                                                 'Content-Disposition: attachment;\n\tfilename="smime.p7s"\n'))
    yield "Exchange", typed("Content-Type: multipart/signed; protocol=application/x-pkcs7-signature;\n\tmicalg=2.16.840.1.101.3.4.2.1;\n"
                            "\tboundary=\"_000_AM0PR01MB1234\"; type=\"text/plain\"\n", boundary=b"_000_AM0PR01MB1234")
    yield "Apple Mail", typed('Content-Type: multipart/signed;\n\tboundary="Apple-Mail=_5C3D3F6E-1B5F-4C3C-9C4B-0A4A0B0C0D0E";\n'
                              '\tprotocol="application/pkcs7-signature";\n\tmicalg=sha-256\n',
                              boundary=b"Apple-Mail=_5C3D3F6E-1B5F-4C3C-9C4B-0A4A0B0C0D0E",
                              signature_fields=crlf("Content-Disposition: attachment;\n\tfilename=smime.p7s\nContent-Type: application/pkcs7-signature;\n"
                                                    "\tname=smime.p7s\nContent-Transfer-Encoding: base64\n"), epilogue=b"\r\n")
    yield "Gmail", typed('Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256;\n\tboundary="000000000000a1b2c305f0a1b2c3"\n',
                         boundary=b"000000000000a1b2c305f0a1b2c3")
    yield "openssl", typed('Content-Type: multipart/signed; protocol="application/x-pkcs7-signature"; micalg="sha-256"; boundary="----A1B2C3"\n',
                           boundary=b"----A1B2C3", preamble=b"This is an S/MIME signed message\r\n\r\n", epilogue=b"\r\n")
    yield "braces in the boundary", typed('Content-Type: multipart/signed; micalg=sha1; protocol="application/x-pkcs7-signature"; '
                                          'boundary="{EAD5F12C-E5A7-421A-AD27-CF4EF58E43B5}"\n',
                                          boundary=b"{EAD5F12C-E5A7-421A-AD27-CF4EF58E43B5}")
    yield "marks in the boundary", typed('Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary="<<[#1@a!$&*^|~]>>"\n',
                                         boundary=b"<<[#1@a!$&*^|~]>>")
    yield "trailing semicolon", typed('Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha1; boundary="sig";\n')
    yield "bare boundary", typed("Content-Type: multipart/signed; boundary=sig; micalg=sha1; protocol=\"application/pkcs7-signature\"\n")
    yield "no protocol", typed("Content-Type: multipart/signed; boundary=sig\n")
    yield "capitals", typed('CONTENT-TYPE: Multipart/Signed; PROTOCOL="Application/PKCS7-Signature"; MICALG=SHA256; BOUNDARY="sig"\n')
    yield "signature as octet-stream", shape(multipart_signed(words, sig, signature_fields=b"Content-Type: application/octet-stream; name=smime.p7s\r\n"
          b"Content-Transfer-Encoding: base64\r\n"))
    yield "no MIME-Version", shape(plain, version=b"")
    yield "MIME-Version with a comment", shape(plain, version=b"MIME-Version: 1.0 (Mac OS X Mail 16.0)\r\n")
    yield "blanks behind delimiters", shape(plain.replace(b"--sig\r\n", b"--sig  \r\n").replace(b"--sig--", b"--sig-- "))
    yield "blank lines at the end", shape(plain) + b"\r\n\r\n"
    yield "no closing delimiter", shape(plain.replace(b"--sig--\r\n", b""))
    yield "a list's fields", shape(plain, extra=date + b"List-Id: <l.example>\r\nSender: l-bounces@l.example\r\nPrecedence: list\r\n"
                                   b"List-Unsubscribe: <mailto:l-leave@l.example>\r\nX-BeenThere: l@l.example\r\n")
    yield "redirected", shape(plain, extra=date + b"Resent-From: carol@good.example\r\nResent-Date: " + email.utils.formatdate(NOW).encode() + b"\r\n")
    yield "late by three days", shape(multipart_signed(words, by(c.alice, words, when=NOW)),
                                      extra=b"Date: " + email.utils.formatdate(NOW - 3 * DAY).encode() + b"\r\n")
    yield "another time zone", shape(plain, extra=b"Date: " + email.utils.formatdate(NOW + 50000)[:-5].encode() + b"+1400\r\n")
    yield "kept for a year", shape(multipart_signed(words, by(c.alice, words, when=NOW - 365 * DAY)),
                                   extra=b"Date: " + email.utils.formatdate(NOW - 365 * DAY).encode() + b"\r\n")
    for name, sender in {"name": f"Alice Good <{GOOD}>", "quoted name": f"\"Good, Alice\" <{GOOD}>", "encoded name": f"=?utf-8?q?=C3=84lice?= <{GOOD}>",
                         "raw name": f"Älice <{GOOD}>", "address as name": f"{GOOD} <{GOOD}>", "quoted address as name": f"\"{GOOD}\" <{GOOD}>",
                         "address as name, other case": f"\"Alice@Good.example\" <{GOOD}>", "single quotes": f"\"'{GOOD}'\" <{GOOD}>",
                         "comment": f"{GOOD} (Alice Good)", "capitals": "Alice <ALICE@GOOD.EXAMPLE>", "folded": f"Alice\r\n <{GOOD}>",
                         "folded at once": f"\r\n {GOOD}", "no blank": f"Alice<{GOOD}>", "dot in the name": f"Alice B. Good <{GOOD}>",
                         "at sign in the name": f"\"Alice @ Good\" <{GOOD}>", "no brackets": GOOD,
                         "brackets alone": f"<{GOOD}>", "company in brackets": f"\"Alice (Good Ltd.)\" <{GOOD}>",
                         "name in two encoded words": f"=?utf-8?b?w4RsaWNl?=\r\n =?utf-8?q?_Good?= <{GOOD}>",
                         "Hebrew with marks": "=?utf-8?b?" + base64.b64encode("אליס‏".encode()).decode() + f"?= <{GOOD}>"}.items():
        yield "From: " + name, shape(plain, sender)
    for name, person, sender in (("several addresses", c.several, GOOD), ("capitals in the certificate", c.upper, GOOD),
                                 ("UTF-8 mailbox", c.utf8, "älice@good.example"), ("address in the subject", c.in_subject, GOOD)):
        yield name, shape(multipart_signed(words, by(person, words)), sender)
    yield "two signers, both good", shape(multipart_signed(words, signed_data(words, [Signer(c.eve), Signer(c.alice)], True)))
    yield "a second signer whose certificate is missing", shape(multipart_signed(words, signed_data(
        words, [Signer(c.alice), Signer(c.alice_twin)], True, certs=[c.alice.cert])))
    unknown = [seq(oid("1.2.3.4.5"), tlv(0x31, octets(b"x")))]
    yield "unknown attributes", shape(multipart_signed(words, signed_data(words, [Signer(c.alice, extra=unknown)], True)))
    yield "unsigned attributes", shape(multipart_signed(words, signed_data(words, [Signer(c.alice, unsigned=tlv(0xA1, *unknown))], True)))
    yield "SHA-512", shape(multipart_signed(words, signed_data(words, [Signer(c.alice, "sha512")], True, digests=("sha512",))))
    for name, content in {"nothing at all": b"", "empty body": crlf("Content-Type: text/plain\n\n"), "UTF-16 in base64": crlf(
            "Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\n/v8AaABp\n"),
            "8-bit": "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n".encode(),
            "trailing blanks": crlf("Content-Type: text/plain\n\nx  \n \n\t\n"), "no fields": crlf("\nText.\n"),
            "a boundary inside that begins like ours": container("mixed", text("a"), text("b"), boundary=b"sigma"),
            "attachments": container("mixed", text("a"), b"Content-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n"
                                     b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"),
            "alternatives": container("alternative", text("a"), EVIL_HTML), "a message": b"Content-Type: message/rfc822\r\n\r\n" + mail(EVIL, EVIL_TEXT),
            "another's signed message": b"Content-Type: message/rfc822\r\n\r\n" + mail(EVIL, multipart_signed(EVIL_TEXT, by(c.eve, words), b"in")),
            "a long line": crlf("Content-Type: text/plain\n\n" + "x" * 2000 + "\n"),
            "a protected header": crlf(f"Content-Type: text/plain; hp=\"clear\"\nFrom: {GOOD}\nSubject: s\n\nx\n"),
            "a winmail.dat": container("mixed", text("a"), b"Content-Type: application/ms-tnef; name=winmail.dat\r\n\r\nx\r\n")}.items():
        yield "content: " + name, shape(multipart_signed(content, by(c.alice, content)))
        yield "opaque content: " + name, shape(opaque(by(c.alice, content, False)))
    inner = multipart_signed(words, sig, b"in")
    packed = b"Content-Type: application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z\r\nContent-Transfer-Encoding: base64\r\n"
    yield "signed, then compressed", shape(opaque(compressed(plain), packed))
    squeezed = opaque(compressed(words), packed)
    yield "compressed, then signed", shape(multipart_signed(squeezed, by(c.alice, squeezed)))
    yield "a charset for all parts", typed("Content-Type: multipart/signed; charset=utf-8; boundary=sig\n")
    named = crlf(f"Content-Type: text/plain; hp=\"clear\"\nFrom: Alice Good <{GOOD}>\nSubject: s\n\nx\n")
    yield "a protected From with a name", shape(multipart_signed(named, by(c.alice, named)), f"Alice Good <{GOOD}>")
    yield "signed twice", shape(multipart_signed(inner, by(c.alice, inner), b"out"))
    yield "clear in opaque", shape(opaque(by(c.alice, inner, False)))
    yield "re-signed by a gateway", shape(opaque(by(c.eve, inner, False)))
