"""harness - a scratch site for the end-to-end tests: PostgreSQL, daemon, filter and a real Postfix or Sendmail.

Everything lives in one temporary folder, listens on loopback and unix sockets with ports that
were found free, and is stopped by the process id that was started here; nothing is left behind.
Python's standard library only.

    with Site() as site:
        site.start()
        site.issue("alice@inside.example", "Alice")
        site.send("alice@inside.example", ["bob@partner.example"], message)
        mail = site.wait_mail("bob@partner.example")
"""
import contextlib
import email.policy
import fcntl
import glob
import grp
import json
import os
import pwd
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time

import sendmail
from ports import free_port

SOURCE = os.path.realpath(os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", "..")))
BUILD = os.path.realpath(os.environ.get("top_builddir", SOURCE))
DATA = os.environ.get("PS_DATA", os.path.join(SOURCE, "..", "shared", "data"))
INSIDE = "inside.example"
PARTNER = "partner.example"
MTA = os.environ.get("PS_MTA") or "postfix"  # of the sites that do not say which
AGAIN = os.environ.get("PS_AGAIN") == "yes"  # the same test has run with another MTA: smaller numbers will do
FULL = os.environ.get("PS_FULL") == "yes"
CLUSTER = os.environ.get("PS_CLUSTER")  # where tests/run keeps a fresh database cluster, which the first site makes
OUTSIDER = "203.0.113.7"  # an address of nobody (RFC 5737), told to Postfix by XCLIENT


# A test that is told to stop takes its site down like one that ends.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class Failed(Exception):
    """Something that the scratch site needs did not work."""


PATIENCE_SECONDS = 120.0  # for what comes within a second, unless the machine is busy: only a failure waits that long


def wait_until(what, check, seconds=PATIENCE_SECONDS, step=0.05):
    """Calls check() until it gives something true, which is returned. A shorter time of one's own is a claim."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds:g} s")
        time.sleep(step)


def program(name):
    """The built program; an installed one with PS_INSTALLED=1."""
    if os.environ.get("PS_INSTALLED") == "1":
        return shutil.which(name) or name
    return os.path.join(BUILD, name)


def group_of_postfix():
    """Its smtpd connects to the filter's socket; empty where there is none."""
    try:
        return grp.getgrgid(pwd.getpwnam("postfix").pw_gid).gr_name
    except KeyError:
        return ""


def can_connect(address):
    kind, where = address.split(":", 1)
    try:
        if kind == "unix":
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(where)
        else:
            port, host = where.split("@")
            with socket.create_connection((host, int(port)), 1):
                pass
        return True
    except OSError:
        return False


REPORT = re.compile(r"^.*(?:ERROR: (?:Address|Leak)Sanitizer|WARNING: ThreadSanitizer|: runtime error: ).*$", re.M)
reports = []  # what sanitizers said of programs, which fails a test whatever else it finds


def note_reports(name, text):
    """A built-in checker's report in what a program wrote: its first line and what follows."""
    for found in REPORT.finditer(text):
        reports.append(f"{name}: " + "\n".join(text[found.start():].splitlines()[:25]))


class Process:
    """One long-running child with its output in a file."""

    def __init__(self, name, argv, log, env=None):
        self.name, self.argv, self.log, self.env = name, argv, log, env
        self.child = None

    def start(self):
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          env=self.env, start_new_session=True)
        return self

    def running(self):
        return self.child is not None and self.child.poll() is None

    def stop(self, how=signal.SIGTERM, seconds=PATIENCE_SECONDS):
        if not self.running():
            return
        self.child.send_signal(how)
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        for path in glob.glob(f"/dev/shm/*faketime_*_{self.child.pid}"):
            os.unlink(path)  # libfaketime leaves them behind

    def kill(self):
        self.stop(signal.SIGKILL)

    def output(self):
        with open(self.log, errors="replace") as f:
            return f.read()


class Postfix:
    """A Postfix of its own: configuration, queue and mailboxes in one folder, no system file touched.

    What tests may use of an MTA is what sendmail.Sendmail has, too: its ports, filters_around, listener_behind,
    refuse_mailbox, release, reinject_milters, add_login, connect, submit, queue_list, flush, mailbox_files, logged, start and stop."""

    name = "postfix"

    def __init__(self, folder, milter, hostname="mx.inside.example"):
        self.folder, self.milter, self.hostname = folder, milter, hostname
        self.conf = os.path.join(folder, "conf")
        self.queue = os.path.join(folder, "queue")
        self.mail = os.path.join(folder, "mail")
        self.log = os.path.join(folder, "postfix.log")
        self.mx, self.submission, self.after_filter, self.reinject = (free_port() for _ in range(4))
        self.extra_main, self.extra_master = "", ""
        self.elsewhere = ""  # lines of transport_maps
        self.processes = "-"  # of the listener for strangers and clients
        self.reinject_milters = ""  # filters of the listener for copies

    def write(self, name, text):
        with open(os.path.join(self.conf, name), "w") as f:
            f.write(text)

    def configure(self):
        uid = pwd.getpwnam("postfix")
        for name in ("conf", "queue", "data", "mail", "sasl"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        os.chown(os.path.join(self.folder, "data"), uid.pw_uid, uid.pw_gid)
        os.chown(self.mail, uid.pw_uid, uid.pw_gid)
        mailboxes = "".join(f"@{d} {d}/\n" for d in (INSIDE, PARTNER, "other.example", "strict.example"))
        self.write("mailboxes", mailboxes)
        if self.elsewhere:
            self.write("elsewhere", self.elsewhere)
            self.extra_main = self.extra_main.replace(self._elsewhere(), "") + self._elsewhere()
        self.write("main.cf", MAIN_CF.format(
            f=self.folder, host=self.hostname, uid=uid.pw_uid, gid=uid.pw_gid, milter=self.milter,
            domains=f"{INSIDE} {PARTNER} other.example strict.example") + self.extra_main)
        self.write("master.cf", MASTER_CF.format(
            mx=self.mx, submission=self.submission, after=self.after_filter, reinject=self.reinject,
            processes=self.processes, reinject_milters=self.reinject_milters)
            + self.extra_master)
        # Debian's Postfix looks for it in its configuration folder, whatever cyrus_sasl_config_path says.
        os.makedirs(os.path.join(self.conf, "sasl"), exist_ok=True)
        with open(os.path.join(self.conf, "sasl", "smtpd.conf"), "w") as f:
            f.write("pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n"
                    f"sasldb_path: {self.folder}/sasl/sasldb2\n")

    def add_login(self, login, password="secret"):
        user, realm = login.split("@")
        db = os.path.join(self.folder, "sasl", "sasldb2")
        subprocess.run(["saslpasswd2", "-p", "-c", "-f", db, "-u", realm, user],
                       input=password.encode(), check=True)
        shutil.chown(db, "postfix", "postfix")

    def command(self, *args, check=True):
        done = subprocess.run(["postfix", "-c", self.conf, *args], capture_output=True, text=True)
        if check and done.returncode != 0:
            raise Failed(f"postfix {' '.join(args)}: {done.stderr}{self.logged()[-2000:]}")
        return done

    def start(self):
        self.configure()
        self.command("start")
        wait_until("Postfix greets", lambda: can_connect(f"inet:{self.mx}@127.0.0.1"))

    def stop(self):
        if os.path.exists(os.path.join(self.queue, "pid", "master.pid")):
            self.command("stop", check=False)

    def logged(self):
        with contextlib.suppress(OSError), open(self.log, errors="replace") as f:
            return f.read()
        return ""

    def queue_list(self):
        done = subprocess.run(["postqueue", "-c", self.conf, "-j"], capture_output=True, text=True)
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    def flush(self):
        subprocess.run(["postqueue", "-c", self.conf, "-f"], check=True)

    def _elsewhere(self):
        return f"transport_maps = texthash:{self.conf}/elsewhere\n"

    def filters_around(self, before, behind):
        """Before start(): ports of the filters that see mail before ours, and behind it."""
        chain = ", ".join([f"inet:127.0.0.1:{port}" for port in before] + [f"{{ {self.milter}, default_action=tempfail }}"]
                          + [f"inet:127.0.0.1:{port}" for port in behind])
        self.extra_main += f"smtpd_milters = {chain}\nnon_smtpd_milters = {chain}\n"

    def refuse_mailbox(self, address, port):
        """Mail for it goes to a server of the test's, which refuses it when it is delivered."""
        self.elsewhere += f"{address} smtp:[127.0.0.1]:{port}\n"
        if os.path.exists(os.path.join(self.conf, "main.cf")):
            self.configure()
            self.command("reload")

    def release(self, queue_id):
        """Lets go what was quarantined."""
        subprocess.run(["postsuper", "-c", self.conf, "-H", queue_id], check=True, capture_output=True)
        self.flush()

    def listener_behind(self, filter_port):
        """The port of a new listener with this one filter."""
        port = free_port()
        with open(os.path.join(self.conf, "master.cf"), "a") as f:
            f.write(f"127.0.0.1:{port} inet n - n - - smtpd\n  -o smtpd_milters=inet:127.0.0.1:{filter_port}\n")
        self.command("reload")
        wait_until("the new listener", lambda: can_connect(f"inet:{port}@127.0.0.1"))
        return port

    def connect(self, port, xclient=None, timeout=120):
        """An SMTP session that has said EHLO; xclient: the address that it seems to come from."""
        smtp = smtplib.SMTP("127.0.0.1", port, timeout=timeout)
        smtp.ehlo("client.example")
        if xclient:
            code, text = smtp.docmd(f"XCLIENT NAME=outside.example ADDR={xclient}")
            if code != 220:
                raise Failed(f"XCLIENT: {code} {text}")
            smtp.ehlo("outside.example")
        return smtp

    def submit(self, sender, recipients, message):
        """By the sendmail command."""
        return subprocess.run(["sendmail", "-C", self.conf, "-i", "-f", sender, *recipients], input=message, capture_output=True)

    def mailbox_files(self, domain):
        return sorted(glob.glob(os.path.join(self.mail, domain, "new", "*")), key=os.path.getmtime)


MAIN_CF = """compatibility_level = 3.6
queue_directory = {f}/queue
data_directory = {f}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
sendmail_path = /usr/sbin/sendmail
newaliases_path = /usr/bin/newaliases
mailq_path = /usr/bin/mailq
mail_owner = postfix
setgid_group = postdrop
myhostname = {host}
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtp_host_lookup = native
disable_dns_lookups = yes
maillog_file = {f}/postfix.log
maillog_file_prefixes = /tmp, /dev/shm, /var, {f}
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
default_process_limit = 100
message_size_limit = 102400000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {f}/mail
virtual_mailbox_maps = texthash:{f}/conf/mailboxes
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
minimal_backoff_time = 1s
maximal_backoff_time = 5s
queue_run_delay = 2s
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = inside.example
smtpd_authorized_xclient_hosts = 127.0.0.0/8
receive_override_options = no_address_mappings
milter_default_action = tempfail
milter_protocol = 6
milter_command_timeout = 30s
milter_content_timeout = 300s
smtpd_milters = {{ {milter}, default_action=tempfail }}
non_smtpd_milters = {{ {milter}, default_action=tempfail }}
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
header_size_limit = 1048576
header_address_token_limit = 102400
"""

MASTER_CF = """127.0.0.1:{mx} inet n - n - {processes} smtpd
127.0.0.1:{submission} inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o milter_macro_daemon_name=SUBMISSION
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
127.0.0.1:{after} inet n - n - - smtpd
  -o syslog_name=postfix/after-filter
  -o milter_macro_daemon_name=AFTERFILTER
127.0.0.1:{reinject} inet n - n - 20 smtpd
  -o syslog_name=postfix/reinject
  -o milter_macro_daemon_name=POSTSEAL-REINJECT
  -o smtpd_milters={reinject_milters}
  -o receive_override_options=no_address_mappings,no_unknown_recipient_checks
  -o smtpd_recipient_limit=10000
  -o smtpd_relay_restrictions=permit_mynetworks,reject
  -o mynetworks=127.0.0.0/8
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Site:
    """Database, daemon, filter and MTA of one test. The MTA is Postfix unless the test or the environment (PS_MTA)
    says "sendmail"; its name in a site is postfix all the same."""

    def __init__(self, settings=None, milter_inet=False, mta=None):
        shm = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.folder = tempfile.mkdtemp(prefix="pse2e-", dir=shm)
        os.chmod(self.folder, 0o755)
        self.run = os.path.join(self.folder, "run")
        self.config = os.path.join(self.folder, "postseal.conf")
        self.milter_address = (f"inet:{free_port()}@127.0.0.1" if milter_inet
                               else f"unix:{self.run}/milter.sock")
        postfix_address = self.milter_address
        if milter_inet:
            port = self.milter_address.split(":")[1].split("@")[0]
            postfix_address = f"inet:127.0.0.1:{port}"
        self.settings = {
            "database": "embedded",
            "state_dir": os.path.join(self.folder, "state"),
            "run_dir": self.run,
            "database_user": "postgres",
            "daemon_user": "root",
            "milter_user": "root",
            "database_fsync": "off",
            "key_pool": "",
            "master_key_file": os.path.join(self.folder, "etc", "master.key"),
            "milter_master_key_file": os.path.join(self.folder, "etc", "milter-master.key"),
            "milter_socket": self.milter_address,
            "milter_socket_group": "" if milter_inet else group_of_postfix(),
            "api_socket": os.path.join(self.run, "api.sock"),
            "log_target": "stderr",
            "relay_daemons": "AFTERFILTER",
            "authserv_id": "mx.inside.example",
        }
        self.mta, self.defaults = mta or MTA, {}
        if self.mta == "sendmail":
            self.defaults = dict(sendmail.NETWORKS)  # and there is no group of an MTA's own
            self.settings["milter_socket_group"] = ""
        self.settings.update(settings or {})
        log = lambda name: os.path.join(self.folder, name + ".log")
        self.database = Process("database", [program("postseald"), "-c", self.config, "--database"], log("database"))
        self.daemon = Process("daemon", [program("postseald"), "-c", self.config], log("daemon"))
        self.filter = Process("filter", [program("postseal-milter"), "-c", self.config], log("filter"))
        if self.mta == "sendmail":
            self.postfix = self._sendmail()
        else:
            self.postfix = Postfix(os.path.join(self.folder, "postfix"), postfix_address)
        self.settings.setdefault("reinject_address", f"127.0.0.1:{self.postfix.reinject}")
        self.keep = os.environ.get("PS_KEEP") == "1"
        self.unheard = False  # by the filter, of what commands have changed

    def _sendmail(self):
        try:
            return sendmail.Sendmail(os.path.join(self.folder, "sendmail"), self.milter_address,
                                     [free_port() for _ in range(4)], BUILD)
        except sendmail.Unavailable as why:
            shutil.rmtree(self.folder, ignore_errors=True)
            print(f"ok 1 - everything with Sendmail # SKIP {why}\n1..1", flush=True)
            sys.exit(0)

    # -- start and stop ---------------------------------------------------------------------

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.show_logs()
        self.stop()
        return False

    def write_config(self):
        settings = {**self.defaults, **self.settings}
        for name in self.defaults:
            settings[name] = sendmail.loopback_networks(settings[name])
        with open(self.config, "w") as f:
            f.writelines(f"{k} = {v}\n" for k, v in settings.items())

    def start(self, postfix=True):
        for name in ("etc", "run", "state", self.mta):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        self.write_config()
        self._setup()
        self.start_database()
        self.start_daemon()
        self.start_filter()
        self.cli("domain", "set", INSIDE, "locality", "internal")
        if postfix:
            self.postfix.start()

    def _setup(self):
        mine = os.path.join(self.folder, "state", "database")
        if CLUSTER and self.settings["database"] == "embedded" and not os.path.exists(mine):
            with open(CLUSTER + ".lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not os.path.exists(CLUSTER):
                    self.cli("setup", "--yes")
                    subprocess.run(["cp", "-a", mine, CLUSTER + ".new"], check=True)
                    os.rename(CLUSTER + ".new", CLUSTER)
                    return
            subprocess.run(["cp", "-a", CLUSTER, mine], check=True)
        self.cli("setup", "--yes")

    def start_database(self):
        self.database.start()
        wait_until("the database answers", lambda: self._alive(self.database) and
                   (path := self.database_socket()) and can_connect("unix:" + path))

    def database_socket(self):
        """The path of the embedded database's socket, None before it is there. (Its lock has a name like it.)"""
        found = glob.glob(f"{self.run}/**/.s.PGSQL.*[0-9]", recursive=True)
        return found[0] if found else None

    def start_daemon(self):
        self.daemon.start()
        wait_until("the daemon answers", lambda: self._alive(self.daemon) and
                   can_connect("unix:" + self.settings["api_socket"]))

    def start_filter(self):
        self.filter.start()
        wait_until("the filter answers", lambda: self._alive(self.filter) and can_connect(self.milter_address))

    def _dead(self, process):
        raise Failed(f"{process.name} ended: {process.output()[-2000:]}")

    def _alive(self, process):
        return process.running() or self._dead(process)

    def stop(self):
        self.postfix.stop()
        self.filter.stop()
        self.daemon.stop()
        self.database.stop(signal.SIGINT)
        for path in glob.glob(f"{self.folder}/*.log") + glob.glob(f"{self.folder}/*/postseal*.log"):
            with open(path, errors="replace") as f:
                note_reports(os.path.relpath(path, self.folder), f.read())
        if self.keep:
            print(f"# kept: {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def show_logs(self):
        for process in (self.database, self.daemon, self.filter):
            with contextlib.suppress(OSError):
                for line in process.output().splitlines()[-30:]:
                    print(f"# {process.name}: {line}")
        for line in self.postfix.logged().splitlines()[-30:]:
            print(f"# {self.mta}: {line}")

    # -- administration ---------------------------------------------------------------------

    def cli(self, *args, check=True, stdin=None):
        done = subprocess.run([program("postseal"), "-c", self.config, *args], capture_output=True,
                              text=True, input=stdin, timeout=600)
        self.unheard = True
        if check and done.returncode != 0:
            raise Failed(f"postseal {' '.join(args)}: exit {done.returncode}: {done.stderr}{done.stdout[-500:]}")
        return done

    def json(self, *args):
        return json.loads(self.cli(*args, "--json").stdout)

    def settle(self):
        """Until the filter knows all that the database has by now. Who sends by way of the site need not say it.
        Where daemon, filter or database are away there is nothing to wait for: then a test is about just that."""
        def status():
            done = self.cli("status", "--json", check=False)
            found = json.loads(done.stdout) if done.returncode == 0 else None
            return found if found and found["database"]["up"] and found["milter"]["up"] else None
        first = status()
        newest = first["database"]["change_number"] if first else 0
        wait_until("the filter knows of all changes",
                   lambda: (now := status()) is None or now["milter"]["change_number"] >= newest)
        self.unheard = False

    def settle_if_unheard(self):
        """Before mail."""
        if self.unheard:
            self.settle()

    def sql(self, text):
        """As the superuser of the embedded database, who may what no command does. Rows of columns with tabs between."""
        path = self.database_socket()
        postgres = pwd.getpwnam("postgres")
        done = subprocess.run(["psql", "-X", "-qAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", os.path.dirname(path), "-p",
                               path.rsplit(".", 1)[1], "-U", "postgres", "-d", "postseal", "-c", text], capture_output=True, text=True,
                              user=postgres.pw_uid, group=postgres.pw_gid, extra_groups=[], cwd="/")
        if done.returncode != 0:
            raise Failed(f"{text}: {done.stderr}")
        return done.stdout.strip()

    def reload(self, *processes, **settings):
        """New settings for running programs, by SIGHUP; all of the site's when none is named."""
        self.settings.update(settings)
        self.write_config()
        for process in processes or (self.daemon, self.filter):
            count = process.output().count("settings read again")
            process.child.send_signal(signal.SIGHUP)
            wait_until(f"the {process.name} reloads", lambda: process.output().count("settings read again") > count)

    def prefer(self, who, **preferences):
        """Sets preferences of a user, a domain or (who = None) globally."""
        noun = ["global"] if who is None else ["user" if "@" in who else "domain"]
        for name, value in preferences.items():
            target = [] if who is None else [who]
            self.cli(noun[0], "set", *target, name, value)

    # Keys of 2048 bits: five of these are made in the time of one that has 3072.
    def make_ca(self, *args):
        for option in ("--key", "--intermediate-key"):
            args += () if option in args else (option, "rsa:2048")
        self.cli("ca", "create", "--common-name", "Test Root", "--intermediate-common-name",
                 "Test Issuing CA", "--make-default", "--yes", *args)

    def issue(self, address, name=None, *args):
        args += () if "--key" in args else ("--key", "rsa:2048")
        self.cli("request", "create", "--email", address, "--common-name", name or address, *args)

    def export_p12(self, address, path, password="secret", *args):
        secret = os.path.join(self.folder, "etc", "p12.password")
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(password + "\n")
        self.cli("cert", "export", "--email", address, "--format", "pkcs12", "--password-file", secret,
                 "--output", path, *args)

    # -- mail -------------------------------------------------------------------------------

    def send(self, sender, recipients, message, login=None, port=None, xclient=None, header_from=None):
        """One message by SMTP; gives (code, text) of the answer to the data, or raises smtplib's errors."""
        if isinstance(message, str):
            message = message.encode()
        message = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        port = port or (self.postfix.submission if login else self.postfix.mx)
        self.settle_if_unheard()
        with self.postfix.connect(port, xclient) as smtp:
            if login:
                smtp.login(login, "secret")
            code, text = smtp.mail(sender, ["BODY=8BITMIME"])
            if code >= 400:
                return code, text.decode(errors="replace")
            for recipient in recipients:
                code, text = smtp.rcpt(recipient)
                if code >= 400:
                    return code, text.decode(errors="replace")
            code, text = smtp.docmd("DATA")
            if code != 354:
                return code, text.decode(errors="replace")
            smtp.send(_dot_stuffed(message))
            code, text = smtp.getreply()
            return code, text.decode(errors="replace")

    def sendmail(self, sender, recipients, message):
        self.settle_if_unheard()
        return self.postfix.submit(sender, recipients, message.encode() if isinstance(message, str) else message)

    def mails(self, address):
        """(path, bytes) of what lies in the mailbox of the address's domain for this recipient, oldest first."""
        for path in self.postfix.mailbox_files(address.split("@")[1]):
            with open(path, "rb") as f:
                data = f.read()
            if f"Delivered-To: {address}".encode() in data.split(b"\n\n", 1)[0]:
                yield path, data

    def wait_mail(self, address, seconds=PATIENCE_SECONDS):
        """The oldest message for the address, taken out of its mailbox."""
        path, data = wait_until(f"mail for {address}", lambda: next(self.mails(address), None), seconds)
        os.unlink(path)
        return data

    def exchange(self, sender, recipient, message, **how):
        code, text = self.send(sender, [recipient], message, **how)
        if code != 250:
            raise Failed(f"{sender} -> {recipient}: {code} {text}")
        return self.wait_mail(recipient)


def _dot_stuffed(message):
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    if message.startswith(b"."):
        message = b"." + message
    return message.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def parse(message):
    return email.message_from_bytes(message, policy=email.policy.default)


# -- TAP ------------------------------------------------------------------------------------


class Tap:
    """Test results in the form that the runner counts."""

    def __init__(self):
        self.count = self.failures = 0
        self.lock = threading.Lock()

    def ok(self, good, name, detail=""):
        with self.lock:
            self.count += 1
            if not good:
                self.failures += 1
                for line in str(detail).splitlines()[:40]:
                    print("#   " + line)
            print(f"{'ok' if good else 'not ok'} {self.count} - {name}", flush=True)
        return good

    def skip(self, name, why):
        with self.lock:
            self.count += 1
            print(f"ok {self.count} - {name} # SKIP {why}", flush=True)

    def case(self, name, function, *args):
        """Runs function; it passes unless it raises."""
        try:
            function(*args)
        except Exception as error:  # noqa: BLE001 - a test must not end the others
            return self.ok(False, name, f"{type(error).__name__}: {error}")
        return self.ok(True, name)

    def done(self):
        if reports:
            self.ok(False, "no report of a sanitizer", "\n".join(reports))
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failures else 0)


def require(condition, text):
    if not condition:
        raise Failed(text)


def in_time(seconds, limit, what):
    """A duration is a claim about a machine that does nothing else: the short form, which shares its own, allows more."""
    require(seconds <= (limit if FULL else 30 * limit), f"{what} took {seconds:.2f} s, not {limit:g}")
    if seconds > limit:
        print(f"# {what} took {seconds:.2f} s, not {limit:g}", flush=True)
