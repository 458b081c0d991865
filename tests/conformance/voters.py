"""Voters of the metadata quorum that come, go and move: what Kafka's tool prints of it must be what it prints of Apache Kafka, see
three.py; and UpdateRaftVoter, which no tool sends, on the wire.

Three controllers, of which the first begins alone, and a broker.
"""
import base64
import re

import tap
import wire
from broker import free_ports
from cluster import BROKER, CONTROLLER, Cluster
from shell import Shell
from three import Three, voters

FIRST, SECOND, THIRD = 1, 2, 3
QUORUM = "kafka-metadata-quorum"
DONE, NOT_LEADER, INVALID, FENCED_EPOCH, UNKNOWN_EPOCH, OTHER_CLUSTER, NOT_FOUND = 0, 6, 42, 74, 75, 104, 127
# Of nobody.
NOWHERE = "AAAAAAAAAAAAAAAAAAAABA"


class Voters(Three):
    def alive(self):
        return ",".join(node.bootstrap for node in self.c.brokers())

    def directory(self, node):
        """The id of its metadata directory."""
        return re.search(r"^directory[.]id=(\S+)", (self.c[node].data / "meta.properties").read_text(), re.M)[1]

    def steady(self, text):
        for node in (FIRST, SECOND, THIRD):
            text = text.replace(self.directory(node), f"DIRECTORY{node}")
        return super().steady(text)

    def status(self):
        """Leader, epoch, and the ports of the voters."""
        said = self.ask(QUORUM, "describe", "--status").stdout
        leader, epoch = (re.search(rf"{name}:\s+(\d+)", said) for name in ("LeaderId", "LeaderEpoch"))
        line = re.search(r"CurrentVoters:(.*)", said)
        if not leader or not line:
            return None
        return int(leader[1]), int(epoch[1]), {int(i): int(port) for i, port in re.findall(r'"id": (\d+), [^}]*?:(\d+)"', line[1])}

    def ports(self):
        return (self.status() or (None, None, {}))[2]

    def observes(self, node):
        """Until a controller is seen to follow without a vote: before that the tool is told that it is not there."""
        self.until(lambda: f'"id": {node},' in self.ask(QUORUM, "describe", "--status").stdout.partition("CurrentObservers:")[2], f"{node} follows", wait=30)

    def add(self, name, node):
        self.run(f"voters-{name}", QUORUM, "--command-config", self.c[node].file, "add-controller")

    def remove(self, name, node, directory, *more):
        self.run(f"voters-{name}", QUORUM, "remove-controller", "--controller-id", str(node), "--controller-directory-id", directory, *more)


def observers_line(text):
    """Without the observers, whose order is that of their last request."""
    return re.sub(r"^CurrentObservers:.*\n", "", voters(text), flags=re.M)


def change(t):
    t.observes(SECOND)
    t.observes(THIRD)
    t.run("voters-status-of-one", QUORUM, "describe", "--status", loose=observers_line)
    t.add("add-second", SECOND)
    t.add("add-third", THIRD)
    t.run("voters-status-of-three", QUORUM, "describe", "--status", loose=observers_line)
    t.run("voters-replication-of-three", QUORUM, "describe", "--replication", loose=voters)
    t.add("add-again", SECOND)
    t.remove("remove-elsewhere", SECOND, NOWHERE)
    t.remove("remove-nobody", 9, NOWHERE)
    t.remove("remove-dry", SECOND, t.directory(SECOND), "--dry-run")
    t.remove("remove", THIRD, t.directory(THIRD))
    t.remove("remove-again", THIRD, t.directory(THIRD))
    t.run("voters-status-of-two", QUORUM, "describe", "--status", loose=observers_line)
    t.observes(THIRD)
    t.add("add-third-again", THIRD)


def update_on_the_wire(t):
    """Each thing that can be wrong with the request, in the order in which it is looked at."""
    leader, epoch, known = t.status()
    assert set(known) == {FIRST, SECOND, THIRD}, known
    other = next(node for node in known if node != leader)
    listener = ("CONTROLLER", "127.0.0.1", known[other])
    good = {"cluster": t.c[leader].cluster_id, "epoch": epoch, "voter": other, "directory": uuid(t.directory(other)), "listeners": [listener], "versions": (0, 1)}

    def told(code, to=leader, **changed):
        got = wire.update_voter(t.c[to].port, **{**good, **changed})
        assert got == code, f"{changed} to {to}: {got}, not {code}"

    told(OTHER_CLUSTER, cluster="another")
    told(FENCED_EPOCH, epoch=epoch - 1)
    told(UNKNOWN_EPOCH, epoch=epoch + 1)
    told(NOT_LEADER, to=other)
    told(INVALID, directory=bytes(16))
    told(INVALID, listeners=[])
    told(INVALID, listeners=[("ELSEWHERE", *listener[1:])])
    told(INVALID, versions=(-1, 1))
    told(INVALID, versions=(1, 0))
    told(INVALID, versions=(2, 3))
    told(NOT_FOUND, directory=uuid(NOWHERE))
    told(NOT_FOUND, voter=9)
    told(DONE)
    # One change at a time: the one before may not be committed yet.
    t.until(lambda: wire.update_voter(t.c[leader].port, **{**good, "cluster": None}) == DONE, "without the cluster's id", wait=10)
    assert t.ports() == known


def voter_moves(t):
    """A voter that is away is said to listen elsewhere; when it comes, at a third place, it tells the leader itself."""
    leader, epoch, known = t.status()
    away = next(node for node in known if node != leader)
    node, elsewhere = t.c[away], free_ports(2)
    node.stop()
    leader, epoch, _ = t.until(t.status, "somebody leads")
    code = wire.update_voter(t.c[leader].port, cluster=node.cluster_id, epoch=epoch, voter=away, directory=uuid(t.directory(away)),
                             listeners=[("CONTROLLER", "127.0.0.1", elsewhere)], versions=(0, 1))
    assert code == DONE, code
    t.until(lambda: t.ports() == {**known, away: elsewhere}, f"{away} is at {elsewhere}: {t.ports()}", wait=20)
    node.config["listeners"] = f"CONTROLLER://127.0.0.1:{elsewhere + 1}"
    node.write_config()
    node.port = elsewhere + 1
    node.start()
    t.until(lambda: t.ports() == {**known, away: elsewhere + 1}, f"{away} is at {elsewhere + 1}: {t.ports()}", wait=40)
    # It has a vote there: without the other one it takes part in the majority.
    third = next(i for i in known if i not in (leader, away))
    t.c[third].kill()
    t.until(lambda: t.ask("kafka-topics", "--create", "--topic", "moved", "--replica-assignment", "4", "--if-not-exists").returncode == 0, "two of three are a majority")


def uuid(text):
    return base64.urlsafe_b64decode(text + "==")


def stories():
    with Cluster(roles=[CONTROLLER] * 3 + [BROKER], standalone=True) as c, Shell() as sh:
        t = Voters(c, sh)
        for story in (change, update_on_the_wire, voter_moves):
            tap.run(f"voters/{story.__name__}: all of it", story, t)
        c.end()
