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
        """What comes of one command; forward() hands it to the MTA and gives its answer."""
        action = self._action(verb)
        if action == CUT:
            raise Cut
        if action == SILENT:
            self.stopped.wait(30)
            raise Cut
        if isinstance(action, bytes):
            client.sendall(action)
            if verb == "END":
                raise Cut  # the MTA must not have the text
            return action
        reply = forward()
        if action == CUT_AFTER:
            raise Cut
        if callable(action):
            action()
        client.sendall(reply)
        return reply

    def _relay(self, client):
        with contextlib.suppress(OSError, Cut), client, socket.create_connection(("127.0.0.1", self.upstream), 60) as server:
            here, there = client.makefile("rb"), server.makefile("rb")
            self._answer("GREETING", client, lambda: read_reply(there))
            while True:
                line = here.readline()
                if not line:
                    return
                with self.lock:
                    self.commands.append(line.rstrip(b"\r\n").decode(errors="replace"))
                verb = line.split()[0].decode(errors="replace").upper() if line.split() else ""
                reply = self._answer(verb, client, lambda: hand_on(server, there, line))
                if verb == "DATA" and reply.startswith(b"354"):
                    self._text(client, here, server, there)

    def _text(self, client, here, server, there):
        lines = []
        while True:
            line = here.readline()
            if not line:
                raise Cut
            lines.append(line)
            if line == b".\r\n":
                break
        text = b"".join(lines)
        with self.lock:
            self.texts.append(text)
        self._answer("END", client, lambda: hand_on(server, there, text))


def hand_on(server, there, data):
    server.sendall(data)
    return read_reply(there)


def read_reply(stream):
    reply = b""
    while True:
        line = stream.readline()
        if not line:
            raise Cut
        reply += line
        if line[3:4] != b"-":
            return reply
