"""Consumer groups of the new protocol (KIP-848): Kafka's own client, what a coordinator answers word by word, and the tools.

The expected answers and outputs lie in golden/groups/, taken from Apache Kafka 4.3.1 itself by
`BROKER=kafka UPDATE=1 tests/conformance/suite groups`.
"""
import difflib
import os
import pathlib
import subprocess

import group_tools
import tap
import wire
from broker import HOME, KAFKA, Broker, kafka_home, tool
from members import Members

HERE = pathlib.Path(__file__).parent
GOLDEN = HERE / "golden/groups"
# Members come and go in a moment, and a group is full soon.
CONFIG = {
    "group.consumer.max.size": "4", "group.consumer.assignment.interval.ms": "0", "group.consumer.min.assignment.interval.ms": "0",
    "group.consumer.min.session.timeout.ms": "1000", "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.regex.refresh.interval.ms": "10000",
}


def classes(*names):
    """Compiles Java programs, and returns the words that begin a command with one of them."""
    folder = HOME / "conformance-java"
    folder.mkdir(parents=True, exist_ok=True)
    libs = f"{kafka_home()}/libs/*"
    subprocess.run(["javac", "-nowarn", "-cp", libs, "-d", folder, *(HERE / f"java/{name}.java" for name in names)], check=True)
    return ["java", "-Xmx512m", f"-Dlog4j2.configurationFile={kafka_home()}/config/log4j2.yaml", "-cp", f"{folder}:{libs}"]


def golden(name, got):
    """Holds a text to what Apache Kafka gave."""
    file = GOLDEN / f"{name}.txt"
    if KAFKA and os.environ.get("UPDATE"):
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(got)
    want = file.read_text()
    if got != want:
        diff = "\n".join(list(difflib.unified_diff(want.splitlines(), got.splitlines(), "kafka", "this", lineterm="", n=0))[:40])
        raise AssertionError(f"differs from Apache Kafka's:\n{diff}")


def answers(java, b):
    """One story for each title of the answers, so that one that differs does not hide the others."""
    p = subprocess.run([*java, "GroupAnswers", b.bootstrap], capture_output=True, text=True, timeout=300)
    assert p.returncode == 0, f"after {p.stdout[-600:]}: {p.stderr[-1500:]}"
    golden("answers", p.stdout)


def killed(b):
    """Members that die without a word: who is left has their partitions when their sessions have ended."""
    wire.create_topic(b.port, "killed", 6, 1)
    tool("kafka-configs", "--bootstrap-server", b.bootstrap, "--alter", "--entity-type", "groups", "--entity-name", "killed",
         "--add-config", "consumer.session.timeout.ms=2000,consumer.heartbeat.interval.ms=200")
    with Members(b.bootstrap) as m:
        m("open", "a", "consumer", "killed", "killed")
        with Members(b.bootstrap) as dies:
            dies("open", "b", "consumer", "killed", "killed")
            dies("open", "c", "consumer", "killed", "killed", "group.instance.id=static")
            dies("settled", 4, "b,c")
            m("settled", 2, "a")
        m("settled", 6, "a")
        assert m("moved", "a")[1] == "0", "who lives loses nothing"


def stories():
    java = classes("GroupAnswers", "GroupStories")
    with Broker(CONFIG) as b:
        tap.run("groups/answers", answers, java, b)
        tap.run("groups/members that are killed", killed, b)
        tap.program("group stories", [*java, "GroupStories", b.bootstrap], expect=16)
    with Broker(CONFIG) as b:
        tap.run("groups/tools", group_tools.run, b, lambda name, text: tap.run(f"groups/{name}", golden, name, text))
