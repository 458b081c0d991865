#!/usr/bin/env python3
"""Asks a broker what it answers to good, odd and hostile Produce requests.

usage: produce_answers.py PORT > produce-answers.tsv

Each line: name, Produce version, topic, the time the timestamps are made from (milliseconds),
records as hex, error code, numbers of the rejected records, message. The topics, made here:
d (defaults), c (compacted), small (max.message.bytes=300), lat (LogAppendTime),
bef (message.timestamp.before.max.ms=60000), gz and unc (compression.type gzip and uncompressed).
"""
import gzip
import re
import socket
import struct
import sys
import time
import zlib

PORT = int(sys.argv[1])
NOW = int(time.time() * 1000)
HOUR = 3600 * 1000
TOPICS = {
    "d": {},
    "c": {"cleanup.policy": "compact"},
    "small": {"max.message.bytes": "300"},
    "lat": {"message.timestamp.type": "LogAppendTime"},
    "bef": {"message.timestamp.before.max.ms": "60000"},
    "gz": {"compression.type": "gzip"},
    "unc": {"compression.type": "uncompressed"},
}

CRC32C = []
for i in range(256):
    c = i
    for _ in range(8):
        c = (c >> 1) ^ 0x82F63B78 if c & 1 else c >> 1
    CRC32C.append(c)


def crc32c(data):
    c = 0xFFFFFFFF
    for x in data:
        c = CRC32C[(c ^ x) & 255] ^ (c >> 8)
    return c ^ 0xFFFFFFFF


def varint(n):
    n = ((n << 1) ^ (n >> 63)) & ((1 << 64) - 1)
    out = b""
    while n >= 128:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def nullable(data):
    return varint(-1) if data is None else varint(len(data)) + data


def rec(delta, key=b"k", value=b"v", ts=0, attributes=0, headers=0, extra=b"", length=None):
    body = bytes([attributes]) + varint(ts) + varint(delta) + nullable(key) + nullable(value)
    body += varint(headers) + extra
    return varint(len(body) if length is None else length) + body


def batch(records, base=0, count=None, last=None, attributes=0, ts=NOW, max_ts=NOW, pid=-1,
          epoch=-1, sequence=-1, magic=2, leader_epoch=-1, wrong_crc=0, body=None, length=None):
    n = len(records)
    count = n if count is None else count
    last = n - 1 if last is None else last
    body = b"".join(records) if body is None else body
    covered = struct.pack(">hiqqqhii", attributes, last, ts, max_ts, pid, epoch, sequence, count)
    covered += body
    tail = struct.pack(">ibI", leader_epoch, magic, crc32c(covered) ^ wrong_crc) + covered
    return struct.pack(">qi", base, len(tail) if length is None else length) + tail


def message(magic, key, value):
    body = struct.pack(">bb", magic, 0) + (struct.pack(">q", NOW) if magic == 1 else b"")
    for part in (key, value):
        body += struct.pack(">i", len(part)) + part
    body = struct.pack(">I", zlib.crc32(body)) + body
    return struct.pack(">qi", 0, len(body)) + body


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def ask(api, version, body):
    def read(n):
        data = b""
        while len(data) < n:
            more = connection.recv(n - len(data))
            if not more:
                raise EOFError("closed")
            data += more
        return data

    with socket.create_connection(("127.0.0.1", PORT), timeout=20) as connection:
        request = struct.pack(">hhi", api, version, 1) + string("golden") + body
        connection.sendall(struct.pack(">i", len(request)) + request)
        return read(struct.unpack(">i", read(4))[0])[4:]


def create(name, config):
    body = struct.pack(">i", 1) + string(name) + struct.pack(">ihii", 1, 1, 0, len(config))
    for key, value in config.items():
        body += string(key) + string(value)
    ask(19, 2, body + struct.pack(">i?", 10000, False))


def produce(topic, records, version):
    body = struct.pack(">hhii", -1, -1, 10000, 1) + string(topic) + struct.pack(">ii", 1, 0)
    answer = ask(0, version, body + struct.pack(">i", len(records)) + records)
    at = 4 + 2 + len(topic) + 4 + 4
    code = struct.unpack_from(">h", answer, at)[0]
    at += 2 + 8 + 8 + (8 if version >= 5 else 0)
    rejected, text = [], None
    if version >= 8:
        count = struct.unpack_from(">i", answer, at)[0]
        at += 4
        for _ in range(count):
            index, size = struct.unpack_from(">ih", answer, at)
            rejected.append(str(index))
            at += 6 + max(size, 0)
        size = struct.unpack_from(">h", answer, at)[0]
        text = answer[at + 2 : at + 2 + size].decode() if size >= 0 else None
    return code, rejected, text


def show(name, records, topic="d", version=8):
    code, rejected, text = produce(topic, records, version)
    text = re.sub(r"\s", " ", text or "")
    fields = [name, str(version), topic, str(NOW), records.hex(), str(code), ",".join(rejected), text]
    print("\t".join(fields), flush=True)


for name, config in TOPICS.items():
    create(name, config)
time.sleep(3)

TWO = [rec(0), rec(1)]


def packed(records):
    return gzip.compress(b"".join(records), mtime=0)


def gz(records, like=TWO, **fields):
    return batch(like, attributes=1, body=packed(records), **fields)


for version in (3, 6, 7, 8):
    show("good", batch(TWO), version=version)
show("good gzip", gz(TWO))
show("no records", b"")
show("5 bytes", b"abcde")
show("12 zeros", bytes(12))
show("20 zeros", bytes(20), version=3)
show("20 zeros", bytes(20))
show("61 zeros", bytes(61))
show("counting bytes", bytes(range(100)))
show("two batches", batch(TWO) + batch(TWO))
show("two batches", batch(TWO) + batch(TWO), version=3)
show("rest of 10 bytes", batch(TWO) + b"x" * 10)
show("rest of 17 zeros", batch(TWO) + bytes(17))
show("rest of 40 zeros", batch(TWO) + bytes(40))
show("rest is a cut batch", batch(TWO) + batch(TWO)[:50])
show("cut by one", batch(TWO)[:-1])
for length in (-(2**31), -1, 13, 14, 48):
    show(f"length {length}", batch(TWO, length=length))
show("count 0", batch([], count=0, last=-1))
show("count 0, last 0", batch([], count=0, last=0))
show("count 1 without records", batch([], count=1, last=0))
show("count -1", batch(TWO, count=-1))
show("count 3, last 1", batch(TWO, count=3))
show("count 3, last 2", batch(TWO, count=3, last=2))
show("count 1, last 0", batch(TWO, count=1, last=0))
show("count 1, last 1", batch(TWO, count=1, last=1))
show("greatest count", batch(TWO, count=2**31 - 1, last=2**31 - 2))
show("last -5", batch(TWO, last=-5))
show("count 3 gzip", gz(TWO, count=3, last=2))
show("count 1 gzip", gz(TWO, count=1, last=0))
show("greatest count gzip", gz(TWO, count=2**31 - 1, last=2**31 - 2))
show("base offset 5", batch(TWO, base=5))
show("base offset -1", batch(TWO, base=-1))
for magic in (-1, 0, 1, 3):
    show(f"magic {magic}", batch(TWO, magic=magic))
for magic in (0, 1):
    show(f"message of format {magic}", message(magic, b"k", b"v"))
    show(f"message of format {magic}", message(magic, b"k", b"v"), version=3)
show("wrong checksum", batch(TWO, wrong_crc=1))
show("leader epoch 77", batch(TWO, leader_epoch=77))
show("control", batch([rec(0, b"\0\0\0\1", bytes(6))], attributes=0x20))
show("codec 5", batch(TWO, attributes=5))
show("codec 7", batch(TWO, attributes=7))
show("unknown attributes", batch(TWO, attributes=0x7F80))
show("delete horizon", batch(TWO, attributes=0x40))
for version in (3, 6):
    show("zstd", batch(TWO, attributes=4), version=version)
for codec in (1, 2, 3, 4):
    show(f"garbage of codec {codec}", batch(TWO, attributes=codec))
show("gzip cut", gz(TWO)[:0] + batch(TWO, attributes=1, body=packed(TWO)[:-9]))
show("gzip without its end", batch(TWO, attributes=1, body=packed(TWO)[:-4]))
show("gzip wrong checksum", batch(TWO, attributes=1, body=packed(TWO)[:-8] + b"xxxx" + packed(TWO)[-4:]))
show("gzip of nothing", batch(TWO, attributes=1, body=b""))
show("gzip and a rest", batch(TWO, attributes=1, body=packed(TWO) + b"gar"))
show("gzip of two members", batch(TWO, attributes=1, body=packed(TWO[:1]) + packed(TWO[1:])))
show("producer without sequence", batch(TWO, pid=5, epoch=0, sequence=-1))
show("producer with sequence -7", batch(TWO, pid=7, epoch=0, sequence=-7))
show("producer -2", batch(TWO, pid=-2, epoch=0, sequence=0))
show("no producer but a sequence", batch(TWO, pid=-1, epoch=3, sequence=7))
show("good producer", batch(TWO, pid=5, epoch=0, sequence=0))
show("two hours ahead", batch(TWO, ts=NOW + 2 * HOUR, max_ts=NOW + 2 * HOUR))
show("two hours ahead, header not", batch(TWO, ts=NOW + 2 * HOUR))
show("two hours ahead, only the header", batch(TWO, max_ts=NOW + 2 * HOUR))
show("two of five ahead", batch([rec(i, ts=2 * HOUR if i in (1, 3) else 0) for i in range(5)]))
show("two hours ahead gzip", gz(TWO, ts=NOW + 2 * HOUR, max_ts=NOW + 2 * HOUR))
for ts in (-1, -5, 0, -(2**63), 2**63 - 1):
    show(f"timestamp {ts}", batch(TWO, ts=ts, max_ts=ts))
show("time of the broker", batch(TWO, attributes=8))
show("time of the broker, none", batch(TWO, attributes=8, ts=-1, max_ts=-1))
show("good", batch(TWO), topic="lat")
show("time of the broker", batch(TWO, attributes=8), topic="lat")
show("two hours ahead", batch(TWO, ts=NOW + 2 * HOUR), topic="lat")
show("good gzip", gz(TWO), topic="lat")
show("two hours behind", batch(TWO, ts=NOW - 2 * HOUR), topic="bef")
show("two hours behind gzip", gz(TWO, ts=NOW - 2 * HOUR), topic="bef")
show("timestamp -1", batch(TWO, ts=-1, max_ts=-1), topic="bef")
show("every second without key", batch([rec(i, None if i % 2 else b"a") for i in range(10)]), topic="c")
show("without key gzip", gz([rec(0, None), rec(1)]), topic="c")
show("empty key", batch([rec(0, b"")]), topic="c")
show("without key, and ahead", batch([rec(0, None), rec(1, ts=2 * HOUR)]), topic="c")
show("too large", batch([rec(0, value=b"x" * 300)]), topic="small")
show("just as large", batch([rec(0, value=b"x" * 229)]), topic="small")
show("too large by one", batch([rec(0, value=b"x" * 230)]), topic="small")
show("too large, wrong checksum", batch([rec(0, value=b"x" * 300)], wrong_crc=1), topic="small")
show("offsets 0 0", batch([rec(0), rec(0)]))
show("offsets 0 5", batch([rec(0), rec(5)]))
show("offsets -1 0", batch([rec(-1), rec(0)]))
show("offsets 0 0 gzip", gz([rec(0), rec(0)]))
show("-1 headers", batch([rec(0, headers=-1)]))
show("5 headers, none there", batch([rec(0, headers=5)]))
show("greatest number of headers", batch([rec(0, headers=2**31 - 1)]))
show("header key of length -1", batch([rec(0, headers=1, extra=b"\1\1")]))
show("-1 headers gzip", gz([rec(0, headers=-1)], like=[rec(0)]))
show("header key of length -1 gzip", gz([rec(0, headers=1, extra=b"\1\1")], like=[rec(0)]))
show("record with a rest", batch([rec(0, extra=b"zz")]))
show("record of length -1", batch([rec(0, length=-1)]))
show("record one too short", batch([rec(0, length=6)]))
show("record one too long", batch([rec(0, length=9)]))
show("record of greatest length", batch([rec(0, length=2**31 - 1)]))
show("key of length -7", batch([b"\x0e" + bytes(3) + varint(-7) + varint(1) + b"v" + bytes(1)]))
show("attributes of a record", batch([rec(0, attributes=1)]))
show("length in 5 bytes", batch([bytes([0x90, 0x80, 0x80, 0x80, 0]) + rec(0)[1:]]))
show("rest behind the records", batch(TWO + [b"xx"], count=2, last=1))
show("rest behind the records gzip", gz(TWO + [b"xx"]))
for topic in ("gz", "unc"):
    show("good", batch(TWO), topic=topic)
    show("good gzip", gz(TWO), topic=topic)
    show("good gzip producer", gz(TWO, pid=5, epoch=0, sequence=4), topic=topic)
show("nothing in gzip", batch(TWO, attributes=1, body=gzip.compress(b"", mtime=0)), topic="unc")
