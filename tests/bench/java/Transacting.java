import java.util.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;

/**
 * Producers that commit one transaction after the other.
 * usage: Transacting BOOTSTRAP TOPIC PREFIX PRODUCERS RECORDS SECONDS
 * Each transaction has RECORDS records of 100 bytes, over all partitions. Prints `transacted rate=.. p50=.. p99=..` with times in ms.
 */
public class Transacting {
    public static void main(String[] args) throws Exception {
        String bootstrap = args[0], topic = args[1], prefix = args[2];
        int producers = Integer.parseInt(args[3]), records = Integer.parseInt(args[4]), seconds = Integer.parseInt(args[5]);
        List<Long> times = Collections.synchronizedList(new ArrayList<>());
        List<Thread> threads = new ArrayList<>();
        List<Throwable> wrong = Collections.synchronizedList(new ArrayList<>());
        for (int i = 0; i < producers; i++) {
            String id = prefix + i;
            Thread thread = new Thread(() -> {
                Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "transactional.id", id, "linger.ms", "0");
                try (KafkaProducer<byte[], byte[]> p = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
                    p.initTransactions();
                    int partitions = p.partitionsFor(topic).size();
                    byte[] value = new byte[100];
                    long n = 0, end = System.nanoTime() + seconds * 1_000_000_000L;
                    while (System.nanoTime() < end) {
                        long begun = System.nanoTime();
                        p.beginTransaction();
                        for (int k = 0; k < records; k++) p.send(new ProducerRecord<>(topic, (int) (n++ % partitions), null, value));
                        p.commitTransaction();
                        times.add(System.nanoTime() - begun);
                    }
                } catch (Throwable t) {
                    wrong.add(t);
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) thread.join();
        if (!wrong.isEmpty()) throw new AssertionError(wrong.get(0));
        long[] sorted = times.stream().mapToLong(t -> t).sorted().toArray();
        System.out.printf(Locale.ROOT, "transacted rate=%.1f p50=%.3f p99=%.3f%n", sorted.length / (double) seconds, sorted[sorted.length / 2] / 1e6, sorted[(int) (sorted.length * 0.99)] / 1e6);
    }
}
