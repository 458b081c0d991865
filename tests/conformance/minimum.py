"""Records with acks=all while fewer replicas are in sync than `min.insync.replicas` says, asked for on the wire: which error, and when.

Apache Kafka answers NOT_ENOUGH_REPLICAS before anything is appended, and nothing else at once: what was appended when there were
enough is not committed while there are too few (KIP-966), so its producer hears of it when they are enough again, or that its time
is up. NOT_ENOUGH_REPLICAS_AFTER_APPEND is left to a race inside of Kafka, and asked for by nothing here.
"""
import signal
import subprocess
import threading
import time

import tap
import wire
from cluster import BROKER, COMBINED, Cluster
from shell import Shell
from three import Three

DONE, TIMED_OUT, NOT_ENOUGH = 0, 7, 19
# The controller must not stall with the followers.
ROLES = [COMBINED, BROKER, BROKER]
LEADER, FOLLOWERS = 1, (2, 3)
LAG = 4000
CONFIG = {"broker.session.timeout.ms": "4000", "broker.heartbeat.interval.ms": "500", "replica.lag.time.max.ms": str(LAG), "auto.leader.rebalance.enable": "false"}
TOPIC = "minimum"
# Times of requests in ms: one that is up before a silent follower can leave the ISR, one that is up behind that, one that is not up.
SHORT, LONG, ENDLESS = 1500, 9000, 60_000
# By so much later than asked may an answer be.
LATE = 2.5


class Asked:
    """A record that is on its way: its error code, and after how many seconds it was told."""

    def __init__(self, c, value, timeout_ms):
        self.code = self.seconds = None
        self.begun, self.timeout = time.time(), timeout_ms / 1000
        self.thread = threading.Thread(target=self.run, args=(c[LEADER].port, value, timeout_ms), daemon=True)
        self.thread.start()

    def run(self, port, value, timeout_ms):
        self.code = wire.produce(port, TOPIC, 0, value, timeout=timeout_ms / 1000 + 20, timeout_ms=timeout_ms)
        self.seconds = time.time() - self.begun

    def told(self, code, at_end):
        """It must be told this: when its time is up, or long before."""
        self.thread.join(self.timeout + 25)
        assert self.code == code, f"{self.code} after {self.seconds} s, not {code}"
        if at_end:
            assert self.timeout - 0.1 <= self.seconds < self.timeout + LATE, f"told after {self.seconds:.1f} s of {self.timeout}"
        else:
            assert self.seconds < LATE, f"told after {self.seconds:.1f} s"


def ends(c):
    """What consumers may read up to, and what the leader has."""
    return wire.latest(c[LEADER].port, TOPIC, 0), wire.latest(c[LEADER].port, TOPIC, 0, replica=-2)


def stalled(c, *nodes):
    for node in nodes:
        c[node].process.send_signal(signal.SIGSTOP)


def resumed(c, *nodes):
    for node in nodes:
        c[node].process.send_signal(signal.SIGCONT)


def in_sync(t, *nodes):
    t.until(lambda: sorted(wire.metadata(t.c[LEADER].port, TOPIC)[0][2]) == sorted(nodes), f"{nodes} in sync")


def too_few_after(t):
    """Both followers stall with records on their way to them, and leave the ISR meanwhile."""
    c = t.c
    Asked(c, b"0", SHORT).told(DONE, at_end=False)
    assert ends(c) == (1, 1)
    stalled(c, *FOLLOWERS)
    short, long, endless = Asked(c, b"1", SHORT), Asked(c, b"2", LONG), Asked(c, b"3", ENDLESS)
    short.told(TIMED_OUT, at_end=True)
    in_sync(t, LEADER)
    assert long.code is None and endless.code is None, "they are told too soon"
    assert ends(c) == (1, 4), ends(c)
    too_few_before(t)
    long.told(TIMED_OUT, at_end=True)
    assert ends(c)[0] == 1 and endless.code is None
    resumed(c, *FOLLOWERS)
    endless.thread.join(40)
    assert endless.code == DONE, endless.code
    in_sync(t, LEADER, *FOLLOWERS)
    # What timed out is there none the less.
    Asked(c, b"5", SHORT).told(DONE, at_end=False)
    assert ends(c) == (6, 6), ends(c)


def too_few_before(t):
    """Nothing is appended, and it is told at once; a producer that asks for less is served."""
    before = ends(t.c)
    Asked(t.c, b"no", ENDLESS).told(NOT_ENOUGH, at_end=False)
    assert ends(t.c) == before
    assert wire.produce(t.c[LEADER].port, TOPIC, 0, b"4", acks=1) == DONE
    assert ends(t.c) == (before[0], before[1] + 1), ends(t.c)


def minimum_is_raised(t):
    """With one record on its way: those that have it soon are fewer than the new minimum."""
    c = t.c
    before = ends(c)[0]
    stalled(c, FOLLOWERS[1])
    long, endless = Asked(c, b"6", LONG), Asked(c, b"7", ENDLESS)
    t.until(lambda: ends(c)[1] == before + 2, "both are appended")
    wire.set_topic_config(c[LEADER].port, TOPIC, "min.insync.replicas", "3")
    in_sync(t, LEADER, FOLLOWERS[0])
    Asked(c, b"no", ENDLESS).told(NOT_ENOUGH, at_end=False)
    long.told(TIMED_OUT, at_end=True)
    assert ends(c) == (before, before + 2), ends(c)
    wire.set_topic_config(c[LEADER].port, TOPIC, "min.insync.replicas", "2")
    # Kafka looks again when something is fetched that is new.
    t.until(lambda: wire.produce(c[LEADER].port, TOPIC, 0, b"8") == DONE, "the minimum is lowered", wait=20)
    endless.thread.join(10)
    assert endless.code == DONE, endless.code
    resumed(c, FOLLOWERS[1])
    in_sync(t, LEADER, *FOLLOWERS)
    high, end = ends(c)
    assert high == end == before + 3, (high, end)


def all_there(t):
    """What was told of as done, or as too late, is there once, in order; what was refused is not."""
    p = subprocess.run(["kcat", "-b", t.c.bootstrap, "-C", "-t", TOPIC, "-p", "0", "-o", "beginning", "-e", "-q"], capture_output=True, text=True, check=True, timeout=60)
    words = p.stdout.split()
    # Those of one moment come in any order.
    assert words[0] == "0" and sorted(words[1:4]) == ["1", "2", "3"] and words[4:6] == ["4", "5"], words
    assert sorted(words[6:8]) == ["6", "7"] and words[8:] == ["8"], words


def stories():
    with Cluster(3, CONFIG, roles=ROLES) as c, Shell() as sh:
        t = Three(c, sh)
        # The records' timestamps are from long ago.
        t.ask("kafka-topics", "--create", "--topic", TOPIC, "--replica-assignment", ":".join(map(str, (LEADER, *FOLLOWERS))),
              "--config", "min.insync.replicas=2", "--config", "retention.ms=-1")
        t.in_sync(TOPIC)
        for story in (too_few_after, minimum_is_raised, all_there):
            tap.run(f"minimum/{story.__name__}", story, t)
        c.end()
