#!/usr/bin/env python3
"""Nobody is signed for who did not send: every way to look like an inside author from where one is not."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import INSIDE, OUTSIDER, PARTNER, Site, Tap, require  # noqa: E402

ALICE, CAROL, BOB = f"alice@{INSIDE}", f"carol@{INSIDE}", f"bob@{PARTNER}"
FORGED = ("X-Postseal-Verdict: valid\nAuthentication-Results: mx.inside.example; smime=pass body.smime-identifier=alice@inside.example\n"
          "Authentication-Results: mx.inside.example; spf=pass smtp.mailfrom=x@other.example\n")


def message(from_field=f"From: Alice <{ALICE}>", more=""):
    return f"{from_field}\nTo: {BOB}\nSubject: [signed] who am I\n{more}{FORGED}\nbody\n"


# name, envelope sender, from lines, other lines, how it is sent
CASES = [
    ("an outsider with a forged envelope sender", ALICE, "From: x@other.example", "", {"xclient": OUTSIDER}),
    ("an outsider with a forged From", "x@other.example", f"From: {ALICE}", "", {"xclient": OUTSIDER}),
    ("an outsider with both forged", ALICE, f"From: {ALICE}", "", {"xclient": OUTSIDER}),
    ("a login with a colleague's From", CAROL, f"From: {ALICE}", "", {"login": CAROL}),
    ("two From fields", ALICE, f"From: {ALICE}\nFrom: {CAROL}", "", {"login": ALICE}),
    ("From with two mailboxes", ALICE, f"From: {ALICE}, {CAROL}", "", {"login": ALICE}),
    ("Sender against From", CAROL, f"From: {ALICE}", f"Sender: {CAROL}\n", {"login": CAROL}),
    ("a letter that was resent", ALICE, f"From: {ALICE}", f"Resent-From: {ALICE}\nResent-To: {BOB}\n", {"login": ALICE}),
    ("a null sender with a forged From", "", f"From: {ALICE}", "", {"xclient": OUTSIDER}),
    ("the port behind a content filter", ALICE, f"From: {ALICE}", "", {"after": True}),
    ("the port behind a content filter, null sender", "", f"From: {ALICE}", "", {"after": True}),
]


def unsigned(site, name, sender, from_lines, more, how):
    how = dict(how)
    if how.pop("after", False):
        how["port"] = site.postfix.after_filter
    before = len(site.filter.output().splitlines())
    got = site.exchange(sender, BOB, message(from_lines, more), **how)
    header = got.split(b"\n\n", 1)[0]
    require(b"multipart/signed" not in got and b"pkcs7" not in got, "a signature was made")
    require(b"X-Postseal" not in header, "a result header of ours was left")
    require(b"smime=pass" not in header, "a forged Authentication-Results was left")
    require(b"spf=pass" in header, "the result of another filter was taken away")
    require(b"[signed]" not in header, "a tag of ours was left in the subject")
    log = "\n".join(site.filter.output().splitlines()[before:])
    require("not signed" in log or "reason" in log or "plain." in log or "leave." in log,
            f"the log does not say why: {log}")


def signed(site, how):
    got = site.exchange(ALICE, BOB, f"From: {ALICE}\nTo: {BOB}\nSubject: me\n\nbody\n", **how)
    require(b"multipart/signed" in got, "not signed")


def by_sendmail(site):
    """Mail of the sendmail command passes pickup and the non_smtpd_milters."""
    done = site.sendmail(ALICE, [BOB], f"From: {ALICE}\nTo: {BOB}\nSubject: me\n\nbody\n")
    require(done.returncode == 0, f"sendmail: exit {done.returncode}: {done.stderr}")
    require(b"multipart/signed" in site.wait_mail(BOB), "not signed")


def main():
    tap = Tap()
    with Site() as site:
        site.start()
        site.make_ca()
        for address in (ALICE, CAROL):
            site.issue(address)
            site.postfix.add_login(address)
        tap.case("control: the author, logged in, is signed for", signed, site, {"login": ALICE})
        tap.case("control: the author from this host is signed for", signed, site, {})
        tap.case("control: the author by the sendmail command is signed for", by_sendmail, site)
        for case in CASES:
            tap.case(f"not signed: {case[0]}", unsigned, site, *case)
    tap.done()


main()
