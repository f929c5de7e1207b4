"""directories - LDAP servers for the tests: a real slapd, and one that answers whatever a test wants.

Both listen on loopback ports that were found free and end with the test.
"""
import base64
import os
import shutil
import socket
import subprocess
import threading

from harness import Process, can_connect, free_port, wait_until
from peers import check

SLAPD = shutil.which("slapd") or "/usr/sbin/slapd"
BASE = "o=partner"
BINDER, PASSWORD = "cn=asker,o=partner", "bind-secret-31415"

CONF = """modulepath /usr/lib/ldap
moduleload back_mdb
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {f}/slapd.pid
TLSCertificateFile {f}/{tls}.pem
TLSCertificateKeyFile {f}/{tls}.key
database mdb
maxsize 104857600
suffix "o=partner"
rootdn "cn=admin,o=partner"
rootpw admin
directory {f}/db
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=closed,o=partner" by dn.exact="cn=asker,o=partner" read by * none
access to * by * read
"""


def missing():
    """Why there is no slapd to test with, or None."""
    if not os.path.exists(SLAPD) or shutil.which("ldapadd") is None:
        return "slapd and ldap-utils are not installed"
    return None


class Tls:
    """A CA with one server certificate a name."""

    def __init__(self, folder):
        self.folder = folder
        self.ca, self.key = os.path.join(folder, "tls-ca.pem"), os.path.join(folder, "tls-ca.key")
        check(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.ca,
               "-days", "30", "-subj", "/CN=TLS CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign"])

    def issue(self, name, host):
        """host as a SAN: IP:127.0.0.1. (libldap takes localhost for the name of this host.)"""
        path = os.path.join(self.folder, name)
        with open(path + ".ext", "w") as f:
            f.write(f"subjectAltName={host}\nextendedKeyUsage=serverAuth\n")
        check(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", path + ".key", "-out",
               path + ".csr", "-subj", f"/CN={name}"])
        check(["openssl", "x509", "-req", "-in", path + ".csr", "-CA", self.ca, "-CAkey", self.key, "-CAcreateserial",
               "-days", "20", "-extfile", path + ".ext", "-out", path + ".pem"])


class Slapd:
    """A slapd with one database; entries are added over LDAP."""

    def __init__(self, folder, tls, certificate="loopback"):
        self.folder = os.path.join(folder, "slapd-" + certificate)
        os.makedirs(os.path.join(self.folder, "db"))
        for end in (".pem", ".key"):
            shutil.copy(os.path.join(tls.folder, certificate + end), self.folder)
        self.plain, self.tls_port = free_port(), free_port()
        with open(os.path.join(self.folder, "slapd.conf"), "w") as f:
            f.write(CONF.format(f=self.folder, tls=certificate))
        urls = f"ldap://127.0.0.1:{self.plain} ldaps://127.0.0.1:{self.tls_port}"
        self.process = Process("slapd", [SLAPD, "-f", os.path.join(self.folder, "slapd.conf"), "-h", urls, "-d", "0"],
                               os.path.join(self.folder, "slapd.log"))

    def start(self, fill=True):
        self.process.start()
        wait_until("slapd answers", lambda: can_connect(f"inet:{self.plain}@127.0.0.1") and
                   can_connect(f"inet:{self.tls_port}@127.0.0.1"))
        if fill:
            self.add(f"dn: {BASE}\nobjectClass: organization\no: partner\n\n"
                     f"dn: ou=closed,{BASE}\nobjectClass: organizationalUnit\nou: closed\n\n"
                     f"dn: {BINDER}\nobjectClass: person\ncn: asker\nsn: asker\nuserPassword: {PASSWORD}\n\n")
        return self

    def stop(self):
        self.process.stop()

    def add(self, ldif):
        done = subprocess.run(["ldapadd", "-x", "-H", f"ldap://127.0.0.1:{self.plain}", "-D", "cn=admin,o=partner", "-w",
                               "admin"], input=ldif, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"ldapadd: {done.stderr}")

    def person(self, address, certificates=(), pkcs7=(), below=BASE, name=None):
        """An entry with these DER certificates and PKCS#7 objects."""
        name = name or address.split("@")[0]
        lines = [f"dn: cn={name},{below}", "objectClass: inetOrgPerson", f"cn: {name}", f"sn: {name}",
                 f"mail: {address}"]
        lines += ["userCertificate;binary:: " + base64.b64encode(der).decode() for der in certificates]
        lines += ["userSMIMECertificate:: " + base64.b64encode(der).decode() for der in pkcs7]
        self.add("\n".join(lines) + "\n\n")


# -- BER, as little as a server needs -----------------------------------------------------------


def tlv(tag, *contents):
    content = b"".join(contents)
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    size = (len(content).bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + len(content).to_bytes(size, "big") + content


def integer(number):
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def text(string, tag=4):
    return tlv(tag, string if isinstance(string, bytes) else string.encode())


def message(number, operation):
    return tlv(0x30, integer(number), operation)


def entry(number, attributes, dn="cn=somebody,o=partner"):
    """SearchResultEntry; attributes: (name, [values])."""
    listed = [tlv(0x30, text(name), tlv(0x31, *[text(v) for v in values])) for name, values in attributes]
    return message(number, tlv(0x64, text(dn), tlv(0x30, *listed)))


def result(number, code=0, diagnostic="", referral=None):
    parts = [tlv(10, bytes([code])), text(""), text(diagnostic)]
    if referral:
        parts.append(tlv(0xa3, text(referral)))
    return message(number, tlv(0x65, *parts))


def reference(number, url):
    return message(number, tlv(0x73, text(url)))


class FakeServer:
    """Calls answer(connection, message number) for each search; counts connections and searches."""

    def __init__(self, answer):
        self.answer = answer
        self.connections = self.searches = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.ending = threading.Event()
        self.open = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            data = b""
            while True:
                more = connection.recv(65536)
                if not more:
                    return
                data += more
                while len(data) > 2 and len(data) >= 2 + data[1] and data[1] < 128 or (
                        len(data) > 4 and data[1] > 128 and len(data) >= 2 + (data[1] & 127) + int.from_bytes(
                            data[2:2 + (data[1] & 127)], "big")):
                    head = 2 if data[1] < 128 else 2 + (data[1] & 127)
                    size = data[1] if data[1] < 128 else int.from_bytes(data[2:head], "big")
                    body, data = data[head:head + size], data[head + size:]
                    number = int.from_bytes(body[2:2 + body[1]], "big")
                    if body[2 + body[1]] == 0x63:
                        self.searches += 1
                        self.answer(connection, number)
        except OSError:
            return

    def stop(self):
        self.ending.set()
        self.socket.close()
        for connection in self.open:
            connection.close()
