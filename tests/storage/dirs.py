#!/usr/bin/env python3
"""Partitions on several log directories: moved between them under kill -9, and one directory after the other failing.

Run in a mount namespace of its own (`unshare -m`), so that nothing mounted here outlives it.
usage: unshare -m dirs.py
"""
import json
import pathlib
import random
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import tap
import wire
from broker import Broker, tool, until

LINES = 60_000
STORAGE_ERROR, NONE, REFUSED_PLACE, TOO_FEW_BROKERS = 56, 0, 39, 38


def create(b, topic, partitions, *config):
    extra = [x for c in config for x in ("--config", c)]
    tool("kafka-topics", "--bootstrap-server", b.bootstrap, "--create", "--topic", topic, "--partitions", str(partitions), *extra)


def described(b, topic=None):
    """Directory to its error, or to the partitions in it with whether each is a copy on its way."""
    out = tool("kafka-log-dirs", "--bootstrap-server", b.bootstrap, "--describe").stdout.strip().splitlines()[-1]
    found = {}
    for row in json.loads(out)["brokers"][0]["logDirs"]:
        parts = {p["partition"]: p["isFuture"] for p in row["partitions"] if topic is None or p["partition"].startswith(topic)}
        found[row["logDir"]] = row["error"] or parts
    return found


def consume(b, topic, partition):
    p = subprocess.run(["kcat", "-b", b.bootstrap, "-C", "-t", topic, "-p", str(partition), "-o", "beginning", "-e", "-q", "-X", "check.crcs=true"],
                       capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p.stderr[-500:]
    return p.stdout.splitlines()


def dumped(b, topic):
    """Kafka's own tool finds nothing wrong in any file."""
    files = [f for d in b.dirs for f in d.glob(f"{topic}-?/*.log") if f.stat().st_size]
    assert files
    for at in range(0, len(files), 40):
        some = ",".join(map(str, files[at:at + 40]))
        out = tool("kafka-dump-log", "--files", some, "--deep-iteration").stdout
        wrong = [line for line in out.splitlines() if "isvalid: false" in line or "Exception" in line or "orrupt" in line]
        assert not wrong, wrong[:3]


def moved_and_killed(_):
    """Records are produced while partitions go from directory to directory, and the node dies now and then."""
    rng = random.Random(11)
    with Broker(three_dirs=True) as b:
        create(b, "m", 2, "segment.bytes=1048576")
        lines = [f"{i} {'z' * (i % 300)}" for i in range(LINES)]
        args = ["kcat", "-b", b.bootstrap, "-P", "-E", "-t", "m", "-X", "enable.idempotence=true", "-X", "message.timeout.ms=240000",
                "-X", "reconnect.backoff.max.ms=200", "-X", "retry.backoff.ms=50"]
        producers = [subprocess.Popen([*args, "-p", str(p)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for p in range(2)]
        done = threading.Event()

        def feed(p):
            for i in range(0, LINES, 200):
                p.stdin.write("".join(f"{line}\n" for line in lines[i:i + 200]))
                p.stdin.flush()
                time.sleep(0.02)
            p.stdin.close()

        feeders = [threading.Thread(target=feed, args=(p,)) for p in producers]
        [f.start() for f in feeders]
        kills = moves = 0
        while any(f.is_alive() for f in feeders):
            for partition in range(2):
                code = wire.alter_log_dirs(b.port, rng.choice(b.dirs), "m", [partition])
                assert code == [NONE], f"{code}: {b.output()[-1200:]}"
                moves += 1
            time.sleep(rng.random() * 0.15)
            if moves % 6 == 0:
                b.kill()
                b.start()
                kills += 1
        for p in producers:
            assert p.wait(240) == 0, p.stderr.read()[-800:]
        assert kills >= 3 and moves >= 20, f"{kills} kills, {moves} moves"
        end = time.time() + 60
        while any(future for dir in described(b, "m").values() for future in dir.values()):
            assert time.time() < end, "a move never ends"
        for partition in range(2):
            got = consume(b, "m", partition)
            assert got == lines, f"partition {partition}: {len(got)} lines of {LINES}"
        dumped(b, "m")
        assert b.stop() == 0
        b.start()
        assert consume(b, "m", 0) == lines
        assert not [d for dir in b.dirs for d in dir.glob("*-stray")], "a log was put aside"
        print(f"# {moves} moves, {kills} kills")


def mount(dir, size):
    """A file system of its own for a directory, with what is in it; gone with the namespace."""
    kept = {f.name: f.read_bytes() for f in dir.iterdir()}
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", dir], check=True)
    for name, data in kept.items():
        (dir / name).write_bytes(data)


def home(b, topic, partitions):
    """Which directory each partition is in."""
    places = {}
    for dir in b.dirs:
        for p in range(partitions):
            if (dir / f"{topic}-{p}").is_dir():
                places[p] = dir
    return places


def one_fails(_):
    """A directory turns into something else: only its partitions are offline, and all is there when it is back."""
    with Broker(three_dirs=True) as b:
        victim, aside = b.dirs[1], b.folder / "aside"
        create(b, "f", 6, "segment.bytes=1048576")
        places = home(b, "f", 6)
        assert len(set(places.values())) == 3, f"the partitions are spread: {places}"
        for p in range(6):
            assert wire.produce(b.port, "f", p, b"before") == NONE
        victim.rename(aside)
        victim.write_text("no directory")
        lost = [p for p, dir in places.items() if dir == victim]
        until("the partitions of the failed directory say so",
              lambda: [wire.produce(b.port, "f", p, b"x" * 900_000) for p in lost] == [STORAGE_ERROR] * len(lost))
        for p in set(range(6)) - set(lost):
            assert wire.produce(b.port, "f", p, b"after") == NONE, f"partition {p} is elsewhere"
            assert consume(b, "f", p) == ["before", "after"]
        errors = {dir: found for dir, found in described(b).items() if isinstance(found, str)}
        assert list(errors) == [str(victim)] and "torage" in errors[str(victim)], errors
        until("the controller knows", lambda: all(
            f"Partition: {p}\tLeader: none" in tool("kafka-topics", "--bootstrap-server", b.bootstrap, "--describe", "--topic", "f").stdout for p in lost))
        create(b, "later", 4)
        until("new partitions are put elsewhere", lambda: len([d for dir in b.dirs for d in dir.glob("later-*")]) == 4)
        assert wire.alter_log_dirs(b.port, victim, "f", [next(iter(set(range(6)) - set(lost)))]) == [STORAGE_ERROR]
        b.kill()
        # It is still no directory when the node starts: the others serve.
        b.start()
        assert "torage" in described(b)[str(victim)]
        assert all(wire.produce(b.port, "f", p, b"again") == NONE for p in set(range(6)) - set(lost))
        b.stop()
        victim.unlink()
        aside.rename(victim)
        b.start()
        for p in range(6):
            until(f"partition {p} is led", lambda: wire.produce(b.port, "f", p, b"end") == NONE)
            got = consume(b, "f", p)
            listed = sorted(str(f.relative_to(b.folder)) for d in b.dirs for f in d.glob("f-*"))
            assert got[0] == "before" and got[-1] == "end", f"partition {p}, {places}: {[x[:9] for x in got]} {listed}"


def full(_):
    """A disk fills up: what was acknowledged stays, and is served again when there is room."""
    with Broker(three_dirs=True) as b:
        b.stop()
        mount(b.dirs[2], "12m")
        b.start()
        create(b, "g", 3, "segment.bytes=1048576")
        tight = [p for p, dir in home(b, "g", 3).items() if dir == b.dirs[2]]
        assert tight
        acked, code = 0, NONE
        while code == NONE:
            code = wire.produce(b.port, "g", tight[0], f"{acked} ".encode() + b"y" * 100_000)
            acked += code == NONE
            assert acked < 1000, "the disk never fills"
        assert code == STORAGE_ERROR and acked > 20, (code, acked)
        others = [p for p in range(3) if p not in tight]
        assert others and all(wire.produce(b.port, "g", p, b"more") == NONE for p in others)
        b.kill()
        subprocess.run(["mount", "-o", "remount,size=64m", b.dirs[2]], check=True)
        b.start()
        until("it is led again", lambda: wire.produce(b.port, "g", tight[0], f"{acked} end".encode()) == NONE)
        got = consume(b, "g", tight[0])
        assert [line.split()[0] for line in got[:acked]] == [str(i) for i in range(acked)]
        assert got[-1] == f"{acked} end"
        dumped(b, "g")
        b.stop()
        subprocess.run(["umount", b.dirs[2]], check=True)


def last_fails(_):
    """One directory after the other fails; with the last one the node ends, and says why. Put back, all is there."""
    with Broker(three_dirs=True) as b:
        create(b, "l", 6, "segment.bytes=1048576")
        places = home(b, "l", 6)
        assert len(set(places.values())) == 3, f"the partitions are spread: {places}"
        assert [wire.produce(b.port, "l", p, b"kept") for p in range(6)] == [NONE] * 6

        def fails(dir):
            dir.rename(b.folder / f"{dir.name}-aside")
            dir.write_text("no directory")
            mine = [p for p, home in places.items() if home == dir]
            end = time.time() + 30
            while b.alive() and NONE in [wire.produce(b.port, "l", p, b"x" * 900_000) for p in mine]:
                assert time.time() < end, f"{dir} never fails"

        for dir in reversed(b.dirs[1:]):
            fails(dir)
            assert b.alive() and b.answers(), "others are left"
        try:
            fails(b.dirs[0])
        except OSError:
            pass  # it ended in the middle of a request
        until("the node ends", lambda: not b.alive())
        assert b.process.returncode != 0
        assert "no log directory is left: the node ends" in b.output(), b.output()[-900:]
        for dir in b.dirs:
            dir.unlink()
            (b.folder / f"{dir.name}-aside").rename(dir)
        b.start()
        for p in range(6):
            until(f"partition {p} is led", lambda: wire.produce(b.port, "l", p, b"end") == NONE)
            got = consume(b, "l", p)
            assert got[0] == "kept" and got[-1] == "end", f"partition {p}: {[x[:9] for x in got]}"


def cordoned(_):
    """Cordoned directories take no new replicas and no copies, and serve what they have; a node all of whose are takes none."""
    with Broker(three_dirs=True) as b:
        first, second, third = b.dirs

        def alter(*change):
            tool("kafka-configs", "--bootstrap-server", b.bootstrap, "--alter", "--entity-type", "brokers", "--entity-name", "1", *change)

        def placed(topic, partitions):
            assert wire.create_topic(b.port, topic, partitions, 1) == NONE
            for p in range(partitions):
                until(f"{topic}-{p} takes a record", lambda: wire.produce(b.port, topic, p, b"x") == NONE)
            return home(b, topic, partitions)

        old = placed("old", 3)
        assert set(old.values()) == set(b.dirs), f"the partitions are spread: {old}"
        alter("--add-config", f"cordoned.log.dirs=[{first},{second}]")
        found = placed("new", 6)
        assert list(found.values()) == [third] * 6, f"{found}, and {first} and {second} are cordoned"
        assert wire.alter_log_dirs(b.port, first, "new", [0]) == [REFUSED_PLACE]
        for p in range(3):
            assert wire.produce(b.port, "old", p, b"more") == NONE, f"partition {p}"
        # Out of such a directory is where a replica may go.
        moved = next(p for p, dir in old.items() if dir == first)
        assert wire.alter_log_dirs(b.port, third, "old", [moved]) == [NONE]
        until("it is moved", lambda: home(b, "old", 3) == {**old, moved: third} and not (first / f"old-{moved}").exists())
        assert consume(b, "old", moved) == ["x", "more"]
        b.kill()
        b.start()
        found = placed("again", 3)
        assert list(found.values()) == [third] * 3, f"{found}, and the others are cordoned still"
        alter("--add-config", "cordoned.log.dirs=*")
        tries = iter(range(1000))
        until("the node takes none", lambda: wire.create_topic(b.port, f"none{next(tries)}", 1, 1) == TOO_FEW_BROKERS)
        alter("--delete-config", "cordoned.log.dirs")
        until("the node takes some", lambda: wire.create_topic(b.port, f"none{next(tries)}", 1, 1) == NONE)
        found = placed("spread", 4)
        assert set(found.values()) == {first, second}, f"{found}: those with the fewest take them"


TESTS = [moved_and_killed, one_fails, full, last_fails, cordoned]

if __name__ == "__main__":
    wanted = sys.argv[1:]
    for test in TESTS:
        if not wanted or test.__name__ in wanted:
            tap.run(f"dirs/{test.__name__}", test, None)
    sys.exit(1 if tap.failed else 0)
