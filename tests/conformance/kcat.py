"""kcat against a node."""
import subprocess
import uuid

import tap


def kcat(b, *args, input=None):
    p = subprocess.run(["kcat", "-b", b.bootstrap, *args], input=input, capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, f"kcat {' '.join(args)}: {p.stderr.strip()}"
    return p.stdout


def round_trip(b, codec):
    topic = f"kcat-{codec}-{uuid.uuid4().hex[:8]}"
    lines = [f"key{i}:value {i} {'x' * (i % 90)}" for i in range(2000)]
    kcat(b, "-P", "-t", topic, "-p", "0", "-K:", "-z", codec, "-H", "origin=kcat", input="\n".join(lines))
    got = kcat(b, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%k:%s|%h\n").splitlines()
    assert got == [f"{line}|origin=kcat" for line in lines], f"{len(got)} lines differ from what was sent"


def metadata(b):
    out = kcat(b, "-L")
    assert f"at {b.bootstrap} (controller)" in out, out


def query_offset(b):
    topic = f"kcat-q-{uuid.uuid4().hex[:8]}"
    kcat(b, "-P", "-t", topic, "-p", "0", input="a\nb\nc\n")
    assert kcat(b, "-Q", "-t", f"{topic}:0:-1").strip() == f"{topic} [0] offset 3"


def group(b):
    topic = f"kcat-g-{uuid.uuid4().hex[:8]}"
    kcat(b, "-P", "-t", topic, "-p", "0", input="".join(f"m{i}\n" for i in range(100)))
    out = kcat(b, "-G", topic, "-c", "100", "-q", "-o", "beginning", topic)
    assert out.split() == [f"m{i}" for i in range(100)], out[:200]


def run(b):
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        tap.run(f"kcat/round trip {codec}", round_trip, b, codec)
    tap.run("kcat/metadata", metadata, b)
    tap.run("kcat/query offset", query_offset, b)
    tap.run("kcat/group", group, b)
