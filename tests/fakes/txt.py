"""txt - a name server that knows TXT records alone: {"example.org": ["text"]}. UDP on loopback."""
import socket
import struct
import threading


class TxtServer:
    def __init__(self, records):
        self.records, self.asked = records, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _serve(self):
        while True:
            try:
                query, client = self.socket.recvfrom(4096)
                self.socket.sendto(self._answer(query), client)
            except OSError:
                return

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question, name = query[12:at + 5], ".".join(labels).lower()
        self.asked.append(name)
        texts = self.records.get(name)
        out = b""
        for text in texts or []:
            data = text.encode()
            pieces = [data[i:i + 255] for i in range(0, len(data), 255)] or [b""]
            body = b"".join(bytes([len(piece)]) + piece for piece in pieces)
            out += b"\xc0\x0c" + struct.pack(">HHIH", 16, 1, 60, len(body)) + body
        flags = 0x8180 if texts is not None else 0x8183
        return query[:2] + struct.pack(">HHHHH", flags, 1, len(texts or []), 0, 0) + question + out
