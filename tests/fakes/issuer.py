"""issuer - the CA behind a fake: a root, an intermediate, and certificates for public keys. By the openssl program.

What it issues is counted by public key: a fake that issued twice for one key says so in `issued`.
"""
import base64
import os
import re
import threading

from server import openssl

PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.S)
USAGE = {"rsa": "digitalSignature,keyEncipherment", "ec": "digitalSignature,keyAgreement"}
EMAIL_PROTECTION = "1.3.6.1.5.5.7.3.4"


def der_of(pem):
    return base64.b64decode(PEM.search(pem).group(1))


def pem_of(der):
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


class Issuer:
    def __init__(self, folder, name="Fake"):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.lock, self.number = folder, threading.Lock(), 0
        self.issued = []  # (public key DER, serial hex, names)
        self.root = self._ca("root", f"/O=Fake/CN={name} Root", None)
        self.ca = self._ca("ca", f"/O=Fake/CN={name} Issuing CA", "root")
        self.subject_dn = f"CN={name} Issuing CA,O=Fake"
        self.root_dn = f"CN={name} Root,O=Fake"

    def path(self, name):
        return os.path.join(self.folder, name)

    def _ca(self, name, subject, parent):
        key, cert, extensions = self.path(name + ".key"), self.path(name + ".pem"), self.path(name + ".ext")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        with open(extensions, "w") as f:
            f.write("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
                    "authorityKeyIdentifier=keyid\n")
        public = self.path(name + ".pub")
        openssl("pkey", "-in", key, "-pubout", "-out", public)
        by = ["-signkey", key] if parent is None else ["-CA", self.path(parent + ".pem"), "-CAkey", self.path(parent + ".key")]
        request = self.path(name + ".csr")
        openssl("req", "-new", "-key", key, "-subj", subject, "-out", request)
        openssl("x509", "-req", "-in", request, *by, "-set_serial", self._serial(), "-days", "3650", "-extfile", extensions,
                "-out", cert)
        with open(cert, "rb") as f:
            return f.read()

    @staticmethod
    def _serial():
        return "0x" + (os.urandom(15).hex())

    @property
    def chain(self):
        """PEM: the issuing CA, then the root."""
        return [self.ca, self.root]

    def check_csr(self, pem):
        """Public key (PEM) of a PKCS#10 whose signature is good; ValueError else."""
        try:
            openssl("req", "-verify", "-noout", "-in", "/dev/stdin", stdin=pem)
            return openssl("req", "-pubkey", "-noout", "-in", "/dev/stdin", stdin=pem)
        except RuntimeError as e:
            raise ValueError(f"not a certificate request: {e}") from None

    def csr_text(self, pem):
        return openssl("req", "-noout", "-text", "-nameopt", "RFC2253,utf8", "-in", "/dev/stdin", stdin=pem).decode()

    def csr_subject(self, pem):
        """{"CN": [...], ...} of a request."""
        line = openssl("req", "-noout", "-subject", "-nameopt", "sep_multiline,utf8,lname,-esc_msb", "-in", "/dev/stdin",
                       stdin=pem).decode()
        found = {}
        for row in line.splitlines()[1:]:
            name, _, value = row.strip().partition("=")
            found.setdefault(name, []).append(value)
        return found

    def issue(self, public_pem, common_name, emails=(), days=365, purposes=(EMAIL_PROTECTION,), names=()):
        """(DER, serial in hex) for a public key."""
        with self.lock:
            self.number += 1
            base = self.path(f"issued-{self.number}")
        details = openssl("pkey", "-pubin", "-noout", "-text_pub", "-in", "/dev/stdin", stdin=public_pem)
        kind = "ec" if b"ASN1 OID" in details else "rsa"
        with open(base + ".pub", "wb") as f:
            f.write(public_pem)
        other = "".join(f",{name}" for name in names)
        alternative = ",".join(f"email:{email}" for email in emails) + other
        with open(base + ".ext", "w") as f:
            f.write(f"keyUsage=critical,{USAGE[kind]}\nauthorityKeyIdentifier=keyid\n"
                    f"extendedKeyUsage={','.join(purposes)}\n")
            if alternative:
                f.write(f"subjectAltName={alternative.strip(',')}\n")
        escaped = common_name.replace("\\", "\\\\").replace("/", "\\/").replace("+", "\\+")
        serial = self._serial()
        openssl("x509", "-new", "-force_pubkey", base + ".pub", "-subj", f"/CN={escaped}", "-CA", self.path("ca.pem"),
                "-CAkey", self.path("ca.key"), "-set_serial", serial, "-days", str(days), "-extfile", base + ".ext",
                "-out", base + ".pem")
        with open(base + ".pem", "rb") as f:
            der = der_of(f.read())
        number = format(int(serial, 16), "X")
        with self.lock:
            self.issued.append((public_pem, number, tuple(emails)))
        return der, number

    def issued_for(self, email):
        with self.lock:
            return sum(email in names for _, _, names in self.issued)

    def client_certificate(self, name, request=None):
        """A certificate for TLS clients by this CA: (cert path, key path), or the PEM for a request."""
        extensions = self.path("client.ext")
        with open(extensions, "w") as f:
            f.write("keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n")
        key, csr, cert = self.path(name + ".key"), self.path(name + ".csr"), self.path(name + ".pem")
        if request is None:
            openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj",
                    f"/CN={name}", "-out", csr)
        else:
            with open(csr, "wb") as f:
                f.write(request)
        openssl("x509", "-req", "-in", csr, "-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"), "-set_serial",
                self._serial(), "-days", "30", "-extfile", extensions, "-out", cert)
        if request is None:
            return cert, key
        with open(cert, "rb") as f:
            return f.read()
