"""Ottla's own topics, console-producer and console-consumer against a node.

What they print and how they end must be what Kafka's tools do: the same commands, held to the same golden/ texts.
"""
import re
import subprocess
import uuid

import tap
from broker import binary
from kcat import kcat
from tools import COMMANDS, GOLDEN, normal

# Kafka's tool and the command of Ottla's binary.
NAMES = {"kafka-topics": "topics", "kafka-console-producer": "console-producer", "kafka-console-consumer": "console-consumer"}

# They show all topics there are, or need a group, or come behind commands of other tools.
LEFT_OUT = {"topics-list", "topics-describe-all", "topics-list-at-the-end", "console-consumer-group"}


def ottla(b, command, *args, input=None):
    return subprocess.run([binary(), command, "--bootstrap-server", b.bootstrap, *args],
                          input=input, capture_output=True, text=True, timeout=90)


def done(p):
    assert p.returncode == 0, f"{' '.join(map(str, p.args[1:]))}: exit {p.returncode}: {p.stdout}{p.stderr}"
    return p.stdout


def outcome(text, names):
    """Exit code and standard output of a golden text, with the names of this run for the golden's."""
    text = text.split("--- stderr")[0]
    for name, own in names.items():
        text = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w-]|[.]\w)", own, text)
    return text


def golden(b, name, program, args, text, names):
    args = [names.get(a.format(b=b.bootstrap), a.format(b=b.bootstrap)) for a in args if a not in ("--bootstrap-server", "{b}")]
    p = ottla(b, NAMES[program], *args, input=text)
    got = normal(f"exit {p.returncode}\n--- stdout\n{p.stdout}--- stderr\n", b).split("--- stderr")[0]
    want = outcome((GOLDEN / f"{name}.txt").read_text(), names)
    assert got == want, f"Apache Kafka's:\n{want}\nthis:\n{got}\nstderr: {p.stderr}"


def greeting(b):
    """The three commands that `ottla server` prints."""
    topic = f"hello-{uuid.uuid4().hex[:8]}"
    assert done(ottla(b, "topics", "--create", "--topic", topic)) == f"Created topic {topic}.\n"
    assert done(ottla(b, "console-producer", "--topic", topic, input="one\ntwo\nthree")) == ""
    p = ottla(b, "console-consumer", "--topic", topic, "--from-beginning", "--max-messages", "3")
    assert done(p) == "one\ntwo\nthree\n", p.stdout
    assert p.stderr == "Processed a total of 3 messages\n", p.stderr


def to_kcat(b, codec):
    """What the producer sends, kcat reads; and each key goes where librdkafka's producer of Java's keys puts it."""
    topic = f"own-{codec}-{uuid.uuid4().hex[:8]}"
    done(ottla(b, "topics", "--create", "--topic", topic, "--partitions", "3"))
    lines = [f"key{i}\tvalue {i} {'x' * (i % 90)}" for i in range(3000)]
    done(ottla(b, "console-producer", "--topic", topic, "--compression-codec", codec, "--reader-property", "parse.key=true",
               "--command-property", "batch.size=4000", input="\n".join(lines)))
    kcat(b, "-P", "-t", topic, "-K\t", "-X", "topic.partitioner=murmur2_random", input="\n".join(lines))
    got = kcat(b, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%p\t%k\t%s\n").splitlines()
    for partition in range(3):
        of = [line.split("\t", 1)[1] for line in got if line.startswith(f"{partition}\t")]
        half = len(of) // 2
        assert half > 500 and of[:half] == of[half:], f"partition {partition}: {len(of)} records, not twice the same"
    assert sorted(line.split("\t", 1)[1] for line in got) == sorted(lines * 2)


def from_kcat(b, codec):
    """What kcat sends, the consumer reads."""
    topic = f"kcat-own-{codec}-{uuid.uuid4().hex[:8]}"
    done(ottla(b, "topics", "--create", "--topic", topic))
    lines = [f"key{i}:value {i}" for i in range(2000)]
    kcat(b, "-P", "-t", topic, "-K:", "-z", codec, "-H", "origin=kcat", input="\n".join(lines))
    show = [x for key in ("print.key=true", "print.headers=true", "print.offset=true", "key.separator=:") for x in ("--formatter-property", key)]
    got = done(ottla(b, "console-consumer", "--topic", topic, "--from-beginning", "--max-messages", "2000", *show)).splitlines()
    assert got == [f"Offset:{i}:origin:kcat:{line}" for i, line in enumerate(lines)], got[:3]
    got = done(ottla(b, "console-consumer", "--topic", topic, "--partition", "0", "--offset", "1998", "--timeout-ms", "1500"))
    assert got == "value 1998\nvalue 1999\n", got


def without_keys(b):
    """Records without a key spread over the partitions, and none is lost or doubled."""
    topic = f"spread-{uuid.uuid4().hex[:8]}"
    done(ottla(b, "topics", "--create", "--topic", topic, "--partitions", "4"))
    lines = [f"line {i}" for i in range(20000)]
    done(ottla(b, "console-producer", "--topic", topic, input="\n".join(lines)))
    got = done(ottla(b, "console-consumer", "--topic", topic, "--from-beginning", "--max-messages", "20000",
                     "--formatter-property", "print.partition=true")).splitlines()
    assert sorted(line.split("\t")[1] for line in got) == sorted(lines)
    assert len({line.split("\t")[0] for line in got}) == 4


def list_and_delete(b):
    names = [f"listed-{uuid.uuid4().hex[:8]}" for _ in range(3)]
    for name in names:
        done(ottla(b, "topics", "--create", "--topic", name))
    assert done(ottla(b, "topics", "--list", "--topic", "|".join(names))).split() == sorted(names)
    everything = done(ottla(b, "topics", "--list")).split()
    assert set(names) <= set(everything) and everything == sorted(everything)
    assert done(ottla(b, "topics", "--delete", "--topic", ",".join(names[:2]))) == ""
    assert done(ottla(b, "topics", "--list", "--topic", "|".join(names))).split() == names[2:]
    assert done(ottla(b, "topics", "--delete", "--if-exists", "--topic", names[0])) == ""


def refused(b):
    """Command lines that do not run end as Kafka's do: nothing on standard output, exit code 1."""
    for command, *args in [
        ("topics",), ("topics", "--help"), ("topics", "--list", "--create"), ("topics", "--create"), ("topics", "--list", "--nope"),
        ("topics", "--alter", "--topic", "a"), ("topics", "--create", "--topic", "a", "--replica-assignment", "1", "--partitions", "2"),
        ("console-producer",), ("console-consumer",), ("console-consumer", "--topic", "a", "--offset", "3"),
        ("console-consumer", "--topic", "a", "--partition", "0", "--offset", "x"),
    ]:
        p = ottla(b, command, *args)
        assert (p.returncode, p.stdout) == (1, "") and p.stderr, f"{command} {args}: {p}"
    p = ottla(b, "topics", "--create", "--topic", "a", "--partitions", "x")
    assert (p.returncode, p.stdout) == (1, "Error while executing topic command : Cannot parse argument 'x' of option partitions\n"), p


def run(b):
    suffix = uuid.uuid4().hex[:6]
    # Other parts may have made the golden's topics on this node.
    names = {"t1": f"t1-{suffix}", "t2": f"t2-{suffix}", "a.b_c": f"a.b_c-{suffix}", "t9": f"t9-{suffix}", "absent": f"absent-{suffix}"}
    tap.run("ottla tools/greeting", greeting, b)
    for name, program, args, text in COMMANDS:
        if program in NAMES and name not in LEFT_OUT:
            tap.run(f"ottla tools/{name}", golden, b, name, program, args, text, names)
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        tap.run(f"ottla tools/to kcat, {codec}", to_kcat, b, codec)
        tap.run(f"ottla tools/from kcat, {codec}", from_kcat, b, codec)
    tap.run("ottla tools/records without keys", without_keys, b)
    tap.run("ottla tools/list and delete", list_and_delete, b)
    tap.run("ottla tools/refused command lines", refused, b)
