#!/usr/bin/env python3
"""Import of many certificates by the command: files longer than one call takes, folders of many
files, a client that is killed in the middle, and the same once more."""
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
sys.dont_write_bytecode = True
from harness import Site, Tap, program  # noqa: E402

BUILD = os.path.realpath(os.environ.get("top_builddir", "."))
SAMPLER = os.path.join(BUILD, "tests", "bench", "bench_store")
COUNT = 60000 if os.environ.get("PS_FULL") == "yes" else 16000  # more than one call takes
END = "-----END CERTIFICATE-----\n"


def sample(site, name, count):
    path = os.path.join(site.folder, name)
    subprocess.run([SAMPLER, "--certs", str(count), "--pem", path], check=True, timeout=300)
    return path


def run(site, *args, timeout=500):
    return subprocess.run([program("postseal"), "-c", site.config, "cert", "import", *args], capture_output=True, text=True,
                          timeout=timeout)


def total_of(done):
    return done.stdout.splitlines()[-1] if done.stdout else done.stderr


def test_long_file(site, tap):
    path = sample(site, "long.pem", COUNT)
    with open(path) as f:
        text = f.read()
    blocks = text.split(END)
    # One that is none, far down: it stops nothing, and it alone is named.
    blocks[COUNT // 2] = "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n"
    with open(path, "w") as f:
        f.write(END.join(blocks))
    done = run(site, path, "--brief")
    tap.ok(done.returncode == 1 and total_of(done) == f"{COUNT - 1} new, 0 already there, 1 rejected",
           "a PEM file that is longer than one call takes, one of it broken", done.stderr + done.stdout[-500:])
    tap.ok(len(done.stdout.splitlines()) == 3 and "long.pem" in done.stdout, "--brief: the one that was rejected, and the total",
           done.stdout[-500:])
    answer = json.loads(run(site, path, "--json").stdout)
    kinds = {item["outcome"] for item in answer["items"]}
    tap.ok(len(answer["items"]) == COUNT and kinds == {"already there", "rejected"} and answer["total"]["already_there"] == COUNT - 1,
           "a second time: a line for each, all of them there", answer["total"])


def test_standard_input(site, tap):
    path = sample(site, "input.pem", 500)
    with open(path) as f:
        done = subprocess.run([program("postseal"), "-c", site.config, "cert", "import", "-"], stdin=f, capture_output=True,
                              text=True, timeout=300)
    tap.ok(done.returncode == 0 and total_of(done).startswith("500 new"), "from standard input", done.stderr + total_of(done))


def test_folder(site, tap):
    folder = os.path.join(site.folder, "many")
    os.makedirs(folder)
    path = sample(site, "folder.pem", 4100)
    with open(path) as f:
        blocks = f.read().split(END)[:4100]
    for i, block in enumerate(blocks):
        with open(os.path.join(folder, f"{i:04}.pem"), "w") as f:
            f.write(block + END)
    with open(os.path.join(folder, "0500-text.pem"), "w") as f:
        f.write("nothing in it\n")
    done = run(site, folder)
    tap.ok(done.returncode == 1 and total_of(done) == "4100 new, 0 already there, 1 rejected",
           "a folder of many files, in several calls", total_of(done))
    names = [line.split()[0] for line in done.stdout.splitlines()[1:-1]]
    tap.ok(names == sorted(names) and "0500-text.pem" in names, "its lines stand in the order of the files", names[:5])


def test_killed(site, tap):
    """The client goes away in the middle: what is stored stays, and the next run does the rest."""
    path = sample(site, "killed.pem", COUNT)
    child = subprocess.Popen([program("postseal"), "-c", site.config, "cert", "import", path, "--brief"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
    time.sleep(1.0)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    done = run(site, path, "--brief")
    words = total_of(done).replace(",", "").split()
    tap.ok(done.returncode == 0 and int(words[0]) + int(words[2]) == COUNT, "after a kill the same command does the rest",
           total_of(done) + done.stderr)
    tap.ok(total_of(run(site, path, "--brief")) == f"0 new, {COUNT} already there, 0 rejected", "and then all of it is there")


def main():
    tap = Tap()
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root for a database of its own")
        return
    if not os.access(SAMPLER, os.X_OK):
        print("1..0 # SKIP tests/bench/bench_store is not built")
        return
    with Site() as site:
        site.start(postfix=False)
        for test in (test_standard_input, test_folder, test_long_file, test_killed):
            test(site, tap)
        if tap.failures:
            site.show_logs()
    tap.done()


main()
