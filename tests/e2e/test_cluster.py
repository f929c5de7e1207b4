#!/usr/bin/env python3
"""Several daemons and filters on one PostgreSQL with a streaming standby.

Each change, made through either daemon, is seen by every filter within a second (on the standby: plus
its lag); nothing that happens to listeners, servers or roles makes a filter believe what is no longer so.
"""
import contextlib
import glob
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import INSIDE, PARTNER, PATIENCE_SECONDS, Process, Site, Tap, can_connect, in_time, program, require, wait_until  # noqa: E402

SENDER = f"alice@{INSIDE}"
BOB, CAROL, DAVE = f"bob@{PARTNER}", f"carol@{PARTNER}", f"dave@{PARTNER}"
SEEN_SECONDS = 1.0
TEXT = f"From: {SENDER}\r\nTo: %s\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nsecret\r\n"


class Server:
    """One PostgreSQL on a unix socket; role postseal_daemon owns the database."""

    def __init__(self, folder, name):
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder)
        shutil.chown(self.folder, "postgres")
        self.data = os.path.join(self.folder, "data")

    def run(self, name, *args):
        done = subprocess.run(["runuser", "-u", "postgres", "--", os.path.join(self.bin, name), *args],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", text=True, check=False)
        require(done.returncode == 0, f"{name}: {done.stderr}")
        return done.stdout

    def create(self):
        self.run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--locale=C.UTF-8")
        self.start()
        self.sql("CREATE ROLE postseal_daemon LOGIN CREATEROLE", "postgres")
        self.sql("CREATE DATABASE postseal OWNER postseal_daemon", "postgres")
        self.sql("ALTER SCHEMA public OWNER TO postseal_daemon")

    def copy_of(self, primary):
        self.run("pg_basebackup", "-h", primary.folder, "-U", "postgres", "-D", self.data, "-R", "-X", "stream",
                 "-c", "fast")
        self.start()

    def start(self):
        # pg_ctl gives the server its own standard output: never a pipe that somebody waits for.
        with open(os.devnull, "wb") as nothing:
            subprocess.run(["runuser", "-u", "postgres", "--", os.path.join(self.bin, "pg_ctl"), "-D", self.data,
                            "-w", "-l", os.path.join(self.folder, "log"), "-o",
                            f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off "
                            "-c wal_level=replica -c max_connections=200", "start"],
                           check=True, stdout=nothing, stderr=nothing, cwd="/")

    def stop(self, how="immediate"):
        with contextlib.suppress(Exception):
            self.run("pg_ctl", "-D", self.data, "-m", how, "-w", "stop")

    def sql(self, text, database="postseal"):
        return self.run("psql", "-h", self.folder, "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-qAtc", text,
                        database).strip()

    @property
    def conninfo(self):
        return f"host={self.folder} dbname=postseal"


class Cluster(Site):
    """The first daemon and filter, on a server that is there already."""

    def __init__(self, primary):
        super().__init__({"database": primary.conninfo, "log_level": "info"})

    def start_database(self):
        pass


class Node:
    """A further daemon or filter of the same site, with its own configuration."""

    def __init__(self, site, name, **settings):
        self.site, self.name = site, name
        folder = os.path.join(site.folder, name)
        os.makedirs(os.path.join(folder, "state"))
        os.makedirs(os.path.join(folder, "run"))
        self.settings = dict(site.settings, state_dir=os.path.join(folder, "state"),
                             run_dir=os.path.join(folder, "run"),
                             milter_socket=f"unix:{folder}/run/milter.sock",
                             api_socket=os.path.join(folder, "run", "api.sock"))
        self.settings.update(settings)
        self.config = os.path.join(folder, "postseal.conf")
        with open(self.config, "w", encoding="ascii") as f:
            f.writelines(f"{k} = {v}\n" for k, v in self.settings.items())
        self.socket = self.settings["milter_socket"]
        self.processes = []

    def start(self, what):
        process = Process(f"{self.name} {what}", [program(what), "-c", self.config],
                          os.path.join(self.site.folder, self.name, what + ".log")).start()
        self.processes.append(process)
        where = self.socket if what == "postseal-milter" else "unix:" + self.settings["api_socket"]
        wait_until(f"{process.name} answers", lambda: can_connect(where) or not process.running())
        require(process.running(), f"{process.name}: {process.output()[-1000:]}")
        return self

    def stop(self):
        for process in self.processes:
            process.stop()

    def cli(self, *args):
        done = subprocess.run([program("postseal"), "-c", self.config, *args], capture_output=True, text=True,
                              timeout=600, check=False)
        require(done.returncode == 0, f"postseal {' '.join(args)}: exit {done.returncode}: {done.stderr}")
        return done.stdout


def outcome(socket, recipient):
    """What a filter does with a letter: encrypted, plain, refused, deferred."""
    done = subprocess.run([os.path.join(os.environ.get("top_builddir", "."), "tests/support/milter_send"), "-s", socket,
                           "-f", SENDER, "-r", recipient, "-c", "127.0.0.1"], input=(TEXT % recipient).encode(),
                          capture_output=True, timeout=600, check=False)
    if done.returncode == 0:
        return "encrypted" if b"enveloped-data" in done.stdout else "plain"
    return {1: "refused", 75: "deferred"}.get(done.returncode, f"exit {done.returncode}: {done.stderr!r}")


def await_outcome(sockets, recipient, wanted, seconds=PATIENCE_SECONDS):
    """Seconds until all of these filters do what is wanted."""
    began = time.monotonic()
    for socket in sockets:
        last = None
        while (last := outcome(socket, recipient)) != wanted:
            require(time.monotonic() - began < seconds, f"{socket}: {recipient} is {last}, not {wanted}")
            time.sleep(0.02)
    return time.monotonic() - began


class Measured:
    """The worst time to effect, over all changes."""

    def __init__(self):
        self.times = []

    def await_all(self, sockets, recipient, wanted):
        took = await_outcome(sockets, recipient, wanted)
        self.times.append(took)
        in_time(took, SEEN_SECONDS, f"{recipient} {wanted}")


def own_certificate(folder, address):
    """A stranger's self-signed certificate; its path and thumbprint."""
    path = os.path.join(folder, address + ".pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", os.devnull, "-out", path,
                    "-subj", f"/CN={address}", "-addext", f"subjectAltName=email:{address}", "-addext",
                    "keyUsage=digitalSignature,keyEncipherment", "-addext", "basicConstraints=critical,CA:false",
                    "-addext", "extendedKeyUsage=emailProtection", "-days", "30"], check=True, capture_output=True)
    der = subprocess.run(["openssl", "x509", "-in", path, "-outform", "der"], check=True, capture_output=True).stdout
    return path, subprocess.run(["sha512sum"], input=der, capture_output=True, check=True).stdout.decode().split()[0]


def changes(site, second, sockets, measured):
    """One of each kind, through the one daemon or the other."""
    thumbprint = thumbprint_of(site, BOB)
    measured.await_all(sockets, BOB, "encrypted")
    second.cli("ctl", "add", thumbprint, "deny")
    measured.await_all(sockets, BOB, "refused")
    site.cli("ctl", "remove", thumbprint)
    measured.await_all(sockets, BOB, "encrypted")
    path, stranger = own_certificate(site.folder, CAROL)
    measured.await_all(sockets, CAROL, "refused")
    second.cli("cert", "import", path)
    site.cli("ctl", "add", stranger, "allow")
    measured.await_all(sockets, CAROL, "encrypted")
    second.cli("user", "set", CAROL, "encrypt_mode", "none")
    measured.await_all(sockets, CAROL, "plain")
    site.cli("user", "unset", CAROL, "encrypt_mode")
    measured.await_all(sockets, CAROL, "encrypted")
    measured.await_all(sockets, DAVE, "refused")
    second.cli("select", "encrypt", DAVE, stranger)
    measured.await_all(sockets, DAVE, "encrypted")
    site.cli("cert", "delete", stranger, "--yes")
    measured.await_all(sockets, DAVE, "refused")
    measured.await_all(sockets, CAROL, "refused")


def thumbprint_of(site, address):
    return site.json("cert", "list", address)["items"][0]["thumbprint"]


def deny(site, sockets, wanted="refused"):
    """A change and its opposite, each seen by all."""
    thumbprint = thumbprint_of(site, BOB)
    site.cli("ctl", "add", thumbprint, "deny")
    first = await_outcome(sockets, BOB, wanted)
    site.cli("ctl", "remove", thumbprint)
    return max(first, await_outcome(sockets, BOB, "encrypted"))


def cut_listeners(site, primary, sockets):
    """The listening connections are ended again and again; then all connections at once."""
    for _ in range(3):
        primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        took = deny(site, sockets)
        in_time(took, SEEN_SECONDS + 0.5, "a change")
    primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'postseal%'")
    deny(site, sockets)


def forged(site, primary, sockets):
    """Any login may notify, with whatever text: nothing but a look comes of it."""
    primary.sql("DO $$ BEGIN FOR i IN 1..20000 LOOP PERFORM pg_notify('postseal_change', 'drop ' || i);"
                " END LOOP; END $$")
    took = deny(site, sockets)
    in_time(took, SEEN_SECONDS, "a change")


def restart(site, primary, sockets):
    """Known recipients are served from the caches meanwhile; afterwards changes are seen again."""
    await_outcome(sockets, BOB, "encrypted")
    primary.stop()
    try:
        for socket in sockets:
            found = outcome(socket, BOB)
            require(found in ("encrypted", "deferred"), f"without the database: {found}")
            require(outcome(socket, f"unknown@{PARTNER}") == "deferred", "an unknown recipient was decided on")
    finally:
        primary.start()
    await_outcome(sockets, BOB, "encrypted")
    wait_until("the daemon is back", lambda: site.cli("ctl", "list", check=False).returncode == 0)
    took = deny(site, sockets)
    in_time(took, SEEN_SECONDS + 0.5, "a change")


def on_standby(site, standby, reader):
    """It sees what the standby has: at once when that does, and not before."""
    require(standby.sql("SELECT pg_is_in_recovery()") == "t", "the standby is none")
    took = deny(site, [reader.socket])
    in_time(took, 2 * SEEN_SECONDS, "a change")
    thumbprint = thumbprint_of(site, BOB)
    standby.sql("SELECT pg_wal_replay_pause()")
    wait_until("replay pauses", lambda: standby.sql("SELECT pg_get_wal_replay_pause_state()") == "paused")
    site.cli("ctl", "add", thumbprint, "deny")
    await_outcome([site.milter_address], BOB, "refused")
    time.sleep(1.5)
    lagging = outcome(reader.socket, BOB)
    standby.sql("SELECT pg_wal_replay_resume()")
    took = await_outcome([reader.socket], BOB, "refused")
    site.cli("ctl", "remove", thumbprint)
    await_outcome([reader.socket], BOB, "encrypted")
    require(lagging == "encrypted", f"while the standby lagged: {lagging}")
    in_time(took, 2 * SEEN_SECONDS, "after the lag")


def promotion(site, primary, standby, follower):
    """The standby that takes over lacks the last change: what it says is the truth from then on."""
    thumbprint = thumbprint_of(site, BOB)
    await_outcome([follower.socket], BOB, "encrypted")
    standby.sql("ALTER SYSTEM SET primary_conninfo = ''")
    standby.sql("SELECT pg_reload_conf()")
    wait_until("replication stops", lambda: primary.sql("SELECT count(*) FROM pg_stat_replication") == "0")
    site.cli("ctl", "add", thumbprint, "deny")
    await_outcome([follower.socket], BOB, "refused")
    primary.stop()
    standby.sql("SELECT pg_promote()")
    took = await_outcome([follower.socket], BOB, "encrypted")
    print(f"# a filter follows a promoted standby after {took:.1f} s")
    log = follower.processes[0].output()
    require(not re.search(r"(?i)assert|segv|abort", log), log[-500:])


def run(tap, site, primary, standby, nodes):
    second = Node(site, "second")
    nodes.append(second)
    second.start("postseald").start("postseal-milter")
    sockets = [site.milter_address, second.socket]
    measured = Measured()
    site.make_ca()
    site.issue(BOB, "Bob", "--key", "ec:P-256")
    site.prefer(PARTNER, encrypt_mode="force")
    await_outcome(sockets, BOB, "encrypted")
    tap.case("each kind of change is seen by both filters within a second", changes, site, second, sockets, measured)
    if measured.times:
        print(f"# to effect on both filters: at the most {max(measured.times) * 1000:.0f} ms,"
              f" median {sorted(measured.times)[len(measured.times) // 2] * 1000:.0f} ms")
    tap.case("listening connections are cut", cut_listeners, site, primary, sockets)
    tap.case("a flood of forged notifications", forged, site, primary, sockets)
    tap.case("the database is restarted", restart, site, primary, sockets)
    readonly = Node(site, "readonly", database=primary.conninfo + " user=postseal_readonly")
    nodes.append(readonly)
    readonly.start("postseal-milter")
    tap.case("a filter whose login may only read", deny, site, [readonly.socket])
    standby.copy_of(primary)
    reader = Node(site, "reader", database_read=standby.conninfo)
    nodes.append(reader)
    reader.start("postseal-milter")
    tap.case("a standby that lags", on_standby, site, standby, reader)
    both = f"host={primary.folder},{standby.folder} dbname=postseal target_session_attrs=read-write"
    follower = Node(site, "follower", database=both)
    nodes.append(follower)
    follower.start("postseal-milter")
    tap.case("a standby that was behind is promoted", promotion, site, primary, standby, follower)


def main():
    tap, nodes = Tap(), []
    if not glob.glob("/usr/lib/postgresql/*/bin/pg_basebackup") or os.geteuid() != 0:
        tap.skip("cluster", "needs root and PostgreSQL's programs")
        tap.done()
    base = Site()
    primary, standby = Server(base.folder, "primary"), Server(base.folder, "standby")
    try:
        primary.create()
        with Cluster(primary) as site:
            try:
                site.start(postfix=False)
                run(tap, site, primary, standby, nodes)
            finally:
                for node in nodes:
                    node.stop()
    finally:
        standby.stop()
        primary.stop()
        shutil.rmtree(base.folder, ignore_errors=True)
    tap.done()


main()
