#!/usr/bin/env python3
"""ejbca - a fake of EJBCA's REST interface, written from public sources.

What could not be verified is a switch: old (unknown members are refused, those of newer servers among them),
link (202 tells the path of the finalize call), double (a search answers in base64 twice), searchable, reversed_chain.

    fake = Ejbca(folder, approval=True)     # 202 until fake.approve(number) or fake.deny(number)
    fake.issuer.issued_for("a@b.example")   # how often it issued
"""
import base64
import json
import os
import re
import secrets
import sys
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from issuer import Issuer, der_of  # noqa: E402
from server import Answer, Fake, json_answer, run_alone  # noqa: E402

BASE = "/ejbca/ejbca-rest-api"
REASONS = {"UNSPECIFIED", "KEY_COMPROMISE", "CA_COMPROMISE", "AFFILIATION_CHANGED", "SUPERSEDED", "CESSATION_OF_OPERATION",
           "CERTIFICATE_HOLD", "REMOVE_FROM_CRL", "PRIVILEGES_WITHDRAWN", "AA_COMPROMISE", "NOT_REVOKED"}
MUST = {"certificate_request": str, "certificate_profile_name": str, "end_entity_profile_name": str,
        "certificate_authority_name": str, "username": str, "password": str, "include_chain": bool}
MAY = {"account_binding_id": str, "email": str}
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def pairs(value):
    return isinstance(value, list) and all(set(row) == {"name", "value"} for row in value)


NEWER = {"response_format": lambda v: v == "DER", "subject_dn": str, "extension_data": pairs, "custom_data": pairs,
         "start_time": lambda v: bool(STAMP.fullmatch(v)), "end_time": lambda v: bool(STAMP.fullmatch(v))}


class Error(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def error_answer(status, text):
    return json_answer(status, {"error_code": status, "error_message": text})


def normal_dn(dn):
    return re.sub(r"(?<!\\),\s+", ",", dn).lower()


class Ejbca(Fake):
    ca_name, certificate_profile, end_entity_profile = "Mail CA", "SMIME", "Mail User"
    client_id, client_secret = "postseal", "oauth-secret-" + secrets.token_hex(8)

    def __init__(self, folder, approval=False, oauth=False, old=False, link=True, double=False, searchable=True,
                 reversed_chain=False, existing=(), **how):
        self.issuer = Issuer(os.path.join(folder, "ca"), "EJBCA")
        self.admin = self.issuer.client_certificate("RA administrator")
        self.approval, self.oauth, self.old, self.link = approval, oauth, old, link
        self.double, self.searchable, self.reversed_chain = double, searchable, reversed_chain
        self.existing = set(existing)  # end entities that are there
        self.tokens, self.users, self.waiting, self.certs = set(), {}, {}, {}
        self.next_approval = 1001
        self.allowed_domain = None
        super().__init__(folder, clients=self.issuer.path("ca.pem"), clients_required=not oauth, **how)
        self.base = self.url + BASE
        self.token_url = self.url + "/token"

    def bad(self, text):
        return error_answer(400, text)

    # --- what people do there ---

    def approve(self, number):
        with self.lock:
            self.waiting[number]["state"] = "approved"

    def deny(self, number):
        with self.lock:
            self.waiting[number]["state"] = "denied"

    # --- the interface ---

    def answer(self, request):
        if request.path == "/token":
            return self._token(request)
        try:
            self._authenticate(request)
            return self._route(request)
        except Error as e:
            return error_answer(e.status, str(e))

    def _token(self, request):
        self.want(request.method == "POST", "a token is POSTed for")
        self.want(request.header("Content-Type") == "application/x-www-form-urlencoded", "the media type of a form")
        form = urllib.parse.parse_qs(request.body.decode(), keep_blank_values=True, strict_parsing=True)
        self.want(set(form) <= {"grant_type", "client_id", "client_secret", "audience", "scope"}, f"fields {set(form)}")
        self.want(form.get("grant_type") == ["client_credentials"], "grant_type")
        if form.get("client_id") != [self.client_id] or form.get("client_secret") != [self.client_secret]:
            return json_answer(401, {"error": "invalid_client", "error_description": "unknown client"})
        token = secrets.token_urlsafe(30)
        with self.lock:
            self.tokens.add(token)
        return json_answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": 300})

    def _authenticate(self, request):
        authorization = request.header("Authorization")
        if self.oauth:
            if authorization is None or authorization.removeprefix("Bearer ") not in self.tokens:
                raise Error(401, "Bearer token is needed")
            return
        self.want(authorization is None, "Authorization together with a certificate")
        if request.client is None:
            raise Error(403, "no client certificate")
        names = [value for rdn in request.client["subject"] for name, value in rdn if name == "commonName"]
        if names != ["RA administrator"]:
            raise Error(403, f"{names} is not authorized")

    def _route(self, request):
        self.want(request.raw_path.startswith(BASE + "/v"), "not below the base of the REST interface")
        parts = [urllib.parse.unquote(part) for part in request.raw_path[len(BASE) + 1:].split("/")]
        key = (request.method, *parts[:2])
        if request.method in ("POST",):
            self.want((request.header("Content-Type") or "").split(";")[0] == "application/json", "JSON is POSTed")
        else:
            self.want(not request.body, "a body where none belongs")
        if key == ("GET", "v1", "certificate") and parts[2:] == ["status"]:
            return json_answer(200, {"status": "OK", "version": "1.0", "revision": "EJBCA 8.2.0.1 Community"})
        if key == ("POST", "v1", "certificate") and parts[2:] == ["pkcs10enroll"]:
            return self._enrol(self._body(request, MUST, {**MAY, **({} if self.old else NEWER)}))
        if key == ("POST", "v1", "certificate") and parts[2:] == ["certificaterequest"]:
            body = self._body(request, {name: MUST[name] for name in (
                "certificate_request", "username", "password", "include_chain", "certificate_authority_name")}, {})
            if body["username"] not in self.existing:
                raise Error(404, "end entity does not exist")
            return self._issue(body)
        if key == ("POST", "v1", "certificate") and len(parts) == 4 and parts[3] == "finalize":
            return self._finalize(request, parts[2])
        if request.method == "POST" and parts[1:] == ["certificate", "search"]:
            return self._search(request, parts[0])
        if request.method == "PUT" and parts[:2] == ["v1", "certificate"] and parts[4:] == ["revoke"]:
            return self._revoke(request, parts[2], parts[3])
        if request.method == "GET" and parts == ["v1", "ca"]:
            return json_answer(200, {"certificate_authorities": [
                {"id": 1, "name": "Other CA", "subject_dn": "CN=Other", "issuer_dn": "CN=Other", "expiration_date": "2035-01-01T00:00:00Z"},
                {"id": -42, "name": self.ca_name, "subject_dn": self.issuer.subject_dn, "issuer_dn": self.issuer.root_dn,
                 "expiration_date": "2035-01-01T00:00:00Z"}]})
        if request.method == "GET" and parts[:2] == ["v1", "ca"] and parts[3:] == ["certificate", "download"]:
            if normal_dn(parts[2]) != normal_dn(self.issuer.subject_dn):
                raise Error(404, "CA does not exist")
            return Answer(200, b"".join(self.issuer.chain), "application/octet-stream")
        raise Error(404, "no such resource")

    def _body(self, request, must, may):
        body = request.json()
        self.members(body, must, may)
        return body

    def _enrol(self, body):
        if body["certificate_authority_name"] != self.ca_name:
            raise Error(404, f"CA {body['certificate_authority_name']} does not exist")
        if body["certificate_profile_name"] != self.certificate_profile:
            raise Error(404, "certificate profile does not exist")
        if body["end_entity_profile_name"] != self.end_entity_profile:
            raise Error(404, "end entity profile does not exist")
        self.want(body["include_chain"] is True, "the chain is not asked for")
        self.want(len(body["password"]) >= 12, "a guessable enrolment code")
        if self.approval:
            return self._ask_for_approval(body)
        return self._issue(body)

    def _ask_for_approval(self, body):
        with self.lock:
            number = self.next_approval
            self.next_approval += 1
            self.waiting[number] = {"state": "waiting", "body": body}
        return self._waiting(number)

    def _waiting(self, number):
        document = {"status_code": 202, "info_message": f"Request with Id {number} is still waiting for approval"}
        if self.link:
            document["link"] = f"{BASE}/v1/certificate/{number}/finalize"
        return json_answer(202, document)

    def _finalize(self, request, number):
        self.want(re.fullmatch(r"-?\d{1,10}", number), "the number of a request is an int32")
        body = self._body(request, {"response_format": lambda v: v in ("P12", "BCFKS", "JKS", "DER"), "password": str},
                          {"key_alg": str, "key_spec": str})
        with self.lock:
            row = self.waiting.get(int(number))
        if row is None:
            raise Error(400, f"Could not find request with Id {number}")
        if row["state"] == "waiting":
            return self._waiting(int(number))
        if row["state"] == "denied":
            raise Error(400, f"Request with Id {number} has been rejected")
        self.want(body["password"] == row["body"]["password"], "another password than that of the enrolment")
        with self.lock:
            del self.waiting[int(number)]
        return self._issue(row["body"])

    def _issue(self, body):
        pem = body["certificate_request"].encode()
        if not pem.startswith(b"-----BEGIN CERTIFICATE REQUEST-----"):
            raise Error(400, "bad CSR")
        try:
            public = self.issuer.check_csr(pem)
        except ValueError as e:
            raise Error(400, str(e)) from None
        subject = self.issuer.csr_subject(pem)
        email = body.get("email") or re.search(r"email:([^\s,]+)", self.issuer.csr_text(pem)).group(1)
        if self.allowed_domain is not None and not email.endswith("@" + self.allowed_domain):
            raise Error(422, f"{email} is not allowed by the end entity profile")
        der, serial = self.issuer.issue(public, subject["commonName"][0], [email])
        with self.lock:
            self.users.setdefault(body["username"], []).append((der, serial))
            self.certs[serial.lower().lstrip("0")] = None
        chain = [base64.b64encode(der_of(one)).decode() for one in self.issuer.chain]
        if self.reversed_chain:
            chain.reverse()
        return json_answer(201, {"certificate": base64.b64encode(der).decode(), "serial_number": serial,
                                 "response_format": "DER", "certificate_chain": chain if body["include_chain"] else None})

    def _search(self, request, version):
        if not self.searchable:
            raise Error(404, "no such resource")
        must = {"criteria": list}
        if version == "v1":
            must["max_number_of_results"] = lambda v: isinstance(v, int) and 0 < v <= 400
        body = self._body(request, must, {"pagination": dict, "sort": dict} if version == "v2" else {})
        self.want(len(body["criteria"]) == 1, "one criterion")
        row = body["criteria"][0]
        self.members(row, {"property": lambda v: v == "QUERY", "value": str, "operation": lambda v: v == "EQUAL"})
        with self.lock:
            found = self.users.get(row["value"], [])
        encode = (lambda der: base64.b64encode(base64.b64encode(der)).decode()) if self.double \
            else (lambda der: base64.b64encode(der).decode())
        document = {"certificates": [{"certificate": encode(der), "serial_number": serial, "response_format": "DER",
                                      "certificate_chain": None} for der, serial in found]}
        if version == "v1":
            document["more_results"] = False
        return json_answer(200, document)

    def _revoke(self, request, issuer_dn, serial):
        self.want("," not in request.raw_path and "=" not in request.raw_path, "a DN in a path is percent-encoded whole")
        self.want(set(request.query) <= {"reason", "date", "invalidity_date"}, f"query {request.query}")
        reason = request.query.get("reason", [""])[0]
        self.want(reason in REASONS, f"reason {reason!r}")
        if normal_dn(issuer_dn) != normal_dn(self.issuer.subject_dn):
            raise Error(404, "CA does not exist")
        number = serial.lower().removeprefix("0x").lstrip("0")
        with self.lock:
            if number not in self.certs:
                raise Error(404, "certificate does not exist")
            if self.certs[number] is not None and reason != "KEY_COMPROMISE":
                raise Error(409, "certificate has already been revoked")
            self.certs[number] = reason
        return json_answer(200, {"issuer_dn": issuer_dn, "serial_number": serial, "revocation_reason": reason,
                                 "revocation_date": "2026-01-01T00:00:00Z", "message": "Successfully revoked", "revoked": True})


if __name__ == "__main__":
    with Ejbca(sys.argv[1], approval="--approval" in sys.argv) as ejbca:
        run_alone(ejbca, json.dumps({"base": ejbca.base, "trust": ejbca.cert, "client": ejbca.admin}))
