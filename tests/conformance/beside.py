"""Ottla's administrative tools beside Kafka's, on one node: the same command lines, the same standard output and exit code.

Kafka's tools print traces of Java's stack where something is wrong; the lines of those, and the names of Java's classes, do not count.
What is not compared is listed where it is left out.
"""
import json
import pathlib
import re
import subprocess
import tempfile
import urllib.request

import tap
from broker import binary, kafka_home

# Our command and Kafka's tool.
TOOLS = {"configs": "kafka-configs", "cluster": "kafka-cluster", "features": "kafka-features", "metadata-quorum": "kafka-metadata-quorum",
         "leader-election": "kafka-leader-election", "reassign-partitions": "kafka-reassign-partitions", "log-dirs": "kafka-log-dirs"}

# {b} is the node's address, {d} a folder with the files below.
COMMANDS = """
cluster cluster-id --bootstrap-server {b}
cluster cluster-id -b {b}
cluster cluster-id
cluster
cluster --help
cluster cluster-id --bootstrap-server {b} --bootstrap-controller {b}
cluster list-endpoints --bootstrap-server {b}
cluster list-endpoints --bootstrap-server {b} --include-fenced-brokers
cluster unregister --bootstrap-server {b}
cluster unregister --bootstrap-server {b} --id 99
features
features --bootstrap-server {b}
features --bootstrap-server {b} describe
features --bootstrap-server {b} describe --node-id -1
features --bootstrap-server {b} upgrade
features --bootstrap-server {b} upgrade --metadata 4.3-IV0
features --bootstrap-server {b} upgrade --metadata foo
features --bootstrap-server {b} upgrade --feature nope
features --bootstrap-server {b} upgrade --feature share.version=x
features --bootstrap-server {b} upgrade --feature group.version=1 --dry-run
features --bootstrap-server {b} upgrade --release-version 4.3 --metadata 4.3-IV0
features --bootstrap-server {b} upgrade --metadata 4.3-IV0 --feature metadata.version=30
features --bootstrap-server {b} disable
features --bootstrap-server {b} version-mapping
features --bootstrap-server {b} version-mapping --release-version 4.2
features --bootstrap-server {b} version-mapping --release-version 9.9
features --bootstrap-server {b} feature-dependencies --feature transaction.version=2 --feature metadata.version=30
features --bootstrap-server {b} feature-dependencies --feature eligible.leader.replicas.version=1
features --bootstrap-server {b} feature-dependencies --feature transaction.version=99
features --bootstrap-server {b} feature-dependencies --feature foo=2
metadata-quorum
metadata-quorum --bootstrap-server {b}
metadata-quorum --bootstrap-server {b} describe
metadata-quorum --bootstrap-server {b} describe --status
metadata-quorum --bootstrap-server {b} describe --replication
metadata-quorum --bootstrap-server {b} describe --status --replication
metadata-quorum --bootstrap-server {b} describe --status --human-readable
metadata-quorum --bootstrap-server {b} add-controller
metadata-quorum --bootstrap-server {b} remove-controller
metadata-quorum --bootstrap-server {b} remove-controller --controller-id -3 --controller-directory-id AAAAAAAAAAAAAAAAAAAAAQ
metadata-quorum --bootstrap-server {b} remove-controller --controller-id 3 --controller-directory-id AAAAAAAAAAAAAAAAAAAABA --dry-run
leader-election --bootstrap-server {b}
leader-election --bootstrap-server {b} --all-topic-partitions
leader-election --bootstrap-server {b} --election-type preferred --all-topic-partitions
leader-election --bootstrap-server {b} --election-type preferred --topic a --partition 0
leader-election --bootstrap-server {b} --election-type unclean --topic a --partition 0
leader-election --bootstrap-server {b} --election-type preferred --topic a
leader-election --bootstrap-server {b} --election-type preferred --all-topic-partitions --topic a --partition 0
leader-election --bootstrap-server {b} --election-type preferred --path-to-json-file {d}/elect.json
leader-election --bootstrap-server {b} --election-type preferred --path-to-json-file {d}/elect-twice.json
leader-election --bootstrap-server {b} --election-type preferred --path-to-json-file {d}/garbage.json
log-dirs
log-dirs --bootstrap-server {b}
log-dirs --bootstrap-server {b} --describe --topic-list a
log-dirs --bootstrap-server {b} --describe --topic-list nope --broker-list 1
log-dirs --bootstrap-server {b} --describe --broker-list 1,9
reassign-partitions --bootstrap-server {b}
reassign-partitions --bootstrap-server {b} --generate --execute
reassign-partitions --bootstrap-server {b} --execute
reassign-partitions --bootstrap-server {b} --list --throttle 5
reassign-partitions --list
reassign-partitions --bootstrap-server {b} --list
reassign-partitions --bootstrap-server {b} --generate --topics-to-move-json-file {d}/topics.json --broker-list 1
reassign-partitions --bootstrap-server {b} --generate --topics-to-move-json-file {d}/topics.json --broker-list 1,1
reassign-partitions --bootstrap-server {b} --generate --topics-to-move-json-file {d}/topics.json --broker-list 1,7
reassign-partitions --bootstrap-server {b} --generate --topics-to-move-json-file {d}/no-topics.json --broker-list 1
reassign-partitions --bootstrap-server {b} --generate --topics-to-move-json-file {d}/missing.json --broker-list 1
reassign-partitions --bootstrap-server {b} --execute --reassignment-json-file {d}/plan.json
reassign-partitions --bootstrap-server {b} --execute --reassignment-json-file {d}/plan.json --throttle 1000000
configs --bootstrap-server {b} --describe --topic a
configs --bootstrap-server {b} --describe --broker 1
reassign-partitions --bootstrap-server {b} --verify --reassignment-json-file {d}/plan.json --preserve-throttles
reassign-partitions --bootstrap-server {b} --verify --reassignment-json-file {d}/plan.json
reassign-partitions --bootstrap-server {b} --verify --reassignment-json-file {d}/plan-absent.json
reassign-partitions --bootstrap-server {b} --cancel --reassignment-json-file {d}/plan.json
reassign-partitions --bootstrap-server {b} --execute --reassignment-json-file {d}/plan-absent.json
reassign-partitions --bootstrap-server {b} --execute --reassignment-json-file {d}/plan-broker.json
reassign-partitions --bootstrap-server {b} --execute --reassignment-json-file {d}/plan-twice.json
reassign-partitions --bootstrap-server {b} --execute --reassignment-json-file {d}/plan-doubled.json
reassign-partitions --bootstrap-server {b} --execute --reassignment-json-file {d}/plan-dirs.json
reassign-partitions --bootstrap-server {b} --execute --reassignment-json-file {d}/plan-empty.json
reassign-partitions --bootstrap-server {b} --execute --reassignment-json-file {d}/plan-v2.json
configs --bootstrap-server {b}
configs --describe --entity-type topics
configs --bootstrap-server {b} --describe
configs --bootstrap-server {b} --describe --entity-type foo
configs --bootstrap-server {b} --alter --topic a --add-config retention.ms=1000,cleanup.policy=[compact,delete]
configs --bootstrap-server {b} --describe --topic a
configs --bootstrap-server {b} --describe --topic a --all
configs --bootstrap-server {b} --describe --entity-type topics --entity-name a
configs --bootstrap-server {b} --describe --topic nope
configs --bootstrap-server {b} --alter --topic a --delete-config retention.ms
configs --bootstrap-server {b} --alter --topic a --add-config foo.bar=1
configs --bootstrap-server {b} --alter --topic a --add-config retention.ms=abc
configs --bootstrap-server {b} --alter --topic a --add-config retention.ms
configs --bootstrap-server {b} --alter --topic a
configs --bootstrap-server {b} --alter --topic nope --add-config retention.ms=1
configs --bootstrap-server {b} --alter --entity-type topics --add-config a=b
configs --bootstrap-server {b} --alter --topic a --add-config-file {d}/a.properties
configs --bootstrap-server {b} --alter --entity-type brokers --entity-name 1 --add-config log.cleaner.threads=2
configs --bootstrap-server {b} --alter --entity-type brokers --entity-default --add-config log.cleaner.threads=1
configs --bootstrap-server {b} --describe --entity-type brokers
configs --bootstrap-server {b} --describe --broker-defaults
configs --bootstrap-server {b} --describe --broker 9
configs --bootstrap-server {b} --describe --broker x
configs --bootstrap-server {b} --alter --broker 1 --add-config log.dirs=x
configs --bootstrap-server {b} --alter --broker 1 --delete-config log.cleaner.threads
configs --bootstrap-server {b} --alter --broker-defaults --delete-config log.cleaner.threads
configs --bootstrap-server {b} --describe --entity-type broker-loggers
configs --bootstrap-server {b} --alter --broker-logger 1 --add-config foo.bar.Baz=DEBUG
configs --bootstrap-server {b} --alter --group g --add-config consumer.session.timeout.ms=50000
configs --bootstrap-server {b} --describe --group g
configs --bootstrap-server {b} --describe --entity-type groups
configs --bootstrap-server {b} --alter --client-metrics m --add-config interval.ms=1000,metrics=[a,b]
configs --bootstrap-server {b} --describe --client-metrics m
configs --bootstrap-server {b} --describe --entity-type clients --entity-type ips
configs --bootstrap-server {b} --describe --topic a --entity-name d
configs --bootstrap-server {b} --describe --topic a --entity-type topics
""".strip().splitlines()

FILES = {
    "topics.json": {"version": 1, "topics": [{"topic": "a"}]},
    "no-topics.json": {"version": 1, "topics": [{"topic": "nope"}]},
    "elect.json": {"partitions": [{"topic": "a", "partition": 1}]},
    "elect-twice.json": {"partitions": [{"topic": "a", "partition": 1}] * 2},
    "plan.json": {"version": 1, "partitions": [{"topic": "a", "partition": 0, "replicas": [1]}]},
    "plan-absent.json": {"version": 1, "partitions": [{"topic": "a", "partition": 9, "replicas": [1]}]},
    "plan-broker.json": {"version": 1, "partitions": [{"topic": "a", "partition": 0, "replicas": [9]}]},
    "plan-twice.json": {"version": 1, "partitions": [{"topic": "a", "partition": 0, "replicas": [1]}] * 2},
    "plan-doubled.json": {"version": 1, "partitions": [{"topic": "a", "partition": 0, "replicas": [1, 1]}]},
    "plan-dirs.json": {"version": 1, "partitions": [{"topic": "a", "partition": 0, "replicas": [1], "log_dirs": ["any", "any"]}]},
    "plan-empty.json": {"version": 1, "partitions": []},
    "plan-v2.json": {"version": 2, "partitions": []},
}

# The lines of a trace of Java's stack.
TRACE = re.compile(r"^(\s+at |\s+\.\.\. |\s+Suppressed: |Caused by: |(java|org|com|kafka|scala)\.[\w.$]+(Exception|Error)\b)")
# What changes while one looks.
MOVING = [(re.compile(r"(?<=Epoch: )\d+"), "N"), (re.compile(r"(HighWatermark:\s+|MaxFollowerLag(TimeMs)?:\s+)\d+"), r"\1N"), (re.compile(r"\b\d{13}\b"), "T"),
          # The class of an error in front of what it says.
          (re.compile(r"\borg\.apache\.kafka\.[\w.]+Exception: "), "")]


def lines(text):
    kept = [line for line in text.splitlines() if line.strip() and not TRACE.match(line)]
    for n, line in enumerate(kept):
        for pattern, instead in MOVING:
            line = pattern.sub(instead, line)
        kept[n] = line.rstrip()
    return kept


def table(found):
    """The rows of --replication, in which offsets go on and widths with them."""
    return [[re.sub(r"^\d{2,}$", "N", cell.strip()) for cell in line.split("\t")] for line in found]


def unordered(found):
    """The directories of brokers, whose partitions come in no order."""
    def shown(line):
        if not line.startswith("{"):
            return line
        told = json.loads(line)
        for broker in told["brokers"]:
            for folder in broker["logDirs"]:
                folder["partitions"].sort(key=lambda p: p["partition"])
        return json.dumps(told)
    return [shown(line) for line in found]


def run(command, *args):
    p = subprocess.run([*command, *args], capture_output=True, text=True, timeout=90)
    return p.returncode, lines(p.stdout), lines(p.stderr)


def same(b, folder, line):
    command, *args = [word.format(b=b.bootstrap, d=folder) for word in line.split()]
    theirs = run([kafka_home() / "bin" / f"{TOOLS[command]}.sh"], *args)
    ours = run([binary(), command], *args)
    if "--replication" in args and "--status" not in args:
        theirs, ours = [(p[0], table(p[1]), p[2]) for p in (theirs, ours)]
    if command == "log-dirs":
        theirs, ours = [(p[0], unordered(p[1]), p[2]) for p in (theirs, ours)]
    if "--help" in args:
        # Texts of help are our own.
        theirs, ours = [(p[0], p[1][:1], p[2]) for p in (theirs, ours)]
    assert ours[:2] == theirs[:2], f"Apache Kafka's:\n{theirs}\nours:\n{ours}"
    # What is wrong with a command line is the same; the usage below it is not.
    if theirs[2] and "WARNING" not in theirs[2][0] and not theirs[2][0].startswith(("usage:", "This tool", "[", "Error while")):
        assert ours[2][:1] == theirs[2][:1], f"Apache Kafka's:\n{theirs[2][:3]}\nours:\n{ours[2][:3]}"


def restart(b):
    """The judgement over HTTP and that of the tool, of the only node there is: it cannot go."""
    with urllib.request.urlopen(f"http://127.0.0.1:{b.port + 2}/api/v1/nodes/1/restart-safety", timeout=10) as answer:
        assert answer.status == 200
        told = json.load(answer)
    codes = [reason["code"] for reason in told["reasons"]]
    assert (told["node"], told["safe"], codes[0]) == (1, False, "ONLY_VOTER") and "NO_OTHER_IN_SYNC" in codes, told
    alone = [(r["topic"], r["partition"]) for r in told["reasons"] if r["code"] == "NO_OTHER_IN_SYNC"]
    assert ("a", 0) in alone and ("a", 1) in alone, told
    code, out, _ = run([binary(), "restart-safety"], "--bootstrap-server", b.bootstrap, "--node", "1")
    assert code == 1 and out == ["Node 1 should not be restarted now:", *(f"  {r['code']}: {r['text']}" for r in told["reasons"])], out
    with urllib.request.urlopen(f"http://127.0.0.1:{b.port + 2}/api/v1/nodes/7/restart-safety", timeout=10) as answer:
        assert [r["code"] for r in json.load(answer)["reasons"]] == ["UNKNOWN_NODE"]


def stories(b):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, content in FILES.items():
            (folder / name).write_text(json.dumps(content))
        (folder / "garbage.json").write_text("garbage")
        (folder / "a.properties").write_text("retention.bytes=5000\nsegment.ms=600000\n")
        subprocess.run([binary(), "topics", "--bootstrap-server", b.bootstrap, "--create", "--topic", "a", "--partitions", "2"],
                       check=True, capture_output=True)
        for line in COMMANDS:
            tap.run(f"beside Kafka's tool: {line}", same, b, folder, line)
        tap.run("whether the node may be restarted", restart, b)
