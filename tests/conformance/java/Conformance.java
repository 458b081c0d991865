import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

/**
 * What an application does with Kafka's own Java client, one method a story.
 * usage: java Conformance BOOTSTRAP [STORY...]; prints "ok NAME" or "not ok NAME: why" for each.
 */
public class Conformance {
    static String bootstrap;
    static Admin admin;
    static int topics = 0;
    static final String RUN = Long.toString(System.nanoTime(), 36);

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        Set<String> wanted = new TreeSet<>(Arrays.asList(args).subList(1, args.length));
        boolean failed = false;
        admin = Admin.create(Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", "30000"));
        List<Method> stories = Arrays.stream(Conformance.class.getDeclaredMethods())
            .filter(m -> m.isAnnotationPresent(Story.class))
            .sorted(Comparator.comparing(Method::getName)).collect(Collectors.toList());
        for (Method m : stories) {
            if (!wanted.isEmpty() && !wanted.contains(m.getName())) continue;
            long begun = System.nanoTime();
            try {
                m.invoke(null);
                System.out.printf("ok java/%s (%d ms)%n", m.getName(), (System.nanoTime() - begun) / 1_000_000);
            } catch (Throwable t) {
                failed = true;
                Throwable c = t.getCause() == null ? t : t.getCause();
                StackTraceElement at = Arrays.stream(c.getStackTrace())
                    .filter(e -> e.getClassName().startsWith("Conformance")).findFirst().orElse(null);
                System.out.printf("not ok java/%s: %s at %s%n", m.getName(), String.valueOf(c).replace('\n', ' '), at);
            }
        }
        admin.close(Duration.ofSeconds(5));
        System.exit(failed ? 1 : 0);
    }

    @java.lang.annotation.Retention(java.lang.annotation.RetentionPolicy.RUNTIME)
    @interface Story {}

    // ---- helpers -------------------------------------------------------------------------------

    static void check(boolean ok, String what) { if (!ok) throw new AssertionError(what); }

    static void equal(Object got, Object want, String what) {
        if (!Objects.equals(got, want)) throw new AssertionError(what + ": got " + got + ", want " + want);
    }

    static <T extends Throwable> T fails(Class<T> with, Callable<?> what) throws Exception {
        try { what.call(); } catch (Throwable t) {
            Throwable c = t instanceof ExecutionException ? t.getCause() : t;
            if (with.isInstance(c)) return with.cast(c);
            throw new AssertionError("want " + with.getSimpleName() + ", got " + c, c);
        }
        throw new AssertionError("want " + with.getSimpleName() + ", but it succeeded");
    }

    static void until(String what, Callable<Boolean> holds) throws Exception {
        long end = System.nanoTime() + 30_000_000_000L;
        while (!holds.call()) {
            if (System.nanoTime() > end) throw new AssertionError("never: " + what);
            Thread.sleep(50);
        }
    }

    static String topic(int partitions, String... config) throws Exception {
        String name = "conf-" + RUN + "-" + topics++;
        Map<String, String> c = new HashMap<>();
        for (int i = 0; i < config.length; i += 2) c.put(config[i], config[i + 1]);
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(c))).all().get();
        return name;
    }

    static KafkaProducer<byte[], byte[]> producer(String... config) {
        Map<String, Object> c = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "linger.ms", "5"));
        for (int i = 0; i < config.length; i += 2) c.put(config[i], config[i + 1]);
        return new KafkaProducer<>(c, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(String... config) {
        Map<String, Object> c = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest",
            "enable.auto.commit", "false"));
        for (int i = 0; i < config.length; i += 2) c.put(config[i], config[i + 1]);
        return new KafkaConsumer<>(c, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static byte[] b(String s) { return s == null ? null : s.getBytes(StandardCharsets.UTF_8); }

    static String s(byte[] b) { return b == null ? null : new String(b, StandardCharsets.UTF_8); }

    static List<ConsumerRecord<byte[], byte[]>> read(KafkaConsumer<byte[], byte[]> c, int n) {
        List<ConsumerRecord<byte[], byte[]>> all = new ArrayList<>();
        long end = System.nanoTime() + 30_000_000_000L;
        while (all.size() < n && System.nanoTime() < end) c.poll(Duration.ofMillis(200)).forEach(all::add);
        if (all.size() != n) throw new AssertionError("read " + all.size() + " records, want " + n);
        return all;
    }

    static List<ConsumerRecord<byte[], byte[]>> readAll(String topic, int n, String... config) {
        try (KafkaConsumer<byte[], byte[]> c = consumer(config)) {
            List<TopicPartition> ps = c.partitionsFor(topic).stream()
                .map(p -> new TopicPartition(topic, p.partition())).collect(Collectors.toList());
            c.assign(ps);
            c.seekToBeginning(ps);
            return read(c, n);
        }
    }

    static void fill(String topic, int n) throws Exception {
        try (KafkaProducer<byte[], byte[]> p = producer()) {
            for (int i = 0; i < n; i++) p.send(new ProducerRecord<>(topic, 0, 1_000_000L + i, b("k" + i), b("v" + i)));
            p.flush();
        }
    }

    // ---- produce and consume -------------------------------------------------------------------

    static void roundTrip(String compression) throws Exception {
        String t = topic(3);
        Random random = new Random(7);
        Map<String, byte[]> sent = new HashMap<>();
        List<Future<RecordMetadata>> acks = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> p = producer("compression.type", compression, "batch.size", "65536")) {
            for (int i = 0; i < 5000; i++) {
                byte[] v = new byte[random.nextInt(400)];
                random.nextBytes(v);
                if (i % 3 == 0) Arrays.fill(v, (byte) 'x');
                sent.put("k" + i, v);
                acks.add(p.send(new ProducerRecord<>(t, b("k" + i), v)));
            }
        }
        Map<String, Long> offsets = new HashMap<>();
        for (int i = 0; i < acks.size(); i++) offsets.put("k" + i, acks.get(i).get().offset());
        for (ConsumerRecord<byte[], byte[]> r : readAll(t, 5000)) {
            check(Arrays.equals(sent.remove(s(r.key())), r.value()), "value of " + s(r.key()));
            equal(r.offset(), offsets.get(s(r.key())), "offset of " + s(r.key()));
        }
        check(sent.isEmpty(), "all read");
    }

    @Story static void compressionNone() throws Exception { roundTrip("none"); }
    @Story static void compressionGzip() throws Exception { roundTrip("gzip"); }
    @Story static void compressionSnappy() throws Exception { roundTrip("snappy"); }
    @Story static void compressionLz4() throws Exception { roundTrip("lz4"); }
    @Story static void compressionZstd() throws Exception { roundTrip("zstd"); }

    @Story static void brokerRecompresses() throws Exception {
        for (String codec : List.of("gzip", "snappy", "lz4", "zstd", "uncompressed")) {
            String t = topic(1, "compression.type", codec);
            try (KafkaProducer<byte[], byte[]> p = producer("compression.type", codec.equals("zstd") ? "gzip" : "zstd")) {
                for (int i = 0; i < 500; i++) p.send(new ProducerRecord<>(t, 0, b("k" + i), b("value-" + i)));
            }
            List<ConsumerRecord<byte[], byte[]>> got = readAll(t, 500);
            for (int i = 0; i < 500; i++) equal(s(got.get(i).value()), "value-" + i, codec);
        }
    }

    @Story static void acksZeroOneAll() throws Exception {
        for (String acks : List.of("0", "1", "all")) {
            String t = topic(1);
            try (KafkaProducer<byte[], byte[]> p = producer("acks", acks, "enable.idempotence", "false")) {
                for (int i = 0; i < 200; i++) p.send(new ProducerRecord<>(t, 0, null, b("v" + i)));
                p.flush();
            }
            List<ConsumerRecord<byte[], byte[]>> got = readAll(t, 200);
            for (int i = 0; i < 200; i++) equal(s(got.get(i).value()), "v" + i, "acks=" + acks);
        }
    }

    @Story static void headersTombstonesNullAndEmptyKeys() throws Exception {
        String t = topic(1);
        try (KafkaProducer<byte[], byte[]> p = producer()) {
            p.send(new ProducerRecord<>(t, 0, null, b("null key"))).get();
            p.send(new ProducerRecord<>(t, 0, b(""), b("empty key"))).get();
            p.send(new ProducerRecord<>(t, 0, b("tombstone"), null)).get();
            p.send(new ProducerRecord<>(t, 0, b("empty value"), b(""))).get();
            p.send(new ProducerRecord<>(t, 0, null, b("h"), b("v"), List.of(new RecordHeader("a", b("1")),
                new RecordHeader("a", b("2")), new RecordHeader("null", null), new RecordHeader("", b("empty name"))))).get();
        }
        List<ConsumerRecord<byte[], byte[]>> r = readAll(t, 5);
        check(r.get(0).key() == null, "null key");
        equal(r.get(1).key().length, 0, "empty key");
        check(r.get(2).value() == null, "tombstone");
        equal(r.get(3).value().length, 0, "empty value");
        List<String> headers = new ArrayList<>();
        r.get(4).headers().forEach(h -> headers.add(h.key() + "=" + s(h.value())));
        equal(headers, List.of("a=1", "a=2", "null=null", "=empty name"), "headers");
    }

    @Story static void oneMegabyteRecords() throws Exception {
        String t = topic(1);
        byte[] big = new byte[1_000_000];
        new Random(1).nextBytes(big);
        try (KafkaProducer<byte[], byte[]> p = producer("max.request.size", "20000000")) {
            for (int i = 0; i < 10; i++) p.send(new ProducerRecord<>(t, 0, null, big)).get();
            fails(RecordTooLargeException.class, () -> p.send(new ProducerRecord<>(t, 0, null, new byte[1_100_000])).get());
        }
        for (ConsumerRecord<byte[], byte[]> r : readAll(t, 10)) check(Arrays.equals(r.value(), big), "value");
        // One batch larger than every fetch limit still passes.
        readAll(t, 10, "max.partition.fetch.bytes", "100", "fetch.max.bytes", "100");
    }

    @Story static void largerRecordsWhenTheTopicAllows() throws Exception {
        String t = topic(1, "max.message.bytes", "12000000");
        byte[] big = new byte[10_000_000];
        new Random(2).nextBytes(big);
        try (KafkaProducer<byte[], byte[]> p = producer("max.request.size", "20000000", "buffer.memory", "64000000")) {
            p.send(new ProducerRecord<>(t, 0, null, big)).get();
        }
        check(Arrays.equals(readAll(t, 1).get(0).value(), big), "value");
    }

    @Story static void timestampsCreateTime() throws Exception {
        String t = topic(1);
        try (KafkaProducer<byte[], byte[]> p = producer()) {
            RecordMetadata m = p.send(new ProducerRecord<>(t, 0, 1234567890123L, null, b("v"))).get();
            equal(m.timestamp(), 1234567890123L, "acknowledged timestamp");
        }
        ConsumerRecord<byte[], byte[]> r = readAll(t, 1).get(0);
        equal(r.timestamp(), 1234567890123L, "timestamp");
        equal(r.timestampType(), org.apache.kafka.common.record.TimestampType.CREATE_TIME, "type");
    }

    @Story static void timestampsLogAppendTime() throws Exception {
        String t = topic(1, "message.timestamp.type", "LogAppendTime");
        long before = System.currentTimeMillis();
        try (KafkaProducer<byte[], byte[]> p = producer("compression.type", "lz4")) {
            for (int i = 0; i < 10; i++) p.send(new ProducerRecord<>(t, 0, 5L, null, b("v")));
            RecordMetadata m = p.send(new ProducerRecord<>(t, 0, 5L, null, b("v"))).get();
            check(m.timestamp() >= before - 1000, "acknowledged timestamp is the broker's");
        }
        for (ConsumerRecord<byte[], byte[]> r : readAll(t, 11)) {
            check(r.timestamp() >= before - 1000 && r.timestamp() <= System.currentTimeMillis() + 1000, "timestamp is the broker's");
            equal(r.timestampType(), org.apache.kafka.common.record.TimestampType.LOG_APPEND_TIME, "type");
        }
    }

    @Story static void timestampsOutOfBounds() throws Exception {
        String t = topic(1, "message.timestamp.before.max.ms", "1000", "message.timestamp.after.max.ms", "1000");
        try (KafkaProducer<byte[], byte[]> p = producer()) {
            fails(InvalidTimestampException.class, () -> p.send(new ProducerRecord<>(t, 0, 1000L, null, b("old"))).get());
            fails(InvalidTimestampException.class,
                () -> p.send(new ProducerRecord<>(t, 0, System.currentTimeMillis() + 100_000, null, b("new"))).get());
            p.send(new ProducerRecord<>(t, 0, System.currentTimeMillis(), null, b("now"))).get();
        }
        readAll(t, 1);
    }

    @Story static void compactedTopicNeedsKeys() throws Exception {
        String t = topic(1, "cleanup.policy", "compact");
        try (KafkaProducer<byte[], byte[]> p = producer()) {
            Exception e = fails(InvalidRecordException.class, () -> p.send(new ProducerRecord<>(t, 0, null, b("v"))).get());
            check(e.getMessage().contains("key"), "the message says what is missing: " + e.getMessage());
            p.send(new ProducerRecord<>(t, 0, b("k"), b("v"))).get();
        }
    }

    @Story static void idempotentFiveInFlight() throws Exception {
        String t = topic(1);
        try (KafkaProducer<byte[], byte[]> p = producer("enable.idempotence", "true", "acks", "all",
                "max.in.flight.requests.per.connection", "5", "batch.size", "200", "linger.ms", "0")) {
            for (int i = 0; i < 20000; i++) p.send(new ProducerRecord<>(t, 0, null, b("v" + i)));
        }
        List<ConsumerRecord<byte[], byte[]>> got = readAll(t, 20000);
        for (int i = 0; i < 20000; i++) {
            equal(s(got.get(i).value()), "v" + i, "order");
            equal(got.get(i).offset(), (long) i, "offset");
        }
    }

    @Story static void describeProducers() throws Exception {
        String t = topic(1);
        try (KafkaProducer<byte[], byte[]> p = producer("enable.idempotence", "true")) {
            for (int i = 0; i < 3; i++) p.send(new ProducerRecord<>(t, 0, null, b("v" + i))).get();
        }
        TopicPartition tp = new TopicPartition(t, 0);
        List<ProducerState> states = admin.describeProducers(List.of(tp)).partitionResult(tp).get().activeProducers();
        equal(states.size(), 1, "producers");
        equal(states.get(0).lastSequence(), 2, "last sequence");
        equal(states.get(0).producerEpoch(), 0, "epoch");
    }

    // ---- positions -----------------------------------------------------------------------------

    @Story static void seekAndPositions() throws Exception {
        String t = topic(1);
        fill(t, 100);
        TopicPartition tp = new TopicPartition(t, 0);
        try (KafkaConsumer<byte[], byte[]> c = consumer()) {
            c.assign(List.of(tp));
            c.seek(tp, 42);
            equal(s(read(c, 58).get(0).value()), "v42", "after seek");
            equal(c.position(tp), 100L, "position at the end");
            c.seekToBeginning(List.of(tp));
            equal(c.position(tp), 0L, "beginning");
            c.seekToEnd(List.of(tp));
            equal(c.position(tp), 100L, "end");
            equal(c.endOffsets(List.of(tp)).get(tp), 100L, "endOffsets");
            equal(c.beginningOffsets(List.of(tp)).get(tp), 0L, "beginningOffsets");
        }
    }

    @Story static void seekOutOfRange() throws Exception {
        String t = topic(1);
        fill(t, 10);
        TopicPartition tp = new TopicPartition(t, 0);
        try (KafkaConsumer<byte[], byte[]> c = consumer("auto.offset.reset", "none")) {
            c.assign(List.of(tp));
            c.seek(tp, 1000);
            fails(org.apache.kafka.clients.consumer.OffsetOutOfRangeException.class, () -> read(c, 1));
        }
        try (KafkaConsumer<byte[], byte[]> c = consumer()) {
            c.assign(List.of(tp));
            c.seek(tp, 1000);
            equal(read(c, 10).get(0).offset(), 0L, "reset to earliest");
        }
    }

    @Story static void offsetsForTimes() throws Exception {
        String t = topic(1);
        fill(t, 1000);
        TopicPartition tp = new TopicPartition(t, 0);
        try (KafkaConsumer<byte[], byte[]> c = consumer()) {
            OffsetAndTimestamp at = c.offsetsForTimes(Map.of(tp, 1_000_500L)).get(tp);
            equal(at.offset(), 500L, "offset for the time");
            equal(at.timestamp(), 1_000_500L, "its timestamp");
            equal(c.offsetsForTimes(Map.of(tp, 1L)).get(tp).offset(), 0L, "before the first");
            check(c.offsetsForTimes(Map.of(tp, 9_000_000L)).get(tp) == null, "after the last");
        }
    }

    @Story static void listOffsetsSpecialTimestamps() throws Exception {
        String t = topic(1);
        TopicPartition tp = new TopicPartition(t, 0);
        try (KafkaProducer<byte[], byte[]> p = producer()) {
            p.send(new ProducerRecord<>(t, 0, 100L, null, b("a"))).get();
            p.send(new ProducerRecord<>(t, 0, 900L, null, b("b"))).get();
            p.send(new ProducerRecord<>(t, 0, 500L, null, b("c"))).get();
        }
        Map<String, OffsetSpec> specs = Map.of("earliest", OffsetSpec.earliest(), "latest", OffsetSpec.latest(),
            "max", OffsetSpec.maxTimestamp(), "local", OffsetSpec.earliestLocal(), "tiered", OffsetSpec.latestTiered());
        Map<String, Long> want = Map.of("earliest", 0L, "latest", 3L, "max", 1L, "local", 0L, "tiered", -1L);
        for (String k : specs.keySet())
            equal(admin.listOffsets(Map.of(tp, specs.get(k))).partitionResult(tp).get().offset(), want.get(k), k);
    }

    @Story static void pauseAndResume() throws Exception {
        String t = topic(2);
        try (KafkaProducer<byte[], byte[]> p = producer()) {
            for (int i = 0; i < 50; i++) for (int q = 0; q < 2; q++) p.send(new ProducerRecord<>(t, q, null, b("v" + i)));
        }
        TopicPartition a = new TopicPartition(t, 0), z = new TopicPartition(t, 1);
        try (KafkaConsumer<byte[], byte[]> c = consumer()) {
            c.assign(List.of(a, z));
            c.pause(List.of(a));
            for (ConsumerRecord<byte[], byte[]> r : read(c, 50)) equal(r.partition(), 1, "paused partition is silent");
            c.resume(List.of(a));
            for (ConsumerRecord<byte[], byte[]> r : read(c, 50)) equal(r.partition(), 0, "resumed");
        }
    }

    @Story static void longPollWakesOnAppend() throws Exception {
        String t = topic(1);
        TopicPartition tp = new TopicPartition(t, 0);
        try (KafkaConsumer<byte[], byte[]> c = consumer("fetch.max.wait.ms", "8000");
             KafkaProducer<byte[], byte[]> p = producer("linger.ms", "0")) {
            c.assign(List.of(tp));
            c.poll(Duration.ofMillis(500));
            ScheduledExecutorService later = Executors.newSingleThreadScheduledExecutor();
            long begun = System.nanoTime();
            later.schedule(() -> p.send(new ProducerRecord<>(t, 0, null, b("now"))), 500, TimeUnit.MILLISECONDS);
            equal(s(read(c, 1).get(0).value()), "now", "value");
            check(System.nanoTime() - begun < 4_000_000_000L, "long poll answered when data came, not when it ended");
            later.shutdown();
        }
    }

    // ---- groups --------------------------------------------------------------------------------

    @Story static void groupCommitsAndResumes() throws Exception {
        String t = topic(4), g = "group-" + t;
        try (KafkaProducer<byte[], byte[]> p = producer()) {
            for (int i = 0; i < 400; i++) p.send(new ProducerRecord<>(t, i % 4, null, b("v" + i)));
        }
        try (KafkaConsumer<byte[], byte[]> c = consumer("group.id", g, "max.poll.records", "100")) {
            c.subscribe(List.of(t));
            read(c, 400);
            Map<TopicPartition, OffsetAndMetadata> half = new HashMap<>();
            for (int q = 0; q < 4; q++) half.put(new TopicPartition(t, q), new OffsetAndMetadata(50, "note " + q));
            c.commitSync(half);
            equal(c.committed(Set.of(new TopicPartition(t, 2))).get(new TopicPartition(t, 2)).metadata(), "note 2", "metadata");
        }
        try (KafkaConsumer<byte[], byte[]> c = consumer("group.id", g)) {
            c.subscribe(List.of(t));
            for (ConsumerRecord<byte[], byte[]> r : read(c, 200)) check(r.offset() >= 50, "resumes at the commit");
        }
        equal(admin.listConsumerGroupOffsets(g).partitionsToOffsetAndMetadata().get().get(new TopicPartition(t, 1)).offset(),
            50L, "committed as the admin sees it");
    }

    @Story static void groupRebalancesAsMembersComeAndGo() throws Exception {
        String t = topic(6), g = "group-" + t;
        for (String assignor : List.of("RangeAssignor", "CooperativeStickyAssignor")) {
            List<KafkaConsumer<byte[], byte[]>> members = new ArrayList<>();
            try {
                for (int i = 0; i < 3; i++) {
                    KafkaConsumer<byte[], byte[]> c = consumer("group.id", g + assignor, "heartbeat.interval.ms", "200",
                        "partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor);
                    members.add(c);
                    c.subscribe(List.of(t));
                    settle(members, 6);
                    equal(members.stream().map(m -> m.assignment().size()).collect(Collectors.toList()),
                        i == 0 ? List.of(6) : i == 1 ? List.of(3, 3) : List.of(2, 2, 2), assignor);
                }
                members.remove(1).close();
                settle(members, 6);
                equal(members.stream().mapToInt(m -> m.assignment().size()).sum(), 6, "after one left");
            } finally {
                for (KafkaConsumer<byte[], byte[]> c : members) c.close();
            }
        }
    }

    /** Polls all members in turn until they own all partitions, no partition twice, evenly. */
    static void settle(List<KafkaConsumer<byte[], byte[]>> members, int partitions) throws Exception {
        until("the group settles", () -> {
            Set<TopicPartition> all = new HashSet<>();
            int sum = 0;
            boolean even = true;
            for (KafkaConsumer<byte[], byte[]> m : members) m.poll(Duration.ofMillis(50));
            for (KafkaConsumer<byte[], byte[]> m : members) {
                all.addAll(m.assignment());
                sum += m.assignment().size();
                even &= m.assignment().size() == partitions / members.size();
            }
            return all.size() == partitions && sum == partitions && even;
        });
    }

    @Story static void groupStaticMembership() throws Exception {
        String t = topic(4), g = "group-" + t;
        try (KafkaConsumer<byte[], byte[]> a = consumer("group.id", g, "group.instance.id", "one")) {
            a.subscribe(List.of(t));
            settle(List.of(a), 4);
            String id = admin.describeConsumerGroups(List.of(g)).all().get().get(g).members().iterator().next().consumerId();
            a.close();
            until("the static member stays", () ->
                admin.describeConsumerGroups(List.of(g)).all().get().get(g).members().size() == 1);
            try (KafkaConsumer<byte[], byte[]> z = consumer("group.id", g, "group.instance.id", "one")) {
                z.subscribe(List.of(t));
                settle(List.of(z), 4);
                MemberDescription m = admin.describeConsumerGroups(List.of(g)).all().get().get(g).members().iterator().next();
                equal(m.groupInstanceId(), Optional.of("one"), "instance id");
                check(!m.consumerId().equals(id), "a new member id");
            }
        }
        admin.removeMembersFromConsumerGroup(g, new RemoveMembersFromConsumerGroupOptions(
            List.of(new MemberToRemove("one")))).all().get();
        equal(admin.describeConsumerGroups(List.of(g)).all().get().get(g).members().size(), 0, "removed");
    }

    @Story static void groupMemberTimesOut() throws Exception {
        String t = topic(2), g = "group-" + t;
        KafkaConsumer<byte[], byte[]> dead = consumer("group.id", g, "session.timeout.ms", "6000", "max.poll.interval.ms", "6000",
            "heartbeat.interval.ms", "1000");
        dead.subscribe(List.of(t));
        settle(List.of(dead), 2);
        try (KafkaConsumer<byte[], byte[]> live = consumer("group.id", g, "session.timeout.ms", "6000", "heartbeat.interval.ms", "500")) {
            live.subscribe(List.of(t));
            settle(List.of(live), 2); // the other one never polls again
        }
        dead.close(CloseOptions.timeout(Duration.ZERO));
    }

    @Story static void groupsListedDescribedDeleted() throws Exception {
        String t = topic(1), g = "group-" + t;
        fill(t, 5);
        try (KafkaConsumer<byte[], byte[]> c = consumer("group.id", g, "client.id", "me")) {
            c.subscribe(List.of(t));
            read(c, 5);
            c.commitSync();
            ConsumerGroupDescription d = admin.describeConsumerGroups(List.of(g)).all().get().get(g);
            equal(d.groupState().toString(), "Stable", "state");
            equal(d.partitionAssignor(), "range", "assignor");
            equal(d.members().iterator().next().clientId(), "me", "client id");
            fails(GroupNotEmptyException.class, () -> admin.deleteConsumerGroups(List.of(g)).all().get());
            fails(GroupSubscribedToTopicException.class,
                () -> admin.deleteConsumerGroupOffsets(g, Set.of(new TopicPartition(t, 0))).all().get());
        }
        until("the group is empty", () ->
            admin.describeConsumerGroups(List.of(g)).all().get().get(g).groupState() == GroupState.EMPTY);
        check(admin.listGroups().all().get().stream().anyMatch(x -> x.groupId().equals(g)), "listed");
        admin.alterConsumerGroupOffsets(g, Map.of(new TopicPartition(t, 0), new OffsetAndMetadata(2))).all().get();
        admin.deleteConsumerGroupOffsets(g, Set.of(new TopicPartition(t, 0))).all().get();
        check(admin.listConsumerGroupOffsets(g).partitionsToOffsetAndMetadata().get().isEmpty(), "offsets deleted");
        admin.alterConsumerGroupOffsets(g, Map.of(new TopicPartition(t, 0), new OffsetAndMetadata(2))).all().get();
        admin.deleteConsumerGroups(List.of(g)).all().get();
        check(admin.listGroups().all().get().stream().noneMatch(x -> x.groupId().equals(g)), "deleted");
        fails(GroupIdNotFoundException.class, () -> admin.deleteConsumerGroups(List.of(g)).all().get());
        // The empty name is one, for offsets of old clients.
        admin.alterConsumerGroupOffsets("", Map.of(new TopicPartition(t, 0), new OffsetAndMetadata(2))).all().get();
        equal(admin.describeClassicGroups(List.of("")).all().get().get("").state(), ClassicGroupState.EMPTY, "the empty name");
        admin.deleteConsumerGroups(List.of("")).all().get();
        check(admin.listGroups().all().get().stream().noneMatch(x -> x.groupId().isEmpty()), "deleted, too");
    }

    // ---- admin ---------------------------------------------------------------------------------

    @Story static void topicsCreatedDescribedDeleted() throws Exception {
        String name = "conf-" + RUN + "-admin";
        CreateTopicsResult r = admin.createTopics(List.of(new NewTopic(name, Optional.of(3), Optional.empty())
            .configs(Map.of("retention.ms", "1000000"))));
        r.all().get();
        equal(r.numPartitions(name).get(), 3, "partitions");
        equal(r.config(name).get().get("retention.ms").value(), "1000000", "config in the answer");
        TopicDescription d = admin.describeTopics(List.of(name)).allTopicNames().get().get(name);
        equal(d.topicId(), r.topicId(name).get(), "topic id");
        equal(d.partitions().get(2).leader().id(), d.partitions().get(2).isr().get(0).id(), "leader in ISR");
        equal(admin.describeTopics(TopicCollection.ofTopicIds(List.of(d.topicId()))).allTopicIds().get().get(d.topicId()).name(),
            name, "described by id");
        fails(TopicExistsException.class, () -> admin.createTopics(List.of(new NewTopic(name, 1, (short) 1))).all().get());
        fails(InvalidTopicException.class, () -> admin.createTopics(List.of(new NewTopic("no/slash", 1, (short) 1))).all().get());
        fails(InvalidReplicationFactorException.class, () -> admin.createTopics(List.of(new NewTopic(name + "2", 1, (short) 9))).all().get());
        fails(InvalidPartitionsException.class, () -> admin.createTopics(List.of(new NewTopic(name + "2", 0, (short) 1))).all().get());
        fails(InvalidConfigurationException.class, () -> admin.createTopics(List.of(
            new NewTopic(name + "2", 1, (short) 1).configs(Map.of("retention.ms", "many")))).all().get());
        admin.createTopics(List.of(new NewTopic(name + "3", 1, (short) 1)), new CreateTopicsOptions().validateOnly(true)).all().get();
        check(!admin.listTopics().names().get().contains(name + "3"), "validate only creates nothing");
        admin.createPartitions(Map.of(name, NewPartitions.increaseTo(5))).all().get();
        fails(InvalidPartitionsException.class, () -> admin.createPartitions(Map.of(name, NewPartitions.increaseTo(4))).all().get());
        until("five partitions", () ->
            admin.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().size() == 5);
        admin.deleteTopics(List.of(name)).all().get();
        until("gone", () -> !admin.listTopics().names().get().contains(name));
        fails(UnknownTopicOrPartitionException.class, () -> admin.deleteTopics(List.of(name)).all().get());
        String again = topic(1);
        Uuid id = admin.describeTopics(List.of(again)).allTopicNames().get().get(again).topicId();
        admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get();
        fails(UnknownTopicIdException.class, () -> admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get());
    }

    @Story static void topicDeletedAndMadeAgainIsEmpty() throws Exception {
        String t = topic(1);
        fill(t, 100);
        admin.deleteTopics(List.of(t)).all().get();
        until("gone", () -> !admin.listTopics().names().get().contains(t));
        admin.createTopics(List.of(new NewTopic(t, 1, (short) 1))).all().get();
        TopicPartition tp = new TopicPartition(t, 0);
        until("the new topic answers", () -> {
            try { return admin.listOffsets(Map.of(tp, OffsetSpec.latest())).partitionResult(tp).get().offset() == 0; }
            catch (ExecutionException e) { return false; }
        });
        fill(t, 3);
        readAll(t, 3);
    }

    @Story static void topicsAreCreatedWhenUsed() throws Exception {
        String t = "conf-" + RUN + "-auto";
        try (KafkaProducer<byte[], byte[]> p = producer()) { p.send(new ProducerRecord<>(t, b("k"), b("v"))).get(); }
        readAll(t, 1);
    }

    @Story static void deleteRecords() throws Exception {
        String t = topic(1);
        fill(t, 100);
        TopicPartition tp = new TopicPartition(t, 0);
        equal(admin.deleteRecords(Map.of(tp, RecordsToDelete.beforeOffset(40))).lowWatermarks().get(tp).get().lowWatermark(), 40L, "low");
        equal(readAll(t, 60).get(0).offset(), 40L, "first offset");
        fails(org.apache.kafka.common.errors.OffsetOutOfRangeException.class,
            () -> admin.deleteRecords(Map.of(tp, RecordsToDelete.beforeOffset(400))).all().get());
        equal(admin.deleteRecords(Map.of(tp, RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(tp).get().lowWatermark(), 100L, "all");
        equal(admin.listOffsets(Map.of(tp, OffsetSpec.earliest())).partitionResult(tp).get().offset(), 100L, "earliest");
    }

    @Story static void configsDescribedAndAltered() throws Exception {
        String t = topic(1, "retention.ms", "5000000");
        ConfigResource r = new ConfigResource(ConfigResource.Type.TOPIC, t);
        ConfigEntry e = admin.describeConfigs(List.of(r)).all().get().get(r).get("retention.ms");
        equal(e.value(), "5000000", "value");
        equal(e.source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "source");
        equal(e.type(), ConfigEntry.ConfigType.LONG, "type");
        admin.incrementalAlterConfigs(Map.of(r, List.of(
            new AlterConfigOp(new ConfigEntry("retention.ms", ""), AlterConfigOp.OpType.DELETE),
            new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND)))).all().get();
        until("altered", () -> {
            Config c = admin.describeConfigs(List.of(r)).all().get().get(r);
            return c.get("retention.ms").value().equals("604800000")
                && c.get("retention.ms").source() == ConfigEntry.ConfigSource.DEFAULT_CONFIG
                && c.get("cleanup.policy").value().equals("delete,compact");
        });
        fails(InvalidConfigurationException.class, () -> admin.incrementalAlterConfigs(Map.of(r, List.of(
            new AlterConfigOp(new ConfigEntry("segment.bytes", "5"), AlterConfigOp.OpType.SET)))).all().get());
        fails(InvalidConfigurationException.class, () -> admin.incrementalAlterConfigs(Map.of(r, List.of(
            new AlterConfigOp(new ConfigEntry("no.such.key", "5"), AlterConfigOp.OpType.SET)))).all().get());
        fails(UnknownTopicOrPartitionException.class, () -> {
            ConfigResource no = new ConfigResource(ConfigResource.Type.TOPIC, "conf-no-such");
            return admin.describeConfigs(List.of(no)).all().get();
        });
        check(fails(InvalidTopicException.class, () -> admin.describeConfigs(List.of(new ConfigResource(ConfigResource.Type.TOPIC, "a/b"))).all().get())
            .getMessage().contains("contains one or more characters"), "why it is refused");
        check(fails(InvalidRequestException.class, () -> admin.describeConfigs(List.of(new ConfigResource(ConfigResource.Type.GROUP, ""))).all().get())
            .getMessage().contains("Group name must not be empty"), "why it is refused");
        check(fails(InvalidRequestException.class, () -> admin.describeConfigs(List.of(new ConfigResource(ConfigResource.Type.CLIENT_METRICS, ""))).all().get())
            .getMessage().contains("subscription name must not be empty"), "why it is refused");
    }

    @Story static void brokerConfigsDynamic() throws Exception {
        String id = admin.describeCluster().nodes().get().iterator().next().idString();
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, id), all = new ConfigResource(ConfigResource.Type.BROKER, "");
        Config c = admin.describeConfigs(List.of(broker)).all().get().get(broker);
        check(c.get("log.dirs") != null && c.get("log.dirs").isReadOnly(), "log.dirs is read-only");
        check(c.entries().size() > 300, "all keys are described: " + c.entries().size());
        fails(InvalidRequestException.class, () -> admin.incrementalAlterConfigs(Map.of(all, List.of(
            new AlterConfigOp(new ConfigEntry("log.dirs", "/nowhere"), AlterConfigOp.OpType.SET)))).all().get());
        String t = topic(1);
        ConfigResource tr = new ConfigResource(ConfigResource.Type.TOPIC, t);
        admin.incrementalAlterConfigs(Map.of(all, List.of(
            new AlterConfigOp(new ConfigEntry("log.retention.ms", "7777777"), AlterConfigOp.OpType.SET)))).all().get();
        try {
            until("the topic follows the cluster's default", () -> {
                ConfigEntry e = admin.describeConfigs(List.of(tr)).all().get().get(tr).get("retention.ms");
                return e.value().equals("7777777") && e.source() == ConfigEntry.ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG;
            });
        } finally {
            admin.incrementalAlterConfigs(Map.of(all, List.of(
                new AlterConfigOp(new ConfigEntry("log.retention.ms", ""), AlterConfigOp.OpType.DELETE)))).all().get();
        }
    }

    @Story static void maxMessageBytesChangesLive() throws Exception {
        String t = topic(1);
        ConfigResource r = new ConfigResource(ConfigResource.Type.TOPIC, t);
        try (KafkaProducer<byte[], byte[]> p = producer()) {
            p.send(new ProducerRecord<>(t, 0, null, new byte[5000])).get();
            admin.incrementalAlterConfigs(Map.of(r, List.of(
                new AlterConfigOp(new ConfigEntry("max.message.bytes", "1000"), AlterConfigOp.OpType.SET)))).all().get();
            until("the smaller bound holds", () -> {
                try { p.send(new ProducerRecord<>(t, 0, null, new byte[5000])).get(); return false; }
                catch (ExecutionException e) { return e.getCause() instanceof RecordTooLargeException; }
            });
        }
    }

    @Story static void clusterDescribed() throws Exception {
        DescribeClusterResult r = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
        equal(r.clusterId().get().length(), 22, "cluster id");
        check(r.controller().get() != null, "controller");
        equal(r.nodes().get().isEmpty(), false, "nodes");
        FeatureMetadata f = admin.describeFeatures().featureMetadata().get();
        check(f.finalizedFeatures().get("metadata.version").maxVersionLevel() >= 7, "metadata.version");
        QuorumInfo q = admin.describeMetadataQuorum().quorumInfo().get();
        equal(q.voters().size() >= 1, true, "voters");
        equal(q.leaderId() >= 0, true, "leader");
    }

    @Story static void logDirsDescribed() throws Exception {
        String t = topic(1);
        fill(t, 100);
        int id = admin.describeCluster().nodes().get().iterator().next().id();
        Map<String, LogDirDescription> dirs = admin.describeLogDirs(List.of(id)).allDescriptions().get().get(id);
        check(dirs.values().stream().anyMatch(d -> {
            ReplicaInfo i = d.replicaInfos().get(new TopicPartition(t, 0));
            return i != null && i.size() > 1000 && d.totalBytes().isPresent();
        }), "the partition is in a log dir, with its size");
    }

    /** A partition goes from directory to directory and back while it is written: nothing is lost, nothing comes twice. */
    @Story static void logDirsAltered() throws Exception {
        String t = topic(1, "segment.bytes", "1048576");
        int id = admin.describeCluster().nodes().get().iterator().next().id();
        List<String> dirs = new ArrayList<>(admin.describeLogDirs(List.of(id)).allDescriptions().get().get(id).keySet());
        Collections.sort(dirs);
        equal(dirs.size(), 3, "log directories");
        TopicPartitionReplica replica = new TopicPartitionReplica(t, 0, id);
        fails(LogDirNotFoundException.class, () -> admin.alterReplicaLogDirs(Map.of(replica, "/no/such/dir")).all().get());
        fails(UnknownTopicOrPartitionException.class, () ->
            admin.alterReplicaLogDirs(Map.of(new TopicPartitionReplica(t, 7, id), dirs.get(0))).all().get());
        java.util.concurrent.atomic.AtomicBoolean stop = new java.util.concurrent.atomic.AtomicBoolean();
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        Thread writer = new Thread(() -> {
            try (KafkaProducer<byte[], byte[]> p = producer("enable.idempotence", "true")) {
                for (int i = 0; !stop.get(); i++) {
                    sent.add(p.send(new ProducerRecord<>(t, 0, b("k" + i), b("value " + i + " " + "x".repeat(i % 1000)))));
                    if (i % 100 == 0) p.flush();
                }
            }
        });
        writer.start();
        int moves = 0;
        for (String dir : List.of(dirs.get(1), dirs.get(2), dirs.get(0), dirs.get(1), dirs.get(0))) {
            admin.alterReplicaLogDirs(Map.of(replica, dir)).all().get();
            until("in " + dir, () -> {
                DescribeReplicaLogDirsResult.ReplicaLogDirInfo i = admin.describeReplicaLogDirs(List.of(replica)).all().get().get(replica);
                return dir.equals(i.getCurrentReplicaLogDir()) && i.getFutureReplicaLogDir() == null;
            });
            moves++;
        }
        stop.set(true);
        writer.join();
        int i = 0;
        for (Future<RecordMetadata> f : sent) equal(f.get().offset(), (long) i++, "each record at its offset");
        i = 0;
        // One after another: a fast node takes more in the time of the moves than there is memory for.
        int written = sent.size();
        sent.clear();
        try (KafkaConsumer<byte[], byte[]> c = consumer("check.crcs", "true")) {
            TopicPartition only = new TopicPartition(t, 0);
            c.assign(List.of(only));
            c.seekToBeginning(List.of(only));
            long end = System.nanoTime() + 60_000_000_000L;
            while (i < written && System.nanoTime() < end) {
                for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(200))) {
                    equal(s(r.key()), "k" + i, "key");
                    equal(s(r.value()), "value " + i + " " + "x".repeat(i % 1000), "value");
                    i++;
                }
            }
            equal(i, written, "records read");
        }
        check(moves == 5 && i > 0, "moved " + moves + " times, " + i + " records");
        long files = admin.describeLogDirs(List.of(id)).allDescriptions().get().get(id).values().stream()
            .filter(d -> d.replicaInfos().containsKey(new TopicPartition(t, 0))).count();
        equal(files, 1L, "it is in one directory");
    }

    @Story static void brokerLoggers() throws Exception {
        String id = Integer.toString(admin.describeCluster().nodes().get().iterator().next().id());
        ConfigResource r = new ConfigResource(ConfigResource.Type.BROKER_LOGGER, id);
        Callable<SortedMap<String, String>> levels = () -> {
            SortedMap<String, String> found = new TreeMap<>();
            for (ConfigEntry e : admin.describeConfigs(List.of(r), new DescribeConfigsOptions().includeSynonyms(true)).all().get().get(r).entries()) {
                equal(e.source(), ConfigEntry.ConfigSource.DYNAMIC_BROKER_LOGGER_CONFIG, "source of " + e);
                check(!e.isReadOnly() && !e.isSensitive() && !e.isDefault(), "flags of " + e);
                equal(e.type(), ConfigEntry.ConfigType.UNKNOWN, "type of " + e);
                equal(e.synonyms(), List.of(), "synonyms of " + e);
                found.put(e.name(), e.value());
            }
            return found;
        };
        SortedMap<String, String> before = levels.call();
        String root = before.get("root"), some = before.keySet().stream().filter(n -> !n.equals("root")).reduce((a, b) -> b).get();
        check(root != null, "the root is one of " + before);
        AlterConfigOp.OpType set = AlterConfigOp.OpType.SET, delete = AlterConfigOp.OpType.DELETE;
        alterLoggers(r, some, "FATAL", set);
        equal(levels.call().get(some), "FATAL", "level of " + some);
        alterLoggers(r, some, "ERROR", set);
        equal(levels.call().get(some), "ERROR", "level of " + some);
        alterLoggers(r, some, "", delete);
        alterLoggers(r, "root", "WARN", set);
        equal(levels.call().get("root"), "WARN", "level of the root");
        equal(levels.call().get(some), "WARN", "without a level of its own it has the root's");
        alterLoggers(r, "root", root, set);
        equal(levels.call().get(some), root, "and follows it");
        admin.incrementalAlterConfigs(Map.of(r, List.of(new AlterConfigOp(new ConfigEntry(some, "ERROR"), set))),
            new AlterConfigsOptions().validateOnly(true)).all().get();
        equal(levels.call().get(some), root, "only validated");

        equal(fails(InvalidConfigurationException.class, () -> alterLoggers(r, "no.such", "INFO", set)).getMessage(),
            "Logger no.such does not exist!", "unknown logger");
        equal(fails(InvalidConfigurationException.class, () -> alterLoggers(r, "no.such", "", delete)).getMessage(),
            "Logger no.such does not exist!", "unknown logger");
        equal(fails(InvalidConfigurationException.class, () -> alterLoggers(r, "root", "LOUD", set)).getMessage(),
            "Cannot set the log level of root to LOUD as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
            "unknown level");
        equal(fails(InvalidRequestException.class, () -> alterLoggers(r, "root", "", delete)).getMessage(),
            "Removing the log level of the root logger is not allowed", "root");
        for (AlterConfigOp.OpType op : List.of(AlterConfigOp.OpType.APPEND, AlterConfigOp.OpType.SUBTRACT))
            equal(fails(InvalidRequestException.class, () -> alterLoggers(r, "root", "INFO", op)).getMessage(),
                op + " operation is not allowed for the BROKER_LOGGER resource", "operation");
        fails(InvalidConfigurationException.class, () -> admin.incrementalAlterConfigs(Map.of(r, List.of(
            new AlterConfigOp(new ConfigEntry(some, "ERROR"), set),
            new AlterConfigOp(new ConfigEntry("no.such", "ERROR"), set)))).all().get());
        equal(levels.call().get(some), root, "all of them or none");
        if (!before.get(some).equals(root)) alterLoggers(r, some, before.get(some), set);
        equal(levels.call(), before, "as before");
        check(admin.listConfigResources(Set.of(ConfigResource.Type.BROKER_LOGGER), new ListConfigResourcesOptions()).all().get().contains(r), "listed");
    }

    static Void alterLoggers(ConfigResource of, String logger, String level, AlterConfigOp.OpType op) throws Exception {
        admin.incrementalAlterConfigs(Map.of(of, List.of(new AlterConfigOp(new ConfigEntry(logger, level), op)))).all().get();
        return null;
    }

    @Story static void listConfigResources() throws Exception {
        ConfigResource r = new ConfigResource(ConfigResource.Type.CLIENT_METRICS, "cm-" + RUN);
        admin.incrementalAlterConfigs(Map.of(r, List.of(
            new AlterConfigOp(new ConfigEntry("interval.ms", "60000"), AlterConfigOp.OpType.SET)))).all().get();
        until("listed", () -> admin.listConfigResources(Set.of(ConfigResource.Type.CLIENT_METRICS), new ListConfigResourcesOptions())
            .all().get().contains(r));
        admin.incrementalAlterConfigs(Map.of(r, List.of(
            new AlterConfigOp(new ConfigEntry("interval.ms", ""), AlterConfigOp.OpType.DELETE)))).all().get();
    }

    @Story static void partitionsForUnknownTopic() throws Exception {
        try (KafkaConsumer<byte[], byte[]> c = consumer("allow.auto.create.topics", "false")) {
            equal(c.partitionsFor("conf-no-such-topic", Duration.ofSeconds(5)), List.of(), "no partitions");
        }
    }
}
