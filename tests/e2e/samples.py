"""samples - the messages that the end-to-end tests send: one of each kind that mail programs differ on."""
import base64
import email
import email.header
import email.policy
import random
import re


def headers(sender, recipient, subject="sample", extra=""):
    return f"From: {sender}\nTo: {recipient}\nSubject: {subject}\nMessage-ID: <{random.getrandbits(64):x}@inside.example>\n{extra}"


def plain(s, r):
    return headers(s, r) + "MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\nA plain text.\nTwo lines.\n"


def no_mime(s, r):
    return headers(s, r) + "\nNo MIME header at all.\n"


def eight_bit(s, r):
    return (headers(s, r) + "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
            "Grüße aus Köln, trailing blank \nund noch eine Zeile: ŁÓDŹ\n").encode()


def utf8_header(s, r):
    subject = email.header.Header("Grüße: Prüfung ąęł 東京", "utf-8").encode()
    return headers(s, r, subject) + "MIME-Version: 1.0\nContent-Type: text/plain\n\nheader in UTF-8\n"


def attachment(s, r):
    data = base64.encodebytes(bytes(range(256)) * 8).decode()
    return (headers(s, r) + 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b1"\n\nThis is the preamble.\n--b1\n'
            "Content-Type: text/plain\n\ntext\n--b1\nContent-Type: application/octet-stream; name=x.bin\n"
            f"Content-Disposition: attachment; filename=x.bin\nContent-Transfer-Encoding: base64\n\n{data}--b1--\n")


def binary(s, r):
    body = bytes(b for b in range(256) if b not in (0, 10, 13)) * 3
    return (headers(s, r) + 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b2"\n\n--b2\nContent-Type: text/plain\n\n'
            "text\n--b2\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n\n").encode("ascii") + body + b"\n--b2--\n"


def long_lines(s, r):
    return headers(s, r) + "MIME-Version: 1.0\nContent-Type: text/plain\n\n" + ("x" * 990 + " seven\n")[:999] + "y" * 998 + "\n"


def nested(s, r):
    return (headers(s, r) + 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="o"\n\n--o\n'
            'Content-Type: multipart/alternative; boundary="i"\n\n--i\nContent-Type: text/plain; charset=utf-8\n'
            "Content-Transfer-Encoding: 8bit\n\näöü plain\n--i\nContent-Type: text/html; charset=utf-8\n"
            "Content-Transfer-Encoding: quoted-printable\n\n<p>=C3=A4=C3=B6=C3=BC</p>\n--i--\n--o\nContent-Type: message/rfc822\n\n"
            "From: x@other.example\nSubject: inner\nMIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\n"
            "Content-Transfer-Encoding: 8bit\n\n").encode() + b"caf\xe9\n--o--\n"


def epilogue(s, r):
    return (headers(s, r) + 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b3"\n\n--b3\nContent-Type: text/plain\n\n'
            "only part\n--b3--\nThis is an epilogue.\n")


def empty(s, r):
    return headers(s, r) + "MIME-Version: 1.0\nContent-Type: text/plain\n\n"


def only_crlfs(s, r):
    return headers(s, r) + "MIME-Version: 1.0\nContent-Type: text/plain\n\n\n\n\n\n"


def dots(s, r):
    return headers(s, r) + "MIME-Version: 1.0\nContent-Type: text/plain\n\n.\n..\n.leading\nFrom here\n.\n"


def content_without_version(s, r):
    return headers(s, r) + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A4 without MIME-Version\n"


def many_recipients(s, r):
    # More than Postfix leaves by its own limit of tokens, and less than the 60,000 bytes that filters are given.
    names = ",\n ".join([r] + [f"person{i}@other.example" for i in range(2000)])
    return (f"From: {s}\nTo: {names}\nSubject: many\nMessage-ID: <{random.getrandbits(64):x}@inside.example>\n"
            "MIME-Version: 1.0\nContent-Type: text/plain\n\nA To field of 2,001 addresses.\n")


def large(megabytes):
    def make(s, r):
        data = base64.encodebytes(random.Random(1).randbytes(megabytes * 750000)).decode()
        return (headers(s, r) + 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="big"\n\n--big\nContent-Type: text/plain\n\n'
                f"large\n--big\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n{data}--big--\n")
    make.__name__ = f"{megabytes} MB"
    return make


SAMPLES = [plain, no_mime, eight_bit, utf8_header, attachment, binary, long_lines, nested, epilogue, empty, only_crlfs, dots,
           content_without_version, many_recipients]


SOME = 4


def some_samples(full, number):
    """All of them; in the short form a few, others for each number."""
    every = SAMPLES + [large(30 if full else 3)]
    return every if full else [every[(number * SOME + i) % len(every)] for i in range(SOME)]


def as_bytes(message):
    return message if isinstance(message, bytes) else message.encode()


def leaves(message):
    """What a person would get out of a message: (type, decoded bytes) of each leaf; line ends of text are LF."""
    found = []

    def walk(part):
        if part.is_multipart():
            for child in part.get_payload():
                walk(child)
            return
        data = part.get_payload(decode=True) or b""
        kind = part.get_content_type()
        found.append((kind, data.replace(b"\r\n", b"\n") if kind.startswith("text/") else data))
    walk(email.message_from_bytes(as_bytes(message).replace(b"\r\n", b"\n"), policy=email.policy.compat32))
    return found


def split(message):
    """(fields about the content, the other fields, body) of a sample, each as bytes with CRLF."""
    lines = as_bytes(message).replace(b"\r\n", b"\n")
    header, _, body = lines.partition(b"\n\n")
    about, others = b"", b""
    for field in re.findall(rb"[^\n]+(?:\n[ \t][^\n]*)*", header):
        if field.lower().startswith(b"content-"):
            about += field + b"\n"
        elif not field.lower().startswith(b"mime-version:"):
            others += field + b"\n"
    return tuple(part.replace(b"\n", b"\r\n") for part in (about, others, body))
