#!/usr/bin/env python3
"""atlas - a fake of GlobalSign Atlas (HVCA REST v2), written from public sources.

Switches, for what could not be verified: need_serial (X-SSL-Client-Serial is required), retry_after (429 says when to
come again), token_prefixed (tokens of claims come with the prefix of the TXT record), listed_stats.

    fake = Atlas(folder, policy=policy(key_format="PKCS10"), ready_after=2)   # 202 twice, then the certificate
    fake.txt["example.org"] = ["..."]                                         # what its resolver sees
"""
import base64
import json
import os
import re
import secrets
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from issuer import EMAIL_PROTECTION, Issuer, pem_of  # noqa: E402
from server import Answer, Fake, json_answer, openssl, run_alone  # noqa: E402

BASE = "/v2"
PROBLEM = "application/problem+json"
REASONS = {"unspecified", "affiliationChanged", "keyCompromise", "superseded", "cessationOfOperation", "privilegeWithdrawn"}
SUBJECT = {"common_name", "given_name", "surname", "country", "state", "locality", "street_address", "organization",
           "organization_identifier", "organizational_unit", "postal_code", "email", "serial_number", "business_category",
           "jurisdiction_of_incorporation_locality_name", "jurisdiction_of_incorporation_state_or_province_name",
           "jurisdiction_of_incorporation_country_name", "extra_attributes"}
USAGES = {"digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
          "key_certificate_sign", "crl_sign", "encipher_only", "decipher_only"}
PREFIX = "globalsign-domain-verification="


def policy(key_type="ECDSA", lengths=(256, 384), key_format="PKCS8", signature="REQUIRED", domain="inside\\.example",
           seconds=(3600, 71280000), **subject):
    """A policy for mail certificates; subject: rules in place of those of subject_dn."""
    rules = {"common_name": {"presence": "REQUIRED", "format": "^.{1,64}$"},
             "organization": {"presence": "STATIC", "format": "Inside Ltd"},
             "organizational_unit": {"static": False, "list": [], "mincount": 0, "maxcount": 0},
             "country": {"presence": "STATIC", "format": "GB"},
             "given_name": {"presence": "OPTIONAL", "format": "^[A-Za-z -]+$"},
             "surname": {"presence": "OPTIONAL", "format": "^[A-Za-z -]+$"},
             "email": {"presence": "FORBIDDEN", "format": ""}}
    rules.update(subject)
    nothing = {"static": False, "list": [], "mincount": 0, "maxcount": 0}
    return {"validity": {"secondsmin": seconds[0], "secondsmax": seconds[1], "not_before_negative_skew": 600,
                         "not_before_positive_skew": 600},
            "subject_dn": rules,
            "san": {"dns_names": nothing, "uris": nothing, "ip_addresses": nothing,
                    "emails": {"static": False, "list": ["^[A-Za-z0-9._+-]+@" + domain + "$"], "mincount": 1, "maxcount": 2}},
            "extended_key_usages": {"ekus": {"static": False, "list": ["^1\\.3\\.6\\.1\\.5\\.5\\.7\\.3\\.[24]$"], "mincount": 1,
                                             "maxcount": 2}, "critical": False},
            "key_usages": {"digital_signature": "STATIC_TRUE", "key_agreement": "OPTIONAL", "key_encipherment": "OPTIONAL"},
            "public_key": {"key_type": key_type, "allowed_lengths": list(lengths), "key_format": key_format},
            "public_key_signature": signature,
            "signature": {"algorithm": {"presence": "OPTIONAL", "list": ["RSA", "ECDSA"]},
                          "hash_algorithm": {"presence": "REQUIRED", "list": ["SHA-384", "SHA-256"]}}}


class Problem(Exception):
    def __init__(self, status, text, headers=()):
        super().__init__(text)
        self.status, self.headers = status, headers


def problem(status, text, headers=()):
    return json_answer(status, {"type": "about:blank", "status": status, "description": text}, PROBLEM, headers)


class Atlas(Fake):
    api_key, api_secret = "0123456789abcdef", "atlas-secret-" + secrets.token_hex(8)

    def __init__(self, folder, rules=None, ready_after=0, need_serial=False, retry_after=None, token_prefixed=False,
                 listed_stats=True, quota=1000, **how):
        self.issuer = Issuer(os.path.join(folder, "ca"), "Atlas")
        self.account = self.issuer.client_certificate("atlas account")
        self.rules, self.ready_after, self.need_serial = rules or policy(), ready_after, need_serial
        self.retry_after, self.token_prefixed, self.listed_stats, self.quota = retry_after, token_prefixed, listed_stats, quota
        self.tokens, self.certs, self.claims, self.txt = set(), {}, {}, {}
        super().__init__(folder, clients=self.issuer.path("ca.pem"), **how)
        self.base = self.url + BASE

    def bad(self, text):
        return problem(400, text)

    def forget_tokens(self):
        with self.lock:
            self.tokens.clear()

    # --- the interface ---

    def answer(self, request):
        try:
            return self._answer(request)
        except Problem as e:
            return problem(e.status, str(e), e.headers)

    def _answer(self, request):
        self.want(request.client is not None, "no client certificate")
        self.want(request.raw_path.startswith(BASE + "/"), "not below the base")
        if self.need_serial:
            number = format(int(request.client["serialNumber"], 16), "X")
            self.want(request.header("X-SSL-Client-Serial") == number, f"X-SSL-Client-Serial is not {number}")
        if request.body:
            self.want(request.header("Content-Type") == "application/json;charset=utf-8", "the media type with its charset")
        parts = request.path[len(BASE) + 1:].split("/")
        if parts == ["login"]:
            return self._login(request)
        authorization = request.header("Authorization")
        if authorization is None or authorization.removeprefix("Bearer ") not in self.tokens:
            raise Problem(401, "token is missing or has expired")
        found = getattr(self, f"_{request.method.lower()}_{parts[0]}", None)
        if found is None:
            raise Problem(404, "no such endpoint")
        return found(request, parts[1:])

    def _login(self, request):
        self.want(request.method == "POST", "a log-in is POSTed")
        self.want(request.header("Authorization") is None, "a log-in with a token")
        body = request.json()
        self.members(body, {"api_key": str, "api_secret": str})
        if body != {"api_key": self.api_key, "api_secret": self.api_secret}:
            raise Problem(401, "invalid credentials")
        token = secrets.token_urlsafe(40)
        with self.lock:
            self.tokens.add(token)
        return json_answer(200, {"access_token": token})

    def _get_validationpolicy(self, request, parts):
        return json_answer(200, self.rules)

    def _get_trustchain(self, request, parts):
        return json_answer(200, [pem.decode() for pem in self.issuer.chain])

    def _get_quotas(self, request, parts):
        self.want(parts == ["issuance"], "quotas/issuance")
        return json_answer(200, {"value": self.quota})

    def _get_counters(self, request, parts):
        self.want(parts[0] == "certificates" and parts[1] in ("issued", "revoked"), "counters/certificates/...")
        return json_answer(200, {"value": len(self.certs)})

    # --- certificates ---

    def _judge_text(self, name, rule, value):
        presence = rule["presence"]
        self.want(presence not in ("STATIC", "FORBIDDEN") or value is None, f"{name} is {presence} and was sent")
        if presence == "REQUIRED" and value is None:
            raise Problem(422, f"{name} is required")
        if value is not None and not re.search(rule["format"], value):
            raise Problem(422, f"{name} does not match")

    def _judge_list(self, name, rule, values):
        if rule["static"]:
            self.want(values is None, f"{name} is static and was sent")
            return
        self.want(values is None or values, f"{name} is an empty list")
        count = len(values or [])
        if not rule["mincount"] <= count <= rule["maxcount"]:
            raise Problem(422, f"{name} has {count} values")
        for value in values or []:
            if not any(re.search(expression, value) for expression in rule["list"]):
                raise Problem(422, f"{name} {value} does not match")

    def _public_key(self, body):
        rules = self.rules["public_key"]
        text = body["public_key"]
        if rules["key_format"] == "PKCS10":
            self.want(not text.endswith("\n"), "a line end after the request")
            self.want("public_key_signature" not in body, "a signature beside a PKCS#10")
            public = self.issuer.check_csr(text.encode() + b"\n")
        else:
            self.want(text.startswith("-----BEGIN PUBLIC KEY-----"), "not a PEM public key")
            public = openssl("pkey", "-pubin", "-in", "/dev/stdin", stdin=text.encode() + b"\n")
            self._check_signature(body, public)
        details = openssl("pkey", "-pubin", "-noout", "-text_pub", "-in", "/dev/stdin", stdin=public).decode()
        bits = int(re.search(r"\((\d+) bit", details).group(1))
        kind = "ECDSA" if "ASN1 OID" in details else "RSA"
        if kind != rules["key_type"] or bits not in rules["allowed_lengths"]:
            raise Problem(422, f"a key of {kind} {bits}")
        return public

    def _check_signature(self, body, public):
        presence = self.rules["public_key_signature"]
        given = body.get("public_key_signature")
        self.want(presence != "FORBIDDEN" or given is None, "public_key_signature is FORBIDDEN")
        if given is None:
            if presence == "REQUIRED":
                raise Problem(422, "public_key_signature is required")
            return
        base = os.path.join(self.folder, "pop-" + secrets.token_hex(4))
        for suffix, data in ((".pub", public), (".sig", base64.b64decode(given, validate=True)),
                             (".der", openssl("pkey", "-pubin", "-outform", "DER", "-in", "/dev/stdin", stdin=public))):
            with open(base + suffix, "wb") as f:
                f.write(data)
        try:
            openssl("dgst", "-sha256", "-verify", base + ".pub", "-signature", base + ".sig", base + ".der")
        except RuntimeError:
            raise Problem(422, "public_key_signature is wrong") from None

    def _post_certificates(self, request, parts):
        self.want(not parts, "certificates are POSTed to /certificates")
        body = request.json()
        texts = dict.fromkeys(SUBJECT - {"organizational_unit", "extra_attributes"}, str)
        self.members(body, {"validity": dict, "public_key": str},
                     {"subject_dn": dict, "san": dict, "extended_key_usages": list, "key_usages": dict, "signature": dict,
                      "public_key_signature": str})
        self.members(body["validity"], {"not_before": int, "not_after": int})
        subject, san = body.get("subject_dn", {}), body.get("san", {})
        self.members(subject, {}, {**texts, "organizational_unit": list})
        self.members(san, {}, {"emails": list, "dns_names": list, "ip_addresses": list, "uris": list})
        for name, rule in self.rules["subject_dn"].items():
            judge = self._judge_list if "static" in rule else self._judge_text
            judge(f"subject_dn.{name}", rule, subject.get(name))
        for name in subject:
            self.want(name in self.rules["subject_dn"], f"subject_dn.{name} is not in the policy")
        for name, rule in self.rules["san"].items():
            self._judge_list(f"san.{name}", rule, san.get(name))
        self._judge_list("extended_key_usages", self.rules["extended_key_usages"]["ekus"], body.get("extended_key_usages"))
        for name, value in body.get("key_usages", {}).items():
            self.want(name in USAGES and isinstance(value, bool), f"key_usages.{name}")
            self.want(self.rules["key_usages"].get(name) == "OPTIONAL", f"key_usages.{name} is not open")
        self._judge_signature(body.get("signature", {}))
        days = self._judge_validity(body["validity"])
        public = self._public_key(body)
        if self.quota <= 0:
            raise Problem(403, "issuance quota exceeded")
        der, serial = self.issuer.issue(public, subject.get("common_name", ""), san["emails"], days,
                                        body.get("extended_key_usages") or [EMAIL_PROTECTION])
        with self.lock:
            self.quota -= 1
            self.certs[serial] = {"der": der, "status": "ISSUED", "wait": self.ready_after, "at": int(time.time())}
        return Answer(201, headers=[("Location", f"{self.base}/certificates/{serial}")])

    def _judge_signature(self, given):
        for name, rule in self.rules["signature"].items():
            if rule["presence"] == "REQUIRED" and given.get(name) not in rule["list"]:
                raise Problem(422, f"signature.{name} is required")
            self.want(name not in given or rule["presence"] in ("REQUIRED", "OPTIONAL"), f"signature.{name}")
        self.want(set(given) <= {"algorithm", "hash_algorithm"}, "signature")

    def _judge_validity(self, validity):
        rules, now = self.rules["validity"], time.time()
        if not now - rules["not_before_negative_skew"] <= validity["not_before"] <= now + rules["not_before_positive_skew"]:
            raise Problem(422, "not_before is too far away")
        seconds = rules["secondsmax"] if validity["not_after"] == 0 else validity["not_after"] - validity["not_before"]
        if not rules["secondsmin"] <= seconds <= rules["secondsmax"]:
            raise Problem(422, "validity is out of range")
        return max(seconds // 86400, 1)

    def _find(self, parts):
        self.want(len(parts) == 1 and re.fullmatch("[0-9A-F]+", parts[0]), "a serial number in upper-case hex")
        with self.lock:
            row = self.certs.get(parts[0])
        if row is None:
            raise Problem(404, "unknown serial number")
        return row

    def _get_certificates(self, request, parts):
        row = self._find(parts)
        with self.lock:
            row["wait"] -= 1
            if row["wait"] >= 0:
                return Answer(202)
        return json_answer(200, {"certificate": pem_of(row["der"]).decode(), "status": row["status"], "updated_at": row["at"]})

    def _patch_certificates(self, request, parts):
        row = self._find(parts)
        body = request.json()
        self.members(body, {"revocation_reason": lambda v: v in REASONS}, {"revocation_time": int})
        if row["status"] == "REVOKED":
            raise Problem(422, "already revoked")
        row["status"], row["reason"] = "REVOKED", body["revocation_reason"]
        return Answer(204)

    def _get_stats(self, request, parts):
        self.want(parts in (["issued"], ["expiring"], ["revoked"]), "stats")
        if not self.listed_stats:
            raise Problem(403, "not permitted")
        self.want(set(request.query) <= {"page", "per_page", "from", "to"}, f"query {request.query}")
        page, size = int(request.query["page"][0]), int(request.query["per_page"][0])
        self.want(1 <= size <= 100, "per_page")
        first, last = int(request.query["from"][0]), int(request.query["to"][0])
        with self.lock:
            rows = [{"serial_number": serial, "not_before": row["at"], "not_after": row["at"] + 86400}
                    for serial, row in self.certs.items() if first <= row["at"] <= last]
        return json_answer(200, rows[(page - 1) * size:page * size], headers=[("Total-Count", str(len(rows)))])

    # --- claims ---

    def _shown(self, claim):
        return {name: claim[name] for name in ("id", "status", "domain", "created_at", "expires_at", "assert_by", "token", "log")}

    def _claim(self, ident):
        with self.lock:
            row = self.claims.get(ident)
        if row is None:
            raise Problem(404, "unknown claim")
        return row

    def _get_claims(self, request, parts):
        self.want(parts and parts[0] == "domains", "claims/domains")
        if len(parts) == 2:
            return json_answer(200, self._shown(self._claim(parts[1])))
        self.want(set(request.query) <= {"page", "per_page", "status"}, f"query {request.query}")
        wanted = request.query.get("status", [None])[0]
        self.want(wanted in (None, "PENDING", "VERIFIED"), "status")
        page, size = int(request.query.get("page", ["1"])[0]), int(request.query.get("per_page", ["100"])[0])
        with self.lock:
            rows = [self._shown(row) for row in self.claims.values() if wanted in (None, row["status"])]
        return json_answer(200, rows[(page - 1) * size:page * size], headers=[("Total-Count", str(len(rows)))])

    def _post_claims(self, request, parts):
        self.want(parts and parts[0] == "domains", "claims/domains")
        if len(parts) == 2:
            return self._new_claim(request, parts[1])
        row = self._claim(parts[1])
        if parts[2] == "reassert":
            row["token"], row["assert_by"] = self._token(), int(time.time()) + 30 * 86400
            return json_answer(200, {"token": row["token"], "assert_by": row["assert_by"], "id": row["id"]})
        self.want(parts[2] == "dns", "validation by DNS")
        domain = row["domain"].rstrip(".")
        if request.body:
            body = request.json()
            self.members(body, {"authorization_domain": lambda v: isinstance(v, str) and v})
            domain = body["authorization_domain"]
            self.want(row["domain"].rstrip(".") == domain or row["domain"].rstrip(".").endswith("." + domain),
                      "an authorization domain above the domain")
        with self.lock:
            good = PREFIX + row["token"].removeprefix(PREFIX) in self.txt.get(domain, [])
            row["log"].append({"status": "SUCCESS" if good else "ERROR", "timestamp": int(time.time()),
                               "description": "TXT record found" if good else "no TXT record with the token"})
            if good:
                row["status"], row["expires_at"] = "VERIFIED", int(time.time()) + 365 * 86400
        return Answer(204 if good else 201)

    def _token(self):
        return (PREFIX if self.token_prefixed else "") + secrets.token_hex(16)

    def _new_claim(self, request, domain):
        self.want(not request.body, "a claim has no body")
        self.want(re.fullmatch(r"[a-z0-9.-]+\.[a-z]+", domain), f"domain {domain!r}")
        ident, now = secrets.token_hex(12).upper(), int(time.time())
        row = {"id": ident, "status": "PENDING", "domain": domain + ".", "created_at": now, "expires_at": 0,
               "assert_by": now + 30 * 86400, "token": self._token(), "log": []}
        with self.lock:
            self.claims[ident] = row
        return json_answer(201, {"token": row["token"], "assert_by": row["assert_by"], "id": ident},
                           headers=[("Location", f"{self.base}/claims/domains/{ident}")])

    def _delete_claims(self, request, parts):
        self.want(len(parts) == 2 and not request.body, "a claim is deleted by its id")
        self._claim(parts[1])
        with self.lock:
            del self.claims[parts[1]]
        return Answer(204)


if __name__ == "__main__":
    with Atlas(sys.argv[1]) as atlas:
        run_alone(atlas, json.dumps({"base": atlas.base, "trust": atlas.cert, "client": atlas.account}))
