"""Clients that push their own metrics (KIP-714): Kafka's Java clients and librdkafka, with subscriptions that Kafka's own tool makes.

On a node of its own, with Apache Kafka there is nothing to see: it shows no client's metrics without a plugin.
"""
import re
import subprocess
import time
import urllib.request

import tap
from broker import HOME, kafka_home, tool

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


def run(b):
    tap.run("telemetry/java", java, b)
    tap.run("telemetry/librdkafka", librdkafka, b)
