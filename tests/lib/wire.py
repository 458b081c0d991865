"""Requests by hand, each on a connection of its own, for what no client can ask for or shows the answer of."""
import socket
import struct

from wirebytes import array, batch, blob, i16, i32, i64, record, string


def ask(port, key, version, body, flexible=False):
    """The bytes of the response behind its header."""
    request = i16(key) + i16(version) + i32(7) + string("by-hand") + (b"\0" if flexible else b"") + body
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        s.sendall(i32(len(request)) + request)
        data = b""
        while len(data) < 4 or len(data) < 4 + struct.unpack(">i", data[:4])[0]:
            more = s.recv(65536)
            if not more:
                raise ConnectionError("closed")
            data += more
    return data[9:] if flexible else data[8:]


def alter_log_dirs(port, dir, topic, partitions):
    """AlterReplicaLogDirs: the error code of each partition."""
    rows = array([string(str(dir)) + array([string(topic) + array([i32(p) for p in partitions])])])
    out = ask(port, 34, 1, rows)
    at = 4 + 4 + 2 + len(topic) + 4
    return [struct.unpack_from(">h", out, at + 6 * i + 4)[0] for i in range(len(partitions))]


def produce(port, topic, partition, value):
    """Produce with acks=all: the error code."""
    records = batch([record(None, value)])
    body = string(None) + i16(-1) + i32(10_000) + array([string(topic) + array([i32(partition) + blob(records)])])
    out = ask(port, 0, 3, body)
    return struct.unpack_from(">h", out, 4 + 2 + len(topic) + 4 + 4)[0]
