import java.io.*;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.stream.*;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.requests.*;

/**
 * Commits of offsets, by groups without members, in requests as Kafka's own client makes them, several under way on each connection.
 *
 * usage: Commits PORT rate TOPIC CONNECTIONS WINDOW SECONDS      one offset a request: prints `rate N`, of requests a second
 *        Commits PORT fill TOPIC GROUPS PARTITIONS               every partition of the topic by each group: prints `filled N SECONDS`
 *        Commits PORT wait GROUP TOPIC PARTITION                 until the group's offset is told: prints `told OFFSET MILLIS`, the time of day
 */
public class Commits {
    static class Connection implements Closeable {
        final Socket socket;
        final DataInputStream in;
        final DataOutputStream out;
        int sent;

        Connection(int port) throws IOException {
            socket = new Socket("127.0.0.1", port);
            socket.setTcpNoDelay(true);
            socket.setSoTimeout(60_000);
            in = new DataInputStream(new BufferedInputStream(socket.getInputStream(), 1 << 16));
            out = new DataOutputStream(new BufferedOutputStream(socket.getOutputStream(), 1 << 16));
        }

        RequestHeader send(AbstractRequest request) throws IOException {
            RequestHeader header = new RequestHeader(request.apiKey(), request.version(), "commits", sent++);
            ByteBuffer body = request.serializeWithHeader(header);
            out.writeInt(body.remaining());
            out.write(body.array(), body.arrayOffset() + body.position(), body.remaining());
            return header;
        }

        AbstractResponse receive(RequestHeader header) throws IOException {
            byte[] answer = new byte[in.readInt()];
            in.readFully(answer);
            return AbstractResponse.parseResponse(ByteBuffer.wrap(answer), header);
        }

        void committed(RequestHeader header) throws IOException {
            OffsetCommitResponseData got = (OffsetCommitResponseData) receive(header).data();
            got.topics().forEach(t -> t.partitions().forEach(p -> {
                if (p.errorCode() != 0) throw new IllegalStateException(Errors.forCode(p.errorCode()).toString());
            }));
        }

        @Override public void close() throws IOException { socket.close(); }
    }

    static AbstractRequest commit(String group, String topic, int from, int to, long offset) {
        return OffsetCommitRequest.Builder.forTopicNames(new OffsetCommitRequestData().setGroupId(group).setMemberId("").setGenerationIdOrMemberEpoch(-1)
            .setTopics(List.of(new OffsetCommitRequestData.OffsetCommitRequestTopic().setName(topic).setPartitions(IntStream.range(from, to)
                .mapToObj(p -> new OffsetCommitRequestData.OffsetCommitRequestPartition().setPartitionIndex(p).setCommittedOffset(offset)
                    .setCommittedMetadata("")).collect(Collectors.toList()))))).build((short) 8);
    }

    static void rate(int port, String topic, int connections, int window, int seconds) throws Exception {
        AtomicLong done = new AtomicLong();
        AtomicBoolean enough = new AtomicBoolean();
        List<Future<?>> all = new ArrayList<>();
        ExecutorService threads = Executors.newFixedThreadPool(connections);
        for (int n = 0; n < connections; n++) {
            String group = "rate-" + n;
            all.add(threads.submit(() -> {
                try (Connection c = new Connection(port)) {
                    ArrayDeque<RequestHeader> under = new ArrayDeque<>();
                    for (long offset = 0; !enough.get(); offset++) {
                        while (under.size() < window) under.add(c.send(commit(group, topic, 0, 1, offset)));
                        c.out.flush();
                        for (int i = 0; i < (window + 1) / 2; i++) {
                            c.committed(under.remove());
                            done.incrementAndGet();
                        }
                    }
                    while (!under.isEmpty()) c.committed(under.remove());
                }
                return null;
            }));
        }
        Thread.sleep(seconds * 300L);
        long before = done.get(), begun = System.nanoTime();
        Thread.sleep(seconds * 1000L);
        double rate = (done.get() - before) * 1e9 / (System.nanoTime() - begun);
        enough.set(true);
        for (Future<?> f : all) f.get();
        System.out.printf(Locale.ROOT, "rate %.0f%n", rate);
    }

    static void fill(int port, String topic, int groups, int partitions) throws Exception {
        long begun = System.nanoTime();
        try (Connection c = new Connection(port)) {
            ArrayDeque<RequestHeader> under = new ArrayDeque<>();
            for (int g = 0; g < groups; g++) {
                under.add(c.send(commit("filled-" + g, topic, 0, partitions, g)));
                c.out.flush();
                if (under.size() > 4) c.committed(under.remove());
            }
            while (!under.isEmpty()) c.committed(under.remove());
        }
        System.out.printf(Locale.ROOT, "filled %d %.3f%n", (long) groups * partitions, (System.nanoTime() - begun) / 1e9);
    }

    static void await(int port, String group, String topic, int partition) throws Exception {
        OffsetFetchRequestData asked = new OffsetFetchRequestData().setGroups(List.of(new OffsetFetchRequestData.OffsetFetchRequestGroup().setGroupId(group)
            .setTopics(List.of(new OffsetFetchRequestData.OffsetFetchRequestTopics().setName(topic).setPartitionIndexes(List.of(partition))))));
        System.out.println("ready");
        long end = System.nanoTime() + 300_000_000_000L;
        while (System.nanoTime() < end) {
            try (Connection c = new Connection(port)) {
                while (System.nanoTime() < end) {
                    RequestHeader header = c.send(OffsetFetchRequest.Builder.forTopicNames(asked, false).build((short) 8));
                    c.out.flush();
                    OffsetFetchResponseData got = (OffsetFetchResponseData) c.receive(header).data();
                    if (got.groups().get(0).errorCode() == 0) {
                        System.out.println("told " + got.groups().get(0).topics().get(0).partitions().get(0).committedOffset() + " " + System.currentTimeMillis());
                        return;
                    }
                    Thread.sleep(2);
                }
            } catch (IOException e) {
                Thread.sleep(2);
            }
        }
        throw new IllegalStateException("never told");
    }

    public static void main(String[] args) throws Exception {
        int port = Integer.parseInt(args[0]);
        switch (args[1]) {
            case "rate" -> rate(port, args[2], Integer.parseInt(args[3]), Integer.parseInt(args[4]), Integer.parseInt(args[5]));
            case "fill" -> fill(port, args[2], Integer.parseInt(args[3]), Integer.parseInt(args[4]));
            case "wait" -> await(port, args[2], args[3], Integer.parseInt(args[4]));
            default -> throw new IllegalArgumentException(args[1]);
        }
        System.exit(0);
    }
}
