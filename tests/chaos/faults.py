"""What a machine and its network do to nodes: cables cut, a disk full, a clock changed, a controller that sleeps.

Kafka's Java producer works all the while. Afterwards every acknowledged record is there exactly once, in order.
"""
import pathlib
import platform
import re
import signal
import subprocess
import tempfile
import time

import tap
from broker import KAFKA, tool
from cluster import Cluster, all_in_sync
from load import FAST, Load, create
from network import Network

# A request to a host that is silent is given up after this; the producer's own 30 s would only make the stories longer.
IMPATIENT = {"request_timeout_ms": 3000, "delivery_timeout_ms": 120000}
FAKETIME = pathlib.Path(f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketimeMT.so.1")


def others(c, node):
    """The addresses of all brokers but one."""
    return ",".join(n.bootstrap for i, n in c.nodes.items() if i != node and "broker" in n.role)


def quorum_leader(c, bootstrap=None):
    """Which node leads the metadata quorum."""
    status = tool("kafka-metadata-quorum", "--bootstrap-server", bootstrap or c.bootstrap, "describe", "--status").stdout
    return int(re.search(r"LeaderId:\s+(-?\d+)", status)[1])


def led_by_others(c, topic, node, wait=60):
    """Until all partitions of a topic have leaders, and a node that is out of reach is none of them."""
    end = time.time() + wait
    while True:
        leaders = re.findall(r"Leader: (\S+)", tool("kafka-topics", "--bootstrap-server", others(c, node), "--describe", "--topic", topic).stdout)
        if leaders and not {"none", str(node)} & set(leaders):
            return
        assert time.time() < end, f"led by {leaders}, without {node}"


def unplugged(c, network, topic, victim):
    load = Load(c, topic, 80_000, 8_000, **IMPATIENT)
    load.wait_acked(10_000)
    network.unplug(victim)
    try:
        led_by_others(c, topic, victim)
        load.goes_on()
    finally:
        network.plug(victim)
    figures = load.verified()
    # The session is 3 s, and so long does the producer wait for an answer: nobody waits for a host that is silent besides.
    assert KAFKA or figures["stall"] < 15_000, figures
    c.wait_partitions(all_in_sync, topic)


def leader_unplugged(c, network):
    """The host of a leader is out of reach for everybody, and never learns of it."""
    leader = create(c, "unplugged", 3)["unplugged", 0][0]
    unplugged(c, network, "unplugged", leader)


def controller_unplugged(c, network):
    """The same for the host of the active controller."""
    create(c, "headless", 3)
    before = quorum_leader(c)
    unplugged(c, network, "headless", before)


def two_cut(c, network):
    """Two hosts do not hear each other, and the third one hears both."""
    a, b = sorted(create(c, "cut", 3)["cut", 0][1])[:2]
    load = Load(c, "cut", 80_000, 8_000, **IMPATIENT)
    load.wait_acked(10_000)
    network.cut(a, b)
    try:
        # One of the two loses its place in sync where the other one leads.
        c.wait_partitions(lambda p: any(len(isr) < 3 for _, _, isr in p.values()), "cut")
        load.goes_on()
    finally:
        network.mend(a, b)
    load.verified()
    c.wait_partitions(all_in_sync, "cut")


def controller_sleeps(c):
    """SIGSTOP of the active controller: another one takes over, and the one that wakes up changes nothing."""
    create(c, "asleep", 3)
    load = Load(c, "asleep", 80_000, 8_000, **IMPATIENT)
    load.wait_acked(10_000)
    victim = quorum_leader(c)
    c[victim].process.send_signal(signal.SIGSTOP)
    try:
        end = time.time() + 60
        while (leader := quorum_leader(c, others(c, victim))) in (-1, victim):
            assert time.time() < end, f"{leader} leads the quorum, and sleeps"
        led_by_others(c, "asleep", victim)
        load.goes_on()
    finally:
        c[victim].process.send_signal(signal.SIGCONT)
    load.verified()
    c.wait_partitions(all_in_sync, "asleep")


class Clock:
    """The clock of one node: `within` its environment, set by a file that says how far off it is."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="ottla-clock-")
        self.file = pathlib.Path(self.folder.name) / "offset"
        self.file.write_text("+0")
        assert FAKETIME.exists(), f"{FAKETIME} is not installed: tests/install chaos"
        # Waits go by the clock that only runs ahead, as they do on a machine whose time is set.
        self.env = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
                    "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}

    def set(self, offset):
        # At once: a file that is read half would be no offset.
        fresh = self.file.with_suffix(".new")
        fresh.write_text(offset)
        fresh.rename(self.file)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()


def off(c):
    """How many seconds ahead the leader of `stamped` believes to be, by the time it stamps on a record."""
    subprocess.run(["kcat", "-b", c.bootstrap, "-P", "-t", "stamped"], input="x\n", text=True, check=True, timeout=60)
    p = subprocess.run(["kcat", "-b", c.bootstrap, "-C", "-t", "stamped", "-o", "-1", "-e", "-q", "-f", "%T"], capture_output=True, text=True, check=True, timeout=60)
    return int(p.stdout) / 1000 - time.time()


def clock_changed(c, clock, node):
    """The clock of a node jumps by hours, ahead and back: no leader changes, and no record is lost."""
    tool("kafka-topics", "--bootstrap-server", c.bootstrap, "--create", "--topic", "stamped", "--replica-assignment", node,
         "--config", "message.timestamp.type=LogAppendTime", "--config", "min.insync.replicas=1")
    placed = create(c, "clock", 3)
    load = Load(c, "clock", 120_000, 8_000)
    for at, offset, seconds in ((10_000, "+20h", 72_000), (40_000, "-40m", -2_400), (70_000, "+0", 0)):
        load.wait_acked(at)
        clock.set(offset)
        end = time.time() + 10
        while abs(off(c) - seconds) > 5:
            assert time.time() < end, f"the clock is {off(c)} s off, not {seconds}"
        load.goes_on(10_000)
    load.verified()
    found = c.wait_partitions(all_in_sync, "clock")
    assert {k: v[0] for k, v in found.items()} == {k: v[0] for k, v in placed.items()}, f"{placed}, then {found}"


class SmallDisk:
    """A file system of a few megabytes."""

    def __init__(self, size):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="ottla-disk-"))
        try:
            self.mount("-t", "tmpfs", "-o", f"size={size}", "none", self.path)
        except BaseException:
            self.path.rmdir()
            raise

    def mount(self, *words):
        p = subprocess.run(["mount", *map(str, words)], capture_output=True, text=True)
        assert p.returncode == 0, f"mount: {p.stderr.strip()} (mounting needs the rights of root)"

    def grow(self, size):
        self.mount("-o", f"remount,size={size}", self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", str(self.path)], check=True)
        self.path.rmdir()


def disk_full(c, disk, node):
    """One of a node's two log directories is full: what is there is led by others, what is in the other one goes on."""
    create(c, "full", 6)
    partitions = {p.name for p in (disk.path / "data").glob("full-*")}
    assert 0 < len(partitions) < 6, f"the partitions of node {node} are not spread over its directories: {partitions}"
    load = Load(c, "full", 60_000, 4_000, 1000)
    lost = lambda p: all(node not in isr for (_, n), (_, _, isr) in p.items() if f"full-{n}" in partitions)
    found = c.wait_partitions(lost, "full", wait=90)
    assert all(leader not in (-1, node) for (_, n), (leader, _, _) in found.items() if f"full-{n}" in partitions), found
    kept = {n: (leader, isr) for (_, n), (leader, _, isr) in found.items() if f"full-{n}" not in partitions}
    assert all(node in isr for _, isr in kept.values()), f"the other directory's partitions are gone too: {kept}"
    assert c[node].alive(), c[node].output()[-1500:]
    load.goes_on(5_000)
    load.verified()
    told = [line for line in c[node].output().splitlines() if "No space left" in line]
    assert told or KAFKA, "the node does not say what happened"
    if told:
        print(f"  {told[0]}", flush=True)
    # The disk is made larger, and the node started again: it catches up.
    disk.grow("256m")
    c[node].stop()
    c[node].start()
    c.wait_partitions(all_in_sync, "full")


def run():
    with Network(3) as network, Cluster(3, FAST, network=network) as c:
        for story in (leader_unplugged, controller_unplugged, two_cut):
            tap.run(f"network/{story.__name__}", story, c, network)
        tap.run("network/controller_sleeps", controller_sleeps, c)
    with Clock() as clock, SmallDisk("12m") as disk, tempfile.TemporaryDirectory(prefix="ottla-disk-") as large:
        folders = {"log.dirs": f"{large}/data,{disk.path}/data", "metadata.log.dir": f"{large}/data"}
        with Cluster(3, {**FAST, "log.segment.bytes": "4194304"}, each={3: folders}, env={2: clock.env}) as c:
            tap.run("machine/clock_changed", clock_changed, c, clock, 2)
            tap.run("machine/disk_full", disk_full, c, disk, 3)
