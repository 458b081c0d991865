"""The voters of the metadata quorum grow from one to three to five and shrink to three, under load, with Kafka's own tool;
at each size the leader changes. Afterwards every acknowledged record is there exactly once, in order."""
import re
import time

import tap
from shell import Shell
from cluster import BROKER, CONTROLLER, Cluster, all_in_sync
from load import FAST, Load, create

QUORUM = "kafka-metadata-quorum"


def status(c, wait=60):
    """Leader, epoch, and the voters with their directories, as soon as a broker knows of a leader."""
    end = time.time() + wait
    while True:
        p = c.sh(QUORUM, "--bootstrap-server", c.bootstrap, "describe", "--status", check=False)
        leader = re.search(r"LeaderId:\s+(\d+)", p.stdout)
        if leader:
            epoch = int(re.search(r"LeaderEpoch:\s+(\d+)", p.stdout)[1])
            line = re.search(r"CurrentVoters:.*", p.stdout)[0]
            voters = dict(re.findall(r'"id": (\d+), "directoryId": "([\w-]+)"', line))
            return int(leader[1]), epoch, {int(i): d for i, d in voters.items()}
        assert time.time() < end, f"no leader: {p.stdout} {p.stderr[-600:]}"


def leader_changes(c, load):
    """The leader dies; with others there another one leads, and alone it leads again in a new epoch."""
    leader, epoch, voters = status(c)
    c[leader].kill()
    if len(voters) < 3:
        c[leader].start()
    end = time.time() + 60
    while (now := status(c))[1] == epoch:
        assert time.time() < end, f"still {now}"
    if len(voters) >= 3:
        assert now[0] != leader, now
        c[leader].start()
    assert now[2] == voters, f"{voters}, then {now[2]}"
    load.goes_on(2_000)


def added(c, node):
    """Once it follows as an observer, it is made a voter, with its own configuration file as the tool asks for."""
    end = time.time() + 60
    while True:
        p = c.sh(QUORUM, "--command-config", c[node].file, "--bootstrap-server", c.bootstrap, "add-controller", check=False)
        if p.returncode == 0 or node in status(c)[2]:
            break
        assert time.time() < end, p.stdout + p.stderr[-800:]
    assert node in status(c)[2], status(c)


def removed(c, node):
    directory = status(c)[2][node]
    c.sh(QUORUM, "--bootstrap-server", c.bootstrap, "remove-controller", "--controller-id", node, "--controller-directory-id", directory, check=True)
    assert node not in status(c)[2], status(c)


def grown(c):
    create(c, "grown", 3)
    load = Load(c, "grown", 240_000, 8_000)
    load.wait_acked(5_000)
    sizes = [len(status(c)[2])]
    leader_changes(c, load)
    for more in ((2, 3), (4, 5)):
        for node in more:
            added(c, node)
            load.goes_on(1_000)
        sizes.append(len(status(c)[2]))
        leader_changes(c, load)
    # The leader is one of the two that go: it hands over first.
    leader, _, voters = status(c)
    other = next(i for i in voters if i != leader)
    removed(c, leader)
    now = status(c)[0]
    assert now != leader, f"{now} leads, and has no vote"
    removed(c, other)
    sizes.append(len(status(c)[2]))
    leader_changes(c, load)
    assert sizes == [1, 3, 5, 3], sizes
    # What has no vote any more is not needed.
    for node in (leader, other):
        c[node].stop()
    load.goes_on(2_000)
    c.sh("kafka-topics", "--bootstrap-server", c.bootstrap, "--create", "--topic", "after", "--partitions", "3", "--replication-factor", "3", check=True)
    load.verified()
    for topic in ("grown", "after"):
        c.wait_partitions(all_in_sync, topic)


def run():
    with Cluster(config=FAST, roles=[CONTROLLER] * 5 + [BROKER] * 3, standalone=True) as c, Shell() as c.sh:
        tap.run("quorum/grown", grown, c)
