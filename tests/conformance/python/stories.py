"""What an application does with Python's clients: kafka-python, aiokafka and confluent-kafka.

usage: stories.py BOOTSTRAP [CLIENT]     prints `ok NAME` or `not ok NAME: why` for each story
"""
import asyncio
import os
import sys
import time
import traceback
import uuid

BOOTSTRAP = sys.argv[1]
CODECS = ["gzip", "snappy", "lz4", "zstd"]
STORIES = []


def story(fn):
    STORIES.append(fn)
    return fn


def name(what):
    return f"py-{what}-{uuid.uuid4().hex[:8]}"


def equal(got, want, what):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


# ---- kafka-python -------------------------------------------------------------------------------

@story
def kafka_python_round_trip():
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.admin import KafkaAdminClient, NewTopic

    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    for codec in [None, *CODECS]:
        topic = name(f"kp-{codec}")
        admin.create_topics([NewTopic(topic, 2, 1)])
        producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=codec, acks="all")
        for i in range(500):
            producer.send(topic, key=b"k%d" % i, value=b"v%d" % i * 10, headers=[("h", b"%d" % i)], partition=i % 2)
        producer.send(topic, key=b"tombstone", value=None, partition=0)
        producer.flush()
        producer.close()
        consumer = KafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest",
                                 group_id=topic, consumer_timeout_ms=20000)
        got = {}
        for r in consumer:
            got[r.key] = (r.value, r.headers)
            if len(got) == 501:
                break
        consumer.commit()
        consumer.close()
        equal(len(got), 501, f"{codec}: records")
        equal(got[b"k7"], (b"v7" * 10, [("h", b"7")]), f"{codec}: record")
        equal(got[b"tombstone"][0], None, f"{codec}: tombstone")
        offsets = admin.list_group_offsets(topic) if hasattr(admin, "list_group_offsets") else None
        if offsets is not None:
            assert offsets, f"{codec}: committed offsets"
        admin.delete_topics([topic])
    admin.close()


# ---- aiokafka -----------------------------------------------------------------------------------

@story
def aiokafka_round_trip_and_group():
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    async def go():
        for codec in [None, *CODECS]:
            topic = name(f"aio-{codec}")
            producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=codec, enable_idempotence=True)
            await producer.start()
            sent = [await producer.send(topic, key=b"k%d" % i, value=b"v%d" % i) for i in range(300)]
            for f in sent:
                await f
            await producer.stop()
            consumer = AIOKafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, group_id=topic, auto_offset_reset="earliest")
            await consumer.start()
            got = [await asyncio.wait_for(consumer.getone(), 20) for _ in range(300)]
            equal([r.value for r in got], [b"v%d" % i for i in range(300)], f"{codec}: values in order")
            await consumer.commit()
            await consumer.stop()

    asyncio.run(go())


BIG = os.urandom(1_000_000)
# Key, value, time, headers.
KINDS = [
    (None, b"null key", 1_000_000, []),
    (b"", b"empty key", 2_000_000, []),
    (b"tombstone", None, 3_000_000, []),
    (b"empty", b"", 4_000_000, [("a", b"1"), ("a", b"2"), ("b", b"")]),
    (b"big", BIG, 5_000_000, []),
]


def same_kinds(got):
    for n, (record, want) in enumerate(zip(got, KINDS, strict=True)):
        assert record == want, f"record {n} is {str(record)[:200]}, not {str(want)[:200]}"


@story
def aiokafka_records_of_every_kind_seek_and_pause():
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    async def go():
        topic = name("aiok")
        tp = TopicPartition(topic, 0)
        admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
        await admin.start()
        await admin.create_topics([NewTopic(topic, 1, 1)])
        producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, max_request_size=1_048_576)
        await producer.start()
        for key, value, time_ms, headers in KINDS:
            await producer.send_and_wait(topic, value, key, timestamp_ms=time_ms, headers=headers, partition=0)
        consumer = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, fetch_max_wait_ms=100)
        await consumer.start()
        consumer.assign([tp])
        consumer.seek(tp, 0)

        async def read(n):
            return [await asyncio.wait_for(consumer.getone(), 20) for _ in range(n)]

        same_kinds([(r.key, r.value, r.timestamp, list(r.headers)) for r in await read(5)])
        for time_ms, want in {1: 0, 2_000_001: 2, 5_000_000: 4}.items():
            equal((await consumer.offsets_for_times({tp: time_ms}))[tp].offset, want, f"offset at {time_ms}")
        consumer.seek(tp, 3)
        equal([r.offset for r in await read(2)], [3, 4], "after a seek")
        consumer.pause(tp)
        await producer.send_and_wait(topic, b"late", partition=0)
        # Several fetches long: that nothing comes cannot be awaited.
        equal(await consumer.getmany(tp, timeout_ms=500), {}, "while paused")
        consumer.resume(tp)
        equal([r.value for r in await read(1)], [b"late"], "when resumed")
        await consumer.stop()
        await producer.stop()
        await admin.close()

    asyncio.run(go())


@story
def aiokafka_group_rebalances():
    from aiokafka import AIOKafkaConsumer
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    async def go():
        topic = name("aior")
        admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
        await admin.start()
        await admin.create_topics([NewTopic(topic, 6, 1)])
        members = []

        async def settled(what):
            end = time.time() + 30
            while True:
                owned = [m.assignment() for m in members]
                if all(len(o) == 6 // len(members) for o in owned) and len(set().union(*owned)) == 6:
                    return
                assert time.time() < end, f"never settles: {what}"
                await asyncio.sleep(0.02)

        for n in range(3):
            members.append(AIOKafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, group_id=topic, heartbeat_interval_ms=200))
            await members[-1].start()
            await settled(f"{n + 1} members")
        await members.pop(1).stop()
        await settled("one left")
        for m in members:
            await m.stop()
        await admin.close()

    asyncio.run(go())


# ---- confluent-kafka (the newest librdkafka) ----------------------------------------------------

@story
def confluent_records_of_every_kind_seek_and_pause():
    from confluent_kafka import Consumer, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic

    topic = name("ckk")
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "message.max.bytes": 1_048_576})
    for key, value, time_ms, headers in KINDS:
        producer.produce(topic, key=key, value=value, timestamp=time_ms, headers=headers, partition=0)
    producer.flush()
    c = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": topic, "fetch.wait.max.ms": 100})
    c.assign([TopicPartition(topic, 0, 0)])

    def read(n):
        got, end = [], time.time() + 30
        while len(got) < n:
            assert time.time() < end, f"read {len(got)} of {n}"
            got += c.consume(n - len(got), 0.2)
        return got

    same_kinds([(m.key(), m.value(), m.timestamp()[1], m.headers() or []) for m in read(5)])
    c.seek(TopicPartition(topic, 0, 3))
    equal([m.offset() for m in read(2)], [3, 4], "after a seek")
    c.pause([TopicPartition(topic, 0)])
    producer.produce(topic, value="late")
    producer.flush()
    # Several fetches long: that nothing comes cannot be awaited.
    equal(c.consume(1, 0.5), [], "while paused")
    c.resume([TopicPartition(topic, 0)])
    equal([m.value() for m in read(1)], [b"late"], "when resumed")
    c.close()


@story
def confluent_round_trip():
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    for codec in ["none", *CODECS]:
        topic = name(f"ck-{codec}")
        for f in admin.create_topics([NewTopic(topic, 3, 1)]).values():
            f.result()
        producer = Producer({"bootstrap.servers": BOOTSTRAP, "compression.type": codec, "enable.idempotence": True})
        errors = []
        for i in range(3000):
            producer.produce(topic, key=f"k{i}", value=f"v{i}", headers={"i": str(i)},
                             on_delivery=lambda e, _: e and errors.append(e))
            producer.poll(0)
        producer.flush()
        equal(errors, [], "delivery errors")
        consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": topic, "auto.offset.reset": "earliest"})
        consumer.subscribe([topic])
        got = {}
        end = time.time() + 30
        while len(got) < 3000 and time.time() < end:
            for m in consumer.consume(1000, 0.5):
                assert m.error() is None, m.error()
                got[m.key()] = m.value()
        equal(len(got), 3000, f"{codec}: records")
        equal(got[b"k42"], b"v42", "value")
        consumer.commit(asynchronous=False)
        consumer.close()


@story
def confluent_group_of_three_cooperative():
    from confluent_kafka import Consumer
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    topic = name("ckg")
    admin.create_topics([NewTopic(topic, 6, 1)])[topic].result()
    members = []

    def settled():
        for m in members:
            m.poll(0.05)
        owned = [{(p.topic, p.partition) for p in m.assignment()} for m in members]
        return sum(map(len, owned)) == 6 and len(set().union(*owned)) == 6 and all(len(o) == 6 // len(members) for o in owned)

    for strategy in ["range", "cooperative-sticky"]:
        for _ in range(3):
            c = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": topic + strategy, "heartbeat.interval.ms": 200,
                          "partition.assignment.strategy": strategy})
            c.subscribe([topic])
            members.append(c)
            end = time.time() + 30
            while not settled():
                assert time.time() < end, f"{strategy}: {len(members)} members never settle"
        members.pop(1).close()
        end = time.time() + 30
        while sum(len(m.assignment()) for m in members) != 6:
            assert time.time() < end, f"{strategy}: never settles after one left"
            settled()
        while members:
            members.pop().close()


@story
def confluent_group_of_the_new_protocol():
    """librdkafka's members of KIP-848: the broker assigns, by either assignor, and by a pattern."""
    from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    topic = name("ck848")
    admin.create_topics([NewTopic(topic, 6, 1)])[topic].result()
    producer = Producer({"bootstrap.servers": BOOTSTRAP})
    for i in range(600):
        producer.produce(topic, b"v%d" % i, partition=i % 6)
    producer.flush()
    members, seen = [], set()

    def settled():
        for m in members:
            r = m.poll(0.02)
            if r is not None and not r.error():
                seen.add(r.value())
        owned = [{(p.topic, p.partition) for p in m.assignment()} for m in members]
        return sum(map(len, owned)) == 6 and len(set().union(*owned)) == 6 and all(len(o) == 6 // len(members) for o in owned)

    def settle(what):
        end = time.time() + 60
        while not settled():
            assert time.time() < end, f"{what}: {len(members)} members never settle"

    for what, subscribed, config in [("uniform", topic, {"group.remote.assignor": "uniform"}), ("range", topic, {"group.remote.assignor": "range"}),
                                     ("pattern", f"^{topic}.*", {}), ("static", topic, {"group.instance.id": "n"})]:
        group = topic + what
        seen.clear()
        for n in range(3):
            own = {key: value + str(n) if key == "group.instance.id" else value for key, value in config.items()}
            c = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group, "group.protocol": "consumer", "auto.offset.reset": "earliest", **own})
            c.subscribe([subscribed])
            members.append(c)
            settle(what)
        end = time.time() + 60
        while len(seen) < 600:
            assert time.time() < end, f"{what}: {len(seen)} records"
            settled()
        for m in members:
            try:
                m.commit(asynchronous=False)
            except KafkaException as e:
                assert e.args[0].code() == KafkaError._NO_OFFSET, e  # who read nothing
        members.pop(1).close()
        if what != "static":
            end = time.time() + 60
            while sum(len(m.assignment()) for m in members) != 6:
                assert time.time() < end, f"{what}: never settles after one left"
                settled()
        committed = members[0].committed([TopicPartition(topic, p) for p in range(6)])
        assert sum(p.offset for p in committed) == 600, f"{what}: {committed}"
        while members:
            members.pop().close()


@story
def confluent_offsets_for_times_and_watermarks():
    from confluent_kafka import Consumer, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic

    topic = name("ckt")
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
    producer = Producer({"bootstrap.servers": BOOTSTRAP})
    for i in range(100):
        producer.produce(topic, value=f"v{i}", timestamp=1_000_000 + i)
    producer.flush()
    c = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": topic})
    equal(c.get_watermark_offsets(TopicPartition(topic, 0), 10), (0, 100), "watermarks")
    equal(c.offsets_for_times([TopicPartition(topic, 0, 1_000_050)], 10)[0].offset, 50, "offset for the time")
    c.close()


def main():
    wanted = sys.argv[2:]
    failed = False
    for fn in STORIES:
        if wanted and not any(fn.__name__.startswith(w) for w in wanted):
            continue
        begun = time.time()
        try:
            fn()
            print(f"ok python/{fn.__name__} ({(time.time() - begun) * 1000:.0f} ms)", flush=True)
        except Exception as e:  # a story may fail in any way; the next one still runs
            failed = True
            at = traceback.extract_tb(e.__traceback__)[1:] or traceback.extract_tb(e.__traceback__)
            print(f"not ok python/{fn.__name__}: {type(e).__name__}: {str(e)[:400]!r} at line {at[0].lineno}", flush=True)
    os._exit(1 if failed else 0)


main()
