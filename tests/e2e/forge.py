"""forge - certificates and CMS objects octet by octet, right ones and wrong ones: what an attacker can make.

DER is written here and RSA is computed here, so that each field can be any value. Python's standard library
and, for the keys alone, openssl.
"""
import base64
import datetime
import hashlib
import os
import subprocess
import zlib

DATA, SIGNED_DATA, ENVELOPED, TST_INFO = ("1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2", "1.2.840.113549.1.7.3",
                                          "1.2.840.113549.1.9.16.1.4")
CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME = ("1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.5")
RSA, RSA_SHA256 = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11"
DIGESTS = {"md5": "1.2.840.113549.2.5", "sha1": "1.3.14.3.2.26", "sha256": "2.16.840.1.101.3.4.2.1",
           "sha512": "2.16.840.1.101.3.4.2.3"}
EMAIL_PROTECTION, SERVER_AUTH = "1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.1"


# -- DER --------------------------------------------------------------------------------------


def tlv(tag, *parts):
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def seq(*parts):
    return tlv(0x30, *parts)


def integer(n):
    return tlv(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def octets(data):
    return tlv(4, data)


def bits(data):
    return tlv(3, b"\0" + data)


def oid(dotted):
    numbers = [int(n) for n in dotted.split(".")]
    body = bytes([40 * numbers[0] + numbers[1]])
    for n in numbers[2:]:
        piece = [n & 127]
        while n > 127:
            n >>= 7
            piece.append(0x80 | n & 127)
        body += bytes(reversed(piece))
    return tlv(6, body)


def moment(when):
    """seconds since 1970 as UTCTime"""
    return tlv(23, datetime.datetime.fromtimestamp(when, datetime.timezone.utc).strftime("%y%m%d%H%M%SZ").encode())


def set_of(*parts):
    return tlv(0x31, *sorted(parts))


def read(data, at=0):
    """(tag, body, where the next one begins)"""
    tag, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, at = int.from_bytes(data[at:at + size], "big"), at + size
    return tag, data[at:at + length], at + length


def read_all(data):
    at, found = 0, []
    while at < len(data):
        tag, body, at = read(data, at)
        found.append((tag, body))
    return found


# -- keys and certificates --------------------------------------------------------------------


class Key:
    """An RSA key."""

    def __init__(self, bits_of=2048):
        pem = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits_of}"],
                             capture_output=True, check=True).stdout
        der = subprocess.run(["openssl", "rsa", "-traditional", "-outform", "DER"], input=pem, capture_output=True,
                             check=True).stdout
        self.pem = pem
        numbers = [int.from_bytes(body, "big") for _, body in read_all(read(der)[1])]
        self.n, self.e, self.d, self.p, self.q, self.dp, self.dq, self.inverse = numbers[1:9]
        self.spki = seq(seq(oid(RSA), tlv(5)), bits(seq(integer(self.n), integer(self.e))))

    def sign(self, data, digest="sha256"):
        info = seq(seq(oid(DIGESTS[digest]), tlv(5)), octets(hashlib.new(digest, data).digest()))
        size = (self.n.bit_length() + 7) // 8
        m = int.from_bytes(b"\0\1" + b"\xff" * (size - 3 - len(info)) + b"\0" + info, "big")
        a, b = pow(m, self.dp, self.p), pow(m, self.dq, self.q)
        return (b + (a - b) * self.inverse % self.p * self.q).to_bytes(size, "big")


def attribute(kind, value, tag=12):
    return set_of(seq(oid(kind), tlv(tag, value if isinstance(value, bytes) else value.encode())))


def name(common_name, *more):
    return seq(attribute("2.5.4.10", "Forge"), attribute("2.5.4.3", common_name), *more)


def email_attribute(address, tag=22):
    return attribute("1.2.840.113549.1.9.1", address, tag)


def mail_name(address):
    """rfc822Name"""
    return tlv(0x81, address if isinstance(address, bytes) else address.encode())


def utf8_mail_name(address):
    """SmtpUTF8Mailbox (RFC 9598)"""
    return tlv(0xA0, oid("1.3.6.1.5.5.7.8.9"), tlv(0xA0, tlv(12, address.encode())))


def extension(kind, value, critical=False):
    return seq(oid(kind), *([tlv(1, b"\xff")] if critical else []), octets(value))


class Person:
    """A key and a certificate. names: GeneralNames as DER; issuer None: self-signed."""
    serial = 1000

    def __init__(self, common_name, issuer=None, names=(), more=(), ca=False, key=None, start=None, end=None,
                 purpose=EMAIL_PROTECTION, extensions=(), now=None, serial=None):
        now = now if now is not None else int(datetime.datetime.now().timestamp())
        self.key = key or Key()
        self.name = name(common_name, *more)
        self.issuer = issuer
        Person.serial += 1
        self.serial = serial or Person.serial
        by = issuer or self
        items = [extension("2.5.29.19", seq(*([tlv(1, b"\xff")] if ca else [])), True),
                 extension("2.5.29.15", tlv(3, b"\1\6" if ca else b"\5\xa0"), True)]
        if purpose and not ca:
            items.append(extension("2.5.29.37", seq(oid(purpose))))
        if names:
            items.append(extension("2.5.29.17", seq(*names)))
        items += extensions
        algorithm = seq(oid(RSA_SHA256), tlv(5))
        body = seq(tlv(0xA0, integer(2)), integer(self.serial), algorithm, by.name,
                   seq(moment(start or now - 30 * 86400), moment(end or now + 30 * 86400)), self.name, self.key.spki,
                   tlv(0xA3, seq(*items)))
        self.cert = seq(body, algorithm, bits(by.key.sign(body)))

    def pem(self):
        return pem("CERTIFICATE", self.cert)

    def id(self):
        return seq((self.issuer or self).name, integer(self.serial))


def pem(label, der):
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


# -- CompressedData ---------------------------------------------------------------------------


def compressed(entity):
    """ContentInfo of CompressedData (RFC 3274)."""
    inner = seq(oid(DATA), tlv(0xA0, octets(zlib.compress(entity))))
    return seq(oid("1.2.840.113549.1.9.16.1.9"), tlv(0xA0, seq(integer(0), seq(oid("1.2.840.113549.1.9.16.3.8")), inner)))


# -- SignedData -------------------------------------------------------------------------------


class Signer:
    """One signerInfo; each argument but the person makes it a wrong one."""

    def __init__(self, person, digest="sha256", when=None, attributes=True, replace=(), extra=(), drop=(), unsigned=b"",
                 signature=None, identifier=None, says=None, content=None):
        self.person, self.digest, self.when, self.attributes = person, digest, when, attributes
        self.replace, self.extra, self.drop, self.unsigned = dict(replace), list(extra), set(drop), unsigned
        self.signature, self.identifier, self.says, self.content = signature, identifier, says, content

    def der(self, content, content_type):
        content = self.content if self.content is not None else content
        digest_algorithm = seq(oid(DIGESTS[self.says or self.digest]), tlv(5))
        signed, over = b"", content
        if self.attributes:
            values = {CONTENT_TYPE: oid(content_type), MESSAGE_DIGEST: octets(hashlib.new(self.digest, content).digest())}
            if self.when is not None:
                values[SIGNING_TIME] = moment(self.when)
            values.update(self.replace)
            items = [seq(oid(k), tlv(0x31, v)) for k, v in values.items() if k not in self.drop] + self.extra
            over = set_of(*items)
            signed = tlv(0xA0, *sorted(items))
        signature = self.signature if self.signature is not None else self.person.key.sign(over, self.digest)
        version = 1 if self.identifier is None else 3
        return seq(integer(version), self.identifier or self.person.id(), digest_algorithm, signed,
                   seq(oid(RSA), tlv(5)), octets(signature), self.unsigned)


def signed_data(content, signers, detached=False, content_type=DATA, certs=None, digests=("sha256",), verify=None):
    """ContentInfo of SignedData. content: what it holds; verify: what is signed, if something else."""
    if certs is None:
        certs = [s.person.cert for s in signers]
    inner = seq(oid(content_type), *([] if detached else [tlv(0xA0, octets(content))]))
    infos = [s.der(verify if verify is not None else content, content_type) for s in signers]
    body = seq(integer(1), tlv(0x31, *[seq(oid(DIGESTS[d]), tlv(5)) for d in digests]), inner,
               *([tlv(0xA0, *certs)] if certs else []), tlv(0x31, *infos))
    return seq(oid(SIGNED_DATA), tlv(0xA0, body))


def by(person, content, detached=True, when=None):
    """The ordinary signature."""
    return signed_data(content, [Signer(person, when=when)], detached)


# -- messages ---------------------------------------------------------------------------------


def crlf(data):
    data = data if isinstance(data, bytes) else data.encode()
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def b64(der):
    return crlf(base64.encodebytes(der))


SIGNATURE_FIELDS = (b"Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n"
                    b"Content-Disposition: attachment; filename=\"smime.p7s\"\r\n")


def multipart_signed(content, der, boundary=b"sig", preamble=b"", epilogue=b"", signature_fields=SIGNATURE_FIELDS,
                     type_field=None, body=None, between=b"", order=(0, 1), more=()):
    """The entity: Content-Type field and body, beginning with the field."""
    field = type_field or (b"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256;\r\n"
                           b" boundary=\"" + boundary + b"\"\r\n")
    parts = [content, signature_fields + b"\r\n" + (body if body is not None else b64(der))]
    parts = [parts[i] for i in order] + list(more)
    return field + between + b"\r\n" + preamble + b"".join(b"--" + boundary + b"\r\n" + p + b"\r\n" for p in parts) + \
        b"--" + boundary + b"--\r\n" + epilogue


def opaque(der, fields=None, body=None):
    return (fields or b"Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\n"
            b"Content-Transfer-Encoding: base64\r\n") + b"\r\n" + (body if body is not None else b64(der))


def container(kind, *parts, boundary=b"outer"):
    """A multipart of entities."""
    return (b"Content-Type: multipart/" + kind.encode() + b"; boundary=\"" + boundary + b"\"\r\n\r\n" +
            b"".join(b"--" + boundary + b"\r\n" + p + b"\r\n" for p in parts) + b"--" + boundary + b"--\r\n")


def text(words, kind="plain"):
    return crlf(f"Content-Type: text/{kind}; charset=utf-8\n\n{words}\n")


def mail(sender, entity, extra=b"", version=b"MIME-Version: 1.0\r\n", date=True):
    """sender: the text of From, or bytes with whole fields."""
    sender = sender if isinstance(sender, bytes) else b"From: " + sender.encode() + b"\r\n"
    return (sender + b"To: bob@inside.example\r\nSubject: s\r\n" + (b"Message-ID: <" + os.urandom(8).hex().encode() + b"@forge.example>\r\n")
            + extra + version + entity)
