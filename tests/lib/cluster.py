"""Several nodes that are one cluster, in a folder of their own: Ottla, or with BROKER=kafka Apache Kafka itself."""
import base64
import os
import pathlib
import shutil
import signal
import tempfile
import time

import wire
from broker import KAFKA, Broker, free_ports, tool, until

COMBINED, CONTROLLER, BROKER = "broker,controller", "controller", "broker"


class Cluster:
    """Nodes 1 to N. `roles` says what each is; without it all are brokers and controllers.

    `each` has further settings of single nodes, `network` the hosts they live on, see network.py, `within` and `env` words in
    front of a node's command and its environment, by node. The voters are those of the configuration, and stay; with
    `standalone` node 1 begins as the only controller of a quorum whose voters change, and the others begin without a vote;
    with `initial` all controllers begin such a quorum (--initial-controllers), with the directories of c.directories.
    `dirs` names the log directories that each node has in its folder.
    Use as `with Cluster(3) as c:`; c.bootstrap is where its brokers answer, c[i] is node i.
    """

    def __init__(self, n=3, config=None, roles=None, each=None, network=None, within=None, env=None, standalone=False, initial=False, dirs=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ottla-cluster-"))
        # A node that is cut off from the controller keeps the tool waiting, and another one is asked next time.
        self.hasty = self.folder / "hasty.properties"
        self.hasty.write_text("request.timeout.ms=8000\ndefault.api.timeout.ms=16000\n")
        host = lambda i: network.hosts[i] if network else "127.0.0.1"
        within = {**(network.within if network else {}), **(within or {})}
        roles = roles or [COMBINED] * n
        n = len(roles)
        first = free_ports(10 * n)
        listens = {i: f"{host(i)}:{first + 10 * (i - 1) + 1}" for i in range(1, n + 1) if "controller" in roles[i - 1]}
        quorum = {"controller.quorum.voters": ",".join(f"{i}@{at}" for i, at in listens.items())}
        flags = {}
        if standalone or initial:
            quorum = {"controller.quorum.voters": None, "controller.quorum.bootstrap.servers": ",".join(listens.values())}
            flags = dict.fromkeys(range(1, n + 1), ("--no-initial-controllers",))
        if standalone:
            flags[1] = ("--standalone",)
        if initial:
            # The first byte keeps them from beginning as an option of a tool would.
            self.directories = {i: base64.urlsafe_b64encode(b"\1" + os.urandom(15)).decode().rstrip("=") for i in listens}
            named = ",".join(f"{i}@{at}:{self.directories[i]}" for i, at in listens.items())
            flags.update(dict.fromkeys(listens, ("--initial-controllers", named)))
        brokers = sum("broker" in role for role in roles)
        copies = min(3, brokers)
        self.nodes, cluster_id = {}, None
        for i, role in enumerate(roles, 1):
            port = first + 10 * (i - 1)
            listeners = [f"PLAINTEXT://{host(i)}:{port}"] if "broker" in role else []
            if "controller" in role:
                listeners.append(f"CONTROLLER://{host(i)}:{port + 1}")
            node = Broker({
                "process.roles": role, "node.id": str(i), **quorum, "listeners": ",".join(listeners),
                "offsets.topic.replication.factor": str(copies), "default.replication.factor": str(copies),
                "transaction.state.log.replication.factor": str(copies), "transaction.state.log.min.isr": str(min(2, copies)),
                "share.coordinator.state.topic.replication.factor": str(copies), "share.coordinator.state.topic.min.isr": str(min(2, copies)),
                **({"log.dirs": ",".join(str(self.folder / str(i) / name) for name in dirs)} if dirs else {}),
                **(config or {}), **(each or {}).get(i, {}),
            }, folder=self.folder / str(i), port=port if "broker" in role else port + 1, cluster_id=cluster_id, host=host(i),
                within=within.get(i, ()), env=(env or {}).get(i), formatting=flags.get(i, ()))
            cluster_id, node.role = node.cluster_id, role
            self.nodes[i] = node
        self.bootstrap = ",".join(node.bootstrap for node in self.brokers())

    def __getitem__(self, i):
        return self.nodes[i]

    def brokers(self):
        return [node for node in self.nodes.values() if "broker" in node.role]

    def start(self):
        for node in self.nodes.values():
            node.launch()
        for node in self.nodes.values():
            node.wait_answers()
        return self

    def end(self):
        """kill -9 of all that runs: where the controllers go, too, a broker waits long for one to stop in order with."""
        for node in self.nodes.values():
            if node.alive():
                node.kill()

    def partitions(self, *topics):
        """What kafka-topics says: (topic, partition) to its leader, replicas and in-sync replicas."""
        args = [x for t in topics for x in ("--topic", t)]
        out = tool("kafka-topics", "--bootstrap-server", self.bootstrap, "--command-config", self.hasty, "--describe", *args).stdout
        found = {}
        for line in out.splitlines():
            if not line.startswith("\t"):
                continue
            row = dict(part.split(":", 1) for part in line.strip().split("\t") if ":" in part)
            row = {k.strip(): v.strip() for k, v in row.items()}
            ids = lambda text: [int(i) for i in text.split(",") if i]
            leader = int(row["Leader"]) if row["Leader"] not in ("none", "-1") else -1
            found[row["Topic"], int(row["Partition"])] = (leader, ids(row["Replicas"]), ids(row["Isr"]))
        return found

    def wait_partitions(self, holds, *topics, wait=60):
        """Waits until `holds(partitions)`; returns them."""
        end = time.time() + wait
        while True:
            try:
                found = self.partitions(*topics)
                if found and holds(found):
                    return found
            except AssertionError as error:
                found = error
            assert time.time() < end, f"still {found}"

    def wait_metadata(self, holds, topic, at, wait=60):
        """As `wait_partitions`, of one topic, each partition by its number, and by what node `at` says, which takes no tool."""
        found = None

        def there():
            nonlocal found
            try:
                found = wire.metadata(self[at].port, topic)
            except OSError as error:
                found = error
                return False
            return found and holds(found)

        until(lambda: f"still {found}", there, wait)
        return found

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__(RuntimeError)
            raise

    def __exit__(self, kind, *_):
        try:
            alive = [node for node in self.nodes.values() if node.alive()]
            for node in alive:
                node.process.send_signal(signal.SIGCONT)
                node.process.send_signal(signal.SIGKILL if kind else signal.SIGTERM)
            for node in alive:
                try:
                    node.process.wait(60)
                except Exception:
                    node.kill()
                    # Apache Kafka's nodes may wait for each other when all of them end.
                    if not kind and not KAFKA:
                        raise
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def all_in_sync(partitions):
    """Whether every partition has a leader and all its replicas in sync."""
    return all(leader >= 0 and sorted(isr) == sorted(replicas) for leader, replicas, isr in partitions.values())
