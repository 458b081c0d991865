"""Kafka's Java producer at work while others break the cluster."""
import pathlib
import re
import subprocess
import threading
import time

from broker import kafka_home, tool
from cluster import all_in_sync

HERE = pathlib.Path(__file__).resolve().parent
# A node is found to be away soon, and too few in sync take nothing.
FAST = {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500", "replica.lag.time.max.ms": "3000", "min.insync.replicas": "2"}


class Load:
    """Kafka's Java producer at work until all records are sent or `enough` is called, and its check at the end. `settings` are
    the producer's, with _ for dots."""

    def __init__(self, cluster, topic, records, rate=0, size=200, **settings):
        self.lines, self.acked, self.records = [], 0, records
        self.process = subprocess.Popen(
            ["java", "-Xmx512m", "-cp", f"{kafka_home()}/libs/*", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-Duntil.told=true", str(HERE / "java/Load.java"), cluster.bootstrap, topic, str(records), str(rate), str(size),
             *(f"{k.replace('_', '.')}={v}" for k, v in settings.items())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith("acked "):
                self.acked = int(line.split()[1])
            else:
                self.lines.append(line.strip())

    def wait_acked(self, n, wait=120):
        end = time.time() + wait
        while self.acked < n:
            # What it acknowledged last is told with its figures.
            done = next((line for line in self.lines if line.startswith("produced ")), None)
            if done:
                assert f"acked={self.records} " in done, done
                return
            assert self.process.poll() is None, f"the load ended early: {self.lines} {self.process.stderr.read()[-1500:]}"
            assert time.time() < end, f"{self.acked} of {n} acknowledged"
            time.sleep(0.02)

    def goes_on(self, n=5000, wait=120):
        """Waits until so many more are acknowledged, or all."""
        self.wait_acked(min(self.acked + n, self.records), wait)

    def enough(self):
        """Ends the load, which must be at work still: what went before happened under it."""
        assert self.process.poll() is None and not any(line.startswith("produced ") for line in self.lines), f"it ended before: {self.lines[-12:]}"
        self.process.stdin.close()

    def verified(self, wait=300):
        """Waits for the end; returns the figures. Fails if anything is lost, doubled, out of order, or was refused."""
        try:
            self.process.wait(wait)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.reader.join(10)
        assert self.process.returncode == 0, f"{self.lines[-12:]} {self.process.stderr.read()[-1500:]}"
        produced = next(line for line in self.lines if line.startswith("produced "))
        print(f"  {produced}", flush=True)
        figures = {k: float(v) for k, v in re.findall(r"(\w+)=([\d.]+)", produced)}
        assert figures["failed"] == 0, self.lines
        assert f"verified {int(figures['records'])}" in self.lines, self.lines
        return figures


def create(c, topic, partitions, *config, copies=3):
    extra = [x for pair in config for x in ("--config", pair)]
    tool("kafka-topics", "--bootstrap-server", c.bootstrap, "--create", "--topic", topic, "--partitions", partitions, "--replication-factor", copies, *extra)
    return c.wait_partitions(lambda p: len(p) == partitions and all_in_sync(p), topic)
