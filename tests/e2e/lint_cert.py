#!/usr/bin/env python3
"""Rules of the S/MIME Baseline Requirements and RFC 5280 for certificates and CRLs, from their bytes: a reader of its
own, which shares nothing with the product. As a program: lint_cert.py FILE.der ...; 1 when something is found."""

import datetime
import sys

NAMES = {"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
         "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.42": "GN", "2.5.4.65": "pseudonym",
         "2.5.4.97": "organizationIdentifier", "1.2.840.113549.1.9.1": "emailAddress"}
BOUNDS = {"CN": 64, "O": 64, "OU": 64, "C": 2, "emailAddress": 255}
EKU_EMAIL, EKU_ANY = "1.3.6.1.5.5.7.3.4", "2.5.29.37.0"
EKU_OTHERS = {"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.3", "1.3.6.1.5.5.7.3.8", EKU_ANY}
BITS = ["digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign",
        "cRLSign", "encipherOnly", "decipherOnly"]
RSA, EC = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1"
CURVES = {"1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"}
SIGNATURES = {"1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12", "1.2.840.113549.1.1.13", "1.2.840.10045.4.3.2",
              "1.2.840.10045.4.3.3", "1.2.840.10045.4.3.4"}
KINDS = {"1": "mailbox", "2": "organisation", "3": "sponsor", "4": "individual"}
MAILBOX_ATTRIBUTES = {"CN", "serialNumber", "emailAddress"}
PERSON = {"GN", "SN", "pseudonym"}


class Node:
    """One DER element; anything that is not DER raises ValueError."""

    def __init__(self, data, start=0):
        self.tag, at = data[start], start + 2
        length = data[start + 1]
        if length & 0x80:
            count = length & 0x7f
            length = int.from_bytes(data[at:at + count], "big")
            if count == 0 or length < 128 or data[at] == 0:
                raise ValueError("a length that is not DER")
            at += count
        self.raw, self.body, self.end = data[start:at + length], data[at:at + length], at + length
        if len(self.body) != length:
            raise ValueError("cut off")

    def children(self):
        found, at = [], 0
        while at < len(self.body):
            found.append(Node(self.body, at))
            at = found[-1].end
        return found

    def oid(self):
        parts, value = [], 0
        for byte in self.body:
            value = value << 7 | byte & 0x7f
            if not byte & 0x80:
                parts.append(value)
                value = 0
        first = min(parts[0] // 40, 2)
        return ".".join(map(str, [first, parts[0] - 40 * first] + parts[1:]))

    def number(self):
        return int.from_bytes(self.body, "big", signed=True)

    def text(self):
        return self.body.decode("utf-8")

    def time(self):
        text = self.body.decode("ascii")
        return datetime.datetime.strptime(text, "%y%m%d%H%M%SZ" if self.tag == 0x17 else "%Y%m%d%H%M%SZ")


def whole(data):
    node = Node(data)
    if node.end != len(data):
        raise ValueError("bytes behind the end")
    return node


def read_name(node):
    """[(attribute, text, tag)]"""
    return [(NAMES.get(one.children()[0].oid(), one.children()[0].oid()), one.children()[1].text(), one.children()[1].tag)
            for rdn in node.children() for one in rdn.children()]


def read_extensions(node):
    found = {}
    for one in node.children():
        parts = one.children()
        critical = len(parts) == 3
        if critical and parts[1].body != b"\xff":
            raise ValueError("critical is not DER")
        name = parts[0].oid()
        if name in found:
            raise ValueError(f"extension {name} is there twice")
        found[name] = (critical, parts[-1].body)
    return found


class Certificate:
    def __init__(self, data):
        tbs, algorithm, _ = whole(data).children()
        parts = tbs.children()
        self.data, self.version = data, parts[0].children()[0].number()
        self.serial, self.issuer, self.subject = parts[1], parts[3], parts[5]
        self.algorithms = (parts[2].raw, algorithm.raw)
        self.not_before, self.not_after = parts[4].children()
        self.spki = parts[6]
        self.extensions = read_extensions(parts[7].children()[0])

    def get(self, oid):
        return whole(self.extensions[oid][1]) if oid in self.extensions else None

    def key_usage(self):
        node = self.get("2.5.29.15")
        bits = "".join(f"{byte:08b}" for byte in node.body[1:])
        return {BITS[i] for i, bit in enumerate(bits) if bit == "1"}

    def purposes(self):
        node = self.get("2.5.29.37")
        return [one.oid() for one in node.children()] if node else []

    def policies(self):
        node = self.get("2.5.29.32")
        return [one.children()[0].oid() for one in node.children()] if node else []

    def mailboxes(self):
        node, found = self.get("2.5.29.17"), []
        for name in node.children() if node else []:
            if name.tag == 0x81:
                found.append(name.body.decode("ascii"))
            elif name.tag == 0xa0 and name.children()[0].oid() == "1.3.6.1.5.5.7.8.9":
                inner = name.children()[1].children()[0]
                found.append(inner.text() if inner.tag == 0x0c else "?")
        return found

    def urls(self, oid):
        """All URIs below an extension."""
        found, todo = [], [self.get(oid)] if oid in self.extensions else []
        while todo:
            node = todo.pop()
            if node.tag == 0x86:
                found.append(node.body.decode("ascii"))
            elif node.tag & 0x20:
                todo += node.children()
        return found


def common(cert, found):
    """RFC 5280, whatever the certificate is for."""
    serial = cert.serial.body
    yes = found.append
    if cert.version != 2:
        yes("version is not 3")
    if len(serial) > 20 or cert.serial.number() <= 0 or len(serial) < 8:
        yes("serial is not positive, or not of 8 to 20 octets")
    if cert.algorithms[0] != cert.algorithms[1]:
        yes("the two signature algorithms differ")
    if Node(cert.algorithms[0]).children()[0].oid() not in SIGNATURES:
        yes("signature algorithm is not allowed")
    for node in (cert.not_before, cert.not_after):
        if (node.tag == 0x17) != (node.time().year < 2050):
            yes("UTCTime until 2049, GeneralizedTime after")
    for kind, text, tag in read_name(cert.subject):
        wanted = {"C": 0x13, "emailAddress": 0x16}.get(kind, 0x0c)
        if tag != wanted and not (tag == 0x13 and wanted == 0x0c):
            yes(f"{kind} is encoded as {tag:#x}")
        if len(text) > BOUNDS.get(kind, 32768) or text.strip(".- ") == "" or text != text.strip():
            yes(f"{kind} '{text}' is too long, empty, or has blanks around")
    if any(len(rdn.children()) != 1 for rdn in cert.subject.children()):
        yes("an RDN has several attributes")
    for oid, wants in {"2.5.29.15": True, "2.5.29.14": False, "2.5.29.35": False, "2.5.29.32": False, "2.5.29.31": False,
                       "1.3.6.1.5.5.7.1.1": False, "2.5.29.37": False}.items():
        if oid in cert.extensions and cert.extensions[oid][0] != wants:
            yes(f"extension {oid} has the wrong criticality")
    for oid in cert.extensions:
        if cert.get(oid).tag == 0x30 and cert.get(oid).body == b"" and oid != "2.5.29.19":
            yes(f"extension {oid} is empty")
    aki = cert.get("2.5.29.35")
    if aki is not None and [one.tag for one in aki.children()] != [0x80]:
        yes("AKI has more than the key identifier")
    if "2.5.29.14" not in cert.extensions:
        yes("no SKI")
    check_key(cert, found)


def check_key(cert, found):
    algorithm, bits = cert.spki.children()
    parts = algorithm.children()
    if parts[0].oid() == RSA:
        modulus, exponent = whole(bits.body[1:]).children()
        length = modulus.number().bit_length()
        if parts[1].raw != b"\x05\x00" or length < 2048 or length % 8 or exponent.number() % 2 == 0 or exponent.number() < 65537:
            found.append("the RSA key or its algorithm identifier")
    elif parts[0].oid() != EC or parts[1].oid() not in CURVES:
        found.append("the key is neither RSA nor of a named curve")


def check_ca(cert, found):
    constraints = cert.get("2.5.29.19")
    root = cert.issuer.raw == cert.subject.raw
    names = {kind for kind, _, _ in read_name(cert.subject)}
    usage = cert.key_usage()
    if not cert.extensions["2.5.29.19"][0] or (root and len(constraints.children()) != 1):
        found.append("basicConstraints of a CA")
    if not {"keyCertSign", "cRLSign"} <= usage or usage - {"keyCertSign", "cRLSign", "digitalSignature"}:
        found.append("key usage of a CA")
    if not {"CN", "O", "C"} <= names:
        found.append("a CA has CN, O and C")
    if root and ({"2.5.29.37", "2.5.29.32"} & set(cert.extensions)):
        found.append("a root has neither EKU nor policies")
    if not root and (not cert.purposes() or not cert.policies()):
        found.append("an intermediate has EKU and policies")
    if not root and EKU_EMAIL in cert.purposes() and set(cert.purposes()) & EKU_OTHERS:
        found.append("an intermediate for mail is for nothing else")


def check_smime(cert, found):
    reserved = [p for p in cert.policies() if p.startswith("2.23.140.1.5.")]
    yes = found.append
    if len(reserved) != 1:
        yes(f"exactly one reserved policy, not {reserved}")
        return
    kind, strict = KINDS[reserved[0].split(".")[-2]], reserved[0].endswith(".3")
    if reserved[0].endswith(".1"):
        yes("legacy profiles may not be issued")
    subject = read_name(cert.subject)
    names = {attribute for attribute, _, _ in subject}
    values = {attribute: text for attribute, text, _ in subject}
    mailboxes = cert.mailboxes()
    if EKU_EMAIL not in cert.purposes() or (set(cert.purposes()) & EKU_OTHERS) or (strict and len(cert.purposes()) != 1):
        yes("extended key usage")
    if not mailboxes or cert.extensions["2.5.29.17"][0] != (not subject):
        yes("SAN without a mailbox, or critical with a subject")
    if "emailAddress" in values and values["emailAddress"] not in mailboxes:
        yes("emailAddress is not in the SAN")
    if "CN" in values and "@" in values["CN"] and values["CN"] not in mailboxes:
        yes("CN is another address")
    if kind == "mailbox" and (names - MAILBOX_ATTRIBUTES or values.get("CN", mailboxes[:1][0]) not in mailboxes):
        yes(f"a mailbox-validated subject has only its address: {subject}")
    if kind in ("sponsor", "organisation") and not {"O", "organizationIdentifier"} <= names:
        yes("organizationName and organizationIdentifier")
    if kind in ("individual", "mailbox") and names & {"O", "OU", "organizationIdentifier"}:
        yes("an organisation where none belongs")
    if kind in ("sponsor", "individual") and not names & PERSON:
        yes("neither given name, surname nor pseudonym")
    if kind == "organisation" and (names & PERSON or values.get("CN", values.get("O")) not in [values.get("O")] + mailboxes):
        yes("an organisation's subject")
    if "organizationIdentifier" in values and "C" in values and not values["organizationIdentifier"].startswith(("LEI", "INT")):
        if values["organizationIdentifier"][3:5] != values["C"]:
            yes("the registration's country is not the subject's")
    check_usage(cert, strict, found)
    lifetime = (cert.not_after.time() - cert.not_before.time()).total_seconds() + 1
    if lifetime >= 825 * 86400:
        yes("825 days or more")
    if not cert.urls("2.5.29.31") or any(not url.startswith("http://") for url in
                                         cert.urls("2.5.29.31") + cert.urls("1.3.6.1.5.5.7.1.1")):
        yes("CRL distribution point and AIA: http, and nothing else")


def check_usage(cert, strict, found):
    rsa = cert.spki.children()[0].children()[0].oid() == RSA
    manage = {"keyEncipherment"} if rsa else {"keyAgreement"}
    allowed = {"digitalSignature", "nonRepudiation"} | manage
    allowed |= set() if strict else {"dataEncipherment"} if rsa else {"encipherOnly", "decipherOnly"}
    usage = cert.key_usage()
    if not usage & ({"digitalSignature"} | manage) or usage - allowed:
        found.append(f"key usage {usage}")


def lint_certificate(data):
    """What is wrong, as texts; empty: nothing."""
    found = []
    try:
        cert = Certificate(data)
        common(cert, found)
        constraints = cert.get("2.5.29.19")
        if constraints is not None and constraints.children() and constraints.children()[0].tag == 1:
            check_ca(cert, found)
        elif EKU_EMAIL in cert.purposes():
            check_smime(cert, found)
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as why:
        found.append(f"cannot be read: {why!r}")
    return found


def lint_crl(data, subscribers=True):
    found = []
    tbs, algorithm, _ = whole(data).children()
    parts = tbs.children()
    if parts[0].tag != 2 or parts[0].number() != 1 or parts[1].raw != algorithm.raw:
        found.append("version 2, one algorithm")
    this, following = parts[3].time(), parts[4].time()
    if following - this > datetime.timedelta(days=10 if subscribers else 365):
        found.append("nextUpdate is too late")
    rest = parts[5:]
    if rest[0].tag == 0x30:
        entries = rest.pop(0).children()
        if not entries:
            found.append("an empty list of entries")
        serials = [one.children()[0].body for one in entries]
        if len(set(serials)) != len(serials):
            found.append("a serial stands there twice")
        for one in entries:
            fields = one.children()
            if fields[1].time() > this:
                found.append("revoked after the list was made")
            extensions = read_extensions(fields[2]) if len(fields) > 2 else {}
            for oid, (critical, value) in extensions.items():
                if oid == "2.5.29.21" and (critical or whole(value).number() in (0, 7, 8, 10)):
                    found.append("reason code")
    extensions = read_extensions(rest[0].children()[0])
    if not {"2.5.29.35", "2.5.29.20"} <= set(extensions):
        found.append("AKI and number")
    for oid, (critical, _) in extensions.items():
        if critical != (oid == "2.5.29.28"):
            found.append(f"criticality of {oid}")
    return found


def main():
    bad = 0
    for path in sys.argv[1:]:
        with open(path, "rb") as f:
            data = f.read()
        found = lint_crl(data) if path.endswith(".crl") else lint_certificate(data)
        bad += len(found)
        for text in found:
            print(f"{path}: {text}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
