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
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/**
 * What an application does in transactions with Kafka's own Java client, one method a story. The node aborts what takes too
 * long twice a second (transaction.abort.timed.out.transaction.cleanup.interval.ms=500).
 * usage: java Transactions BOOTSTRAP VERSION [STORY...]   with the node's transaction.version; prints "ok NAME" or
 * "not ok NAME: why" for each.    java Transactions BOOTSTRAP hold ID TOPIC   leaves a transaction open.
 */
public class Transactions {
    static String bootstrap;
    static int version;
    static Admin admin;
    static int names = 0;
    static final boolean KAFKA = "kafka".equals(System.getenv("BROKER"));
    static final String RUN = Long.toString(System.nanoTime(), 36);

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        if (args[1].equals("hold")) {
            hold(args[2], args[3]);
            return;
        }
        version = Integer.parseInt(args[1]);
        Set<String> wanted = new TreeSet<>(Arrays.asList(args).subList(2, args.length));
        boolean failed = false;
        admin = Admin.create(Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", "30000"));
        List<Method> stories = Arrays.stream(Transactions.class.getDeclaredMethods())
            .filter(m -> m.isAnnotationPresent(Story.class))
            .sorted(Comparator.comparing(Method::getName)).collect(Collectors.toList());
        for (Method m : stories) {
            if (!wanted.isEmpty() && !wanted.contains(m.getName())) continue;
            long begun = System.nanoTime();
            String name = "java/transactions/" + version + "/" + m.getName();
            try {
                m.invoke(null);
                System.out.printf("ok %s (%d ms)%n", name, (System.nanoTime() - begun) / 1_000_000);
            } catch (Throwable t) {
                failed = true;
                Throwable c = t.getCause() == null ? t : t.getCause();
                StackTraceElement at = Arrays.stream(c.getStackTrace())
                    .filter(e -> e.getClassName().startsWith("Transactions")).reduce((a, b) -> b).orElse(null);
                System.out.printf("not ok %s: %s at %s%n", name, String.valueOf(c).replace('\n', ' '), at);
            }
        }
        admin.close(Duration.ofSeconds(5));
        System.exit(failed ? 1 : 0);
    }

    /** Leaves a transaction open until somebody ends the input: one record each in partitions 0 and 1 of a topic. */
    static void hold(String id, String topic) throws Exception {
        KafkaProducer<String, String> p = begun(id, "transaction.timeout.ms", "600000");
        send(p, topic, 0, "1");
        send(p, topic, 1, "2");
        System.out.println("held");
        while (System.in.read() >= 0) {}
        Runtime.getRuntime().halt(0);
    }

    @java.lang.annotation.Retention(java.lang.annotation.RetentionPolicy.RUNTIME)
    @interface Story {}

    // ---- helpers -------------------------------------------------------------------------------

    static void check(boolean ok, String what) { if (!ok) throw new AssertionError(what); }

    static void equal(Object got, Object want, String what) {
        if (!Objects.equals(got, want)) throw new AssertionError(what + ": got " + got + ", want " + want);
    }

    /** Runs what must fail, and gives what it failed with. */
    static Throwable failure(Callable<?> what) {
        try { what.call(); } catch (Throwable t) { return t instanceof ExecutionException ? t.getCause() : t; }
        throw new AssertionError("it succeeded");
    }

    /** Runs what must fail with one of these, itself or as a cause. */
    static void fails(Callable<?> what, Class<?>... with) {
        Throwable got = failure(what);
        for (Throwable t = got; t != null; t = t.getCause())
            for (Class<?> one : with) if (one.isInstance(t)) return;
        throw new AssertionError("want one of " + Arrays.toString(with) + ", got " + got, got);
    }

    static void until(String what, Callable<Boolean> holds) throws Exception {
        long end = System.nanoTime() + 30_000_000_000L;
        while (!holds.call()) {
            if (System.nanoTime() > end) throw new AssertionError("never: " + what);
            Thread.sleep(20);
        }
    }

    static String topic(int partitions, String... config) throws Exception {
        String name = "txn-" + RUN + "-" + names++;
        Map<String, String> c = new HashMap<>();
        for (int i = 0; i < config.length; i += 2) c.put(config[i], config[i + 1]);
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(c))).all().get();
        return name;
    }

    static String id() { return "id-" + RUN + "-" + names++; }

    static KafkaProducer<String, String> producer(String id, String... config) {
        Map<String, Object> c = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "max.block.ms", "30000"));
        if (id != null) c.put("transactional.id", id);
        for (int i = 0; i < config.length; i += 2) c.put(config[i], config[i + 1]);
        return new KafkaProducer<>(c, new StringSerializer(), new StringSerializer());
    }

    static KafkaProducer<String, String> begun(String id, String... config) {
        KafkaProducer<String, String> p = producer(id, config);
        p.initTransactions();
        p.beginTransaction();
        return p;
    }

    static KafkaConsumer<String, String> consumer(String isolation, String... config) {
        Map<String, Object> c = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest",
            "enable.auto.commit", "false", "isolation.level", isolation));
        for (int i = 0; i < config.length; i += 2) c.put(config[i], config[i + 1]);
        return new KafkaConsumer<>(c, new StringDeserializer(), new StringDeserializer());
    }

    static void send(KafkaProducer<String, String> p, String topic, int partition, String... values) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (String v : values) sent.add(p.send(new ProducerRecord<>(topic, partition, null, v)));
        p.flush();
        for (Future<RecordMetadata> f : sent) f.get();
    }

    static List<TopicPartition> partitions(String topic) throws Exception {
        int n = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
        return IntStream.range(0, n).mapToObj(i -> new TopicPartition(topic, i)).collect(Collectors.toList());
    }

    /** All values of a topic as one who reads at this isolation sees them, partition after partition. */
    static List<String> values(String topic, String isolation) throws Exception {
        List<String> all = new ArrayList<>();
        try (KafkaConsumer<String, String> c = consumer(isolation)) {
            for (TopicPartition p : partitions(topic)) {
                c.assign(List.of(p));
                c.seekToBeginning(List.of(p));
                // The end of what may be read: the last stable offset, or the high watermark.
                long end = c.endOffsets(List.of(p)).get(p);
                long give = System.nanoTime() + 30_000_000_000L;
                while (c.position(p) < end) {
                    check(System.nanoTime() < give, "still at " + c.position(p) + " of " + end + " of " + p);
                    for (ConsumerRecord<String, String> r : c.poll(Duration.ofMillis(200))) all.add(r.value());
                }
            }
        }
        return all;
    }

    static List<String> committed(String topic) throws Exception { return values(topic, "read_committed"); }

    static List<String> uncommitted(String topic) throws Exception { return values(topic, "read_uncommitted"); }

    /** A producer that is gone without a word. */
    static void die(KafkaProducer<String, String> p) { p.close(Duration.ZERO); }

    static TransactionDescription described(String id) throws Exception {
        return admin.describeTransactions(List.of(id)).description(id).get();
    }

    static void untilState(String id, TransactionState state) throws Exception {
        until(id + " is " + state, () -> described(id).state() == state);
    }

    // ---- stories -------------------------------------------------------------------------------

    @Story static void aCommitIsSeenAtOnceAndWhole() throws Exception {
        String a = topic(2), b = topic(1);
        try (KafkaProducer<String, String> p = begun(id())) {
            send(p, a, 0, "1", "2");
            send(p, a, 1, "3");
            send(p, b, 0, "4");
            equal(committed(a), List.of(), "before the end");
            equal(uncommitted(a), List.of("1", "2", "3"), "before the end, uncommitted");
            p.commitTransaction();
            until("it is seen", () -> committed(a).size() == 3 && committed(b).size() == 1);
            equal(committed(a), List.of("1", "2", "3"), "after");
            equal(committed(b), List.of("4"), "after");
        }
    }

    @Story static void anAbortIsNotSeen() throws Exception {
        String t = topic(2);
        try (KafkaProducer<String, String> p = begun(id())) {
            send(p, t, 0, "1", "2");
            send(p, t, 1, "3");
            p.abortTransaction();
            p.beginTransaction();
            send(p, t, 0, "4");
            p.commitTransaction();
            until("what came after is seen", () -> committed(t).contains("4"));
            equal(committed(t), List.of("4"), "committed");
            equal(uncommitted(t), List.of("1", "2", "4", "3"), "uncommitted");
        }
    }

    @Story static void anOpenTransactionHoldsBackWhatCameLater() throws Exception {
        String t = topic(1);
        try (KafkaProducer<String, String> first = begun(id()); KafkaProducer<String, String> second = begun(id());
             KafkaProducer<String, String> plain = producer(null)) {
            send(first, t, 0, "a1");
            send(second, t, 0, "b1");
            send(plain, t, 0, "c");
            send(first, t, 0, "a2");
            send(second, t, 0, "b2");
            second.commitTransaction();
            untilState(idOf(second), TransactionState.COMPLETE_COMMIT);
            equal(committed(t), List.of(), "the first is open");
            first.abortTransaction();
            until("both have ended", () -> committed(t).size() == 3);
            equal(committed(t), List.of("b1", "c", "b2"), "committed");
            equal(uncommitted(t), List.of("a1", "b1", "c", "a2", "b2"), "uncommitted");
        }
    }

    static String idOf(KafkaProducer<String, String> p) throws Exception {
        // What the client calls itself holds its transactional id.
        return p.metrics().keySet().stream().map(m -> m.tags().get("client-id")).filter(Objects::nonNull)
            .findFirst().get().replaceFirst("^producer-", "");
    }

    @Story static void aLongTransactionGoesOverSegments() throws Exception {
        String t = topic(1, "segment.bytes", "1048576");
        String pad = "x".repeat(10_000);
        List<String> want = new ArrayList<>();
        try (KafkaProducer<String, String> kept = begun(id()); KafkaProducer<String, String> lost = begun(id())) {
            for (int i = 0; i < 300; i++) {
                kept.send(new ProducerRecord<>(t, 0, null, "k" + i + pad));
                lost.send(new ProducerRecord<>(t, 0, null, "l" + i + pad));
                want.add("k" + i + pad);
                if (i % 30 == 0) { kept.flush(); lost.flush(); }
            }
            kept.flush();
            lost.flush();
            equal(committed(t), List.of(), "before the end");
            kept.commitTransaction();
            lost.abortTransaction();
            until("it is seen", () -> committed(t).size() == 300);
            check(committed(t).equals(want), "every record once and in order");
            equal(uncommitted(t).size(), 600, "uncommitted");
        }
    }

    @Story static void smallTransactionsBackToBack() throws Exception {
        String t = topic(3);
        List<String> want = new ArrayList<>();
        try (KafkaProducer<String, String> p = producer(id())) {
            p.initTransactions();
            for (int i = 0; i < 300; i++) {
                p.beginTransaction();
                p.send(new ProducerRecord<>(t, i % 3, null, "" + i));
                if (i % 10 == 9) p.abortTransaction(); else p.commitTransaction();
                if (i % 10 != 9) want.add("" + i);
            }
            until("all are seen", () -> committed(t).size() == want.size());
            equal(new TreeSet<>(committed(t)), new TreeSet<>(want), "each once");
            double retries = p.metrics().entrySet().stream().filter(e -> e.getKey().name().equals("record-retry-total") && e.getKey().group().equals("producer-metrics"))
                .mapToDouble(e -> (Double) e.getValue().metricValue()).sum();
            // Apache Kafka has the client come again while markers are written.
            check(KAFKA || retries == 0, retries + " records were sent again");
        }
    }

    @Story static void nothingIsAnEmptyTransaction() throws Exception {
        String t = topic(1);
        try (KafkaProducer<String, String> p = producer(id())) {
            p.initTransactions();
            for (int i = 0; i < 20; i++) {
                p.beginTransaction();
                if (i % 2 == 0) p.commitTransaction(); else p.abortTransaction();
            }
            p.beginTransaction();
            send(p, t, 0, "1");
            p.commitTransaction();
            until("it is seen", () -> committed(t).equals(List.of("1")));
        }
    }

    @Story static void anotherProducerOfTheSameIdFences() throws Exception {
        String t = topic(1), id = id();
        KafkaProducer<String, String> old = begun(id);
        send(old, t, 0, "old");
        try (KafkaProducer<String, String> fresh = begun(id)) {
            send(fresh, t, 0, "new");
            fails(() -> { send(old, t, 0, "late"); old.commitTransaction(); return null; },
                ProducerFencedException.class, InvalidProducerEpochException.class);
            fails(() -> { old.commitTransaction(); return null; }, ProducerFencedException.class, InvalidProducerEpochException.class, KafkaException.class);
            fresh.commitTransaction();
            until("it is seen", () -> committed(t).equals(List.of("new")));
            check(!uncommitted(t).contains("late"), "a fenced producer writes nothing");
        }
        die(old);
    }

    @Story static void whoDiesIsTakenUpByTheNextOfItsId() throws Exception {
        String t = topic(2), id = id();
        KafkaProducer<String, String> dies = begun(id);
        send(dies, t, 0, "1");
        send(dies, t, 1, "2");
        die(dies);
        try (KafkaProducer<String, String> next = begun(id)) {
            send(next, t, 0, "3");
            next.commitTransaction();
            until("it is seen", () -> committed(t).equals(List.of("3")));
            equal(uncommitted(t), List.of("1", "3", "2"), "uncommitted");
        }
    }

    @Story static void whatTakesTooLongIsAborted() throws Exception {
        String t = topic(1), id = id();
        try (KafkaProducer<String, String> slow = begun(id, "transaction.timeout.ms", "1000"); KafkaProducer<String, String> plain = producer(null)) {
            send(slow, t, 0, "slow");
            send(plain, t, 0, "plain");
            equal(committed(t), List.of(), "it is open");
            until("the coordinator aborts it", () -> committed(t).equals(List.of("plain")));
            untilState(id, TransactionState.COMPLETE_ABORT);
            fails(() -> { slow.commitTransaction(); return null; }, InvalidProducerEpochException.class, ProducerFencedException.class, InvalidTxnStateException.class);
        }
    }

    @Story static void aTimeoutThatIsTooLongIsRefused() throws Exception {
        try (KafkaProducer<String, String> p = producer(id(), "transaction.timeout.ms", "900001", "delivery.timeout.ms", "900000")) {
            Throwable got = failure(() -> { p.initTransactions(); return null; });
            check(got.getMessage().contains("larger than the maximum value allowed"), "refused for " + got);
        }
    }

    @Story static void aTopicIsDeletedMeanwhile() throws Exception {
        String gone = topic(1), kept = topic(1), id = id();
        try (KafkaProducer<String, String> p = begun(id)) {
            send(p, gone, 0, "1");
            send(p, kept, 0, "2");
            admin.deleteTopics(List.of(gone)).all().get();
            p.commitTransaction();
            until("the rest is seen", () -> committed(kept).equals(List.of("2")));
            untilState(id, TransactionState.COMPLETE_COMMIT);
        }
    }

    @Story static void offsetsAreCommittedWithWhatCameOfThem() throws Exception {
        String in = topic(1), out = topic(1), group = id();
        TopicPartition from = new TopicPartition(in, 0);
        try (KafkaProducer<String, String> plain = producer(null)) { send(plain, in, 0, "1", "2", "3", "4"); }
        try (KafkaProducer<String, String> p = producer(id());
             KafkaConsumer<String, String> c = consumer("read_committed", "group.id", group, "max.poll.records", "2")) {
            p.initTransactions();
            c.subscribe(List.of(in));
            List<ConsumerRecord<String, String>> first = poll(c, 2);
            p.beginTransaction();
            for (ConsumerRecord<String, String> r : first) p.send(new ProducerRecord<>(out, 0, null, "lost" + r.value()));
            p.sendOffsetsToTransaction(Map.of(from, new OffsetAndMetadata(2)), c.groupMetadata());
            p.abortTransaction();
            equal(offset(group, from), null, "after an abort");
            p.beginTransaction();
            for (ConsumerRecord<String, String> r : first) p.send(new ProducerRecord<>(out, 0, null, "kept" + r.value()));
            p.sendOffsetsToTransaction(Map.of(from, new OffsetAndMetadata(2, "said")), c.groupMetadata());
            equal(offset(group, from), null, "before the end");
            p.commitTransaction();
            until("the offset is there", () -> Objects.equals(offset(group, from), 2L));
            until("records, too", () -> committed(out).equals(List.of("kept1", "kept2")));
            equal(c.committed(Set.of(from)).get(from).metadata(), "said", "metadata");
            poll(c, 2);
            p.beginTransaction();
            p.sendOffsetsToTransaction(Map.of(from, new OffsetAndMetadata(4)), c.groupMetadata());
            p.commitTransaction();
            until("the offset is there", () -> Objects.equals(offset(group, from), 4L));
        }
    }

    @Story static void offsetsOfAMemberThatIsNoneAreRefused() throws Exception {
        String in = topic(1), group = id();
        TopicPartition from = new TopicPartition(in, 0);
        try (KafkaProducer<String, String> plain = producer(null)) { send(plain, in, 0, "1"); }
        try (KafkaProducer<String, String> p = begun(id()); KafkaConsumer<String, String> c = consumer("read_committed", "group.id", group)) {
            c.subscribe(List.of(in));
            poll(c, 1);
            ConsumerGroupMetadata was = c.groupMetadata();
            c.unsubscribe();
            c.subscribe(List.of(in));
            until("it has joined again", () -> { c.poll(Duration.ofMillis(50)); return c.groupMetadata().generationId() > was.generationId(); });
            fails(() -> { p.sendOffsetsToTransaction(Map.of(from, new OffsetAndMetadata(1)), was); return null; }, CommitFailedException.class);
            p.abortTransaction();
            p.beginTransaction();
            p.sendOffsetsToTransaction(Map.of(from, new OffsetAndMetadata(1)), c.groupMetadata());
            p.commitTransaction();
            until("the offset is there", () -> Objects.equals(offset(group, from), 1L));
        }
    }

    static List<ConsumerRecord<String, String>> poll(KafkaConsumer<String, String> c, int n) {
        List<ConsumerRecord<String, String>> all = new ArrayList<>();
        long end = System.nanoTime() + 30_000_000_000L;
        while (all.size() < n && System.nanoTime() < end) c.poll(Duration.ofMillis(100)).forEach(all::add);
        equal(all.size(), n, "records");
        return all;
    }

    static Long offset(String group, TopicPartition p) throws Exception {
        OffsetAndMetadata o = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(p);
        return o == null ? null : o.offset();
    }

    @Story static void whoFollowsAlongSeesEachTransactionWhole() throws Exception {
        String t = topic(1);
        int rounds = 60, each = 5;
        try (KafkaConsumer<String, String> c = consumer("read_committed"); KafkaProducer<String, String> p = producer(id()); KafkaProducer<String, String> q = producer(id())) {
            c.assign(List.of(new TopicPartition(t, 0)));
            p.initTransactions();
            q.initTransactions();
            Thread writer = new Thread(() -> {
                for (int i = 0; i < rounds; i++) {
                    p.beginTransaction();
                    q.beginTransaction();
                    for (int k = 0; k < each; k++) {
                        p.send(new ProducerRecord<>(t, 0, null, "p" + i));
                        q.send(new ProducerRecord<>(t, 0, null, "q" + i));
                    }
                    if (i % 3 == 0) q.abortTransaction(); else q.commitTransaction();
                    p.commitTransaction();
                }
            });
            writer.start();
            Map<String, Integer> seen = new TreeMap<>();
            int want = rounds * each + (rounds - rounds / 3) * each;
            long end = System.nanoTime() + 60_000_000_000L;
            while (seen.values().stream().mapToInt(i -> i).sum() < want && System.nanoTime() < end)
                for (ConsumerRecord<String, String> r : c.poll(Duration.ofMillis(100))) seen.merge(r.value(), 1, Integer::sum);
            writer.join();
            check(seen.values().stream().allMatch(n -> n == each), "each whole: " + seen);
            equal(seen.size(), rounds + rounds - rounds / 3, "transactions");
        }
    }

    // ---- what an operator asks -----------------------------------------------------------------

    @Story static void anOperatorSeesTransactions() throws Exception {
        String t = topic(2), id = id();
        long before = System.currentTimeMillis();
        try (KafkaProducer<String, String> p = begun(id, "transaction.timeout.ms", "50000")) {
            TransactionDescription empty = described(id);
            equal(empty.state(), TransactionState.EMPTY, "state before the first record");
            equal(empty.topicPartitions(), Set.of(), "its partitions");
            equal(empty.transactionStartTimeMs(), OptionalLong.empty(), "it has not begun");
            send(p, t, 0, "1");
            send(p, t, 1, "2", "3");
            TransactionDescription open = described(id);
            equal(open.state(), TransactionState.ONGOING, "state");
            equal(open.coordinatorId(), 1, "coordinator");
            equal(open.transactionTimeoutMs(), 50000L, "timeout");
            equal(open.topicPartitions(), Set.copyOf(partitions(t)), "partitions");
            equal(open.producerId(), empty.producerId(), "producer");
            equal(open.producerEpoch(), empty.producerEpoch(), "epoch");
            long start = open.transactionStartTimeMs().getAsLong();
            check(start >= before && start <= System.currentTimeMillis(), "start at " + start);

            Map<TopicPartition, DescribeProducersResult.PartitionProducerState> producers =
                admin.describeProducers(partitions(t)).all().get();
            ProducerState one = producers.get(new TopicPartition(t, 1)).activeProducers().get(0);
            equal(one.producerId(), open.producerId(), "producer");
            equal(one.producerEpoch(), open.producerEpoch(), "epoch");
            equal(one.lastSequence(), 1, "sequence");
            equal(one.currentTransactionStartOffset(), OptionalLong.of(0), "where it began");
            p.commitTransaction();
            untilState(id, TransactionState.COMPLETE_COMMIT);
            TransactionDescription done = described(id);
            equal(done.topicPartitions(), Set.of(), "partitions after the end");
            equal(done.producerEpoch(), version >= 2 ? open.producerEpoch() + 1 : open.producerEpoch(), "epoch after the end");
            one = admin.describeProducers(partitions(t)).all().get().get(new TopicPartition(t, 1)).activeProducers().get(0);
            equal(one.currentTransactionStartOffset(), OptionalLong.empty(), "none is open");
            check(one.coordinatorEpoch().isPresent(), "a marker names its coordinator");
        }
        fails(() -> described("absent" + RUN), TransactionalIdNotFoundException.class);
    }

    static Map<String, TransactionState> listed(ListTransactionsOptions options) throws Exception {
        return admin.listTransactions(options).all().get().stream()
            .filter(l -> l.transactionalId().contains(RUN))
            .collect(Collectors.toMap(TransactionListing::transactionalId, TransactionListing::state));
    }

    @Story static void anOperatorListsTransactions() throws Exception {
        String t = topic(1), open = "list-open-" + id(), done = "list-done-" + id();
        try (KafkaProducer<String, String> p = begun(open); KafkaProducer<String, String> q = begun(done)) {
            send(p, t, 0, "1");
            send(q, t, 0, "2");
            q.commitTransaction();
            untilState(done, TransactionState.COMPLETE_COMMIT);
            Map<String, TransactionState> all = listed(new ListTransactionsOptions());
            equal(all.get(open), TransactionState.ONGOING, "open");
            equal(all.get(done), TransactionState.COMPLETE_COMMIT, "done");
            Map<String, TransactionState> ongoing = listed(new ListTransactionsOptions().filterStates(List.of(TransactionState.ONGOING)));
            check(ongoing.containsKey(open) && !ongoing.containsKey(done), "by state: " + ongoing);
            long producer = described(done).producerId();
            equal(listed(new ListTransactionsOptions().filterProducerIds(List.of(producer))).keySet(), Set.of(done), "by producer");
            equal(listed(new ListTransactionsOptions().filterOnDuration(3_600_000)).containsKey(open), false, "by duration");
            until("it is open for long", () -> listed(new ListTransactionsOptions().filterOnDuration(100)).containsKey(open));
            equal(listed(new ListTransactionsOptions().filterOnTransactionalIdPattern("list-open-.*")).keySet(), Set.of(open), "by pattern");
            equal(listed(new ListTransactionsOptions().filterOnTransactionalIdPattern("list-open-")).keySet(), Set.of(), "a pattern is of the whole id");
            fails(() -> listed(new ListTransactionsOptions().filterOnTransactionalIdPattern("(")), InvalidRegularExpression.class);
            p.abortTransaction();
        }
    }

    @Story static void anOperatorFencesProducers() throws Exception {
        String t = topic(1), id = id();
        KafkaProducer<String, String> p = begun(id);
        send(p, t, 0, "1");
        FenceProducersResult fenced = admin.fenceProducers(List.of(id));
        fenced.all().get();
        check(fenced.epochId(id).get() > 0, "epoch " + fenced.epochId(id).get());
        fails(() -> { p.commitTransaction(); return null; }, ProducerFencedException.class, InvalidProducerEpochException.class);
        die(p);
        until("it is aborted", () -> described(id).state() == TransactionState.EMPTY || described(id).state() == TransactionState.COMPLETE_ABORT);
        equal(committed(t), List.of(), "nothing is seen");
    }

    @Story static void anOperatorAbortsAPartition() throws Exception {
        String t = topic(1), id = id();
        KafkaProducer<String, String> p = begun(id);
        send(p, t, 0, "1");
        TopicPartition at = new TopicPartition(t, 0);
        ProducerState one = admin.describeProducers(List.of(at)).all().get().get(at).activeProducers().get(0);
        admin.abortTransaction(new AbortTransactionSpec(at, one.producerId(), (short) one.producerEpoch(), one.coordinatorEpoch().orElse(0))).all().get();
        until("it is aborted", () -> admin.describeProducers(List.of(at)).all().get().get(at).activeProducers().get(0).currentTransactionStartOffset().isEmpty());
        try (KafkaProducer<String, String> plain = producer(null)) { send(plain, t, 0, "2"); }
        until("what came later is seen", () -> committed(t).equals(List.of("2")));
        die(p);
    }

    @Story static void anOperatorTerminatesATransaction() throws Exception {
        String t = topic(1), id = id();
        KafkaProducer<String, String> p = begun(id);
        send(p, t, 0, "1");
        admin.forceTerminateTransaction(id).result().get();
        fails(() -> { p.commitTransaction(); return null; }, ProducerFencedException.class, InvalidProducerEpochException.class);
        die(p);
        until("it is aborted", () -> described(id).state() == TransactionState.EMPTY || described(id).state() == TransactionState.COMPLETE_ABORT);
        equal(committed(t), List.of(), "nothing is seen");
    }
}
