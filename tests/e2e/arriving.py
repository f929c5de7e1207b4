"""arriving - a raw message handed to a site's filter as an MTA hands it over, and what the filter says of it."""
import re

from harness import OUTSIDER
from mta import Mta, new_body

LEADING_SPACE = 0x100000
FIELD = re.compile(rb"([\x21-\x39\x3b-\x7e]+)[ \t]*:(.*)", re.S)


def cut(message):
    """(fields, body) as Postfix cuts them: the header ends at an empty line or before one that is no field."""
    message = re.sub(rb"\r?\n", b"\r\n", message)
    fields, at = [], 0
    if message.startswith(b"From "):
        at = message.index(b"\r\n") + 2
    while at < len(message):
        end = message.find(b"\r\n", at)
        line, following = (message[at:], len(message)) if end < 0 else (message[at:end], end + 2)
        if not line:
            return fields, message[following:]
        found = FIELD.match(line)
        if line[:1] in b" \t" and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + b"\n" + line)
        elif found:
            fields.append((found.group(1), found.group(2)))
        else:
            return fields, message[at:]
        at = following
    return fields, b""


class Arrival:
    """The filter's answer to one message."""

    def __init__(self, answer, edits, body):
        self.answer, self.edits, self.body = answer, edits, body
        self.changed_body = any(code == b"b" for code, _ in edits)
        if self.changed_body:
            self.body = new_body(edits)

    def added(self, name):
        """Values of the fields of this name that the filter puts in, unfolded."""
        found = []
        for code, data in self.edits:
            if code in (b"h", b"i"):
                parts = (data[4:] if code == b"i" else data).split(b"\0")
                if parts[0].decode().lower() == name.lower():
                    found.append(re.sub(r"\s+", " ", parts[1].decode(errors="replace")).strip())
        return found

    def removed(self, name):
        """Occurrences of fields of this name that are taken out."""
        return [data for code, data in self.edits if code == b"m" and data[4:].split(b"\0")[0].decode().lower() == name.lower() and
                data[4:].split(b"\0")[1] == b""]

    @property
    def result(self):
        """smime= of the one Authentication-Results field, or None."""
        ours = [v for v in self.added("Authentication-Results") if "smime=" in v]
        return re.search(r"smime=(\w+)", ours[0]).group(1) if len(ours) == 1 else (None if not ours else "several")

    @property
    def verdict(self):
        found = self.added("X-Postseal-Verdict")
        return found[0] if len(found) == 1 else None


def arrive(site, message, sender="sender@outside.example", recipients=("bob@inside.example",)):
    """One message from outside."""
    fields, body = cut(message)
    site.settle_if_unheard()
    mta = Mta(site.milter_address, client=OUTSIDER)
    try:
        mta.envelope(sender, list(recipients))
        for name, value in fields:
            if not mta.steps & LEADING_SPACE and value.startswith(b" "):
                value = value[1:]
            mta.step(b"L", name + b"\0" + value.split(b"\0")[0] + b"\0")
        mta.step(b"N")
        mta.body(body)
        answer, edits = mta.end()
    finally:
        mta.close()
    return Arrival(answer, edits, body)
