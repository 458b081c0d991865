"""Kafka's own tools against three nodes: what they print must be what they print of three nodes of Apache Kafka.

The expected outputs lie in golden/three/, taken from Apache Kafka 4.3.1 itself by
`BROKER=kafka UPDATE=1 tests/conformance/suite three`. golden/three/README.md explains what is left out of the comparison.
"""
import difflib
import json
import os
import pathlib
import re
import subprocess
import time

import tap
from broker import KAFKA
from cluster import Cluster
from shell import Shell
from tools import steady

GOLDEN = pathlib.Path(__file__).parent / "golden/three"
# Where this cluster answers otherwise than Kafka: golden/three/README.md says why. What it answers lies in golden/three/ours/.
OURS = {"features-upgrade-release-dry", "features-upgrade-release"}
CONFIG = {"broker.session.timeout.ms": "4000", "broker.heartbeat.interval.ms": "500", "replica.lag.time.max.ms": "4000",
          "auto.leader.rebalance.enable": "false"}
VICTIM, OTHER = 3, 2
TOPICS = {
    # Its minimum is not reached when one is away: eligible leader replicas.
    "elr": ("1:2:3,2:3:1,3:1:2", "min.insync.replicas=3"),
    # Its only replica, and one of two.
    "only": ("3,2", None),
    "pair": ("3:2,3:1,1:3", "min.insync.replicas=2"),
    "unclean": ("3:2", None),
    "plain": ("1:2:3,2:3:1", None),
    "moved": ("1:2,2:1,1:3", None),
}


class Three:
    """Three nodes, the tools, and what the tools said."""

    def __init__(self, c, sh):
        self.c, self.sh = c, sh

    def steady(self, text):
        for i, node in self.c.nodes.items():
            for n, name in enumerate(("PORT", "CPORT", "HPORT")):
                text = re.sub(rf"\b{node.port + n}\b", f"{name}{i}", text)
        return steady(text.replace(str(self.c.folder), "FOLDER").replace(self.c[1].cluster_id, "CLUSTER"))

    def alive(self):
        return ",".join(node.bootstrap for node in self.c.nodes.values() if node.alive())

    def ask(self, program, *args):
        return self.sh(program, "--bootstrap-server", self.alive(), *args)

    def run(self, name, program, *args, loose=lambda text: text):
        """A command whose output is compared."""
        tap.run(f"three/{name}", self.compare, name, program, args, loose)

    def compare(self, name, program, args, loose):
        words = [program.removeprefix("kafka-"), *map(str, args)]
        # kafka-cluster takes its command first.
        at = ["--bootstrap-server", self.alive()]
        p = self.sh(program, *([args[0], *at, *args[1:]] if program == "kafka-cluster" else [*at, *args]))
        said = self.steady(f"$ {' '.join(words)}\nexit {p.returncode}\n--- stdout\n{p.stdout}--- stderr\n{p.stderr}")
        got = loose(said)
        file = GOLDEN / f"{name}.txt" if KAFKA or name not in OURS else GOLDEN / f"ours/{name}.txt"
        if os.environ.get("UPDATE") and (KAFKA or name in OURS):
            file.parent.mkdir(exist_ok=True)
            file.write_text(got)
        want = file.read_text()
        if got != want:
            diff = "\n".join(list(difflib.unified_diff(want.splitlines(), got.splitlines(), "kafka", "this", lineterm="", n=0))[:40])
            raise AssertionError(f"differs from Apache Kafka's:\n{diff}")

    def describe(self, topic):
        return self.ask("kafka-topics", "--describe", "--topic", topic).stdout

    def until(self, holds, what, wait=90):
        end = time.time() + wait
        while not (told := holds()):
            assert time.time() < end, f"never: {what}"
        return told

    def in_sync(self, *topics):
        """Until every replica is in sync, and nothing is under way."""
        def settled(topic):
            rows = re.findall(r"Leader: (\S+)\s+Replicas: (\S+)\s+Isr: *(\S*)", self.describe(topic))
            return rows and all(leader.isdigit() and set(a.split(",")) == set(b.split(",")) for leader, a, b in rows)
        for topic in topics:
            self.until(lambda: settled(topic), f"{topic} in sync: {self.describe(topic)}")

    def away(self, node, *topics):
        """Until a node that died is in sync nowhere."""
        for topic in topics:
            self.until(lambda: not re.search(rf"Leader: {node}\b|Isr: [\d,]*\b{node}\b", self.describe(topic)), f"{node} out of {topic}: {self.describe(topic)}")

    def file(self, name, content):
        path = self.c.folder / f"{name}.json"
        path.write_text(json.dumps(content))
        return path


def plan(*rows):
    return {"version": 1, "partitions": [{"topic": t, "partition": p, "replicas": replicas} for t, p, replicas in rows]}


def proposed(text):
    """A proposal whose replicas are drawn by chance: how many each partition has, all of them different."""
    def counted(match):
        told = json.loads(match[1])
        for row in told["partitions"]:
            assert set(row["replicas"]) <= {1, 2, 3} and len(set(row["replicas"])) == len(row["replicas"]), row
            row["replicas"] = len(row["replicas"])
        return "Proposed partition reassignment configuration\n" + json.dumps(told)
    return re.sub(r'Proposed partition reassignment configuration\n(\{"version.*\})$', counted, text, flags=re.M)


def voters(text):
    """Who of the three leads is a matter of who was first."""
    text = re.sub(r"(LeaderId:\s+)\d", r"\1N", text)
    rows = re.compile(r"^(\d)\s+\S+\s+\d+\s+\d+\s+\S+\s+\S+\s+(\w+)\s*$", re.M)
    found = rows.findall(text)
    rest = rows.sub("", text).strip()
    return "\n".join([rest, *sorted(node for node, _ in found), *sorted(state for _, state in found)]) + "\n"


def folders(text):
    """Directories by broker, with the partitions of the topic alone, in order."""
    def ordered(match):
        told = json.loads(match[0])
        told["brokers"].sort(key=lambda b: b["broker"])
        for broker in told["brokers"]:
            for folder in broker["logDirs"]:
                folder["partitions"].sort(key=lambda p: p["partition"])
        return json.dumps(told)
    return re.sub(r'\{"brokers".*\}', ordered, re.sub(r'"(size|offsetLag)":N', r'"\1":0', text))


def lines(text):
    """Lines in no order of their own."""
    head, _, rest = text.partition("--- stdout\n")
    out, _, err = rest.partition("--- stderr\n")
    return head + "--- stdout\n" + "\n".join(sorted(out.splitlines())) + "\n--- stderr\n" + "\n".join(sorted(err.splitlines())) + "\n"


def epochs(text):
    return re.sub(r"(Epoch:|Local controller) \d+", r"\1 N", text)


def own(text):
    """Without the keys that are a node's own, and the documented ones of this broker alone."""
    return lines("\n".join(line for line in text.splitlines() if not re.search(r"^  (http[.]|log[.]dirs?=|.*DIRECTORY)", line)) + "\n")


def kafka_topics(t):
    for topic, (assignment, config) in TOPICS.items():
        args = ["--config", config] if config else []
        t.run(f"create-{topic}", "kafka-topics", "--create", "--topic", topic, "--replica-assignment", assignment, *args)
    t.in_sync(*TOPICS)
    t.run("topics-describe", "kafka-topics", "--describe", "--exclude-internal")
    t.run("topics-create-four-copies", "kafka-topics", "--create", "--topic", "four", "--replication-factor", "4", "--partitions", "1")
    t.run("topics-create-unknown-broker", "kafka-topics", "--create", "--topic", "four", "--replica-assignment", "1:9")
    t.run("topics-create-unequal", "kafka-topics", "--create", "--topic", "four", "--replica-assignment", "1:2,3")
    t.run("topics-alter-assigned", "kafka-topics", "--alter", "--topic", "plain", "--partitions", "3", "--replica-assignment", "1:2:3,2:3:1,3:2:1")
    t.run("topics-under-replicated-none", "kafka-topics", "--describe", "--under-replicated-partitions")


def quorum(t):
    t.run("quorum-status", "kafka-metadata-quorum", "describe", "--status", loose=voters)
    t.run("quorum-replication", "kafka-metadata-quorum", "describe", "--replication", loose=voters)
    nobody = "AAAAAAAAAAAAAAAAAAAABA"
    t.run("quorum-remove", "kafka-metadata-quorum", "remove-controller", "--controller-id", "3", "--controller-directory-id", nobody)


def features(t):
    say = lambda name, *args: t.run(f"features-{name}", "kafka-features", *args, loose=epochs)
    say("describe", "describe")
    say("describe-node", "describe", "--node-id", "2")
    say("upgrade-same", "upgrade", "--feature", "group.version=1")
    say("upgrade-unknown", "upgrade", "--feature", "nope.version=1")
    say("upgrade-too-high", "upgrade", "--feature", "transaction.version=9")
    say("downgrade-dry", "downgrade", "--feature", "transaction.version=1", "--dry-run")
    say("downgrade", "downgrade", "--feature", "transaction.version=1")
    say("downgrade-as-upgrade", "upgrade", "--feature", "transaction.version=0")
    say("upgrade-as-downgrade", "downgrade", "--feature", "transaction.version=2")
    say("upgrade", "upgrade", "--feature", "transaction.version=2")
    say("downgrade-metadata-dry", "downgrade", "--metadata", "4.2-IV1", "--dry-run")
    say("downgrade-metadata-far", "downgrade", "--metadata", "3.3-IV0", "--dry-run")
    say("downgrade-release-dry", "downgrade", "--release-version", "4.1", "--dry-run")
    say("disable", "disable", "--feature", "share.version", "--dry-run")
    say("two-of-which-one-is-wrong", "upgrade", "--feature", "group.version=1", "--feature", "share.version=77")
    say("describe-after", "describe")
    say("upgrade-release-dry", "upgrade", "--release-version", "4.3", "--dry-run")


def configs(t):
    say = lambda name, *args, **kw: t.run(f"configs-{name}", "kafka-configs", *args, **kw)
    broker, default = ("--entity-type", "brokers", "--entity-name", "2"), ("--entity-type", "brokers", "--entity-default")
    say("broker", "--alter", *broker, "--add-config", "log.cleaner.threads=2,num.io.threads=9")
    say("default", "--alter", *default, "--add-config", "log.cleaner.threads=2,message.max.bytes=2000000")
    say("broker-describe", "--describe", *broker)
    say("broker-1-describe", "--describe", "--entity-type", "brokers", "--entity-name", "1")
    say("default-describe", "--describe", *default)
    say("brokers-describe", "--describe", "--entity-type", "brokers")
    say("broker-all", "--describe", "--all", *broker, loose=own)
    say("broker-min-insync", "--alter", *broker, "--add-config", "min.insync.replicas=2")
    say("default-min-insync", "--alter", *default, "--add-config", "min.insync.replicas=2")
    say("default-min-insync-describe", "--describe", *default)
    say("default-min-insync-removed", "--alter", *default, "--delete-config", "min.insync.replicas")
    say("default-min-insync-back", "--alter", *default, "--add-config", "min.insync.replicas=1")
    say("default-wrong", "--alter", *default, "--add-config", "message.max.bytes=many")
    say("broker-only-as-default", "--alter", *default, "--add-config", "listeners=PLAINTEXT://:1")
    say("broker-read-only", "--alter", *broker, "--add-config", "broker.id=7")
    say("broker-delete", "--alter", *broker, "--delete-config", "log.cleaner.threads,num.io.threads")
    say("default-delete", "--alter", *default, "--delete-config", "log.cleaner.threads,message.max.bytes")
    say("default-too-many-threads", "--alter", *default, "--add-config", "log.cleaner.threads=30,message.max.bytes=2000000")
    say("topic-describe", "--describe", "--entity-type", "topics", "--entity-name", "elr")


def cluster(t):
    say = lambda name, *args: t.run(f"cluster-{name}", "kafka-cluster", *args)
    say("id", "cluster-id")
    t.run("cluster-endpoints", "kafka-cluster", "list-endpoints", loose=lines)
    say("unregister-unknown", "unregister", "--id", "9")
    t.run("log-dirs", "kafka-log-dirs", "--describe", "--topic-list", "plain,moved", loose=folders)
    t.run("log-dirs-of-two", "kafka-log-dirs", "--describe", "--topic-list", "plain", "--broker-list", "1,3", loose=folders)
    t.run("log-dirs-unknown", "kafka-log-dirs", "--describe", "--broker-list", "1,9")


def reassign(t):
    def say(name, *args, **kw):
        t.run(f"reassign-{name}", "kafka-reassign-partitions", *args, **kw)
    subprocess.run(["kcat", "-b", t.alive(), "-P", "-t", "moved", "-p", "0", "-X", "acks=all"], input=("x" * 999 + "\n") * 6000, text=True, check=True, timeout=90)
    topics = t.file("topics", {"version": 1, "topics": [{"topic": "plain"}, {"topic": "moved"}]})
    slow = t.file("slow", plan(("moved", 0, [3, 2]), ("moved", 1, [2, 1])))
    more = t.file("more", plan(("moved", 1, [2, 3])))
    quick = t.file("quick", plan(("moved", 2, [2, 3]), ("plain", 0, [3, 2, 1])))
    file = lambda path: ("--reassignment-json-file", path)
    say("generate", "--generate", "--topics-to-move-json-file", topics, "--broker-list", "1,2,3", loose=proposed)
    say("generate-too-few", "--generate", "--topics-to-move-json-file", topics, "--broker-list", "1,2")
    say("generate-unknown", "--generate", "--topics-to-move-json-file", topics, "--broker-list", "1,2,9")
    say("execute", "--execute", *file(slow), "--throttle", "2000")
    say("list", "--list")
    say("verify-under-way", "--verify", *file(slow))
    t.run("topics-describe-moving", "kafka-topics", "--describe", "--topic", "moved")
    t.run("topics-describe-under-replicated-moving", "kafka-topics", "--describe", "--under-replicated-partitions")
    t.run("configs-topic-throttled", "kafka-configs", "--describe", "--entity-type", "topics", "--entity-name", "moved")
    t.run("configs-broker-throttled", "kafka-configs", "--describe", "--entity-type", "brokers", loose=lines)
    say("execute-again", "--execute", *file(more), "--throttle", "2000")
    say("execute-in-addition", "--execute", *file(quick), "--throttle", "3000", "--additional")
    say("cancel", "--cancel", *file(slow))
    t.in_sync("moved", "plain")
    t.until(lambda: "No partition" in t.ask("kafka-reassign-partitions", "--list").stdout, "no reassignment is left")
    say("list-none", "--list")
    say("cancel-nothing", "--cancel", *file(slow))
    say("verify-cancelled", "--verify", *file(slow))
    say("verify-done", "--verify", *file(quick))
    t.run("topics-describe-moved", "kafka-topics", "--describe", "--topic", "moved")
    say("unknown-broker", "--execute", *file(t.file("unknown", plan(("moved", 0, [1, 9])))))
    say("unknown-partition", "--execute", *file(t.file("nowhere", plan(("moved", 7, [1, 2]), ("absent", 0, [1])))))
    say("fewer", "--execute", *file(t.file("fewer", plan(("plain", 1, [2])))))
    t.until(lambda: "No partition" in t.ask("kafka-reassign-partitions", "--list").stdout, "no reassignment is left")
    say("other-factor", "--execute", *file(t.file("other", plan(("plain", 1, [2, 3])))), "--disallow-replication-factor-change")
    t.run("topics-describe-fewer", "kafka-topics", "--describe", "--topic", "plain")
    t.run("configs-topic-after", "kafka-configs", "--describe", "--entity-type", "topics", "--entity-name", "moved")


def one_away(t):
    """A node dies: what is under its minimum, eligible, and led by nobody."""
    flags = ("under-replicated", "unavailable", "under-min-isr", "at-min-isr")
    t.c[VICTIM].kill()
    t.away(VICTIM, *TOPICS)
    t.run("topics-describe-one-away", "kafka-topics", "--describe", "--exclude-internal")
    for flag in flags:
        t.run(f"topics-{flag}", "kafka-topics", "--describe", f"--{flag}-partitions", "--exclude-internal")
    t.run("quorum-status-one-away", "kafka-metadata-quorum", "describe", "--status", loose=voters)
    t.run("cluster-endpoints-one-away", "kafka-cluster", "list-endpoints", loose=lines)
    t.run("cluster-endpoints-fenced", "kafka-cluster", "list-endpoints", "--include-fenced-brokers", loose=lines)
    t.run("log-dirs-one-away", "kafka-log-dirs", "--describe", "--topic-list", "plain", loose=folders)
    t.run("election-preferred-away", "kafka-leader-election", "--election-type", "preferred", "--topic", "plain", "--partition", "2")
    t.run("election-preferred-all-away", "kafka-leader-election", "--election-type", "preferred", "--all-topic-partitions", loose=lines)
    t.run("election-unclean-nobody", "kafka-leader-election", "--election-type", "unclean", "--topic", "only", "--partition", "0")
    t.run("topics-create-on-fenced", "kafka-topics", "--create", "--topic", "fenced", "--replica-assignment", "3")
    t.c[VICTIM].start()
    t.in_sync(*TOPICS)
    t.run("topics-describe-back", "kafka-topics", "--describe", "--exclude-internal")
    t.run("election-preferred", "kafka-leader-election", "--election-type", "preferred", "--topic", "pair", "--partition", "0")
    t.run("election-preferred-again", "kafka-leader-election", "--election-type", "preferred", "--topic", "pair", "--partition", "0")
    t.run("election-unknown", "kafka-leader-election", "--election-type", "preferred", "--topic", "nope", "--partition", "0")
    t.run("election-unclean-needless", "kafka-leader-election", "--election-type", "unclean", "--topic", "plain", "--partition", "0")
    elect = t.file("elect", {"partitions": [{"topic": "plain", "partition": p} for p in (0, 1, 2)] + [{"topic": "nope", "partition": 0}]})
    t.run("election-file", "kafka-leader-election", "--election-type", "preferred", "--path-to-json-file", elect, loose=lines)
    t.run("election-all", "kafka-leader-election", "--election-type", "preferred", "--all-topic-partitions", loose=lines)


def both_away(t):
    """One replica falls behind, the other dies: only an unclean election brings the partition back."""
    t.c[OTHER].kill()
    t.away(OTHER, *TOPICS)
    t.c[VICTIM].kill()
    t.c[OTHER].start()
    t.away(VICTIM, *TOPICS)
    t.until(lambda: "Leader: none" in t.describe("unclean"), "nobody leads")
    t.run("topics-describe-unclean", "kafka-topics", "--describe", "--topic", "unclean")
    t.run("topics-describe-pair-none", "kafka-topics", "--describe", "--topic", "pair")
    t.run("election-preferred-none", "kafka-leader-election", "--election-type", "preferred", "--topic", "unclean", "--partition", "0")
    t.run("election-unclean", "kafka-leader-election", "--election-type", "unclean", "--topic", "unclean", "--partition", "0")
    t.run("topics-describe-elected", "kafka-topics", "--describe", "--topic", "unclean")
    t.c[VICTIM].start()
    t.in_sync("elr", "unclean", "pair", "only")
    t.run("topics-describe-healed", "kafka-topics", "--describe", "--topic", "unclean")


def gone(t):
    """A node that is taken out of the cluster, and comes again."""
    t.c[VICTIM].stop()
    t.away(VICTIM, *TOPICS)
    t.run("topics-describe-stopped", "kafka-topics", "--describe", "--exclude-internal")
    t.run("cluster-unregister", "kafka-cluster", "unregister", "--id", str(VICTIM))
    t.run("cluster-unregister-again", "kafka-cluster", "unregister", "--id", str(VICTIM))
    t.run("cluster-endpoints-gone", "kafka-cluster", "list-endpoints", "--include-fenced-brokers", loose=lines)
    t.run("topics-describe-gone", "kafka-topics", "--describe", "--topic", "elr")
    t.c[VICTIM].start()
    t.in_sync("elr")
    t.run("cluster-endpoints-again", "kafka-cluster", "list-endpoints", "--include-fenced-brokers", loose=lines)
    t.run("topics-describe-again", "kafka-topics", "--describe", "--exclude-internal")


def raised(t):
    """The last: it changes who the voters are."""
    t.run("features-upgrade-release", "kafka-features", "upgrade", "--release-version", "4.3", loose=epochs)


def stories():
    with Cluster(3, CONFIG) as c, Shell() as sh:
        t = Three(c, sh)
        for story in (kafka_topics, quorum, features, configs, cluster, reassign, one_away, both_away, gone, raised):
            tap.run(f"three/{story.__name__}: all of it", story, t)
