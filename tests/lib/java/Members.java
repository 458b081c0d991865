import java.io.*;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Members of groups, each on a thread of its own, in one process.
 *
 * Usage: Members BOOTSTRAP, and then commands, one a line, each answered with one line:
 * `open NAME PROTOCOL GROUP TOPIC,TOPIC.. [KEY=VALUE..]` makes a consumer that polls from now on: `opened`;
 * `settled PARTITIONS NAME,NAME..` waits until these have so many partitions together, nobody one that another has, and no one two more than another: `settled MS`;
 * `commit NAME` has it commit what it has read: `committed`; `id NAME`: `id MEMBERID`; `epoch NAME`: `epoch GENERATION`;
 * `read NAME,NAME..`: `read DISTINCT ALL`, of the records that came to these; `missing TOPIC NAME,..`: how many of
 * the topic's records came to none of these: `missing N`; `moved NAME,NAME..`: how many partitions were given back and lost so far: `moved REVOKED LOST`;
 * `close NAME,NAME..`: `closed`; `leave NAME,NAME..`: `closed`, static members for good. What goes wrong is answered with `wrong` and why.
 */
public class Members {
    static class Member implements ConsumerRebalanceListener {
        final KafkaConsumer<byte[], byte[]> consumer;
        final Thread thread = new Thread(this::run);
        final Set<TopicPartition> has = ConcurrentHashMap.newKeySet();
        final Queue<String> seen = new ConcurrentLinkedQueue<>();
        final SynchronousQueue<Callable<String>> asked = new SynchronousQueue<>();
        final BlockingQueue<String> answers = new LinkedBlockingQueue<>();
        volatile long changed = System.nanoTime();
        volatile int revoked, lost;
        volatile String id;
        volatile int epoch;
        volatile Throwable failure;
        volatile CloseOptions ending;

        Member(Map<String, Object> config, List<String> topics) {
            consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
            consumer.subscribe(topics, this);
            thread.setDaemon(true);
            thread.start();
        }

        void run() {
            try {
                while (ending == null) {
                    for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(100))) seen.add(r.topic() + "-" + r.partition() + "@" + r.offset());
                    ConsumerGroupMetadata now = consumer.groupMetadata();
                    id = now.memberId();
                    epoch = now.generationId();
                    Callable<String> work = asked.poll();
                    if (work != null) answers.add(work.call());
                }
            } catch (Throwable t) {
                failure = t;
            } finally {
                try { consumer.close(ending == null ? CloseOptions.timeout(Duration.ZERO) : ending); } catch (Throwable t) { failure = t; }
            }
        }

        void now() { changed = System.nanoTime(); }

        @Override public void onPartitionsAssigned(Collection<TopicPartition> p) { has.addAll(p); now(); }
        @Override public void onPartitionsRevoked(Collection<TopicPartition> p) { has.removeAll(p); revoked += p.size(); now(); }
        @Override public void onPartitionsLost(Collection<TopicPartition> p) { has.removeAll(p); lost += p.size(); now(); }

        String ask(Callable<String> work) throws Exception {
            if (!asked.offer(work, 30, TimeUnit.SECONDS)) throw new IllegalStateException("it does not poll: " + failure);
            return answers.poll(30, TimeUnit.SECONDS);
        }

    }

    static void end(String names, CloseOptions how) throws Exception {
        for (Member m : named(names)) m.ending = how;
        for (Member m : named(names)) {
            m.thread.join(60_000);
            if (m.thread.isAlive()) throw new IllegalStateException("it does not end");
        }
    }

    static final Map<String, Member> members = new LinkedHashMap<>();

    static List<Member> named(String names) { return Arrays.stream(names.split(",")).map(members::get).collect(Collectors.toList()); }

    static String settled(int partitions, List<Member> all) throws Exception {
        long end = System.nanoTime() + 120_000_000_000L;
        while (true) {
            Set<TopicPartition> union = new HashSet<>();
            int sum = 0, least = Integer.MAX_VALUE, most = 0;
            for (Member m : all) {
                if (m.failure != null) throw new IllegalStateException("a member failed: " + m.failure);
                int n = m.has.size();
                union.addAll(m.has);
                sum += n;
                least = Math.min(least, n);
                most = Math.max(most, n);
            }
            if (union.size() == partitions && sum == partitions && most - least <= 1) break;
            if (System.nanoTime() > end) throw new IllegalStateException("never: " + union.size() + " of " + partitions + " partitions, " + sum + " times, " + least + " to " + most + " each");
            Thread.sleep(2);
        }
        return "settled " + System.currentTimeMillis();
    }

    static String answer(String bootstrap, String[] words) throws Exception {
        switch (words[0]) {
            case "open" -> {
                Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "group.protocol", words[2], "group.id", words[3],
                    "auto.offset.reset", "earliest", "metadata.max.age.ms", "2000", "client.id", words[1]));
                for (int i = 5; i < words.length; i++) config.put(words[i].split("=", 2)[0], words[i].split("=", 2)[1]);
                members.put(words[1], new Member(config, List.of(words[4].split(","))));
                return "opened";
            }
            case "settled" -> { return settled(Integer.parseInt(words[1]), named(words[2])); }
            case "commit" -> { Member m = members.get(words[1]); return m.ask(() -> { m.consumer.commitSync(); return "committed"; }); }
            case "id" -> { return "id " + members.get(words[1]).id; }
            case "epoch" -> { return "epoch " + members.get(words[1]).epoch; }
            case "read" -> {
                List<String> all = named(words[1]).stream().flatMap(m -> m.seen.stream()).collect(Collectors.toList());
                return "read " + new HashSet<>(all).size() + " " + all.size();
            }
            case "missing" -> {
                Set<String> all = named(words[2]).stream().flatMap(m -> m.seen.stream()).collect(Collectors.toSet());
                long missing = 0;
                try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(Map.of("bootstrap.servers", bootstrap), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
                    List<TopicPartition> partitions = c.partitionsFor(words[1]).stream().map(p -> new TopicPartition(words[1], p.partition())).collect(Collectors.toList());
                    for (Map.Entry<TopicPartition, Long> end : c.endOffsets(partitions).entrySet())
                        for (long i = 0; i < end.getValue(); i++) if (!all.contains(end.getKey() + "@" + i)) missing++;
                }
                return "missing " + missing;
            }
            case "moved" -> {
                return "moved " + named(words[1]).stream().mapToInt(m -> m.revoked).sum() + " " + named(words[1]).stream().mapToInt(m -> m.lost).sum();
            }
            case "close" -> { end(words[1], CloseOptions.timeout(Duration.ofSeconds(30))); return "closed"; }
            case "leave" -> {
                end(words[1], CloseOptions.groupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP).withTimeout(Duration.ofSeconds(30)));
                return "closed";
            }
            default -> throw new IllegalArgumentException("unknown command " + words[0]);
        }
    }

    public static void main(String[] args) throws Exception {
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = commands.readLine()) != null; ) {
            String answer;
            try {
                answer = answer(args[0], line.split(" "));
            } catch (Exception e) {
                answer = "wrong " + String.valueOf(e).replace('\n', ' ');
            }
            System.out.println(answer);
        }
        System.exit(0);
    }
}
