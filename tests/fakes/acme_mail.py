"""acme_mail - an ACME server for mailboxes, strictly from RFC 8555 and RFC 8823; shares no code with the handler.

    with AcmeMail(folder, send=..., inbox=..., dkim=...) as ca:      # ca.url + "/dir", ca.cert, ca.root
        ca.mail_at = "order"          # the challenge mail leaves with the order; "authorization": when that is asked for
        ca.join = "decoded"           # the parts of the token as what they decode to
        ca.nonce_rejects = 3          # so many good nonces are refused
        assert ca.complaints == []

send(sender, recipient, bytes) -> (code, text) hands mail to the site's MTA; inbox(address) -> [bytes] is what has come for
an address. dkim: (domain, selector, private key in PEM), and dkim_keys: the lookup of public keys. Needs
python3-cryptography and python3-dkim.
"""
import base64
import email
import email.policy
import email.utils
import hashlib
import json
import os
import re
import secrets
import sys
import threading
import time

import dkim
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
import datetime

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from server import Answer, Complaint, Fake, json_answer  # noqa: E402

ERROR = "urn:ietf:params:acme:error:"
KIND = "application/jose+json"
COVERED = ["from", "sender", "reply-to", "to", "cc", "subject", "date", "in-reply-to", "references", "message-id", "auto-submitted",
           "content-type", "content-transfer-encoding"]


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise Complaint(f"not base64url: {text!r}")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Problem(Exception):
    def __init__(self, status, kind, detail):
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail


def problem(status, kind, detail):
    return json_answer(status, {"type": ERROR + kind, "detail": detail, "status": status}, "application/problem+json")


class AcmeMail(Fake):
    def __init__(self, folder, send, inbox, dkim_key, dkim_lookup, address="acme@other.example", reply_to=None, **more):
        super().__init__(folder, **more)
        self.send, self.inbox, self.dkim_key, self.dkim_lookup = send, inbox, dkim_key, dkim_lookup
        self.address, self.reply_to = address, reply_to
        self.mail_at, self.join, self.nonce_rejects, self.duplicates, self.forge = "authorization", "string", 0, 0, None
        self.answer_seconds = 120
        self.gone_orders = 0  # so many are in the list that are not there any more
        self.window, self.asked_windows, self.replaced = None, [], []  # (start, end), RFC 9773
        self.nonces, self.accounts, self.orders, self.certificates, self.mails = set(), {}, {}, [], []
        self._make_ca()

    def _make_ca(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Fake Mail CA")])
        now = datetime.datetime.utcnow()
        self.ca = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=3650))
                   .add_extension(x509.BasicConstraints(True, None), True)
                   .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
                   .sign(self.key, hashes.SHA256()))
        self.root = os.path.join(self.folder, "root.pem")
        with open(self.root, "wb") as f:
            f.write(self.ca.public_bytes(serialization.Encoding.PEM))

    # --- RFC 8555 section 6 ---

    def bad(self, text):
        return self._with_nonce(problem(400, "malformed", text))

    def _with_nonce(self, answer):
        nonce = encode(secrets.token_bytes(16))
        with self.lock:
            self.nonces.add(nonce)
        answer.headers.append(("Replay-Nonce", nonce))
        answer.headers.append(("Link", f'<{self.url}/dir>;rel="index"'))
        return answer

    @staticmethod
    def _public(jwk):
        if jwk.get("kty") == "EC":
            if set(jwk) != {"kty", "crv", "x", "y"} or jwk["crv"] != "P-256":
                raise Complaint(f"JWK {jwk}")
            x, y = decode(jwk["x"]), decode(jwk["y"])
            if len(x) != 32 or len(y) != 32:
                raise Complaint("coordinates of another width")
            return ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()).public_key()
        if jwk.get("kty") == "RSA":
            if set(jwk) != {"kty", "n", "e"}:
                raise Complaint(f"JWK {jwk}")
            return rsa.RSAPublicNumbers(int.from_bytes(decode(jwk["e"]), "big"), int.from_bytes(decode(jwk["n"]), "big")).public_key()
        raise Complaint(f"JWK {jwk}")

    @staticmethod
    def _thumbprint(jwk):
        return encode(hashlib.sha256(json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()).digest())

    def _verify(self, jwk, algorithm, signed, signature):
        key = self._public(jwk)
        try:
            if algorithm == "ES256" and jwk["kty"] == "EC":
                self.want(len(signature) == 64, "an ES256 signature has 64 bytes")
                der = utils.encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
                key.verify(der, signed, ec.ECDSA(hashes.SHA256()))
            elif algorithm == "RS256" and jwk["kty"] == "RSA":
                key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
            else:
                raise Complaint(f"{algorithm} with {jwk['kty']}")
        except InvalidSignature:
            raise Complaint("the signature is wrong") from None

    def _open(self, request):
        """(payload or None for POST-as-GET, JWK, account URL or None)"""
        self.want(request.method == "POST", "not POST")
        self.want(request.header("Content-Type") == KIND, f"Content-Type {request.header('Content-Type')}")
        self.want(request.header("User-Agent") is not None or True, "")
        body = request.json()
        self.members(body, {"protected": str, "payload": str, "signature": str})
        header = json.loads(decode(body["protected"]))
        named = "jwk" if "jwk" in header else "kid"
        self.members(header, {"alg": str, "nonce": str, "url": str, named: dict if named == "jwk" else str})
        self.want(header["url"] == self.url + request.target, f"url {header['url']}")
        with self.lock:
            known = header["nonce"] in self.nonces
            self.nonces.discard(header["nonce"])
            if known and self.nonce_rejects > 0:
                self.nonce_rejects -= 1
                raise Problem(400, "badNonce", "not this one")
        self.want(known, "a nonce that was never given, or was used before")
        if named == "kid":
            if header["kid"] not in self.accounts:
                raise Problem(400, "accountDoesNotExist", "no such account")
            jwk = self.accounts[header["kid"]]["jwk"]
        else:
            jwk = header["jwk"]
        self._verify(jwk, header["alg"], f"{body['protected']}.{body['payload']}".encode(), decode(body["signature"]))
        payload = json.loads(decode(body["payload"])) if body["payload"] else None
        return payload, jwk, header.get("kid")

    def answer(self, request):
        parts = request.path.strip("/").split("/")
        if request.path == "/dir":
            self.want(request.method == "GET", "the directory is asked for with GET")
            return json_answer(200, {name: f"{self.url}/{path}" for name, path in (
                ("newNonce", "nonce"), ("newAccount", "new-account"), ("newOrder", "new-order"), ("revokeCert", "revoke"),
                ("keyChange", "key-change"), *([("renewalInfo", "renewal-info")] if self.window else []))} | {"meta": {"termsOfService": "https://ca.example/terms"}})
        if request.path == "/nonce":
            self.want(request.method in ("HEAD", "GET"), "a nonce is asked for with HEAD")
            return self._with_nonce(Answer(200 if request.method == "HEAD" else 204))
        if parts[0] == "renewal-info":
            return self._renewal_info(request, *parts[1:])
        try:
            payload, jwk, account = self._open(request)
            act = getattr(self, "_do_" + parts[0].replace("-", "_"), None)
            self.want(act is not None, "no such resource")
            self.want((account is None) == (parts[0] == "new-account") or parts[0] == "revoke", "named by kid, but for a new account")
            return self._with_nonce(act(payload, jwk, account, *parts[1:]))
        except Problem as why:
            return self._with_nonce(problem(why.status, why.kind, why.detail))

    # --- RFC 9773 ---

    @staticmethod
    def _certificate_id(cert):
        number = cert.serial_number
        key = cert.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        return encode(key) + "." + encode(number.to_bytes(number.bit_length() // 8 + 1, "big"))

    def _renewal_info(self, request, name):
        self.want(request.method == "GET" and self.window, "renewal information is asked for with GET")
        self.want(name in [self._certificate_id(cert) for cert in self.certificates], f"no certificate {name}")
        self.asked_windows.append(name)
        times = [datetime.datetime.utcfromtimestamp(t).strftime("%Y-%m-%dT%H:%M:%SZ") for t in self.window]
        return json_answer(200, {"suggestedWindow": dict(zip(("start", "end"), times))}, headers=[("Retry-After", "60")])

    # --- accounts and orders ---

    def _do_new_account(self, payload, jwk, _):
        self.members(payload, {}, {"termsOfServiceAgreed": bool, "contact": list, "onlyReturnExisting": bool})
        thumbprint = self._thumbprint(jwk)
        url = next((url for url, account in self.accounts.items() if account["jwk"] == jwk), f"{self.url}/account/{thumbprint}")
        new = url not in self.accounts
        if new:
            if payload.get("onlyReturnExisting"):
                raise Problem(400, "accountDoesNotExist", "no such account")
            if payload.get("termsOfServiceAgreed") is not True:
                raise Problem(403, "userActionRequired", "agree to the terms")
            self.accounts[url] = {"jwk": jwk}
        return json_answer(201 if new else 200, self._account(url), headers=[("Location", url)])

    def _do_key_change(self, payload, jwk, account):
        """RFC 8555 section 7.3.5"""
        self.members(payload, {"protected": str, "payload": str, "signature": str})
        header, inner = (json.loads(decode(payload[name])) for name in ("protected", "payload"))
        self.members(header, {"alg": str, "jwk": dict, "url": lambda v: v == f"{self.url}/key-change"})
        self.members(inner, {"account": lambda v: v == account, "oldKey": lambda v: v == jwk})
        self._verify(header["jwk"], header["alg"], f"{payload['protected']}.{payload['payload']}".encode(), decode(payload["signature"]))
        if any(one["jwk"] == header["jwk"] for one in self.accounts.values()):
            raise Problem(409, "malformed", "this key has an account")
        self.accounts[account]["jwk"] = header["jwk"]
        return json_answer(200, self._account(account))

    def _account(self, url):
        return {"status": "valid", "orders": url.replace("/account/", "/orders/")}

    def _do_account(self, payload, _jwk, account, name):
        self.want(payload is None and account.endswith("/" + name), "only a look at its own account")
        return json_answer(200, self._account(account))

    def _do_orders(self, payload, _jwk, account, name):
        self.want(payload is None and account.endswith("/" + name), "only a look at its own orders")
        gone = [f"{self.url}/order/gone-{n}" for n in range(self.gone_orders)]
        return json_answer(200, {"orders": gone + [order["url"] for order in self.orders.values() if order["account"] == account]})

    def _do_new_order(self, payload, jwk, account):
        self.members(payload, {"identifiers": list}, {"replaces": lambda v: self.window and isinstance(v, str)})
        self.want(len(payload["identifiers"]) == 1, "one mailbox")
        if "replaces" in payload:
            self.want(payload["replaces"] in [self._certificate_id(cert) for cert in self.certificates], "replaces nothing of ours")
            if payload["replaces"] in self.replaced:
                raise Problem(409, "alreadyReplaced", "another order has")
            self.replaced.append(payload["replaces"])
        identifier = payload["identifiers"][0]
        self.members(identifier, {"type": lambda t: t == "email", "value": lambda v: isinstance(v, str) and v.count("@") == 1})
        number = encode(secrets.token_bytes(9))
        order = {"number": number, "url": f"{self.url}/order/{number}", "account": account,
                 "mailbox": identifier["value"], "status": "pending", "challenge": "pending", "part2": encode(secrets.token_bytes(20)),
                 "part1": None, "certificate": None, "error": None, "finalized": 0, "replies": 0}
        with self.lock:
            self.orders[number] = order
        if self.mail_at == "order":
            answered = len(self.mails)
            self._mail(order)
            while len(self.mails) == answered and not self.stopped.wait(0.05):
                pass  # until the mail has been put off: nobody can know the challenge yet
        return json_answer(201, self._order(order), headers=[("Location", order["url"])])

    def _find(self, number, account):
        order = self.orders.get(number)
        if order is None or order["account"] != account:
            raise Problem(404, "malformed", "no such order")
        return order

    def _order(self, order):
        shown = {"status": order["status"], "expires": "2099-01-01T00:00:00Z", "finalize": f"{self.url}/finalize/{order['number']}",
                 "identifiers": [{"type": "email", "value": order["mailbox"]}],
                 "authorizations": [f"{self.url}/authorization/{order['number']}"]}
        if order["certificate"] is not None:
            shown["certificate"] = f"{self.url}/certificate/{order['number']}"
        return shown

    def _do_order(self, payload, _jwk, account, number):
        self.want(payload is None, "an order is only looked at")
        return json_answer(200, self._order(self._find(number, account)))

    def _challenge(self, order):
        shown = {"type": "email-reply-00", "url": f"{self.url}/challenge/{order['number']}", "status": order["challenge"],
                 "token": order["part2"], "from": self.address}
        if order["error"]:
            shown["error"] = {"type": ERROR + order["error"][0], "detail": order["error"][1]}
        return shown

    def _do_authorization(self, payload, _jwk, account, number):
        self.want(payload is None, "an authorization is only looked at")
        order = self._find(number, account)
        if self.mail_at == "authorization" and order["part1"] is None:
            self._mail(order)
        status = {"pending": "pending", "processing": "pending", "valid": "valid", "invalid": "invalid"}[order["challenge"]]
        return json_answer(200, {"status": status, "expires": "2099-01-01T00:00:00Z", "challenges": [self._challenge(order)],
                                 "identifier": {"type": "email", "value": order["mailbox"]}})

    def _do_challenge(self, payload, _jwk, account, number):
        order = self._find(number, account)
        if payload is not None:
            self.members(payload, {})
            with self.lock:
                if order["challenge"] == "pending":
                    order["challenge"] = "processing"
                    threading.Thread(target=self._judge, args=(order,), daemon=True).start()
        return json_answer(200, self._challenge(order), headers=[("Link", f'<{self.url}/authorization/{number}>;rel="up"')])

    def _do_finalize(self, payload, _jwk, account, number):
        order = self._find(number, account)
        self.members(payload, {"csr": str})
        order["finalized"] += 1
        if order["status"] != "ready":
            raise Problem(403, "orderNotReady", f"it is {order['status']}")
        order["certificate"] = self._issue(decode(payload["csr"]), order)
        order["status"] = "valid"
        return json_answer(200, self._order(order), headers=[("Location", order["url"])])

    def _do_certificate(self, payload, _jwk, account, number):
        self.want(payload is None, "a certificate is only looked at")
        order = self._find(number, account)
        pem = order["certificate"].public_bytes(serialization.Encoding.PEM) + self.ca.public_bytes(serialization.Encoding.PEM)
        return Answer(200, pem, "application/pem-certificate-chain")

    def _issue(self, der, order):
        csr = x509.load_der_x509_csr(der)
        self.want(csr.is_signature_valid, "the CSR is not signed by its key")
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.want([n.value for n in names] == [order["mailbox"]] and isinstance(names[0], x509.RFC822Name), f"names of the CSR: {names}")
        usage = csr.extensions.get_extension_for_class(x509.KeyUsage).value
        self.want(usage.digital_signature or usage.key_encipherment or usage.key_agreement, "a CSR without use")
        self.want(not list(csr.subject), f"the subject {csr.subject} was never proved")
        now = datetime.datetime.utcnow()
        agreed = isinstance(csr.public_key(), ec.EllipticCurvePublicKey)
        cert = (x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, order["mailbox"])]))
                .issuer_name(self.ca.subject).public_key(csr.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(days=2)).not_valid_after(now + datetime.timedelta(days=90))
                .add_extension(x509.BasicConstraints(False, None), True)
                .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(order["mailbox"])]), False)
                .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
                .add_extension(x509.KeyUsage(usage.digital_signature, False, usage.key_encipherment and not agreed, False,
                                             usage.key_agreement and agreed, False, False, False, False), True)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(csr.public_key()), False)
                .sign(self.key, hashes.SHA256()))
        self.certificates.append(cert)
        return cert

    # --- RFC 8823 section 3.1: the challenge mail ---

    def challenge_mail(self, order, token=None, sender=None, signed=True, message_id=None):
        sender = sender or self.address
        lines = [f"From: {sender}", f"To: {order['mailbox']}", f"Subject: ACME: {token or order['part1']}",
                 f"Date: {email.utils.formatdate()}", f"Message-ID: {message_id or email.utils.make_msgid(domain='other.example')}",
                 "Auto-Submitted: auto-generated; type=acme", "MIME-Version: 1.0", "Content-Type: text/plain", *(
                     [f"Reply-To: {self.reply_to}"] if self.reply_to else [])]
        message = ("\r\n".join(lines) + "\r\n\r\nThis is an automatically generated ACME challenge.\r\n").encode()
        if not signed:
            return message
        domain, selector, private = self.dkim_key
        there = [name.encode() for name in COVERED if re.search(rf"(?im)^{name}:", message.decode())]
        return dkim.sign(message, selector.encode(), domain.encode(), private, include_headers=there) + message

    def _mail(self, order):
        order["part1"] = encode(secrets.token_bytes(16))
        order["message_id"] = email.utils.make_msgid(domain="other.example")
        message = self.challenge_mail(order, message_id=order["message_id"])
        mails = [message] * (1 + self.duplicates)
        if self.forge is not None:
            mails = self.forge(self, order) + mails
        threading.Thread(target=self._deliver, args=(order, mails), daemon=True).start()

    def _deliver(self, order, mails):
        """As an MTA does it: what is put off is tried again."""
        for message in mails:
            for _ in range(120):
                code, text = self.send(self.address, order["mailbox"], message)
                with self.lock:
                    self.mails.append((code, text))
                if code // 100 != 4 or self.stopped.wait(0.5):
                    break

    # --- section 3.2: the answer to it ---

    def _judge(self, order):
        try:
            end = time.monotonic() + self.answer_seconds
            while not (found := self.inbox(self.reply_to or self.address, order["mailbox"])):
                if time.monotonic() > end:
                    raise Complaint("no answer has come")
                time.sleep(0.1)
            order["replies"] = len(found)
            self.want(len(found) == 1, f"{len(found)} answers")
            self.check_reply(order, found[0])
        except Complaint as why:
            with self.lock:
                self.complaints.append(f"answer of {order['mailbox']}: {why}")
            order["error"], order["challenge"], order["status"] = ("incorrectResponse", str(why)), "invalid", "invalid"
            return
        order["challenge"], order["status"] = "valid", "ready"

    def _digest(self, order):
        token = order["part1"] + order["part2"]
        if self.join == "decoded":
            token = encode(decode(order["part1"]) + decode(order["part2"]))
        thumbprint = self._thumbprint(self.accounts[order["account"]]["jwk"])
        return encode(hashlib.sha256(f"{token}.{thumbprint}".encode()).digest())

    def check_reply(self, order, raw):
        raw = re.sub(rb"(?s)\A.*?(?=^DKIM-Signature:)", b"", raw, flags=re.M) if b"DKIM-Signature:" in raw else raw
        message = email.message_from_bytes(raw, policy=email.policy.SMTP)

        def only(name):
            found = message.get_all(name) or []
            self.want(len(found) == 1, f"{len(found)} fields {name}")
            return str(found[0])
        sender = email.utils.getaddresses([only("From")])
        self.want([a for _, a in sender] == [order["mailbox"]], f"From {sender}")
        to = email.utils.getaddresses([only("To")])
        self.want([a for _, a in to] == [self.reply_to or self.address], f"To {to}")
        self.want(message.get("Cc") is None and message.get("Bcc") is None, "others are in it")
        self.want(only("In-Reply-To").strip() == order["message_id"], f"In-Reply-To {only('In-Reply-To')}")
        self.want(re.fullmatch(r"(Re: )?ACME: " + re.escape(order["part1"]), only("Subject")), f"Subject {only('Subject')}")
        self.want(only("Auto-Submitted").startswith("auto-replied"), "Auto-Submitted")
        only("Message-ID"), only("Date")
        self.want(message.get_content_type() == "text/plain", f"it is {message.get_content_type()}")
        body = message.get_content()
        found = re.fullmatch(r"\s*-----BEGIN ACME RESPONSE-----\r?\n([A-Za-z0-9_=\r\n-]+?)\r?\n-----END ACME RESPONSE-----\s*", body)
        self.want(found is not None, f"the body is {body!r}")
        digest = re.sub(r"[\r\n=]", "", found[1])
        self.want(digest == self._digest(order), f"the digest is {digest}, not {self._digest(order)}")
        self._check_dkim(raw, order["mailbox"].split("@")[1])

    def _check_dkim(self, raw, domain):
        raw = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        verifier = dkim.DKIM(raw)
        try:
            good = verifier.verify(dnsfunc=self.dkim_lookup)
        except dkim.DKIMException as why:
            raise Complaint(f"DKIM: {why}") from None
        self.want(good and verifier.domain.decode() == domain, "no DKIM signature of the mailbox's domain that verifies")
        missing = {"from", "to", "subject", "in-reply-to", "message-id"} - {name.decode().lower() for name, _ in verifier.signed_headers}
        self.want(not missing, f"DKIM does not cover {missing}")
