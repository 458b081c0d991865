"""Just enough of the Kafka protocol, by hand, to send what no client would send."""
import socket
import struct

CASTAGNOLI = []
for n in range(256):
    c = n
    for _ in range(8):
        c = (c >> 1) ^ (0x82F63B78 if c & 1 else 0)
    CASTAGNOLI.append(c)


def crc32c(data):
    c = 0xFFFFFFFF
    for byte in data:
        c = CASTAGNOLI[(c ^ byte) & 0xFF] ^ (c >> 8)
    return c ^ 0xFFFFFFFF


def i8(v): return struct.pack(">b", v)
def i16(v): return struct.pack(">h", v)
def i32(v): return struct.pack(">i", v)
def i64(v): return struct.pack(">q", v)
def u32(v): return struct.pack(">I", v)
def string(s): return i16(-1) if s is None else i16(len(s)) + s.encode()
def blob(b): return i32(-1) if b is None else i32(len(b)) + b
def array(items): return i32(len(items)) + b"".join(items)


def varint(v):
    v = (v << 1) ^ (v >> 63)
    out = b""
    while v & ~0x7F:
        out += bytes([(v & 0x7F) | 0x80])
        v >>= 7
    return out + bytes([v])


def record(key, value, delta=0, timestamp=0, headers=()):
    field = lambda b: varint(-1) if b is None else varint(len(b)) + b
    body = i8(0) + varint(timestamp) + varint(delta) + field(key) + field(value) + varint(len(headers))
    for k, v in headers:
        body += field(k) + field(v)
    return varint(len(body)) + body


def batch(records=None, *, payload=None, count=None, last_delta=None, magic=2, attributes=0, crc=None, length=None,
          base=0, producer=(-1, -1, -1), base_timestamp=1_700_000_000_000, max_timestamp=None):
    """A version 2 batch; each field can be given a lie."""
    records = [record(b"k", b"v")] if records is None else records
    payload = b"".join(records) if payload is None else payload
    count = len(records) if count is None else count
    last_delta = len(records) - 1 if last_delta is None else last_delta
    after_crc = (i16(attributes) + i32(last_delta) + i64(base_timestamp) + i64(max_timestamp or base_timestamp)
                 + i64(producer[0]) + i16(producer[1]) + i32(producer[2]) + i32(count) + payload)
    crc = crc32c(after_crc) if crc is None else crc
    rest = i32(0) + i8(magic) + u32(crc) + after_crc
    return i64(base) + i32(len(rest) if length is None else length) + rest


def request(key, version, body, correlation=1, client="hostile"):
    return i16(key) + i16(version) + i32(correlation) + string(client) + body


def frame(body, length=None):
    return i32(len(body) if length is None else length) + body


def produce(topic, records, acks=-1, version=7, partition=0):
    return request(0, version, string(None) + i16(acks) + i32(5000)
                   + array([string(topic) + array([i32(partition) + blob(records)])]))


def fetch(topic, offset=0, partition=0, max_wait=100, max_bytes=1 << 20, version=4):
    return request(1, version, i32(-1) + i32(max_wait) + i32(1) + i32(max_bytes) + i8(0)
                   + array([string(topic) + array([i32(partition) + i64(offset) + i32(max_bytes)])]))


class Connection:
    def __init__(self, port, timeout=5):
        self.s = socket.create_connection(("127.0.0.1", port), timeout)
        self.s.settimeout(timeout)

    def send(self, data):
        self.s.sendall(data)
        return self

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.s.recv(n - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return data

    def answer(self):
        """One response's bytes after its length; ConnectionError when the peer closed."""
        return self.read(struct.unpack(">i", self.read(4))[0])

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def produce_error(answer):
    """The error code of the one partition of a Produce v3-v7 response."""
    name = struct.unpack(">h", answer[8:10])[0]
    return struct.unpack(">h", answer[10 + name + 8:10 + name + 10])[0]


def fetch_error(answer):
    """The error code of the one partition of a Fetch v4 response."""
    name = struct.unpack(">h", answer[12:14])[0]
    return struct.unpack(">h", answer[14 + name + 8:14 + name + 10])[0]
