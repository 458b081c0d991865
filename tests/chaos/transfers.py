"""Ten producers move amounts between accounts in transactions while nodes and clients are killed: who reads what is committed sees
the total unchanged at every commit."""
import os
import random
import subprocess
import time

import tap
from broker import HOME, kafka_home, until
from cluster import Cluster, all_in_sync
from load import FAST, HERE, create

SECONDS = 100
# Kills of nodes, and of clients between them.
KILLS = 6
# Transfers that end between two kills.
BETWEEN = 60


def program():
    """The command that runs the transfers."""
    classes = HOME / "chaos-java"
    classes.mkdir(parents=True, exist_ok=True)
    libs = f"{kafka_home()}/libs/*"
    subprocess.run(["javac", "-nowarn", "-cp", libs, "-d", classes, HERE / "java/Transfer.java"], check=True)
    return ["java", "-Xmx256m", f"-Dlog4j2.configurationFile={kafka_home()}/config/log4j2.yaml", "-cp", f"{classes}:{libs}", "Transfer"]


def transfers(c):
    java = [*program(), c.bootstrap, "transfers"]
    create(c, "transfers", 6)
    names = "first", "second"
    files = [str(c.folder / f"{name}.told") for name in names]
    end = time.time() + SECONDS

    def work(i):
        seconds = max(1, round(end - time.time()))
        out = open(c.folder / f"{names[i]}.out", "ab")
        return subprocess.Popen([*java, "work", names[i], "5", str(seconds), files[i]], stdout=out, stderr=out, stdin=subprocess.DEVNULL)

    def told_of():
        return sum(1 for file in files if os.path.exists(file) for _ in open(file))

    def goes_on():
        """Until so many more transfers have ended, or time is over."""
        before = told_of()
        until("transfers go on", lambda: told_of() >= before + BETWEEN or time.time() > end, wait=120)

    reader = subprocess.Popen([*java, "read", *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    workers = [work(0), work(1)]
    try:
        chance = random.Random(5)
        for kill in range(KILLS):
            goes_on()
            victim = c[1 + kill % 3]
            victim.kill()
            if kill % 2:
                # Another program with the same transactional ids takes over.
                i = chance.randrange(2)
                workers[i].kill()
                workers[i].wait()
                workers[i] = work(i)
            victim.start()
            c.wait_partitions(all_in_sync, "transfers", wait=90)
        for worker in workers:
            assert worker.wait(180) == 0, "a client failed"
        said, _ = reader.communicate(timeout=150)
    finally:
        for p in (*workers, reader):
            if p.poll() is None:
                p.kill()
    told = said.strip().splitlines()
    worked = [line for name in names for line in (c.folder / f"{name}.out").read_text(errors="replace").splitlines() if line.startswith("worked")]
    print("#", told[-1], "|", " | ".join(worked), flush=True)
    assert reader.returncode == 0 and told[-1].startswith("verified"), "; ".join(told)
    assert int(told[-1].split()[-1]) > 100, told[-1]


def stories():
    with Cluster(3, {**FAST, "min.insync.replicas": "2", "transaction.state.log.num.partitions": "6"}) as c:
        tap.run("transfers while nodes and clients are killed", transfers, c)
