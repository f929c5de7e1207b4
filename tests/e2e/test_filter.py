#!/usr/bin/env python3
"""The filter itself, driven without a mail server: large fields, aborts, many sessions, reload and stop
under load, full spool, lost database, sockets left behind."""
import grp
import os
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import INSIDE, PARTNER, PATIENCE_SECONDS, Site, Tap, can_connect, program, require, wait_until  # noqa: E402
from mta import Mta, new_body, new_field  # noqa: E402

ALICE, BOB = f"alice@{INSIDE}", f"bob@{PARTNER}"
FIELDS = [("From", f" Alice <{ALICE}>"), ("To", f" <{BOB}>"), ("Subject", " filter"),
          ("Message-ID", f" <filter@{INSIDE}>"), ("MIME-Version", " 1.0"),
          ("Content-Type", " text/plain; charset=us-ascii")]
BODY = b"A line of text.\r\n"


def is_signed(answer):
    code, edits = answer
    require(code == "250", code)
    kind = new_field(edits, "Content-Type") or ""
    require("multipart/signed" in kind, f"Content-Type is {kind!r}")
    require(b"A line of text." in new_body(edits), "the text is missing")


def send(site, sender=ALICE, recipients=(BOB,), fields=None, body=BODY, **how):
    mta = Mta(site.milter_address, **how)
    try:
        return mta.message(f"<{sender}>", [f"<{r}>" for r in recipients], fields or FIELDS, body)
    finally:
        mta.close()


def lines(site):
    return [l for l in site.filter.output().splitlines() if "outcome=" in l]


# -- what a message may look like ---------------------------------------------------------------


def plain_message(site):
    is_signed(send(site))
    line = lines(site)[-1]
    for word in ("outcome=signed", "queue_id=Q1", "origin=trusted", f"sender={ALICE}", f"author={ALICE}"):
        require(word in line, f"{word} is not in: {line}")


def no_certificate(site):
    """The log says why, in the words that explain has."""
    site.prefer(BOB, encrypt_mode="force")
    try:
        wait_until("the preference", lambda: send(site)[0].startswith("550 5.7.5"))
        notes = [line.split("note", 1)[1].strip() for line in
                 site.cli("explain", "--from", ALICE, "--to", BOB).stdout.splitlines() if " note " in line]
        require(notes and f'why="{notes[0]}"' in lines(site)[-1], f"{notes} is not in: {lines(site)[-1]}")
    finally:
        site.cli("user", "unset", BOB, "encrypt_mode")
    wait_until("the preference", lambda: send(site)[0] == "250")
    noname = f"nobody@{INSIDE}"
    site.prefer(noname, sign_mode="required")
    fields = [("From", f" <{noname}>")] + FIELDS[1:]
    wait_until("the refusal", lambda: send(site, sender=noname, fields=fields)[0].startswith("550 5.7.5"))
    require('why="no certificate' in lines(site)[-1], lines(site)[-1])


def long_field(site):
    many = ",\n ".join(f"user{i:04d}@{PARTNER}" for i in range(4000))
    is_signed(send(site, fields=FIELDS + [("X-Long", " " + many)]))


def field_over_limit(site):
    code, edits = send(site, fields=FIELDS + [("X-Long", " " + "x" * (256 * 1024 + 10))])
    require(code.startswith("550 5.7.1"), code)
    require(not edits, "it was changed")
    require("outcome=refused.limit" in lines(site)[-1], lines(site)[-1])


def many_recipients_in_to(site):
    to = ",\n ".join(f"User Number {i} <user{i}@{PARTNER}>" for i in range(2000))
    fields = [(n, " " + to if n == "To" else v) for n, v in FIELDS]
    code, edits = send(site, fields=fields)
    is_signed((code, edits))
    require(new_field(edits, "To") is None, "To was changed")


def old_server(site):
    """Without leading blanks and without silent steps, as old servers are."""
    is_signed(send(site, steps=0x7F))


def no_brackets(site):
    mta = Mta(site.milter_address)
    is_signed(mta.message(ALICE, [BOB], FIELDS, BODY))
    mta.close()


# -- sessions -----------------------------------------------------------------------------------


def aborts(site):
    mta = Mta(site.milter_address)
    mta.envelope(f"<{ALICE}>", [f"<{BOB}>"])
    mta.abort()
    mta.envelope(f"<{ALICE}>", [f"<{BOB}>"])
    mta.header("Subject", " never sent")
    mta.step(b"N")
    mta.body(b"x" * 100000)
    mta.abort()
    is_signed(mta.message(f"<{ALICE}>", [f"<{BOB}>"], FIELDS, BODY))
    mta.envelope(f"<{ALICE}>", [f"<{BOB}>"])
    mta.close()  # in the middle
    is_signed(send(site))


def login_is_of_its_message(site):
    """A login of one message says nothing about the next one on the connection."""
    mta = Mta(site.milter_address, client="203.0.113.7", login=ALICE)
    is_signed(mta.message(f"<{ALICE}>", [f"<{BOB}>"], FIELDS, BODY))
    mta.login = None
    code, edits = mta.message(f"<{ALICE}>", [f"<{BOB}>"], FIELDS, BODY)
    require(code == "250" and not new_body(edits), f"{code}: signed without login")
    mta.close()


def parallel_sessions(site, sessions=24, messages=20):
    failures = []

    def one(number):
        try:
            mta = Mta(site.milter_address)
            for i in range(messages):
                body = b"A line of text.\r\nsession %d message %d\r\n" % (number, i)
                code, edits = mta.message(f"<{ALICE}>", [f"<{BOB}>"], FIELDS, body)
                is_signed((code, edits))
                require(body in new_body(edits), "a stranger's text")
            mta.close()
        except Exception as error:  # noqa: BLE001
            failures.append(repr(error))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    require(not failures, failures[:3])


# -- reload and stop ----------------------------------------------------------------------------


def reload_under_load(site):
    stop = threading.Event()
    failures, count = [], [0]

    def one():
        try:
            mta = Mta(site.milter_address)
            while not stop.is_set():
                is_signed(mta.message(f"<{ALICE}>", [f"<{BOB}>"], FIELDS, BODY))
                count[0] += 1
            mta.close()
        except Exception as error:  # noqa: BLE001
            failures.append(repr(error))

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            before = count[0], site.filter.output().count("settings read again")
            os.kill(site.filter.child.pid, signal.SIGHUP)
            wait_until("a reload, and mail beside it", lambda: failures or (
                count[0] > before[0] + 2 and site.filter.output().count("settings read again") > before[1]))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    require(not failures, failures[:3])


def reload_of_broken_settings(site):
    with open(site.config, "a") as f:
        f.write("log_levle = debug\n")
    os.kill(site.filter.child.pid, signal.SIGHUP)
    wait_until("the refusal", lambda: re.search(r"log_levle.*did you mean.*log_level", site.filter.output()))
    site.write_config()
    is_signed(send(site))


def stop_finishes_messages(site):
    mta = Mta(site.milter_address)
    mta.envelope(f"<{ALICE}>", [f"<{BOB}>"])
    for name, value in FIELDS:
        mta.header(name, value)
    mta.step(b"N")
    wait_until("the message is under way", lambda: site.json("status")["milter"]["in_flight"] >= 1)
    child = site.filter.child
    child.send_signal(signal.SIGTERM)
    wait_until("the stop begins", lambda: "stopping" in site.filter.output())
    mta.body(BODY)
    is_signed(mta.end())
    require(child.wait(PATIENCE_SECONDS) == 0, "exit status")
    mta.close()
    require("stopped unfinished=0" in site.filter.output(), "no word of the stop")
    site.start_filter()


# -- what the surroundings do -------------------------------------------------------------------


def status_answers(site):
    text = site.cli("status", "--json").stdout
    require("postseal-milter" in text or "milter" in text, text[:300])


def second_filter(site):
    done = subprocess.run([program("postseal-milter"), "-c", site.config], capture_output=True, text=True, timeout=300)
    require(done.returncode != 0, "a second one started")
    require("another program serves" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr)


def stale_socket(site):
    site.filter.kill()
    path = site.milter_address.split(":", 1)[1]
    require(os.path.exists(path), "no socket was left behind")
    site.start_filter()
    is_signed(send(site))


def spool_full(site):
    site.settings["spool_max"] = "1M"
    site.write_config()
    site.filter.stop()
    site.start_filter()
    code, edits = send(site, body=b"A line of text.\r\n" * 200000)
    require(code.startswith("452 4.3.1"), code)
    require(not edits, "it was changed")
    is_signed(send(site))
    del site.settings["spool_max"]
    site.write_config()
    site.filter.stop()
    site.start_filter()


def database_down(site):
    site.settings["cache_grace"] = "2s"
    site.write_config()
    site.filter.stop()
    site.start_filter()
    is_signed(send(site))
    began = time.monotonic()
    site.database.stop(signal.SIGINT)
    answer = send(site)
    if time.monotonic() - began < 2 or not answer[0].startswith("451"):
        is_signed(answer)  # out of the caches
    wait_until("451", lambda: send(site)[0].startswith("451 4.3.0"), step=0.5)
    code, edits = send(site)
    require(code.startswith("451") and not edits, code)
    site.start_database()
    wait_until("signed again", lambda: send(site)[0] == "250", step=0.2)
    is_signed(send(site))
    del site.settings["cache_grace"]
    site.write_config()


def one_line(site, name, text, expected):
    path = os.path.join(site.folder, "broken.conf")
    names = [line.split("=")[0].strip() for line in text.splitlines()]
    with open(site.config) as source, open(path, "w") as f:
        f.writelines(line for line in source if line.split("=")[0].strip() not in names)
        f.write(text)
    done = subprocess.run([program("postseal-milter"), "-c", path], capture_output=True, text=True, timeout=300)
    require(done.returncode != 0, "it started")
    require(len(done.stderr.splitlines()) == 1 and re.search(expected, done.stderr), done.stderr)


def socket_mode(site):
    """Who may write to the socket is the MTA, and can have mail signed as anybody."""
    if not site.milter_address.startswith("unix:"):
        return
    path = site.milter_address.split(":", 1)[1]
    group = site.settings["milter_socket_group"]
    for name in (group, ""):
        site.settings["milter_socket_group"] = name
        site.write_config()
        site.filter.stop()
        site.start_filter()
        found = os.stat(path)
        require(found.st_mode & 0o777 == 0o660, f"group '{name}': mode {found.st_mode & 0o777:o}")
        require(not name or found.st_gid == grp.getgrnam(name).gr_gid, f"not the group {name}")
    site.settings["milter_socket_group"] = group
    site.write_config()
    site.filter.stop()
    site.start_filter()


def broken_settings(site):
    one_line(site, "unknown", "databse = x\n", r"broken.conf:\d+: .*databse.*did you mean.*database")
    one_line(site, "no value", "spool_max\n", r"broken.conf:\d+: ")
    one_line(site, "key", "milter_master_key_file = /nonexistent/key\n", r"/nonexistent/key")
    one_line(site, "spool", "milter_socket = unix:%s/x.sock\nspool_dir = /nonexistent\n" % site.run, r"/nonexistent")
    one_line(site, "socket", "milter_socket = foo\n", r"milter_socket.*unix:/PATH nor inet:PORT@HOST")
    one_line(site, "port", "milter_socket = inet:99999@127.0.0.1\n", r"milter_socket.*unix:/PATH nor inet:PORT@HOST")
    one_line(site, "user", "milter_user = nobody-of-that-name\n", r"no user '?nobody-of-that-name")


def observe(site):
    """mode = observe: decided and counted, and not one byte changed."""
    site.prefer(INSIDE, mode="observe")
    fields = FIELDS + [("X-Postseal-Encrypt", " yes"), ("Authentication-Results", f" mx.{INSIDE}; smime=pass")]
    wait_until("observe", lambda: not send(site)[1])
    code, edits = send(site, fields=fields)
    require(code == "250" and not edits, f"{code} {edits}")
    require("observed=yes" in lines(site)[-1], lines(site)[-1])
    site.prefer(INSIDE, mode="active")
    wait_until("active", lambda: new_body(send(site)[1]))


def ours_removed(site):
    fields = FIELDS + [("X-Postseal-Integrity", " none"), ("Authentication-Results", " mx.inside.example; smime=pass")]
    code, edits = send(site, sender="x@other.example", recipients=[ALICE], client="203.0.113.7",
                       fields=[("From", " x@other.example")] + fields[1:])
    require(code == "250", code)
    gone = [data[4:].split(b"\0")[0] for c, data in edits if c == b"m" and data[4:].split(b"\0")[1] == b""]
    require(set(gone) == {b"X-Postseal-Integrity", b"Authentication-Results"}, gone)
    require(not new_body(edits), "the body was changed")


def main():
    tap = Tap()
    for inet in (False, True):
        with Site(milter_inet=inet) as site:
            site.start(postfix=False)
            site.cli("ca", "create", "--common-name", "Test Root", "--intermediate-common-name", "Test CA",
                     "--make-default", "--yes")
            site.issue(ALICE, "Alice")
            where = "TCP" if inet else "unix socket"
            cases = [plain_message, no_certificate, long_field, aborts, parallel_sessions]
            if not inet:
                cases += [field_over_limit, many_recipients_in_to, old_server, no_brackets, login_is_of_its_message,
                          ours_removed, observe, reload_under_load, reload_of_broken_settings, status_answers,
                          second_filter, stop_finishes_messages, stale_socket, spool_full, broken_settings, socket_mode,
                          database_down]
            for case in cases:
                tap.case(f"{where}: {case.__name__.replace('_', ' ')}", case, site)
                if not site.filter.running() or not can_connect(site.milter_address):
                    site.filter.stop()
                    site.start_filter()
    tap.done()


if __name__ == "__main__":
    main()
