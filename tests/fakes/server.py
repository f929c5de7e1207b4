"""server - what the fakes of foreign servers stand on: HTTP over TLS, client certificates, and every way to fail.

    class Thing(Fake):
        def answer(self, request):                       # -> Answer
            self.want(request.method == "GET", "only GET")
            return json_answer(200, {"a": 1})

    with Thing(folder, clients=authority.cert) as thing:  # thing.url, thing.cert: what to trust
        thing.fault("POST /v1/enrol", LOST)              # acts, then the connection ends without a word
        thing.fault("GET ", status(503), times=2)        # the first word is the method, then how the path begins
        assert thing.complaints == []                    # what a client did that it should not

A fake is strict: whatever it wants and does not get is kept in `complaints`, and the request is answered with 400.
Requests are counted in `seen` ("POST /v1/enrol"). Standard library and the openssl program only.
"""
import http.server
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse


def openssl(*args, stdin=None):
    done = subprocess.run(["openssl", *args], capture_output=True, input=stdin, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(args)}: {done.stderr.decode()}")
    return done.stdout


class Answer:
    def __init__(self, status, body=b"", kind=None, headers=()):
        self.status, self.body, self.kind, self.headers = status, body, kind, list(headers)


def json_answer(status, document, kind="application/json", headers=()):
    return Answer(status, json.dumps(document).encode(), kind, headers)


HTML = b"<!DOCTYPE html><html><head><title>Bad Gateway</title></head><body><h1>Something &amp; nothing</h1></body></html>"


# --- faults: what happens in place of the answer (after: once it has been worked out) ---

class Fault:
    """how(answer) -> Answer, or None: the connection ends. half: only half of the body is sent. pause: seconds before."""

    def __init__(self, name, how, acts=False, half=False, silent=False, pause=0):
        self.name, self.how, self.acts, self.half, self.silent, self.pause = name, how, acts, half, silent, pause


def status(number, body=b"", kind=None, headers=()):
    return Fault(f"status {number}", lambda _: Answer(number, body, kind, headers))


def html(number=502):
    return Fault(f"HTML with {number}", lambda _: Answer(number, HTML, "text/html; charset=utf-8"))


def html_after(number=200):
    """Acted, and then a gateway in front shows a page."""
    return Fault(f"HTML with {number} after", lambda _: Answer(number, HTML, "text/html"), acts=True)


def garbage(number=200, body=b"\x00\xff{\"", kind="application/json"):
    return Fault("garbage", lambda _: Answer(number, body, kind))


def slow(seconds):
    return Fault("slow", lambda answer: answer, acts=True, pause=seconds)


HALF = Fault("half a body", lambda answer: answer, acts=True, half=True)
SILENCE = Fault("silence", lambda _: None, silent=True)           # hears it and does nothing
CUT = Fault("cut", lambda _: None)                                # the connection ends before it acts
LOST = Fault("lost", lambda _: None, acts=True)                   # acts; the connection ends
LOST_SILENT = Fault("lost in silence", lambda _: None, acts=True, silent=True)  # acts; never says so


class Complaint(Exception):
    """The client did what it should not."""


class Request:
    def __init__(self, handler, body, session):
        self.method, self.target, self.headers, self.body = handler.command, handler.path, handler.headers, body
        self.raw_path, _, self.raw_query = handler.path.partition("?")
        self.path = urllib.parse.unquote(self.raw_path)
        self.query = urllib.parse.parse_qs(self.raw_query, keep_blank_values=True, strict_parsing=bool(self.raw_query))
        self.session = session  # a dict that lives as long as the connection
        self.client = session.get("client")  # getpeercert() of the client's certificate, or None

    def header(self, name):
        """None when it is not there; one that repeats is a complaint."""
        found = self.headers.get_all(name) or []
        if len(found) > 1:
            raise Complaint(f"{name} is there {len(found)} times")
        return found[0] if found else None

    def json(self):
        def unique(pairs):
            names = [name for name, _ in pairs]
            if len(set(names)) != len(names):
                raise Complaint("a member repeats")
            return dict(pairs)
        try:
            return json.loads(self.body.decode("utf-8"), object_pairs_hook=unique)
        except ValueError as e:
            raise Complaint(f"the body is not JSON: {e}") from None


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120

    def setup(self):
        super().setup()
        self.session = {}
        if isinstance(self.connection, ssl.SSLSocket):
            self.session["client"] = self.connection.getpeercert() or None
            self.session["client_der"] = self.connection.getpeercert(True)

    def log_message(self, *args):
        pass

    def handle_one_request(self):
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
            return
        if not self.parse_request():
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = self._chunks() if "chunked" in (self.headers.get("Transfer-Encoding") or "") else self.rfile.read(length)
        self.server.fake._serve(self, Request(self, body, self.session))

    def _chunks(self):
        whole = b""
        while True:
            size = int(self.rfile.readline(100).split(b";")[0], 16)
            whole += self.rfile.read(size)
            self.rfile.readline(10)
            if size == 0:
                return whole

    def give(self, answer, half=False):
        self.send_response(answer.status)
        if answer.kind is not None:
            self.send_header("Content-Type", answer.kind)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        body = b"" if self.command == "HEAD" else answer.body
        self.wfile.write(body[:len(body) // 2] if half else body)
        self.wfile.flush()
        if half:
            self.close_connection = True


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, fake, port, context):
        self.fake, self.context = fake, context
        super().__init__(("127.0.0.1", port), _Handler)

    def finish_request(self, request, client_address):
        """In the connection's own thread: a handshake that hangs holds up nobody."""
        if self.context is not None:
            request.settimeout(30)
            request = self.context.wrap_socket(request, server_side=True)
        try:
            super().finish_request(request, client_address)
        finally:
            request.close()

    def handle_error(self, request, client_address):
        pass  # a client that goes away, or has no certificate, is no news


def server_context(folder, clients=None, clients_required=True, versions=None):
    """A certificate for 127.0.0.1 and localhost, signed by itself (folder/server.pem is what to trust)."""
    cert, key = os.path.join(folder, "server.pem"), os.path.join(folder, "server.key")
    if not os.path.exists(cert):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
                "-days", "30", "-subj", "/CN=fake", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_mode = ssl.CERT_REQUIRED if clients_required else ssl.CERT_OPTIONAL
    if versions is not None:
        context.minimum_version, context.maximum_version = versions
    return context


class Fake:
    """folder: of its own. clients: PEM of the CA whose client certificates it takes. tls=False: plain HTTP."""

    def __init__(self, folder, clients=None, clients_required=True, tls=True, port=0, versions=None):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.complaints, self.seen, self.faults = folder, [], [], []
        self.lock = threading.RLock()
        self.stopped = threading.Event()
        context = server_context(folder, clients, clients_required, versions) if tls else None
        self.cert = os.path.join(folder, "server.pem") if tls else None
        self.server = _Server(self, port, context)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()

    # --- for tests ---

    def fault(self, where, fault, times=1, skip=0):
        """times=None: until clear(). skip: so many requests pass first."""
        with self.lock:
            self.faults.append({"where": where, "fault": fault, "times": times, "skip": skip})

    def clear(self):
        with self.lock:
            self.faults, self.seen = [], []

    def count(self, where):
        with self.lock:
            return sum(line.startswith(where) for line in self.seen)

    # --- for fakes ---

    def answer(self, request):
        raise NotImplementedError

    def bad(self, text):
        """The Answer to what should not have been asked."""
        return json_answer(400, {"error": text})

    @staticmethod
    def want(condition, text):
        if not condition:
            raise Complaint(text)

    def members(self, document, required, optional=()):
        """The members of an object are these and no others; values are types, or functions that judge."""
        self.want(isinstance(document, dict), "not an object")
        for name in required:
            self.want(name in document, f"{name} is missing")
        rules = dict(required)
        rules.update(optional)
        for name, value in document.items():
            self.want(name in rules, f"{name} is not known here")
            rule = rules[name]
            good = isinstance(value, rule) and (rule is bool or not isinstance(value, bool)) if isinstance(rule, type) \
                else rule(value)
            self.want(good, f"{name} is {value!r}")

    # --- inside ---

    def _fault_for(self, line):
        with self.lock:
            self.seen.append(line)
            for row in self.faults:
                if not line.startswith(row["where"]):
                    continue
                if row["skip"] > 0:
                    row["skip"] -= 1
                    continue
                if row["times"] is not None:
                    row["times"] -= 1
                    if row["times"] == 0:
                        self.faults.remove(row)
                return row["fault"]
        return None

    def _work(self, request):
        try:
            return self.answer(request)
        except Complaint as e:
            with self.lock:
                self.complaints.append(f"{request.method} {request.target}: {e}")
            return self.bad(str(e))

    def _serve(self, handler, request):
        fault = self._fault_for(f"{request.method} {request.path}")
        if fault is None:
            handler.give(self._work(request))
            return
        answer = self._work(request) if fault.acts else None
        if fault.pause:
            self.stopped.wait(fault.pause)
        answer = fault.how(answer)
        if answer is not None:
            handler.give(answer, fault.half)
            return
        if fault.silent:
            self._hold(handler)
        handler.close_connection = True

    def _hold(self, handler):
        """Says nothing until the client has gone away."""
        handler.connection.settimeout(0.2)
        while not self.stopped.is_set():
            try:
                if not handler.connection.recv(1):
                    return
            except (TimeoutError, socket.timeout):
                continue
            except OSError:
                return


def run_alone(fake, *what_to_say):
    """For a fake that is started by hand: says where it is and goes on until it is interrupted."""
    print(fake.url, *what_to_say, flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        fake.stop()
