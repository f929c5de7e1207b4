#!/usr/bin/env python3
"""Running it: observing, reload, a new master key and a backup while mail flows."""
import glob
import os
import shutil
import signal
import smtplib
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import INSIDE, PARTNER, Site, Tap, require, wait_until  # noqa: E402

ALICE, BOB = f"alice@{INSIDE}", f"bob@{PARTNER}"
TRACE = (b"received:", b"delivered-to:", b"return-path:", b"x-original-to:", b"message-id:", b"date:")


def simple(number=0):
    return f"From: {ALICE}\nTo: {BOB}\nSubject: life {number}\nMessage-ID: <life-{number}@{INSIDE}>\nDate: Sat, 21 Nov 2026 12:00:00 +0000\n\nbody {number}\n"


def without_trace(message):
    """The message but for the fields that an MTA adds on the way."""
    head, _, body = message.partition(b"\n\n")
    kept, skip = [], False
    for line in head.split(b"\n"):
        if line[:1] not in (b" ", b"\t"):
            skip = line.lower().startswith(TRACE)
        if not skip:
            kept.append(line)
    return b"\n".join(kept) + b"\n\n" + body


def observe(site):
    """observe changes not one byte, not even what would be removed otherwise."""
    message = ("From: %s\nTo: %s\nSubject: [encrypt] [signed] watch\nX-Postseal-Encrypt: yes\nX-Postseal-Verdict: valid\n"
               "Authentication-Results: mx.inside.example; smime=pass\nContent-Type: text/plain; charset=utf-8\n"
               "Content-Transfer-Encoding: 8bit\n\näöü\n..\n" % (ALICE, BOB))
    site.prefer(INSIDE, mode="observe")
    try:
        control = site.exchange(ALICE, BOB, message, port=site.postfix.reinject)
        got = site.exchange(ALICE, BOB, message)
    finally:
        site.cli("domain", "unset", INSIDE, "mode")
    require(without_trace(got) == without_trace(control), f"{without_trace(got)!r}\n{without_trace(control)!r}")
    wait_until("the log says what it would have done", lambda: "observed=yes" in site.filter.output())


def reload(site):
    """A reload takes new settings and keeps connections; a broken file changes nothing."""
    with smtplib.SMTP("127.0.0.1", site.postfix.mx, timeout=300) as smtp:
        smtp.sendmail(ALICE, [BOB], simple(1))
        site.settings["trusted_networks"] = "192.0.2.0/24"
        site.write_config()
        site.filter.child.send_signal(signal.SIGHUP)
        wait_until("the reload", lambda: "settings read again" in site.filter.output())
        smtp.sendmail(ALICE, [BOB], simple(2))
    first, second = site.wait_mail(BOB), site.wait_mail(BOB)
    require(b"multipart/signed" in first, "the first message is not signed")
    require(b"multipart/signed" not in second, "the second message is signed although its network is not trusted any more")
    with open(site.config, "a") as f:
        f.write("no_such_setting = 1\n")
    site.filter.child.send_signal(signal.SIGHUP)
    wait_until("the refusal", lambda: "no_such_setting" in site.filter.output())
    require(site.filter.running(), "the filter ended over a broken settings file")
    del site.settings["trusted_networks"]
    site.write_config()
    site.filter.child.send_signal(signal.SIGHUP)
    wait_until("trust is back", lambda: b"multipart/signed" in site.exchange(ALICE, BOB, simple(3)))


def rotate(site):
    """Mail is signed all the time while every key is sealed anew, and the daemon is killed in between."""
    stop, unsigned, sent = threading.Event(), [], [0]

    def flow():
        while not stop.is_set():
            got = site.exchange(ALICE, BOB, simple(100 + sent[0]))
            sent[0] += 1
            if b"multipart/signed" not in got:
                unsigned.append(got)
    thread = threading.Thread(target=flow)
    thread.start()
    try:
        site.cli("key", "rotate-master", check=False)
        site.daemon.kill()
        site.start_daemon()
        site.cli("key", "rotate-master", check=False)
        wait_until("all keys are sealed under the newest generation", lambda: sealed_under_newest(site), step=0.5)
        wait_until("some mail has flowed", lambda: sent[0] > 3 or not thread.is_alive(), step=0.5)
    finally:
        stop.set()
        thread.join()
    require(sent[0] > 3, f"only {sent[0]} messages went through")
    require(not unsigned, f"{len(unsigned)} messages left unsigned")
    # A filter that starts now knows the new generation from its file alone.
    site.filter.stop()
    site.start_filter()
    require(b"multipart/signed" in site.exchange(ALICE, BOB, simple(999)), "not signed after the rotation")


def sealed_under_newest(site):
    jobs = [job for job in site.json("job", "list")["items"] if "wrap" in job["kind"]]
    return jobs and all(job["state"] == "done" for job in jobs)


def backup(site):
    """What a backup holds comes back, and under another master key a clear line says so."""
    secret = os.path.join(site.folder, "etc", "passphrase")
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
        f.write("correct horse battery staple\n")
    path = os.path.join(site.folder, "backup.postseal")
    site.cli("db", "backup", path, "--password-file", secret)
    with open(path, "rb") as f:
        data = f.read()
    require(ALICE.encode() not in data and b"CREATE TABLE" not in data, "the backup is not encrypted")
    site.prefer(BOB, encrypt_mode="none")
    site.filter.stop()
    site.daemon.stop()
    wrong = os.path.join(site.folder, "etc", "wrong")
    with open(os.open(wrong, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
        f.write("no\n")
    done = site.cli("db", "restore", path, "--password-file", wrong, "--yes", check=False)
    require(done.returncode == 1 and "password" in done.stderr + done.stdout or "passphrase" in done.stderr, done.stderr)
    site.cli("db", "restore", path, "--password-file", secret, "--yes")
    site.start_daemon()
    site.start_filter()
    value = [p for p in site.json("user", "show", BOB)["items"] if p["preference"] == "encrypt_mode"][0]["value"]
    require(value == "allow", f"a preference set after the backup is still there: {value}")
    require(b"multipart/signed" in site.exchange(ALICE, BOB, simple(1000)), "not signed after the restore")

    site.filter.stop()
    site.daemon.stop()
    for name in ("master_key_file", "milter_master_key_file"):
        key = site.settings[name]
        os.rename(key, key + ".kept")
    site.cli("setup", "--yes", check=False)
    done = site.cli("db", "restore", path, "--password-file", secret, "--yes", check=False)
    require(done.returncode == 1 and "master key" in done.stderr, f"exit {done.returncode}: {done.stderr}{done.stdout}")
    for name in ("master_key_file", "milter_master_key_file"):
        key = site.settings[name]
        os.rename(key + ".kept", key)


class Outside:
    """A PostgreSQL of the site's own, on a unix socket, with a login that owns one database."""

    def __init__(self, folder):
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.folder = os.path.join(folder, "outside")
        os.makedirs(self.folder)
        shutil.chown(self.folder, "postgres")
        self.data = os.path.join(self.folder, "data")
        self.command("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--locale=C.UTF-8")
        self.command("pg_ctl", "-D", self.data, "-w", "-l", os.path.join(self.folder, "log"), "-o",
                     f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off", "start")
        self.sql("postgres", "CREATE ROLE gateway LOGIN CREATEROLE")
        self.sql("postgres", "CREATE DATABASE mail OWNER gateway")
        self.sql("mail", "ALTER SCHEMA public OWNER TO gateway")
        self.conninfo = f"host={self.folder} user=gateway dbname=mail"

    def command(self, name, *args):
        subprocess.run(["runuser", "-u", "postgres", "--", os.path.join(self.bin, name), *args], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/")

    def sql(self, database, text):
        self.command("psql", "-h", self.folder, "-v", "ON_ERROR_STOP=1", "-qc", text, database)

    def stop(self):
        self.command("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")


def move(site):
    """To an outside PostgreSQL: not while anybody is at work, then with everything; mail goes on from there."""
    outside = Outside(site.folder)
    site.start_daemon()
    site.start_filter()
    try:
        done = site.cli("db", "move", outside.conninfo, "--yes", check=False)
        require(done.returncode == 4 and "stop postseald" in done.stderr, f"exit {done.returncode}: {done.stderr}")
        site.filter.stop()
        site.daemon.stop()
        done = site.cli("db", "move", outside.conninfo + " password=secret", check=False)
        require(done.returncode in (1, 2) and "passfile" in done.stderr, f"exit {done.returncode}: {done.stderr}")
        site.cli("db", "move", outside.conninfo)
        done = site.cli("db", "move", outside.conninfo, check=False)
        require(done.returncode != 0 and "replaced" in done.stderr + done.stdout, "data were replaced without a question")
        site.settings["database"] = outside.conninfo
        site.write_config()
        site.database.stop()
        site.start_daemon()
        site.start_filter()
        require(b"multipart/signed" in site.exchange(ALICE, BOB, simple(2000)), "not signed after the move")
        site.filter.stop()
        site.daemon.stop()
    finally:
        outside.stop()


def main():
    tap = Tap()
    with Site({"log_level": "info"}) as site:
        site.start()
        site.make_ca()
        site.issue(ALICE)
        tap.case("observe changes not one byte", observe, site)
        tap.case("reload keeps connections and refuses a broken file", reload, site)
        tap.case("a new master key while mail flows, interrupted", rotate, site)
        tap.case("backup and restore, and another master key", backup, site)
        tap.case("from the embedded database to an outside one", move, site)
    tap.done()


main()
