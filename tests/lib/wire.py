"""Requests by hand, each on a connection of its own, for what no client can ask for or shows the answer of."""
import socket
import struct
import time

from wirebytes import array, batch, blob, i8, i16, i32, i64, record, string


def ask(port, key, version, body, flexible=False, timeout=30, source=None):
    """The bytes of the response behind its header; `source` is the address of this machine that it comes from."""
    request = i16(key) + i16(version) + i32(7) + string("by-hand") + (b"\0" if flexible else b"") + body
    with socket.create_connection(("127.0.0.1", port), timeout, source and (source, 0)) as s:
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


def produce(port, topic, partition, value, timeout=30, acks=-1, timeout_ms=10_000):
    """Produce, with acks=all if nothing else is said: the error code. The record is of now: what is older than a week is deleted
    by whoever looks for that next."""
    records = batch([record(None, value)], base_timestamp=int(time.time() * 1000))
    body = string(None) + i16(acks) + i32(timeout_ms) + array([string(topic) + array([i32(partition) + blob(records)])])
    out = ask(port, 0, 3, body, timeout=timeout)
    return struct.unpack_from(">h", out, 4 + 2 + len(topic) + 4 + 4)[0]


def latest(port, topic, partition, replica=-1):
    """ListOffsets: up to where a consumer may read; as replica -2, which looks at everything, the end of the leader's log."""
    out = ask(port, 2, 1, i32(replica) + array([string(topic) + array([i32(partition) + i64(-1)])]))
    at = 4 + 2 + len(topic) + 4 + 4
    code, _, offset = struct.unpack_from(">hqq", out, at)
    assert code == 0, f"ListOffsets: error {code}"
    return offset


def set_topic_config(port, topic, key, value):
    """IncrementalAlterConfigs: sets one key of a topic."""
    out = ask(port, 44, 0, array([i8(2) + string(topic) + array([string(key) + i8(0) + string(value)])]) + b"\0")
    code = struct.unpack_from(">h", out, 4 + 4)[0]
    assert code == 0, f"IncrementalAlterConfigs: error {code}"


def update_voter(port, cluster, epoch, voter, directory, listeners, versions):
    """UpdateRaftVoter, to a controller: the error code. A listener is its name, host and port, `directory` 16 bytes."""
    compact = lambda text: b"\0" if text is None else bytes([len(text) + 1]) + text.encode()
    places = b"".join(compact(name) + compact(host) + i32(port)[2:] + b"\0" for name, host, port in listeners)
    body = compact(cluster) + i32(epoch) + i32(voter) + directory + bytes([len(listeners) + 1]) + places + i16(versions[0]) + i16(versions[1]) + b"\0\0"
    return struct.unpack_from(">h", ask(port, 82, 0, body, flexible=True), 4)[0]


class Reader:
    """Reads a response from its beginning to its end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        size = struct.calcsize(form)
        self.at += size
        return struct.unpack_from(form, self.data, self.at - size)[0]

    def string(self):
        n = self.take(">h")
        self.at += max(n, 0)
        return None if n < 0 else self.data[self.at - n:self.at].decode()

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(">B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def array(self, item):
        return [item() for _ in range(self.take(">i"))]


def metadata(port, topic):
    """Metadata: each partition of the topic to its leader, replicas and in-sync replicas."""
    r = Reader(ask(port, 3, 1, array([string(topic)])))
    r.array(lambda: (r.take(">i"), r.string(), r.take(">i"), r.string()))
    r.take(">i")
    found = {}

    def partition():
        r.take(">h")
        index, leader = r.take(">i"), r.take(">i")
        found[index] = (leader, r.array(lambda: r.take(">i")), r.array(lambda: r.take(">i")))

    def one():
        r.take(">h"), r.string(), r.take(">b")
        r.array(partition)

    r.array(one)
    return found


def active_controller(port):
    """DescribeQuorum: the id of the quorum's leader, -1 for none."""
    name = b"__cluster_metadata"
    body = bytes([2, len(name) + 1]) + name + b"\x02" + i32(0) + b"\0\0\0"
    r = Reader(ask(port, 55, 0, body, flexible=True))
    r.take(">h"), r.uvarint()
    length = r.uvarint() - 1
    r.at += length
    r.uvarint(), r.take(">i"), r.take(">h")
    return r.take(">i")


def create_topic(port, topic, partitions, replicas, timeout_ms=30_000, source=None):
    """CreateTopics, from the address `source`: the error code."""
    body = array([string(topic) + i32(partitions) + i16(replicas) + array([]) + array([])]) + i32(timeout_ms) + b"\0"
    r = Reader(ask(port, 19, 4, body, timeout=timeout_ms / 1000 + 5, source=source))
    r.take(">i"), r.take(">i"), r.string()
    return r.take(">h")
