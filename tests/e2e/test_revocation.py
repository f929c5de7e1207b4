#!/usr/bin/env python3
"""Revocation lists through the real daemon and filter, two nodes on one database: a CA with a new key, a list that
goes backwards, lists of every date, a daemon that is killed in mid-load, a clock that is set back. After each of them
`crl list` says what is so, and mail is encrypted to nobody who is revoked."""
import datetime
import glob
import json
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
sys.dont_write_bytecode = True
from authority import Authority, openssl  # noqa: E402
from harness import INSIDE, PARTNER, Failed, Process, Site, Tap, can_connect, program, require, wait_until  # noqa: E402

ALICE = f"alice@{INSIDE}"
MANY = 600000 if os.environ.get("PS_FULL") == "yes" else 150000
FAKE = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
NOW = datetime.datetime.now(datetime.timezone.utc)


def clock(days):
    """An environment whose clock is off by some days."""
    return dict(os.environ, LD_PRELOAD=FAKE[0], FAKETIME=f"{days}d", FAKETIME_DONT_FAKE_MONOTONIC="1")


class Ca(Authority):
    """With lists of a number and dates of one's choice."""

    organisation = "Revocation"
    environment = clock(-60) if FAKE else None  # so that they are valid whatever the clock is set to

    def list(self, number, start=-3600, end=7 * 86400, damage=False):
        out = self.path(f"{number}.crl")
        stamp = lambda seconds: (NOW + datetime.timedelta(seconds=seconds)).strftime("%y%m%d%H%M%SZ")
        pem = self.make_list(number, ("-crl_lastupdate", stamp(start), "-crl_nextupdate", stamp(end)))
        der = bytearray(openssl("crl", "-outform", "DER", stdin=pem))
        if damage:
            der[-1] ^= 1
        with open(out, "wb") as f:
            f.write(der)
        return out

    def long_list(self, number, serials, start=-60):
        """A list of many entries: those of a short one replaced, and signed anew."""
        path = self.list(number, start)
        with open(path, "rb") as f:
            tbs = elements(inside(f.read()))[0]
        # version, algorithm, issuer, two dates, (entries,) extensions
        parts = elements(inside(tbs))
        entries = b"".join(b"\x30\x1d\x02\x0c" + s.to_bytes(12, "big") + b"\x17\x0d261101000000Z" for s in serials)
        body = b"".join(parts[:5]) + tlv(0x30, entries) + parts[-1]
        tbs = tlv(0x30, body)
        signature = openssl("dgst", "-sha256", "-sign", self.key, stdin=tbs)
        algorithm = parts[1]
        with open(path, "wb") as f:
            f.write(tlv(0x30, tbs + algorithm + tlv(3, b"\0" + signature)))
        return path


def header(data):
    if data[1] < 0x80:
        return 2, data[1]
    n = data[1] & 0x7F
    return 2 + n, int.from_bytes(data[2:2 + n], "big")


def inside(data):
    head, length = header(data)
    return data[head:head + length]


def elements(data):
    found = []
    while data:
        head, length = header(data)
        found.append(data[:head + length])
        data = data[head + length:]
    return found


def tlv(tag, contents):
    n = len(contents)
    if n < 128:
        return bytes([tag, n]) + contents
    size = (n.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + n.to_bytes(size, "big") + contents


def serial_of(cert):
    return openssl("x509", "-in", cert, "-noout", "-serial").decode().strip().split("=")[1]


class World:
    def __init__(self, site):
        self.site = site
        self.folder = os.path.join(site.folder, "pki")
        os.makedirs(self.folder)
        self.root = Ca(self.folder, "Root")
        self.ca = Ca(self.folder, "Issuing", self.root)
        self.bob, self.carol = self.ca.user(f"bob@{PARTNER}"), self.ca.user(f"carol@{PARTNER}")
        site.cli("root", "import", self.root.cert)
        site.cli("cert", "import", self.ca.cert, self.bob, self.carol)
        site.cli("domain", "set", PARTNER, "encrypt_mode", "force")

    def lists(self, *args):
        return self.site.json("crl", "list", *args)["items"]

    def shown(self, text="Issuing"):
        return sorted((r["number"], r["state"], r["verdict"], r["reason"]) for r in self.lists(text))

    def bring(self, path, config=None):
        done = subprocess.run([program("postseal"), "-c", config or self.site.config, "crl", "import", path, "--json"],
                              capture_output=True, text=True, timeout=600)
        self.site.unheard = True
        if done.returncode != 0 or not done.stdout:
            raise Failed(f"crl import: {done.returncode} {done.stderr}")
        return json.loads(done.stdout)["items"][0]

    def answer(self, who):
        message = f"From: {ALICE}\nTo: {who}@{PARTNER}\nSubject: x\nMessage-ID: <{time.time_ns()}@{INSIDE}>\n\nbody\n"
        return self.site.send(ALICE, [f"{who}@{PARTNER}"], message)

    def encrypts(self, who):
        """Does the filter of this moment encrypt to him?"""
        code, text = self.answer(who)
        if code == 250:
            mail = self.site.wait_mail(f"{who}@{PARTNER}")
            require(b"enveloped-data" in mail or b"EnvelopedData" in mail, mail[:800])
        return code == 250

    def refuses_now(self, who):
        """As soon as the filter knows of all changes."""
        require(not self.encrypts(who), f"{who} is encrypted to")


def before_and_after(w):
    """Nobody is revoked; then one is, and the filter, another node, knows it."""
    require(w.encrypts("bob") and w.encrypts("carol"), "not encrypted to begin with")
    w.bring(w.ca.list(5))
    require(w.shown() == [("5", "usable", "valid", "")], w.shown())
    require(w.encrypts("bob"), "a list without entries revokes nobody")
    w.ca.revoked.append(serial_of(w.bob))
    item = w.bring(w.ca.list(6, -1800))
    require(item["outcome"] == "new" and item["note"] in ("", None), item)
    w.refuses_now("bob")
    require(w.encrypts("carol"), "carol is not revoked")
    row = w.lists("Issuing")[0]
    entry = w.site.json("crl", "show", row["thumbprint"], "--serial", ":".join(
        serial_of(w.bob)[i:i + 2] for i in range(0, len(serial_of(w.bob)), 2)))["revoked"]
    require(len(entry) == 1 and entry[0]["serial"].upper() == serial_of(w.bob).lstrip("0"), entry)
    csv = w.site.cli("crl", "entries", row["thumbprint"], "--csv").stdout
    require(csv.splitlines()[0].startswith("serial,revoked,reason"), csv)


def backwards(w):
    """An older one is not taken; one whose number goes back is kept, and revokes and frees nobody."""
    w.ca.revoked.clear()
    item = w.bring(w.ca.list(5))
    require("the store has a newer one: number 6" in item["note"], item)
    item = w.bring(w.ca.list(3, -60))
    require("kept without effect" in item["note"] and "its number is smaller" in item["note"], item)
    shown = w.shown()
    require([r[:3] for r in shown] == [("3", "backwards", "invalid"), ("6", "usable", "valid")], shown)
    require(not w.encrypts("bob") and w.encrypts("carol"), "a list that goes backwards had an effect")


def for_ever(w):
    """The next one does not name bob any more: he stays revoked, and the list says so."""
    w.bring(w.ca.list(7, -600))
    require(not w.encrypts("bob"), "bob is not revoked any more")
    row = next(r for r in w.lists("Issuing") if r["number"] == "7")
    shown = w.site.json("crl", "show", row["thumbprint"], "--serial", serial_of(w.bob))
    require(shown["revoked_before"] == 1 and "for ever" in shown["revoked"][0]["note"], shown)


def without_effect(w):
    """Damaged, out of date, of next week, of a stranger: kept, shown, without effect."""
    stranger = Ca(w.folder, "Stranger")
    cases = [(w.ca.list(20, damage=True), "bad-signature"), (w.ca.list(21, -300, -200), "expired"),
             (w.ca.list(22, 7 * 86400, 9 * 86400), "early"), (stranger.list(23), "no-issuer")]
    for path, state in cases:
        item = w.bring(path)
        require("kept without effect" in item["note"], (state, item))
        rows = [r for r in w.lists() if r["state"] == state]
        require(len(rows) == 1 and rows[0]["verdict"] == "invalid" and rows[0]["reason"], (state, rows))
    require(not w.encrypts("bob") and w.encrypts("carol"), "a list without effect had one")
    # The stranger's root comes: nobody has to bring his list again.
    w.site.cli("root", "import", stranger.cert)
    wait_until("the stranger's list counts", lambda: w.shown("Stranger")[0][1:3] == ("usable", "valid"))
    kept = [r["thumbprint"] for r in w.lists("--without-effect")]
    require(len(kept) >= 3, kept)
    w.site.cli("crl", "delete", *kept)
    require(not w.lists("--without-effect"), w.lists())


def new_key(w):
    """The CA has a new key and the same name: two lists side by side, and each revokes its own."""
    renewed = Ca(os.path.join(w.folder), "Issuing2", w.root)
    renewed.sign(renewed.cert, "/O=Revocation/CN=Issuing", renewed.key, w.root,
                 "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
                 "authorityKeyIdentifier=keyid\n")
    dave = renewed.user(f"dave@{PARTNER}")
    w.site.cli("cert", "import", renewed.cert, dave)
    require(w.encrypts("dave"), "dave's certificate is good")
    w.bring(renewed.list(1, -30))
    states = [r[:3] for r in w.shown()]
    require(states == [("1", "usable", "valid"), ("7", "usable", "valid")], w.shown())
    require(not w.encrypts("bob") and w.encrypts("carol") and w.encrypts("dave"), "after the new key")
    renewed.revoked.append(serial_of(dave))
    w.bring(renewed.list(2, -20))
    w.refuses_now("dave")
    require(w.encrypts("carol"), "carol is not revoked")


def killed(w):
    """kill -9 while a long list is being loaded: the old one is in force; once more, and it is done."""
    path = w.ca.long_list(30, [(1 << 92) + n * 7919 for n in range(MANY)], -30)
    child = subprocess.Popen([program("postseal"), "-c", w.site.config, "crl", "import", path], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    early = child.poll() is None
    w.site.daemon.kill()
    child.wait()
    w.site.start_daemon()
    require(early, "the load was over before the kill: take more entries")
    rows = [r[:3] for r in w.shown() if r[0] in ("7", "1e")]
    require(rows == [("7", "usable", "valid")], w.shown())
    require(w.encrypts("carol") and not w.encrypts("bob"), "the old list is not in force")
    item = w.bring(path)
    require(item["outcome"] == "new", item)
    rows = [r for r in w.lists("Issuing") if r["number"] == "1e"]
    require(len(rows) == 1 and rows[0]["verdict"] == "valid" and rows[0]["entries"] >= MANY, rows)
    require(not w.encrypts("bob"), "bob stays revoked")


def two_daemons(w):
    """Two daemons load the same list at the same time: one does the work."""
    second = os.path.join(w.site.folder, "second.conf")
    settings = dict(w.site.settings, api_socket=os.path.join(w.site.run, "api2.sock"))
    with open(second, "w") as f:
        f.writelines(f"{k} = {v}\n" for k, v in settings.items())
    other = Process("daemon2", [program("postseald"), "-c", second], os.path.join(w.site.folder, "daemon2.log"))
    other.start()
    try:
        wait_until("the second daemon answers", lambda: can_connect("unix:" + settings["api_socket"]))
        w.ca.revoked[:] = [serial_of(w.carol)]
        path = w.ca.list(40, -10)
        items = []
        threads = [threading.Thread(target=lambda c=c: items.append(w.bring(path, c))) for c in (w.site.config, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        require(sorted(i["outcome"] for i in items) == ["already there", "new"], items)
        w.refuses_now("carol")
        w.ca.revoked.clear()
    finally:
        other.stop()


def clock_back(w):
    """The clock of daemon and filter is set back a day: the truth is shown and nobody is freed."""
    erin = w.root.user(f"erin@{PARTNER}")
    w.site.cli("cert", "import", erin)
    w.bring(w.root.list(1, -7200))
    for days, good in ((-1, True), (-30, None)):
        for process in (w.site.filter, w.site.daemon):
            process.stop()
            process.env = clock(days)
        w.site.start_daemon()
        w.site.start_filter()
        row = next(r for r in w.lists("Issuing") if r["number"] == "28")
        require("dated in the future" in row["reason"] and "clock of this host" in row["reason"], row)
        require((row["verdict"] == "valid") == bool(good), row)
        require(not w.encrypts("bob") and not w.encrypts("carol"), f"somebody is free again {days} days ago")
    for process in (w.site.filter, w.site.daemon):
        process.stop()
        process.env = None
    w.site.start_daemon()
    w.site.start_filter()
    require(not w.encrypts("bob") and w.encrypts("erin"), "after the clock was right again")
    require(("28", "usable", "valid", "") in w.shown(), w.shown())


def deleting(w):
    """Deletion asks, and says what it makes unknown."""
    row = next(r for r in w.lists("Issuing") if r["number"] == "28")
    asked = w.site.cli("crl", "delete", row["thumbprint"], check=False, stdin="n\n")
    said = asked.stdout + asked.stderr
    require(asked.returncode != 0 and "would not be revoked any more" in said and "unknown" in said, said)
    w.site.cli("crl", "delete", row["thumbprint"], "--yes")
    wait_until("carol's state is unknown, which is not fatal", lambda: w.encrypts("carol"))


CASES = [
    ("a revoked recipient is not encrypted to, on the other node either", before_and_after),
    ("a list that goes backwards has no effect", backwards),
    ("revoked is revoked for ever", for_ever),
    ("what has no effect is kept and shown", without_effect),
    ("a CA with a new key", new_key),
    ("killed in mid-load", killed),
    ("two daemons load a list once", two_daemons),
    ("the clock is set back", clock_back),
    ("deletion asks", deleting),
]


def main():
    tap = Tap()
    with Site() as site:
        site.start()
        w = World(site)
        for name, function in CASES:
            if function is clock_back and not FAKE:
                tap.skip(name, "libfaketime is not installed")
            else:
                tap.case(name, function, w)
    tap.done()


if __name__ == "__main__":
    main()
