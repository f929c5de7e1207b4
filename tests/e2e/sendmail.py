"""sendmail - a Sendmail of a test's own, with what harness.Postfix offers.

Debian's Sendmail conflicts with Debian's Postfix, so its packages are fetched and unpacked below the build
folder and never installed. Mail ends in Maildirs as Postfix's does: one small LMTP server in this process
takes what Sendmail delivers, for every domain.

Sendmail knows no XCLIENT: who plays a.b.c.d comes from 127.a.c.d, and networks in the site's settings are
written likewise, so that this host is 127.0.0.0/16 and nothing else.
"""
import contextlib
import fcntl
import glob
import os
import re
import shutil
import signal
import smtplib
import socket
import socketserver
import subprocess
import threading
import time

from ports import free_port

PACKAGES = ("sendmail-bin", "sendmail-base", "sendmail-cf", "sensible-mda")
NETWORKS = {"trusted_networks": "127.0.0.0/8", "reinject_networks": "127.0.0.0/8"}  # settings that are translated


class Unavailable(Exception):
    """There is no Sendmail here; says why."""


def loopback(address):
    """The address on this host that plays another one."""
    a, _, c, d = address.split(".")
    return address if a == "127" else f"127.{a}.{c}.{d}"


def loopback_networks(text):
    """A list of networks of 8 or 24 bits as they are played on this host."""
    found = []
    for network in text.replace(",", " ").split():
        address, _, bits = network.partition("/")
        a, _, c, d = address.split(".")
        found.append(f"127.{a if a != '127' else 0}.{c}.{d}/{ {'8': 16}.get(bits, bits or 32) }")
    return " ".join(found)


def unpacked(build):
    """The folder with Debian's files, fetched once for a build folder."""
    root = os.path.join(build, "debian-sendmail")
    for name in ("m4", "dpkg", "unshare"):
        if shutil.which(name) is None:
            raise Unavailable(f"there is no {name}")
    os.makedirs(build, exist_ok=True)
    with open(root + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(root, "complete")):
            shutil.rmtree(root, ignore_errors=True)
            os.makedirs(root)
            try:
                _fetch(root)
            except (OSError, subprocess.SubprocessError) as error:
                shutil.rmtree(root, ignore_errors=True)
                text = getattr(error, "stderr", None) or str(error)
                raise Unavailable("Debian's Sendmail cannot be fetched: " + " ".join(text.split())[-200:]) from error
    program = os.path.join(root, "usr/libexec/sendmail/sendmail")
    linked = subprocess.run(["ldd", program], capture_output=True, text=True)
    missing = re.findall(r"(\S+) => not found", linked.stdout)
    if linked.returncode != 0 or missing:
        raise Unavailable("Sendmail lacks " + (", ".join(missing) or linked.stderr.strip()))
    return root


def _fetch(root):
    subprocess.run(["apt-get", "download", "-q", *PACKAGES], cwd=root, check=True, capture_output=True, text=True, timeout=120)
    for package in glob.glob(os.path.join(root, "*.deb")):
        subprocess.run(["dpkg", "-x", package, root], check=True, capture_output=True, text=True, timeout=60)
        os.unlink(package)
    # With its setgid bit the environment would not count (SASL_CONF_PATH), and Sendmail would write as the group mail.
    os.chmod(os.path.join(root, "usr/libexec/sendmail/sendmail"), 0o755)
    with open(os.path.join(root, "complete"), "w"):
        pass


class _Lmtp(socketserver.StreamRequestHandler):
    """RFC 2033 as far as Sendmail speaks it; each recipient's copy becomes a file of his domain's Maildir."""

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.say("220 sink.example LMTP")
        self.reset()
        while line := self.rfile.readline():
            word = line.split(b":")[0].split()[:1]
            word = word[0].upper() if word else b""
            if word == b"LHLO":
                self.say("250-sink.example")
                self.say("250-8BITMIME")
                self.say("250-PIPELINING")
                self.say("250 SIZE")
            elif word == b"MAIL":
                self.reset()
                self.sender = _address(line)
                self.say("250 2.1.0 ok")
            elif word == b"RCPT":
                self.rcpt(_address(line))
            elif word == b"DATA":
                self.data()
            elif word == b"QUIT":
                self.say("221 2.0.0 bye")
                return
            else:
                self.reset()
                self.say("250 2.0.0 ok")

    def reset(self):
        self.sender, self.recipients = "", []

    def rcpt(self, address):
        refusal = self.server.mailboxes.refusals.get(address)
        if refusal:
            self.say(refusal)
            return
        self.recipients.append(address)
        self.say("250 2.1.5 ok")

    def data(self):
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return
            line = line[1:] if line.startswith(b".") else line
            lines.append(line[:-2] + b"\n" if line.endswith(b"\r\n") else line)
        message = b"".join(lines)
        for recipient in self.recipients:
            self.server.mailboxes.keep(self.sender, recipient, message)
            self.say("250 2.0.0 kept")
        self.reset()


def _address(line):
    found = re.search(rb"<([^>]*)>", line)
    return found.group(1).decode("utf-8", "replace") if found else ""


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


class Mailboxes:
    """Maildirs below a folder, one for each domain, as Postfix's virtual(8) makes them here."""

    def __init__(self, folder, path):
        self.folder, self.path = folder, path
        self.refusals = {}  # address -> what RCPT is answered
        self.lock, self.count = threading.Lock(), 0
        self.server = None

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.server = _Server(self.path, _Lmtp)
        self.server.mailboxes = self
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def keep(self, sender, recipient, message):
        folder = os.path.join(self.folder, recipient.rpartition("@")[2].lower() or "nowhere")
        with self.lock:
            self.count += 1
            name = f"{time.time():.6f}.{self.count}"
            for part in ("tmp", "new"):
                os.makedirs(os.path.join(folder, part), exist_ok=True)
        path = os.path.join(folder, "tmp", name)
        with open(path, "wb") as f:
            f.write(f"Return-Path: <{sender}>\nDelivered-To: {recipient}\n".encode() + message)
        os.rename(path, os.path.join(folder, "new", name))


class Sendmail:
    """Configuration, queue and mailboxes in one folder, no system file touched."""

    name = "sendmail"

    def __init__(self, folder, milter, ports, build, hostname="mx.inside.example"):
        self.folder, self.milter, self.hostname = folder, milter, hostname
        self.root = unpacked(build)
        self.conf = os.path.join(folder, "conf")
        self.queue = os.path.join(folder, "queue")
        self.mail = os.path.join(folder, "mail")
        self.log = os.path.join(folder, "traffic.log")
        self.output = os.path.join(folder, "sendmail.log")
        self.mx, self.submission, self.after_filter, self.reinject = ports
        self.before, self.behind, self.listeners = [], [], []  # ports of other filters
        self.reinject_milters = ""  # any text: our filter is on the listener for copies, too
        self.child = None
        self.mailboxes = Mailboxes(self.mail, os.path.join(folder, "lmtp"))

    @property
    def program(self):
        return os.path.join(self.root, "usr/libexec/sendmail/sendmail")

    # -- configuration ----------------------------------------------------------------------

    def compile(self, name, text):
        """A configuration out of Sendmail's m4 macros."""
        cf = os.path.join(self.root, "usr/share/sendmail/cf/")
        source, target = (os.path.join(self.conf, name + end) for end in (".mc", ".cf"))
        with open(source, "w") as f:
            f.write(text)
        done = subprocess.run(["m4", f"-D_CF_DIR_={cf}", os.path.join(cf, "m4/cf.m4"), source], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"m4: {done.stderr}")
        with open(target, "w") as f:
            f.write(done.stdout)
        return target

    def configure(self):
        for name in ("conf", "queue", "msp", "mail", "sasl"):
            os.makedirs(os.path.join(self.folder, name), mode=0o755, exist_ok=True)
        for name in ("queue", "msp"):
            os.chmod(os.path.join(self.folder, name), 0o700)
        shutil.chown(os.path.join(self.folder, "msp"), "nobody", "nogroup")
        self.write("service.switch", "hosts files\naliases files\n")
        self.write("helpfile", "")
        self.compile("sendmail", SENDMAIL_MC.format(
            f=self.folder, host=self.hostname, mx=self.mx, submission=self.submission, after=self.after_filter,
            reinject=self.reinject, filters=self.filter_lines(), on_copies=self.filters_of_copies()))
        self.compile("submit", SUBMIT_MC.format(f=self.folder, host=self.hostname, mx=self.mx))
        with open(os.path.join(self.folder, "sasl", "Sendmail.conf"), "w") as f:
            f.write("pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n"
                    f"sasldb_path: {self.folder}/sasl/sasldb2\n")

    def filter_lines(self):
        lines, chain = "", [(f"before{port}", f"inet:{port}@127.0.0.1") for port in self.before]
        chain.append(("postseal", self.milter))
        chain += [(f"behind{port}", f"inet:{port}@127.0.0.1") for port in self.behind]
        for name, where in chain:
            lines += f"INPUT_MAIL_FILTER(`{name}', `S={where}, F=T, T=C:30s;S:30s;R:30s;E:5m')dnl\n"
        for port, filter_port in self.listeners:
            lines += (f"MAIL_FILTER(`only{port}', `S=inet:{filter_port}@127.0.0.1, F=T')dnl\n"
                      f"DAEMON_OPTIONS(`Port={port}, Addr=127.0.0.1, Listen=100, Name=ONLY{port}, InputMailFilters=only{port}')dnl\n")
        return lines

    def filters_of_copies(self):
        """On the listener for copies: whoever signs behind us, and with a marker we, too."""
        return ";".join((["postseal"] if self.reinject_milters else []) + [f"behind{port}" for port in self.behind])

    def filters_around(self, before, behind):
        """Before start(): ports of the filters that see mail before ours, and behind it."""
        self.before, self.behind = before, behind

    def listener_behind(self, filter_port):
        """The port of a new listener with this one filter."""
        port = free_port()
        self.listeners.append((port, filter_port))
        self.reload()
        return port

    def refuse_mailbox(self, address, _port):
        """Mail for it is refused when it is delivered; no server of the test's is needed for that."""
        self.mailboxes.refusals[address] = "552 5.2.2 the mailbox is full"

    def write(self, name, text):
        with open(os.path.join(self.conf, name), "w") as f:
            f.write(text)

    def add_login(self, login, password="secret"):
        user, realm = login.split("@")
        db = os.path.join(self.folder, "sasl", "sasldb2")
        subprocess.run(["saslpasswd2", "-p", "-c", "-f", db, "-u", realm, user], input=password.encode(), check=True)
        os.chmod(db, 0o600)

    # -- start and stop ---------------------------------------------------------------------

    def run(self, *args, **how):
        """The program under the host name of this site: without a dot in it Sendmail sleeps a minute."""
        return ["unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', self.hostname, self.program, *args]

    def start(self):
        self.configure()
        self.mailboxes.start()
        self._start_daemon()

    def _start_daemon(self):
        with open(self.output, "ab") as out:
            self.child = subprocess.Popen(self.run("-bD", "-q1s", "-C", os.path.join(self.conf, "sendmail.cf"), "-X", self.log),
                                          stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        end = time.monotonic() + 120
        ports = [self.mx, self.submission, self.after_filter, self.reinject, *(port for port, _ in self.listeners)]
        while not all(_listens(port) for port in ports):
            if self.child.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"Sendmail did not start: {self.logged()[-2000:]}")
            time.sleep(0.05)

    def reload(self):
        """With the configuration as it is now."""
        self._stop_daemon()
        self.configure()
        self._start_daemon()

    def _stop_daemon(self):
        """The daemon and what it has under way: its children are of its session, and nobody else is."""
        if self.child is None:
            return
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(60)
                if how == signal.SIGTERM and self._group_lives():
                    time.sleep(0.2)
        self.child = None

    def _group_lives(self):
        try:
            os.killpg(self.child.pid, 0)
            return True
        except ProcessLookupError:
            return False

    def stop(self):
        self._stop_daemon()
        self.mailboxes.stop()

    # -- mail -------------------------------------------------------------------------------

    def connect(self, port, xclient=None, timeout=120):
        """An SMTP session that has said EHLO; xclient: from outside."""
        source = (loopback(xclient), 0) if xclient else None
        smtp = smtplib.SMTP("127.0.0.1", port, timeout=timeout, source_address=source)
        smtp.ehlo("outside.example" if xclient else "client.example")
        return smtp

    def submit(self, sender, recipients, message):
        """By the sendmail command and the usual submit.cf, which hands over by SMTP."""
        return subprocess.run(self.run("-C", os.path.join(self.conf, "submit.cf"), "-i", "-f", sender, *recipients),
                              input=message, capture_output=True)

    def logged(self):
        text = ""
        for path in (self.output, self.log):
            with contextlib.suppress(OSError), open(path, errors="replace") as f:
                text += f.read()
        return text

    def queue_list(self):
        """What waits: queue id, queue ("hold": quarantined) and recipients, as postqueue -j names them."""
        found = []
        for path in glob.glob(os.path.join(self.queue, "[qh]f*")):
            with contextlib.suppress(OSError), open(path, errors="replace") as f:
                recipients = re.findall(r"^R[^:]*:<?([^>\n]*)>?$", f.read(), re.M)
                name = os.path.basename(path)
                found.append({"queue_name": "hold" if name[0] == "h" else "deferred", "queue_id": name[2:],
                              "recipients": [{"address": a} for a in recipients]})
        return found

    def release(self, queue_id):
        """Lets go what was quarantined."""
        cf = os.path.join(self.conf, "sendmail.cf")
        subprocess.run(self.run("-C", cf, "-qQ", "-Q", f"-qI{queue_id}"), check=True, capture_output=True)
        self.flush()

    def flush(self):
        subprocess.run(self.run("-q", "-C", os.path.join(self.conf, "sendmail.cf")), check=True, capture_output=True)

    def mailbox_files(self, domain):
        return sorted(glob.glob(os.path.join(self.mail, domain, "new", "*")), key=os.path.getmtime)


def _listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


COMMON_MC = """divert(-1)
divert(0)dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `{host}')dnl
define(`confSERVICE_SWITCH_FILE', `{f}/conf/service.switch')dnl
define(`HELP_FILE', `{f}/conf/helpfile')dnl
define(`STATUS_FILE', `{f}/statistics')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confTO_IDENT', `0')dnl
define(`confTO_ICONNECT', `10s')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confDELAY_LA', `1000')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`confMAX_HEADERS_LENGTH', `1048576')dnl
define(`confMAX_MIME_HEADER_LENGTH', `0/0')dnl
define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')dnl
"""

SENDMAIL_MC = COMMON_MC + """define(`confPID_FILE', `{f}/sendmail.pid')dnl
define(`QUEUE_DIR', `{f}/queue')dnl
define(`confDEF_USER_ID', `65534:65534')dnl
define(`confAUTH_MECHANISMS', `PLAIN LOGIN')dnl
TRUST_AUTH_MECH(`PLAIN LOGIN')dnl
define(`confMAX_MESSAGE_SIZE', `102400000')dnl
define(`confCONNECTION_RATE_THROTTLE', `0')dnl
define(`confBAD_RCPT_THROTTLE', `0')dnl
undefine(`ALIAS_FILE')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`nocanonify')dnl
define(`SMART_HOST', `sink:sink.example')dnl
define(`LOCAL_RELAY', `sink:sink.example')dnl
define(`MAIL_HUB', `sink:sink.example')dnl
DAEMON_OPTIONS(`Port={mx}, Addr=127.0.0.1, Listen=100, Name=MTA')dnl
DAEMON_OPTIONS(`Port={submission}, Addr=127.0.0.1, Listen=100, Name=SUBMISSION, M=a')dnl
DAEMON_OPTIONS(`Port={after}, Addr=127.0.0.1, Listen=100, Name=AFTERFILTER')dnl
DAEMON_OPTIONS(`Port={reinject}, Addr=127.0.0.1, Listen=100, Name=POSTSEAL-REINJECT, InputMailFilters={on_copies}')dnl
{filters}define(`confMILTER_MACROS_CONNECT', `j, {{daemon_name}}, {{client_addr}}, {{client_name}}')dnl
define(`confMILTER_MACROS_ENVFROM', `j, i, {{auth_authen}}, {{auth_type}}, {{daemon_name}}, {{client_addr}}')dnl
define(`confMILTER_MACROS_EOM', `j, i')dnl
MAILER(`smtp')dnl
LOCAL_CONFIG
ESASL_CONF_PATH={f}/sasl
MAILER_DEFINITIONS
Msink,	P=[IPC], F=DFMXmnz, S=EnvFromSMTP, R=EnvToSMTP, E=\\r\\n, L=0, T=DNS/RFC822/SMTP,
	A=FILE {f}/lmtp
"""

SUBMIT_MC = COMMON_MC + """define(`confRUN_AS_USER', `nobody')dnl
define(`confTRUSTED_USER', `root')dnl
define(`confPID_FILE', `{f}/submit.pid')dnl
define(`MSP_QUEUE_DIR', `{f}/msp')dnl
define(`_MTA_HOST_', `[127.0.0.1]')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {mx}')dnl
define(`confDELIVERY_MODE', `i')dnl
FEATURE(`msp', `[127.0.0.1]')dnl
"""
