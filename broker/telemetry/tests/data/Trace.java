import java.lang.reflect.*;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.*;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.metrics.Metrics;
import org.apache.kafka.common.network.*;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.requests.*;
import org.apache.kafka.common.security.auth.*;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.server.ClientMetricsManager;
import org.apache.kafka.server.metrics.ClientTelemetryExporterPlugin;

/**
 * Makes trace.tsv: what Kafka's own manager of client telemetry answers to a long random run of
 * subscriptions, requests and disconnects at chosen times. No instance is silent for so long that it
 * expires: that goes by a clock of Kafka's own.
 * usage: java -cp 'KAFKA/libs/*' Trace.java trace.tsv
 */
public class Trace {
    static long now = 1_000_000_000L;

    public static void main(String[] args) throws Exception {
        Time time = (Time) Proxy.newProxyInstance(Trace.class.getClassLoader(), new Class<?>[] {Time.class}, (p, m, a) ->
            switch (m.getName()) {
                case "milliseconds", "hiResClockMs" -> now;
                case "nanoseconds" -> now * 1_000_000;
                case "timer" -> throw new UnsupportedOperationException();
                default -> InvocationHandler.invokeDefault(p, m, a);
            });
        ClientTelemetryExporterPlugin plugin = new ClientTelemetryExporterPlugin();
        plugin.add((org.apache.kafka.server.telemetry.ClientTelemetryReceiver) (context, payload) -> {
            if (payload.data().remaining() == 3) throw new IllegalStateException("not readable");
        });
        ClientMetricsManager manager = new ClientMetricsManager(plugin, 100, time, new Metrics());
        var out = new java.io.PrintStream(args[0]);
        Random r = new Random(714);
        Uuid[] ids = new Uuid[6];
        for (int i = 0; i < ids.length; i++) ids[i] = new Uuid(r.nextLong(), r.nextLong());
        String[] clients = {"app", "app-2", "other"};
        String[][] software = {{"apache-kafka-java", "4.3.1"}, {"librdkafka", "2.6.0"}};
        Map<Uuid, Integer> told = new HashMap<>();
        out.println("#clock\top\targuments\tanswer");
        for (int step = 0; step < 1500; step++) {
            now += switch (r.nextInt(4)) { case 0 -> 0; case 1 -> r.nextInt(100); case 2 -> r.nextInt(1200); default -> r.nextInt(3000); };
            int who = r.nextInt(ids.length);
            Uuid id = ids[who];
            int c = who % clients.length, s = who % software.length;
            String from = who + "\t" + clients[c] + "\t" + software[s][0] + "\t" + software[s][1];
            RequestContext context = context(who, clients[c], software[s]);
            switch (r.nextInt(step < 20 ? 2 : 12)) {
                case 0 -> {
                    String name = "s" + r.nextInt(4);
                    Properties p = new Properties();
                    if (r.nextInt(3) > 0) {
                        p.put("interval.ms", "" + new int[] {100, 1000, 5000, 30000}[r.nextInt(4)]);
                        // One prefix at the most: the order of several is that of Java's hash.
                        if (r.nextInt(3) > 0) p.put("metrics", r.nextInt(3) == 0 ? "*" : "org.apache.kafka.");
                        String[] matches = {"client_id=app", "client_id=app.*,client_software_name=librd.*", "client_instance_id=" + ids[0],
                            "client_source_address=127\\.0\\.0\\.[12]", "client_source_port=4000[0-2]", "client_software_version=4\\..*"};
                        if (r.nextInt(2) > 0) p.put("match", matches[r.nextInt(matches.length)]);
                    }
                    manager.updateSubscription(name, p);
                    out.printf("%d\tset\t%s\t%s\t%s\t%s\n", now, name, p.getProperty("interval.ms", "-"), p.getProperty("metrics", "-"), p.getProperty("match", "-"));
                }
                case 1 -> {
                    manager.connectionDisconnectListener().onDisconnect(context.connectionId());
                    out.printf("%d\tgone\t%d\n", now, who);
                }
                case 2, 3, 4, 5 -> {
                    var a = manager.processGetTelemetrySubscriptionRequest(new GetTelemetrySubscriptionsRequest.Builder(
                        new GetTelemetrySubscriptionsRequestData().setClientInstanceId(id), true).build((short) 0), context).data();
                    if (a.errorCode() == 0) told.put(id, a.subscriptionId());
                    out.printf("%d\tget\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%d\t%b\n", now, from, id, a.errorCode(), a.subscriptionId(),
                        a.pushIntervalMs(), String.join(",", a.requestedMetrics()), a.acceptedCompressionTypes(), a.telemetryMaxBytes(), a.deltaTemporality());
                }
                default -> {
                    Uuid asked = r.nextInt(40) == 0 ? (r.nextBoolean() ? Uuid.ZERO_UUID : Uuid.ONE_UUID) : id;
                    int subscription = r.nextInt(8) == 0 ? r.nextInt() : told.getOrDefault(id, 0);
                    boolean terminating = r.nextInt(8) == 0;
                    byte codec = r.nextInt(10) == 0 ? (byte) new int[] {-1, 5, 9}[r.nextInt(3)] : 0;
                    int size = new int[] {0, 10, 3, 100, 101}[r.nextInt(5)];
                    var a = manager.processPushTelemetryRequest(new PushTelemetryRequest.Builder(new PushTelemetryRequestData()
                        .setClientInstanceId(asked).setSubscriptionId(subscription).setTerminating(terminating).setCompressionType(codec)
                        .setMetrics(ByteBuffer.allocate(size)), true).build((short) 0), context).data();
                    out.printf("%d\tpush\t%s\t%s\t%d\t%b\t%d\t%d\t%d\n", now, from, asked, subscription, terminating, codec, size, a.errorCode());
                }
            }
        }
        out.close();
        System.exit(0);
    }

    static RequestContext context(int who, String client, String[] software) throws Exception {
        return new RequestContext(new RequestHeader(ApiKeys.PUSH_TELEMETRY, (short) 0, client, 0), "connection-" + who,
            InetAddress.getByName("127.0.0." + who), Optional.of(40000 + who), KafkaPrincipal.ANONYMOUS, new ListenerName("PLAINTEXT"),
            SecurityProtocol.PLAINTEXT, new ClientInformation(software[0], software[1]), false);
    }
}
