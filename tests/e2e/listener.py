"""listener - stands between the filter and the MTA's listener for copies, and does there what a test says.

    proxy = Listener(upstream_port)
    proxy.fault("RCPT", 2, b"451 4.3.0 not now\\r\\n")     # answers the second RCPT itself
    proxy.fault("END", 1, CUT)                            # cuts the connection before the text is handed on
    proxy.fault("END", 1, CUT_AFTER)                      # after the MTA has it, before the filter knows
    proxy.fault("DATA", 1, function)                      # called before the answer goes back

Verbs are those of SMTP, GREETING and END (of the text). They are counted from the fault's setting on.
"""
import contextlib
import socket
import threading

CUT, CUT_AFTER, SILENT = "cut", "cut after", "silent"


class Cut(Exception):
    """The connection ends here."""


class Listener:
    def __init__(self, upstream):
        self.upstream = upstream
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(100)
        self.port = self.socket.getsockname()[1]
        self.lock = threading.Lock()
        self.faults = {}
        self.counts = {}
        self.commands, self.texts = [], []
        self.stopped = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def fault(self, verb, occurrence, action):
        with self.lock:
            self.counts = {}
            self.faults[(verb, occurrence)] = action

    def forget(self):
        with self.lock:
            self.faults, self.counts = {}, {}
            self.commands, self.texts = [], []

    def stop(self):
        self.stopped.set()
        self.socket.close()

    def _serve(self):
        while not self.stopped.is_set():
            with contextlib.suppress(OSError):
                client, _ = self.socket.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _action(self, verb):
        with self.lock:
            self.counts[verb] = self.counts.get(verb, 0) + 1
            return self.faults.pop((verb, self.counts[verb]), None)

    def _answer(self, verb, client, forward):
        """What comes of one command; forward() hands it to the MTA and gives its answer. The answer that went back,
        and whether it was the MTA's own."""
        action = self._action(verb)
        if action == CUT:
            raise Cut
        if action == SILENT:
            self.stopped.wait(30)
            raise Cut
        if isinstance(action, bytes):
            client.sendall(action)
            return action, False
        reply = forward()
        if action == CUT_AFTER:
            raise Cut
        if callable(action):
            action()
        client.sendall(reply)
        return reply, True

    def _relay(self, client):
        server = Server(self.upstream)
        with contextlib.suppress(OSError, Cut), client:
            here = client.makefile("rb")
            self._answer("GREETING", client, server.connect)
            while True:
                line = here.readline()
                if not line:
                    break
                with self.lock:
                    self.commands.append(line.rstrip(b"\r\n").decode(errors="replace"))
                verb = line.split()[0].decode(errors="replace").upper() if line.split() else ""
                reply, _ = self._answer(verb, client, lambda: server.say(line))
                if verb == "DATA" and reply.startswith(b"354"):
                    self._text(client, here, server)
        server.close()

    def _text(self, client, here, server):
        lines = []
        while not lines or lines[-1] != b".\r\n":
            lines.append(here.readline())
            if not lines[-1]:
                raise Cut
        text = b"".join(lines)
        with self.lock:
            self.texts.append(text)
        _, its_own = self._answer("END", client, lambda: server.say(text))
        if not its_own:  # the MTA must never have the text, and goes on with the next message
            server.close()
            server.connect()
            server.say(b"EHLO listener.example\r\n")


class Server:
    """The MTA's side."""

    def __init__(self, port):
        self.port, self.socket = port, None

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), 60)
        self.stream = self.socket.makefile("rb")
        return read_reply(self.stream)

    def say(self, data):
        self.socket.sendall(data)
        return read_reply(self.stream)

    def close(self):
        if self.socket is not None:
            self.stream.close()
            self.socket.close()
            self.socket = None


def read_reply(stream):
    reply = b""
    while True:
        line = stream.readline()
        if not line:
            raise Cut
        reply += line
        if line[3:4] != b"-":
            return reply
