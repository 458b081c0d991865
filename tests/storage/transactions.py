#!/usr/bin/env python3
"""Transactions as partitions see them, by hand: what Kafka's dump tool, its transactions tool and readers of committed records
make of what this node writes for Produce, TxnOffsetCommit and WriteTxnMarkers.

No coordinator takes part: with transaction.partition.verification.enable=false nobody is asked before a transaction begins.
usage: transactions.py     (BROKER=kafka runs it on Apache Kafka)
"""
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import tap
import wire
from broker import Broker, tool, until
from wirebytes import array, batch, blob, i8, i16, i32, i64, record, string

TRANSACTIONAL = 0x10
TOPIC = "transactional"
NONE, OLD_EPOCH, INVALID_TXN_STATE, FENCED_COORDINATOR, NOT_MAPPED, TRY_AGAIN = 0, 47, 48, 52, 49, 19
UNKNOWN, UNSTABLE, OUT_OF_ORDER = 3, 88, 45


def produce(b, values, producer, topic=TOPIC, transactional_id="by-hand", partitions=(0,), attributes=TRANSACTIONAL, version=3):
    """Produce: the error code of each partition."""
    now = int(time.time() * 1000)
    records = [record(None, v.encode(), delta) for delta, v in enumerate(values)]
    rows = [i32(p) + blob(batch(records, attributes=attributes, producer=producer, base_timestamp=now)) for p in partitions]
    r = wire.Reader(wire.ask(b.port, 0, version, string(transactional_id) + i16(-1) + i32(10_000) + array([string(topic) + array(rows)])))
    found = r.array(lambda: (r.string(), r.array(lambda: (r.take(">i"), r.take(">h"), r.take(">q"), r.take(">q"))[1])))
    return found[0][1][0] if len(partitions) == 1 else found[0][1]


def mark(b, producer, commit, topic=TOPIC, partition=0, coordinator=0, version=1, transactions=1):
    """WriteTxnMarkers: the error code of the partition."""
    short = lambda text: bytes([len(text) + 1]) + text.encode()
    topics = b"\x02" + short(topic) + b"\x02" + i32(partition) + b"\0"
    marker = i64(producer[0]) + i16(producer[1]) + i8(int(commit)) + topics + i32(coordinator)
    marker += i8(transactions) if version > 1 else b""
    r = wire.Reader(wire.ask(b.port, 27, version, b"\x02" + marker + b"\0\0", flexible=True))
    assert (r.uvarint(), r.take(">q")) == (2, producer[0])
    assert (r.uvarint(), r.uvarint()) == (2, len(topic) + 1)
    r.at += len(topic)
    assert (r.uvarint(), r.take(">i")) == (2, partition)
    return r.take(">h")


def commit_offset(b, group, offset, producer, topic=TOPIC, version=2):
    """TxnOffsetCommit of partition 0: its error code."""
    rows = array([string(topic) + array([i32(0) + i64(offset) + i32(-1) + string("")])])
    r = wire.Reader(wire.ask(b.port, 28, version, string("by-hand") + string(group) + i64(producer[0]) + i16(producer[1]) + rows))
    r.take(">i")
    return r.array(lambda: (r.string(), r.array(lambda: (r.take(">i"), r.take(">h"))[1])))[0][1][0]


def committed(b, group, stable):
    """OffsetFetch of partition 0: its offset and error code."""
    short = lambda text: bytes([len(text) + 1]) + text.encode()
    body = short(group) + b"\x02" + short(TOPIC) + b"\x02" + i32(0) + b"\0" + i8(int(stable)) + b"\0"
    r = wire.Reader(wire.ask(b.port, 9, 7, body, flexible=True))
    r.take(">i")
    if r.uvarint() == 1:
        return -1, r.take(">h")
    skip_text(r), r.uvarint(), r.take(">i")
    offset, _ = r.take(">q"), r.take(">i")
    skip_text(r)
    return offset, r.take(">h")


def skip_text(r):
    length = r.uvarint() - 1
    r.at += length


def coordinate(b, group):
    """Makes the topic of groups, and waits until the group has a coordinator."""
    until("a coordinator", lambda: wire.Reader(wire.ask(b.port, 10, 0, string(group))).take(">h") == NONE)


def read(b, level, topic=TOPIC):
    """What a consumer reads from the beginning to the end it may see."""
    out = subprocess.run(["kcat", "-b", b.bootstrap, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q",
                          "-X", f"isolation.level={level}"], capture_output=True, text=True, timeout=60, check=True).stdout
    return out.split()


def producers(b, topic=TOPIC):
    """kafka-transactions.sh describe-producers: the rows by producer id, without times."""
    out = tool("kafka-transactions", "--bootstrap-server", b.bootstrap, "describe-producers", "--topic", topic, "--partition", "0").stdout
    rows = [line.split() for line in out.strip().splitlines()[1:]]
    return {int(row[0]): (*map(int, row[1:3]), int(row[3]), row[-1]) for row in rows}


def seen_when_decided(b):
    coordinate(b, "a-group")
    tool("kafka-topics", "--bootstrap-server", b.bootstrap, "--create", "--topic", TOPIC, "--partitions", "2")
    assert produce(b, ["a0", "a1"], (500, 0, 0)) == NONE
    assert produce(b, ["plain"], (-1, -1, -1), transactional_id=None, attributes=0) == NONE
    assert read(b, "read_uncommitted") == ["a0", "a1", "plain"] and read(b, "read_committed") == []
    assert mark(b, (500, 0), commit=True) == NONE
    assert read(b, "read_committed") == ["a0", "a1", "plain"]
    assert produce(b, ["a2"], (500, 0, 2)) == NONE and produce(b, ["b0"], (501, 3, 0)) == NONE
    assert mark(b, (500, 0), commit=False) == NONE
    assert read(b, "read_committed") == ["a0", "a1", "plain"], "one is open still"
    assert mark(b, (501, 3), commit=True, version=2, transactions=1) == NONE
    assert read(b, "read_committed") == ["a0", "a1", "plain", "b0"]
    assert read(b, "read_uncommitted") == ["a0", "a1", "plain", "a2", "b0"]


def epochs_fence(b):
    assert produce(b, ["z0"], (502, 5, 0)) == NONE
    assert produce(b, ["z1"], (502, 4, 1)) == OLD_EPOCH
    assert mark(b, (502, 4), commit=True) == OLD_EPOCH
    assert mark(b, (502, 5), commit=True, version=2, transactions=2) == OLD_EPOCH, "version 2 bumps it"
    assert mark(b, (502, 6), commit=False, coordinator=7, version=2, transactions=2) == NONE
    assert mark(b, (502, 6), commit=False, coordinator=7, version=2, transactions=2) == NONE, "sent again"
    assert mark(b, (502, 6), commit=False, coordinator=6) == FENCED_COORDINATOR
    assert produce(b, ["late"], (502, 5, 1)) == OLD_EPOCH
    assert produce(b, ["z2"], (502, 6, 3)) == OUT_OF_ORDER, "a new epoch begins with 0"
    assert produce(b, ["z2"], (502, 6, 0)) == NONE
    assert produce(b, ["outside"], (502, 6, 1), transactional_id=None, attributes=0) == INVALID_TXN_STATE
    assert mark(b, (502, 7), commit=True, coordinator=7, version=2, transactions=2) == NONE
    assert read(b, "read_committed")[-2:] == ["b0", "z2"]
    assert mark(b, (502, 7), commit=True, topic="nowhere") == UNKNOWN
    assert mark(b, (502, 7), commit=True, partition=9) == UNKNOWN


def refused_by_hand(b):
    assert produce(b, ["x"], (503, 0, 0), transactional_id=None) == 53, "no transactional id"
    assert produce(b, ["x"], (503, 0, 0), partitions=(0, 1, 9)) == [NONE, NONE, UNKNOWN]
    assert mark(b, (503, 0), commit=False) == NONE and mark(b, (503, 0), commit=False, partition=1) == NONE


def offsets_count_when_decided(b):
    assert commit_offset(b, "a-group", 1, (500, 0), topic="nowhere") == UNKNOWN
    assert commit_offset(b, "a-group", 4, (500, 0)) == NONE
    assert committed(b, "a-group", stable=False) == (-1, NONE)
    assert committed(b, "a-group", stable=True) == (-1, UNSTABLE)
    offsets = offsets_partition(b, "a-group")
    assert mark(b, (500, 0), commit=True, topic="__consumer_offsets", partition=offsets) == NONE
    assert committed(b, "a-group", stable=True) == (4, NONE)
    assert commit_offset(b, "a-group", 9, (500, 0)) == NONE
    assert mark(b, (500, 1), commit=False, topic="__consumer_offsets", partition=offsets) == NONE
    assert committed(b, "a-group", stable=True) == (4, NONE)
    assert commit_offset(b, "a-group", 9, (500, 0)) == OLD_EPOCH
    assert commit_offset(b, "", 9, (500, 1)) == 24, "no group"


def offsets_partition(b, group):
    """Kafka's hash of a group's name, by its 50 partitions."""
    h = 0
    for c in group:
        h = (31 * h + ord(c)) & 0xFFFFFFFF
    return (h & 0x7FFFFFFF) % 50


def hanging_is_aborted(b):
    assert produce(b, ["hanging"], (504, 2, 0)) == NONE and produce(b, ["behind"], (-1, -1, -1), transactional_id=None, attributes=0) == NONE
    before = read(b, "read_committed")
    epoch, sequence, coordinator, start = [producers(b)[504][i] for i in (0, 2, 1, 3)]
    assert start.isdigit(), producers(b)
    tool("kafka-transactions", "--bootstrap-server", b.bootstrap, "abort", "--topic", TOPIC, "--partition", "0", "--start-offset", start)
    assert read(b, "read_committed") == before + ["behind"]
    assert producers(b)[504][-1] == "None", producers(b)


def survives(b):
    """What is open stays open, and what is aborted stays so, through an end of the process of either kind."""
    assert produce(b, ["open"], (505, 0, 0)) == NONE
    before = (read(b, "read_committed"), read(b, "read_uncommitted"), producers(b), committed(b, "a-group", stable=True))
    for end in (b.stop, b.kill):
        end()
        b.start()
        coordinate(b, "a-group")
        until("the group's offsets", lambda: committed(b, "a-group", stable=True)[1] != 14)
        assert (read(b, "read_committed"), read(b, "read_uncommitted"), producers(b), committed(b, "a-group", stable=True)) == before
    assert mark(b, (505, 0), commit=True) == NONE
    assert read(b, "read_committed") == before[0] + ["open"]


def many(b):
    """Enough for several segments, of which one has a transaction that goes through all of them."""
    assert produce(b, ["long"], (600, 0, 0)) == NONE
    for n in range(60):
        assert produce(b, ["x" * 40_000], (601, n, 0)) == NONE
        assert mark(b, (601, n), commit=n % 3 != 0) == NONE
    assert mark(b, (600, 0), commit=False) == NONE


def dumped(b):
    """After the node has ended: every file of both topics."""
    folder, counts = b.data / f"{TOPIC}-0", {}
    wrong = re.compile(r"isvalid: false|Exception|[Mm]ismatch|not sorted|[Nn]on-consecutive offsets|[Cc]orrupt|Found .*|Log tail is at.*")

    def looked_at(out, file):
        out = re.sub(r"Non-consecutive offsets in .*\n  -1 is followed by \d+\n?", "", out)
        assert not wrong.search(out), f"{file}: {wrong.search(out)[0]}"
        return out

    for kind in ("log", "index", "timeindex", "txnindex", "snapshot"):
        for file in sorted(folder.glob(f"*.{kind}")):
            args = ["--deep-iteration", "--print-data-log"] if kind == "log" else []
            counts.setdefault(kind, []).append(looked_at(tool("kafka-dump-log", "--files", file, *args).stdout, file))
    assert len(counts["log"]) > 2, "it rolled"
    logs, index, snapshot = "".join(counts["log"]), "".join(counts["txnindex"]), counts["snapshot"][-1]
    assert logs.count("endTxnMarker: COMMIT") > 40 and logs.count("endTxnMarker: ABORT") > 20
    assert re.search(r"endTxnMarker: ABORT coordinatorEpoch: 7", logs), "the coordinator's epoch"
    assert index.count("producerId: 601 ") == 20, index[-300:]
    long = re.search(r"version: 0 producerId: 600 firstOffset: (\d+) lastOffset: (\d+) lastStableOffset: (\d+)", index)
    assert long and int(long[3]) == int(long[2]) + 1 and int(long[1]) < int(long[2]) - 100, index[-300:]
    assert re.search(r"producerId: 601 producerEpoch: 59 .*currentTxnFirstOffset: OptionalLong.empty", snapshot), snapshot[-400:]
    found = ""
    for log in b.data.glob("__consumer_offsets-*/*.log"):
        if log.stat().st_size:
            found += looked_at(tool("kafka-dump-log", "--files", log, "--offsets-decoder", "--deep-iteration").stdout, log)
    assert "isTransactional: true" in found and '"group":"a-group"' in found.replace(" ", ""), found[-400:]
    assert "endTxnMarker: COMMIT" in found and "endTxnMarker: ABORT" in found, found[-400:]


def verified(b):
    """Who has no coordinator that knows of its transaction begins none."""
    tool("kafka-topics", "--bootstrap-server", b.bootstrap, "--create", "--topic", TOPIC, "--partitions", "2")
    answer = produce(b, ["x"], (500, 0, 0))
    assert answer in (NOT_MAPPED, TRY_AGAIN), answer
    assert commit_offset(b, "a-group", 4, (500, 0)) in (14, 15, 16, NOT_MAPPED)
    assert read(b, "read_uncommitted") == []


if __name__ == "__main__":
    settings = {"log.segment.bytes": "1048576", "log.index.interval.bytes": "1000", "transaction.partition.verification.enable": "false"}
    with Broker(settings) as b:
        tap.run("transactions/records are seen when their transaction is decided", seen_when_decided, b)
        tap.run("transactions/epochs of producers and coordinators fence", epochs_fence, b)
        tap.run("transactions/what belongs to none is refused", refused_by_hand, b)
        tap.run("transactions/offsets count when their transaction is decided", offsets_count_when_decided, b)
        tap.run("transactions/a hanging one is found and aborted by Kafka's tool", hanging_is_aborted, b)
        tap.run("transactions/stops and kills change nothing of what is open", survives, b)
        tap.run("transactions/through many segments", many, b)
        b.stop()
        tap.run("transactions/Kafka's dump reads every file", dumped, b)
    with Broker({}) as b:
        tap.run("transactions/none begins that its coordinator does not know", verified, b)
    sys.exit(tap.finish())
