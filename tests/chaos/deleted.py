"""Topics that are deleted while a broker is away, or while it starts: it comes back without them, and with the new one that has the
name of one of them."""
import os
import pathlib
import re

import wire
from broker import tool, until
from cluster import all_in_sync

PARTITIONS = 3
OLD, NEW = b"of the first topic", b"of the second topic"


class Held:
    """A file that lets nobody get further who opens it, until `let_go`: who waited then finds it empty, and who comes later as it
    was."""

    def __init__(self, file, aside):
        self.file, self.kept, self.pipe = file, aside / "held-file", aside / "held-pipe"
        file.rename(self.kept)
        os.mkfifo(file)

    def let_go(self):
        self.file.rename(self.pipe)
        self.kept.rename(self.file)
        # Fails where nobody waits.
        os.close(os.open(self.pipe, os.O_WRONLY | os.O_NONBLOCK))
        self.pipe.unlink()


def made(c, at, topic):
    code = wire.create_topic(c[at].port, topic, PARTITIONS, 3)
    assert code == 0, f"{topic}: error {code}"


def produced(c, at, topic, value):
    """Has a record in each partition."""
    def taken(partition):
        try:
            leader = wire.metadata(c[at].port, topic)[partition][0]
            return leader in c.nodes and wire.produce(c[leader].port, topic, partition, value) == 0
        except (OSError, KeyError):
            return False

    for partition in range(PARTITIONS):
        until(f"{topic}-{partition} takes a record", lambda: taken(partition))


def begun(c, at, *topics):
    for topic in topics:
        made(c, at, topic)
        produced(c, at, topic, OLD)
        c.wait_metadata(all_in_sync, topic, at)


def away(c, at, victim, *topics):
    c[victim].kill()
    for topic in topics:
        c.wait_metadata(lambda p: all(victim not in isr for _, _, isr in p.values()), topic, at)


def made_anew(c, at, gone, back):
    """Deletes both topics, and makes one of them again."""
    tool("kafka-topics", "--bootstrap-server", c[at].bootstrap, "--delete", "--topic", f"{gone}|{back}")
    made(c, at, back)
    produced(c, at, back, NEW)


def logs(node, topic):
    """The directories of a topic's partitions, and the ids of the topic that they name."""
    found = sorted(dir for dir in node.data.iterdir() if re.fullmatch(rf"{topic}-\d+", dir.name))
    return found, {re.search("topic_id: (.+)", (dir / "partition.metadata").read_text())[1] for dir in found}


def settled(c, at, victim, gone, back):
    """The node has the new topic in sync, and of the old ones nothing but what is being removed or was put aside."""
    c.wait_metadata(lambda p: len(p) == PARTITIONS and all_in_sync(p), back, at)
    node = c[victim]
    assert logs(node, gone)[0] == [], logs(node, gone)
    (mine, ids), (_, theirs) = logs(node, back), logs(c[at], back)
    assert len(mine) == PARTITIONS and ids == theirs and len(ids) == 1, f"{mine}: {ids}, not {theirs}"
    for dir in mine:
        records = b"".join(file.read_bytes() for file in dir.glob("*.log"))
        assert NEW in records and OLD not in records, f"{dir}: {records}"
    rest = {dir.name for dir in node.data.iterdir() if dir.name.startswith((gone, back))} - {dir.name for dir in mine}
    assert all(re.search(r"\.[0-9a-f]{32}-(stray|delete)$", name) for name in rest), rest


def while_away(c):
    gone, back, at, victim = "away-gone", "away-back", 1, 3
    begun(c, at, gone, back)
    away(c, at, victim, gone, back)
    made_anew(c, at, gone, back)
    c[victim].start()
    settled(c, at, victim, gone, back)


def while_starting(c):
    """The node has read the metadata, and opens its logs; one of them takes long. Meanwhile the topics are deleted."""
    gone, back, held, at, victim = "starting-gone", "starting-back", "starting-held", 1, 3
    begun(c, at, gone, back, held)
    away(c, at, victim, gone, back, held)
    node = c[victim]
    file = Held(node.data / f"{held}-0" / "partition.metadata", node.folder)
    node.launch()
    until("the node opens its logs", lambda: "publish" in threads(node))
    made_anew(c, at, gone, back)
    # It hears of all that: what comes later is in its log of the metadata.
    made(c, at, "starting-later")
    metadata = node.data / "__cluster_metadata-0"
    until("the node has the metadata", lambda: any(b"starting-later" in log.read_bytes() for log in metadata.glob("*.log")))
    file.let_go()
    node.wait_answers()
    for topic in (back, held):
        c.wait_metadata(all_in_sync, topic, at)
    settled(c, at, victim, gone, back)


def threads(node):
    names = set()
    for thread in pathlib.Path(f"/proc/{node.process.pid}/task").iterdir():
        try:
            names.add((thread / "comm").read_text().strip())
        except OSError:
            pass  # it ended
    return names
