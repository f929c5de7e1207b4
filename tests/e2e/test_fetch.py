#!/usr/bin/env python3
"""Fetching of CRLs and intermediates from real servers: nginx, slapd, and sockets that misbehave."""
import contextlib
import datetime
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from authority import Authority, openssl  # noqa: E402
from harness import Failed, Process, Site, Tap, can_connect, free_port, program, require, wait_until  # noqa: E402

SECRET = "MARK-OF-A-PEER"  # whatever a peer says of itself; must show up nowhere


class Fetched(Authority):
    organisation = "Fetch"

    def crl(self, days=7, form="DER", extra=""):
        """The next list, DER."""
        self.number += 1
        pem = self.make_list(self.number, ("-crldays", str(days)), extra)
        return pem if form == "PEM" else openssl("crl", "-outform", "DER", stdin=pem)


class Nginx:
    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.www = os.path.join(folder, "www")
        self.log = os.path.join(folder, "access.log")
        os.makedirs(self.www, exist_ok=True)
        os.chmod(folder, 0o755)
        self.url = f"http://127.0.0.1:{self.port}"
        self.elsewhere = free_port()

    def put(self, name, data):
        path = os.path.join(self.www, name)
        with open(path + ".new", "wb") as f:
            f.write(data)
        os.chmod(path + ".new", 0o644)
        os.replace(path + ".new", path)

    def start(self):
        config = os.path.join(self.folder, "nginx.conf")
        with open(config, "w") as f:
            f.write(NGINX_CONF.format(f=self.folder, port=self.port, elsewhere=self.elsewhere, secret=SECRET))
        self.process = Process("nginx", ["nginx", "-e", self.folder + "/error.log", "-c", config], self.folder + "/nginx.out")
        self.process.start()
        wait_until("nginx answers", lambda: can_connect(f"inet:{self.port}@127.0.0.1"))

    def stop(self):
        self.process.stop()

    def requests(self, path=None):
        """(path, status, If-None-Match) of each request so far."""
        with contextlib.suppress(OSError), open(self.log) as f:
            rows = [tuple(line.rstrip("\n").split("\t")) for line in f]
            return [r for r in rows if path is None or r[0] == path]
        return []


NGINX_CONF = """daemon off;
master_process off;
pid {f}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  log_format counted escape=none '$uri\t$status\t$http_if_none_match\t$http_if_modified_since\t$http_user_agent';
  access_log {f}/access.log counted;
  client_body_temp_path {f}/t1; proxy_temp_path {f}/t2; fastcgi_temp_path {f}/t3;
  uwsgi_temp_path {f}/t4; scgi_temp_path {f}/t5;
  types {{ application/pkix-crl crl; text/html html; }}
  server {{
    listen 127.0.0.1:{port};
    root {f}/www;
    location = /redirect {{ return 302 /good.crl; }}
    location = /redirect-3 {{ return 307 /redirect-2; }}
    location = /redirect-2 {{ return 308 /redirect; }}
    location = /redirect-4 {{ return 301 /redirect-3; }}
    location = /loop {{ return 302 /loop; }}
    location = /to-metadata {{ return 302 http://169.254.169.254/latest/meta-data/; }}
    location = /to-private {{ return 302 http://10.0.0.1/good.crl; }}
    location = /to-other-port {{ return 302 http://127.0.0.1:{elsewhere}/; }}
    location = /to-file {{ return 302 file:///etc/passwd; }}
    location = /to-ldap {{ return 302 ldap://127.0.0.1/; }}
    location = /to-ftp {{ return 302 ftp://127.0.0.1/x; }}
    location = /to-login {{ return 302 http://user:pw@127.0.0.1:{port}/good.crl; }}
    location = /slow {{ limit_rate 30; alias {f}/www/good.crl; }}
    location = /wrong-type {{ default_type text/html; alias {f}/www/good.crl; }}
    location = /html {{ default_type application/pkix-crl; return 200 "<html>{secret}</html>"; }}
    location = /empty {{ return 200 ""; }}
    location = /error {{ return 500 "{secret}"; }}
    location = /busy {{ add_header Retry-After 7200 always; return 503 "{secret}"; }}
    location = /forbidden {{ return 403 "{secret}"; }}
    location = /sleepy.crl {{ limit_rate 150; }}
  }}
}}
"""


class Rude:
    """A server of our own for what nginx would never do."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.asked = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(peer,), daemon=True).start()

    def answer(self, peer):
        with contextlib.suppress(OSError), peer:
            request = b""
            while b"\r\n\r\n" not in request:
                got = peer.recv(4096)
                if not got:
                    return
                request += got
            path = request.split(b" ")[1].decode()
            self.asked.append(path)
            getattr(self, "do_" + path.strip("/").replace("-", "_"), self.do_nothing)(peer)

    def do_nothing(self, peer):
        pass

    def do_truncated(self, peer):
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n\x30\x82" + b"x" * 500)

    def do_endless(self, peer):
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            peer.sendall(b"1000\r\n" + b"\x30" * 4096 + b"\r\n")

    def do_head(self, peer):
        peer.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            peer.sendall(b"X-More: " + b"y" * 1000 + b"\r\n")

    def do_banner(self, peer):
        peer.sendall(f"220 {SECRET} ESMTP\r\n500 {SECRET}\r\n".encode())

    def do_status(self, peer):
        peer.sendall(f"HTTP/1.1 500 {SECRET}\r\nX-Secret: {SECRET}\r\nContent-Length: 0\r\n\r\n".encode())

    def do_silent(self, peer):
        time.sleep(30)


class Proxy(http.server.BaseHTTPRequestHandler):
    """Answers every request itself with what is prepared, and notes what was asked."""
    asked, body = [], b""

    def do_GET(self):
        Proxy.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(Proxy.body)))
        self.end_headers()
        self.wfile.write(Proxy.body)

    def log_message(self, *args):
        pass


class World:
    """The site, its CAs and its servers."""

    def __init__(self, site):
        self.site = site
        self.folder = os.path.join(site.folder, "fetch")
        os.makedirs(self.folder)
        self.nginx = Nginx(self.folder)
        self.rude = Rude()
        self.root = Fetched(self.folder, "Fetch Root")

    def urls(self, *args):
        return {row["url"]: row for row in self.site.json("crl", "urls", *args)["items"]}

    def update(self, *urls, check=None):
        """crl update of these: {url: row}."""
        args = [x for u in urls for x in ("--url", u)]
        done = self.site.cli("crl", "update", *args, "--json", check=False)
        if done.returncode not in (0, 1) or not done.stdout:
            raise Failed(f"crl update: {done.returncode} {done.stderr}")
        import json
        rows = {row["url"]: row for row in json.loads(done.stdout)["items"]}
        if check is not None:
            for row in rows.values():
                require(row["state"] == check, f"{row}")
        return rows

    def point(self, *urls):
        return "crlDistributionPoints=" + ",".join(f"URI:{u}" for u in urls)

    def crls(self):
        return self.site.json("crl", "list")["items"]


# --- by hand, one after the other -----------------------------------------------------------


def good_and_unchanged(w):
    """Taken, then asked for under conditions, then taken anew when it has changed."""
    w.nginx.put("good.crl", w.root.crl())
    url = w.nginx.url + "/good.crl"
    row = w.update(url, check="good")[url]
    require("newer list" in row["result"], row)
    require(any(c["issuer"].find("Fetch Root") >= 0 for c in w.crls()), w.crls())
    row = w.update(url, check="good")[url]
    require(row["result"].startswith("unchanged"), row)
    log = w.nginx.requests("/good.crl")
    require([r[1] for r in log] == ["200", "304"], log)
    require(log[1][2].startswith('"') and log[1][3] != "-", log)
    w.nginx.put("good.crl", w.root.crl())
    row = w.update(url, check="good")[url]
    require("newer list" in row["result"] and w.nginx.requests("/good.crl")[-1][1] == "200", row)


def deleted_list(w):
    """No condition when the list of last time is gone from the store."""
    url = w.nginx.url + "/good.crl"
    crl = next(c for c in w.crls() if "Fetch Root" in c["issuer"])
    w.site.cli("crl", "delete", crl["thumbprint"], "--yes")
    w.update(url, check="good")
    require(w.nginx.requests("/good.crl")[-1][1] == "200", w.nginx.requests("/good.crl")[-1])
    require(any("Fetch Root" in c["issuer"] for c in w.crls()), "the list is not back")


def redirects(w):
    w.nginx.put("good.crl", w.root.crl())
    for path in ("/redirect", "/redirect-2", "/redirect-3"):
        w.update(w.nginx.url + path, check="good")
    before = len(w.nginx.requests())
    for path, words in {
        "/redirect-4": "redirects", "/loop": "more than 3 redirects",
        "/to-metadata": "link-local", "/to-private": "private", "/to-other-port": "loopback",
        "/to-file": "not one of http", "/to-ldap": "neither http nor https", "/to-ftp": "not one of http",
        "/to-login": "user name",
    }.items():
        row = w.update(w.nginx.url + path, check="failed")[w.nginx.url + path]
        require(words in row["result"], f"{path}: {row['result']}")
    require(len([r for r in w.nginx.requests()[before:] if r[0] == "/loop"]) == 4, "a loop is followed further")


def refused_addresses(w):
    for url, words in {
        "http://127.0.0.2/x.crl": "loopback", f"http://127.0.0.1:{w.nginx.elsewhere}/x.crl": "loopback",
        "http://10.1.2.3/x.crl": "private", "http://[::1]/x.crl": "loopback",
        "http://[::ffff:127.0.0.2]/x.crl": "loopback", "http://[64:ff9b::7f00:2]/x.crl": "loopback",
        "http://169.254.169.254/latest": "link-local", "http://100.64.0.1/": "shared",
        "http://0.0.0.0/x.crl": "unspecified", "http://8.8.8.8:25/x.crl": "port 25",
        "ldap://127.0.0.2/cn=x": "loopback", "ldap://10.0.0.1/cn=x?certificateRevocationList": "private",
        "http://8.8.8.8:22/": "port 22",
    }.items():
        row = list(w.update(url, check="failed").values())[0]
        require(words in row["result"], f"{url}: {row['result']}")
    for url in ("http://user@h.example/", "file:///etc/passwd", "http://2130706433/", "http://0x7f.1/",
                "http://127.1/", "ftp://h.example/", "http://[fe80::1%25lo]/", "gopher://h/"):
        done = w.site.cli("crl", "update", "--url", url, check=False)
        require(done.returncode not in (0, 3), f"{url}: {done.returncode}")


def bad_answers(w):
    w.nginx.put("huge.crl", b"\x30\x82" + os.urandom(300000))
    for url, words in {
        w.nginx.url + "/slow": "Timeout", w.nginx.url + "/huge.crl": "larger than",
        w.nginx.url + "/html": "", w.nginx.url + "/empty": "empty", w.nginx.url + "/none": "404",
        w.nginx.url + "/error": "500", w.nginx.url + "/forbidden": "403",
        w.rude.url + "/truncated": "", w.rude.url + "/endless": "larger than",
        w.rude.url + "/head": "head of the answer", w.rude.url + "/banner": "", w.rude.url + "/status": "500",
        w.rude.url + "/silent": "Timeout", w.rude.url + "/nothing": "",
    }.items():
        row = w.update(url, check="failed")[url]
        require(words.lower() in row["result"].lower(), f"{url}: {row['result']}")
        require(row["result"] != "" and SECRET not in row["result"], row)
    require(SECRET not in w.site.daemon.output(), "the log quotes a peer")


def busy(w):
    url = w.nginx.url + "/busy"
    row = w.update(url, check="failed")[url]
    next_try = datetime.datetime.fromisoformat(row["next_try"].replace("Z", "+00:00"))
    last_try = datetime.datetime.fromisoformat(row["last_try"].replace("Z", "+00:00"))
    require((next_try - last_try).total_seconds() == 7200, row)


def other_forms(w):
    """A wrong content type does not matter, PEM is read."""
    w.nginx.put("good.crl", w.root.crl())
    w.update(w.nginx.url + "/wrong-type", check="good")
    w.nginx.put("pem.crl", w.root.crl(form="PEM"))
    w.update(w.nginx.url + "/pem.crl", check="good")


def bad_signature(w):
    other = Fetched(w.folder, "Unknown CA")
    w.nginx.put("unknown.crl", other.crl())
    broken = bytearray(w.root.crl())
    broken[-5] ^= 1
    w.nginx.put("broken.crl", bytes(broken))
    for name in ("unknown.crl", "broken.crl"):
        w.update(w.nginx.url + "/" + name, check="failed")


# --- out of certificates ----------------------------------------------------------------------


def add_root(w):
    w.site.cli("root", "import", w.root.cert)


def collected(w):
    """Only certificates that verify name something; once per URL however many name it."""
    base = w.nginx.url
    w.inter = Fetched(w.folder, "Fetch Issuing", w.root, w.point(base + "/root.crl"))
    w.nginx.put("root.crl", w.root.crl())
    w.nginx.put("issuing.crl", w.inter.crl())
    users = [w.inter.user(f"u{n}@partner.example", w.point(base + "/issuing.crl")) for n in range(5)]
    stranger = Fetched(w.folder, "Stranger CA")
    users.append(stranger.user("evil@partner.example", w.point(base + "/stranger.crl")))
    fake = Fetched(w.folder, "Fetch Issuing Fake")
    # The real CA's name over a key of somebody else's.
    fake.sign(fake.cert, "/O=Fetch/CN=Fetch Issuing", fake.key, fake, "basicConstraints=CA:TRUE\n")
    users.append(fake.user("fake@partner.example", w.point(base + "/fake.crl")))
    before = len(w.nginx.requests())
    w.site.cli("cert", "import", w.inter.cert, *users)
    # An import is followed by a run of its own; one that was under way may have seen some of them.
    rows = wait_until("they are fetched", lambda: (lambda r: r if all(r.get(base + p, {}).get("state") == "good" for p in ("/issuing.crl", "/root.crl"))
                                                   and r[base + "/issuing.crl"]["certificates"] == 5 else None)(w.urls()), step=0.5)
    asked = [r[0] for r in w.nginx.requests()[before:]]
    require(asked.count("/issuing.crl") == 1 and asked.count("/root.crl") == 1, asked)
    require("/stranger.crl" not in asked and "/fake.crl" not in asked, asked)
    done = w.site.cli("crl", "update", check=False)
    asked = [r[0] for r in w.nginx.requests()[before:]]
    require(asked.count("/issuing.crl") == 2 and "/stranger.crl" not in asked and "/fake.crl" not in asked, asked)
    require(base + "/issuing.crl" in done.stdout, done.stdout)


def names_in_order(w):
    """The second name of a point is asked only when the first one fails, and waits when it works again."""
    base = w.nginx.url
    first, second = base + "/first.crl", base + "/second.crl"
    ca = Fetched(w.folder, "Two Names CA", w.root, w.point(base + "/root.crl"))
    w.nginx.put("second.crl", ca.crl())
    both = ("crlDistributionPoints=two\n[two]\n"
            f"fullname=URI:{first},URI:{second}\n")
    w.site.cli("cert", "import", ca.cert, ca.user("two@partner.example", both))
    w.site.cli("crl", "update", check=False)
    rows = wait_until("the second name is fetched", lambda: (lambda r: r if r.get(second, {}).get("state") == "good" else None)(w.urls()))
    require(rows[first]["state"] == "failed" and "404" in rows[first]["result"], rows[first])
    w.nginx.put("first.crl", ca.crl())
    w.site.cli("crl", "update", check=False)
    rows = wait_until("the first name works", lambda: (lambda r: r if r[first]["state"] == "good" else None)(w.urls()))
    require(rows[second]["state"] == "standby", rows[second])
    before = len(w.nginx.requests("/second.crl"))
    w.site.cli("crl", "update", check=False)
    require(len(w.nginx.requests("/second.crl")) == before, "the second name is asked although the first works")


def only_of_ca(w):
    before = len(w.nginx.requests())
    w.site.cli("crl", "update", "--ca", "two names", check=False)
    asked = {r[0] for r in w.nginx.requests()[before:]}
    require(asked <= {"/first.crl", "/second.crl"} and asked, asked)
    require(w.site.cli("crl", "update", "--ca", "no such name", check=False).returncode == 5, "an unknown CA is found")


def revoked_takes_effect(w):
    serial = openssl("x509", "-in", os.path.join(w.folder, "u1@partner.example.pem"), "-noout", "-serial").decode().strip().split("=")[1]
    w.inter.revoked.append(serial)
    w.nginx.put("issuing.crl", w.inter.crl())
    w.site.cli("crl", "update", "--url", w.nginx.url + "/issuing.crl")
    wait_until("the certificate is revoked", lambda: "revoked" in w.site.cli("cert", "list", "--email", "u1@partner.example", check=False).stdout or
               "revoked" in w.site.cli("cert", "list", "u1@partner.example", check=False).stdout)


def issuer_fetched(w):
    """A missing intermediate, and the one above it, come by caIssuers; for harvested ones nobody asks."""
    base = w.nginx.url
    access = lambda name: f"authorityInfoAccess=caIssuers;URI:{base}/{name}\n"  # noqa: E731
    upper = Fetched(w.folder, "Aia Upper", w.root, access("root.cer"))
    lower = Fetched(w.folder, "Aia Lower", upper, access("upper.cer"))
    user = lower.user("aia@partner.example", access("lower.p7c"))
    wrong = Fetched(w.folder, "Aia Wrong", w.root)
    w.nginx.put("upper.cer", openssl("x509", "-in", upper.cert, "-outform", "DER"))
    both = os.path.join(w.folder, "lower.p7c")
    openssl("crl2pkcs7", "-nocrl", "-certfile", wrong.cert, "-certfile", lower.cert, "-outform", "DER", "-out", both)
    with open(both, "rb") as f:
        w.nginx.put("lower.p7c", f.read())
    w.site.cli("cert", "import", user)
    w.site.cli("crl", "update", check=False)
    wait_until("the certificate verifies", lambda: "valid" == verdict(w, "aia@partner.example"), step=1)
    names = w.site.cli("cert", "list", "Aia").stdout
    require("Aia Wrong" not in names, "a certificate that nobody asked for came in")
    roots = w.site.cli("root", "list").stdout
    require("Aia" not in roots, roots)


def verdict(w, address):
    rows = [r for r in w.site.json("cert", "list", "--email", address)["items"]]
    return rows[0]["verdict"] if rows else None


def two_daemons(w):
    """Two daemons on one database: one fetch per URL."""
    second = os.path.join(w.site.folder, "second.conf")
    settings = dict(w.site.settings, api_socket=os.path.join(w.site.run, "api2.sock"))
    with open(second, "w") as f:
        f.writelines(f"{k} = {v}\n" for k, v in settings.items())
    other = Process("daemon2", [program("postseald"), "-c", second], os.path.join(w.site.folder, "daemon2.log"))
    other.start()
    try:
        wait_until("the second daemon answers", lambda: can_connect("unix:" + settings["api_socket"]))
        ca = Fetched(w.folder, "Many CA", w.root, w.point(w.nginx.url + "/root.crl"))
        names = [f"many{n}.crl" for n in range(20)]
        for name in names:
            w.nginx.put(name, ca.crl())
        users = [ca.user(f"{n}@partner.example", w.point(f"{w.nginx.url}/{n}")) for n in names]
        before = len(w.nginx.requests())
        w.site.cli("cert", "import", ca.cert, *users)
        wait_until("all are fetched", lambda: sum(u["state"] == "good" and "/many" in u["url"] for u in w.urls().values()) == 20, step=0.5)
        asked = [r[0] for r in w.nginx.requests()[before:] if r[0].startswith("/many")]
        require(sorted(asked) == sorted("/" + n for n in names), sorted(asked))
    finally:
        other.stop()


def killed(w):
    """A daemon that is killed in mid-fetch: another run finishes it, once."""
    ca = Fetched(w.folder, "Sleepy CA", w.root)
    w.nginx.put("sleepy.crl", ca.crl(extra="") + b"")
    w.site.cli("cert", "import", ca.cert)
    url = w.nginx.url + "/sleepy.crl"
    w.site.cli("crl", "update", "--url", url, "--no-wait")
    wait_until("it is under way", lambda: w.urls()[url]["state"] == "fetching", step=0.1)
    w.site.daemon.kill()
    w.site.start_daemon()
    wait_until("another run fetched it", lambda: w.urls()[url]["state"] == "good", step=1)


def by_proxy(w):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        Proxy.body = w.root.crl()
        with_settings(w, fetch_proxy=f"http://127.0.0.1:{server.server_port}", fetch_no_proxy="127.0.0.1")
        url = "http://crl.outside.example/root.crl"
        w.update(url, check="good")
        require(Proxy.asked == [url], Proxy.asked)
        # What a proxy must not be asked for, and what goes without it.
        for bad, words in {"http://10.0.0.1/x.crl": "private", "http://localhost/x.crl": "loopback",
                           "http://crl.outside.example:25/": "port 25"}.items():
            row = list(w.update(bad, check="failed").values())[0]
            require(words in row["result"], row)
        require(Proxy.asked == [url], Proxy.asked)
        w.nginx.put("good.crl", w.root.crl())
        w.update(w.nginx.url + "/good.crl", check="good")
        require(Proxy.asked == [url], Proxy.asked)
    finally:
        with_settings(w, fetch_proxy="", fetch_no_proxy="")
        server.shutdown()


def with_settings(w, **changes):
    w.site.settings.update(changes)
    w.site.write_config()
    count = w.site.daemon.output().count("settings read again")
    w.site.daemon.child.send_signal(signal.SIGHUP)
    wait_until("the reload", lambda: w.site.daemon.output().count("settings read again") > count)


def not_allowed(w):
    """Without fetch_allow the very same servers are refused."""
    kept = w.site.settings["fetch_allow"]
    before = len(w.nginx.requests())
    with_settings(w, fetch_allow="")
    try:
        url = w.nginx.url + "/good.crl"
        row = w.update(url, check="failed")[url]
        require("loopback" in row["result"] and "fetch_allow" in row["result"], row)
        require(len(w.nginx.requests()) == before, "it was connected to")
    finally:
        with_settings(w, fetch_allow=kept)


def says_so(w):
    """crl list and doctor name what fails."""
    url = w.nginx.url + "/none"
    for other, row in w.urls("--failed").items():
        if row["certificates"] == 0:
            w.site.cli("crl", "update", "--url", other, "--forget", check=False)
    for _ in range(3):
        w.update(url)
    listed = w.site.cli("crl", "list").stdout
    require(url in listed and "404" in listed and "FETCHED" in listed, listed)
    done = w.site.cli("doctor", "--no-mta", check=False)
    require(f"{url}: the server answered with status 404" in done.stdout, done.stdout)
    w.site.cli("crl", "update", "--url", url, "--forget")
    require(url not in w.urls(), "it is still fetched")
    require(w.site.cli("crl", "update", "--url", url, "--forget", check=False).returncode == 5, "forgotten twice")


# --- directories ----------------------------------------------------------------------------------


class Slapd:
    SUFFIX = "dc=fetch,dc=example"

    def __init__(self, folder):
        self.folder = os.path.join(folder, "slapd")
        self.port, self.tls = free_port(), free_port()
        os.makedirs(os.path.join(self.folder, "db"))

    def start(self, ca):
        config = os.path.join(self.folder, "slapd.conf")
        key, cert = os.path.join(self.folder, "tls.key"), os.path.join(self.folder, "tls.pem")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        ca.sign(cert, "/CN=localhost", key, ca, "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        with open(config, "w") as f:
            f.write(SLAPD_CONF.format(f=self.folder, suffix=self.SUFFIX, key=key, cert=cert, ca=ca.cert))
        self.process = Process("slapd", ["slapd", "-d", "0", "-f", config, "-h",
                               f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls}/"], self.folder + "/out")
        self.process.start()
        wait_until("slapd answers", lambda: can_connect(f"inet:{self.port}@127.0.0.1"))
        self.add(f"dn: {self.SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Fetch\ndc: fetch\n")

    def add(self, ldif):
        done = subprocess.run(["ldapadd", "-x", "-H", f"ldap://127.0.0.1:{self.port}", "-D", f"cn=admin,{self.SUFFIX}",
                               "-w", "secret"], input=ldif.encode(), capture_output=True, timeout=300)
        if done.returncode != 0:
            raise Failed(f"ldapadd: {done.stderr.decode()}")

    def stop(self):
        self.process.stop()


SLAPD_CONF = """include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {f}/pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {cert}
TLSCertificateKeyFile {key}
TLSCACertificateFile {ca}
database mdb
suffix "{suffix}"
rootdn "cn=admin,{suffix}"
rootpw secret
directory {f}/db
maxsize 104857600
access to * by * read
"""


def by_ldap(w):
    import base64
    slapd = Slapd(w.folder)
    slapd.start(w.root)
    try:
        with_settings(w, fetch_allow=w.site.settings["fetch_allow"] + f" 127.0.0.1:{slapd.port} 127.0.0.1:{slapd.tls} localhost:{slapd.tls}",
                      fetch_ldap_server=f"ldap://127.0.0.1:{slapd.port}")
        ca = Fetched(w.folder, "Ldap CA", w.root)
        w.site.cli("cert", "import", ca.cert)
        dn = f"cn=crl,{slapd.SUFFIX}"
        slapd.add(f"dn: {dn}\nobjectClass: cRLDistributionPoint\ncn: crl\n"
                  f"certificateRevocationList;binary:: {base64.b64encode(ca.crl()).decode()}\n")
        slapd.add(f"dn: cn=arl,{slapd.SUFFIX}\nobjectClass: applicationProcess\nobjectClass: certificationAuthority\ncn: arl\n"
                  f"authorityRevocationList;binary:: {base64.b64encode(ca.crl()).decode()}\n"
                  f"certificateRevocationList;binary:: {base64.b64encode(ca.crl()).decode()}\n"
                  f"cACertificate;binary:: {base64.b64encode(openssl('x509', '-in', ca.cert, '-outform', 'DER')).decode()}\n")
        host = f"ldap://127.0.0.1:{slapd.port}/"
        for url in (f"{host}{dn}?certificateRevocationList;binary", f"{host}{dn}?certificateRevocationList?base?(objectClass=*)",
                    f"{host}{dn}", f"{host}cn=arl,{slapd.SUFFIX}?authorityRevocationList;binary",
                    f"ldap:///{dn}?certificateRevocationList?base?objectClass=cRLDistributionPoint"):
            row = list(w.update(url, check="good").values())[0]
            require(row["result"], row)
        # Its certificate is of no CA that the system knows.
        row = list(w.update(f"ldaps://127.0.0.1:{slapd.tls}/{dn}?certificateRevocationList", check="failed").values())[0]
        require(row["result"], row)
        for url, words in {f"{host}cn=none,{slapd.SUFFIX}?certificateRevocationList": "",
                           f"{host}{slapd.SUFFIX}?certificateRevocationList": "",
                           f"{host}cn=arl,{slapd.SUFFIX}?userPassword": ""}.items():
            w.update(url)
        # The issuer out of a directory.
        dn = f"cn=arl,{slapd.SUFFIX}"
        lonely = Fetched(w.folder, "Ldap Lonely", w.root)
        slapd.add(f"dn: cn=lonely,{slapd.SUFFIX}\nobjectClass: applicationProcess\nobjectClass: certificationAuthority\ncn: lonely\n"
                  f"authorityRevocationList;binary:: {base64.b64encode(lonely.crl()).decode()}\n"
                  f"certificateRevocationList;binary:: {base64.b64encode(lonely.crl()).decode()}\n"
                  f"cACertificate;binary:: {base64.b64encode(openssl('x509', '-in', lonely.cert, '-outform', 'DER')).decode()}\n")
        user = lonely.user("lonely@partner.example",
                           f"authorityInfoAccess=@access\n[access]\ncaIssuers;URI.1={host}cn=lonely,{slapd.SUFFIX}?cACertificate?base\n")
        w.site.cli("cert", "import", user)
        w.site.cli("crl", "update", check=False)
        wait_until("the certificate verifies", lambda: "valid" == verdict(w, "lonely@partner.example"), step=1)
    finally:
        slapd.stop()


CASES = [
    ("a list is taken, then asked for under conditions", good_and_unchanged),
    ("a list that was deleted is fetched without conditions", deleted_list),
    ("redirects: three are followed, to http and https on permitted addresses", redirects),
    ("addresses and ports that are refused", refused_addresses),
    ("slow, huge, truncated, endless, empty, wrong: failed, with nothing of the peer's", bad_answers),
    ("Retry-After is honoured", busy),
    ("wrong content types and PEM are read", other_forms),
    ("lists that nobody known signed are no success", bad_signature),
    ("certificates that verify name URLs, others do not", collected),
    ("names of a point in order", names_in_order),
    ("crl update --ca", only_of_ca),
    ("what was fetched takes effect", revoked_takes_effect),
    ("missing intermediates come by caIssuers", issuer_fetched),
    ("two daemons fetch each URL once", two_daemons),
    ("killed in mid-fetch", killed),
    ("by proxy", by_proxy),
    ("without fetch_allow the same is refused", not_allowed),
    ("crl list and doctor name what fails", says_so),
]


def main():
    tap = Tap()
    if shutil.which("nginx") is None:
        tap.skip("fetching", "nginx is not installed")
        tap.done()
    only = sys.argv[1:]
    with Site({"fetch_timeout": "5s", "fetch_size_max": "128K"}) as site:
        site.start(postfix=False)
        world = World(site)
        world.nginx.start()
        try:
            site.settings["fetch_allow"] = f"127.0.0.1:{world.nginx.port} 127.0.0.1:{world.rude.port}"
            with_settings(world)
            add_root(world)
            for name, case in CASES:
                if not only or case.__name__ in only:
                    tap.case(name, case, world)
            if not only or "by_ldap" in only:
                if shutil.which("slapd") is None or shutil.which("ldapadd") is None:
                    tap.skip("by ldap and ldaps", "slapd is not installed")
                else:
                    tap.case("by ldap and ldaps", by_ldap, world)
        finally:
            world.nginx.stop()
    tap.done()


main()
