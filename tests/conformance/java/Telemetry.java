import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;

/**
 * An application whose producer, consumer and admin client push their metrics (KIP-714), until its
 * standard input ends. usage: java Telemetry BOOTSTRAP TOPIC; prints "CLIENT_ID INSTANCE_ID" for each.
 */
public class Telemetry {
    public static void main(String[] args) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", args[0], "enable.metrics.push", "true",
            "group.id", "telemetry", "auto.offset.reset", "earliest", "reconnect.backoff.ms", "50");
        try (var producer = new KafkaProducer<>(with(config, "app-producer"), new StringSerializer(), new StringSerializer());
             var consumer = new KafkaConsumer<>(with(config, "app-consumer"), new StringDeserializer(), new StringDeserializer());
             var admin = Admin.create(with(config, "app-admin"))) {
            consumer.subscribe(List.of(args[1]));
            System.out.println("app-producer " + producer.clientInstanceId(Duration.ofSeconds(30)));
            // This consumer talks to brokers while it polls, so that its id comes with some poll.
            Object id = null;
            for (int i = 0; id == null && i < 600; i++) {
                consumer.poll(Duration.ofMillis(50));
                id = consumer.clientInstanceId(Duration.ofMillis(1));
            }
            System.out.println("app-consumer " + id);
            System.out.println("app-admin " + admin.clientInstanceId(Duration.ofSeconds(30)));
            while (System.in.available() == 0) {
                producer.send(new ProducerRecord<>(args[1], "key", "value")).get();
                consumer.poll(Duration.ofMillis(50));
            }
        }
    }

    static Map<String, Object> with(Map<String, Object> config, String id) {
        Map<String, Object> all = new HashMap<>(config);
        all.put("client.id", id);
        return all;
    }
}
