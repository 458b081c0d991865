"""Nodes that must not be let in, and disks that are not what they were: each is refused with one line that says the cause and
what to do, and the cluster serves all the while.

The lines are this node's own; Apache Kafka has others.
"""
import os
import re
import shutil
import struct
import time

import tap
import wire
from broker import Broker, free_ports, tool
from cluster import BROKER, Cluster, all_in_sync
from load import FAST, create
from wirebytes import Connection, i32, i64

# Short of the minute that a node tries by itself; snapshots of the metadata after every few records.
CONFIG = {**FAST, "initial.broker.registration.timeout.ms": "10000", "metadata.log.max.record.bytes.between.snapshots": "2000",
          "metadata.log.max.snapshot.interval.ms": "1000"}
FOREIGN = "AAAAAAAAAAAAAAAAAAAABQ"


def ends(node, *says, wait=60):
    """Starts a node that must end by itself, with an exit code of failure and one last line that has all of `says`."""
    before = len(node.output())
    node.launch()
    try:
        code = node.process.wait(wait)
    except Exception:
        node.kill()
        raise AssertionError(f"it goes on: {node.output()[before:][-1500:]}")
    line = node.output()[before:].strip().splitlines()[-1]
    assert code == 1, f"exit {code}: {line}"
    assert all(word in line for word in says), f"{line!r} does not say all of {says}"
    print(f"  {line}", flush=True)


def said(*nodes_and_words, wait=30):
    """Waits for a line in the log of one of the nodes that has all of the words."""
    nodes, says = [[x for x in nodes_and_words if isinstance(x, str) == text] for text in (False, True)]
    end = time.time() + wait
    while True:
        lines = [line for node in nodes for line in node.output().splitlines()]
        line = next((line for line in lines if all(word in line for word in says)), None)
        if line:
            print(f"  {line}", flush=True)
            return line
        assert time.time() < end, f"nothing says {says}: {[node.output()[-1500:] for node in nodes]}"
        time.sleep(0.02)


class Disk:
    """The directory of a node that is stopped, as it was; put back afterwards."""

    def __init__(self, c, i):
        self.node = c[i]

    def __enter__(self):
        self.node.stop()
        self.kept = self.node.folder / "kept"
        shutil.copytree(self.node.data, self.kept)
        self.metadata = self.node.data / "__cluster_metadata-0"
        return self

    def __exit__(self, *_):
        if self.node.alive():
            self.node.kill()
        self.node.write_config(node_id="3", controller_quorum_voters=self.node.voters)
        shutil.rmtree(self.node.data)
        self.kept.rename(self.node.data)


def foreign_cluster_of_a_controller(c):
    """A member whose disk is of another cluster: both sides say so, and it takes no part."""
    with Disk(c, 3) as disk:
        meta = disk.node.data / "meta.properties"
        meta.write_text(re.sub("cluster.id=.*", f"cluster.id={FOREIGN}", meta.read_text()))
        disk.node.launch()
        said(disk.node, "refuses this node", FOREIGN, c[1].cluster_id, "controller.quorum.voters", "format")


def foreign_cluster_of_a_broker(c):
    """A broker of another cluster that is led to these controllers."""
    with stranger(c, "foreign", 7, FOREIGN) as node:
        ends(node, f"directories belong to cluster {FOREIGN}", "controllers to another one", "controller.quorum.voters", "format", wait=4)


def stranger(c, name, node_id, cluster_id):
    """One more broker, of its own configuration and disk."""
    port = free_ports(3)
    node = Broker({"process.roles": BROKER, "listeners": f"PLAINTEXT://127.0.0.1:{port}", "node.id": str(node_id), "controller.quorum.voters": c[1].config["controller.quorum.voters"],
                   "initial.broker.registration.timeout.ms": "5000", "controller.listener.names": "CONTROLLER"},
                  folder=c.folder / name, port=port, cluster_id=cluster_id)

    class Gone:
        def __enter__(self):
            return node

        def __exit__(self, *_):
            if node.alive():
                node.kill()
    return Gone()


def two_directories_of_two_clusters(c):
    with Disk(c, 3) as disk:
        second = disk.node.folder / "second"
        second.mkdir()
        meta = (disk.node.data / "meta.properties").read_text()
        meta = re.sub("directory.id=.*", "directory.id=AAAAAAAAAAAAAAAAAAABBQ", re.sub("cluster.id=.*", f"cluster.id={FOREIGN}", meta))
        (second / "meta.properties").write_text(meta)
        disk.node.write_config(log_dirs=f"{disk.node.data},{second}")
        try:
            ends(disk.node, "Invalid cluster.id", str(second), FOREIGN, c[1].cluster_id, "must not be in log.dirs")
        finally:
            disk.node.write_config(log_dirs=str(disk.node.data))


def wrong_node_id(c):
    """A used disk under another id: as a configuration that is wrong in itself, and as one that is not."""
    with Disk(c, 3) as disk:
        disk.node.write_config(node_id="4")
        ends(disk.node, "must name node.id 4")
        disk.node.write_config(controller_quorum_voters=disk.node.voters.replace("3@", "4@"))
        ends(disk.node, "Stored node id 3 doesn't match previous node id 4", "meta.properties", "make sure your configured node id matches")


def two_with_one_id(c):
    """A second broker of an id that is there: the first one stays."""
    with stranger(c, "one", 7, c[1].cluster_id) as one, stranger(c, "twin", 7, c[1].cluster_id) as twin:
        one.start()
        ends(twin, "node.id 7", "another broker")
        assert one.answers()
        one.stop()
    tool("kafka-cluster", "unregister", "--bootstrap-server", c.bootstrap, "--id", "7")


def stale_epoch(c):
    """A heartbeat of a life that is over: STALE_BROKER_EPOCH."""
    for node in c.nodes.values():
        with Connection(node.port + 1, 10) as conn:
            # BrokerHeartbeat version 0: broker, epoch, metadata offset, want fence, want shut down.
            body = i32(3) + i64(0) + i64(0) + b"\0\0\0"
            header = struct.pack(">hhi", 63, 0, 9) + b"\xff\xff\0"
            conn.send(i32(len(header) + len(body)) + header + body)
            answer = conn.answer()
        error = struct.unpack(">h", answer[9:11])[0]
        if error != 41:
            assert error == 77, f"error {error} of {answer.hex()}"
            return
    raise AssertionError("no active controller")


def spoiled_snapshot(c):
    """The newest snapshot of the metadata is spoiled: an older one does, and a person is told."""
    with Disk(c, 3) as disk:
        newest = sorted(disk.metadata.glob("*.checkpoint"))[-1]
        flip(newest)
        disk.node.launch()
        said(disk.node, "a snapshot of the metadata is left out", newest.name, "corrupt", "An older one", "delete the file")
        disk.node.wait_answers()
        # It has gone on: an older copy of its disk would not do any more.
        disk.node.stop()
        shutil.rmtree(disk.kept)
        shutil.copytree(disk.node.data, disk.kept)


def spoiled_log(c):
    """A bit of the metadata log is another one; a piece in the middle is gone; the rest is gone."""
    with Disk(c, 3) as disk:
        without_snapshots(disk.metadata)
        log = sorted(disk.metadata.glob("*.log"))[0]
        whole = log.read_bytes()
        says = (str(log), "below offset", "was flushed", "Nothing was cut off", "catch up from them: mv", "quorum-state")
        flip(log)
        ends(disk.node, "wrong checksum", *says)
        log.write_bytes(whole[:len(whole) // 3] + whole[2 * len(whole) // 3:])
        ends(disk.node, *says)
        log.write_bytes(whole[:len(whole) // 2])
        ends(disk.node, "cut short", *says)


def advice_followed(c):
    """What the line says to do is done, word for word: the node has the log again, and a vote."""
    c[3].stop()
    metadata = c[3].data / "__cluster_metadata-0"
    without_snapshots(metadata)
    log = sorted(metadata.glob("*.log"))[0]
    os.truncate(log, log.stat().st_size // 2)
    ends(c[3], "catch up from them")
    catches_up(c, c[3])


def catches_up(c, node):
    """Does what the last line of a node says to do, and starts it."""
    advice = re.findall(r"catch up from them: (mv .*?/) ?[;.\n]", node.output() + "\n")[-1]
    shutil.rmtree(node.data.with_suffix(".damaged"), ignore_errors=True)
    assert os.system(advice) == 0, advice
    votes = "has the metadata log, and votes"
    before = node.output().count(votes)
    node.start()
    end = time.time() + 30
    while node.output().count(votes) == before:
        assert time.time() < end, f"it has no vote: {node.output()[-1500:]}"
        time.sleep(0.02)
    c.wait_partitions(all_in_sync, "refused")


def leader_and_follower(c):
    """The id of the active controller, and a node that is another one."""
    told = next(node.port for node in c.nodes.values() if node.alive())
    end = time.time() + 30
    while (leader := wire.active_controller(told)) not in c.nodes:
        assert time.time() < end, "no active controller"
    return leader, next(node for i, node in c.nodes.items() if i != leader)


def older_copy_of_a_disk(c):
    """A member of the quorum on a copy of its disk from before: its leader counts on what it acknowledged since."""
    leader, node = leader_and_follower(c)
    node.stop()
    older = node.folder / "older"
    shutil.copytree(node.data, older)
    node.start()
    create(c, "since", 6)
    c.wait_partitions(all_in_sync, "since")
    node.kill()
    shutil.rmtree(node.data)
    older.rename(node.data)
    ends(node, str(node.data), "acknowledged", f"node {leader}, which leads", "put back to an older state", "catch up from them: mv", "quorum-state")
    assert leader_and_follower(c)[0] == leader, "its leader leads on"
    catches_up(c, node)


def two_controllers_with_one_id(c):
    """A copy of a member's disk runs beside it: they would vote twice. One of the two is told so, and nobody else ends."""
    leader, node = leader_and_follower(c)
    node.stop()
    copy = c.folder / "copy"
    shutil.copytree(node.data, copy / "data")
    node.start()
    create(c, "beside", 6)
    port = free_ports(3)
    twin = Broker({**node.config, "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 1}", "log.dirs": str(copy / "data"),
                   "http.listeners": f"http://127.0.0.1:{port + 2}"}, folder=copy, port=port, cluster_id=c[1].cluster_id, formatting=("--ignore-formatted",))
    me = node.config["node.id"]
    twin.launch()
    try:
        end = time.time() + 30
        says = [re.compile(rf"two processes run as node {me}.*must be stopped|refuses this node: two processes run as node {me}.*Stop one of the two"),
                re.compile("another process runs on a copy of it.*catch up from them")]
        while not (line := next((line for n in (twin, *c.nodes.values()) for line in n.output().splitlines() if any(s.search(line) for s in says)), None)):
            assert time.time() < end, twin.output()[-1500:]
            time.sleep(0.02)
        print(f"  {line}", flush=True)
    finally:
        if twin.alive():
            twin.kill()
    assert all(n.alive() for n in c.nodes.values() if n is not node), "another node ended"
    # The one that is left may have been taken for the other: it is started again.
    if node.alive():
        node.stop()
    node.start()
    c.wait_partitions(all_in_sync, "beside")


def taken_port(c):
    """Two nodes of one machine with one port for HTTP."""
    node = Broker({"http.listeners": f"http://127.0.0.1:{c[1].port + 2}"}, folder=c.folder / "port")
    ends(node, f"127.0.0.1:{c[1].port + 2}", "http.listeners", "in use", "a port of its own")


def without_snapshots(metadata):
    """What a snapshot holds need not be in the log: damage to that is none."""
    for snapshot in metadata.glob("*.checkpoint"):
        if int(snapshot.name[:20]):
            snapshot.unlink()


def flip(file):
    """One bit of the batch in the middle is another one: of its last byte, which the checksum covers as it does not the head."""
    spoiled = bytearray(file.read_bytes())
    end = 0
    while end <= len(spoiled) // 2:
        end += 12 + struct.unpack_from(">i", spoiled, end + 8)[0]
    spoiled[end - 1] ^= 0x10
    file.write_bytes(spoiled)


def run():
    with Cluster(3, CONFIG) as c:
        c[3].voters = c[3].config["controller.quorum.voters"]
        create(c, "refused", 6)
        for story in (foreign_cluster_of_a_controller, foreign_cluster_of_a_broker, two_directories_of_two_clusters, wrong_node_id,
                      spoiled_snapshot, spoiled_log):
            tap.run(f"refused/{story.__name__}", story, c)
        c[3].start()
        for story in (two_with_one_id, stale_epoch, taken_port, advice_followed, older_copy_of_a_disk, two_controllers_with_one_id):
            tap.run(f"refused/{story.__name__}", story, c)
        tap.run("refused/the cluster serves", c.wait_partitions, all_in_sync, "refused")
