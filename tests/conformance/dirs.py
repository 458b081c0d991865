"""kafka-reassign-partitions.sh and kafka-log-dirs.sh on a node with three log directories, held to what they print of
Apache Kafka; see tools.py for the expected outputs."""
import json
import re
import time

import tap
import tools
from broker import KAFKA, Broker, tool
from tools import IN

REASSIGN = "kafka-reassign-partitions"


def plan(b, name, *moves):
    """A file that says in which directory each partition is to be."""
    rows = [{"topic": topic, "partition": p, "replicas": [1], "log_dirs": [str(dir)]} for topic, p, dir in moves]
    file = b.folder / f"{name}.json"
    file.write_text(json.dumps({"version": 1, "partitions": rows}))
    return file


def settled(b, file):
    """Until --verify says of every move that it is done."""
    end = time.time() + 60
    while True:
        out = tool(REASSIGN, "--bootstrap-server", b.bootstrap, "--verify", "--reassignment-json-file", file, "--preserve-throttles", check=False).stdout
        if out.count(" completed successfully.") == 2:
            return
        assert time.time() < end, f"never done: {out}"


def order(text):
    """Directories and partitions in an order of their own."""
    def dirs(match):
        rows = json.loads(match[0])
        for broker in rows["brokers"]:
            broker["logDirs"].sort(key=lambda d: d["logDir"])
            for d in broker["logDirs"]:
                d["partitions"] = sorted((p for p in d["partitions"] if p["partition"].startswith("d1")), key=lambda p: p["partition"])
        return json.dumps(rows)
    return re.sub(r'\{"brokers".*\}', dirs, re.sub(r'"(size|offsetLag)":N', r'"\1":0', text))


def run():
    with Broker(three_dirs=True) as b:
        a, second, third = b.dirs
        first, then = plan(b, "first", ("d1", 0, a), ("d1", 1, second)), plan(b, "then", ("d1", 0, second), ("d1", 1, third))
        nowhere, absent = plan(b, "nowhere", ("d1", 0, b.folder / "nowhere")), plan(b, "absent", ("absent", 0, a))
        tools.LOOSE["log-dirs-moved"] = order
        check = lambda name, program, args, **kw: tap.run(f"dirs/{name}", tools.command, b, name, program, [*IN, *args], None)
        tool("kafka-topics", "--bootstrap-server", b.bootstrap, "--create", "--topic", "d1", "--partitions", "2")
        tool("kafka-console-producer", "--bootstrap-server", b.bootstrap, "--topic", "d1", input="".join(f"value {i}\n" for i in range(500)))
        tool(REASSIGN, "--bootstrap-server", b.bootstrap, "--execute", "--reassignment-json-file", first)
        tap.run("dirs/first moves settle", settled, b, first)
        check("reassign-execute-throttled", REASSIGN, ["--execute", "--reassignment-json-file", str(then), "--replica-alter-log-dirs-throttle", "100000000", "--additional"])
        tap.run("dirs/second moves settle", settled, b, then)
        check("reassign-verify", REASSIGN, ["--verify", "--reassignment-json-file", str(then)])
        check("reassign-list", REASSIGN, ["--list"])
        check("reassign-cancel", REASSIGN, ["--cancel", "--reassignment-json-file", str(then)])
        check("reassign-absent", REASSIGN, ["--execute", "--reassignment-json-file", str(absent)])
        check("reassign-nowhere", REASSIGN, ["--execute", "--timeout", "3000", "--reassignment-json-file", str(nowhere)])
        check("log-dirs-moved", "kafka-log-dirs", ["--describe", "--topic-list", "d1"])
        check("reassigned-consumed", "kafka-get-offsets", ["--topic", "d1", "--time", "earliest"])
        assert KAFKA or not list(b.folder.glob("*/*-future")), "no copy is left"
