#!/usr/bin/env python3
"""Recipients who need different copies: each gets the one that is his, and nobody can open another's."""
import json
import os
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import INSIDE, OUTSIDER, PARTNER, Site, Tap, in_time, parse, require, wait_until  # noqa: E402
from listener import Listener  # noqa: E402

OTHER, STRICT = "other.example", "strict.example"
ALICE, CAROL = f"alice@{INSIDE}", f"carol@{INSIDE}"
NAMED = [f"p{i}@{PARTNER}" for i in range(4)]  # encrypted, one copy
EC = [f"e{i}@{PARTNER}" for i in range(2)]  # encrypted, keys of another kind: a copy of its own
GCM = [f"g{i}@{PARTNER}" for i in range(2)]  # encrypted with another cipher: likewise
HIDDEN = [f"b{i}@{PARTNER}" for i in range(4)]  # Bcc, encrypted: each alone
PLAIN = [f"o{i}@{OTHER}" for i in range(14)]  # cannot, need not: signed
HIDDEN_PLAIN = [f"h{i}@{OTHER}" for i in range(6)]  # Bcc of those
INTERNAL = [f"i{i}@{INSIDE}" for i in range(18)]
FIFTY = NAMED + EC + GCM + HIDDEN + PLAIN + HIDDEN_PLAIN + INTERNAL
READERS = NAMED + EC + GCM + HIDDEN
UNREADABLE = f"nokey@{STRICT}"  # must be encrypted and cannot

serial = 0


def text(to, cc=(), subject="order", body="word\n", more=""):
    """A message and its Message-ID; Bcc recipients are named nowhere."""
    global serial
    serial += 1
    identity = f"<split-{serial}.{os.getpid()}@{INSIDE}>"
    lines = [f"From: Alice <{ALICE}>", "To: " + ",\n ".join(to)]
    if cc:
        lines.append("Cc: " + ",\n ".join(cc))
    lines += [f"Subject: {subject}", f"Message-ID: {identity}", "Date: Mon, 02 Nov 2026 10:00:00 +0000",
              "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"]
    return "\n".join(lines) + f"\n{more}\n{body}", identity


def header_of(data):
    return data.split(b"\n\n", 1)[0]


def delivered(site, identity):
    """Recipient -> the messages in his mailbox with this Message-ID."""
    found = {}
    for domain in (INSIDE, PARTNER, OTHER, STRICT):
        for path in site.postfix.mailbox_files(domain):
            with open(path, "rb") as f:
                data = f.read()
            header = header_of(data)
            to = re.search(rb"^Delivered-To: (\S+)", header, re.M)
            if to and identity.encode() in header:
                found.setdefault(to.group(1).decode(), []).append(data)
    return found


def wait_for_all(site, identity, recipients):
    def check():
        found = delivered(site, identity)
        return found if set(found) >= set(recipients) else None
    try:
        return wait_until("every recipient has his copy", check, step=0.2)
    except Exception as error:
        missing = sorted(set(recipients) - set(delivered(site, identity)))
        raise type(error)(f"{error}; missing {missing}; {site.filter.output().splitlines()[-1]}") from error


def each_once(site, identity, recipients):
    found = wait_for_all(site, identity, recipients)
    time.sleep(0.3)
    found = delivered(site, identity)
    require(set(found) == set(recipients), f"delivered to {sorted(set(found) ^ set(recipients))}")
    twice = [who for who, mails in found.items() if len(mails) != 1]
    require(not twice, f"more than one copy for {twice}")
    for who, (data,) in found.items():
        require(b"x-postseal" not in header_of(data).lower(), f"{who}: a field of ours was delivered")
    return {who: mails[0] for who, mails in found.items()}


def is_encrypted(data):
    return b"application/pkcs7-mime" in header_of(data) and b"word" not in data


def key_file(site, who):
    path = os.path.join(site.folder, "etc", who + ".pem")
    if not os.path.exists(path):
        p12 = os.path.join(site.folder, "etc", who + ".p12")
        site.export_p12(who, p12, "secret", "--compatible")  # the old way takes less time
        subprocess.run(["openssl", "pkcs12", "-legacy", "-in", p12, "-passin", "pass:secret", "-nodes", "-out", path], check=True, capture_output=True)
    return path


def opened(site, who, path):
    """What this key makes of it, or None. Without a certificate: every recipientInfo is tried."""
    pem = key_file(site, who)
    done = subprocess.run(["openssl", "cms", "-decrypt", "-in", path, "-inkey", pem, "-recip", pem], capture_output=True)
    return done.stdout if done.returncode == 0 else None


# -- fifty recipients -------------------------------------------------------------------------


def fifty(site, tap):
    message, identity = text(NAMED + PLAIN[:4], EC + GCM + PLAIN[4:] + INTERNAL, body="the word is caf\u00e9\n")
    started = time.monotonic()
    code, answer = site.send(ALICE, FIFTY, message)
    took = time.monotonic() - started
    require(code == 250, f"{code} {answer}")
    found = each_once(site, identity, FIFTY)
    print(f"# 50 recipients answered in {took:.2f} s")
    for who in READERS:
        require(is_encrypted(found[who]), f"{who}: not encrypted")
    for who in PLAIN + HIDDEN_PLAIN:
        require(b"multipart/signed" in header_of(found[who]), f"{who}: not signed")
    for who in INTERNAL:
        require(b"multipart/signed" not in header_of(found[who]) and "caf\u00e9".encode() in found[who], f"{who}: not as it came")
    for who, data in found.items():
        for hidden in HIDDEN + HIDDEN_PLAIN:
            require(who == hidden or hidden.encode() not in data, f"{who} sees {hidden}")
    tap.case("each copy opens with its recipients' keys and with nobody else's", keys_of_copies, site, found)


def keys_of_copies(site, found):
    groups = {}
    for who in READERS:
        body = found[who].split(b"\n\n", 1)[1]
        groups.setdefault(body, []).append(who)
    # Equal bodies are one copy; it has as many readers as it was delivered to.
    shapes = sorted(sorted(members) for members in groups.values())
    require(shapes == sorted([NAMED, EC, GCM] + [[who] for who in HIDDEN]), f"copies: {shapes}")
    for number, (body, members) in enumerate(groups.items()):
        path = os.path.join(site.folder, f"copy-{number}.eml")
        with open(path, "wb") as f:
            f.write(found[members[0]])
        inner = opened(site, ALICE, path)
        own = subprocess.run(["openssl", "cms", "-cmsout", "-print", "-in", path], capture_output=True, text=True).stdout
        count = own.count("d.ktri:") + own.count("d.kari:")
        require(count in (len(members), len(members) + 1), f"{members}: {count} recipientInfos")
        require(inner is not None or members == EC, f"{members}: not for the author himself")
        for who in READERS:
            inner = opened(site, who, path)
            if who in members:
                require(inner is not None and b"the word is" in inner, f"{who} cannot open his copy")
            else:
                require(inner is None or b"the word" not in inner, f"{who} opens the copy of {members}")


# -- ways in, and what goes along -------------------------------------------------------------


def expect_three(site, identity, plain=INTERNAL[0]):
    found = each_once(site, identity, [NAMED[0], HIDDEN[0], plain])
    require(is_encrypted(found[NAMED[0]]) and is_encrypted(found[HIDDEN[0]]), "not encrypted")
    require(not is_encrypted(found[plain]), "encrypted for an internal recipient")
    return found


def by_login(site):
    message, identity = text([NAMED[0], INTERNAL[0]])
    code, answer = site.send(ALICE, [NAMED[0], INTERNAL[0], HIDDEN[0]], message, login=ALICE)
    require(code == 250, f"{code} {answer}")
    expect_three(site, identity)


def by_sendmail(site):
    message, identity = text([NAMED[0], INTERNAL[0]])
    done = site.sendmail(ALICE, [NAMED[0], INTERNAL[0], HIDDEN[0]], message)
    require(done.returncode == 0, done.stderr)
    expect_three(site, identity)


def without_bcc_field(site):
    message, identity = text([NAMED[0], INTERNAL[0]], more=f"Bcc: {HIDDEN[0]}\n")
    done = site.sendmail(ALICE, [NAMED[0], INTERNAL[0], HIDDEN[0]], message)
    require(done.returncode == 0, done.stderr)
    found = expect_three(site, identity)
    for who, data in found.items():
        require(who == HIDDEN[0] or HIDDEN[0].encode() not in data, f"{who} sees the Bcc recipient")


def twice_on_purpose(site):
    message, identity = text([NAMED[0], INTERNAL[0]])
    for _ in range(2):
        code, answer = site.send(ALICE, [NAMED[0], INTERNAL[0]], message)
        require(code == 250, f"{code} {answer}")
    wait_until("both of each", lambda: [len(m) for m in delivered(site, identity).values()] == [2, 2], step=0.2)


def same_recipient_twice(site):
    message, identity = text([INTERNAL[0]])
    code, answer = site.send(ALICE, [HIDDEN[0], HIDDEN[0], INTERNAL[0]], message)
    require(code == 250, f"{code} {answer}")
    found = each_once(site, identity, [HIDDEN[0], INTERNAL[0]])
    require(is_encrypted(found[HIDDEN[0]]), "not encrypted")


def eight_bit(site):
    body = "\u00fcber " * 200 + "\n"
    message, identity = text([NAMED[0], INTERNAL[0]], body=body)
    code, answer = site.send(ALICE, [NAMED[0], INTERNAL[0], HIDDEN[0]], message)
    require(code == 250, f"{code} {answer}")
    found = each_once(site, identity, [NAMED[0], INTERNAL[0], HIDDEN[0]])
    require(body.strip().encode() in found[INTERNAL[0]], "the text is not as it came")
    path = os.path.join(site.folder, "eight.eml")
    with open(path, "wb") as f:
        f.write(found[HIDDEN[0]])
    inner = opened(site, HIDDEN[0], path)
    require(inner and b"quoted-printable" in inner or b"base64" in inner, "the signed part is not 7-bit")


def dots_and_long_body(site):
    body = ".\n..\n.dots\n" + "x" * 900 + "\n" + "a line of text\n" * 20000 + ".\n"
    message, identity = text([NAMED[0], INTERNAL[0]], body=body)
    code, answer = site.send(ALICE, [NAMED[0], INTERNAL[0]], message)
    require(code == 250, f"{code} {answer}")
    found = each_once(site, identity, [NAMED[0], INTERNAL[0]])
    require(found[INTERNAL[0]].split(b"\n\n", 1)[1] == body.encode(), "the text is not as it came")


def odd_addresses(site):
    """They are taken out of the envelope byte for byte, so nobody has a second copy from it."""
    odd = [f'"odd name"@{OTHER}', f"Big.Case@{OTHER}", f"user+tag@{OTHER}", f"percent%40x@{OTHER}", f"a/b=c@{OTHER}"]
    written = [odd[0], f"Big.Case@OTHER.Example"] + odd[2:]
    message, identity = text([NAMED[0]])
    code, answer = site.send(ALICE, [NAMED[0]] + written, message)
    require(code == 250, f"{code} {answer}")
    wait_until("all of them", lambda: len(received(site, identity)) >= 6, step=0.2)
    wait_until("the queue is empty", lambda: not site.postfix.queue_list(), step=0.2)
    mails = received(site, identity)
    require(len(mails) == 6, f"{len(mails)} mails for 6 recipients")
    require(sum(is_encrypted(data) for data in mails) == 1, "the encrypted copy went to others, too")


def received(site, identity):
    """All messages with this Message-ID, whoever has them."""
    mails = []
    for domain in (INSIDE, PARTNER, OTHER, STRICT):
        for path in site.postfix.mailbox_files(domain):
            with open(path, "rb") as f:
                data = f.read()
            if identity.encode() in header_of(data):
                mails.append(data)
    return mails


def spoken(proxy, verb):
    return [line for line in proxy.commands if line.upper().startswith(verb)]


def parameters(site, proxy):
    """What the client said of notifications goes along with each copy."""
    proxy.forget()
    message, identity = text([NAMED[0], INTERNAL[0]])
    import smtplib
    with smtplib.SMTP("127.0.0.1", site.postfix.mx, timeout=300) as smtp:
        smtp.ehlo("client.example")
        smtp.mail(ALICE, ["BODY=8BITMIME", "RET=HDRS", "ENVID=abc+2B1"])
        for n, who in enumerate((NAMED[0], INTERNAL[0], HIDDEN[0])):
            smtp.rcpt(who, ["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;first+2B{n}@{INSIDE}"])
        code, answer = smtp.data(message.replace("\n", "\r\n").encode())
    require(code == 250, f"{code} {answer}")
    each_once(site, identity, [NAMED[0], INTERNAL[0], HIDDEN[0]])
    mails = [line for line in spoken(proxy, "MAIL") if "ENVID" in line]
    require(mails and all("RET=HDRS" in line and "ENVID=abc+2B1" in line for line in mails), proxy.commands)
    named = [line for line in spoken(proxy, "RCPT")]
    require(named and all("NOTIFY=SUCCESS,FAILURE" in line and "ORCPT=rfc822;first+2B" in line for line in named), named)
    def reports():
        found = set()
        for path in site.postfix.mailbox_files(INSIDE):
            with open(path, "rb") as f:
                data = f.read()
            if b"multipart/report" in header_of(data):
                found |= set(re.findall(rb"^Original-Recipient: rfc822; ?(first\+\d)", data, re.M))
        return len(found) == 3
    wait_until("a success notification for each recipient", reports, step=0.3)
    for path in site.postfix.mailbox_files(INSIDE):
        os.unlink(path)


def smtputf8(site, proxy):
    proxy.forget()
    who = f"j\u00fcrgen@{OTHER}"
    message, identity = text([NAMED[0], who])
    import smtplib
    with smtplib.SMTP("127.0.0.1", site.postfix.mx, timeout=300) as smtp:
        smtp.ehlo("client.example")
        smtp.mail(ALICE, ["BODY=8BITMIME", "SMTPUTF8"])
        for recipient in (NAMED[0], who):
            smtp.putcmd("RCPT", f"TO:<{recipient}>") if recipient.isascii() else smtp.send(f"RCPT TO:<{recipient}>\r\n".encode())
            code, answer = smtp.getreply()
            require(code == 250, f"{code} {answer}")
        code, answer = smtp.data(message.replace("\n", "\r\n").encode())
    require(code == 250, f"{code} {answer}")
    require(any("SMTPUTF8" in line for line in spoken(proxy, "MAIL")), spoken(proxy, "MAIL"))
    wait_until("both copies", lambda: len(delivered(site, identity)) == 2, step=0.2)


def no_parameters_of_none(site, proxy):
    """From sendmail(1) a milter hears no parameters; none are made up."""
    proxy.forget()
    by_sendmail(site)
    require(not [line for line in proxy.commands if "NOTIFY=" in line or "ENVID=" in line], proxy.commands)


# -- refusals ---------------------------------------------------------------------------------


def refuse_message(site):
    message, identity = text([NAMED[0], UNREADABLE, INTERNAL[0]])
    code, answer = site.send(ALICE, [NAMED[0], UNREADABLE, INTERNAL[0]], message)
    require(code == 550 and UNREADABLE in answer and "nothing was sent to the other recipients" in answer, f"{code} {answer}")
    require("\n" in answer, "one line only")
    time.sleep(0.5)
    require(not delivered(site, identity), "somebody got it")


def notice_for(site, identity, word):
    """The notice about this message in the sender's mailbox."""
    for path in site.postfix.mailbox_files(INSIDE):
        with open(path, "rb") as f:
            data = f.read()
        if b"multipart/report" in header_of(data) and identity.encode() in data:
            require(f"Delivered-To: {ALICE}".encode() in header_of(data), "it went to somebody else")
            require(word not in data, "it has the text of the message")
            require(b"Return-Path: <>" in data, "it has a sender")
            return parse(data), data
    return None


def traced(site, identity):
    """The record says what became of each recipient, and finds the message by the queue id of its copy, too."""
    def record(*what):
        done = site.cli("trace", *what, "--json", check=False)
        return json.loads(done.stdout)["items"][0] if done.returncode == 0 else None

    row = wait_until("the record", lambda: record("--message-id", identity), step=0.3)
    require(f"{UNREADABLE}: refused.no-certificate" in row["results"], row["results"])
    require(len(row["copies"]) == 1 and row["copies"] != [row["queue_id"]], row["copies"])
    found = record("--queue-id", row["copies"][0])
    require(found is not None and found["queue_id"] == row["queue_id"], "not found by its copy")


def refuse_recipient(site):
    site.prefer(INSIDE, on_refuse="recipient")
    try:
        message, identity = text([NAMED[0], UNREADABLE, INTERNAL[0]], body="the secret words\n")
        code, answer = site.send(ALICE, [NAMED[0], UNREADABLE, INTERNAL[0]], message)
        require(code == 250, f"{code} {answer}")
        wait_for_all(site, identity, [NAMED[0], INTERNAL[0]])
        _, raw = wait_until("the notice", lambda: notice_for(site, identity, b"the secret words"), step=0.3)
        require(UNREADABLE.encode() in raw and NAMED[0].encode() not in raw.split(b"Content-Type: text/rfc822-headers")[0], "it names the wrong recipients")
        require(b"message/delivery-status" in raw and b"5.7.5" in raw, "no delivery status")
        require(UNREADABLE not in delivered(site, identity), "the refused one got it")
        traced(site, identity)
    finally:
        site.prefer(INSIDE, on_refuse="message")


def refuse_all_of_them(site):
    site.prefer(INSIDE, on_refuse="recipient")
    try:
        message, identity = text([UNREADABLE])
        code, answer = site.send(ALICE, [UNREADABLE], message)
        require(code == 550, f"{code} {answer}")
        code, answer = site.send("", [UNREADABLE, INTERNAL[0]], text([UNREADABLE])[0])
        require(code == 250, f"null sender: {code} {answer}")
        message, _ = text([NAMED[0], UNREADABLE], more="Auto-Submitted: auto-replied\n")
        code, answer = site.send(ALICE, [NAMED[0], UNREADABLE], message)
        require(code == 550, f"an automatic message: {code} {answer}")
    finally:
        site.prefer(INSIDE, on_refuse="message")


def null_sender(site):
    """Mail that nobody wrote is split, too: encrypted for whom it must be, cut for whom it cannot be."""
    message, identity = text([NAMED[0], UNREADABLE, INTERNAL[0]], body="the secret words\n")
    code, answer = site.send("", [NAMED[0], UNREADABLE, INTERNAL[0]], message)
    require(code == 250, f"{code} {answer}")
    found = each_once(site, identity, [NAMED[0], UNREADABLE, INTERNAL[0]])
    require(is_encrypted(found[NAMED[0]]), "not encrypted")
    require(b"the secret words" not in found[UNREADABLE], "the text left in the clear")
    require(b"the secret words" in found[INTERNAL[0]], "cut for a colleague")


def observed(site):
    """Who observes gets not one byte changed, beside others whose copies are encrypted."""
    site.prefer(OTHER, mode="observe", encrypt_mode="force")
    try:
        message, identity = text([NAMED[0], PLAIN[0]], more="X-Postseal-Sign: yes\n")
        code, answer = site.send(ALICE, [NAMED[0], PLAIN[0]], message)
        require(code == 250, f"{code} {answer}")
        found = wait_for_all(site, identity, [NAMED[0], PLAIN[0]])
        require(is_encrypted(found[NAMED[0]][0]), "not encrypted")
        data = found[PLAIN[0]][0]
        require(data.split(b"\n\n", 1)[1] == message.encode().split(b"\n\n", 1)[1] and b"X-Postseal-Sign: yes" in data, "it was changed")
    finally:
        site.cli("domain", "unset", OTHER, "mode")
        site.cli("domain", "unset", OTHER, "encrypt_mode")


# -- many at once -----------------------------------------------------------------------------


def crowd(site):
    """Every smtpd waits for the filter while the filter waits for the listener: which has processes of its own."""
    answers, identities = [], []
    lock = threading.Lock()

    def one(number):
        message, identity = text([NAMED[0], INTERNAL[0]])
        code, answer = 0, "no answer"
        for _ in range(20):
            try:
                code, answer = site.send(ALICE, [NAMED[0], INTERNAL[0], HIDDEN[number % len(HIDDEN)]], message)
            except OSError as error:
                code, answer = 421, str(error)
            if code // 100 != 4:
                break
            time.sleep(0.2)
        with lock:
            answers.append((code, answer))
            identities.append((identity, HIDDEN[number % len(HIDDEN)]))

    started = time.monotonic()
    threads = [threading.Thread(target=one, args=(n,)) for n in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - started
    print(f"# 100 messages of 3 copies with 20 smtpd processes: {took:.1f} s")
    require(len(answers) == 100 and all(code == 250 for code, _ in answers), [a for a in answers if a[0] != 250][:3])
    in_time(took, 60, "a crowd")
    wait_until("the queue is empty", lambda: not site.postfix.queue_list(), step=0.5)
    found = {}
    for domain in (INSIDE, PARTNER):
        for path in site.postfix.mailbox_files(domain):
            with open(path, "rb") as f:
                header = header_of(f.read())
            key = (re.search(rb"^Message-ID: (\S+)", header, re.M | re.I).group(1).decode(), re.search(rb"^Delivered-To: (\S+)", header, re.M).group(1).decode())
            found[key] = found.get(key, 0) + 1
    for identity, hidden in identities:
        for who in (NAMED[0], INTERNAL[0], hidden):
            require(found.get((identity, who)) == 1, f"{identity} {who}: {found.get((identity, who))}")


# -- what happens behind us -------------------------------------------------------------------


def full_mailbox(site):
    """The MTA's own bounce of a mail that was decrypted must not send its text back."""
    who = f"full@{INSIDE}"
    site.mailbox.fault("RCPT", 1, b"552 5.2.2 mailbox full\r\n")
    message, identity = text([who], body="the secret words\n")
    site.issue(who)
    encrypted = subprocess.run(["openssl", "cms", "-encrypt", "-aes256", "-recip", key_file(site, who)],
                               input=b"Content-Type: text/plain\n\nthe secret words\n", capture_output=True, check=True).stdout
    outer = f"From: stranger@{OTHER}\nTo: {who}\nMessage-ID: {identity}\nDate: Mon, 02 Nov 2026 10:00:00 +0000\n".encode()
    code, answer = site.send(f"stranger@{OTHER}", [who], outer + encrypted, xclient=OUTSIDER)
    require(code == 250, f"{code} {answer}")

    def bounce():
        for path in site.postfix.mailbox_files(OTHER):
            with open(path, "rb") as f:
                data = f.read()
            if b"multipart/report" in data and identity.encode() in data:
                return data
        return None
    data = wait_until("the bounce", bounce, step=0.3)
    require(b"the secret words" not in data, "the bounce has the text")
    require("outcome=decrypted" in site.filter.output(), "nothing was decrypted: the test shows nothing")


def redirected(site):
    """A redirect of mail from outside to a partner passes the filter: by his preferences, never plain."""
    message = f"From: stranger@{OTHER}\nTo: {INTERNAL[0]}\nSubject: x\nMessage-ID: <redirect.{serial}@{OTHER}>\n\nthe secret words\n"
    done = site.sendmail(f"stranger@{OTHER}", [NAMED[1]], message)
    require(done.returncode == 0, done.stderr)
    found = wait_for_all(site, f"<redirect.{serial}@{OTHER}>", [NAMED[1]])
    require(is_encrypted(found[NAMED[1]][0]), "it left in the clear")
    done = site.sendmail(f"stranger@{OTHER}", [UNREADABLE], message)
    time.sleep(1)
    require(UNREADABLE not in delivered(site, f"<redirect.{serial}@{OTHER}>"), "it left in the clear")


def expanded_before(site):
    """An inside alias of a force domain, expanded where the manual puts it: before us."""
    message, identity = text([f"team@{INSIDE}"])
    code, answer = site.send(ALICE, [f"team@{INSIDE}", INTERNAL[0]], message, port=site.first_pass)
    require(code == 250, f"{code} {answer}")
    found = each_once(site, identity, [NAMED[2], INTERNAL[1], INTERNAL[0]])
    require(is_encrypted(found[NAMED[2]]), "it left in the clear")


def doctor_names_it(site):
    """Expanded behind us it does leave in the clear, and doctor has said so."""
    folder = os.path.join(site.folder, "leaky")
    subprocess.run(["cp", "-r", site.postfix.conf, folder], check=True)
    with open(os.path.join(folder, "main.cf"), "a") as f:
        f.write("virtual_alias_maps = texthash:/nonexistent\nreceive_override_options =\nmydestination = local.example\nalias_maps = texthash:/nonexistent\n")
    said = site.cli("doctor", "--postfix-config", folder, check=False).stdout
    for part in ("virtual_alias_maps is set", "alias_maps is set", "forward_path is set", "force is not kept"):
        require(part in said, f"doctor does not say: {part}\n{said}")


def prepare(site):
    site.make_ca()
    site.issue(ALICE, "Alice", "--key", "rsa:2048")
    for who in NAMED + GCM + HIDDEN:
        site.issue(who, who, "--key", "rsa:2048")
    for who in EC:
        site.issue(who, who, "--key", "ec:P-256")
    site.prefer(PARTNER, encrypt_mode="force")
    site.prefer(STRICT, encrypt_mode="force")
    for who in GCM:
        site.prefer(who, cipher="aes-256-gcm")


def main():
    tap = Tap()
    with Site() as site:
        postfix = site.postfix
        postfix.processes = "20"
        proxy = Listener(postfix.reinject)
        site.settings["reinject_address"] = f"127.0.0.1:{proxy.port}"
        from harness import free_port
        site.first_pass = free_port()
        site.mailbox = Listener(postfix.reinject)  # where mail for one address is delivered
        postfix.refuse_mailbox(f"full@{INSIDE}", site.mailbox.port)
        postfix.extra_master = (
            f"127.0.0.1:{site.first_pass} inet n - n - - smtpd\n  -o smtpd_milters=\n  -o receive_override_options=\n"
            f"  -o virtual_alias_maps=inline:{{{{team@{INSIDE}={NAMED[2]},{INTERNAL[1]}}}}}\n"
            f"  -o cleanup_service_name=cleanup-first\n  -o content_filter=smtp:[127.0.0.1]:{postfix.mx}\n"
            f"cleanup-first unix n - n - 0 cleanup\n  -o {{ virtual_alias_maps = inline:{{ {{ team@{INSIDE} = {NAMED[2]}, {INTERNAL[1]} }} }} }}\n")
        site.start()
        postfix.add_login(ALICE)
        prepare(site)
        tap.case("50 recipients have one right copy each", fifty, site, tap)
        for name, case in [("submission with a login", by_login), ("the sendmail command", by_sendmail), ("its Bcc field", without_bcc_field),
                           ("a message sent twice on purpose is delivered twice", twice_on_purpose),
                           ("the same recipient twice", same_recipient_twice), ("8-bit text", eight_bit),
                           ("dots and a long body", dots_and_long_body), ("odd addresses", odd_addresses)]:
            tap.case(name, case, site)
        for name, case in [("RET, ENVID, NOTIFY and ORCPT go along", parameters), ("SMTPUTF8", smtputf8),
                           ("no parameters are made up", no_parameters_of_none)]:
            if case is smtputf8 and site.mta == "sendmail":
                tap.skip(name, "Debian's Sendmail is built without it")
                continue
            tap.case(name, case, site, proxy)
        for name, case in [("on_refuse = message", refuse_message), ("on_refuse = recipient", refuse_recipient),
                           ("on_refuse = recipient, and nobody to tell or to serve", refuse_all_of_them), ("the null sender", null_sender),
                           ("observe beside active", observed), ("a redirect", redirected), ("a full mailbox", full_mailbox),
                           ("an alias expanded before us", expanded_before), ("an alias expanded behind us", doctor_names_it),
                           ("100 messages at once, 20 smtpd processes", crowd)]:
            if case in (expanded_before, doctor_names_it) and site.mta == "sendmail":
                tap.skip(name, "it is about Postfix's maps")
                continue
            tap.case(name, case, site)
        proxy.stop()
        site.mailbox.stop()
    tap.done()


if __name__ == "__main__":
    main()
