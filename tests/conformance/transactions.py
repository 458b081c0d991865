"""Transactions with Kafka's own Java client, at each level of transaction.version, on nodes of their own; and what
kafka-transactions.sh prints, which must be what it prints of Apache Kafka.

The expected outputs lie in golden/transactions/, taken from Apache Kafka 4.3.1 itself by
`BROKER=kafka UPDATE=1 tests/conformance/suite transactions`, with ports, paths and times made equal.
"""
import contextlib
import difflib
import os
import pathlib
import re
import subprocess
import time

import tap
from broker import HOME, KAFKA, Broker, kafka_home, tool
from tools import normal

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE / "golden/transactions"
# The coordinator looks twice a second for what takes too long.
CONFIG = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500", "transaction.state.log.num.partitions": "5"}
VERSIONS = 0, 1, 2
# A node stops in order within this, whatever clients are doing; requests under way have five seconds of it.
GRACE = 20


def program():
    """The command that runs the stories."""
    classes = HOME / "conformance-java"
    classes.mkdir(parents=True, exist_ok=True)
    libs = f"{kafka_home()}/libs/*"
    subprocess.run(["javac", "-nowarn", "-cp", libs, "-d", classes, HERE / "java/Transactions.java"], check=True)
    return ["java", "-Xmx512m", f"-Dlog4j2.configurationFile={kafka_home()}/config/log4j2.yaml", "-cp", f"{classes}:{libs}", "Transactions"]


def node(version, **config):
    return Broker({**CONFIG, **config}, formatting=("--feature", f"transaction.version={version}"))


@contextlib.contextmanager
def held(java, b, id, topic):
    """While this lasts, a producer has a transaction open."""
    p = subprocess.Popen([*java, b.bootstrap, "hold", id, topic], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        said = p.stdout.readline()
        assert said == "held\n", f"no transaction was begun: {said!r}"
        yield
    finally:
        p.kill()
        p.wait()


def topic(b, name):
    tool("kafka-topics", "--bootstrap-server", b.bootstrap, "--create", "--topic", name, "--partitions", "2", "--replication-factor", "1")


def rows(text):
    """Columns are as wide as their contents: one space between them. Durations differ, and lines may come in any order."""
    text = re.sub(r"[ \t]*\t[ \t]*", "\t", text)
    if "TransactionDurationMs" in text:
        text = re.sub(r"(?<=MILLIS)\t\d+\b", r"\tDURATION", text)
    out, _, err = text.partition("--- stderr\n")
    # The command, the exit code, the mark of standard output, and the header stand where they are.
    lines = out.splitlines()
    return "\n".join([*lines[:4], *sorted(lines[4:])]) + f"\n--- stderr\n{err}"


def compare(b, name, *args):
    p = tool("kafka-transactions", "--bootstrap-server", b.bootstrap, *args, check=False)
    got = rows(normal(f"$ transactions {' '.join(args)}\nexit {p.returncode}\n--- stdout\n{p.stdout}--- stderr\n{p.stderr}", b))
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE") and KAFKA:
        file.parent.mkdir(exist_ok=True)
        file.write_text(got)
    want = file.read_text()
    if got != want:
        diff = "\n".join(list(difflib.unified_diff(want.splitlines(), got.splitlines(), "kafka", "this", lineterm="", n=0))[:40])
        raise AssertionError(f"differs from Apache Kafka's:\n{diff}")


def tools(java):
    with node(2) as b:
        def told(name, *args):
            tap.run(f"transactions/{name}", compare, b, name, *args)
        told("list-none", "list")
        for name in "ab":
            topic(b, name)
        with held(java, b, "open-a", "a"):
            told("list", "list")
            told("list-pattern", "list", "--transactional-id-pattern", "open-.*")
            told("list-bad-pattern", "list", "--transactional-id-pattern", "(")
            told("list-longer", "list", "--duration-filter", "3600000")
            told("describe", "describe", "--transactional-id", "open-a")
            told("describe-absent", "describe", "--transactional-id", "absent")
            told("describe-producers", "describe-producers", "--topic", "a", "--partition", "1")
            told("find-hanging", "find-hanging", "--broker-id", "1", "--max-transaction-timeout", "0")
            told("find-hanging-partition", "find-hanging", "--topic", "a", "--partition", "0")
            told("abort", "abort", "--topic", "a", "--partition", "0", "--start-offset", "0")
            told("describe-producers-aborted", "describe-producers", "--topic", "a", "--partition", "0")
            told("abort-none", "abort", "--topic", "a", "--partition", "0", "--start-offset", "77")
            told("terminate", "forceTerminateTransaction", "--transactionalId", "open-a")
            told("list-terminated", "list")
            told("terminate-absent", "forceTerminateTransaction", "--transactionalId", "absent")
        told("no-command")


def stops(java, version):
    """A node stops in order while a transaction is open, and goes on with it when it is back."""
    with node(version) as b:
        topic(b, "s")
        with held(java, b, "held", "s"):
            begun = time.time()
            code = b.stop(GRACE)
            assert KAFKA or code == 0, f"it ended with {code}: {b.output()[-800:]}"
            print(f"# stopped in {time.time() - begun:.1f} s", flush=True)
        b.start()
        described = tool("kafka-transactions", "--bootstrap-server", b.bootstrap, "describe", "--transactional-id", "held").stdout
        assert "Ongoing" in described, described


def stories():
    java = program()
    wanted = os.environ.get("STORIES", "").split()
    for version in VERSIONS:
        with node(version) as b:
            tap.program(f"transactions/{version}", [*java, b.bootstrap, str(version), *wanted], expect=1 if wanted else 19)
        tap.run(f"transactions/{version}/a node stops while a transaction is open", stops, java, version)
    tools(java)
