"""What nodes do by themselves from time to time: leadership goes back to the preferred replicas, and snapshots of the metadata
are written and the log is cut behind them, for their size alone or for the time alone. And what they are told to do in bulk:
hundreds of replicas move at once."""
import json
import re
import struct

import tap
import wire
from broker import KAFKA, tool, until
from cluster import BROKER, CONTROLLER, Cluster, all_in_sync
from load import FAST, Load, create
from wirebytes import Connection, array, frame, i8, request, string

CONTROLLERS, VICTIM, OTHER = (1, 2, 3), 4, 6
CONFIG = {**FAST, "leader.imbalance.check.interval.seconds": "1", "metadata.log.segment.ms": "300", "metadata.max.retention.bytes": "1"}
# So often that the next one is due while one is being written.
BY_SIZE = {"metadata.log.max.record.bytes.between.snapshots": "1000", "metadata.log.max.snapshot.interval.ms": "0"}
BY_TIME = {"metadata.log.max.snapshot.interval.ms": "300"}
# Controllers and nodes that are none; 3 and 6 have the settings that nodes have, by which nothing is due here.
EACH = {1: BY_SIZE, 2: BY_TIME, 4: BY_SIZE, 5: BY_TIME}


def quorum_leader(c):
    try:
        return wire.active_controller(c[OTHER].port)
    except (OSError, struct.error):
        return -1  # nobody to ask


def leads_no_more(c, node):
    """The active controller dies."""
    c[node].kill()
    until("another controller", lambda: quorum_leader(c) in set(CONTROLLERS) - {node})


def preferred(partitions):
    return all_in_sync(partitions) and all(leader == replicas[0] for leader, replicas, _ in partitions.values())


def away_and_back(c, meanwhile=lambda: None):
    """A broker dies and comes back, and with it all its leaderships, without a tool."""
    c[VICTIM].kill()
    c.wait_metadata(lambda p: all(leader not in (-1, VICTIM) for leader, _, _ in p.values()), "balanced", OTHER)
    meanwhile()
    c[VICTIM].start()
    c.wait_metadata(preferred, "balanced", OTHER)


def balanced(c):
    placed = create(c, "balanced", 3)
    assert any(replicas[0] == VICTIM for _, replicas, _ in placed.values()), placed
    c.wait_metadata(preferred, "balanced", OTHER)
    away_and_back(c)


def balanced_by_the_next_controller(c):
    """The controller that finds the leaders astray did not see the broker die."""
    killed = quorum_leader(c)
    away_and_back(c, lambda: leads_no_more(c, killed))
    c[killed].start()


def balanced_after_a_restart(c):
    """The same with controllers that were all away."""
    def restarted():
        for i in CONTROLLERS:
            c[i].kill()
        for i in CONTROLLERS:
            c[i].launch()
        for i in CONTROLLERS:
            c[i].wait_answers()

    away_and_back(c, restarted)


def reassign(c, plan, action, *more):
    """kafka-reassign-partitions with the replicas of each partition of the topic `many`."""
    rows = [{"topic": "many", "partition": p, "replicas": replicas, "log_dirs": ["any"] * len(replicas)} for p, replicas in plan.items()]
    file = c.folder / "many.json"
    file.write_text(json.dumps({"version": 1, "partitions": rows}))
    return tool("kafka-reassign-partitions", "--bootstrap-server", c[OTHER].bootstrap, f"--{action}", "--reassignment-json-file", file, *more).stdout


def many_reassigned(c):
    """Hundreds of partitions move at once under load, and the controller that began it dies; then as many are to move back, too
    slowly ever to be done, and all of that is cancelled."""
    n, brokers = 300, {4, 5, 6}
    placed = {p: replicas for (_, p), (_, replicas, _) in create(c, "many", n, copies=2).items()}
    load = Load(c, "many", 2_000_000, 4_000)
    load.wait_acked(40_000)
    moved = {p: [*(brokers - set(replicas)), replicas[0]] for p, replicas in placed.items()}
    killed = quorum_leader(c)
    told = reassign(c, moved, "execute")
    assert "Successfully started partition reassignments" in told, told[-1500:]
    leads_no_more(c, killed)

    def there(plan, wait=120):
        astray = None

        def looked():
            nonlocal astray
            now = wire.metadata(c[OTHER].port, "many")
            # What is cancelled keeps its replicas, and not their order.
            astray = {p: at for p, at in now.items() if not set(at[1]) == set(at[2]) == set(plan[p])}
            return now and not astray

        until(lambda: f"{len(astray)} are not where they should be: {dict(list(astray.items())[:5])}", looked, wait)

    there(moved)
    c[killed].start()
    told = reassign(c, moved, "verify")
    assert told.count("is completed.") == n, told[-1500:]
    told = reassign(c, placed, "execute", "--throttle", "1000")
    assert "Successfully started partition reassignments" in told, told[-1500:]
    load.goes_on()
    told = tool("kafka-reassign-partitions", "--bootstrap-server", c[OTHER].bootstrap, "--list").stdout
    assert told.count("many-") > n // 2, told[-1500:]
    reassign(c, placed, "cancel")
    there(moved)
    told = tool("kafka-reassign-partitions", "--bootstrap-server", c[OTHER].bootstrap, "--list").stdout
    assert "No partition reassignments found." in told, told[-1500:]
    load.goes_on()
    load.enough()
    load.verified()


def changes(c, first, n):
    """So many changes of the metadata, each by itself: a topic's configuration, again and again."""
    with Connection(c[OTHER].port, 30) as conn:
        for i in range(first, first + n):
            # IncrementalAlterConfigs version 0: of a topic, to set one value; not only to try.
            setting = string("retention.ms") + i8(0) + string(str(i))
            conn.send(frame(request(44, 0, array([i8(2) + string("kept") + array([setting])]) + i8(0), i)))
        for _ in range(n):
            answer = conn.answer()
            error = struct.unpack_from(">h", answer, 12)[0]
            assert error == 0, f"error {error}"


def received(node, offset):
    """Whether the node got the snapshot up to this offset from another one: it was so far behind that the log before was cut."""
    return not KAFKA and re.search(rf"(installing the leader's|taking) snapshot {offset}-", node.output())


def snapshots(c):
    create(c, "kept", 3)
    folder = lambda i: c[i].data / "__cluster_metadata-0"
    offsets = lambda i, kind: [int(file.name[:20]) for file in folder(i).glob(f"*.{kind}")]
    # Up to where the newest snapshot goes, and where the oldest segment begins.
    stand = lambda i: (max(offsets(i, "checkpoint"), default=0), min(offsets(i, "log"), default=0))
    written = 1_000_000

    def further(before):
        nonlocal written
        changes(c, written, 100)
        written += 100
        return all(now > was for i in EACH for now, was in zip(stand(i), before[i]))

    for _ in range(3):
        before = {i: stand(i) for i in EACH}
        until(lambda: f"{before}, then {({i: stand(i) for i in EACH})}", lambda: further(before), 60)
    rest = {i: stand(i) for i in c.nodes if i not in EACH}
    assert all(newest == 0 or received(c[i], newest) for i, (newest, _) in rest.items()), f"nothing is due there: {rest}"
    # What is left is enough to start from, and for who has nothing.
    for i in (1, 2, 4):
        c[i].kill()
        c[i].start()
    if quorum_leader(c) == 3:
        # It has the whole log, and would give it.
        leads_no_more(c, 3)
        c[3].start()
    c[5].lose_disk()
    c[5].start()
    c.wait_metadata(all_in_sync, "kept", 5)
    for i in (4, 5):
        described = tool("kafka-configs", "--bootstrap-server", c[i].bootstrap, "--describe", "--entity-type", "topics", "--entity-name", "kept").stdout
        assert f"retention.ms={written - 1} " in described, described
    assert KAFKA or "taking snapshot" in c[5].output(), c[5].output()[-1500:]


def run():
    with Cluster(config=CONFIG, roles=[CONTROLLER] * 3 + [BROKER] * 3, each=EACH) as c:
        for story in (balanced, balanced_by_the_next_controller, balanced_after_a_restart, many_reassigned, snapshots):
            tap.run(f"chores/{story.__name__}", story, c)
