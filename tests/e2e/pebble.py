"""pebble - Let's Encrypt's test server with its DNS, for tests of ACME (RFC 8555)."""
import json
import os
import shutil
import ssl
import subprocess
import urllib.request

from harness import Process, can_connect, wait_until
from ports import free_port


def installed():
    return shutil.which("pebble") is not None and shutil.which("pebble-challtestsrv") is not None


class Pebble:
    """http_port: where it asks for http-01. Its accounts and orders are gone when it stops."""

    def __init__(self, folder, http_port, bindings=None, **environment):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.bindings = folder, bindings or {}
        self.port, self.management, self.dns, self.dns_management = (free_port() for _ in range(4))
        self.http_port = http_port
        self.cert = os.path.join(folder, "tls.pem")
        self.log = os.path.join(folder, "pebble.log")
        self.url = f"https://127.0.0.1:{self.port}/dir"
        self._certificate()
        config = os.path.join(folder, "config.json")
        with open(config, "w") as f:
            json.dump({"pebble": {
                "listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{self.management}",
                "certificate": self.cert, "privateKey": self.cert + ".key", "httpPort": http_port, "tlsPort": free_port(),
                "ocspResponderURL": "", "externalAccountBindingRequired": bool(self.bindings),
                "externalAccountMACKeys": self.bindings}}, f)
        env = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": "0", **environment}
        self.server = Process("pebble", ["pebble", "-strict", "-config", config, "-dnsserver", f"127.0.0.1:{self.dns}"], self.log, env)
        self.names = Process("challtestsrv", [
            "pebble-challtestsrv", "-dns01", f"127.0.0.1:{self.dns}", "-http01", "", "-https01", "", "-tlsalpn01", "",
            "-management", f"127.0.0.1:{self.dns_management}", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""],
            os.path.join(folder, "names.log"))

    def _certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=pebble", "-addext", "subjectAltName=IP:127.0.0.1", "-out", self.cert,
                        "-keyout", self.cert + ".key"], check=True, capture_output=True)

    def __enter__(self):
        self.names.start()
        self.start()
        return self

    def __exit__(self, *_):
        self.server.stop()
        self.names.stop()

    def start(self):
        self.server.start()
        for port in (self.port, self.management, self.dns_management):
            wait_until("pebble answers", lambda p=port: can_connect(f"inet:{p}@127.0.0.1"))

    # -- what it says and is told --

    def manage(self, path):
        context = ssl.create_default_context(cafile=self.cert)
        with urllib.request.urlopen(f"https://127.0.0.1:{self.management}{path}", context=context, timeout=300) as answer:
            return answer.read()

    def root(self, number=0):
        path = os.path.join(self.folder, f"root{number}.pem")
        with open(path, "wb") as f:
            f.write(self.manage(f"/roots/{number}"))
        return path

    def status(self, serial):
        return json.loads(self.manage(f"/cert-status-by-serial/{serial}"))

    def tell_names(self, act, **values):
        """set-txt, clear-txt, add-a ...: what its DNS answers."""
        body = json.dumps(values).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.dns_management}/{act}", body, timeout=300) as answer:
            return answer.read()

    def logged(self, text):
        with open(self.log, errors="replace") as f:
            return sum(text in line for line in f)
