#!/usr/bin/env python3
"""est - an EST server written from RFC 7030 and RFC 8951: cacerts, csrattrs, simpleenroll, simplereenroll.

Strict: media types, base64, the request's signature, who asks, and that a renewal repeats the names of the certificate it renews.

    fake = Est(folder, approval=True)      # 202 until fake.approve()
    Est(folder, knows_again=False)         # gives another certificate when it gets the same request again
    Est(folder, digest=True, label="mail", attributes=b"...DER...", tls_client=True)
    fake.issuer.issued                     # each certificate, with its key
"""
import base64
import hashlib
import os
import re
import secrets
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from issuer import EMAIL_PROTECTION, Issuer, der_of, pem_of  # noqa: E402
from server import Answer, Complaint, Fake, openssl, run_alone  # noqa: E402

CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
REALM = "EST of a test"


def crlf_base64(der):
    text = base64.b64encode(der)
    return b"".join(text[i:i + 64] + b"\r\n" for i in range(0, len(text), 64))


def alternative_names(text):
    """The line below "X509v3 Subject Alternative Name" of openssl's text; "" for none."""
    found = re.search(r"Subject Alternative Name:[^\n]*\n\s*([^\n]*)", text)
    return found.group(1).strip() if found else ""


class Est(Fake):
    user, password = "postseal", "est-secret-" + secrets.token_hex(8)

    def __init__(self, folder, label="", approval=False, knows_again=True, digest=False, attributes=None,
                 tls_client=False, retry_after="1", **how):
        self.issuer = Issuer(os.path.join(folder, "ca"), "EST")
        self.label, self.approval, self.knows_again, self.digest = label, approval, knows_again, digest
        self.attributes, self.retry_after = attributes, retry_after
        self.purposes = (EMAIL_PROTECTION, CLIENT_AUTH) if tls_client else (EMAIL_PROTECTION,)
        self.answers = {}   # CSR -> DER of the certificate
        self.waiting = []   # CSRs, in the order they came
        self.approved = set()
        self.nonces = set()
        super().__init__(folder, clients=self.issuer.path("ca.pem"), clients_required=False, **how)

    # --- for tests ---

    def approve(self):
        with self.lock:
            self.approved.update(self.waiting)

    @property
    def fingerprint(self):
        return hashlib.sha256(der_of(self.issuer.root)).hexdigest()

    def served_fingerprint(self):
        with open(self.cert, "rb") as f:
            return hashlib.sha256(der_of(f.read())).hexdigest()

    # --- who asks ---

    def _login(self, request):
        """None when who asks is known, else the 401."""
        if request.client is not None:
            return None
        given = request.header("Authorization") or ""
        if self.digest:
            if given.startswith("Digest ") and self._digest_is_good(request, given[7:]):
                return None
            nonce = secrets.token_hex(16)
            self.nonces.add(nonce)
            challenge = f'Digest realm="{REALM}", qop="auth", algorithm=SHA-256, nonce="{nonce}"'
        else:
            if given == "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode():
                return None
            challenge = f'Basic realm="{REALM}"'
        return Answer(401, b"who are you?\r\n", "text/plain", [("WWW-Authenticate", challenge)])

    def _digest_is_good(self, request, given):
        fields = {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^, ]+))', given)}

        def sha(text):
            return hashlib.sha256(text.encode()).hexdigest()
        if fields.get("nonce") not in self.nonces or fields.get("uri") != request.target or fields.get("username") != self.user:
            return False
        first, second = sha(f"{self.user}:{REALM}:{self.password}"), sha(f"{request.method}:{request.target}")
        whole = ":".join([first, fields["nonce"], fields["nc"], fields["cnonce"], fields["qop"], second])
        return fields.get("response") == sha(whole)

    # --- operations ---

    def answer(self, request):
        base = "/.well-known/est" + (f"/{self.label}" if self.label else "")
        self.want(not request.raw_query, "there is no query")
        if not request.path.startswith(base + "/"):
            return Answer(404, b"no such label\r\n", "text/plain")
        operation = request.path[len(base) + 1:]
        table = {"cacerts": ("GET", self.cacerts), "csrattrs": ("GET", self.csrattrs),
                 "simpleenroll": ("POST", self.simpleenroll), "simplereenroll": ("POST", self.simplereenroll)}
        if operation not in table:
            return Answer(404, b"no such operation\r\n", "text/plain")
        method, act = table[operation]
        self.want(request.method == method, f"{operation} is a {method}")
        return act(request)

    def certs_only(self, *pems):
        whole = os.path.join(self.folder, f"bag-{secrets.token_hex(4)}.pem")
        with open(whole, "wb") as f:
            f.write(b"".join(pems))
        der = openssl("crl2pkcs7", "-nocrl", "-certfile", whole, "-outform", "DER")
        os.unlink(whole)
        return der

    def cacerts(self, request):
        """Who asks may not know the server yet: it must not say who it is (RFC 7030 section 4.1.1)."""
        with open(self.cert, "rb") as f:
            server = f.read()
        return Answer(200, crlf_base64(self.certs_only(self.issuer.ca, self.issuer.root, server)), "application/pkcs7-mime",
                      [("Content-Transfer-Encoding", "base64")])

    def csrattrs(self, request):
        if self.attributes is None:
            return Answer(204)
        return Answer(200, crlf_base64(self.attributes), "application/csrattrs", [("Content-Transfer-Encoding", "base64")])

    def _request(self, request):
        """PEM of the PKCS#10, or an Answer."""
        kind = (request.header("Content-Type") or "").split(";")[0].strip().lower()
        if kind != "application/pkcs10":
            return Answer(415, b"not application/pkcs10\r\n", "text/plain")
        encoding = request.header("Content-Transfer-Encoding")
        self.want(encoding in (None, "base64"), f"Content-Transfer-Encoding is {encoding}")
        if request.body == b"":
            return Answer(400, b"no request\r\n", "text/plain")
        self.want(b"-----" not in request.body, "PEM where base64 belongs")
        plain = b"".join(request.body.split())
        self.want(BASE64.fullmatch(plain) and len(plain) % 4 == 0, "the body is not base64")
        der = base64.b64decode(plain, validate=True)
        pem = b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE REQUEST-----\n"
        try:
            self.issuer.check_csr(pem)
        except ValueError as e:
            raise Complaint(str(e)) from None
        return pem

    def _certify(self, pem):
        with self.lock:
            if self.approval and pem not in self.approved:
                if pem not in self.waiting:
                    self.waiting.append(pem)
                return Answer(202, b"somebody looks\r\n", "text/plain", [("Retry-After", self.retry_after)])
            if self.knows_again and pem in self.answers:
                der = self.answers[pem]
            else:
                text = self.issuer.csr_text(pem)
                emails = re.findall(r"email:([^\s,]+)", alternative_names(text))
                self.want(emails, "the request has no rfc822Name")
                name = self.issuer.csr_subject(pem).get("commonName", ["nobody"])[0]
                der, _ = self.issuer.issue(self.issuer.check_csr(pem), name, emails, purposes=self.purposes)
                self.answers[pem] = der
        return Answer(200, crlf_base64(self.certs_only(pem_of(der))), "application/pkcs7-mime; smime-type=certs-only",
                      [("Content-Transfer-Encoding", "base64")])

    def simpleenroll(self, request):
        refused = self._login(request)
        if refused is not None:
            return refused
        pem = self._request(request)
        return pem if isinstance(pem, Answer) else self._certify(pem)

    def simplereenroll(self, request):
        """Only with the certificate that is renewed, and for its names (RFC 7030 section 4.2.2)."""
        if request.client is None:
            return Answer(403, b"a renewal needs the certificate\r\n", "text/plain")
        pem = self._request(request)
        if isinstance(pem, Answer):
            return pem
        old = pem_of(request.session["client_der"])
        shown = openssl("x509", "-noout", "-text", "-nameopt", "RFC2253,utf8", "-in", "/dev/stdin", stdin=old).decode()
        asked = self.issuer.csr_text(pem)
        self.want(re.search(r"Subject: ?(.*)", shown).group(1) == re.search(r"Subject: ?(.*)", asked).group(1),
                  "the subject is not that of the certificate")
        self.want(alternative_names(shown) == alternative_names(asked), "the alternative names are not those of the certificate")
        return self._certify(pem)


if __name__ == "__main__":
    with Est(sys.argv[1]) as est:
        run_alone(est, est.user, est.password, est.cert)
