"""The voters of the metadata quorum change under load. They grow from one to three to five and shrink to three, with Kafka's
own tool, and at each size the leader changes; who lost its disk is replaced; one moves to another port, and in the end is alone
there. Afterwards every acknowledged record is there exactly once, in order."""
import re
import time

import tap
from broker import free_ports, until
from shell import Shell
from cluster import BROKER, CONTROLLER, Cluster, all_in_sync
from load import FAST, Load, create

QUORUM = "kafka-metadata-quorum"


def status(c, wait=60):
    """Leader, epoch, and the voters with their directories, as soon as a broker knows of a leader."""
    end = time.time() + wait
    while True:
        p = c.sh(QUORUM, "--command-config", c.hasty, "--bootstrap-server", c.bootstrap, "describe", "--status", check=False)
        leader = re.search(r"LeaderId:\s+(\d+)", p.stdout)
        if leader:
            epoch = int(re.search(r"LeaderEpoch:\s+(\d+)", p.stdout)[1])
            line = re.search(r"CurrentVoters:.*", p.stdout)[0]
            voters = dict(re.findall(r'"id": (\d+), "directoryId": "([\w-]+)"', line))
            return int(leader[1]), epoch, {int(i): d for i, d in voters.items()}
        assert time.time() < end, f"no leader: {p.stdout} {p.stderr[-600:]}"


def endpoint(c, node):
    """Where a voter is, by what the tool prints."""
    printed = c.sh(QUORUM, "--command-config", c.hasty, "--bootstrap-server", c.bootstrap, "describe", "--status", check=False).stdout
    found = re.search(rf'"id": {node}, "directoryId": "[\w-]+", "endpoints": \["CONTROLLER://([^"]+)"\]', printed)
    return found[1] if found else f"not in {printed}"


def directory(node):
    """The id of a controller's directory, by its disk."""
    return re.search(r"^directory\.id=(.+)$", (node.data / "meta.properties").read_text(), re.M)[1]


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


def begun(c):
    """The first voters are those of --initial-controllers, with the directories that were named there."""
    leader, _, voters = status(c)
    assert voters == c.directories == {i: directory(c[i]) for i in (1, 2, 3)}, f"{voters}, not {c.directories}"
    assert leader in voters
    create(c, "served", 3)


def replaced(c, load):
    """The leader loses its disk. It comes back as another directory, which the tool gives the vote of the old one."""
    load.goes_on(2_000)
    node, _, voters = status(c)
    c[node].lose_disk("--no-initial-controllers")
    load.goes_on(2_000)
    c[node].start()
    removed(c, node)
    added(c, node)
    now = status(c)[2]
    assert now == {**voters, node: directory(c[node])} and now != voters, f"{voters}, then {now}"
    leader_changes(c, load)


def joined(c, load):
    """The same with controller.quorum.auto.join.enable: it takes the vote of its old directory itself."""
    _, _, voters = status(c)
    c[3].lose_disk("--no-initial-controllers")
    load.goes_on(2_000)
    c[3].write_config(controller_quorum_auto_join_enable="true")
    c[3].start()
    wanted = {**voters, 3: directory(c[3])}
    assert wanted != voters
    until(lambda: f"{wanted} wanted, still {status(c)}", lambda: status(c)[2] == wanted, 60)
    leader_changes(c, load)


def moves(c, node):
    """A controller stops, and comes back on another port."""
    c[node].stop()
    c[node].port = free_ports(1)
    at = f"127.0.0.1:{c[node].port}"
    # It would take back the vote that it is to lose.
    c[node].write_config(listeners=f"CONTROLLER://{at}", controller_quorum_auto_join_enable=None)
    c[node].start()
    until(lambda: f"{at} wanted, still {endpoint(c, node)}", lambda: endpoint(c, node) == at, 60)


def alone(c, load, node):
    """The controller is the only voter, and the cluster goes on under it: brokers beat, one that dies is found out, and let in again."""
    until(lambda: f"{node} alone wanted, still {status(c)}", lambda: status(c)[0] == node and list(status(c)[2]) == [node])
    victim, others = 6, {4, 5}
    c[victim].kill()
    c.wait_metadata(lambda p: all(set(isr) == others for _, _, isr in p.values()), "served", at=4)
    c[victim].start()
    c.wait_metadata(all_in_sync, "served", at=4)
    c.sh("kafka-topics", "--bootstrap-server", c.bootstrap, "--create", "--topic", f"at-{c[node].port}", "--partitions", "3", "--replication-factor", "3", check=True)
    load.goes_on(2_000)


def moved(c, load):
    """A voter comes back on a port that no configuration names; then it is the only one left."""
    moves(c, 3)
    leader, _, voters = status(c)
    for other in sorted(set(voters) - {3}, key=lambda i: i == leader):
        removed(c, other)
    alone(c, load, 3)


def moved_alone(c, load):
    """The only voter comes back on one more port: nobody else can write where it is."""
    moves(c, 3)
    alone(c, load, 3)


def whole(load):
    load.enough()
    load.verified()


def run():
    with Cluster(config=FAST, roles=[CONTROLLER] * 5 + [BROKER] * 3, standalone=True) as c, Shell() as c.sh:
        tap.run("quorum/grown", grown, c)
    with Cluster(config=FAST, roles=[CONTROLLER] * 3 + [BROKER] * 3, initial=True) as c, Shell() as c.sh:
        tap.run("quorum/begun", begun, c)
        # More than the stories take: what ends it is their end.
        load = Load(c, "served", 1_000_000, 4_000)
        for story in (replaced, joined, moved, moved_alone):
            tap.run(f"quorum/{story.__name__}", story, c, load)
        tap.run("quorum/nothing lost", whole, load)
