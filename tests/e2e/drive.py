"""drive - a request handler without the gateway around it (tests/support/handler_drive), against a fake.

    with Drive("ejbca") as handler:
        handler.set(url=fake.base, ca_bundle=read(fake.cert))
        answer = handler.submit("alice@inside.example")        # {"status": "issued", "certs": [...], ...}
"""
import json
import os
import subprocess
import sys
import tempfile

from harness import BUILD, SOURCE, Failed, note_reports, require, wait_until

sys.path.insert(0, os.path.join(SOURCE, "tests", "fakes"))


TIMEOUT = "2m"  # of an exchange with a fake, which starts programs for its answers


def read(path):
    with open(path) as f:
        return f.read()


class Drive:
    def __init__(self, handler):
        self.handler = handler
        self.said = tempfile.TemporaryFile()
        self.child = subprocess.Popen([os.path.join(BUILD, "tests/support/handler_drive")], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=self.said, text=True,
                                      env={**os.environ, "G_DEBUG": "fatal-criticals"})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.stdout.read()
        self.child.wait(120)
        self.said.seek(0)
        note_reports("handler_drive", self.said.read().decode(errors="replace"))
        self.said.close()

    def ask(self, **line):
        self.child.stdin.write(json.dumps({"handler": self.handler, **line}) + "\n")
        self.child.stdin.flush()
        while True:
            text = self.child.stdout.readline()
            if not text:
                raise Failed(f"the driver ended at {line}")
            if text.startswith("{"):
                return json.loads(text)

    def set(self, config=None, **values):
        """Names with dots as ("oauth.scope", value) in `more`; None: back to the default."""
        for name, value in {**values.pop("more", {}), **values}.items():
            answer = self.ask(do="set", name=name, config=config, value=value)
            require("error" not in answer, f"{name}: {answer}")

    def submit(self, email, common_name="Alice Example", **more):
        return self.ask(do="submit", email=email, common_name=common_name, **more)

    def submit_under(self, fault, email, **more):
        """What is silent for ever is waited for with little patience, and nothing else is."""
        return self._under(fault, self.submit, email, **more)

    def poll_under(self, fault, email, **more):
        return self._under(fault, self.poll, email, **more)

    def _under(self, fault, ask, email, **more):
        if fault.silent:
            self.set(timeout="3s")
        answer = ask(email, **more)
        if fault.silent:
            self.set(timeout=TIMEOUT)
        return answer

    def poll(self, email, **more):
        return self.ask(do="poll", email=email, **more)

    def revoke(self, cert, **more):
        return self.ask(do="revoke", cert=cert, **more)

    def check(self, **more):
        return self.ask(do="check", **more)


def expect_issued_for(fake, who, times, fault):
    """Where the answer is lost in silence, the fake may still be at it."""
    if fault.silent:
        wait_until(f"{fault.name}: issued {int(times)} times", lambda: fake.issuer.issued_for(who) == times)
    require(fake.issuer.issued_for(who) == times, f"{fault.name}: issued {fake.issuer.issued_for(who)} times")


def expect(answer, status, error_class=None, text=None):
    """error_class: a word or several."""
    require(answer.get("status") == status, f"not {status}: {answer}")
    classes = [error_class] if isinstance(error_class, str) else error_class
    require(classes is None or answer["class"] in classes, f"not {error_class}: {answer}")
    require(text is None or text in answer.get("text", ""), f"not '{text}': {answer}")
    return answer


def issued(answer, chain=True):
    expect(answer, "issued")
    require(answer["certs"] and answer["certs"][0]["spki"] == answer["spki"], f"not our key: {answer}")
    require(not chain or any(cert["ca"] for cert in answer["certs"][1:]), f"no chain: {answer}")
    return answer


def faults_of_order():
    """What a request that issues may meet: (fault, did the fake act?, class that says what to do)."""
    import server
    return [(server.status(503, headers=[("Retry-After", "77")]), False, "transient"),
            (server.status(429, headers=[("Retry-After", "77")]), False, "transient"),
            (server.status(500), False, "conflict"), (server.html(502), False, "conflict"),
            (server.html(200), False, "conflict"), (server.garbage(201), False, "conflict"),
            (server.html_after(502), True, "conflict"), (server.CUT, False, "conflict"),
            (server.HALF, True, "conflict"), (server.LOST, True, "conflict"), (server.SILENCE, False, "conflict"),
            (server.LOST_SILENT, True, "conflict"), (server.status(403), False, "permanent-config"),
            (server.html(404), False, "permanent-config"), (server.html(413), False, "permanent-input")]
