#!/usr/bin/env python3
"""MIME torture: broken and extreme messages that others collected, each through the filter in every way.

Left alone they arrive as they do without a filter, and a scripted MTA is asked for no modification; signed
they verify elsewhere, delivered by the real MTA; encrypted they open to what was sent. Nothing crashes, and
nothing takes more than ten times what an ordinary message of its size takes.

The short form takes a sample by hash, PS_FULL=yes all.
"""
import collections
import concurrent.futures
import hashlib
import os
import queue
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import peers  # noqa: E402
import samples  # noqa: E402
from harness import AGAIN, DATA, INSIDE, OUTSIDER, PARTNER, Failed, Site, Tap, _dot_stuffed, require, wait_until  # noqa: E402
from mta import Mta, new_field  # noqa: E402

FULL = os.environ.get("PS_FULL") == "yes"
SHARE = 1 if FULL else 12 if AGAIN else 6  # one of so many files
WORKERS = 4
FOLDER = os.path.join(DATA, "mime-torture")
ALICE, BOB, PLAIN = f"alice@{INSIDE}", f"bob@{PARTNER}", f"plain@{INSIDE}"
TIMES = 10  # as long as an ordinary message of its size, at most
FLOOR_SECONDS = 0.02  # below this it is the scheduler that is measured
FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
# Why a message that must be signed or encrypted may be refused instead.
ALLOWED = ("MTA", "refused.ambiguous", "refused.limit", "refused.foreign-signature", "refused.protected")


class Message:
    """One file of the collection, as it goes over SMTP."""

    def __init__(self, number, name, data):
        self.number, self.name = number, name
        self.data = re.sub(rb"\r?\n", b"\r\n", data)

    def at(self, what, domain=INSIDE):
        """An address of this file's own, by which its delivered copies are known."""
        return f"torture{self.number}-{what}@{domain}"

    def of(self, author):
        """The same message as this author would send it: one From, nobody else's sender fields."""
        head, body = cut(self.data)
        if head == b"" and re.match(rb"From [^\r\n]*\r\n", body or b""):
            head, body = cut(body.split(b"\n", 1)[1])
        kept = [f for f in fields(head) if not re.match(rb"(resent-)?(from|sender)[ \t]*:|resent-", f, re.I)]
        return f"From: {author}\r\n".encode() + b"".join(kept) + (b"\r\n" + body if body is not None else b"")


def cut(data):
    """(header block, body) as MTAs see them: the first line that is no field begins the body. Body None: none."""
    at = 0
    while at < len(data):
        end = data.find(b"\n", at) + 1 or len(data)
        line = data[at:end]
        if line in (b"\r\n", b"\n"):
            return data[:at], data[end:]
        if not FIELD.match(line) and (at == 0 or line[:1] not in b" \t"):
            return data[:at], data[at:]
        at = end
    return data, None


def fields(head):
    return re.findall(rb"[^\n]*\n(?:[ \t][^\n]*\n)*", head if head.endswith(b"\n") or not head else head + b"\r\n")


def collection():
    with open(os.path.join(FOLDER, "MANIFEST.tsv")) as f:
        names = [line.split("\t")[0] for line in f.read().splitlines()[1:]]
    found = []
    for number, name in enumerate(names):
        if int(hashlib.sha256(name.encode()).hexdigest(), 16) % SHARE == 0:
            with open(os.path.join(FOLDER, name), "rb") as f:
                found.append(Message(number, name, f.read()))
    return found, len(names)


# -- the real MTA ---------------------------------------------------------------------------------


class Senders:
    """A few SMTP sessions, each for many messages."""

    def __init__(self, site):
        self.site = site
        self.idle = {}

    def session(self, port, outside):
        free = self.idle.setdefault((port, outside), queue.SimpleQueue())
        try:
            return free, free.get_nowait()
        except queue.Empty:
            return free, self.site.postfix.connect(port, OUTSIDER if outside else None)

    def send(self, port, outside, sender, recipient, data):
        """What the data is answered."""
        free, smtp = self.session(port, outside)
        smtp.rset()
        for command in (f"MAIL FROM:<{sender}> BODY=8BITMIME", f"RCPT TO:<{recipient}>", "DATA"):
            code, text = smtp.docmd(command)
            if code >= 400:
                raise Failed(f"{command}: {code} {text}")
        smtp.send(_dot_stuffed(data))
        code, text = smtp.getreply()
        if code == 421:  # Sendmail parts with who sends a bare CR
            smtp.close()
        else:
            free.put(smtp)
        return code, text.decode(errors="replace")

    def all(self, jobs):
        """jobs: (key, port, outside, sender, recipient, data); gives key -> answer."""
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            answers = {key: pool.submit(self.send, *job) for key, *job in jobs}
        return {key: answer.result() for key, answer in answers.items()}

    def close(self):
        for free in self.idle.values():
            while not free.empty():
                free.get().close()


class Delivered:
    """What lies in the mailboxes, by recipient; each file is read once."""

    def __init__(self, site):
        self.site, self.seen, self.by_address = site, set(), {}

    def look(self):
        for domain in (INSIDE, PARTNER):
            for path in self.site.postfix.mailbox_files(domain):
                if path in self.seen:
                    continue
                self.seen.add(path)
                with open(path, "rb") as f:
                    data = f.read()
                address = re.search(rb"^Delivered-To: (\S+)", data, re.M).group(1).decode()
                self.by_address.setdefault(address, []).append(data)

    def wait(self, addresses):
        def there():
            self.look()
            return all(a in self.by_address for a in addresses)
        try:
            wait_until("all mail", there, step=0.2)
        except Failed:
            missing = [a for a in addresses if a not in self.by_address]
            raise Failed(f"{len(missing)} messages were not delivered: {missing[:5]} {self.site.postfix.queue_list()[:3]}") from None


TRACE = re.compile(rb"(return-path|delivered-to|x-original-to|received):", re.I)
ADDED = re.compile(rb"(date|message-id|from|to|cc|apparently-to)[ \t]*:", re.I)


def without_trace(data, sent):
    """But for the MTA's trace fields above the rest, and for fields that were not there and that it adds."""
    head, body = cut(data)
    lines, theirs = fields(head), {name(f) for f in fields(cut(sent)[0])}
    received = 0
    kept = []
    for field in lines:
        if not kept and TRACE.match(field) and received < 1:
            received += name(field) == b"received"
            continue
        if ADDED.match(field) and name(field) not in theirs:
            continue
        kept.append(field)
    return b"".join(kept), body


def name(field):
    return field.split(b":")[0].strip().lower()


def untouched_by_mta(tap, site, senders, delivered, messages):
    """Inbound mail with nothing to do, against the same MTA's listener without a filter."""
    mta = site.postfix
    stranger = "x@other.example"
    answers = senders.all([((m.number, way), port, way == "with", stranger, m.at(way), m.data)
                           for m in messages for way, port in (("without", mta.reinject), ("with", mta.mx))])
    accepted = [key for key, (code, _) in answers.items() if code == 250]
    by_number = {m.number: m for m in messages}
    delivered.wait([by_number[number].at(way) for number, way in accepted])
    different = []
    for m in messages:
        replies = [answers[m.number, way] for way in ("without", "with")]
        if replies[0][0] != replies[1][0]:
            different.append(f"{m.name}: {replies}")
        if replies[0][0] != 250 or replies[1][0] != 250:
            continue
        without, with_ = (without_trace(delivered.by_address[m.at(way)][0], m.data) for way in ("without", "with"))
        if without != with_ and not protected(m):
            different.append(f"{m.name}:\n  without {first_difference(without, with_)}")
    refused = sum(answers[m.number, "without"][0] != 250 for m in messages)
    print(f"# {site.mta}: {len(messages)} untouched, {refused} refused by the MTA itself, {len(different)} different")
    tap.ok(not different, f"{site.mta}: untouched mail arrives as without a filter", "\n".join(different))


def first_difference(a, b):
    a, b = (b"\n\n".join(part or b"" for part in x) for x in (a, b))
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"{a[max(0, at - 40):at + 60]!r}\n  with    {b[max(0, at - 40):at + 60]!r}"


def protected(m):
    """S/MIME is read, and what was found is written into the header."""
    return re.search(rb"pkcs7-(mime|signature)", m.data, re.I)


# -- the scripted MTA -----------------------------------------------------------------------------


def scripted(mta, sender, recipient, data):
    """(code, edits, seconds) of one message; octets as they are, cut at NUL as C programs do."""
    head, body = cut(data)
    began = time.monotonic()
    mta.envelope(f"<{sender}>", [f"<{recipient}>"])
    for field in fields(head):
        title, value = field.split(b":", 1)
        value = re.sub(rb"\r?\n$", b"", value).replace(b"\r\n", b"\n")
        mta.step(b"L", title.strip() + b"\0" + value.split(b"\0")[0] + b"\0")
    mta.step(b"N")
    if body:
        mta.body(body)
    code, edits = mta.end()
    return code, edits, time.monotonic() - began


def ordinary(size):
    line = b"An ordinary line of text, of which there are as many as are needed here.\r\n"
    return (b"From: somebody@other.example\r\nTo: somebody@inside.example\r\nSubject: ordinary\r\nMIME-Version: 1.0\r\n"
            b"Content-Type: text/plain\r\n\r\n" + line * (size // len(line) + 1))


class Clock:
    """How long ordinary messages take, by size and way; measured when asked for, the quickest of some."""

    def __init__(self):
        self.known, self.worst = {}, {}

    def usual(self, mta, way, sender, recipient, size):
        size = max(2048, 1 << size.bit_length())
        if (way, size) not in self.known:
            data = ordinary(size // 2)
            if way != "untouched":
                data = Message(0, "", data).of(sender)
            self.known[way, size] = sorted(scripted(mta, sender, recipient, data)[2] for _ in range(7))[3]
        return self.known[way, size]


def too_slow(mta, clock, way, sender, recipient, data, seconds):
    """Measured again where it looks slow: other programs run on this machine, too."""
    usual = clock.usual(mta, way, sender, recipient, len(data))
    limit = max(TIMES * usual, FLOOR_SECONDS)
    for _ in range(5):
        if seconds <= 2 * usual:
            break
        seconds = min(seconds, scripted(mta, sender, recipient, data)[2])
    clock.worst[way] = max(clock.worst.get(way, 0), seconds / usual)
    return None if seconds <= limit else f"{seconds * 1000:.1f} ms, at most {limit * 1000:.1f} ms"


def scripted_untouched(tap, site, messages, clock):
    mta = Mta(site.milter_address, client=OUTSIDER)
    edited, slow, refused, read = [], [], [], 0
    for m in messages:
        code, edits, seconds = scripted(mta, "x@other.example", PLAIN, m.data)
        if code != "250":
            refused.append(f"{m.name}: {code}")
        elif edits and protected(m):
            read += 1
        elif edits:
            edited.append(f"{m.name}: {edits[:3]}")
        slow.append((m.name, too_slow(mta, clock, "untouched", "x@other.example", PLAIN, m.data, seconds)))
    mta.close()
    slow = [f"{n}: {text}" for n, text in slow if text]
    print(f"# scripted: {len(messages)} untouched, {len(edited)} edited, {len(refused)} refused, {read} with results of S/MIME")
    tap.ok(not edited and not refused, "scripted: not one modification is asked for", "\n".join(edited + refused))
    tap.ok(not slow, f"scripted: left alone in at most {TIMES} times the usual time", "\n".join(slow))


def scripted_protected(tap, site, messages, clock, way, recipient, kind):
    """signed or encrypted: how long it takes, and that it happens; the content is looked at behind the real MTA."""
    mta = Mta(site.milter_address)
    slow, odd, done = [], [], 0
    for m in messages:
        data = m.of(ALICE)
        code, edits, seconds = scripted(mta, ALICE, recipient, data)
        done += code == "250" and kind in (new_field(edits, "Content-Type") or "")
        if code[:3] not in ("250", "550", "552"):
            odd.append(f"{m.name}: {code}")
        text = too_slow(mta, clock, way, ALICE, recipient, data, seconds)
        if text:
            slow.append(f"{m.name}: {text}")
    mta.close()
    tap.ok(not odd, f"scripted: {way}: each has a clear answer", "\n".join(odd))
    tap.ok(not slow, f"scripted: {way} in at most {TIMES} times the usual time", "\n".join(slow))


# -- signed and encrypted, by the real MTA ----------------------------------------------------------


def reason_of(site, recipient):
    found = [line for line in site.filter.output().splitlines() if recipient in line and "outcome=" in line]
    return re.search(r"outcome=(\S+)", found[-1]).group(1) if found else "?"


def protect_all(site, senders, delivered, messages, what):
    """Sends each as ALICE's; gives number -> delivered bytes, or the reason why not."""
    answers = senders.all([(m.number, site.postfix.mx, False, ALICE, m.at(what, PARTNER), m.of(ALICE)) for m in messages])
    delivered.wait([m.at(what, PARTNER) for m in messages if answers[m.number][0] == 250])
    found, reasons = {}, {}
    for m in messages:
        code, text = answers[m.number]
        if code == 250:
            found[m.number] = delivered.by_address[m.at(what, PARTNER)][0]
        else:
            why = "MTA" if code == 421 else reason_of(site, m.at(what, PARTNER))
            reasons[m.number] = f"{why} ({code} {text})"
    return found, reasons


def verify(program, message):
    header = peers.split_header(message)[0]
    if re.search(rb"^content-type:[^\n]*multipart/signed", header, re.I | re.M):
        content, signature = peers.cut_signed(message)
        return program.verify_clear(content, signature)
    return program.verify_opaque(peers.cut_cms(message))


def spread(programs, messages, function):
    """function(program, message) for each pair, each program in a thread of its own."""
    def one(program):
        wrong = []
        for m in messages:
            try:
                function(program, m)
            except Exception as error:  # noqa: BLE001 - each message has its own verdict
                wrong.append(f"{m.name}: {program.name}: {error}")
        return wrong
    with concurrent.futures.ThreadPoolExecutor(len(programs)) as pool:
        return [line for wrong in pool.map(one, programs) for line in wrong]


def signed(tap, site, senders, delivered, messages, programs):
    found, reasons = protect_all(site, senders, delivered, messages, "signed")
    unsigned = [m for m in messages if m.number in found and b"pkcs7-" not in peers.split_header(found[m.number])[0]]
    for m in unsigned:
        reasons[m.number] = reason_of(site, m.at("signed", PARTNER))
    done = [m for m in messages if m.number in found and m not in unsigned]
    opaque = sum(b"multipart/signed" not in peers.split_header(found[m.number])[0] for m in done)
    contents = {}

    def check(program, m):
        content = verify(program, found[m.number])
        require(contents.setdefault(m.number, content) == content, "another content than the other program's")
    wrong = spread(programs, done, check)
    differing = [f"{m.name}: {why}" for m in done for why in [same_content(m.of(ALICE), contents.get(m.number))] if why]
    print(f"# {site.mta}: {len(done)} of {len(messages)} signed, {opaque} of them opaque, "
          f"{len(wrong)} failures of {' and '.join(p.name for p in programs)}")
    tell(reasons)
    tap.ok(done and not wrong, f"{site.mta}: each signature verifies with {' and '.join(p.name for p in programs)}", "\n".join(wrong))
    tap.ok(not differing, f"{site.mta}: what is signed is what was sent", "\n".join(differing))
    tap.ok(not surprising(reasons), f"{site.mta}: what is not signed is not for a known reason", "\n".join(surprising(reasons)))


def encrypted(tap, site, senders, delivered, messages, program, reader):
    found, reasons = protect_all(site, senders, delivered, messages, "encrypted")
    plain = [m.name for m in messages if m.number in found and not is_enveloped(found[m.number])]
    done = [m for m in messages if m.number in found and is_enveloped(found[m.number])]
    wrong = []
    for m in done:
        try:
            content = program.decrypt(peers.cut_cms(found[m.number]), reader)
            why = same_content(m.of(ALICE), content, exactly=True)
        except peers.PeerFailed as error:
            why = str(error)
        if why:
            wrong.append(f"{m.name}: {why}")
    print(f"# {site.mta}: {len(done)} of {len(messages)} encrypted, {len(wrong)} not opened equal")
    tell(reasons)
    tap.ok(not plain, f"{site.mta}: nothing leaves in the clear", "\n".join(plain))
    tap.ok(done and not wrong, f"{site.mta}: each opens to what was sent", "\n".join(wrong))
    tap.ok(not surprising(reasons), f"{site.mta}: what is refused is refused for a known reason", "\n".join(surprising(reasons)))


def is_enveloped(message):
    return re.search(rb"enveloped-data", peers.split_header(message)[0], re.I)


def surprising(reasons):
    return [f"{number}: {text}" for number, text in reasons.items() if not text.startswith(ALLOWED)]


def tell(reasons):
    counted = collections.Counter(text.split(" ")[0] for text in reasons.values())
    for text, count in counted.items():
        print(f"#   not protected: {count} {text}")


def same_content(sent, content, exactly=False):
    """None, or how the entity differs from the message it was made of."""
    if content is None:
        return "no content"
    head, body = cut(sent)
    about = b"".join(f for f in fields(head) if name(f).startswith(b"content-"))
    body, inner = as_delivered(body or b""), as_delivered(cut(content)[1] or b"")
    if inner == body or (not exactly and inner == without_epilogue(about, body)):
        return None
    if exactly:
        return first_difference((body,), (inner,))
    wanted, got = ([leaf(*one) for one in samples.leaves(x)] for x in (about + b"\n" + without_epilogue(about, body), content))
    return None if got == wanted else f"leaves differ\n  {str(wanted)[:300]}\n  {str(got)[:300]}"


def as_delivered(body):
    """An MTA ends the last line, its line ends are one kind, and a CR before one goes."""
    return re.sub(rb"\r*\n", b"\n", body if body.endswith(b"\n") or not body else body + b"\n")


def without_epilogue(about, body):
    """No epilogue is signed: one well-known mail program calls that tampered with."""
    boundary = peers.parameter(about, "boundary")
    closing = boundary and re.search(rb"(?:^|\n)--" + re.escape(boundary.encode("latin-1")) + rb"--[ \t]*\n", body)
    return body[:closing.end()] if closing else body


def leaf(kind, data):
    return kind, data.rstrip(b"\n")


def simple():
    return f"From: {ALICE}\nTo: {BOB}\nSubject: ordinary\n\nbody\n"


def identity(site):
    """Both people's certificates; gives what the reader opens with."""
    folder = os.path.join(site.folder, "peers")
    os.makedirs(folder)
    for address in (ALICE, BOB):
        site.issue(address)
    p12, root = os.path.join(folder, "bob.p12"), os.path.join(folder, "root.pem")
    site.export_p12(BOB, p12)
    site.cli("root", "export", "--all", "--output", root)
    return peers.Identity(folder, BOB, p12, os.path.join(site.folder, "etc", "p12.password"), root)


def main():
    tap = Tap()
    if not os.path.exists(os.path.join(FOLDER, "MANIFEST.tsv")):
        tap.skip("MIME torture", "the folder mime-torture is missing")
        tap.done()
    messages, count = collection()
    print(f"# {len(messages)} of {count} files")
    with Site() as site:
        site.start()
        site.make_ca()
        reader = identity(site)
        thumbprint = site.json("cert", "list", "--email", BOB)["items"][0]["thumbprint"]
        site.cli("select", "encrypt", PARTNER, thumbprint)
        site.prefer(PARTNER, encrypt_mode="none")
        site.prefer(INSIDE, sign_mode="required")
        clock, senders, delivered = Clock(), Senders(site), Delivered(site)
        scripted_untouched(tap, site, messages, clock)
        scripted_protected(tap, site, messages, clock, "signed", f"x@{PARTNER}", "signed")
        untouched_by_mta(tap, site, senders, delivered, messages)
        programs = [make(os.path.join(site.folder, "peers"), reader.root) for make in (peers.OpenSSL, peers.Gpgsm)]
        signed(tap, site, senders, delivered, messages, programs)
        programs[1].close()
        site.prefer(INSIDE, sign_mode="never")
        site.prefer(PARTNER, encrypt_mode="force")
        wait_until("the preferences", lambda: is_enveloped(site.exchange(ALICE, BOB, simple())))
        scripted_protected(tap, site, messages, clock, "encrypted", BOB, "enveloped-data")
        encrypted(tap, site, senders, delivered, messages, programs[0], reader)
        tap.ok(site.filter.running(), "the filter runs as before")
        print("# the slowest, in times of an ordinary message: " + ", ".join(f"{way} {times:.1f}" for way, times in clock.worst.items()))
        senders.close()
    tap.done()


main()
