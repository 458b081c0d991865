"""Groups whose coordinator dies or moves while their members rebalance: Kafka's own consumers read every record, and settle."""
import tap
import wire
from broker import until
from cluster import Cluster
from load import FAST, Load, create
from members import Members
from shell import Shell

# Members hear of changes soon, and one that dies is put out soon.
CONFIG = {**FAST, "group.consumer.min.heartbeat.interval.ms": "100", "group.consumer.heartbeat.interval.ms": "300", "group.consumer.min.session.timeout.ms": "1000",
          "group.consumer.session.timeout.ms": "10000", "group.consumer.assignment.interval.ms": "100", "group.initial.rebalance.delay.ms": "0",
          "auto.leader.rebalance.enable": "false", "offsets.topic.num.partitions": "4"}
CLASSIC = ("heartbeat.interval.ms=300", "session.timeout.ms=10000")


def place(group):
    """The partition of the offsets' topic that a group lives in: Java's hash of its name."""
    value = 0
    for letter in group:
        value = (31 * value + ord(letter)) & 0xFFFFFFFF
    return abs(value - (value >> 31 << 32)) % int(CONFIG["offsets.topic.num.partitions"])


def coordinator(c, group):
    """Who leads the partition of a group, as a node that is alive says."""
    alive = next(node for node in c.nodes.values() if node.alive())
    return wire.metadata(alive.port, "__consumer_offsets")[place(group)][0]


def all_read(m, topic, names, wait=90):
    told = None

    def none_missing():
        nonlocal told
        told = m("missing", topic, names)
        return told == ["0"]

    until(lambda: f"{told} records of {topic} were read by nobody", none_missing, wait)


def killed_while_rebalancing(c, protocol):
    """kill -9 of the coordinator as members join, and of the next one as members leave. What it had told nobody is as if it had not been; what it had told
    holds: nobody has a partition that another has, and who goes on begins where its commits, or those before, say."""
    topic = group = f"killed-{protocol}"
    create(c, topic, 12)
    more = CLASSIC if protocol == "classic" else ()
    with Members(c.bootstrap) as m:
        names = [f"m{n}" for n in range(8)]

        def join(*who):
            for name in who:
                m("open", name, protocol, group, topic, "auto.commit.interval.ms=300", *more)

        join(*names[:4])
        m("settled", 12, ",".join(names[:4]))
        load = Load(c, topic, 200_000, 2_000)
        load.wait_acked(4_000)
        first = coordinator(c, group)
        join(*names[4:])
        c[first].kill()
        m("settled", 12, ",".join(names))
        load.goes_on(2_000)
        c[first].start()
        c.wait_metadata(lambda p: all(len(isr) == 3 for _, _, isr in p.values()), "__consumer_offsets", first)
        second = coordinator(c, group)
        assert second != first, "another one is the coordinator"
        m.say("close", names[0])
        c[second].kill()
        m.hear()
        m("settled", 12, ",".join(names[1:]))
        load.goes_on(2_000)
        load.enough()
        load.verified()
        all_read(m, topic, ",".join(names))
        c[second].start()
        c.wait_metadata(lambda p: all(len(isr) == 3 for _, _, isr in p.values()), "__consumer_offsets", second)


def moves_while_twenty_rebalance(c, protocol):
    """A coordinator that moves, and moves again, while twenty members join and ten of them leave."""
    topic = group = f"moved-{protocol}"
    create(c, topic, 40)
    more = CLASSIC if protocol == "classic" else ()
    load = Load(c, topic, 200_000, 1_000)
    with Shell() as sh, Members(c.bootstrap) as m:
        names = [f"m{n}" for n in range(20)]

        def move():
            at = coordinator(c, group)
            order = [i % 3 + 1 for i in range(at, at + 3)]
            plan = c.folder / "move.json"
            plan.write_text('{"version":1,"partitions":[{"topic":"__consumer_offsets","partition":%d,"replicas":%s}]}' % (place(group), order))
            elect = c.folder / "elect.json"
            elect.write_text('{"partitions":[{"topic":"__consumer_offsets","partition":%d}]}' % place(group))
            sh("kafka-reassign-partitions", "--bootstrap-server", c.bootstrap, "--execute", "--reassignment-json-file", plan, check=True)
            sh("kafka-leader-election", "--bootstrap-server", c.bootstrap, "--election-type", "preferred", "--path-to-json-file", elect, check=True)
            until("it has moved", lambda: coordinator(c, group) == order[0])

        for some in (names[:7], names[7:14], names[14:]):
            for name in some:
                m("open", name, protocol, group, topic, "auto.commit.interval.ms=300", *more)
            if some[0] == names[0]:
                until("it has a coordinator", lambda: place(group) in wire.metadata(c[1].port, "__consumer_offsets"))
            move()
        m("settled", 40, ",".join(names))
        for name in names[:10]:
            m("close", name)
            if name in (names[3], names[7]):
                move()
        m("settled", 40, ",".join(names[10:]))
        load.goes_on(1_000)
        load.enough()
        load.verified()
        all_read(m, topic, ",".join(names))


def run():
    with Cluster(3, CONFIG) as c:
        for story in (killed_while_rebalancing, moves_while_twenty_rebalance):
            for protocol in ("consumer", "classic"):
                tap.run(f"membership/{story.__name__}, {protocol}", story, c, protocol)
        c.end()
