"""One node under test, in a folder of its own: Ottla, or with BROKER=kafka Apache Kafka itself.

OTTLA names the binary; without it the release build of this checkout is made and used.
"""
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
HOME = pathlib.Path(os.environ.get("OTTLA_TESTS_HOME") or pathlib.Path.home() / ".cache/ottla-tests")
KAFKA = os.environ.get("BROKER") == "kafka"


def binary():
    """The path of the `ottla` binary; builds it when OTTLA does not name one."""
    if "OTTLA" not in os.environ:
        subprocess.run(["cargo", "build", "--release", "-q", "-p", "ottla"], cwd=ROOT, check=True)
        target = os.environ.get("CARGO_TARGET_DIR") or ROOT / "target"
        os.environ["OTTLA"] = str(pathlib.Path(target) / "release/ottla")
    return os.environ["OTTLA"]


def kafka_home():
    """The folder of Kafka's own tools, assembled from Maven."""
    return pathlib.Path(subprocess.run([TESTS / "kafka/install"], check=True, capture_output=True, text=True).stdout.strip())


def tool(name, *args, check=True, input=None, timeout=120):
    """Runs one of Kafka's own tools and returns its finished process, with text output."""
    p = subprocess.run([kafka_home() / "bin" / f"{name}.sh", *map(str, args)], input=input, capture_output=True, text=True, timeout=timeout)
    if check and p.returncode:
        raise AssertionError(f"{name} {' '.join(map(str, args))}: exit {p.returncode}: {(p.stdout + p.stderr)[-1200:]}")
    return p


def free_ports(n):
    """A first port of a run of n that are free now, below the range that clients are given theirs from."""
    for _ in range(200):
        first = random.randrange(12000, 30000)
        held = []
        try:
            for port in range(first, first + n):
                s = socket.socket()
                held.append(s)
                s.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for s in held:
                s.close()
    raise RuntimeError("no free ports")


def until(what, holds, wait=30):
    """Waits until `holds()`, and returns what it returned. `what` is what was waited for, or makes a text of how it stands."""
    end = time.time() + wait
    while not (got := holds()):
        assert time.time() < end, what() if callable(what) else f"never: {what}"
        time.sleep(0.05)
    return got


class Broker:
    """A combined node. Use as `with Broker({"key": "value"}) as b:`; b.bootstrap is where it answers.

    `within` are words in front of the command that starts it, `env` what its environment has besides, `formatting` flags of
    `storage format`. A value of None takes a key out of the configuration.
    """

    def __init__(self, config=None, folder=None, three_dirs=False, port=None, cluster_id=None, host="127.0.0.1", within=(), env=None, formatting=()):
        self.own = folder is None
        self.host, self.within, self.env = host, within, env or {}
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="ottla-test-"))
        self.port = port or free_ports(3)
        self.bootstrap = f"{host}:{self.port}"
        self.data = self.folder / "data"
        self.dirs = [self.folder / name for name in "abc"] if three_dirs else [self.data]
        self.process = None
        self.config = {
            "process.roles": "broker,controller", "node.id": "1",
            "controller.quorum.voters": f"1@{host}:{self.port + 1}",
            "listeners": f"PLAINTEXT://{host}:{self.port},CONTROLLER://{host}:{self.port + 1}",
            "controller.listener.names": "CONTROLLER", "log.dirs": ",".join(map(str, self.dirs)),
            "offsets.topic.replication.factor": "1", "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1", "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1", "group.initial.rebalance.delay.ms": "0", **(config or {}),
        }
        if not KAFKA:
            self.config.setdefault("http.listeners", f"http://{host}:{self.port + 2}")
        self.folder.mkdir(exist_ok=True)
        self.file = self.folder / "server.properties"
        self.write_config()
        self.storage = [kafka_home() / "bin/kafka-storage.sh"] if KAFKA else [binary(), "storage"]
        self.cluster_id = cluster_id or subprocess.run([*self.storage, "random-uuid"], check=True, capture_output=True, text=True).stdout.split()[-1]
        self.format(*formatting)

    def format(self, *flags):
        """Formats its directories, with flags of `storage format`."""
        subprocess.run([*self.storage, "format", "-t", self.cluster_id, "-c", self.file, *flags], check=True, capture_output=True)

    def lose_disk(self, *flags):
        """kill -9, and its directories are gone; it is formatted anew, with flags of `storage format`."""
        self.kill()
        for dir in self.dirs:
            shutil.rmtree(dir)
        self.format(*flags)

    def write_config(self, **changed):
        """Writes server.properties; keyword `log_dirs="..."` changes log.dirs."""
        self.config.update({k.replace("_", "."): v for k, v in changed.items()})
        self.file.write_text("".join(f"{k}={v}\n" for k, v in self.config.items() if v is not None))

    def start(self, wait=90):
        """Starts the node and waits until it answers a request."""
        self.launch()
        return self.wait_answers(wait)

    def launch(self):
        """Starts the process and waits for nothing."""
        self.log = open(self.folder / "out", "ab")
        command = [kafka_home() / "bin/kafka-server-start.sh", self.file] if KAFKA else [binary(), "server", self.file]
        env = {"KAFKA_HEAP_OPTS": "-Xms512m -Xmx512m", **os.environ, **self.env}
        self.process = subprocess.Popen([*self.within, *command], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, env=env)

    def wait_answers(self, wait=90):
        """Waits until the node answers a request."""
        end = time.time() + wait
        while not self.answers():
            if self.process.poll() is not None:
                raise AssertionError(f"the node ended with {self.process.returncode}: {self.output()[-2000:]}")
            if time.time() > end:
                raise AssertionError(f"the node does not answer: {self.output()[-2000:]}")
            time.sleep(0.02)
        return self

    def answers(self):
        """Whether an ApiVersions request is answered."""
        try:
            with socket.create_connection((self.host, self.port), 1) as s:
                s.settimeout(5)
                s.sendall(bytes.fromhex("0000000b 0012 0000 00000007 0001 78".replace(" ", "")))
                return len(s.recv(4)) == 4
        except OSError:
            return False

    def kill(self):
        """kill -9, and waits until it is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, wait=60):
        """Asks the node to shut down, waits, and returns its exit code."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(wait)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"the node did not stop within {wait} s: {self.output()[-2000:]}")
        return self.process.returncode if self.process else None

    def alive(self):
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def output(self):
        """What the node printed so far."""
        return (self.folder / "out").read_text(errors="replace") if (self.folder / "out").exists() else ""

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            if self.process and self.process.poll() is None:
                if kind is None:
                    self.stop()
                else:
                    self.kill()
        finally:
            if self.own:
                shutil.rmtree(self.folder, ignore_errors=True)
