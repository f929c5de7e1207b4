#!/usr/bin/env python3
"""CMP, EST and AD CS through the gateway: set up by command, tested, issued, killed in the middle; one certificate each, no secret told."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from commands import Cli, file_with  # noqa: E402
from harness import BUILD, INSIDE, SOURCE, Failed, Site, Tap, wait_until  # noqa: E402

sys.path.insert(0, os.path.join(SOURCE, "tests", "fakes"))
import server  # noqa: E402
from certsrv import Certsrv  # noqa: E402
from cmp import CmpIssuer  # noqa: E402
from est import Est  # noqa: E402


FULL = os.environ.get("PS_FULL") == "yes"


def sql(site, text):
    found = site.database_socket()
    done = subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "/usr/bin/psql", "-X", "-qAt", "-v",
                           "ON_ERROR_STOP=1", "-h", os.path.dirname(found), "-p", found.rsplit(".", 1)[1], "-U", "postgres", "-d",
                           "postseal", "-c", text], capture_output=True, check=True, text=True)
    return done.stdout.strip()


class Peer:
    """A fake, how it is set up by command, and how often it really issued for an address."""

    def __init__(self, cli, handler, fake, where, secret, values, issued):
        self.cli, self.handler, self.fake, self.where, self.secret, self.issued = cli, handler, fake, where, secret, issued
        for name, value in values.items():
            cli.site.cli("handler", "config", handler, name, *(["--file", value[1]] if isinstance(value, tuple) else [value]))
        path = file_with(cli.site, f"{handler}.secret", secret + "\n")
        cli.site.cli("handler", "config", handler, "secret" if handler == "cmp" else "password", "--password-file", path)

    def order(self, name):
        return self.cli.json("request", "create", "--email", f"{name}@{INSIDE}", "--common-name", name.title(), "--key", "ec:P-256",
                             "--handler", self.handler)["id"]

    def wait(self, number, state="issued"):
        def there():
            row = self.cli.json("request", "show", str(number))
            if row["state"] != state and row["state"] in ("failed", "rejected"):
                raise Failed(str(row))
            return row["state"] == state
        wait_until(f"request {number} of {self.handler} is {state}", there)


def test_issue(peer):
    cli = peer.cli
    cli.expect(0, "handler", "test", peer.handler, name=f"{peer.handler}: the test is good")
    shown = cli.run("handler", "config", peer.handler)
    cli.tap.ok(shown.returncode == 0 and peer.secret not in shown.stdout, f"{peer.handler}: what was set as a secret is not shown", shown.stdout)
    number = peer.order(f"first-{peer.handler}")
    peer.wait(number)
    cli.tap.ok(peer.issued(f"first-{peer.handler}@{INSIDE}") == 1, f"{peer.handler}: issued")


def killed(peer, name, skip):
    """The peer acts and says nothing; the daemon is killed while it waits, and the next one goes on."""
    site, fake = peer.cli.site, peer.fake
    fake.clear()
    fake.fault(peer.where, server.LOST_SILENT, skip=skip)
    number = peer.order(name)
    wait_until("the peer has acted", lambda: fake.count(peer.where) > skip)
    site.daemon.kill()
    sql(site, "UPDATE request SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL;"
              " UPDATE job SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL;")
    site.start_daemon()
    peer.wait(number)
    peer.cli.tap.ok(peer.issued(f"{name}@{INSIDE}") == 1, f"{peer.handler}: killed at message {skip + 1}, one certificate",
                    f"{peer.issued(f'{name}@{INSIDE}')} {fake.seen}")


def peers(cli, fakes):
    est, adcs, cmp = fakes
    confirmed = {"before": 0}

    def newly_confirmed(_):
        now = cmp.stats()["confirmed"]
        new, confirmed["before"] = now - confirmed["before"], now
        return new
    return [Peer(cli, "est", est, "POST /.well-known/est/simpleenroll", est.password,
                 {"url": est.url, "ca_bundle": ("file", est.cert), "user": est.user, "anchors": ("file", est.issuer.path("root.pem"))},
                 est.issuer.issued_for),
            Peer(cli, "adcs", adcs, "POST /certsrv/certfnsh.asp", adcs.password,
                 {"url": adcs.url + "/certsrv", "ca_bundle": ("file", adcs.cert), "user": f"{adcs.domain}\\{adcs.user}", "auth": "basic",
                  "template": adcs.template, "anchors": ("file", adcs.issuer.path("root.pem"))}, adcs.issuer.issued_for),
            Peer(cli, "cmp", cmp, "POST /.well-known/cmp", cmp.secret,
                 {"url": cmp.cmp_url, "ca_bundle": ("file", cmp.cert), "ref": cmp.reference, "anchors": ("file", cmp.ca)},
                 newly_confirmed)]


def run(site, tap):
    cli, path = Cli(site, tap), lambda name: os.path.join(site.folder, "fakes", name)
    with Est(path("est")) as est, Certsrv(path("adcs"), auth="basic") as adcs, \
            CmpIssuer(path("cmp"), os.path.join(BUILD, "tests/support/cmp_issuer"), secret="cmp-secret-4711") as cmp:
        # What EST and certsrv issue comes without what issued it.
        site.cli("cert", "import", est.issuer.path("ca.pem"))
        for peer in peers(cli, (est, adcs, cmp)):
            tap.case(f"{peer.handler}: set up and issue", test_issue, peer)
            for skip in (0,) if peer.handler != "cmp" else (0, 1) if FULL else (1,):
                tap.case(f"{peer.handler}: killed {skip}", killed, peer, f"killed{skip}-{peer.handler}", skip)
            tap.ok(peer.fake.complaints == [], f"{peer.handler}: nothing that should not be", str(peer.fake.complaints))
            told = site.daemon.output() + sql(site, "SELECT string_agg(t::text, ' ') FROM handler_setting t") + \
                sql(site, "SELECT string_agg(t::text, ' ') FROM request t") + sql(site, "SELECT string_agg(t::text, ' ') FROM audit_admin t")
            tap.ok(peer.secret not in told, f"{peer.handler}: no secret in log and tables")


def main():
    tap = Tap()
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root for a database of its own")
        return 0
    with Site() as site:
        site.start(postfix=False)
        run(site, tap)
        if tap.failures:
            site.show_logs()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
