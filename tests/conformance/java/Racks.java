import java.io.*;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Consumers of the first partition of a topic that live in racks, and which brokers they get their records from.
 *
 * Usage: Racks BOOTSTRAP TOPIC, and then commands, one a line:
 * `open NAME PROTOCOL RACK` makes a consumer, `-` is no rack, and answers `opened`;
 * `read NAME FROM COUNT` polls until it has so many records more, whose values begin with the numbers from FROM on, and answers
 * `read COUNT ID=BYTES ..`: what came from each broker since it read last. What goes wrong is answered with `wrong` and why.
 */
public class Racks {
    /** How long a consumer may take for its records. */
    static final Duration PATIENCE = Duration.ofSeconds(40);

    record Reader(KafkaConsumer<String, String> consumer, Map<Integer, Double> before) {}

    /** Bytes that came from each broker so far. */
    static Map<Integer, Double> bytes(KafkaConsumer<?, ?> consumer) {
        Map<Integer, Double> found = new TreeMap<>();
        for (Metric metric : consumer.metrics().values()) {
            MetricName name = metric.metricName();
            if (!name.group().equals("consumer-node-metrics") || !name.name().equals("incoming-byte-total")) continue;
            // "node-3"; the first addresses have negative numbers, and connections to coordinators large ones.
            int id = Integer.parseInt(name.tags().get("node-id").substring("node-".length()));
            if (id > 0 && id < 1000) found.put(id, (Double) metric.metricValue());
        }
        return found;
    }

    static String read(Reader reader, int from, int count) {
        long end = System.nanoTime() + PATIENCE.toNanos();
        int next = from;
        while (next < from + count) {
            if (System.nanoTime() > end) throw new IllegalStateException("has only what is before " + next);
            for (ConsumerRecord<String, String> record : reader.consumer.poll(Duration.ofMillis(100))) {
                int number = Integer.parseInt(record.value().substring(0, record.value().indexOf(' ')));
                if (number != next) throw new IllegalStateException("got " + number + " for " + next);
                next++;
            }
        }
        StringBuilder answer = new StringBuilder("read " + (next - from));
        bytes(reader.consumer).forEach((id, now) -> {
            Double before = reader.before.put(id, now);
            answer.append(" ").append(id).append("=").append((long) (now - (before == null ? 0 : before)));
        });
        return answer.toString();
    }

    public static void main(String[] args) throws Exception {
        Map<String, Reader> readers = new HashMap<>();
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = commands.readLine()) != null; ) {
            String[] words = line.split(" ");
            String answer;
            try {
                if (words[0].equals("open")) {
                    Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", args[0], "group.protocol", words[2],
                        "enable.auto.commit", "false", "auto.offset.reset", "earliest", "metadata.max.age.ms", "2000", "client.id", words[1]));
                    if (!words[3].equals("-")) config.put("client.rack", words[3]);
                    KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
                    consumer.assign(List.of(new TopicPartition(args[1], 0)));
                    consumer.seekToBeginning(consumer.assignment());
                    readers.put(words[1], new Reader(consumer, new HashMap<>()));
                    answer = "opened";
                } else {
                    answer = read(readers.get(words[1]), Integer.parseInt(words[2]), Integer.parseInt(words[3]));
                }
            } catch (Exception e) {
                answer = "wrong " + e;
            }
            System.out.println(answer);
        }
        for (Reader reader : readers.values()) reader.consumer.close(Duration.ofSeconds(1));
    }
}
