"""secrets_search - where what must stay secret could have gone, and the search for it."""
import base64
import os
import re
import stat
import subprocess
import threading
import time


def forms(secret):
    """The shapes in which the bytes of a secret are looked for."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield secret[::-1]  # numbers, as a little-endian machine keeps them
    if secret.isascii():
        yield secret.decode().encode("utf-16-le")
    for shift in range(3):  # base64 of something that has it in it
        text = base64.b64encode(bytes(shift) + secret)
        yield text[4 if shift else 0:len(text) - len(text) % 4 - 4]


class Search:
    """Known secrets by name, and the places where they were found."""

    def __init__(self, known):
        self.needles = {}
        for name, secret in known.items():
            if len(secret) < 8:
                raise ValueError(f"{name} is too short to be looked for")
            for form in forms(secret):
                if len(form) >= 8:
                    self.needles[form] = name
        self.pattern = re.compile(b"|".join(re.escape(n) for n in sorted(self.needles, key=len, reverse=True)))

    def in_bytes(self, data):
        return sorted({self.needles[m.group()] for m in self.pattern.finditer(data)})

    def in_file(self, path):
        with open(path, "rb") as f:
            return self.in_bytes(f.read())


class ProcessList(threading.Thread):
    """Collects what anybody may read of every process: its command line; and its environment."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen, self.over = set(), threading.Event()

    def run(self):
        while not self.over.is_set():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                for name in ("cmdline", "environ"):
                    try:
                        with open(f"/proc/{pid}/{name}", "rb") as f:
                            self.seen.add((name, f.read()))
                    except OSError:
                        continue
            time.sleep(0.002)

    def stop(self):
        self.over.set()
        self.join()
        return self.seen


def core_of(pid, folder):
    """A core file by gcore; its path."""
    done = subprocess.run(["gcore", "-o", os.path.join(folder, "core"), str(pid)], capture_output=True, text=True,
                          timeout=300)
    path = os.path.join(folder, f"core.{pid}")
    if not os.path.exists(path):
        raise RuntimeError(f"gcore {pid}: {done.stderr[-400:]}")
    return path


def readable_by_all(folder):
    """Regular files that anybody may read, by mode and by the folders above them."""
    for at, folders, names in os.walk(folder):
        folders[:] = [d for d in folders if os.stat(os.path.join(at, d)).st_mode & stat.S_IXOTH]
        for name in names:
            path = os.path.join(at, name)
            try:
                mode = os.lstat(path).st_mode
            except OSError:
                continue
            if stat.S_ISREG(mode) and mode & stat.S_IROTH:
                yield path
