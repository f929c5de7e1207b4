"""peers - S/MIME programs of other makers: OpenSSL, NSS, gpgsm and Bouncy Castle.

Each opens what Postseal made and makes what Postseal opens. A failure carries the peer's own words;
`cannot` holds those that may mean that the peer itself does not know the algorithm. They prove it when the
peer says them of a message that OpenSSL made, too.
"""
import base64
import os
import re
import shutil
import subprocess


class PeerFailed(Exception):
    """The peer ended with an error; the text is its own."""


def run(argv, data=None, env=None, cwd=None):
    done = subprocess.run(argv, input=data, capture_output=True, env=env, cwd=cwd, timeout=300)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def check(argv, **how):
    code, out, err = run(argv, **how)
    if code != 0:
        raise PeerFailed(f"{os.path.basename(argv[0])}: exit {code}: {err.strip()[-400:]}")
    return out


def split_header(message):
    """(header, body) of bytes with LF or CRLF line ends."""
    at = re.search(rb"\r?\n\r?\n", message)
    if at is None:
        return message, b""
    return message[:at.start()], message[at.end():]


def crlf(data):
    return re.sub(rb"\r?\n", b"\r\n", data)


def parameter(header, name):
    found = re.search(name.encode() + rb'\s*=\s*(?:"([^"]*)"|([^\s;]+))', header, re.I)
    return (found.group(1) or found.group(2)).decode() if found else None


def cut_signed(entity):
    """A multipart/signed entity -> (exact bytes of the first part in CRLF form, DER of the signature)."""
    header, body = split_header(entity)
    boundary = parameter(header, "boundary").encode()
    parts = re.split(rb"(?:^|\r?\n)--" + re.escape(boundary) + rb"(?:--)?[ \t]*(?:\r?\n|$)", body)
    signature = split_header(parts[2])[1]
    return crlf(parts[1]), base64.b64decode(signature)


def cut_cms(entity):
    return base64.b64decode(split_header(entity)[1])


def wrap_cms(der, kind, name="smime.p7m"):
    body = base64.encodebytes(der).decode()
    return (f"MIME-Version: 1.0\nContent-Type: application/pkcs7-mime; smime-type={kind}; name={name}\n"
            f"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename={name}\n\n{body}").encode()


def wrap_signed(content, der, micalg="sha-256"):
    boundary = b"----peer-boundary-0123456789"
    return (b"MIME-Version: 1.0\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg="
            + micalg.encode() + b"; boundary=\"" + boundary + b"\"\n\n--" + boundary + b"\n"
            + content.replace(b"\r\n", b"\n") + b"\n--" + boundary
            + b"\nContent-Type: application/pkcs7-signature; name=smime.p7s\nContent-Transfer-Encoding: base64\n\n"
            + base64.encodebytes(der) + b"\n--" + boundary + b"--\n")


class Identity:
    """One person's PKCS#12 with what comes out of it. compat: the old format that gpgsm can read."""

    def __init__(self, folder, address, p12, password_file, root, compat=None):
        self.address, self.p12, self.password_file, self.root = address, p12, password_file, root
        self.compat = compat
        self.pem = os.path.join(folder, address + ".pem")
        self.cert = os.path.join(folder, address + ".crt")
        self.chain = os.path.join(folder, address + ".chain")
        source = ["openssl", "pkcs12", "-in", p12, "-passin", "file:" + password_file]
        check(source + ["-nodes", "-clcerts", "-out", self.pem])
        check(source + ["-nokeys", "-clcerts", "-out", self.cert])
        check(source + ["-nokeys", "-cacerts", "-out", self.chain])

    def is_ec(self):
        return b"id-ecPublicKey" in check(["openssl", "x509", "-in", self.cert, "-noout", "-text"])


class OpenSSL:
    name = "openssl"
    cannot = re.compile(r"(?!)")

    def __init__(self, folder, root):
        self.folder, self.root = os.path.join(folder, "openssl"), root
        os.makedirs(self.folder, exist_ok=True)

    def add(self, identity):
        pass

    def _file(self, name, data=None):
        path = os.path.join(self.folder, name)
        if data is None:
            if os.path.exists(path):
                os.unlink(path)
        else:
            with open(path, "wb") as f:
                f.write(data)
        return path

    def verify_clear(self, content, signature):
        out = self._file("content.out")
        check(["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", self._file("sig", signature),
               "-content", self._file("content", content), "-CAfile", self.root, "-out", out])
        with open(out, "rb") as f:
            return f.read()

    def verify_opaque(self, der):
        out = self._file("content.out")
        check(["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", self._file("cms", der), "-CAfile", self.root,
               "-out", out])
        with open(out, "rb") as f:
            return f.read()

    def decrypt(self, der, identity):
        out = self._file("content.out")
        check(["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", self._file("cms", der), "-recip", identity.cert,
               "-inkey", identity.pem, "-out", out])
        with open(out, "rb") as f:
            return f.read()

    def sign(self, content, identity, opaque=False, options=()):
        argv = ["openssl", "cms", "-sign", "-binary", "-outform", "DER", "-in", self._file("content", content)]
        return check(argv + ["-signer", identity.pem, *options, "-certfile", identity.chain, "-md", "sha256"]
                     + (["-nodetach"] if opaque else []))

    def encrypt(self, content, identity, cipher="aes-256-cbc", options=()):
        return check(["openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-in", self._file("content", content),
                      "-" + cipher, "-recip", identity.cert, *options])


class NSS:
    name = "NSS"
    # NSS 3.87 stops at an EC recipientInfo, at OAEP and at AuthEnvelopedData with these words.
    cannot = re.compile(r"SEC_ERROR_(BAD_DER|UNSUPPORTED_KEYALG|UNRECOGNIZED_OID|INVALID_ALGORITHM)")

    def __init__(self, folder, root):
        self.folder = os.path.join(folder, "nss")
        os.makedirs(self.folder, exist_ok=True)
        self.db = "sql:" + self.folder
        self.witness = OpenSSL(os.path.join(folder, "nss"), root)
        check(["certutil", "-N", "-d", self.db, "--empty-password"])
        check(["certutil", "-A", "-d", self.db, "-n", "test-root", "-t", "C,C,C", "-a", "-i", root])

    def add(self, identity):
        before = self._nicknames()
        check(["pk12util", "-i", identity.p12, "-d", self.db, "-w", identity.password_file])
        new = [n for n, trust in self._nicknames().items() if n not in before and trust.startswith("u")]
        identity.nss_name = new[0] if new else identity.address

    def _nicknames(self):
        lines = check(["certutil", "-L", "-d", self.db]).decode().splitlines()
        return dict(line.rsplit(None, 1) for line in lines[4:] if line.strip())

    def _file(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def _decode(self, der, content=None, show=False):
        """The content, or with show what cmsutil says of the signatures."""
        out = os.path.join(self.folder, "content.out")
        if os.path.exists(out):
            os.unlink(out)
        argv = ["cmsutil", "-D", "-d", self.db, "-i", self._file("cms", der), "-o", out]
        check(argv + (["-c", self._file("content", content)] if content is not None else [])
              + (["-h", "1", "-n"] if show else []))
        with open(out, "rb") as f:
            return f.read()

    def _verify(self, der, content=None):
        status = re.findall(rb"signer\d+\.status=(\w+)", self._decode(der, content, show=True))
        if status != [b"GoodSignature"]:
            raise PeerFailed(f"cmsutil: {status}")

    def verify_clear(self, content, signature):
        self._verify(signature, content)
        return content

    def verify_opaque(self, der):
        self._verify(der)
        return self._decode(der)

    def decrypt(self, der, identity):
        return self._decode(der)

    def sign(self, content, identity, opaque=False):
        return check(["cmsutil", "-S", "-d", self.db, "-N", identity.nss_name, "-G", "-H", "SHA256",
                      "-i", self._file("content", content)] + ([] if opaque else ["-T"]))

    def encrypt(self, content, identity, cipher="aes-256-cbc"):
        if cipher.endswith("gcm"):
            # cmsutil has no option for the cipher: whether NSS knows it is seen by what it reads.
            self._decode(self.witness.encrypt(content, identity, cipher))
            raise PeerFailed("cmsutil reads GCM and has no option to write it")
        return check(["cmsutil", "-E", "-d", self.db, "-r", identity.address, "-i", self._file("content", content)])


KEY_PASSWORD = "secret"  # of the PKCS#12 files; gpg-agent keeps it for the keys that come from them


class Gpgsm:
    name = "gpgsm"
    # gpgsm 2.2.40 takes what ECDH gives for PKCS#1 padding ("Invalid session key"), has no room for the parameters
    # of GCM ("Buffer too short") and none for OAEP's ("error getting encrypted session key").
    cannot = re.compile(r"Invalid session key|Buffer too short|error getting encrypted session key|Wrong key usage"
                        r"|selected cipher algorithm is invalid")
    ciphers = {"aes-256-cbc": "AES256", "aes-256-gcm": "AES256.GCM"}

    def __init__(self, folder, root):
        self.folder = os.path.join(folder, "g")
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        self.env = dict(os.environ, GNUPGHOME=self.folder, LC_ALL="C")
        with open(os.path.join(self.folder, "gpgsm.conf"), "w") as f:
            f.write("disable-crl-checks\ndisable-dirmngr\n")
        with open(os.path.join(self.folder, "gpg-agent.conf"), "w") as f:
            f.write("allow-loopback-pinentry\n")
        shown = check(["openssl", "x509", "-in", root, "-noout", "-fingerprint", "-sha1"]).decode()
        with open(os.path.join(self.folder, "trustlist.txt"), "w") as f:
            f.write(shown.split("=")[1].strip() + " S relax\n")
        self._gpgsm(["--import", root])

    def close(self):
        run(["gpgconf", "--kill", "all"], env=self.env)

    def _gpgsm(self, arguments, data=None, password=KEY_PASSWORD):
        reading, writing = os.pipe()
        os.write(writing, password.encode() + b"\n")
        os.close(writing)
        try:
            done = subprocess.run(["gpgsm", "--batch", "--yes", "--no-tty", "--pinentry-mode", "loopback",
                                   "--passphrase-fd", str(reading), *arguments], input=data, capture_output=True,
                                  env=self.env, pass_fds=[reading], timeout=300)
        finally:
            os.close(reading)
        if done.returncode != 0:
            raise PeerFailed(f"gpgsm: exit {done.returncode}: {done.stderr.decode(errors='replace').strip()[-600:]}")
        return done.stdout, done.stderr.decode(errors="replace")

    def add(self, identity):
        self._gpgsm(["--import", identity.chain])
        if identity.compat:
            self._gpgsm(["--import", identity.compat])
        else:
            self._gpgsm(["--import", identity.cert])
            self._add_ec_key(identity)

    def _add_ec_key(self, identity):
        """gpgsm 2.2.40 cannot read EC keys out of PKCS#12; gpg-agent knows them in its own form."""
        shown = self._gpgsm(["--with-keygrip", "--list-keys", identity.address])[0].decode()
        grip = re.search(r"keygrip: ([0-9A-F]{40})", shown).group(1)
        text = check(["openssl", "pkey", "-in", identity.pem, "-noout", "-text"]).decode()
        private, public = (re.sub(r"[\s:]", "", found) for found in re.findall(r"(?:priv|pub):\n((?:\s+[0-9a-f:]+\n)+)", text))
        folder = os.path.join(self.folder, "private-keys-v1.d")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with open(os.path.join(folder, grip + ".key"), "w") as f:
            f.write(f'Key: (private-key (ecc (curve "NIST P-256")(q #{public}#)(d #00{private.zfill(64)[-64:]}#)))\n')

    def _file(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def verify_clear(self, content, signature):
        _, err = self._gpgsm(["--verify", self._file("sig", signature), self._file("content", content)])
        if "Good signature" not in err:
            raise PeerFailed(err[-300:])
        return content

    def verify_opaque(self, der):
        out = os.path.join(self.folder, "content.out")
        if os.path.exists(out):
            os.unlink(out)
        _, err = self._gpgsm(["--output", out, "--verify", self._file("cms", der)])
        if "Good signature" not in err:
            raise PeerFailed(err[-300:])
        with open(out, "rb") as f:
            return f.read()

    def decrypt(self, der, identity):
        return self._gpgsm(["--decrypt"], data=der)[0]

    def sign(self, content, identity, opaque=False):
        return self._gpgsm(["--sign", "--local-user", identity.address] + ([] if opaque else ["--detach-sign"]),
                           data=content)[0]

    def encrypt(self, content, identity, cipher="aes-256-cbc"):
        return self._gpgsm(["--encrypt", "--recipient", identity.address, "--cipher-algo", self.ciphers[cipher]],
                           data=content)[0]


class BouncyCastle:
    """Java's, as a server that BouncyCastle.java beside this file is."""
    name = "bouncycastle"
    # 1.72 cannot read key agreement in AuthEnvelopedData, and knows no wrap for what it would write.
    cannot = re.compile(r"key agreement in AuthEnvelopedData is not in this version")
    jars = [f"/usr/share/java/{jar}.jar" for jar in ("bcmail", "bcpkix", "bcprov", "bcutil")]

    def __init__(self, folder, root):
        self.folder, self.root = os.path.join(folder, "bc"), root
        os.makedirs(self.folder, exist_ok=True)
        path = ":".join(self.jars)
        check(["javac", "-nowarn", "-Xlint:none", "-cp", path, "-d", self.folder,
               os.path.join(os.path.dirname(os.path.realpath(__file__)), "BouncyCastle.java")])
        self.server = subprocess.Popen(["java", "-XX:TieredStopAtLevel=1", "-cp", f"{path}:{self.folder}", "BouncyCastle"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def close(self):
        self.server.stdin.close()
        self.server.wait(30)

    def add(self, identity):
        pass

    def _file(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def _ask(self, *words):
        """The operation's output; its file is named last."""
        out = os.path.join(self.folder, "out")
        if os.path.exists(out):
            os.unlink(out)
        self.server.stdin.write("\t".join([*words, out]) + "\n")
        self.server.stdin.flush()
        answer = self.server.stdout.readline().strip()
        if answer != "ok":
            raise PeerFailed(f"Bouncy Castle: {answer}")
        with open(out, "rb") as f:
            return f.read()

    def verify_clear(self, content, signature):
        return self._ask("verify", self._file("cms", signature), self._file("content", content), self.root)

    def verify_opaque(self, der):
        return self._ask("verify", self._file("cms", der), "-", self.root)

    def decrypt(self, der, identity):
        return self._ask("decrypt", self._file("cms", der), identity.cert, identity.pem)

    def sign(self, content, identity, opaque=False, options=None):
        algorithm = options or ("SHA256withECDSA" if identity.is_ec() else "SHA256withRSA")
        return self._ask("sign", self._file("content", content), identity.cert, identity.pem, identity.chain, algorithm,
                         "opaque" if opaque else "detached")

    def encrypt(self, content, identity, cipher="aes-256-cbc", options=None):
        transport, form = options or ("ecdh-sha256" if identity.is_ec() else "pkcs1", "ber")
        return self._ask("encrypt", self._file("content", content), identity.cert, cipher, transport, form)


def everybody():
    """The four makers; one that is not installed is an error, not a narrower matrix."""
    for program in ("openssl", "cmsutil", "gpgsm", "javac"):
        if shutil.which(program) is None:
            raise PeerFailed(f"{program} is not installed: contrib/packages test")
    return [OpenSSL, NSS, Gpgsm, BouncyCastle]
