import java.time.Duration;
import java.util.*;
import java.util.concurrent.atomic.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/**
 * Produces numbered records with acks=all and idempotence at a given rate while others break the cluster, then reads everything
 * back: what was acknowledged must be there exactly once, at the offset that was told, and in order. With
 * -Duntil.told=true the end of standard input ends the load early.
 *
 * usage: Load BOOTSTRAP TOPIC RECORDS RATE BYTES [KEY=VALUE...]       RATE 0 is as fast as it goes; keys are the producer's
 * Prints `acked N` as it goes; at the end `produced ...` with latencies in ms, and `verified N` or what is wrong.
 */
public class Load {
    public static void main(String[] args) throws Exception {
        String bootstrap = args[0], topic = args[1];
        int records = Integer.parseInt(args[2]), rate = Integer.parseInt(args[3]), bytes = Integer.parseInt(args[4]);
        long[] offsets = new long[records];
        int[] latencies = new int[records];
        Arrays.fill(offsets, -1);
        AtomicInteger acked = new AtomicInteger(), failed = new AtomicInteger();
        AtomicReference<String> failure = new AtomicReference<>("");
        AtomicLong lastAck = new AtomicLong(), stall = new AtomicLong();
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("acks", "all");
        p.put("enable.idempotence", "true");
        p.put("delivery.timeout.ms", "180000");
        p.put("max.block.ms", "120000");
        p.put("buffer.memory", "67108864");
        for (String setting : Arrays.asList(args).subList(5, args.length)) {
            p.put(setting.substring(0, setting.indexOf('=')), setting.substring(setting.indexOf('=') + 1));
        }
        int partitions;
        long begun;
        try (Producer<byte[], byte[]> producer = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer())) {
            partitions = producer.partitionsFor(topic).size();
            begun = System.nanoTime();
            lastAck.set(begun);
            Thread progress = new Thread(() -> {
                try {
                    while (true) {
                        System.out.println("acked " + acked.get());
                        Thread.sleep(100);
                    }
                } catch (InterruptedException e) {
                    // The load is done.
                }
            });
            progress.setDaemon(true);
            progress.start();
            AtomicBoolean enough = new AtomicBoolean();
            if (Boolean.getBoolean("until.told")) {
                Thread listener = new Thread(() -> {
                    try {
                        while (System.in.read() >= 0) {
                            // Nothing is told but the end.
                        }
                    } catch (java.io.IOException e) {
                        // As good as its end.
                    }
                    enough.set(true);
                });
                listener.setDaemon(true);
                listener.start();
            }
            for (int i = 0; i < records; i++) {
                if (enough.get()) {
                    records = i;
                    break;
                }
                if (rate > 0) {
                    long due = begun + i * 1_000_000_000L / rate;
                    long left = due - System.nanoTime();
                    if (left > 100_000) {
                        Thread.sleep(left / 1_000_000, (int) (left % 1_000_000));
                    }
                }
                byte[] value = new byte[Math.max(bytes, 4)];
                java.nio.ByteBuffer.wrap(value).putInt(i);
                int n = i;
                long sent = System.nanoTime();
                producer.send(new ProducerRecord<>(topic, i % partitions, null, value), (metadata, error) -> {
                    long now = System.nanoTime();
                    if (error == null) {
                        offsets[n] = metadata.offset();
                        latencies[n] = (int) Math.min(Integer.MAX_VALUE, (now - sent) / 1000);
                        acked.incrementAndGet();
                        stall.accumulateAndGet(now - lastAck.getAndSet(now), Math::max);
                    } else {
                        failed.incrementAndGet();
                        failure.set(error.toString());
                    }
                });
            }
            producer.flush();
            progress.interrupt();
        }
        double seconds = (System.nanoTime() - begun) / 1e9;
        int[] sorted = Arrays.copyOf(latencies, records);
        Arrays.sort(sorted);
        System.out.printf(Locale.ROOT, "produced records=%d acked=%d failed=%d seconds=%.3f rate=%.0f p50=%.3f p99=%.3f p999=%.3f max=%.3f stall=%.3f%n", records,
            acked.get(), failed.get(), seconds, acked.get() / seconds, sorted[records / 2] / 1e3, sorted[(int) (records * 0.99)] / 1e3,
            sorted[(int) (records * 0.999)] / 1e3, sorted[records - 1] / 1e3, stall.get() / 1e6);
        if (failed.get() > 0) {
            System.out.println("last failure " + failure.get());
        }
        verify(bootstrap, topic, partitions, Arrays.copyOf(offsets, records));
    }

    static void verify(String bootstrap, String topic, int partitions, long[] offsets) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("auto.offset.reset", "earliest");
        p.put("fetch.max.bytes", "8388608");
        int[] seen = new int[offsets.length];
        int[] last = new int[partitions];
        Arrays.fill(last, -1);
        List<String> wrong = new ArrayList<>();
        try (Consumer<byte[], byte[]> consumer = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> all = new ArrayList<>();
            for (int i = 0; i < partitions; i++) {
                all.add(new TopicPartition(topic, i));
            }
            consumer.assign(all);
            // A node that slept and wakes up tells, for a moment, where its log ended when it led: all that was acknowledged is read.
            Map<TopicPartition, Long> ends = new HashMap<>(consumer.endOffsets(all));
            for (int n = 0; n < offsets.length; n++) {
                ends.merge(all.get(n % partitions), offsets[n] + 1, Math::max);
            }
            consumer.seekToBeginning(all);
            long deadline = System.nanoTime() + 120_000_000_000L;
            while (all.stream().anyMatch(tp -> consumer.position(tp) < ends.get(tp))) {
                if (System.nanoTime() > deadline) {
                    wrong.add("not all can be read");
                    break;
                }
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(500))) {
                    int n = java.nio.ByteBuffer.wrap(r.value()).getInt();
                    seen[n]++;
                    if (n <= last[r.partition()]) {
                        wrong.add("record " + n + " after " + last[r.partition()] + " at " + r.partition() + ":" + r.offset());
                    }
                    last[r.partition()] = n;
                    if (offsets[n] >= 0 && offsets[n] != r.offset()) {
                        wrong.add("record " + n + " is at " + r.offset() + ", told was " + offsets[n]);
                    }
                }
            }
        }
        int there = 0;
        for (int n = 0; n < seen.length; n++) {
            if (seen[n] > 1) {
                wrong.add("record " + n + " is there " + seen[n] + " times");
            } else if (offsets[n] >= 0 && seen[n] == 0) {
                wrong.add("record " + n + ", acknowledged at " + n % partitions + ":" + offsets[n] + ", is lost");
            }
            there += seen[n] > 0 ? 1 : 0;
        }
        for (String line : wrong.subList(0, Math.min(10, wrong.size()))) {
            System.out.println("wrong: " + line);
        }
        System.out.println((wrong.isEmpty() ? "verified " : "not verified, " + wrong.size() + " wrong of ") + there);
        System.exit(wrong.isEmpty() ? 0 : 1);
    }
}
