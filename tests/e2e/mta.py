"""mta - the MTA's side of the milter protocol in a few lines, for tests that stop in the middle.

tests/support/milter_client.h is the whole one; this one sends what a test says, packet by packet.
"""
import socket
import struct

STEPS_POSTFIX = 0x1FFFFF
NO_ANSWER = {b"C": 0x1000, b"M": 0x4000, b"R": 0x8000, b"L": 0x80, b"N": 0x40000, b"B": 0x80000}


class Mta:
    """One connection to a filter."""

    def __init__(self, address, client="127.0.0.1", daemon="smtpd", login=None, steps=STEPS_POSTFIX, timeout=300):
        kind, where = address.split(":", 1)
        if kind == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(where)
        else:
            port, host = where.split("@")
            self.socket = socket.create_connection((host, int(port)), timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")
        self.login, self.queue_id = login, "Q1"
        self.packet(b"O", struct.pack("!III", 6, 0x1FF, steps))
        code, data = self.read()
        assert code == b"O", code
        self.steps = struct.unpack("!III", data[:12])[2]
        self.macro(b"C", j="mx.inside.example", daemon_name=daemon)
        self.step(b"C", b"client\x004" + struct.pack("!H", 25) + client.encode() + b"\0")

    def close(self):
        self.stream.close()
        self.socket.close()

    def packet(self, code, data=b""):
        self.socket.sendall(struct.pack("!I", len(data) + 1) + code + data)

    def read(self):
        head = self.stream.read(4)
        if len(head) < 4:
            raise ConnectionError("the filter closed the connection")
        data = self.stream.read(struct.unpack("!I", head)[0])
        return data[:1], data[1:]

    def macro(self, stage, **values):
        text = b"".join((n if len(n) == 1 else "{%s}" % n).encode() + b"\0" + v.encode() + b"\0"
                        for n, v in values.items() if v)
        self.packet(b"D", stage + text)

    def step(self, code, data=b""):
        self.packet(code, data)
        if not self.steps & NO_ANSWER.get(code, 0):
            return self.read()
        return None

    def envelope(self, sender, recipients):
        self.macro(b"M", j="mx.inside.example", i=self.queue_id, auth_authen=self.login)
        self.step(b"M", sender.encode() + b"\0")
        for recipient in recipients:
            self.step(b"R", recipient.encode() + b"\0")

    def header(self, name, value):
        self.step(b"L", name.encode() + b"\0" + value.encode() + b"\0")

    def body(self, data):
        for at in range(0, len(data), 65535):
            self.step(b"B", data[at:at + 65535])

    def abort(self):
        self.packet(b"A")

    def end(self):
        """("250", edits) or ("550 5.7.5 ...", edits); edits is [(code, data), ...]."""
        self.packet(b"E")
        edits = []
        while True:
            code, data = self.read()
            if code in b"ca":
                return "250", edits
            if code == b"y":
                return data.rstrip(b"\0").decode(), edits
            if code in b"tr":
                return ("451" if code == b"t" else "550"), edits
            edits.append((code, data))

    def message(self, sender, recipients, fields, body):
        self.envelope(sender, recipients)
        for name, value in fields:
            self.header(name, value)
        self.step(b"N")
        self.body(body)
        return self.end()


def new_body(edits):
    return b"".join(data for code, data in edits if code == b"b")


def new_field(edits, name):
    """Value of the last edit that sets this field, or None."""
    found = None
    for code, data in edits:
        if code not in (b"h", b"m", b"i"):
            continue
        parts = data[4:].split(b"\0") if code in (b"m", b"i") else data.split(b"\0")
        if parts[0].decode().lower() == name.lower():
            found = parts[1].decode()
    return found
