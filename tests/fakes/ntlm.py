"""ntlm - the server's side of NTLMv2 over HTTP, from the public documentation of the protocol ([MS-NLMP]).

    ntlm = Ntlm("CORP", {"alice": "secret"})
    ntlm.answer_to(message, session) -> challenge in base64, or None when who asks is known now; Refused

Only NTLMv2 is taken. The session is the connection's own.
"""
import base64
import hashlib
import hmac
import os
import struct

SIGNATURE = b"NTLMSSP\0"
UNICODE, TARGET_INFO, EXTENDED, NTLM, SIGN_ALWAYS = 0x1, 0x800000, 0x80000, 0x200, 0x8000


class Refused(Exception):
    pass


def md4(data):
    """RFC 1320."""
    def rotate(x, n):
        x &= 0xffffffff
        return (x << n | x >> (32 - n)) & 0xffffffff
    whole = data + b"\x80" + b"\0" * ((55 - len(data)) % 64) + struct.pack("<Q", 8 * len(data))
    a, b, c, d = 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476
    rounds = [
        (lambda x, y, z: (x & y) | (~x & z), 0, list(range(16)), (3, 7, 11, 19)),
        (lambda x, y, z: (x & y) | (x & z) | (y & z), 0x5a827999, [4 * (i % 4) + i // 4 for i in range(16)], (3, 5, 9, 13)),
        (lambda x, y, z: x ^ y ^ z, 0x6ed9eba1, [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15], (3, 9, 11, 15)),
    ]
    for start in range(0, len(whole), 64):
        block = struct.unpack("<16I", whole[start:start + 64])
        before = (a, b, c, d)
        for mix, constant, order, shifts in rounds:
            for i, k in enumerate(order):
                a, b, c, d = d, rotate(a + mix(b, c, d) + block[k] + constant, shifts[i % 4]), b, c
        a, b, c, d = ((x + y) & 0xffffffff for x, y in zip(before, (a, b, c, d)))
    return struct.pack("<4I", a, b, c, d)


def md5_hmac(key, data):
    return hmac.new(key, data, hashlib.md5).digest()


def field(message, at):
    length, _, offset = struct.unpack_from("<HHI", message, at)
    if offset + length > len(message):
        raise Refused("a field lies outside of the message")
    return message[offset:offset + length]


class Ntlm:
    def __init__(self, domain, users):
        self.domain, self.users = domain, users

    def answer_to(self, text, session):
        message = base64.b64decode(text, validate=True)
        if message[:8] != SIGNATURE or len(message) < 12:
            raise Refused("not NTLM")
        kind, = struct.unpack_from("<I", message, 8)
        if kind == 1:
            return self._challenge(session)
        if kind == 3 and "ntlm_challenge" in session:
            self._check(message, session.pop("ntlm_challenge"))
            session["ntlm_user"] = True
            return None
        raise Refused(f"message {kind} does not belong here")

    def _challenge(self, session):
        challenge = os.urandom(8)
        session["ntlm_challenge"] = challenge
        name = self.domain.encode("utf-16-le")

        def pair(number, value):
            return struct.pack("<HH", number, len(value)) + value
        info = pair(2, name) + pair(1, "CA".encode("utf-16-le")) + pair(0, b"")
        flags = UNICODE | NTLM | SIGN_ALWAYS | EXTENDED | TARGET_INFO | 0x4 | 0x10000
        head = SIGNATURE + struct.pack("<I", 2) + struct.pack("<HHI", len(name), len(name), 56)
        head += struct.pack("<I", flags) + challenge + b"\0" * 8
        head += struct.pack("<HHI", len(info), len(info), 56 + len(name)) + b"\x0a\0\x61\x4a\0\0\0\x0f"
        return base64.b64encode(head + name + info).decode()

    def _check(self, message, challenge):
        answer, domain, user = field(message, 20), field(message, 28), field(message, 36)
        domain, user = domain.decode("utf-16-le"), user.decode("utf-16-le")
        if len(answer) <= 24:
            raise Refused("only NTLMv2 is taken")
        if user not in self.users or domain.upper() != self.domain.upper():
            raise Refused("unknown user")
        key = md5_hmac(md4(self.users[user].encode("utf-16-le")), (user.upper() + domain).encode("utf-16-le"))
        if not hmac.compare_digest(answer[:16], md5_hmac(key, challenge + answer[16:])):
            raise Refused("wrong password")


assert md4(b"abc").hex() == "a448017aaf21d8525fc10ae87aa6729d"
