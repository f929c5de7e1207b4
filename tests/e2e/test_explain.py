#!/usr/bin/env python3
"""explain and the filter are one function: 500 generated messages go to both, and the JSON is equal."""
import json
import os
import random
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import AGAIN, INSIDE, OUTSIDER, PARTNER, Site, Tap, wait_until  # noqa: E402

COUNT = 150 if AGAIN else 500
WITH_KEY = [f"signer{i}@{INSIDE}" for i in range(3)]
READERS = [f"reader{i}@{PARTNER}" for i in range(3)]
INSIDERS = WITH_KEY + [f"nokey{i}@{INSIDE}" for i in range(3)]
OUTSIDERS = READERS + [f"nocert{i}@{PARTNER}" for i in range(3)] + ["x@other.example", "y@strict.example"]
CHOICES = {
    "encrypt_mode": ["none", "allow", "opportunistic", "force"],
    "sign_mode": ["never", "when-encrypted", "if-possible", "required"],
    "smime": ["off", "on"],
    "protect_internal": ["off", "on"],
    "calendar": ["plain", "sign-only", "normal"],
    "signing_format": ["clear", "opaque"],
    "signature_scheme": ["pkcs1", "pss"],
    "digest": ["sha256", "sha512"],
    "cipher": ["auto", "aes-256-gcm", "aes-128-cbc"],
    "key_transport": ["auto", "oaep-sha256"],
    "trigger_when_off": ["refuse", "ignore"],
    "on_spoofed_internal": ["inbound", "reject"],
    "author_check": ["login", "network", "none-signed"],
    "mode": ["active", "observe"],
}
SUBJECTS = ["plain words", "[encrypt] please", "[sign] this", "=?utf-8?q?=5Bencrypt=5D_gr=C3=BC=C3=9Fe?=", "[encrypt] [sign] both"]
MORE = ["", "", "", "X-Postseal-Encrypt: yes\n", "Sensitivity: company-confidential\n", "Sender: somebody@inside.example\n",
        "Resent-From: a@inside.example\n", "List-Id: <l.inside.example>\n", "Auto-Submitted: auto-replied\n"]
BODIES = [
    ("", "text\n"),
    ("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n", "äöü\n"),
    ("MIME-Version: 1.0\nContent-Type: text/calendar; method=REQUEST\n", "BEGIN:VCALENDAR\nEND:VCALENDAR\n"),
    ("MIME-Version: 1.0\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n", "AAAA\n"),
    ("MIME-Version: 1.0\nContent-Type: text/plain\nContent-Type: text/html\n", "twice\n"),
]


def generate(chance, number):
    inside = chance.random() < 0.7
    author = chance.choice(INSIDERS if inside else OUTSIDERS)
    sender = author if chance.random() < 0.8 else chance.choice(INSIDERS + OUTSIDERS + [""])
    recipients = chance.sample(INSIDERS + OUTSIDERS, chance.choice([1, 1, 1, 2, 3]))
    extra, body = chance.choice(BODIES)
    from_lines = chance.choice([f"From: {author}"] * 8 + [f"From: {author}, other@{INSIDE}", f"From: {author}\nFrom: x@other.example"])
    named = recipients if chance.random() < 0.8 else recipients[:1]
    message = (f"{from_lines}\nTo: {', '.join(named)}\nSubject: {chance.choice(SUBJECTS)}\nMessage-ID: <explain-{number}@{INSIDE}>\n"
               f"Date: Sat, 21 Nov 2026 12:00:00 +0000\n{chance.choice(MORE)}{extra}\n{body}")
    how = chance.choice([{}, {}, {"login": chance.choice(INSIDERS)}, {"xclient": OUTSIDER}])
    return sender, recipients, message, how


def prefer_at_random(site, chance):
    for who in INSIDERS + OUTSIDERS:
        for name in chance.sample(sorted(CHOICES), 3):
            site.prefer(who, **{name: chance.choice(CHOICES[name])})
    site.prefer(None, encrypt_mode="opportunistic")


def explain(site, sender, recipients, message, how):
    with tempfile.NamedTemporaryFile("wb", suffix=".eml", dir=site.folder) as f:
        f.write(message.replace("\n", "\r\n").encode())
        f.flush()
        arguments = ["explain", "--message", f.name, "--sender", sender, "--json"]
        for recipient in recipients:
            arguments += ["--to", recipient]
        arguments += ["--client", how.get("xclient", "127.0.0.1")]
        if "login" in how:
            arguments += ["--auth", how["login"]]
        return json.loads(site.cli(*arguments).stdout)["ruling"]


def decided(site):
    """Message-ID -> what the filter decided, from the record."""
    # Exit status 5: there is nothing yet.
    rows = json.loads(site.cli("trace", "--since", "2026-01-01", "--limit", "2000", "--json", check=False).stdout)["items"]
    return {row["message_id"].strip("<>"): row for row in rows}


def main():
    tap, chance = Tap(), random.Random(20261121)
    with Site() as site:
        site.start()
        site.make_ca()
        for address in WITH_KEY + READERS:
            site.issue(address, None, "--key", "ec:P-256")
        for address in INSIDERS:
            site.postfix.add_login(address)
        prefer_at_random(site, chance)
        messages = [generate(chance, n) for n in range(COUNT)]
        for sender, recipients, message, how in messages:
            site.send(sender, recipients, message, **how)
        last = f"explain-{COUNT - 1}@{INSIDE}"
        wait_until("the record of the last message", lambda: last in decided(site), step=0.5)
        record = decided(site)
        different, missing, outcomes = [], [], {}
        for number, (sender, recipients, message, how) in enumerate(messages):
            row = record.get(f"explain-{number}@{INSIDE}")
            if row is None:
                missing.append(number)
                continue
            outcomes[row["reason"]] = outcomes.get(row["reason"], 0) + 1
            said = row["detail"] if isinstance(row["detail"], dict) else json.loads(row["detail"])
            said.pop("queued", None)  # what became of the copies, which nobody knows beforehand
            asked = explain(site, sender, recipients, message, how)
            if json.dumps(said, sort_keys=True) != json.dumps(asked, sort_keys=True):
                different.append(f"{number}: {difference(said, asked)}\n{message[:300]}")
        print("# outcomes: " + ", ".join(f"{k} {v}" for k, v in sorted(outcomes.items())))
        tap.ok(not missing, f"each of {COUNT} messages is on record", missing[:10])
        tap.ok(not different, f"explain says what the filter decided, {COUNT - len(missing)} times", "\n".join(different[:5]))
        tap.ok(len(outcomes) >= 8, "the messages had at least eight different outcomes", outcomes)
    tap.done()


def difference(a, b, path=""):
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b)):
            if a.get(key) != b.get(key):
                return difference(a.get(key), b.get(key), f"{path}/{key}")
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            if x != y:
                return difference(x, y, f"{path}[{i}]")
    return f"{path}: filter {json.dumps(a)[:200]} explain {json.dumps(b)[:200]}"


main()
