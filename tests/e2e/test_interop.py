#!/usr/bin/env python3
"""Interoperation: what Postseal sends through Postfix is opened by OpenSSL, NSS and gpgsm, and what they
make is opened by `postseal message`. A cell is the number of contents that came out right of those tried;
a cell is '-' only where the peer's own error proves that it does not know the algorithm.
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import INSIDE, PARTNER, Failed, Site, Tap  # noqa: E402
import peers  # noqa: E402
import samples  # noqa: E402

FULL = os.environ.get("PS_FULL") == "yes"
# name, sender's key, recipient's key (None: not encrypted), preferences of the recipient, signed, opaque
MODES = [
    ("clear-signed", "rsa", None, {}, "clear"),
    ("clear-signed EC", "ec", None, {}, "clear"),
    ("clear-signed PSS", "rsa", None, {"signature_scheme": "pss"}, "clear"),
    ("opaque", "rsa", None, {"signing_format": "opaque"}, "opaque"),
    ("opaque EC", "ec", None, {"signing_format": "opaque"}, "opaque"),
    ("encrypted CBC", "nosign", "rsa", {"cipher": "aes-256-cbc"}, None),
    ("encrypted CBC EC", "nosign", "ec", {"cipher": "aes-256-cbc"}, None),
    ("encrypted CBC OAEP", "nosign", "rsa", {"cipher": "aes-256-cbc", "key_transport": "oaep-sha256"}, None),
    ("encrypted GCM", "nosign", "rsa", {"cipher": "aes-256-gcm"}, None),
    ("encrypted GCM EC", "nosign", "ec", {"cipher": "aes-256-gcm"}, None),
    ("signed and encrypted CBC", "rsa", "rsa", {"cipher": "aes-256-cbc"}, "clear"),
    ("signed and encrypted CBC EC", "ec", "ec", {"cipher": "aes-256-cbc"}, "clear"),
    ("signed and encrypted GCM", "rsa", "rsa", {"cipher": "aes-256-gcm"}, "clear"),
    ("signed opaque and encrypted", "rsa", "rsa", {"cipher": "aes-256-cbc", "signing_format": "opaque"}, "opaque"),
]


class Matrix:
    """Cells (mode, peer) -> [right, tried, errors]."""

    def __init__(self, title):
        self.title, self.cells, self.columns, self.rows = title, {}, [], []

    def cell(self, row, column):
        if row not in self.rows:
            self.rows.append(row)
        if column not in self.columns:
            self.columns.append(column)
        return self.cells.setdefault((row, column), [0, 0, []])

    def show(self):
        print(f"# {self.title}")
        print("# " + "".ljust(34) + "".join(c.ljust(10) for c in self.columns))
        for row in self.rows:
            line = "".join(self.text(row, c).ljust(10) for c in self.columns)
            print("# " + row.ljust(34) + line)

    def text(self, row, column):
        if (row, column) not in self.cells:
            return "-"
        right, tried, errors = self.cells[row, column]
        return "-" if right == 0 and errors and all(e[0] for e in errors) else f"{right}/{tried}"

    def judge(self, tap):
        for (row, column), (right, tried, errors) in self.cells.items():
            name = f"{self.title}: {row}: {column}"
            if right == tried and tried > 0:
                tap.ok(True, f"{name}: {right}/{tried}")
            elif right == 0 and errors and all(proved for proved, _ in errors):
                tap.skip(name, "the peer cannot: " + " ".join(errors[0][1].split())[-160:])
            else:
                tap.ok(False, f"{name}: {right}/{tried}", "\n".join(t for proved, t in errors if not proved)[:3000])


def make_people(site):
    folder = os.path.join(site.folder, "people")
    os.makedirs(folder)
    site.make_ca()
    root = os.path.join(folder, "root.pem")
    site.cli("root", "export", "--all", "--output", root)
    people = {}
    for name, key in (("rsa", "rsa:2048"), ("ec", "ec:P-256")):
        for role, domain in (("sender", INSIDE), ("reader", PARTNER)):
            address = f"{role}-{name}@{domain}"
            site.issue(address, f"{role} {name}", "--key", key)
            p12 = os.path.join(folder, address + ".p12")
            site.export_p12(address, p12)
            compat = None
            if name == "rsa":
                compat = os.path.join(folder, address + ".compat.p12")
                site.export_p12(address, compat, "secret", "--compatible")
            people[role, name] = peers.Identity(folder, address, p12,
                                                os.path.join(site.folder, "etc", "p12.password"), root, compat)
    return root, people


def open_layers(peer, message, encrypted, signed, reader):
    """The innermost entity as the peer sees it, or PeerFailed."""
    entity = message
    if encrypted:
        entity = peer.decrypt(peers.cut_cms(entity), reader)
    if signed == "clear":
        content, signature = peers.cut_signed(entity)
        entity = peer.verify_clear(content, signature)
    elif signed == "opaque":
        entity = peer.verify_opaque(peers.cut_cms(entity))
    return entity


def outbound(site, people, programs, matrix):
    site.cli("user", "set", f"sender-nosign@{INSIDE}", "sign_mode", "never")
    for number, (mode, sender_key, reader_key, preferences, signed) in enumerate(MODES):
        sender = f"sender-{sender_key}@{INSIDE}"
        # The recipient's certificate is found by address: plain ones have an address of their own.
        reader = people["reader", reader_key].address if reader_key else f"plain{number}@{PARTNER}"
        who = {**preferences, "encrypt_mode": "force" if reader_key else "allow"}
        site.prefer(reader, **who)
        for sample in samples.all_samples(FULL):
            sent = sample(sender, reader)
            try:
                got = site.exchange(sender, reader, sent)
            except Failed as error:
                for peer in programs:
                    cell = matrix.cell(mode, peer.name)
                    cell[1] += 1
                    cell[2].append((False, f"{sample.__name__}: {error}"))
                continue
            for peer in programs:
                judge_one(matrix.cell(mode, peer.name), peer, sample.__name__, sent, got, bool(reader_key), signed,
                          people.get(("reader", reader_key)))
        for name in who:
            site.cli("user", "unset", reader, name)


def judge_one(cell, peer, name, sent, got, encrypted, signed, reader):
    cell[1] += 1
    try:
        opened = open_layers(peer, got, encrypted, signed, reader)
        if samples.binary_leaves(opened) == samples.binary_leaves(sent):
            cell[0] += 1
        else:
            cell[2].append((False, f"{name}: content differs\n{opened[:300]!r}"))
    except (peers.PeerFailed, IndexError, AttributeError, ValueError) as error:
        proved = isinstance(error, peers.PeerFailed) and bool(peer.cannot.search(str(error)))
        cell[2].append((proved, f"{name}: {error}"))


ENTITY = (b"Content-Type: text/plain; charset=us-ascii\r\n\r\nWritten by another program.\r\n.leading dot\r\n\r\nlast line\r\n")


def inbound(site, root, people, programs, matrix):
    for peer in programs:
        for key in ("rsa", "ec"):
            writer, reader = people["sender", key], people["reader", key]
            for opaque in (False, True):
                read_one(matrix.cell(f"{'opaque' if opaque else 'clear'} {key}", peer.name), peer,
                         lambda: signed_by(peer, writer, opaque), site, ["verify", "--roots", root])
            for cipher in ("aes-256-cbc", "aes-128-cbc", "aes-256-gcm"):
                if cipher != "aes-256-cbc" and peer.name != "openssl":
                    continue
                read_one(matrix.cell(f"encrypted {cipher} {key}", peer.name), peer,
                         lambda: mail(peers.wrap_cms(peer.encrypt(ENTITY, reader, cipher), "enveloped-data"), writer),
                         site, ["decrypt", "--key", reader.p12, "--password-file", reader.password_file])


def mail(entity, writer):
    return f"From: {writer.address}\nTo: x@{PARTNER}\nSubject: from a peer\n".encode() + entity


def signed_by(peer, writer, opaque):
    der = peer.sign(ENTITY, writer, opaque)
    return mail(peers.wrap_cms(der, "signed-data") if opaque else peers.wrap_signed(ENTITY, der), writer)


def read_one(cell, peer, make, site, command):
    cell[1] += 1
    path, out = os.path.join(site.folder, "peer.eml"), os.path.join(site.folder, "peer.out")
    try:
        message = make()
    except peers.PeerFailed as error:
        cell[2].append((bool(peer.cannot.search(str(error))), str(error)))
        return
    with open(path, "wb") as f:
        f.write(message)
    if os.path.exists(out):
        os.unlink(out)
    done = site.cli("message", command[0], path, *command[1:], "--output", out, "--json", check=False)
    content = b""
    if os.path.exists(out):
        with open(out, "rb") as f:
            content = f.read()
    if done.returncode != 0 or peers.crlf(content) != ENTITY:
        cell[2].append((False, f"exit {done.returncode}: {done.stderr} {done.stdout[-500:]} {content[:200]!r}"))
    elif command[0] == "verify" and json.loads(done.stdout)["verdict"] != "valid":
        cell[2].append((False, done.stdout))
    else:
        cell[0] += 1


def main():
    tap = Tap()
    with Site() as site:
        site.start()
        root, people = make_people(site)
        folder = os.path.join(site.folder, "peers")
        os.makedirs(folder)
        programs = [make(folder, root) for make in peers.available()]
        for peer in programs:
            for (_, key), identity in people.items():
                # gpgsm 2.2.40 ends with a segmentation fault on a PKCS#12 with an EC key: it gets the certificate.
                peer.add(identity)
        out, back = Matrix("Postseal -> peer"), Matrix("peer -> Postseal")
        outbound(site, people, programs, out)
        inbound(site, root, people, programs, back)
        for peer in programs:
            getattr(peer, "close", lambda: None)()
    for matrix in (out, back):
        matrix.show()
        matrix.judge(tap)
    tap.done()


main()
