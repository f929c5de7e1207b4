#!/usr/bin/env python3
"""epki - a fake of GlobalSign's EPKI service (GasOrderService, SOAP 1.1), written from public sources.

Switches, for what could not be verified: qualified (elements inside of an operation are in the namespace: True, False, or
None for both), lower (answers spell element names in lower case first letters), warnings (SuccessCode 1), withhold
(certificates come with the N-th question only).
"""
import base64
import os
import re
import secrets
import sys
import time
import xml.etree.ElementTree as xml

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from issuer import Issuer, pem_of  # noqa: E402
from server import Answer, Complaint, Fake, openssl, run_alone  # noqa: E402

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
SPACE = "https://system.globalsign.com/cr/ws/"
# Elements in their order; a * repeats, a ? may be missing, a tuple is an element with elements.
TOKEN = ("AuthToken", ["UserName", "Password"])
OPERATIONS = {
    "OrderAndIssueCertificate": [
        ("OrderRequestHeader", [TOKEN]), "ProfileID", "ProductCode", "Year", "CSR", "EFSOption?", "UPN?",
        ("DnAttributes", ["CommonName", "OrganizationUnit*", "Email"]), "PickupPassword",
        ("CertificateTemplate?", ["Template", "MajorVersion", "MinorVersion"])],
    "GetOrderByOrderId": [
        ("QueryRequestHeader", [TOKEN]), "OrderNo",
        ("OrderQueryOption?", ["ReturnCertificateInfo?", "ReturnFulfillment?", "ReturnP7?", "ReturnModEvents?"])],
    "GetOrders": [
        ("QueryRequestHeader", [TOKEN]),
        ("OrderQueryParam", ["ProductCode?", "ProfileOrderNo?", "LicenseOrderNo?", "OrderState?", "CertState?",
                             "RequestDateFrom?", "RequestDateTo?", "IssueDateFrom?", "IssueDateTo?", "CommonName?"]),
        ("OrdersQueryOption?", ["ReturnCertificateInfo?", "ReturnFulfillment?"])],
    "GetProfiles": [("QueryRequestHeader", [TOKEN]), ("ProfileQueryParam", ["ProfileOrderNo?", "ProfileOrderState?"])],
    "Revoke": [("OrderRequestHeader", [TOKEN]), "OrderID"],
}
ISSUED, PENDING, REVOKED, DENIED = "4", "8", "7", "10"


class Refused(Exception):
    def __init__(self, code, field, text):
        super().__init__(text)
        self.code, self.field = code, field


def escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Epki(Fake):
    username, password, profile = "PAR00001_gateway", "epki-secret <&> " + secrets.token_hex(6), "MP201901010001"

    def __init__(self, folder, qualified=None, lower=False, warnings=False, withhold=0, approval=False, profiles=None, **how):
        self.issuer = Issuer(os.path.join(folder, "ca"), "EPKI")
        self.qualified, self.lower, self.warnings, self.withhold = qualified, lower, warnings, withhold
        self.approval = approval
        self.accounts = {self.username: self.password}
        self.profiles = profiles or {self.profile: "Inside Ltd"}
        self.orders, self.pickups, self.refuse = {}, set(), None
        super().__init__(folder, **how)
        self.base = self.url + "/cr/ws/GasOrderService"

    def bad(self, text):
        return self._fault("Client", text)

    def _envelope(self, status, inner):
        text = f'<?xml version="1.0" encoding="UTF-8"?><S:Envelope xmlns:S="{SOAP}"><S:Body>{inner}</S:Body></S:Envelope>'
        return Answer(status, text.encode(), "text/xml;charset=utf-8")

    def _fault(self, code, text):
        return self._envelope(500, f"<S:Fault><faultcode>S:{code}</faultcode><faultstring>{escape(text)}</faultstring></S:Fault>")

    # --- reading, strictly ---

    def _name(self, element, inside=True):
        space, _, name = element.tag[1:].partition("}") if element.tag.startswith("{") else ("", "", element.tag)
        if inside and self.qualified is not None:
            self.want((space == SPACE) == self.qualified, f"{name} is {'' if space else 'not '}qualified")
        self.want(space in ("", SPACE), f"{name} is in the namespace {space}")
        return name

    def _read(self, elements, shape):
        """Children against their shape -> {name: text, [texts], or dict}."""
        found, at = {}, 0
        self.want(not any(e.attrib for e in elements), "attributes")
        for row in shape:
            spelt, inner = row if isinstance(row, tuple) else (row, None)
            name, how = spelt.rstrip("*?"), spelt[-1]
            values = []
            while at < len(elements) and self._name(elements[at]) == name:
                element = elements[at]
                at += 1
                values.append(self._read(list(element), inner) if inner is not None else self._leaf(element))
                if how != "*":
                    break
            self.want(values or how in "*?", f"{name} is missing, or not in its place")
            if values or how == "*":
                found[name] = values if how == "*" else values[0]
        self.want(at == len(elements), f"{self._name(elements[at]) if at < len(elements) else ''} is not known here")
        return found

    def _leaf(self, element):
        self.want(len(element) == 0, f"{element.tag} has elements")
        return element.text or ""

    def answer(self, request):
        self.want(request.method == "POST" and request.path == "/cr/ws/GasOrderService", "not the service")
        self.want((request.header("Content-Type") or "").replace(" ", "").lower() == "text/xml;charset=utf-8", "media type")
        self.want(request.header("SOAPAction") in ('""', ""), "SOAPAction is empty")
        self.want(b"<!" not in request.body, "a DTD, comment or CDATA")
        try:
            root = xml.fromstring(request.body)
        except xml.ParseError as e:
            raise Complaint(f"not XML: {e}") from None
        self.want(root.tag == f"{{{SOAP}}}Envelope" and [e.tag for e in root] == [f"{{{SOAP}}}Body"], "not an envelope")
        self.want(len(root[0]) == 1 and root[0][0].tag.startswith("{" + SPACE + "}"), "one operation of the service")
        operation = self._name(root[0][0], inside=False)
        self.want(operation in OPERATIONS, f"no operation {operation}")
        with self.lock:
            self.seen.append(operation)
        self.want([self._name(e) for e in root[0][0]] == ["Request"], "one Request")
        asked = self._read(list(root[0][0][0]), OPERATIONS[operation])
        try:
            self._log_in(next(iter(asked.values()))["AuthToken"])
            if self.refuse is not None and operation == "OrderAndIssueCertificate":
                raise Refused(*self.refuse)
            inner = getattr(self, "_" + operation)(asked)
            success, errors = (1 if self.warnings else 0), ""
        except Refused as e:
            inner, success = "", -1
            errors = (f"<Errors><Error><ErrorCode>{e.code}</ErrorCode><ErrorField>{escape(e.field)}</ErrorField>"
                      f"<ErrorMessage>{escape(e)}</ErrorMessage></Error></Errors>")
        return self._respond(operation, success, errors, inner)

    def _respond(self, operation, success, errors, inner):
        header = "QueryResponseHeader" if operation.startswith("Get") else \
            "orderResponseHeader" if operation == "Revoke" else "OrderResponseHeader"
        text = (f"<{header}><SuccessCode>{success}</SuccessCode>{errors}<Timestamp>2026-01-01T00:00:00.000Z</Timestamp></{header}>"
                f"{inner}")
        if self.lower:
            text = re.sub(r"<(/?)([A-Z])", lambda m: f"<{m[1]}{m[2].lower()}", text)
        if self.qualified is not False:
            text = re.sub(r"<(/?)([A-Za-z])", r"<\1ns2:\2", text)
            response = f"<ns2:Response>{text}</ns2:Response>"
        else:
            response = f"<Response>{text}</Response>"
        return self._envelope(200, f'<ns2:{operation}Response xmlns:ns2="{SPACE}">{response}</ns2:{operation}Response>')

    def _log_in(self, token):
        if self.accounts.get(token["UserName"]) != token["Password"]:
            raise Refused(-4001, "UserName", "Login failure: user name or password is invalid")

    # --- operations ---

    def _OrderAndIssueCertificate(self, asked):
        if asked["ProfileID"] not in self.profiles:
            raise Refused(-101, "ProfileID", "Invalid parameter entered")
        self.want(re.fullmatch("[123]", asked["Year"]), "Year is 1 to 3")
        self.want(asked.get("EFSOption", "false") in ("true", "false"), "EFSOption is a boolean")
        self.want(len(asked["PickupPassword"]) >= 8, "a guessable pickup password")
        with self.lock:
            self.pickups.add(asked["PickupPassword"])
        names = asked["DnAttributes"]
        try:
            public = self.issuer.check_csr(asked["CSR"].encode())
        except ValueError:
            raise Refused(-104, "CSR", "Format error") from None
        number = f"CE{time.time_ns() % 10**14:014d}"
        row = {"status": PENDING, "names": names, "product": asked["ProductCode"], "profile": asked["ProfileID"],
               "years": int(asked["Year"]), "public": public, "at": time.time(), "der": None, "asked": 0}
        with self.lock:
            self.orders[number] = row
        if not self.approval:
            self.issue(number)
        shown = "" if self.withhold or row["der"] is None else f"<CERT>{escape(pem_of(row['der']).decode())}</CERT>"
        return f"<OrderID>{number}</OrderID>{shown}"

    def issue(self, number):
        row = self.orders[number]
        row["der"], row["serial"] = self.issuer.issue(row["public"], row["names"]["CommonName"], [row["names"]["Email"]],
                                                      365 * row["years"])
        row["status"] = ISSUED

    def _detail(self, number, row, chain):
        ready = row["der"] is not None and row["asked"] >= self.withhold
        status = row["status"] if ready or row["der"] is None else PENDING
        text = f"<OrderInfo><OrderNo>{number}</OrderNo><OrderStatus>{status}</OrderStatus><ProductCode>{row['product']}</ProductCode></OrderInfo>"
        names = row["names"]
        text += (f"<CrCertificateInfo><CertificateStatus>{status}</CertificateStatus>"
                 + (f"<SerialNumber>{row['serial'].lower()}</SerialNumber>" if ready else "")
                 + f"<Email>{escape(names['Email'])}</Email><CommonName>{escape(names['CommonName'])}</CommonName></CrCertificateInfo>")
        if ready:
            text += f"<Fulfillment><CrCertificate><Certificate>{pem_of(row['der']).decode()}</Certificate>"
            if chain:
                text += f"<PKCS7Cert>{base64.b64encode(self._pkcs7(row)).decode()}</PKCS7Cert>"
            text += "</CrCertificate></Fulfillment>"
        return f"<OrderDetail>{text}</OrderDetail>"

    def _pkcs7(self, row):
        path = os.path.join(self.folder, "p7-" + secrets.token_hex(4))
        with open(path, "wb") as f:
            f.write(pem_of(row["der"]) + b"".join(self.issuer.chain))
        return openssl("crl2pkcs7", "-nocrl", "-certfile", path, "-outform", "DER")

    def _GetOrderByOrderId(self, asked):
        row = self.orders.get(asked["OrderNo"])
        if row is None:
            raise Refused(-101, "OrderNo", "no such order")
        option = asked.get("OrderQueryOption", {})
        self.want(all(value == "true" for value in option.values()), "options are true")
        row["asked"] += 1
        return (f"<OrderNo>{asked['OrderNo']}</OrderNo>"
                + self._detail(asked["OrderNo"], row, option.get("ReturnP7") == "true"))

    def _GetOrders(self, asked):
        param = asked["OrderQueryParam"]
        stamps = [time.mktime(time.strptime(param[name], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
                  for name in ("RequestDateFrom", "RequestDateTo")]
        with self.lock:
            found = [(number, row) for number, row in self.orders.items()
                     if row["names"]["CommonName"] == param["CommonName"] and stamps[0] <= row["at"] <= stamps[1]]
        return (f"<TotalCount>{len(found)}</TotalCount><OrderDetails>"
                + "".join(self._detail(number, row, False) for number, row in found) + "</OrderDetails>")

    def _GetProfiles(self, asked):
        wanted = asked["ProfileQueryParam"].get("ProfileOrderNo")
        rows = [(ident, name) for ident, name in self.profiles.items() if wanted in (None, ident)]
        return (f"<TotalCount>{len(rows)}</TotalCount><ProfileDetails>" + "".join(
            f"<ProfileDetail><ProfileInfo><ProfileOrderNo>{ident}</ProfileOrderNo></ProfileInfo><ProfileDnAttributes><Organization>"
            f"{escape(name)}</Organization></ProfileDnAttributes></ProfileDetail>" for ident, name in rows) + "</ProfileDetails>")

    def _Revoke(self, asked):
        row = self.orders.get(asked["OrderID"])
        if row is None:
            raise Refused(-101, "OrderID", "no such order")
        if row["status"] != ISSUED:
            raise Refused(-201, "OrderID", "the order is in another state")
        row["status"] = REVOKED
        return f"<orderNo>{asked['OrderID']}</orderNo>"


if __name__ == "__main__":
    with Epki(sys.argv[1]) as epki:
        run_alone(epki, epki.base, epki.cert)
