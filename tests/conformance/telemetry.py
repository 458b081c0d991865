"""Clients that push their own metrics (KIP-714): Kafka's Java clients and librdkafka, with subscriptions that Kafka's own tool makes.

On a node of its own, with Apache Kafka there is nothing to see: it shows no client's metrics without a plugin.
"""
import gzip
import os
import re
import struct
import subprocess
import time
import urllib.request

import tap
from broker import HOME, kafka_home, tool
from wirebytes import Connection, frame, i8, i32, request

LINE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(?:,|$)')


def shown(b):
    """What the node shows: name, labels and value of each series. Every line must be Prometheus' text format."""
    with urllib.request.urlopen(f"http://127.0.0.1:{b.port + 2}/metrics/clients", timeout=10) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4"), answer.headers
        text = answer.read().decode()
    series, seen, types = [], set(), set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            assert line not in types, f"twice: {line}"
            types.add(line)
            continue
        m = LINE.match(line)
        assert m and LABEL.sub("", m[2]) == "", f"no sample: {line}"
        assert m.group(1, 2) not in seen, f"twice: {line}"
        seen.add(m.group(1, 2))
        series.append((m[1], dict(LABEL.findall(m[2])), float(m[3])))
    return series


def until(what, b, holds, wait=60):
    """Waits until what the node shows is as asked, and returns it."""
    end = time.time() + wait
    while not holds(series := shown(b)):
        if time.time() > end:
            raise AssertionError(f"never: {what}; shown are {sorted({(n, l['client_id']) for n, l, _ in series})[:40]}")
        time.sleep(0.1)
    return series


def of(series, client, prefix="org_apache_kafka_"):
    return {name: value for name, labels, value in series if labels["client_id"] == client and name.startswith(prefix)}


class Java:
    """The Java application, as long as the block lasts."""

    def __init__(self, b, topic):
        classes = HOME / "conformance-telemetry"
        classes.mkdir(parents=True, exist_ok=True)
        libs = f"{kafka_home()}/libs/*"
        source = __file__.rsplit("/", 1)[0] + "/java/Telemetry.java"
        subprocess.run(["javac", "-nowarn", "-cp", libs, "-d", classes, source], check=True)
        self.process = subprocess.Popen(
            ["java", "-Xmx256m", "-cp", f"{classes}:{libs}", "Telemetry", b.bootstrap, topic],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.ids = {}

    def __enter__(self):
        for _ in range(3):
            line = self.process.stdout.readline().split()
            assert len(line) == 2, f"no instance id: {line}"
            self.ids[line[0]] = line[1]
        return self

    def __exit__(self, *_):
        try:
            self.process.communicate("end\n", timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def java(b):
    """Producer, consumer and admin client push what is asked of each, and nothing of what is not."""
    tool("kafka-client-metrics", "--bootstrap-server", b.bootstrap, "--alter", "--name", "producers",
         "--match", "client_id=app-pro.*,client_software_name=apache-kafka-java", "--metrics", "org.apache.kafka.producer.", "--interval", "300")
    tool("kafka-client-metrics", "--bootstrap-server", b.bootstrap, "--alter", "--name", "consumers",
         "--match", "client_id=app-consumer", "--metrics", "*", "--interval", "300")
    # Asked for nothing, but every 300 ms: a client that no subscription is for asks again in five minutes.
    tool("kafka-client-metrics", "--bootstrap-server", b.bootstrap, "--alter", "--name", "admins", "--match", "client_id=app-admin", "--interval", "300")
    tool("kafka-topics", "--bootstrap-server", b.bootstrap, "--create", "--topic", "telemetry")
    with Java(b, "telemetry") as app:
        series = until("producer and consumer show their metrics", b,
                       lambda s: of(s, "app-producer", "org_apache_kafka_producer_record_send_total") and of(s, "app-consumer", "org_apache_kafka_consumer_"))
        assert not of(series, "app-admin"), "the admin client was asked for nothing"
        assert of(series, "app-producer").keys() == of(series, "app-producer", "org_apache_kafka_producer_").keys(), "more than was asked for"
        for name, labels, _ in series:
            assert labels["client_instance_id"] == app.ids[labels["client_id"]], (name, labels)
        consumed = [l for n, l, _ in series if l["client_id"] == "app-consumer" and n.startswith("org_apache_kafka_consumer_")]
        assert any(l.get("group_id") == "telemetry" for l in consumed), consumed[:3]

        sent = lambda s: sum(v for n, v in of(s, "app-producer").items() if n == "org_apache_kafka_producer_record_send_total")
        before = sent(series)
        until("the counter grows over several pushes", b, lambda s: sent(s) > before + 5)

        # What is asked changes while they run.
        tool("kafka-client-metrics", "--bootstrap-server", b.bootstrap, "--alter", "--name", "admins", "--metrics", "org.apache.kafka.admin.")
        until("the admin client shows its metrics", b, lambda s: of(s, "app-admin", "org_apache_kafka_admin_client_"))
    until("nothing of clients that have gone", b, lambda s: not s)


def librdkafka(b):
    """librdkafka 2.5 and later pushes too."""
    tool("kafka-client-metrics", "--bootstrap-server", b.bootstrap, "--alter", "--name", "c",
         "--match", "client_software_name=confluent-kafka-python,client_software_version=.*rdkafka.*", "--metrics", "*", "--interval", "300")
    program = ("import sys, confluent_kafka as c; p = c.Producer({'bootstrap.servers': sys.argv[1], 'client.id': 'rd', 'enable.metrics.push': True})\n"
               "while True: p.produce('telemetry', 'x'); p.poll(0.05)")
    p = subprocess.Popen([HOME / "venv/bin/python", "-c", program, b.bootstrap], stderr=subprocess.DEVNULL)
    try:
        until("librdkafka shows its metrics", b, lambda s: of(s, "rd", "org_apache_kafka_producer_"))
    finally:
        p.kill()
        p.wait()
    until("nothing of a client that has gone", b, lambda s: not s)


def size(n):
    """A length as protobuf and Kafka's compact fields write it."""
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + size(n >> 7)


def message(field, content):
    return size(field << 3 | 2) + size(len(content)) + content


def gauge(name, attributes=()):
    """OTLP metrics of one gauge."""
    attributes = b"".join(message(7, message(1, k.encode()) + message(2, message(1, v.encode()))) for k, v in attributes)
    point = bytes([4 << 3 | 1]) + struct.pack("<d", 1.5) + attributes
    metric = message(1, name.encode()) + message(5, message(1, point))
    return message(1, message(2, message(2, metric)))


def get(instance):
    return frame(request(71, 0, b"\0" + instance + b"\0"))


def push(instance, subscription, metrics, codec=0, terminating=0):
    return frame(request(72, 0, b"\0" + instance + i32(subscription) + i8(terminating) + i8(codec) + size(len(metrics) + 1) + metrics + b"\0"))


def error(answer):
    return struct.unpack(">h", answer[9:11])[0]


def hostile(b):
    """What no client would push is answered as Kafka answers it, and the node goes on."""
    tool("kafka-client-metrics", "--bootstrap-server", b.bootstrap, "--alter", "--name", "h",
         "--match", "client_id=hostile", "--metrics", "*", "--interval", "60000")
    good = gauge("g")
    zeroes = gzip.compress(bytes(256 << 20))
    assert len(zeroes) < 1 << 20
    many = gauge("many.attributes", [(f"a{i}", "x") for i in range(10_000)])
    with Connection(b.port, 60) as c:
        def instance():
            id = os.urandom(16)
            answer = c.send(get(id)).answer()
            assert error(answer) == 0 and answer[11:27] == id, answer
            return id, struct.unpack(">i", answer[27:31])[0]

        def pushed(want, metrics, **kw):
            id, subscription = instance()
            got = error(c.send(push(id, kw.pop("subscription", subscription), metrics, **kw)).answer())
            assert got == want, f"want {want}, got {got} for {metrics[:20]} {kw}"
            return id, subscription

        pushed(87, good[:-1])
        pushed(87, b"no metrics at all")
        pushed(87, zeroes, codec=1)
        pushed(87, good, codec=4)
        pushed(87, message(1, message(2, bytes([0x12, 0]) * 300_000)))
        pushed(118, bytes((1 << 20) + 1))
        pushed(117, good, subscription=-1)
        pushed(76, good, codec=9)
        for reserved in (0, 1):
            got = error(c.send(push(bytes(15) + bytes([reserved]), 0, good)).answer())
            assert got == 42, got
        id, subscription = pushed(0, many)
        assert error(c.send(push(id, subscription, good)).answer()) == 89
        assert error(c.send(get(id)).answer()) == 89
        assert error(c.send(push(id, subscription, b"", terminating=1)).answer()) == 0
        assert error(c.send(push(id, subscription, b"")).answer()) == 42
        series = until("a gauge of 10,000 attributes", b, lambda s: of(s, "hostile", "many_attributes"))
        assert len(series) == 1 and len(series[0][1]) < 50, [(n, len(l)) for n, l, _ in series]
        assert "a client pushed metrics that cannot be read client=\"hostile\"" in re.sub(r"\x1b\[\d*m", "", b.output()), b.output()[-500:]
    until("nothing of a client that has gone", b, lambda s: not s)

    with Connection(b.port, 60) as c:
        for _ in range(100):
            ids = [os.urandom(16) for _ in range(100)]
            c.send(b"".join(get(id) for id in ids))
            subscriptions = [struct.unpack(">i", c.answer()[27:31])[0] for _ in ids]
            c.send(b"".join(push(id, s, good) for id, s in zip(ids, subscriptions)))
            assert not any(error(c.answer()) for _ in ids)
        assert len(shown(b)) == 10_000
    until("nothing of 10,000 instances", b, lambda s: not s)


def restart(b):
    """Subscriptions are there after a restart, and go when they are deleted."""
    def interval():
        with Connection(b.port) as c:
            answer = c.send(get(bytes(16))).answer()
            codecs = answer[31] - 1
            assert list(answer[32:32 + codecs]) == [4, 3, 1, 2], answer
            return struct.unpack(">i", answer[32 + codecs:36 + codecs])[0]

    tool("kafka-client-metrics", "--bootstrap-server", b.bootstrap, "--alter", "--name", "r", "--match", "client_id=host.*", "--interval", "4321")
    assert interval() == 4321
    b.stop()
    b.start()
    assert interval() == 4321
    tool("kafka-client-metrics", "--bootstrap-server", b.bootstrap, "--delete", "--name", "r")
    assert interval() != 4321


def run(b):
    tap.run("telemetry/restart", restart, b)
    tap.run("telemetry/hostile", hostile, b)
    tap.run("telemetry/java", java, b)
    tap.run("telemetry/librdkafka", librdkafka, b)
