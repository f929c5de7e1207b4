#!/usr/bin/env python3
"""Whatever fails while copies are made, each recipient has one right copy, or the sender still has the message.

Between the filter and the listener for copies stands a program that refuses, cuts and kills at each step. The
client sends again what was answered 4xx or not at all, as a mail server does. Then the copies are counted by
Message-ID: one each. Two are allowed in one case alone: the listener has the copy and the filter could not learn
of it any more (RFC 1047)."""
import os
import signal
import smtplib
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import INSIDE, PARTNER, Site, Tap, require, wait_until  # noqa: E402
from listener import CUT, CUT_AFTER, SILENT, Listener  # noqa: E402
from test_split import ALICE, delivered, header_of, is_encrypted, text  # noqa: E402

BOB, DAVE, EVE, CAROL = f"bob@{PARTNER}", f"dave@{PARTNER}", f"eve@{PARTNER}", f"carol@{INSIDE}"
EVERYBODY = [BOB, CAROL, DAVE, EVE]  # Bob's copy stays in place; Carol's is plain, Dave and Eve are hidden
NO, NEVER = b"451 4.3.0 not now\r\n", b"550 5.7.1 never\r\n"


def submit_starts(site):
    """What a supervisor does."""
    if not site.database.running():
        site.start_database()
    if not site.filter.running():
        site.start_filter()
    if not site.daemon.running():
        site.start_daemon()


def submit(site, message, tries=40, pause=0.25):
    """Until it is accepted or refused; gives the last answer and what was answered before."""
    answers = []
    for _ in range(tries):
        try:
            code, answer = site.send(ALICE, EVERYBODY, message)
        except (OSError, smtplib.SMTPException) as error:
            code, answer = 421, str(error)
        answers.append((code, answer))
        if code == 250 or code // 100 == 5:
            return code, answers
        submit_starts(site)
        time.sleep(pause)
    return code, answers


def counted(site, identity, allowed):
    """One right copy each; `allowed` recipients may have a second one."""
    wait_until("every recipient has his copy", lambda: set(delivered(site, identity)) == set(EVERYBODY), step=0.2)
    wait_until("the queue is empty", lambda: not site.postfix.queue_list(), step=0.2)
    found = delivered(site, identity)
    for who, mails in found.items():
        for data in mails:
            require(is_encrypted(data) == (who != CAROL), f"{who}: the wrong copy")
            require(b"x-postseal" not in header_of(data).lower(), f"{who}: a field of ours")
    return sorted(who for who, mails in found.items() if len(mails) > 1), max(len(mails) for mails in found.values())


# name, verb, occurrence, action, what is answered in the end, copies that may be repeated
FAULTS = [
    ("nobody listens", "GREETING", 1, CUT, 250, 0),
    ("the greeting is 4xx", "GREETING", 1, b"421 4.3.2 busy\r\n", 250, 0),
    ("EHLO is 4xx", "EHLO", 1, NO, 250, 0),
    ("MAIL is 4xx", "MAIL", 1, NO, 250, 0),
    ("the second MAIL is 4xx", "MAIL", 2, NO, 250, 0),
    ("MAIL is 5xx for all", "MAIL", 1, b"552 5.3.4 too large\r\n", 552, 0),
    ("RCPT is 4xx", "RCPT", 1, NO, 250, 0),
    ("the last RCPT is 4xx", "RCPT", 3, NO, 250, 0),
    ("RCPT is 5xx: nobody has anything", "RCPT", 2, NEVER, 550, 0),
    ("cut at RCPT", "RCPT", 2, CUT, 250, 0),
    ("cut after RCPT", "RCPT", 2, CUT_AFTER, 250, 0),
    ("cut at RSET", "RSET", 1, CUT, 250, 0),
    ("DATA is 4xx", "DATA", 1, NO, 250, 0),
    ("the second DATA is 4xx", "DATA", 2, NO, 250, 0),
    ("cut at DATA", "DATA", 1, CUT, 250, 0),
    ("cut at the second DATA", "DATA", 2, CUT, 250, 0),
    ("cut after DATA", "DATA", 3, CUT_AFTER, 250, 0),
    ("the text is 4xx", "END", 1, NO, 250, 0),
    ("the second text is 4xx", "END", 2, NO, 250, 0),
    ("the text is 5xx: nobody has anything", "END", 1, NEVER, 550, 0),
    ("cut before the text is through", "END", 2, CUT, 250, 0),
    ("cut after the text: RFC 1047", "END", 2, CUT_AFTER, 250, 1),
    ("silence at DATA", "DATA", 2, SILENT, 250, 0),
]


def fault(site, proxy, verb, occurrence, action, expected, repeated):
    proxy.forget()
    proxy.fault(verb, occurrence, action)
    message, identity = text([BOB, CAROL])
    code, answers = submit(site, message)
    require(not proxy.faults, f"the fault did not happen: {proxy.commands}")
    require(code == expected, f"{answers[-1]}, not {expected}")
    if expected != 250:
        time.sleep(0.5)
        require(not delivered(site, identity), "refused, and somebody has it")
        return
    twice, most = counted(site, identity, repeated)
    require(len(twice) <= repeated and most <= 2, f"{most} copies for {twice}")


def fault_5xx_late(site, proxy):
    """One has his copy, the next one's is refused for good: the others get theirs, and the sender a notice."""
    proxy.forget()
    proxy.fault("END", 2, NEVER)
    message, identity = text([BOB, CAROL], body="the secret words\n")
    code, answers = submit(site, message)
    require(code == 250, answers[-1])
    wait_until("three have it", lambda: len(delivered(site, identity)) == 3, step=0.2)
    wait_until("the queue is empty", lambda: not site.postfix.queue_list(), step=0.2)
    found = delivered(site, identity)
    require(all(len(mails) == 1 for mails in found.values()) and BOB in found, f"{ {w: len(m) for w, m in found.items()} }")

    def notice():
        for path in site.postfix.mailbox_files(INSIDE):
            with open(path, "rb") as f:
                data = f.read()
            if b"multipart/report" in header_of(data) and identity.encode() in data:
                return data
        return None
    data = wait_until("the notice", notice, step=0.3)
    missing = (set(EVERYBODY) - set(found)).pop()
    require(missing.encode() in data and b"never" in data, "it does not name the recipient and the answer")
    require(b"the secret words" not in data, "it has the text")


def kill_at(site, proxy, process, verb, occurrence):
    """The filter or the database dies just when the listener has answered; what is under way is not forgotten for
    a while, so the message comes back later. Gives its text and identity."""
    proxy.forget()
    proxy.fault(verb, occurrence, process.kill)
    message, identity = text([BOB, CAROL])
    for _ in range(60):  # the last one to be killed may not be back yet
        code, answers = submit(site, message, 1)
        submit_starts(site)
        if not proxy.faults:
            break
    require(not proxy.faults, f"the fault did not happen: {proxy.commands} {answers}")
    require(code // 100 == 4, answers)
    return message, identity


def comes_back(site, message, identity, repeated):
    code, answers = submit(site, message, 120)
    require(code == 250, f"{answers[-3:]}")
    twice, most = counted(site, identity, repeated)
    require(len(twice) <= repeated and most <= 2, f"{most} copies for {twice}")


def kills(site, proxy, tap):
    waiting = []
    for process, steps in ((site.filter, (("RCPT", 1, 0), ("DATA", 1, 0), ("END", 1, 1), ("END", 2, 1), ("END", 3, 1))),
                           (site.database, (("RCPT", 1, 0), ("DATA", 2, 0), ("END", 1, 1), ("END", 3, 1)))):
        for verb, occurrence, repeated in steps:
            name = f"the {process.name} is killed at {verb} {occurrence}"
            try:
                waiting.append((name, *kill_at(site, proxy, process, verb, occurrence), repeated))
            except Exception as error:  # noqa: BLE001 - the others go on
                tap.ok(False, name, error)
    for name, *how in waiting:
        tap.case(name, comes_back, site, *how)


def listener_gone(site, proxy):
    """The listener is away for a while: the message waits at its sender's."""
    proxy.forget()
    upstream, proxy.upstream = proxy.upstream, 9
    message, identity = text([BOB, CAROL])
    code, answers = submit(site, message, 3)
    require(code // 100 == 4, answers)
    require(not delivered(site, identity), "somebody has it")
    proxy.upstream = upstream
    code, answers = submit(site, message)
    require(code == 250, answers)
    twice, most = counted(site, identity, 0)
    require(not twice, f"{most} copies for {twice}")


def deferred_halfway(site, proxy):
    """Carol has her copy, and the message was answered with 451. Gives it and its identity."""
    proxy.forget()
    proxy.fault("END", 2, NO)
    message, identity = text([BOB, CAROL])
    code, answers = submit(site, message, 1)
    require(code // 100 == 4 and not proxy.faults, answers)
    wait_until("Carol has it", lambda: set(delivered(site, identity)) == {CAROL}, step=0.2)
    return message, identity


def others_alone(site, proxy):
    """The client comes back for those alone who have it already: there is nothing left to do."""
    message, identity = deferred_halfway(site, proxy)
    code, answer = site.send(ALICE, [CAROL], message)
    require(code == 250, f"{code} {answer}")
    code, answer = site.send(ALICE, [BOB, DAVE, EVE], message)
    require(code == 250, f"{code} {answer}")
    twice, most = counted(site, identity, 0)
    require(not twice, f"{most} copies for {twice}")


def grouped_anew(site, proxy):
    """When it comes back one copy does for all of them: whoever has his is taken out of its envelope."""
    message, identity = deferred_halfway(site, proxy)
    for who in (BOB, DAVE, EVE):
        site.prefer(who, mode="observe")
    try:
        code, answers = submit(site, message)
        require(code == 250, answers[-1])
        wait_until("every recipient has it", lambda: set(delivered(site, identity)) == set(EVERYBODY), step=0.2)
        wait_until("the queue is empty", lambda: not site.postfix.queue_list(), step=0.2)
        require(all(len(mails) == 1 for mails in delivered(site, identity).values()), "a second copy")
    finally:
        for who in (BOB, DAVE, EVE):
            site.cli("user", "unset", who, "mode")


def too_large(site, proxy):
    """What leaves is larger than what came: nothing of it may have left when the server would not take it."""
    proxy.forget()
    message, identity = text([BOB, CAROL], body="a line of text\n" * 60000)
    code, answers = submit(site, message)
    require(code == 552, answers[-1])
    time.sleep(0.5)
    require(not delivered(site, identity) and not proxy.texts, "a copy went out")


def refused_beside(site, proxy):
    """on_refuse = recipient, and the listener gone: the message waits, nobody is told twice."""
    site.prefer(INSIDE, on_refuse="recipient")
    try:
        proxy.forget()
        proxy.fault("END", 1, NO)
        nokey = "nokey@strict.example"
        message, identity = text([BOB, nokey, CAROL])
        for _ in range(40):
            code, answer = site.send(ALICE, [BOB, nokey, CAROL], message)
            if code // 100 != 4:
                break
            time.sleep(0.25)
        require(code == 250, f"{code} {answer}")
        wait_until("both have it", lambda: set(delivered(site, identity)) == {BOB, CAROL}, step=0.2)
        time.sleep(1)
        notices = 0
        for path in site.postfix.mailbox_files(INSIDE):
            with open(path, "rb") as f:
                data = f.read()
            notices += b"multipart/report" in header_of(data) and identity.encode() in data
        require(notices == 1, f"{notices} notices")
        require(all(len(mails) == 1 for mails in delivered(site, identity).values()), "repeated")
    finally:
        site.prefer(INSIDE, on_refuse="message")


def main():
    tap = Tap()
    with Site({"reinject_timeout": "6s", "message_size_max": "1M", "cache_grace": "30s"}) as site:
        proxy = Listener(site.postfix.reinject)
        site.settings["reinject_address"] = f"127.0.0.1:{proxy.port}"
        site.start()
        site.make_ca()
        site.issue(ALICE, "Alice", "--key", "ec:P-256")
        for who in (BOB, DAVE, EVE):
            site.issue(who, who, "--key", "rsa:2048")
        site.prefer(PARTNER, encrypt_mode="force")
        site.prefer("strict.example", encrypt_mode="force")
        for name, *how in FAULTS:
            tap.case(name, fault, site, proxy, *how)
        tap.case("5xx when somebody has his copy", fault_5xx_late, site, proxy)
        tap.case("the listener is away", listener_gone, site, proxy)
        tap.case("the client comes back for those who have it", others_alone, site, proxy)
        tap.case("one copy does for all when it comes back", grouped_anew, site, proxy)
        tap.case("larger than the server takes", too_large, site, proxy)
        tap.case("the refused are told of once", refused_beside, site, proxy)
        kills(site, proxy, tap)
        proxy.stop()
    tap.done()


if __name__ == "__main__":
    main()
