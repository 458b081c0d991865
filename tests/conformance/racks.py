"""Consumers that say in which rack they are read from the replica there (KIP-392), as Kafka's own consumer sees it.

The leader of the only partition is in one rack, two followers are in others. What each broker served is what the consumer's own
figures say that came from it.
"""
import pathlib
import select
import subprocess

import tap
from broker import kafka_home
from cluster import Cluster
from shell import Shell
from three import Three

LEADER, NEAR, FAR = 1, 2, 3
RACKS = {LEADER: "a", NEAR: "b", FAR: "c"}
CONFIG = {"broker.session.timeout.ms": "4000", "broker.heartbeat.interval.ms": "500", "replica.lag.time.max.ms": "4000",
          "auto.leader.rebalance.enable": "false", "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"}
TOPIC = "racks"
# Records of a round, and bytes of each.
COUNT, SIZE = 40, 10_000
# Each consumer: its group protocol, its rack, and who serves it while all are there. A rack of nobody is as none.
READERS = {"near": ("classic", "b", NEAR), "near-new": ("consumer", "b", NEAR), "far": ("classic", "c", FAR),
           "beside-the-leader": ("classic", "a", LEADER), "nowhere": ("consumer", "z", LEADER), "silent": ("classic", "-", LEADER)}
IN_RACK_B = ("near", "near-new")


class Consumers:
    """The consumers, in a process of their own, and how far they have read."""

    def __init__(self, c):
        self.at = dict.fromkeys(READERS, 0)
        self.process = subprocess.Popen(
            ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={kafka_home()}/config/log4j2.yaml", "-cp", f"{kafka_home()}/libs/*",
             str(pathlib.Path(__file__).parent / "java/Racks.java"), c.bootstrap, TOPIC],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1)
        for name, (protocol, rack, _) in READERS.items():
            assert self.say("open", name, protocol, rack) == "opened"

    def say(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        assert select.select([self.process.stdout], [], [], 60)[0], f"no answer: {words}"
        return self.process.stdout.readline().strip()

    def read(self, name, served):
        """The next round, of which all came from the broker `served`, and nothing to speak of from another one; None is whoever it may be."""
        answer = self.say("read", name, self.at[name], COUNT)
        self.at[name] += COUNT
        word, *rest = answer.split()
        assert word == "read" and rest[0] == str(COUNT), f"{name}: {answer}"
        if served is None:
            return
        came = {int(i): int(n) for i, n in (part.split("=") for part in rest[1:])}
        assert came.pop(served, 0) >= COUNT * SIZE, f"{name}: not from {served}: {answer}"
        assert sum(came.values()) < COUNT * SIZE / 4, f"{name}: not only from {served}: {answer}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def write(t, first):
    values = "".join(f"{n} {'x' * SIZE}\n" for n in range(first, first + COUNT))
    subprocess.run(["kcat", "-b", t.alive(), "-P", "-t", TOPIC, "-X", "acks=all", "-X", "message.timeout.ms=60000"], input=values, text=True, check=True, timeout=90)


def near_replica_serves(t, consumers):
    """Twice: at first a leader tells a consumer where to read, then it goes on there."""
    for n in range(2):
        write(t, n * COUNT)
        for name, (_, _, served) in READERS.items():
            consumers.read(name, served)


def near_replica_dies(t, consumers):
    """Who read there goes on at the leader."""
    t.c[NEAR].kill()
    write(t, 2 * COUNT)
    for name, (_, _, served) in READERS.items():
        consumers.read(name, LEADER if served == NEAR else served)


def near_replica_is_back(t, consumers):
    t.c[NEAR].start()
    t.in_sync(TOPIC)
    # What waited at the leader all the while is answered there.
    for n, served in ((3, None), (4, NEAR)):
        write(t, n * COUNT)
        for name in IN_RACK_B:
            consumers.read(name, served)


def leader_dies(t, consumers):
    """Who reads from a follower is not concerned, whichever follower leads now."""
    t.c[LEADER].kill()
    t.away(LEADER, TOPIC)
    write(t, 5 * COUNT)
    for name in IN_RACK_B:
        consumers.read(name, NEAR)


def stories():
    with Cluster(3, CONFIG, each={i: {"broker.rack": rack} for i, rack in RACKS.items()}) as c, Shell() as sh:
        t = Three(c, sh)
        t.ask("kafka-topics", "--create", "--topic", TOPIC, "--replica-assignment", f"{LEADER}:{NEAR}:{FAR}")
        t.in_sync(TOPIC)
        with Consumers(c) as consumers:
            for story in (near_replica_serves, near_replica_dies, near_replica_is_back, leader_dies):
                tap.run(f"racks/{story.__name__}", story, t, consumers)
        c.end()
