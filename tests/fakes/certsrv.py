#!/usr/bin/env python3
"""certsrv - a fake of the web enrolment pages of Microsoft AD CS, written from public sources, with NTLM and Basic.

Not the real service: what its pages look like in other languages, and what it says of a request that does not exist, are switches.

    fake = Certsrv(folder, approval=True)           # "Certificate Pending" until fake.approve(id) or fake.deny(id)
    Certsrv(folder, auth="basic", language="de", absent="plain")
    fake.refuse = 0x80094800                        # the CA says no to what comes next
    fake.issuer.issued, fake.requests               # what it did
"""
import base64
import html
import os
import re
import secrets
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from issuer import Issuer, pem_of  # noqa: E402
from ntlm import Ntlm, Refused  # noqa: E402
from server import Answer, Complaint, Fake, openssl, run_alone  # noqa: E402

import urllib.parse  # noqa: E402

FIELDS = {"Mode": "newreq", "FriendlyType": "Saved-Request Certificate", "TargetStoreFlags": "0", "SaveCert": "yes"}
WORDS = {
    "en": {"issued": "Certificate Issued", "was": "The certificate you requested was issued to you.",
           "pending": "Certificate Pending", "received": "Your certificate request has been received. However, you must wait for an "
           "administrator to issue the certificate you requested.", "id": "Your Request Id is {id}.",
           "denied": "Certificate Request Denied", "no": "Your certificate request was denied.",
           "message": 'The disposition message is "{text}".', "state": "Disposition message:",
           "submission": "Taken Under Submission", "by": "Denied by Policy Module"},
    "de": {"issued": "Zertifikat wurde ausgestellt", "was": "Das angeforderte Zertifikat wurde ausgestellt.",
           "pending": "Zertifikat steht aus", "received": "Die Zertifikatanforderung wurde empfangen. Ein Administrator muss das "
           "angeforderte Zertifikat jedoch ausstellen.", "id": "Ihre Anforderungs-ID ist {id}.",
           "denied": "Zertifikatanforderung verweigert", "no": "Die Zertifikatanforderung wurde verweigert.",
           "message": 'Die Dispositionsmeldung ist "{text}".', "state": "Dispositionsmeldung:",
           "submission": "Vorgelegt", "by": "Vom Richtlinienmodul verweigert"},
}


def page(title, *lines, status=200):
    body = "\n".join(f"<P ID=locText{n}>{line}" for n, line in enumerate(lines))
    text = f"<HTML>\n<Head><Title>Microsoft Active Directory Certificate Services</Title></Head>\n<Body>\n<P><B>{title}</B>\n{body}\n" \
           "</Body></HTML>\n"
    return Answer(status, text.encode("utf-8"), "text/html")


class Certsrv(Fake):
    domain, user, password = "CORP", "postseal", "certsrv-secret-" + secrets.token_hex(8)
    template, attributes = "PostsealMail", []

    def __init__(self, folder, auth="ntlm", approval=False, language="en", absent="code", first=100, **how):
        self.issuer = Issuer(os.path.join(folder, "ca"), "AD CS")
        self.auth, self.approval, self.words, self.absent = auth, approval, WORDS[language], absent
        self.ntlm = Ntlm(self.domain, {self.user: self.password})
        self.requests = {}  # id -> {"state": "issued" | "pending" | "denied", "der", "csr", "code"}
        self.next, self.refuse = first, None
        client = {"clients": self.issuer.path("ca.pem")} if auth == "cert" else {}
        super().__init__(folder, **client, **how)

    # --- for tests ---

    def approve(self, number):
        with self.lock:
            row = self.requests[number]
            row["state"], row["der"] = "issued", self._issue(row["csr"])

    def deny(self, number, code=0x80094014):
        with self.lock:
            self.requests[number].update(state="denied", code=code)

    def foreign(self, state="issued"):
        """A request of somebody else's takes a number."""
        key = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        csr = openssl("req", "-new", "-key", "/dev/stdin", "-subj", "/CN=else", "-addext",
                      "subjectAltName=email:else@where.example", stdin=key)
        with self.lock:
            self.next += 1
            self.requests[self.next] = {"state": state, "csr": csr, "code": 0x80094014,
                                        "der": self._issue(csr) if state == "issued" else None}
            return self.next

    # --- who asks ---

    def _login(self, request):
        given = request.header("Authorization") or ""
        if self.auth == "cert":
            return None
        if self.auth == "basic":
            good = base64.b64encode(f"{self.domain}\\{self.user}:{self.password}".encode()).decode()
            if given == "Basic " + good:
                return None
            return Answer(401, b"<html>401</html>", "text/html", [("WWW-Authenticate", 'Basic realm="ca"')])
        if request.session.get("ntlm_user"):
            return None
        challenge = ""
        if given.startswith("NTLM "):
            try:
                answer = self.ntlm.answer_to(given[5:], request.session)
            except (Refused, ValueError):
                answer = ""
            if answer is None:
                return None
            challenge = " " + answer if answer else ""
        return Answer(401, b"<html>401</html>", "text/html", [("WWW-Authenticate", "NTLM" + challenge)])

    # --- pages ---

    def answer(self, request):
        refused = self._login(request)
        if refused is not None:
            return refused
        self.want((request.header("User-Agent") or "").startswith("Mozilla/"), "the User-Agent is no browser's")
        table = {"/certsrv/": ("GET", self.root), "/certsrv/certfnsh.asp": ("POST", self.submit),
                 "/certsrv/certnew.cer": ("GET", self.certificate), "/certsrv/certnew.p7b": ("GET", self.chain),
                 "/certsrv/certcarc.asp": ("GET", self.authority)}
        self.want(request.path in table, f"there is no page {request.path}")
        method, act = table[request.path]
        self.want(request.method == method, f"{request.path} takes {method}")
        return act(request)

    def root(self, request):
        return page("Welcome", "Use this Web site to request a certificate.")

    def authority(self, request):
        self.want(not request.raw_query, "no query here")
        return page("Download a CA Certificate", "<Script Language=\"JavaScript\">\nvar nRenewals=2;\n</Script>")

    def chain(self, request):
        self.want(request.query == {"ReqID": ["CACert"], "Renewal": ["2"], "Enc": ["bin"]}, f"query {request.query}")
        whole = os.path.join(self.folder, f"bag-{secrets.token_hex(4)}.pem")
        with open(whole, "wb") as f:
            f.write(self.issuer.ca + self.issuer.root)
        der = openssl("crl2pkcs7", "-nocrl", "-certfile", whole, "-outform", "DER")
        os.unlink(whole)
        return Answer(200, der, "application/x-pkcs7-certificates")

    def _issue(self, csr):
        names = re.findall(r"email:([^\s,]+)", self.issuer.csr_text(csr))
        name = self.issuer.csr_subject(csr).get("commonName", ["nobody"])[0]
        der, _ = self.issuer.issue(self.issuer.check_csr(csr), name, names)
        return der

    def submit(self, request):
        kind = (request.header("Content-Type") or "").split(";")[0].strip()
        self.want(kind == "application/x-www-form-urlencoded", f"the form came as {kind}")
        fields = urllib.parse.parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        names = [name for name, _ in fields]
        self.want(sorted(names) == sorted([*FIELDS, "CertRequest", "CertAttrib"]), f"the fields are {names}")
        form = dict(fields)
        for name, value in FIELDS.items():
            self.want(form[name] == value, f"{name} is {form[name]}")
        lines = form["CertAttrib"].split("\r\n")
        self.want(lines[0] == f"CertificateTemplate:{self.template}" and lines[1:-1] == self.attributes and lines[-1] == "",
                  f"CertAttrib is {form['CertAttrib']!r}")
        csr = form["CertRequest"].encode()
        self.want(csr.startswith(b"-----BEGIN CERTIFICATE REQUEST-----") and b" " not in csr.split(b"-----")[2],
                  "CertRequest is no PEM: is a + lost?")
        try:
            self.issuer.check_csr(csr)
        except ValueError as e:
            raise Complaint(str(e)) from None
        return self._take(csr)

    def _take(self, csr):
        words = self.words
        with self.lock:
            self.next += 1
            number, row = self.next, {"csr": csr, "der": None, "code": 0}
            self.requests[number] = row
            if self.refuse is not None:
                row.update(state="denied", code=self.refuse)
                return page(words["denied"], words["no"], words["id"].format(id=number),
                            words["message"].format(text=html.escape(f"{words['by']} {self.refuse:#x}", quote=False)))
            if self.approval:
                row["state"] = "pending"
                return page(words["pending"], words["received"], words["id"].format(id=number))
            row.update(state="issued", der=self._issue(csr))
        return page(words["issued"], words["was"],
                    f'<A Href="certnew.cer?ReqID={number}&Enc=bin">DER</A> <A Href="certnew.p7b?ReqID={number}&Enc=bin">chain</A>')

    def certificate(self, request):
        self.want(set(request.query) == {"ReqID", "Enc"} and request.query["Enc"] in (["bin"], ["b64"]), f"query {request.query}")
        words, row = self.words, self.requests.get(int(request.query["ReqID"][0]))
        if row is None:
            text = "The request does not exist. 0x80094002 (-2146877438)" if self.absent == "code" else "?"
            return page("Microsoft Active Directory Certificate Services", words["state"], text)
        if row["state"] == "issued":
            if request.query["Enc"] == ["bin"]:
                return Answer(200, row["der"], "application/pkix-cert")
            return Answer(200, pem_of(row["der"]), "application/pkix-cert")
        text = words["submission"] if row["state"] == "pending" else f"{words['by']} {row['code']:#x}"
        return page("Microsoft Active Directory Certificate Services", words["state"], text)


if __name__ == "__main__":
    with Certsrv(sys.argv[1], auth=(sys.argv[2:] or ["ntlm"])[0]) as certsrv:
        run_alone(certsrv, f"{certsrv.domain}\\{certsrv.user}", certsrv.password, certsrv.cert)
