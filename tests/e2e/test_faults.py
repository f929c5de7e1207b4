#!/usr/bin/env python3
"""Nothing is lost, doubled or sent in the clear while processes are killed.

Connections submit messages that must be encrypted; the filter, the daemon, the postmaster and single
backends are killed with SIGKILL at random moments and restarted as a supervisor would. Afterwards an
oracle reads every mailbox, the queue, what is on hold and every bounce.
"""
import math
import os
import random
import re
import signal
import smtplib
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import FULL, INSIDE, PARTNER, PATIENCE_SECONDS, Site, Tap, wait_until  # noqa: E402

CONNECTIONS = 20
MESSAGES = 2000 if FULL else 400
KILLS = 10 if FULL else 2
LIMIT_SECONDS = 10.0 if FULL else PATIENCE_SECONDS  # the short form shares its machine
PAUSE_SECONDS = (0.2, 0.6)  # of a client between two messages: mail flows as long as there are kills
SENDER, READER = f"alice@{INSIDE}", f"bob@{PARTNER}"


class Ledger:
    """What the clients know of each message: answers of 250, and answers that never came."""

    def __init__(self):
        self.lock = threading.Lock()
        self.accepted, self.uncertain, self.refused = {}, {}, {}
        self.last_accept = 0.0
        self.waiting = list(range(MESSAGES))

    def take(self):
        with self.lock:
            return self.waiting.pop(0) if self.waiting else None

    def note(self, table, number):
        with self.lock:
            table[number] = table.get(number, 0) + 1
            if table is self.accepted:
                self.last_accept = time.monotonic()


def text_of(number):
    return (f"From: {SENDER}\r\nTo: {READER}\r\nSubject: {number}\r\nMessage-ID: <fault-{number}@{INSIDE}>\r\n"
            f"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nsecret-word-{number}\r\n").encode()


def submit(site, ledger):
    """One client: sends until nothing is left; what is answered 4xx or not at all it sends again, as an MTA does."""
    smtp, number = None, ledger.take()
    while number is not None:
        in_data = False
        try:
            if smtp is None:
                smtp = site.postfix.connect(site.postfix.mx)
            for command in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{READER}>", "DATA"):
                code, _ = smtp.docmd(command)
                if code >= 400:
                    break
            if code == 354:
                in_data = True
                smtp.send(text_of(number) + b".\r\n")
                code, _ = smtp.getreply()
                in_data = False
            if code == 250:
                ledger.note(ledger.accepted, number)
                number = ledger.take()
                time.sleep(random.uniform(*PAUSE_SECONDS))
                continue
            if code >= 500 and code != 521:
                ledger.note(ledger.refused, number)
                number = ledger.take()
                continue
            # Sendmail answers 451 to all of a session whose filter was lost: it is tried anew on another one.
            smtp.close()
            smtp = None
        except (OSError, smtplib.SMTPException):
            if in_data:
                ledger.note(ledger.uncertain, number)
            smtp = None
        time.sleep(0.1)
    if smtp is not None:
        smtp.close()


def backend_pids(postmaster):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as f:
                    stat = f.read().rsplit(")", 1)[1].split()
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    command = f.read()
            except OSError:
                continue
            if int(stat[1]) == postmaster and re.match(rb"postgres: .*postseal", command):
                found.append(int(entry))
    return found


def kill_and_restart(site, what):
    if what == "backend":
        pids = backend_pids(site.database.child.pid)
        if pids:
            os.kill(random.choice(pids), signal.SIGKILL)
        return
    process = {"filter": site.filter, "daemon": site.daemon, "postmaster": site.database}[what]
    process.kill()
    # A supervisor starts it again at once; a postmaster whose backends still end is started anew until it stays.
    process.start()
    if what == "postmaster":
        def stays():
            if not process.running():
                process.start()
            time.sleep(0.3)
            return process.running()
        wait_until("the postmaster is back", stays)


def chaos(site, ledger, recoveries, stop):
    kinds = ["filter", "daemon", "postmaster", "backend"] * KILLS
    random.shuffle(kinds)
    for what in kinds:
        # When all mail is through the rest is killed all the same, each with a message of its own behind it.
        stop.wait(random.uniform(0.2, 1.0))
        killed = time.monotonic()
        kill_and_restart(site, what)
        while ledger.last_accept <= killed and not stop.is_set():
            if time.monotonic() - killed > PATIENCE_SECONDS:
                break
            time.sleep(0.01)
        if stop.is_set() and ledger.last_accept <= killed:
            first_message_after(site, ledger)
        recoveries.append((what, max(ledger.last_accept - killed, 0.0) if ledger.last_accept > killed else math.inf))


EXTRA = MESSAGES


def first_message_after(site, ledger):
    global EXTRA
    single = Ledger()
    single.waiting = [EXTRA]
    EXTRA += 1
    submit(site, single)
    for mine, its in ((ledger.accepted, single.accepted), (ledger.uncertain, single.uncertain), (ledger.refused, single.refused)):
        mine.update(its)
    ledger.last_accept = time.monotonic()


def delivered(site):
    """Message number -> copies; and the numbers that lie anywhere in the clear."""
    copies, plain = {}, []
    for domain in (PARTNER, INSIDE, "other.example"):
        for path in site.postfix.mailbox_files(domain):
            with open(path, "rb") as f:
                data = f.read()
            found = re.search(rb"^Message-ID: <fault-(\d+)@", data, re.M | re.I)
            if found:
                copies[int(found.group(1))] = copies.get(int(found.group(1)), 0) + 1
            if re.search(rb"secret-word-\d+", data) or b"application/pkcs7-mime" not in data:
                plain.append(path)
    return copies, plain


def main():
    tap = Tap()
    with Site({"log_level": "info"}) as site:
        site.start()
        site.make_ca()
        for address in (SENDER, READER):
            site.issue(address)
        site.prefer(PARTNER, encrypt_mode="force")
        ledger, recoveries, stop = Ledger(), [], threading.Event()
        clients = [threading.Thread(target=submit, args=(site, ledger)) for _ in range(CONNECTIONS)]
        killer = threading.Thread(target=chaos, args=(site, ledger, recoveries, stop))
        started = time.monotonic()
        for thread in clients + [killer]:
            thread.start()
        for thread in clients:
            thread.join()
        stop.set()
        killer.join()
        print(f"# {len(ledger.accepted)} messages accepted in {time.monotonic() - started:.1f} s, "
              f"{len(ledger.uncertain)} answers lost with their connection")
        wait_until("the queue is empty", lambda: not site.postfix.queue_list(), 120, 0.5)
        copies, plain = delivered(site)
        lost = [n for n in ledger.accepted if copies.get(n, 0) < 1]
        allowed = lambda n: ledger.accepted.get(n, 0) + ledger.uncertain.get(n, 0)
        doubled = [n for n, c in copies.items() if c > allowed(n)]
        window = [n for n, c in copies.items() if 1 < c <= allowed(n)]
        print(f"# lost {len(lost)}, doubled {len(doubled)}, plain {len(plain)}, refused {len(ledger.refused)}; "
              f"repeated by the client after a lost answer: {len(window)}")
        for what in ("filter", "daemon", "postmaster", "backend"):
            times = [t for w, t in recoveries if w == what]
            print(f"# first message after a kill of the {what}: " + ", ".join(f"{t:.2f} s" for t in times))
        tap.ok(len(ledger.accepted) >= MESSAGES, "every message was accepted in the end", len(ledger.accepted))
        tap.ok(not lost, "no message is lost", lost[:20])
        tap.ok(not doubled, "no message is doubled", doubled[:20])
        tap.ok(not plain, "no message is in the clear", plain[:5])
        tap.ok(not ledger.refused, "no message is refused for good", list(ledger.refused)[:20])
        tap.ok(len(recoveries) == 4 * KILLS, f"{4 * KILLS} processes were killed", len(recoveries))
        slow = [(w, t) for w, t in recoveries if t >= LIMIT_SECONDS]
        tap.ok(not slow, f"the first message after each kill is through in under {LIMIT_SECONDS:g} s", slow)
    tap.done()


main()
