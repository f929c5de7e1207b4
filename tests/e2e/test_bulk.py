#!/usr/bin/env python3
"""Files of requests: what is said of each line, what becomes of it, and that it happens once."""
import json
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from harness import INSIDE, Process, Site, Tap, can_connect, program, require, wait_until  # noqa: E402

FULL = os.environ.get("PS_FULL") == "yes"
ROWS, DOUBLE, BROKEN, CERTIFIED, CASES = (10000, 200, 100, 50, 20) if FULL else (300, 12, 8, 5, 6)
CRASH_ROWS, KILLS = (1000, 25) if FULL else (240, 4)
PREVIEW_SECONDS = 2.0


def write(site, name, content):
    path = os.path.join(site.folder, name)
    with open(path, "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    return path


def rows_of(site, *args):
    """Of a preview, too, which ends with 1 where a line is broken."""
    done = site.cli(*args, "--json", check=False)
    items = json.loads(done.stdout)["items"]
    broken = args[:2] == ("bulk", "preview") and any(row["result"] == "broken" for row in items)
    require(done.returncode == (1 if broken else 0), f"{args}: {done.returncode} {done.stderr}")
    return items


def results(site, content, *args):
    path = write(site, "case.csv", content)
    return {(row["line"], row["result"]) for row in rows_of(site, "bulk", "preview", path, *args)}


def unready(site):
    """Without a CA nothing is begun, and the answer says what to do."""
    path = write(site, "early.csv", "EMAIL,CN\na@inside.example,A\n")
    done = site.cli("bulk", "submit", path, check=False)
    require(done.returncode == 1 and "ca create" in done.stderr, f"{done.returncode} {done.stderr}")
    require(rows_of(site, "bulk", "list") == [], "there is a batch")


LINES = [
    ("plain", "EMAIL,COMMONNAME\na@x.example,A\n", {(2, "good")}),
    ("other order and words", "cn,SurName,gn,o,E\nA,B,C,D,a@x.example\n", {(2, "good")}),
    ("CRLF", "e,cn\r\na@x.example,A\r\nb@x.example,B\r\n", {(2, "good"), (3, "good")}),
    ("mixed, no end", "e,cn\r\na@x.example,A\nb@x.example,B", {(2, "good"), (3, "good")}),
    ("a mark", b"\xef\xbb\xbfEMAIL,CN\na@x.example,\xc3\x84\n", {(2, "good")}),
    ("a mark and what it is not", b"\xef\xbb\xbfEMAIL,CN\na@x.example,\xc4\n", {(2, "broken")}),
    ("UTF-16", "EMAIL,CN\na@x.example,\u00c4\n".encode("utf-16"), {(2, "good")}),
    ("Latin-1 unnamed", b"e,cn\na@x.example,\xc4\nb@x.example,B\n", {(2, "broken"), (3, "good")}),
    ("blanks", " e , cn \n  a@x.example ,  A B  \n", {(2, "good")}),
    ("quoted", 'e,cn\n"a@x.example","A, ""B"""\n', {(2, "good")}),
    ("a line end inside", 'e,cn,o\na@x.example,"A\nB",C\nbad,B,C\n', {(2, "good"), (4, "broken")}),
    ("blank lines", "e,cn\n\na@x.example,A\n  \nb@x.example,B\n", {(3, "good"), (5, "good")}),
    ("a stray mark", 'e,cn\na@x.example,A"B\nb@x.example,B\n', {(2, "broken"), (3, "good")}),
    ("an open mark", 'e,cn\n"a@x.example,A\nb@x.example,B\n', {(2, "broken"), (3, "good")}),
    ("behind the mark", 'e,cn\n"a@x.example"x,A\nb@x.example,B\n', {(2, "broken"), (3, "good")}),
    ("too few, too many", "e,cn\na@x.example\nb@x.example,B,C\n", {(2, "broken"), (3, "broken")}),
    ("no name, no address", "e,cn\na@x.example,\n,A\nnobody,A\n", {(2, "broken"), (3, "broken"), (4, "broken")}),
    ("twice", "e,cn\na@x.example,A\nA@X.Example,B\na@x.example,A\n", {(2, "good"), (3, "duplicate"), (4, "duplicate")}),
    ("the first one is broken", "e,cn\na@x.example,\na@x.example,A\n", {(2, "broken"), (3, "good")}),
    ("256 and 257", f"e,cn,ln\na@x.example,A,{'x' * 256}\nb@x.example,B,{'x' * 257}\n", {(2, "good"), (3, "broken")}),
    ("256 letters of two bytes", f"e,cn,ln\na@x.example,A,{'ä' * 256}\n", {(2, "good")}),
]
REFUSED = [
    ("empty", "", "empty"), ("only columns", "e,cn\n", "no rows"), ("unknown column", "e,cn,phone\na@x.example,A,1\n", "'phone'"),
    ("twice a column", "e,cn,email\na@x.example,A,1\n", "twice"), ("no name", "e,o\na@x.example,A\n", "COMMONNAME is missing"),
    ("semicolons", "e;cn\na@x.example;A\n", "commas"), ("too many", "e,cn\n" + "a@x.example,A\n" * 10001, "10000"),
]


def looks(site):
    for name, content, expected in LINES:
        got = results(site, content)
        require(got == expected, f"{name}: {sorted(got)}")
    got = results(site, b"e,cn\na@x.example,\xc4\nb@x.example,\xc3\x84\n", "--encoding", "ISO-8859-1")
    require(got == {(2, "good"), (3, "good")}, f"named encoding: {got}")
    for name, content, words in REFUSED:
        done = site.cli("bulk", "preview", write(site, "case.csv", content), check=False)
        require(done.returncode == 1 and words in done.stderr, f"{name}: {done.returncode} {done.stderr[:300]}")
    done = site.cli("bulk", "preview", write(site, "case.csv", "e,cn\na@x,A\n"), "--encoding", "klingon", check=False)
    require(done.returncode == 1 and "klingon" in done.stderr, done.stderr)


def big_file(site):
    """The lines, and what each has to become."""
    lines, expected, number = [], {}, 1

    def add(text, end, result):
        nonlocal number
        lines.append(text.encode() + end)
        number += text.count("\n")
        expected[number] = result
        number += 1

    ends = [b"\r\n", b"\n"]
    lines.append(b"\xef\xbb\xbfLastName,E,CN,Org\r\n")
    number += 1
    for i in range(CERTIFIED):
        add(f",had{i}@{INSIDE},Had {i},Org", ends[i % 2], "certified")
    good = ROWS - DOUBLE - BROKEN - CERTIFIED - CASES
    for i in range(good):
        last = "x" * 256 if i == 7 else ""
        add(f'{last},"user{i}@{INSIDE}",User {i},"Org, Inc."', ends[i % 2], "good")
    for i in range(DOUBLE):
        add(f",user{i}@{INSIDE},User {i},Org", ends[i % 2], "duplicate")
    for i in range(CASES):
        add(f",User{i}@{INSIDE.upper()},User {i},Org", ends[i % 2], "duplicate")
    for i in range(BROKEN):
        add([",nobody,N,O", f",x{i}@{INSIDE},,O", f"{'y' * 257},x{i}@{INSIDE},N,O", f",x{i}@{INSIDE}"][i % 4], ends[i % 2], "broken")
    return b"".join(lines), expected, good


def batch_of(site, done):
    require(done.returncode in (0, 1), done.stderr)
    return json.loads(done.stdout)


def everybody_once(site, prefix, count):
    """One certificate, one key, one issued request for each address."""
    certs, keys, requests = {}, set(), {}
    for row in rows_of(site, "request", "list", "--all"):
        if row["email"].startswith(prefix):
            requests.setdefault(row["email"], []).append(row["state"])
    for row in rows_of(site, "cert", "list", "--all"):
        for email in row["email"] if isinstance(row["email"], list) else row["email"].replace(",", " ").split():
            if email.startswith(prefix):
                certs.setdefault(email, []).append(row)
    require(len(requests) == count and all(v == ["issued"] for v in requests.values()),
            f"{len(requests)} requests of {count}; {[x for x in requests.items() if x[1] != ['issued']][:5]}")
    require(len(certs) == count and all(len(v) == 1 for v in certs.values()),
            f"{len(certs)} certificates of {count}; {[x for x in certs if len(certs[x]) != 1][:5]}")
    require(all(v[0]["key"] for v in certs.values()), "a certificate without its key")
    keys = [row for row in rows_of(site, "key", "list", "--all") if row["certificates"] == 0 and not row["ca"]]
    require(keys == [], f"{len(keys)} orphaned keys")


def whole(site):
    content, expected, good = big_file(site)
    path = write(site, "people.csv", content)
    started = time.monotonic()
    rows = rows_of(site, "bulk", "preview", path)
    seconds = time.monotonic() - started
    print(f"# preview of {len(rows)} rows: {seconds:.2f} s")
    got = {row["line"]: row["result"] for row in rows}
    require(got == expected, f"{[(n, got.get(n), expected[n]) for n in expected if got.get(n) != expected[n]][:10]}")
    require(not FULL or seconds < PREVIEW_SECONDS, f"{seconds:.2f} s")
    started = time.monotonic()
    site.cli("bulk", "submit", path, "--key", "ec:P-256", "--no-wait", check=False)
    status = wait_done(site, site.json("bulk", "status")["id"], 3600 if FULL else 120)
    print(f"# {good} certificates in {time.monotonic() - started:.1f} s")
    require((status["state"], status["issued"], status["failed"]) == ("done", good, 0), status)
    require((status["broken"], status["duplicate"], status["certified"]) == (BROKEN, DOUBLE + CASES, CERTIFIED), status)
    became = {row["line"]: row["result"] for row in rows_of(site, "bulk", "rows", str(status["id"]), "--all")}
    wanted = {line: "issued" if result == "good" else result for line, result in expected.items()}
    require(became == wanted, f"{[(n, became.get(n), wanted[n]) for n in wanted if became.get(n) != wanted[n]][:10]}")
    failures = site.cli("bulk", "rows", str(status["id"]), "--failures", "--all", "--csv").stdout.splitlines()
    require(len(failures) - 1 == BROKEN + DOUBLE + CASES, f"{len(failures)} lines")
    everybody_once(site, "user", good)


def again(site):
    """The same file once more issues nothing."""
    before = len(rows_of(site, "request", "list", "--all"))
    status = batch_of(site, site.cli("bulk", "submit", os.path.join(site.folder, "people.csv"), "--json", check=False))
    require(status["state"] == "done" and status["issued"] == 0 and status["duplicate"] == DOUBLE + CASES, status)
    require(len(rows_of(site, "request", "list", "--all")) == before, "there are new requests")


def people(prefix, count):
    return "e,cn\n" + "".join(f"{prefix}{i}@{INSIDE},Person {i}\n" for i in range(count))


def wait_done(site, number, seconds=300):
    wait_until("the batch is done", lambda: site.json("bulk", "status", str(number))["state"] != "running", seconds)
    return site.json("bulk", "status", str(number))


def crash(site):
    """kill -9 of the daemon, again and again, and of the client at the start."""
    path = write(site, "crash.csv", people("crash", CRASH_ROWS))
    client = subprocess.Popen([program("postseal"), "-c", site.config, "bulk", "submit", path, "--key", "ec:P-256", "--json"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until("the batch", lambda: site.json("bulk", "status")["file"].endswith("crash.csv"))
    client.kill()
    client.wait()
    number, moments = site.json("bulk", "status")["id"], random.Random(5)
    for _ in range(KILLS):
        site.daemon.kill()
        site.start_daemon()
        time.sleep(moments.random() * 0.5)
    status = wait_done(site, number)
    require((status["state"], status["issued"], status["failed"]) == ("done", CRASH_ROWS, 0), status)
    everybody_once(site, "crash", CRASH_ROWS)


def two_daemons(site):
    """The same people, submitted to two daemons at once."""
    socket, config = os.path.join(site.run, "other.sock"), os.path.join(site.folder, "other.conf")
    with open(site.config) as f, open(config, "w") as out:
        out.writelines(line for line in f if not line.startswith("api_socket"))
        out.write(f"api_socket = {socket}\n")
    other = Process("other", [program("postseald"), "-c", config], os.path.join(site.folder, "other.log"))
    other.start()
    try:
        wait_until("the other daemon", lambda: can_connect("unix:" + socket))
        path = write(site, "both.csv", people("both", CRASH_ROWS))
        clients = [subprocess.Popen([program("postseal"), "-c", which, "bulk", "submit", path, "--key", "ec:P-256", "--json"],
                                    stdout=subprocess.PIPE, text=True) for which in (site.config, config)]
        answers = [json.loads(client.communicate(timeout=300)[0]) for client in clients]
        require(all(a["state"] == "done" for a in answers), answers)
        require(sum(a["issued"] for a in answers) == CRASH_ROWS, answers)
        everybody_once(site, "both", CRASH_ROWS)
    finally:
        other.stop()


def handled(site):
    """Cancelled, taken up again, forgotten."""
    path = write(site, "many.csv", people("many", 60))
    number = site.json("bulk", "submit", path, "--key", "rsa:2048", "--no-wait")["id"]
    stopped = site.json("bulk", "cancel", str(number))
    require(stopped["state"] == "cancelled" and stopped["waiting"] == 0 and stopped["cancelled"] > 0, stopped)
    time.sleep(1)
    require(site.json("bulk", "status", str(number))["cancelled"] == stopped["cancelled"], "it went on")
    again = site.json("bulk", "resume", str(number))
    require(again["state"] == "running", again)
    done = site.cli("bulk", "delete", str(number), check=False)
    require(done.returncode == 1 and "not finished" in done.stderr, done.stderr)
    site.cli("bulk", "delete", str(number), "--yes")
    require(site.cli("bulk", "status", str(number), check=False).returncode == 5, "it is there")


def pending(site):
    """Handlers that do not answer at once: requests that belong to the batch."""
    path = write(site, "later.csv", people("later", 5))
    status = batch_of(site, site.cli("bulk", "submit", path, "--handler", "csr", "--key", "ec:P-256", "--json", check=False))
    require((status["state"], status["pending"]) == ("done", 5), status)
    rows = rows_of(site, "bulk", "preview", path)
    require({row["result"] for row in rows} == {"under-way"}, rows)


def delivery_refused(site):
    """What cannot be sent is not begun."""
    path = write(site, "send.csv", people("send", 2))
    done = site.cli("bulk", "submit", path, "--send", "--sms", check=False)
    require(done.returncode in (1, 2), f"{done.returncode} {done.stdout}")
    require(not [r for r in rows_of(site, "request", "list", "--all") if r["email"].startswith("send")], "a request was made")


def main():
    tap = Tap()
    with Site({"key_pool": ""}) as site:
        site.start(postfix=False)
        tap.case("without a CA it is refused", unready, site)
        tap.case("what is said of lines", looks, site)
        site.make_ca()
        had = write(site, "had.csv", people("had", CERTIFIED))
        site.cli("bulk", "submit", had, "--key", "ec:P-256")
        tap.case("a file, row by row", whole, site)
        tap.case("the same file again", again, site)
        tap.case("kill -9 in the middle", crash, site)
        tap.case("two daemons at once", two_daemons, site)
        tap.case("requests that wait for a CA", pending, site)
        tap.case("what cannot be sent", delivery_refused, site)
        tap.case("cancel, resume, delete", handled, site)
    tap.done()


if __name__ == "__main__":
    main()
