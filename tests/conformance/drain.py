"""The goals of `ottla reassign-partitions --generate` that Kafka's tool has not: proposed, executed and verified on three nodes
with two log directories each, and looked at where it counts: in what the cluster says, and on the disks.

With BROKER=kafka the same binary moves the replicas of Apache Kafka. Kafka's tool verifies each plan, too, and must print the same.
"""
import json
import re
import subprocess

import tap
from broker import binary
from cluster import Cluster
from shell import Shell
from three import Three

# Each partition has replicas everywhere in turn; those of "single" are the node's that goes.
TOPICS = {"pairs": "1:2,2:3,3:1,1:3,2:1,3:2", "single": "3,3,1"}
GOES, HALF_GOES = 3, 1
RECORDS = 200
CONFIG = {"auto.leader.rebalance.enable": "false", "log.segment.delete.delay.ms": "500"}
COMMAND = "reassign-partitions"


class Drained(Three):
    """Three nodes, Kafka's tools, and Ottla's."""

    def ottla(self, *args):
        return subprocess.run([binary(), COMMAND, "--bootstrap-server", self.c.bootstrap, *map(str, args)], capture_output=True, text=True, timeout=90)

    def proposal(self, *goal):
        """What --generate prints: the partitions that move with their replicas as they are, and what it proposes."""
        p = self.ottla("--generate", *goal)
        assert p.returncode == 0, p.stdout + p.stderr
        found = re.fullmatch(r"Current partition replica assignment\n(.*)\n\nProposed partition reassignment configuration\n(.*)\n", p.stdout)
        assert found, p.stdout
        return [json.loads(text)["partitions"] for text in found.groups()]

    def replicas(self):
        """Each partition of all topics, with its replicas."""
        rows = re.findall(r"Topic: (\S+)\s+Partition: (\d+)\s+Leader: \S+\s+Replicas: (\S+)", self.ask("kafka-topics", "--describe").stdout)
        return {(topic, int(p)): [int(i) for i in replicas.split(",")] for topic, p, replicas in rows}

    def executed(self, proposed):
        """Until the proposal is done, by the word of both tools, and what is proposed is what is."""
        file = self.file("plan", {"version": 1, "partitions": proposed})
        p = self.ottla("--execute", "--reassignment-json-file", file)
        assert p.returncode == 0 and "Successfully started partition reassignment" in p.stdout, p.stdout + p.stderr
        verify = ("--verify", "--reassignment-json-file", file)

        def verified():
            p = self.ottla(*verify)
            assert p.returncode == 0, p.stdout + p.stderr
            return None if re.search(r"in progress|being moved|There is no active", p.stdout) else p.stdout

        told = self.until(verified, "all is moved")
        done = re.findall(r"Reassignment of partition (\S+) is completed.", told)
        assert sorted(done) == sorted(f"{row['topic']}-{row['partition']}" for row in proposed), told
        named = sum(folder != "any" for row in proposed for folder in row.get("log_dirs", ()))
        assert len(re.findall(r"Reassignment of replica \S+ completed successfully.", told)) == named, told
        theirs = self.ask("kafka-reassign-partitions", *verify).stdout
        assert lines(theirs) == lines(told), f"Kafka's tool:\n{theirs}\nottla:\n{told}"
        now = self.replicas()
        for row in proposed:
            assert now[row["topic"], row["partition"]] == row["replicas"], (row, now)
        self.in_sync(*TOPICS)

    def folders(self, node, of=None):
        """The directories of the topics' partitions on the disks of a node, or in one log directory of it; those that are being deleted, too."""
        return [f for d in self.dirs(node) if of in (None, d) for f in d.iterdir() if f.name.startswith(tuple(TOPICS))]

    def dirs(self, node):
        return [self.c[node].folder / name for name in "ab"]

    def refused(self, why, *goal):
        p = self.ottla("--generate", *goal)
        assert p.returncode == 1 and why in p.stdout + p.stderr and "Proposed" not in p.stdout, (p.returncode, p.stdout, p.stderr)


def lines(text):
    """In no order, as are the topics in one of them."""
    return sorted(re.sub(r"[^ ]+,[^ ]+$", lambda m: ",".join(sorted(m[0].split(","))), line) for line in text.splitlines())


def write(t, topic):
    lines = "".join(f"{topic}-{n}\n" for n in range(RECORDS))
    for partition in range(TOPICS[topic].count(",") + 1):
        subprocess.run(["kcat", "-b", t.c.bootstrap, "-P", "-t", topic, "-p", str(partition), "-X", "acks=all"], input=lines, text=True, check=True, timeout=60)


def all_there(t):
    for topic, assignment in TOPICS.items():
        p = subprocess.run(["kcat", "-b", t.c.bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%p %s\n"], capture_output=True, text=True, check=True, timeout=60)
        for partition in range(assignment.count(",") + 1):
            got = [line.split()[1] for line in p.stdout.splitlines() if line.startswith(f"{partition} ")]
            assert got == [f"{topic}-{n}" for n in range(RECORDS)], (topic, partition, len(got))


def rows(partitions):
    return {(row["topic"], row["partition"]): row for row in partitions}


def broker_is_drained(t):
    """Nothing is left on it, in metadata and on its disks; what was not there stays where it is."""
    before = t.replicas()
    current, proposed = t.proposal("--drain-brokers", GOES)
    had = {p for p, replicas in before.items() if GOES in replicas}
    assert set(rows(proposed)) == set(rows(current)) == had, proposed
    for p, row in rows(current).items():
        assert row["replicas"] == before[p], row
    for p, row in rows(proposed).items():
        assert GOES not in row["replicas"] and len(set(row["replicas"])) == len(before[p]), row
        # Who can stay, stays.
        assert set(before[p]) - {GOES} <= set(row["replicas"]), (before[p], row)
    t.executed(proposed)
    assert not [p for p, replicas in t.replicas().items() if GOES in replicas]
    t.until(lambda: not t.folders(GOES), f"its disks are empty: {t.folders(GOES)}")
    p = t.ottla("--generate", "--drain-brokers", GOES)
    assert p.returncode == 0 and "Nothing has to move" in p.stderr, p.stderr


def one_topic_is_spread(t):
    """The empty node gets its share, of the topic alone that a file names."""
    before = t.replicas()
    topics = t.file("topics", {"version": 1, "topics": [{"topic": "pairs"}]})
    _, proposed = t.proposal("--spread-brokers", GOES, "--topics-to-move-json-file", topics)
    assert {row["topic"] for row in proposed} == {"pairs"}, proposed
    t.executed(proposed)
    now = t.replicas()
    of = {p: replicas for p, replicas in now.items() if p[0] == "pairs"}
    held = [sum(broker in replicas for replicas in of.values()) for broker in (1, 2, 3)]
    assert sum(held) == 12 and held[GOES - 1] in (3, 4, 5), held
    assert {p: replicas for p, replicas in before.items() if p[0] != "pairs"} == {p: replicas for p, replicas in now.items() if p[0] != "pairs"}


def log_dir_is_drained(t):
    """The fuller directory of a node: its replicas go into the other one, and to no other broker."""
    before = t.replicas()
    held = sum(HALF_GOES in replicas for replicas in before.values())
    t.until(lambda: len(t.folders(HALF_GOES)) == held, "what left the node before is deleted")
    full, other = sorted(t.dirs(HALF_GOES), key=lambda d: -len(t.folders(HALF_GOES, d)))
    moving = len(t.folders(HALF_GOES, full))
    assert moving, "it holds nothing"
    _, proposed = t.proposal("--drain-log-dir", f"{HALF_GOES}:{full}")
    assert len(proposed) == moving, (moving, proposed)
    for p, row in rows(proposed).items():
        assert row["replicas"] == before[p], row
        assert row["log_dirs"][row["replicas"].index(HALF_GOES)] == str(other), row
    t.executed(proposed)
    assert t.replicas() == before
    t.until(lambda: not t.folders(HALF_GOES, full), f"it is empty: {t.folders(HALF_GOES, full)}")
    assert len(t.folders(HALF_GOES, other)) == held, (held, t.folders(HALF_GOES, other))


def replication_factor_is_changed(t):
    """Up to a replica on each node, and down to one."""
    for factor in (3, 1):
        before = t.replicas()
        _, proposed = t.proposal("--replication-factor", factor)
        for p, row in rows(proposed).items():
            small, large = sorted((before[p], row["replicas"]), key=len)
            assert len(set(row["replicas"])) == factor and set(small) < set(large), (before[p], row)
        t.executed(proposed)
        assert {len(replicas) for replicas in t.replicas().values()} == {factor}
    t.until(lambda: sum(len(t.folders(node)) for node in (1, 2, 3)) == 9, "one directory a partition")


def what_cannot_be(t):
    """Goals that this cluster cannot reach, or that name what it has not: no proposal."""
    t.refused("needs 2 replica(s), but only 1 broker(s) can hold one", "--drain-brokers", "1,2")
    t.refused("Broker list contains duplicate entries: [3]", "--drain-brokers", "3,3")
    t.refused("broker 9 is not registered", "--spread-brokers", "9")
    t.refused("has no log directory /nowhere that is online", "--drain-log-dir", "1:/nowhere")
    t.refused("is no BROKER:PATH", "--drain-log-dir", t.dirs(1)[0])
    t.refused("replica(s), but only 3 broker(s) can hold one", "--replication-factor", "4")
    t.refused("the replication factor must be 1 or more, not 0", "--replication-factor", "0")
    t.refused("Topic nope not found.", "--drain-brokers", "3", "--topics-to-move-json-file", t.file("nope", {"version": 1, "topics": [{"topic": "nope"}]}))
    t.refused("give one of", "--drain-brokers", "3", "--replication-factor", "3")


def stories():
    with Cluster(3, CONFIG, dirs="ab") as c, Shell() as sh:
        t = Drained(c, sh)
        for topic, assignment in TOPICS.items():
            t.ask("kafka-topics", "--create", "--topic", topic, "--replica-assignment", assignment)
        t.in_sync(*TOPICS)
        for topic in TOPICS:
            write(t, topic)
        for story in (what_cannot_be, broker_is_drained, one_topic_is_spread, log_dir_is_drained, replication_factor_is_changed, all_there):
            tap.run(f"drain/{story.__name__}", story, t)
        c.end()
