"""What nodes do by themselves from time to time: leadership goes back to the preferred replicas."""
import struct

import tap
import wire
from broker import until
from cluster import BROKER, CONTROLLER, Cluster, all_in_sync
from load import FAST, create

CONTROLLERS, VICTIM, OTHER = (1, 2, 3), 4, 6
CONFIG = {**FAST, "leader.imbalance.check.interval.seconds": "1"}


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


def run():
    with Cluster(config=CONFIG, roles=[CONTROLLER] * 3 + [BROKER] * 3) as c:
        for story in (balanced, balanced_by_the_next_controller, balanced_after_a_restart):
            tap.run(f"chores/{story.__name__}", story, c)
