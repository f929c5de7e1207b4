"""commands - the command line of a scratch site: what a command must answer, and files for it."""
import json
import os
import pwd
import shutil
import subprocess

from harness import program


class Cli:
    """Commands of one site, with what they must answer."""

    def __init__(self, site, tap):
        self.site, self.tap = site, tap

    def program_for_all(self):
        """A copy where every user may run it: root's home, in which the build may be, is closed."""
        path = os.path.join(self.site.folder, "postseal")
        if not os.path.exists(path):
            shutil.copy(program("postseal"), path)
            os.chmod(path, 0o755)
        return path

    def run(self, *args, stdin=None, user=None, fds=(), env=None):
        extra = {}
        if user:
            record = pwd.getpwnam(user)
            extra = {"user": record.pw_uid, "group": record.pw_gid, "extra_groups": [], "cwd": "/"}
        self.site.unheard = True
        command = self.program_for_all() if user else program("postseal")
        return subprocess.run([command, "-c", self.site.config, *args], capture_output=True, text=True,
                              input=stdin, timeout=600, pass_fds=fds, env=env, **extra)

    def expect(self, status, *args, error=None, output=None, name=None, **how):
        done = self.run(*args, **how)
        good = done.returncode == status
        good = good and (error is None or (error in done.stderr and done.stderr.count("\n") == 1))
        good = good and (output is None or output in done.stdout)
        self.tap.ok(good, name or f"{' '.join(args)[:70]}: {status}",
                    f"exit {done.returncode}\nstdout: {done.stdout[-800:]}\nstderr: {done.stderr[-800:]}")
        return done

    def json(self, *args):
        return json.loads(self.run(*args, "--json").stdout)


def file_with(site, name, content, mode=0o600):
    path = os.path.join(site.folder, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    return path


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *args], input=stdin, capture_output=True, check=True).stdout
