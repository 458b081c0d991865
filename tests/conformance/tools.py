"""Kafka's own kafka-*.sh against a node: what they print must be what they print of Apache Kafka.

The expected outputs lie in golden/, taken from Apache Kafka 4.3.1 itself by
`BROKER=kafka UPDATE=1 tests/conformance/suite tools`, with ids, ports, paths and times made equal.
"""
import os
import pathlib
import re
import subprocess

import tap
import wire
from broker import KAFKA, kafka_home, tool
from wirebytes import array, string

GOLDEN = pathlib.Path(__file__).parent / "golden"
IN = ("--bootstrap-server", "{b}")

# name, tool, arguments, text on standard input. Run in this order: each builds on what the ones before made.
COMMANDS = [
    ("topics-create", "kafka-topics", [*IN, "--create", "--topic", "t1", "--partitions", "3", "--replication-factor", "1", "--config", "retention.ms=86400000"], None),
    ("topics-create-again", "kafka-topics", [*IN, "--create", "--topic", "t1"], None),
    ("topics-create-if-not-exists", "kafka-topics", [*IN, "--create", "--topic", "t1", "--if-not-exists"], None),
    ("topics-create-collision", "kafka-topics", [*IN, "--create", "--topic", "a.b_c"], None),
    ("topics-create-bad-name", "kafka-topics", [*IN, "--create", "--topic", "bad name"], None),
    ("topics-create-replicas", "kafka-topics", [*IN, "--create", "--topic", "t9", "--replication-factor", "3"], None),
    ("topics-create-zero", "kafka-topics", [*IN, "--create", "--topic", "t9", "--partitions", "0"], None),
    ("topics-create-bad-config", "kafka-topics", [*IN, "--create", "--topic", "t9", "--config", "segment.bytes=10"], None),
    ("topics-create-assigned", "kafka-topics", [*IN, "--create", "--topic", "t2", "--replica-assignment", "1,1"], None),
    ("topics-create-unknown-broker", "kafka-topics", [*IN, "--create", "--topic", "t9", "--replica-assignment", "7"], None),
    ("topics-list", "kafka-topics", [*IN, "--list"], None),
    ("topics-describe", "kafka-topics", [*IN, "--describe", "--topic", "t1"], None),
    ("topics-describe-absent", "kafka-topics", [*IN, "--describe", "--topic", "absent"], None),
    ("topics-alter", "kafka-topics", [*IN, "--alter", "--topic", "t1", "--partitions", "4"], None),
    ("topics-alter-fewer", "kafka-topics", [*IN, "--alter", "--topic", "t1", "--partitions", "2"], None),
    ("topics-describe-all", "kafka-topics", [*IN, "--describe"], None),
    ("console-producer", "kafka-console-producer", [*IN, "--topic", "t2", "--reader-property", "parse.key=true", "--reader-property", "key.separator=:"], "".join(f"k{i}:v{i}\n" for i in range(50))),
    ("console-consumer", "kafka-console-consumer", [*IN, "--topic", "t2", "--partition", "0", "--offset", "earliest", "--timeout-ms", "3000", "--formatter-property", "print.key=true", "--formatter-property", "print.offset=true", "--formatter-property", "print.partition=true"], None),
    ("console-consumer-group", "kafka-console-consumer", [*IN, "--topic", "t2", "--group", "g1", "--from-beginning", "--max-messages", "50"], None),
    ("get-offsets", "kafka-get-offsets", [*IN, "--topic", "t2"], None),
    ("get-offsets-earliest", "kafka-get-offsets", [*IN, "--topic", "t2", "--time", "earliest"], None),
    ("get-offsets-max-timestamp", "kafka-get-offsets", [*IN, "--topic", "absent"], None),
    ("groups-list", "kafka-consumer-groups", [*IN, "--list"], None),
    ("groups-list-state", "kafka-consumer-groups", [*IN, "--list", "--state"], None),
    ("groups-describe", "kafka-consumer-groups", [*IN, "--describe", "--group", "g1"], None),
    ("groups-describe-members", "kafka-consumer-groups", [*IN, "--describe", "--group", "g1", "--members"], None),
    ("groups-describe-state", "kafka-consumer-groups", [*IN, "--describe", "--group", "g1", "--state"], None),
    ("groups-describe-absent", "kafka-consumer-groups", [*IN, "--describe", "--group", "absent"], None),
    ("groups-reset", "kafka-consumer-groups", [*IN, "--group", "g1", "--reset-offsets", "--to-earliest", "--topic", "t2", "--execute"], None),
    ("groups-reset-shift", "kafka-consumer-groups", [*IN, "--group", "g1", "--reset-offsets", "--shift-by", "3", "--topic", "t2", "--dry-run"], None),
    ("groups-delete-offsets", "kafka-consumer-groups", [*IN, "--group", "g1", "--delete-offsets", "--topic", "t2"], None),
    ("groups-delete", "kafka-consumer-groups", [*IN, "--group", "g1", "--delete"], None),
    ("groups-delete-absent", "kafka-consumer-groups", [*IN, "--group", "g1", "--delete"], None),
    ("all-groups", "kafka-groups", [*IN, "--list"], None),
    ("configs-topic-alter", "kafka-configs", [*IN, "--alter", "--entity-type", "topics", "--entity-name", "t1", "--add-config", "max.message.bytes=2000,cleanup.policy=[compact,delete]"], None),
    ("configs-topic-describe", "kafka-configs", [*IN, "--describe", "--entity-type", "topics", "--entity-name", "t1"], None),
    ("configs-topic-describe-all", "kafka-configs", [*IN, "--describe", "--all", "--entity-type", "topics", "--entity-name", "t1"], None),
    ("configs-topic-delete", "kafka-configs", [*IN, "--alter", "--entity-type", "topics", "--entity-name", "t1", "--delete-config", "max.message.bytes"], None),
    ("configs-topic-bad", "kafka-configs", [*IN, "--alter", "--entity-type", "topics", "--entity-name", "t1", "--add-config", "retention.ms=many"], None),
    ("configs-topic-unknown", "kafka-configs", [*IN, "--alter", "--entity-type", "topics", "--entity-name", "t1", "--add-config", "no.such=1"], None),
    ("configs-broker-alter", "kafka-configs", [*IN, "--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "log.cleaner.threads=2"], None),
    ("configs-broker-alter-read-only", "kafka-configs", [*IN, "--alter", "--entity-type", "brokers", "--entity-name", "1", "--add-config", "log.dirs=/tmp"], None),
    ("configs-broker-describe", "kafka-configs", [*IN, "--describe", "--entity-type", "brokers", "--entity-name", "1"], None),
    ("configs-broker-default-describe", "kafka-configs", [*IN, "--describe", "--entity-type", "brokers", "--entity-default"], None),
    ("configs-broker-describe-all", "kafka-configs", [*IN, "--describe", "--all", "--entity-type", "brokers", "--entity-name", "1"], None),
    ("configs-broker-loggers", "kafka-configs", [*IN, "--alter", "--entity-type", "broker-loggers", "--entity-name", "1", "--add-config", "no.such.logger=DEBUG"], None),
    ("configs-broker-loggers-root", "kafka-configs", [*IN, "--alter", "--entity-type", "broker-loggers", "--entity-name", "1", "--add-config", "root=INFO"], None),
    ("configs-broker-loggers-level", "kafka-configs", [*IN, "--alter", "--broker-logger", "1", "--add-config", "root=LOUD"], None),
    ("configs-broker-loggers-delete", "kafka-configs", [*IN, "--alter", "--broker-logger", "1", "--delete-config", "root"], None),
    ("configs-group", "kafka-configs", [*IN, "--alter", "--entity-type", "groups", "--entity-name", "gg", "--add-config", "consumer.session.timeout.ms=50000"], None),
    ("configs-group-describe", "kafka-configs", [*IN, "--describe", "--entity-type", "groups", "--entity-name", "gg"], None),
    ("client-metrics", "kafka-client-metrics", [*IN, "--alter", "--name", "m1", "--metrics", "org.apache.kafka.producer.", "--interval", "60000"], None),
    ("client-metrics-describe", "kafka-client-metrics", [*IN, "--describe", "--name", "m1"], None),
    ("client-metrics-list", "kafka-client-metrics", [*IN, "--list"], None),
    ("client-metrics-match", "kafka-client-metrics", [*IN, "--alter", "--name", "m1", "--match", "client_id=app.*,client_source_port=1.*", "--interval", "1000"], None),
    ("client-metrics-describe-match", "kafka-client-metrics", [*IN, "--describe", "--name", "m1"], None),
    ("client-metrics-bad-interval", "kafka-client-metrics", [*IN, "--alter", "--name", "m2", "--interval", "50"], None),
    ("client-metrics-bad-match", "kafka-client-metrics", [*IN, "--alter", "--name", "m2", "--match", "client_id=a=b"], None),
    ("client-metrics-bad-attribute", "kafka-client-metrics", [*IN, "--alter", "--name", "m2", "--match", "nobody=a"], None),
    ("client-metrics-no-name", "kafka-client-metrics", [*IN, "--alter", "--interval", "1000"], None),
    ("client-metrics-all", "kafka-client-metrics", [*IN, "--alter", "--name", "m2", "--metrics", "*"], None),
    ("client-metrics-describe-all", "kafka-client-metrics", [*IN, "--describe"], None),
    ("client-metrics-describe-absent", "kafka-client-metrics", [*IN, "--describe", "--name", "absent"], None),
    ("client-metrics-delete", "kafka-client-metrics", [*IN, "--delete", "--name", "m1"], None),
    ("client-metrics-delete-absent", "kafka-client-metrics", [*IN, "--delete", "--name", "absent"], None),
    ("client-metrics-list-after-delete", "kafka-client-metrics", [*IN, "--list"], None),
    ("configs-client-metrics", "kafka-configs", [*IN, "--alter", "--entity-type", "client-metrics", "--entity-name", "m3", "--add-config", "metrics=[a,b],interval.ms=2000"], None),
    ("configs-client-metrics-describe", "kafka-configs", [*IN, "--describe", "--entity-type", "client-metrics", "--entity-name", "m3"], None),
    ("configs-client-metrics-describe-all", "kafka-configs", [*IN, "--describe", "--entity-type", "client-metrics"], None),
    ("configs-client-metrics-unknown", "kafka-configs", [*IN, "--alter", "--entity-type", "client-metrics", "--entity-name", "m3", "--add-config", "no.such=1"], None),
    ("configs-client-metrics-delete", "kafka-configs", [*IN, "--alter", "--entity-type", "client-metrics", "--entity-name", "m3", "--delete-config", "interval.ms"], None),
    ("configs-client-metrics-default", "kafka-configs", [*IN, "--describe", "--all", "--entity-type", "client-metrics", "--entity-name", "m3"], None),
    ("client-metrics-generate-name", "kafka-client-metrics", [*IN, "--alter", "--generate-name", "--metrics", "*"], None),
    ("delete-records", "kafka-delete-records", [*IN, "--offset-json-file", "{offsets}"], None),
    ("get-offsets-after-delete", "kafka-get-offsets", [*IN, "--topic", "t2", "--time", "-2"], None),
    ("log-dirs", "kafka-log-dirs", [*IN, "--describe", "--topic-list", "t1"], None),
    ("features-describe", "kafka-features", [*IN, "describe"], None),
    ("quorum-status", "kafka-metadata-quorum", [*IN, "describe", "--status"], None),
    ("quorum-replication", "kafka-metadata-quorum", [*IN, "describe", "--replication"], None),
    ("cluster-id", "kafka-cluster", ["cluster-id", *IN], None),
    ("cluster-endpoints", "kafka-cluster", ["list-endpoints", *IN], None),
    ("api-versions", "kafka-broker-api-versions", [*IN], None),
    ("verifiable-producer", "kafka-verifiable-producer", [*IN, "--topic", "t2", "--max-messages", "20", "--acks", "-1"], None),
    ("topics-delete", "kafka-topics", [*IN, "--delete", "--topic", "t1"], None),
    ("topics-delete-absent", "kafka-topics", [*IN, "--delete", "--topic", "absent"], None),
    ("topics-list-at-the-end", "kafka-topics", [*IN, "--list"], None),
]


def normal(text, b):
    """Text with all that differs from run to run made equal."""
    text = text.replace(b.bootstrap, "BOOTSTRAP").replace(str(b.folder), "FOLDER").replace(b.cluster_id, "CLUSTER")
    text = text.replace(str(kafka_home()), "HOME")
    for i, name in enumerate(("PORT", "CPORT", "HPORT")):
        text = re.sub(rf"\b{b.port + i}\b", name, text)
    return steady(text)


def steady(text):
    """Text without the ids, times and sizes that no two runs share."""
    text = re.sub(r"TopicId: \S+", "TopicId: ID", text)
    text = re.sub(r"\b20\d\d-\d\d-\d\dT?[ ]?\d\d:\d\d:\d\d[.,\d]*Z?", "TIME", text)
    text = re.sub(r"\b1[789]\d{11}\b", "MILLIS", text)
    text = re.sub(r'"(size|offsetLag|totalBytes|usableBytes)":-?\d+', r'"\1":N', text)
    text = re.sub(r"\((state|id): \d+ rack: null\)", r"(\1)", text)
    text = re.sub(r"(CurrentVoters|DirectoryId|directory[.]id)(.*)", lambda m: m[1] + re.sub(r"[\w-]{22}", "DIRECTORY", m[2]), text)
    text = re.sub(r"^(HighWatermark|LeaderEpoch|MaxFollowerLag|MaxFollowerLagTimeMs|LeaderLastObserver\w*):.*$", r"\1: N", text, flags=re.M)
    text = re.sub(r"\b[\w-]{8}-[\w-]{4}-[\w-]{4}-[\w-]{4}-[\w-]{12}\b", "UUID", text)
    text = re.sub(r"[ \t]+$", "", text, flags=re.M)
    text = re.sub(r"^\[?TIME\]? (WARN|ERROR|INFO) .*\n?", "", text, flags=re.M)
    text = re.sub(r"^\tat .*\n|^Caused by: .*\n|^\t\.\.\. \d+ more\n", "", text, flags=re.M)
    return text.strip() + "\n"


# APIs that this version does not serve yet, and so does not advertise; everything else must be as Kafka advertises it.
LATER = {
    "SaslHandshake", "SaslAuthenticate", "CreateDelegationToken", "RenewDelegationToken", "ExpireDelegationToken",
    "DescribeDelegationToken", "DescribeAcls", "CreateAcls", "DeleteAcls", "DescribeUserScramCredentials",
    "AlterUserScramCredentials", "DescribeClientQuotas", "AlterClientQuotas",
    "ShareGroupHeartbeat", "ShareGroupDescribe", "ShareFetch", "ShareAcknowledge",
    "InitializeShareGroupState", "ReadShareGroupState", "WriteShareGroupState", "DeleteShareGroupState",
    "ReadShareGroupStateSummary", "DescribeShareGroupOffsets", "AlterShareGroupOffsets", "DeleteShareGroupOffsets",
    "StreamsGroupHeartbeat", "StreamsGroupDescribe",
}


# APIs that Kafka serves only where a plugin receives telemetry. Here one is built in.
WITH_RECEIVER = {"GetTelemetrySubscriptions", "PushTelemetry"}


def api_versions(text):
    """The lines of APIs that are served. One that is served must not stand in LATER."""
    kept = []
    for line in text.splitlines():
        name = re.match(r"\t(\w+)\(\d+\): (\S+)", line)
        if name and name[1] in LATER:
            assert KAFKA or name[2].startswith("UNSUPPORTED"), f"{name[1]} is served: take it off the list"
            continue
        if name and name[1] in WITH_RECEIVER:
            want = "UNSUPPORTED" if KAFKA else "0 [usable: 0]"
            assert line.rstrip(",").endswith(f": {want}"), line
            continue
        kept.append(line.rstrip(","))
    return "\n".join(kept) + "\n"


# The broker's own: keys of which Kafka prints its own defaults in a place of its own, epochs that grow, lags in time.
LOOSE = {
    "quorum-replication": lambda t: re.sub(r"(?m)^(\d+)\s.*\s(\w+)$", r"\1 \2", t),
    "log-dirs": lambda t: re.sub(r'"partitions":\[(.*?)\]', lambda m: " ".join(sorted(re.findall(r"{.*?}", m[1]))), t),
    "api-versions": api_versions,
    "client-metrics-generate-name": lambda t: re.sub(r"for \S{22}", "for NAME", t),
    "features-describe": lambda t: re.sub(r"Epoch: \d+", "Epoch: N", t),
    "console-consumer-group": lambda t: "\n".join(sorted(t.splitlines())) + "\n",
    "configs-broker-describe-all": lambda t: "\n".join(sorted(
        line for line in t.splitlines() if not re.search(r"^  (http[.]|log[.]dirs?=|.*DIRECTORY)", line))) + "\n",
    "verifiable-producer": lambda t: "\n".join(sorted(
        re.sub(r'"(partition|offset|key)":("?\w+"?)', r'"\1":N', line) for line in t.splitlines() if "target_throughput" not in line)) + "\n",
}


def command(b, name, program, args, text, **values):
    values["b"] = b.bootstrap
    p = tool(program, *[a.format(**values) for a in args], check=False, input=text)
    got = normal(f"exit {p.returncode}\n--- stdout\n{p.stdout}--- stderr\n{p.stderr}", b)
    if name in LOOSE:
        got = LOOSE[name](got)
    file = GOLDEN / f"{name}.txt"
    if KAFKA and os.environ.get("UPDATE"):
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(got)
    want = file.read_text()
    if got != want:
        import difflib
        diff = "\n".join(list(difflib.unified_diff(want.splitlines(), got.splitlines(), "kafka", "this", lineterm="", n=0))[:24])
        raise AssertionError(f"differs from Apache Kafka's:\n{diff}")


def run(b):
    offsets = b.folder / "offsets.json"
    offsets.write_text('{"partitions":[{"topic":"t2","partition":0,"offset":10}],"version":1}')
    for name, program, args, text in COMMANDS:
        tap.run(f"tools/{name}", command, b, name, program, args, text, offsets=offsets)
    tap.run("tools/requests for loggers that no tool sends", odd_loggers, b)
    if not KAFKA:
        tap.run("tools/levels of loggers hold at once", loggers, b)


def odd_loggers(b):
    """What a node says to changes of loggers that Kafka's own client does not ask for: code and text of each resource."""
    INVALID_REQUEST, INVALID_CONFIG, NONE = 42, 40, 0

    def answers(key, version, *resources):
        r = wire.Reader(wire.ask(b.port, key, version, array(resources) + b"\0"))
        r.take(">i")
        return [(r.take(">h"), r.string(), r.take(">b"), r.string())[:2] for _ in range(r.take(">i"))]

    def incremental(name, *changes):
        row = lambda logger, op, level: string(logger) + op.to_bytes(1, "big", signed=True) + string(level)
        return b"\x08" + string(name) + array([row(*change) for change in changes])

    def full(name, *values):
        return b"\x08" + string(name) + array([string(logger) + string(level) for logger, level in values])

    def asked(*resources):
        return answers(44, 0, *resources)

    SET, DELETE, UNKNOWN = 0, 1, 9
    same = incremental("1", ("root", SET, "INFO"))
    told = [
        asked(same), asked(same, same), asked(incremental("7", ("root", SET, "INFO"))), asked(incremental("x", ("root", SET, "INFO"))),
        asked(incremental("", ("root", SET, "INFO"))), asked(incremental("1", ("root", UNKNOWN, "INFO"))), asked(incremental("1", ("root", SET, None))),
        asked(incremental("1", ("root", SET, "INFO"), ("root", DELETE, None))), asked(incremental("1", ("root", SET, "info"))), asked(incremental("1")),
        asked(incremental("1", ("no.such", SET, "LOUD"))), answers(33, 1, full("1", ("root", "INFO"))),
    ]
    levels = "Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"
    want = [
        [(NONE, None)], [(INVALID_REQUEST, "Each resource must appear at most once.")] * 2,
        [(INVALID_REQUEST, "Unexpected node id. Expected 1, but received 7")], [(INVALID_REQUEST, "Node id must be an integer, but it is: x")],
        [(INVALID_REQUEST, "Node id must be an integer, but it is: ")],
        # Kafka stumbles over a number that it does not know.
        [(-1, None) if KAFKA else (INVALID_REQUEST, "Unknown operation type 9 is not allowed for the BROKER_LOGGER resource")],
        [(INVALID_REQUEST, "Null value not supported for : root")], [(INVALID_REQUEST, "Error due to duplicate config keys")],
        [(INVALID_CONFIG, f"Cannot set the log level of root to info as it is not a supported log level. {levels}")], [(NONE, None)],
        [(INVALID_CONFIG, "Logger no.such does not exist!")], [(INVALID_REQUEST, "Unknown resource type 8")],
    ]
    assert told == want, "\n".join(f"{a} instead of {b}" for a, b in zip(told, want) if a != b)


def loggers(b):
    """A level of a logger that changes: lines come that did not, go again, and none is left of it after a restart."""
    def change(*args):
        tool("kafka-configs", "--bootstrap-server", b.bootstrap, "--alter", "--broker-logger", "1", *args)

    def level(name):
        described = tool("kafka-configs", "--bootstrap-server", b.bootstrap, "--describe", "--broker-logger", "1").stdout
        return re.search(rf"^  {name}=(\w+) sensitive=false synonyms={{}}$", described, re.M)[1]

    def told():
        before = len(b.output())
        p = subprocess.run(["kcat", "-b", b.bootstrap, "-P", "-t", "loggers", "-X", "message.timeout.ms=5000"], input="no key\n", capture_output=True, text=True, timeout=30)
        assert p.returncode, "a record without a key in a compacted topic"
        return "DEBUG ottla_server" in re.sub(r"\x1b\[\d*m", "", b.output()[before:])

    tool("kafka-topics", "--bootstrap-server", b.bootstrap, "--create", "--topic", "loggers", "--config", "cleanup.policy=compact")
    assert not told() and level("ottla_server") == "INFO"
    change("--add-config", "ottla_server=DEBUG")
    assert told() and level("ottla_server") == "DEBUG" and level("ottla_engine") == "INFO"
    change("--delete-config", "ottla_server")
    assert not told() and level("ottla_server") == "INFO"
    change("--add-config", "ottla=DEBUG")
    assert told() and level("ottla_server") == "DEBUG", "all rooms"
    b.stop()
    b.start()
    assert not told() and level("ottla") == "INFO"
