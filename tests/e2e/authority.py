"""CAs of somebody else, made with openssl: for what comes from outside of the gateway."""
import os
import subprocess

from harness import Failed
from peers import check


def openssl(*args, stdin=None, env=None):
    done = subprocess.run(["openssl", *args], capture_output=True, input=stdin, timeout=300, env=env)
    if done.returncode != 0:
        raise Failed(f"openssl {' '.join(args)}: {done.stderr.decode()}")
    return done.stdout


class Authority:
    """A CA with a P-256 key in a folder that may hold others. environment: of what it signs."""

    organisation = "Elsewhere"
    environment = None

    def __init__(self, folder, name, parent=None, extensions=""):
        self.folder, self.name, self.number, self.parent = folder, name, 0, parent
        self.key, self.cert = self.path("key"), self.path("pem")
        self.revoked = []
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.key)
        text = ("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
                "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n" + extensions)
        self.sign(self.cert, f"/O={self.organisation}/CN={name}", self.key, parent or self, text)

    def path(self, suffix):
        return os.path.join(self.folder, self.name.replace(" ", "-") + "." + suffix)

    def sign(self, out, subject, key, issuer, extensions, days=365):
        request, config = out + ".csr", out + ".cnf"
        with open(config, "w") as f:
            f.write(extensions)
        openssl("req", "-new", "-key", key, "-subj", subject, "-out", request)
        by = ["-signkey", key] if issuer is self and out == self.cert else ["-CA", issuer.cert, "-CAkey", issuer.key]
        serial = ["-set_serial", str(int.from_bytes(os.urandom(8), "big") | 1)]
        openssl("x509", "-req", "-in", request, *by, *serial, "-days", str(days), "-extfile", config, "-out", out,
                env=self.environment)

    def user(self, address, extensions=""):
        out = os.path.join(self.folder, address + ".pem")
        key = os.path.join(self.folder, address + ".key")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        self.sign(out, f"/CN={address}", key, self,
                  f"subjectAltName=email:{address}\nkeyUsage=critical,digitalSignature,keyAgreement\n"
                  f"extendedKeyUsage=emailProtection\nauthorityKeyIdentifier=keyid\n{extensions}\n")
        return out

    def make_list(self, number, dates, extensions=""):
        """PEM of a CRL that names what is revoked. dates: options of openssl ca."""
        database, config = self.path("db"), self.path("crl.cnf")
        with open(database, "w") as f:
            f.writelines(f"R\t301231235959Z\t261101000000Z\t{serial}\tunknown\t/CN=x\n" for serial in self.revoked)
        open(database + ".attr", "w").close()
        with open(self.path("number"), "w") as f:
            f.write(f"{number:04X}\n")
        with open(config, "w") as f:
            f.write(f"[ca]\ndefault_ca=c\n[c]\ndatabase={database}\ncrlnumber={self.path('number')}\n"
                    f"default_md=sha256\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n{extensions}")
        return openssl("ca", "-config", config, "-gencrl", "-keyfile", self.key, "-cert", self.cert, *dates)


class Partner:
    """The CA of a partner, with a folder, people with RSA keys, and mail that they sign."""

    def __init__(self, folder, name):
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder)
        self.key, self.cert = self.path("ca.key"), self.path("ca.pem")
        check(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.cert,
               "-days", "300", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign"])

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, name, address, extensions="keyUsage=critical,digitalSignature,keyEncipherment", days=("-days", "200")):
        """Paths of the certificate and its key; both are found by the name, too."""
        key, cert, request, ext = (self.path(name + end) for end in (".key", ".pem", ".csr", ".ext"))
        with open(ext, "w") as f:
            f.write(f"subjectAltName=email:{address}\nextendedKeyUsage=emailProtection\n" + extensions.replace(";", "\n") + "\n")
        check(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}"])
        check(["openssl", "x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", *days,
               "-extfile", ext, "-out", cert])
        return cert, key

    def signed(self, name, address, recipient, opaque=False):
        """A whole message from address, signed by who was issued under the name."""
        path = self.path("content")
        with open(path, "wb") as f:
            f.write(b"Content-Type: text/plain\r\n\r\nhello\r\n")
        entity = check(["openssl", "cms", "-sign", "-in", path, "-signer", self.path(name + ".pem"), "-inkey",
                        self.path(name + ".key"), "-md", "sha256"] + (["-nodetach"] if opaque else []))
        return f"From: {address}\nTo: {recipient}\nSubject: signed\n".encode() + entity.replace(b"\r\n", b"\n")

    def opens(self, name, message):
        path = self.path("got.eml")
        with open(path, "wb") as f:
            f.write(message)
        return check(["openssl", "cms", "-decrypt", "-in", path, "-recip", self.path(name + ".pem"), "-inkey", self.path(name + ".key")])
