"""Leaders that lack records: elected because a person asks for it, or because a topic, the broker that leads the quorum or
the cluster prefers such a leader to none. What Kafka's tools print must be what they print of Apache Kafka, see three.py.

Node 3 leads every partition and has all; node 2 was away for the second half of the records when node 3 dies.
"""
import subprocess
import time

import tap
from broker import kafka_home
from cluster import Cluster
from shell import Shell
from three import Three

HAS_ALL, BEHIND = 3, 2
# How often leaderless partitions are looked at, and after how long nothing comes any more.
EVERY, NEVER = 500, 4
CONFIG = {"broker.session.timeout.ms": "4000", "broker.heartbeat.interval.ms": "500", "replica.lag.time.max.ms": "4000",
          "auto.leader.rebalance.enable": "false", "unclean.leader.election.interval.ms": str(EVERY)}
KEY = "unclean.leader.election.enable"
# Each has one partition, and what it says for itself at first.
TOPICS = {"asked": None, "own": "true", "changed": None, "by-broker": None, "by-cluster": "false", "kept": "false"}
ELECTED = [topic for topic in TOPICS if topic != "kept"]
HALF, FEW = 100, 50


def write(t, topic, word, n):
    subprocess.run(["kcat", "-b", t.alive(), "-P", "-t", topic, "-X", "acks=all", "-X", "message.timeout.ms=60000"],
                   input="".join(f"{word}-{i}\n" for i in range(n)), text=True, check=True, timeout=90)


def read(t, topic):
    p = subprocess.run(["kcat", "-b", t.alive(), "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q"], capture_output=True, text=True, check=True, timeout=90)
    return p.stdout.split()


def words(**counts):
    return [f"{word}-{i}" for word, n in counts.items() for i in range(n)]


def leader(t, topic):
    return t.describe(topic).split("Leader: ")[1].split()[0]


def alter(t, name, kind, entity, change):
    of = ("--entity-default",) if entity is None else ("--entity-name", entity)
    t.run(f"unclean-{name}", "kafka-configs", "--alter", "--entity-type", kind, *of, *change)


def stories():
    with Cluster(3, CONFIG) as c, Shell() as sh:
        t = Three(c, sh)
        tap.run("three/unclean: all of it", story, t)


def story(t):
    for topic, own in TOPICS.items():
        t.ask("kafka-topics", "--create", "--topic", topic, "--replica-assignment", f"{HAS_ALL}:{BEHIND}", *(["--config", f"{KEY}={own}"] if own else []))
    t.in_sync(*TOPICS)
    for topic in TOPICS:
        write(t, topic, "both", HALF)
    t.c[BEHIND].kill()
    t.away(BEHIND, *TOPICS)
    for topic in TOPICS:
        write(t, topic, "one", HALF)
    seen = t.c.folder / "seen"
    with open(seen, "wb") as out, subprocess.Popen(
            [kafka_home() / "bin/kafka-console-consumer.sh", "--bootstrap-server", t.c.bootstrap, "--topic", "asked", "--partition", "0", "--offset", "earliest",
             "--max-messages", str(2 * HALF + FEW), "--timeout-ms", "120000"], stdout=out, stderr=subprocess.DEVNULL) as consumer:
        try:
            elected(t, seen, consumer)
        finally:
            consumer.kill()


def elected(t, seen, consumer):
    t.until(lambda: len(seen.read_text().split()) == 2 * HALF, "the consumer has all")
    t.c[HAS_ALL].kill()
    t.c[BEHIND].start()
    t.away(HAS_ALL, *TOPICS)
    t.until(lambda: leader(t, "own") == str(BEHIND), "the topic's own setting elects")
    t.run("unclean-nobody-leads", "kafka-topics", "--describe", "--exclude-internal")
    t.run("unclean-asked", "kafka-leader-election", "--election-type", "unclean", "--topic", "asked", "--partition", "0")
    alter(t, "topic-changed", "topics", "changed", ("--add-config", f"{KEY}=true"))
    t.until(lambda: leader(t, "changed") == str(BEHIND), "a topic's setting that changes elects")
    # Of the two that are left one leads the quorum, and its setting counts.
    for node in (1, BEHIND):
        alter(t, f"broker-{node}-changed", "brokers", str(node), ("--add-config", f"{KEY}=true"))
    t.until(lambda: leader(t, "by-broker") == str(BEHIND), "a broker's setting elects")
    for node in (1, BEHIND):
        alter(t, f"broker-{node}-back", "brokers", str(node), ("--delete-config", KEY))
    alter(t, "cluster-changed", "brokers", None, ("--add-config", f"{KEY}=true"))
    time.sleep(NEVER)
    t.run("unclean-topics-say-no", "kafka-topics", "--describe", "--exclude-internal")
    alter(t, "topic-says-nothing", "topics", "by-cluster", ("--delete-config", KEY))
    t.until(lambda: leader(t, "by-cluster") == str(BEHIND), "the cluster's setting elects")
    t.run("unclean-cluster-described", "kafka-configs", "--describe", "--entity-type", "brokers", "--entity-default")
    t.run("unclean-topic-described", "kafka-configs", "--describe", "--entity-type", "topics", "--entity-name", "kept")
    t.run("unclean-all-elected", "kafka-topics", "--describe", "--exclude-internal")

    for topic in ELECTED:
        write(t, topic, "new", FEW)
        assert read(t, topic) == words(both=HALF, new=FEW), topic
    # A consumer that was further than the new leader goes back to where the two logs part.
    assert consumer.wait(120) == 0
    assert seen.read_text().split() == words(both=HALF, one=HALF, new=FEW), seen.read_text().split()[HALF:]

    # Who was elected without knowing all is followed: what the other had alone is cut off.
    t.c[HAS_ALL].start()
    t.in_sync(*TOPICS)
    t.run("unclean-healed", "kafka-topics", "--describe", "--exclude-internal")
    for topic in TOPICS:
        t.ask("kafka-leader-election", "--election-type", "preferred", "--topic", topic, "--partition", "0")
        assert leader(t, topic) == str(HAS_ALL), topic
        assert read(t, topic) == (words(both=HALF, new=FEW) if topic in ELECTED else words(both=HALF, one=HALF)), topic
