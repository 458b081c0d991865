import java.io.FileOutputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.atomic.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/**
 * Moves amounts between accounts in transactions while others break the cluster and these programs, and reads along.
 *
 * usage: Transfer BOOTSTRAP TOPIC work NAME PRODUCERS SECONDS FILE
 *        Transfer BOOTSTRAP TOPIC read FILE...
 *
 * `work` runs producers of the transactional ids NAME-0.. A transfer takes an amount from one account and gives it to another, one
 * record each, in the partitions of the accounts. FILE is told what became of each: "c ID" where a commit was acknowledged, "a ID" where it was
 * aborted; a line that is missing says that nobody knows. Some producers go without a word in the middle of a transaction, and another one of
 * the same id takes over.
 *
 * `read` reads committed records until its input ends, and then to the end: "verified N transfers" if each is there whole or not at all, each
 * acknowledged one once, and none that was aborted; the total is then what it was at every commit.
 */
public class Transfer {
    static final int ACCOUNTS = 100;

    public static void main(String[] args) throws Exception {
        List<String> rest = Arrays.asList(args).subList(3, args.length);
        switch (args[2]) {
            case "work" -> work(args[0], args[1], rest.get(0), Integer.parseInt(rest.get(1)), Integer.parseInt(rest.get(2)), rest.get(3));
            case "read" -> System.exit(read(args[0], args[1], rest) ? 0 : 1);
            default -> throw new IllegalArgumentException(args[2]);
        }
    }

    // ---- writing -------------------------------------------------------------------------------

    static void work(String bootstrap, String topic, String name, int producers, int seconds, String file) throws Exception {
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        OutputStream out = new FileOutputStream(file, true);
        AtomicInteger committed = new AtomicInteger(), aborted = new AtomicInteger(), died = new AtomicInteger(), failed = new AtomicInteger();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < producers; i++) {
            String id = name + "-" + i;
            Thread thread = new Thread(() -> {
                Random random = new Random(id.hashCode() ^ System.nanoTime());
                while (System.nanoTime() < end) {
                    try {
                        life(bootstrap, topic, id, end, random, out, committed, aborted, died);
                    } catch (Exception e) {
                        // Fenced by its own successor or by a timeout, or nobody answered: another one takes over.
                        failed.incrementAndGet();
                        System.out.println("# " + id + ": " + e);
                    }
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) thread.join();
        System.out.printf("worked committed=%d aborted=%d died=%d failed=%d%n", committed.get(), aborted.get(), died.get(), failed.get());
    }

    static synchronized void tell(OutputStream out, String line) throws Exception {
        out.write((line + "\n").getBytes(StandardCharsets.UTF_8));
        out.flush();
    }

    /** One producer, until its end. */
    static void life(String bootstrap, String topic, String id, long end, Random random, OutputStream out, AtomicInteger committed, AtomicInteger aborted, AtomicInteger died) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "transactional.id", id, "transaction.timeout.ms", "15000",
            "max.block.ms", "60000", "delivery.timeout.ms", "60000", "request.timeout.ms", "10000");
        KafkaProducer<String, String> producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
        boolean leaves = false;
        try {
            producer.initTransactions();
            int partitions = producer.partitionsFor(topic).size();
            while (System.nanoTime() < end) {
                String transfer = id + "/" + Long.toString(System.nanoTime(), 36) + Integer.toString(random.nextInt(1 << 20), 36);
                int from = random.nextInt(ACCOUNTS), to = (from + 1 + random.nextInt(ACCOUNTS - 1)) % ACCOUNTS, amount = 1 + random.nextInt(1000);
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(topic, from % partitions, transfer, "-" + amount));
                if (random.nextInt(200) == 0) {
                    producer.flush();
                    tell(out, "a " + transfer);
                    died.incrementAndGet();
                    leaves = true;
                    return;
                }
                producer.send(new ProducerRecord<>(topic, to % partitions, transfer, "+" + amount));
                boolean commits = random.nextInt(10) != 0;
                try {
                    if (commits) producer.commitTransaction(); else producer.abortTransaction();
                    tell(out, (commits ? "c " : "a ") + transfer);
                    (commits ? committed : aborted).incrementAndGet();
                } catch (ProducerFencedException | InvalidProducerEpochException e) {
                    throw e;
                } catch (TimeoutException e) {
                    // Nobody knows: it may be asked again for a long time, or left to the next one of this id.
                    leaves = true;
                    throw e;
                } catch (KafkaException e) {
                    producer.abortTransaction();
                    tell(out, "a " + transfer);
                    aborted.incrementAndGet();
                }
            }
        } finally {
            producer.close(leaves ? Duration.ZERO : Duration.ofSeconds(20));
        }
    }

    // ---- reading -------------------------------------------------------------------------------

    static boolean read(String bootstrap, String topic, List<String> files) throws Exception {
        AtomicBoolean enough = new AtomicBoolean();
        Thread listener = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {}
            } catch (java.io.IOException e) {
                // As good as its end.
            }
            enough.set(true);
        });
        listener.setDaemon(true);
        listener.start();
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "isolation.level", "read_committed", "auto.offset.reset", "earliest", "enable.auto.commit", "false");
        List<String> wrong = new ArrayList<>();
        // Of each transfer what was seen: how many records, and their sum.
        Map<String, int[]> seen = new HashMap<>();
        try (KafkaConsumer<String, String> c = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
             KafkaConsumer<String, String> all = new KafkaConsumer<>(Map.of("bootstrap.servers", bootstrap), new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> partitions = c.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
            c.assign(partitions);
            c.seekToBeginning(partitions);
            Map<TopicPartition, Long> at = new HashMap<>();
            long give = 0;
            while (true) {
                for (ConsumerRecord<String, String> r : c.poll(Duration.ofMillis(200))) {
                    TopicPartition p = new TopicPartition(r.topic(), r.partition());
                    if (at.getOrDefault(p, -1L) >= r.offset()) wrong.add("offset " + r.offset() + " of " + p + " came after " + at.get(p));
                    at.put(p, r.offset());
                    int[] s = seen.computeIfAbsent(r.key(), k -> new int[2]);
                    s[0]++;
                    s[1] += Integer.parseInt(r.value());
                    if (s[0] > 2 || (s[0] == 2 && s[1] != 0)) wrong.add("transfer " + r.key() + " is there with " + s[0] + " records and " + s[1]);
                }
                if (!enough.get()) continue;
                if (give == 0) give = System.nanoTime() + 90_000_000_000L;
                // What is open must end: nothing is hidden for ever.
                Map<TopicPartition, Long> ends = all.endOffsets(partitions);
                if (partitions.stream().allMatch(p -> c.position(p) >= ends.get(p))) break;
                if (System.nanoTime() > give) {
                    wrong.add("what follows is hidden for ever: " + partitions.stream().map(p -> p + " at " + c.position(p) + " of " + ends.get(p)).toList());
                    break;
                }
            }
        }
        long total = 0;
        for (var e : seen.entrySet()) {
            total += e.getValue()[1];
            if (e.getValue()[0] != 2) wrong.add("transfer " + e.getKey() + " is there by half");
        }
        if (total != 0) wrong.add("the total changed by " + total);
        int acknowledged = 0;
        for (String file : files) {
            if (!Files.exists(Path.of(file))) continue;
            for (String line : Files.readAllLines(Path.of(file))) {
                if (line.length() < 3) continue;
                boolean there = seen.containsKey(line.substring(2));
                if (line.startsWith("c ")) {
                    acknowledged++;
                    if (!there) wrong.add("lost: " + line);
                } else if (there) wrong.add("aborted, and there: " + line);
            }
        }
        for (String line : wrong.subList(0, Math.min(10, wrong.size()))) System.out.println("wrong: " + line);
        System.out.println((wrong.isEmpty() ? "verified " : "not verified, " + wrong.size() + " wrong of ") + seen.size() + " transfers, acknowledged " + acknowledged);
        return wrong.isEmpty();
    }
}
