#!/usr/bin/env python3
"""Interoperation: what Postseal sends through Postfix is opened by OpenSSL, NSS, gpgsm and Bouncy Castle, and what they
make is opened by `postseal message`. A cell is the number of contents that came out right of those tried;
a cell is '-' only where the peer's own error proves that it does not know the algorithm: it says the same
of a message that OpenSSL made.
"""
import concurrent.futures
import email
import email.utils
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import AGAIN, INSIDE, OUTSIDER, PARTNER, Failed, Site, Tap  # noqa: E402
import peers  # noqa: E402
import samples  # noqa: E402

FULL = os.environ.get("PS_FULL") == "yes"


def kdf(digest):
    return ["-keyopt", f"ecdh_kdf_md:{digest}"]


def oaep(digest):
    return ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", f"rsa_oaep_md:{digest}", "-keyopt", f"rsa_mgf1_md:{digest}"]


SHA256_KDF, OAEP = kdf("sha256"), oaep("sha256")
PSS = ["-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:32"]
CBC, GCM = "aes-256-cbc", "aes-256-gcm"
# name, sender's key, recipient's key (None: not encrypted), preferences of the recipient, signed, OpenSSL's options
# for a message of the same making
MODES = [
    ("clear-signed", "rsa", None, {}, "clear", []),
    ("clear-signed EC", "ec", None, {}, "clear", []),
    ("clear-signed PSS", "rsa", None, {"signature_scheme": "pss"}, "clear", PSS),
    ("opaque", "rsa", None, {"signing_format": "opaque"}, "opaque", []),
    ("opaque EC", "ec", None, {"signing_format": "opaque"}, "opaque", []),
    ("encrypted CBC", "nosign", "rsa", {"cipher": CBC}, None, []),
    ("encrypted CBC EC", "nosign", "ec", {"cipher": CBC}, None, SHA256_KDF),
    ("encrypted CBC OAEP", "nosign", "rsa", {"cipher": CBC, "key_transport": "oaep-sha256"}, None, OAEP),
    ("encrypted GCM", "nosign", "rsa", {"cipher": GCM}, None, []),
    ("encrypted GCM EC", "nosign", "ec", {"cipher": GCM}, None, SHA256_KDF),
    ("signed and encrypted CBC", "rsa", "rsa", {"cipher": CBC}, "clear", []),
    ("signed and encrypted CBC EC", "ec", "ec", {"cipher": CBC}, "clear", SHA256_KDF),
    ("signed and encrypted GCM", "rsa", "rsa", {"cipher": GCM}, "clear", []),
    ("signed and encrypted GCM EC", "ec", "ec", {"cipher": GCM}, "clear", SHA256_KDF),
    ("signed opaque and encrypted", "rsa", "rsa", {"cipher": CBC, "signing_format": "opaque"}, "opaque", []),
]
SMALL = b"Content-Type: text/plain\r\n\r\nWritten by another program.\r\n"


class Cell:
    def __init__(self):
        self.right, self.errors, self.words = 0, [], None

    @property
    def tried(self):
        return self.right + len(self.errors)

    def empty(self):
        """The peer failed each time, each time for what it does not know, and says so of other messages, too."""
        return self.right == 0 and self.words is not None and all(cannot for cannot, _ in self.errors)


class Matrix:
    """How many contents came out right, by mode and peer. Peers work in threads, each on its own column."""

    def __init__(self, title, rows, columns):
        self.title, self.rows, self.columns = title, rows, columns
        self.cells = {(row, column): Cell() for row in rows for column in columns}

    def right(self, row, column):
        self.cells[row, column].right += 1

    def failed(self, row, column, cannot, text):
        self.cells[row, column].errors.append((cannot, text))

    def witnessed(self, row, column, cannot, text):
        """What the peer said where Postseal had no part in it."""
        if cannot:
            self.cells[row, column].words = text

    def show(self):
        print(f"# {self.title}")
        print("# " + "".ljust(34) + "".join(c.ljust(14) for c in self.columns))
        for row in self.rows:
            print("# " + row.ljust(34) + "".join(self.text(row, c).ljust(14) for c in self.columns), flush=True)

    def text(self, row, column):
        cell = self.cells[row, column]
        return "-" if cell.empty() else f"{cell.right}/{cell.tried}"

    def judge(self, tap, wanted):
        for (row, column), cell in self.cells.items():
            name = f"{self.title}: {row}: {column}"
            if cell.empty():
                tap.skip(name, "the peer cannot: " + " ".join(cell.words.split())[-160:])
                continue
            tap.ok(cell.right == cell.tried == (wanted or max(cell.tried, 1)), f"{name}: {cell.right}/{cell.tried}",
                   "\n".join(text for _, text in cell.errors)[:3000])


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
    witness = peers.OpenSSL(os.path.join(site.folder, "witness"), people["sender", "rsa"].root)
    # Each peer has its own files: they work side by side, one message after the other.
    workers = {peer: concurrent.futures.ThreadPoolExecutor(1) for peer in programs}
    for number, (mode, sender_key, reader_key, preferences, signed, options) in enumerate(MODES):
        sender = f"sender-{sender_key}@{INSIDE}"
        # The recipient's certificate is found by address: plain ones have an address of their own.
        reader = people["reader", reader_key].address if reader_key else f"plain{number}@{PARTNER}"
        who = {**preferences, "encrypt_mode": "force" if reader_key else "allow"}
        site.prefer(reader, **who)
        for sample in samples.some_samples(FULL, number):
            sent = sample(sender, reader)
            try:
                got = site.exchange(sender, reader, sent)
                same_addresses(sent, got)
            except Failed as error:
                for peer in programs:
                    matrix.failed(mode, peer.name, False, f"{sample.__name__}: {error}")
                continue
            for peer in programs:
                workers[peer].submit(judge_one, matrix, mode, peer, sample.__name__, sent, got, bool(reader_key), signed,
                                     people.get(("reader", reader_key)))
        der = (witness.encrypt(SMALL, people["reader", reader_key], preferences["cipher"], options) if reader_key
               else witness.sign(SMALL, people["sender", sender_key], signed == "opaque", options))
        for peer in programs:
            workers[peer].submit(ask_witness, matrix, mode, peer, der, signed, people.get(("reader", reader_key)))
        for name in who:
            site.cli("user", "unset", reader, name)
    for worker in workers.values():
        worker.shutdown()


def same_addresses(sent, got):
    """Postfix cuts long lists of addresses (header_address_token_limit), which no peer would notice."""
    wanted, found = ([address for _, address in email.utils.getaddresses([str(email.message_from_bytes(message)["To"])])]
                     for message in (peers.crlf(sent.encode() if isinstance(sent, str) else sent), got))
    if found != wanted:
        raise Failed(f"the To field has {len(found)} addresses of {len(wanted)}")


def judge_one(matrix, mode, peer, name, sent, got, encrypted, signed, reader):
    try:
        opened = samples.leaves(open_layers(peer, got, encrypted, signed, reader))
        wanted = samples.leaves(sent)
        if opened == wanted:
            matrix.right(mode, peer.name)
        else:
            matrix.failed(mode, peer.name, False, f"{name}: content differs\n{str(opened)[:300]}\n{str(wanted)[:300]}")
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is the cell's
        cannot = isinstance(error, peers.PeerFailed) and bool(peer.cannot.search(str(error)))
        matrix.failed(mode, peer.name, cannot, f"{name}: {error!r}")


def ask_witness(matrix, mode, peer, der, signed, reader):
    """What the peer says of OpenSSL's message of the same making."""
    try:
        if reader:
            opened = peer.decrypt(der, reader)
        else:
            opened = peer.verify_opaque(der) if signed == "opaque" else peer.verify_clear(SMALL, der)
        if opened != SMALL:
            raise peers.PeerFailed("the content differs")
    except peers.PeerFailed as error:
        matrix.witnessed(mode, peer.name, bool(peer.cannot.search(str(error))), str(error))


# -- what others make -----------------------------------------------------------------------


def signed_entity(peer, content, writer, opaque, **options):
    der = peer.sign(content, writer, opaque, **options)
    return peers.wrap_cms(der, "signed-data") if opaque else peers.wrap_signed(content, der)


def encrypted_entity(peer, content, reader, cipher, **options):
    return peers.wrap_cms(peer.encrypt(content, reader, cipher, **options),
                          "authEnveloped-data" if cipher.endswith("gcm") else "enveloped-data")


class Opener:
    """Has `postseal message` open what a peer made, one folder for each peer."""

    def __init__(self, site, root, name):
        self.site, self.root = site, root
        self.path, self.out = (os.path.join(site.folder, f"{name}.{end}") for end in ("eml", "out"))

    def message(self, command, message, *options):
        """(report, content)"""
        with open(self.path, "wb") as f:
            f.write(message)
        if os.path.exists(self.out):
            os.unlink(self.out)
        done = self.site.cli("message", command, self.path, *options, "--output", self.out, "--json", check=False)
        if done.returncode != 0:
            raise Failed(f"message {command}: exit {done.returncode}: {done.stderr} {done.stdout[-500:]}")
        with open(self.out, "rb") as f:
            return json.loads(done.stdout), peers.crlf(f.read())

    def decrypt(self, fields, entity, reader):
        # Not out of the PKCS#12: its 600,000 rounds each time would take longer than all the rest.
        return self.message("decrypt", fields + entity, "--key", reader.pem)[1]

    def verify(self, fields, entity):
        report, content = self.message("verify", fields + entity, "--roots", self.root)
        if report["verdict"] != "valid":
            raise Failed(str(report))
        return content


# row -> (sign, encrypt): how the peer makes it. sign: None, "clear" or "opaque"; encrypt: None or the cipher.
MADE = [("clear-signed", "clear", None), ("opaque", "opaque", None), ("encrypted CBC", None, CBC), ("encrypted GCM", None, GCM),
        ("signed and encrypted CBC", "clear", CBC), ("signed opaque and encrypted CBC", "opaque", CBC)]
# What only two of them can be told: row, key, signed, cipher, OpenSSL's options, Bouncy Castle's.
VARIANTS = [
    ("clear-signed PSS", "rsa", "clear", None, PSS, "SHA256withRSAandMGF1"),
    ("opaque PSS", "rsa", "opaque", None, PSS, "SHA256withRSAandMGF1"),
    ("clear-signed SHA-384", "rsa", "clear", None, ["-md", "sha384"], "SHA384withRSA"),
    ("clear-signed SHA-512", "rsa", "clear", None, ["-md", "sha512"], "SHA512withRSA"),
    ("clear-signed PSS SHA-512", "rsa", "clear", None, [*PSS, "-md", "sha512"], "SHA512withRSAandMGF1"),
    ("opaque EC SHA-384", "ec", "opaque", None, ["-md", "sha384"], "SHA384withECDSA"),
    ("encrypted OAEP", "rsa", None, CBC, OAEP, ("oaep-sha256", "der")),
    ("encrypted OAEP SHA-1", "rsa", None, CBC, oaep("sha1"), ("oaep-sha1", "ber")),
    ("encrypted OAEP SHA-384", "rsa", None, CBC, oaep("sha384"), ("oaep-sha384", "ber")),
    ("encrypted OAEP SHA-512", "rsa", None, CBC, oaep("sha512"), ("oaep-sha512", "der")),
    ("encrypted OAEP GCM", "rsa", None, GCM, OAEP, ("oaep-sha256", "ber")),
    ("encrypted AES-128-CBC", "rsa", None, "aes-128-cbc", [], ("pkcs1", "der")),
    ("encrypted AES-192-CBC", "rsa", None, "aes-192-cbc", [], ("pkcs1", "ber")),
    ("encrypted AES-256-CBC", "rsa", None, CBC, [], ("pkcs1", "der")),
    ("encrypted AES-128-GCM", "rsa", None, "aes-128-gcm", [], ("pkcs1", "ber")),
    ("encrypted AES-192-GCM", "rsa", None, "aes-192-gcm", [], ("pkcs1", "ber")),
    ("encrypted EC, SHA-1 KDF", "ec", None, CBC, kdf("sha1"), ("ecdh-sha1", "ber")),
    ("encrypted EC, SHA-256 KDF", "ec", None, CBC, SHA256_KDF, ("ecdh-sha256", "der")),
    ("encrypted EC, SHA-384 KDF", "ec", None, CBC, kdf("sha384"), ("ecdh-sha384", "ber")),
    ("encrypted EC, SHA-512 KDF", "ec", None, CBC, kdf("sha512"), ("ecdh-sha512", "der")),
    ("encrypted EC GCM", "ec", None, GCM, SHA256_KDF, ("ecdh-sha256", "ber")),
]


def inbound(site, root, people, programs, matrix, variants):
    with concurrent.futures.ThreadPoolExecutor(len(programs)) as pool:
        jobs = [pool.submit(made_by, peer, Opener(site, root, peer.name), people, matrix) for peer in programs]
        others = [peers.OpenSSL(os.path.join(site.folder, "variants"), root),
                  peers.BouncyCastle(os.path.join(site.folder, "variants"), root)]
        jobs += [pool.submit(made_with_options, peer, Opener(site, root, "variant-" + peer.name), people, variants, column)
                 for column, peer in enumerate(others)]
    for job in jobs:
        job.result()
    others[1].close()


def made_by(peer, opener, people, matrix):
    for shift, key in enumerate(("rsa", "ec")):
        for number, (row, sign, cipher) in enumerate(MADE, shift * len(MADE)):
            for sample in samples.some_samples(FULL, number):
                read_one(matrix, row + (" EC" if key == "ec" else ""), peer, opener, sample, people, key, sign, cipher)


def made_with_options(peer, opener, people, matrix, column):
    for number, (row, key, sign, cipher, *options) in enumerate(VARIANTS):
        for sample in samples.some_samples(FULL, number):
            read_one(matrix, row, peer, opener, sample, people, key, sign, cipher, options=options[column])


def read_one(matrix, row, peer, opener, sample, people, key, sign, cipher, **options):
    writer, reader = people["sender", key], people["reader", key]
    about, fields, body = samples.split(sample(writer.address, reader.address))
    content = about + b"\r\n" + body
    fields = fields.replace(b"\r\n", b"\n")
    try:
        entity = signed_entity(peer, content, writer, sign == "opaque", **options) if sign else content
        if cipher:
            entity = encrypted_entity(peer, peers.crlf(entity), reader, cipher, **options)
    except peers.PeerFailed as error:
        # Here the peer does not speak of our message: it cannot make one.
        cannot = bool(peer.cannot.search(str(error)))
        matrix.failed(row, peer.name, cannot, f"{sample.__name__}: {error}")
        matrix.witnessed(row, peer.name, cannot, str(error))
        return
    try:
        if cipher:
            entity = opener.decrypt(fields, entity, reader)
        opened = opener.verify(fields, entity) if sign else entity
        if opened == content:
            matrix.right(row, peer.name)
        else:
            matrix.failed(row, peer.name, False, f"{sample.__name__}: content differs\n{opened[:300]!r}\n{content[:300]!r}")
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is the cell's
        matrix.failed(row, peer.name, False, f"{sample.__name__}: {error!r}")


def through_gateway(site, people, programs, matrix):
    """What they make arrives from outside, and lies opened and vouched for in the mailbox."""
    site.prefer(INSIDE, keep_signature="remove")
    for peer in programs:
        for shift, key in enumerate(("rsa", "ec")):
            for number, (row, sign, cipher) in enumerate(MADE, shift * len(MADE)):
                # What nothing vouches for has rules of its own, which a plain text keeps.
                tried = samples.some_samples(FULL, number)[:None if FULL else 1] if sign else [samples.plain]
                for sample in tried:
                    arrive_one(site, matrix, row + (" EC" if key == "ec" else ""), peer, sample, people, key, sign, cipher)


def arrive_one(site, matrix, row, peer, sample, people, key, sign, cipher):
    writer, reader = people["reader", key], people["sender", key]
    sent = sample(writer.address, reader.address)
    about, fields, body = samples.split(sent)
    try:
        entity = about + b"\r\n" + body
        if sign:
            entity = signed_entity(peer, entity, writer, sign == "opaque")
        if cipher:
            entity = encrypted_entity(peer, peers.crlf(entity), reader, cipher)
    except peers.PeerFailed as error:
        cannot = bool(peer.cannot.search(str(error)))
        matrix.failed(row, peer.name, cannot, f"{sample.__name__}: {error}")
        matrix.witnessed(row, peer.name, cannot, str(error))
        return
    try:
        got = site.exchange(writer.address, reader.address, fields.replace(b"\r\n", b"\n") + entity, xclient=OUTSIDER)
        result = str(email.message_from_bytes(got)["Authentication-Results"])
        if bool(sign) != ("smime=pass" in result):
            raise Failed(f"the result is {result}")
        if samples.leaves(got) != samples.leaves(sent):
            raise Failed(f"content differs\n{got[:1500]!r}")
        matrix.right(row, peer.name)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is the cell's
        matrix.failed(row, peer.name, False, f"{sample.__name__}: {error!r}")


def main():
    tap = Tap()
    with Site() as site:
        site.start()
        root, people = make_people(site)
        folder = os.path.join(site.folder, "peers")
        os.makedirs(folder)
        programs = [make(folder, root) for make in peers.everybody()]
        for peer in programs:
            for identity in people.values():
                peer.add(identity)
        names = [peer.name for peer in programs]
        out = Matrix("Postseal -> peer", [mode[0] for mode in MODES], names)
        back = Matrix("peer -> Postseal", [row + end for end in ("", " EC") for row, _, _ in MADE], names)
        variants = Matrix("variants -> Postseal", [row[0] for row in VARIANTS], ["openssl", "bouncycastle"])
        outbound(site, people, programs, out)
        out.show()
        arrived = Matrix("peer -> gateway", back.rows, names)
        through_gateway(site, people, programs, arrived)
        arrived.show()
        if not AGAIN:  # no MTA has a part in what follows
            inbound(site, root, people, programs, back, variants)
        for peer in programs:
            getattr(peer, "close", lambda: None)()
    matrices = (out,) if AGAIN else (out, back, variants)
    for matrix in matrices[1:]:
        matrix.show()
    for matrix in matrices:
        matrix.judge(tap, len(samples.some_samples(FULL, 0)))
    arrived.judge(tap, None)
    tap.done()


main()
