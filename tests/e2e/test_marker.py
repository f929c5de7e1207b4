#!/usr/bin/env python3
"""The listener for copies with the filter on it: our copies are known by their marker, and nobody else's mail is.

A marker that was stolen on its way is sent again from everywhere and with everything changed that can be changed:
the message is then one like any other, and no message that is delivered has a marker. (That ten minutes are its
life is shown by the unit test of the marker, which has a clock of its own.)"""
import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import INSIDE, OUTSIDER, PARTNER, Site, Tap, require, wait_until  # noqa: E402
from listener import CUT, Listener  # noqa: E402
from test_split import ALICE, delivered, header_of, is_encrypted, text  # noqa: E402

BOB, CAROL, DAVE = f"bob@{PARTNER}", f"carol@{INSIDE}", f"dave@{PARTNER}"
COLLEAGUE = "10.1.2.3"  # of our networks, and not of this host


def records(site):
    return [line for line in site.filter.output().splitlines() if "info: message " in line]


def undotted(data):
    return data[:-3].replace(b"\r\n..", b"\r\n.") if data.endswith(b".\r\n") else data


def copy_of(site, proxy, fault=None):
    """A message to Bob (in place), Carol and Dave; gives the copy for Carol as it was injected, and its Message-ID."""
    proxy.forget()
    if fault:
        proxy.fault("END", 1, fault)
        proxy.fault("END", 2, fault)
    message, identity = text([BOB, CAROL], subject="stolen")
    for _ in range(40):
        code, answer = site.send(ALICE, [BOB, CAROL, DAVE], message)
        if code // 100 != 4:
            break
        time.sleep(0.25)
    require(code == 250, f"{code} {answer}")
    wait_until("all copies", lambda: set(delivered(site, identity)) == {BOB, CAROL, DAVE}, step=0.2)
    for mails in delivered(site, identity).values():
        require(len(mails) == 1 and b"x-postseal" not in header_of(mails[0]).lower(), "a marker was delivered, or two copies")
    plain = [data for data in proxy.texts if b"\r\nword\r\n" in data]
    require(plain and b"X-Postseal-Marker:" in plain[0], f"no marker in the copy: {plain[:1]}")
    return undotted(plain[0]), identity


def known(site, proxy):
    before = len(records(site))
    copy_of(site, proxy)
    new = records(site)[before:]
    require(len(new) == 3 and sum("outcome=leave.reinjected" in line for line in new) == 2, new)


def swapped(data, old, new):
    require(old in data, f"{old} is not in the message")
    return data.replace(old, new, 1)


# name, used before, envelope sender, recipient, what is changed, how it is sent
REPLAYS = [
    ("from outside", False, ALICE, CAROL, None, {"xclient": OUTSIDER}),
    ("from a colleague's host", False, ALICE, CAROL, None, {"xclient": COLLEAGUE}),
    ("a second time", True, ALICE, CAROL, None, {}),
    ("with another body", False, ALICE, CAROL, (b"\r\nword\r\n", b"\r\nother words\r\n"), {}),
    ("with another body for Bob", False, ALICE, BOB, (b"\r\nword\r\n", b"\r\nother words\r\n"), {}),
    ("for another recipient", False, ALICE, BOB, None, {}),
    ("with another sender", False, CAROL, CAROL, None, {}),
    ("with another time", False, ALICE, CAROL, "time", {}),
    ("two of them", False, ALICE, CAROL, "twice", {}),
    ("cut in the middle", False, ALICE, CAROL, "half", {}),
    ("with the listener's own port", True, ALICE, BOB, None, {"port": "reinject"}),
]


def changed(data, how):
    found = re.search(rb"X-Postseal-Marker:.*?\r\n(?![ \t])", data, re.S)
    if how is None:
        return data
    if how == "time":
        seconds = re.search(rb"t=(\d+)", found.group(0)).group(1)
        return data.replace(b"t=" + seconds, b"t=%d" % (int(seconds) + 5))
    if how == "twice":
        return found.group(0) + data
    if how == "half":
        return data.replace(found.group(0), found.group(0)[:len(found.group(0)) // 2] + b"\r\n")
    return swapped(data, *how)


def replay(site, proxy, used, sender, recipient, change, how):
    stolen, identity = copy_of(site, proxy, None if used else CUT)
    new_id = f"<replay-{time.monotonic_ns()}@{INSIDE}>"
    data = changed(stolen, change).replace(identity.encode(), new_id.encode())
    how = dict(how)
    if how.get("port"):
        how["port"] = site.postfix.reinject
    before = len(records(site))
    code, answer = site.send(sender, [recipient], data, **how)
    require(code == 250, f"{code} {answer}")
    mails = wait_until("the mail", lambda: delivered(site, new_id).get(recipient), step=0.2)
    line = records(site)[before]
    require("reinjected" not in line, f"taken for our own: {line}")
    require(b"x-postseal-marker" not in mails[0].lower(), "the marker was delivered")
    require(is_encrypted(mails[0]) == (recipient == BOB), "not processed like any mail")


def observed(site, proxy):
    """Who observes gets his mail as it came, but for the marker."""
    stolen, identity = copy_of(site, proxy, None)
    new_id = f"<replay-{time.monotonic_ns()}@{INSIDE}>"
    site.prefer(INSIDE, mode="observe")
    try:
        code, answer = site.send(f"x@other.example", [CAROL], stolen.replace(identity.encode(), new_id.encode()), xclient=OUTSIDER)
        require(code == 250, f"{code} {answer}")
        mails = wait_until("the mail", lambda: delivered(site, new_id).get(CAROL), step=0.2)
        require(b"x-postseal-marker" not in mails[0].lower(), "the marker was delivered")
    finally:
        site.cli("domain", "unset", INSIDE, "mode")


def switched_off(site, proxy):
    stolen, identity = copy_of(site, proxy, CUT)
    new_id = f"<replay-{time.monotonic_ns()}@{INSIDE}>"
    site.settings["reinject_marker"] = "off"
    site.write_config()
    site.filter.stop()
    site.start_filter()
    before = len(records(site))
    code, answer = site.send(ALICE, [CAROL], stolen.replace(identity.encode(), new_id.encode()))
    require(code == 250, f"{code} {answer}")
    mails = wait_until("the mail", lambda: delivered(site, new_id).get(CAROL), step=0.2)
    require(b"x-postseal-marker" not in mails[0].lower() and "reinjected" not in records(site)[before], "it counted")


def main():
    tap = Tap()
    with Site({"reinject_marker": "on", "trusted_networks": "127.0.0.0/8 10.0.0.0/8"}) as site:
        site.postfix.reinject_milters = site.postfix.milter
        proxy = Listener(site.postfix.reinject)
        site.settings["reinject_address"] = f"127.0.0.1:{proxy.port}"
        site.start()
        site.make_ca()
        site.issue(ALICE, "Alice", "--key", "ec:P-256")
        for who in (BOB, DAVE):
            site.issue(who, who, "--key", "rsa:2048")
        site.prefer(PARTNER, encrypt_mode="force")
        tap.case("copies are known by their marker", known, site, proxy)
        for name, *how in REPLAYS:
            tap.case(f"a stolen marker, {name}", replay, site, proxy, *how)
        tap.case("a marker for somebody who observes", observed, site, proxy)
        tap.case("a marker where markers are off", switched_off, site, proxy)
        proxy.stop()
    tap.done()


if __name__ == "__main__":
    main()
