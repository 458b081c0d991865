import java.io.*;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.requests.*;

/**
 * Plays scenarios against a running Apache Kafka and writes down every request, every answer and
 * every record of __consumer_offsets, for tests/recorded.rs to compare with.
 *
 * usage: java -cp 'KAFKA/libs/*' Recorder.java HOST:PORT DIR_OF_PARTITION OUT groups|txn|log
 * Each scenario runs in its own group. The broker is set to
 *   offsets.topic.num.partitions=1 group.min.session.timeout.ms=100 group.max.size=3
 *   group.initial.rebalance.delay.ms=0
 * Lines: "# text", "topic NAME ID", "send N KEY VERSION HEX", "recv N HEX", "sleep MS",
 * "record PRODUCER EPOCH KEYHEX VALUEHEX|-", "marker PRODUCER EPOCH COORDINATOR commit|abort".
 */
public class Recorder {
    static String host;
    static int port;
    static PrintWriter out;
    static int number = 0;
    static final BlockingQueue<Object[]> arrived = new LinkedBlockingQueue<>();
    static final Map<Integer, Object[]> waiting = new HashMap<>();
    static final Map<Integer, ApiMessage> answers = new HashMap<>();
    static final List<Socket> idle = new ArrayList<>();

    static int send(int version, ApiMessage request) throws Exception {
        int id = ++number;
        ApiKeys api = ApiKeys.forId(request.apiKey());
        short v = (short) version;
        ByteBuffer body = MessageUtil.toByteBufferAccessor(request, v).buffer();
        RequestHeaderData header = new RequestHeaderData().setRequestApiKey(api.id)
            .setRequestApiVersion(v).setCorrelationId(id).setClientId("rec");
        ByteBuffer head = MessageUtil.toByteBufferAccessor(header, api.requestHeaderVersion(v)).buffer();
        Socket socket = idle.isEmpty() ? new Socket(host, port) : idle.remove(idle.size() - 1);
        DataOutputStream o = new DataOutputStream(new BufferedOutputStream(socket.getOutputStream()));
        o.writeInt(head.remaining() + body.remaining());
        o.write(head.array(), head.arrayOffset() + head.position(), head.remaining());
        o.write(body.array(), body.arrayOffset() + body.position(), body.remaining());
        o.flush();
        if (machine(api)) out.println("send " + id + " " + api.id + " " + v + " " + hex(body));
        waiting.put(id, new Object[] {api, v, request.toString()});
        Thread t = new Thread(() -> {
            try {
                DataInputStream i = new DataInputStream(socket.getInputStream());
                byte[] b = new byte[i.readInt()];
                i.readFully(b);
                ByteBuffer buffer = ByteBuffer.wrap(b);
                new ResponseHeaderData(new ByteBufferAccessor(buffer), api.responseHeaderVersion(v));
                arrived.add(new Object[] {id, socket, buffer});
            } catch (Exception e) { throw new RuntimeException(request.toString(), e); }
        });
        t.setDaemon(true);
        t.start();
        collect(api == ApiKeys.JOIN_GROUP || api == ApiKeys.SYNC_GROUP ? 250 : 20_000, id);
        return id;
    }

    static boolean transactions;

    /** Whether the machine under test is the one that answers. */
    static boolean machine(ApiKeys api) {
        return switch (api) {
            case INIT_PRODUCER_ID, ADD_PARTITIONS_TO_TXN, ADD_OFFSETS_TO_TXN, END_TXN, DESCRIBE_TRANSACTIONS,
                LIST_TRANSACTIONS -> transactions;
            default -> !transactions;
        };
    }

    /** Takes answers until `last` came and no other did for a moment, or the time is over. */
    static void collect(long ms, int last) throws Exception {
        long end = System.currentTimeMillis() + ms;
        while (true) {
            long left = end - System.currentTimeMillis();
            Object[] a = arrived.poll(Math.max(left, 1), TimeUnit.MILLISECONDS);
            if (a == null) return;
            int id = (Integer) a[0];
            idle.add((Socket) a[1]);
            Object[] w = waiting.remove(id);
            ApiKeys api = (ApiKeys) w[0];
            ByteBuffer b = (ByteBuffer) a[2];
            if (machine(api)) out.println("recv " + id + " " + hex(b.duplicate()));
            ApiMessage m = api.messageType.newResponse();
            m.read(new ByteBufferAccessor(b.duplicate()), (Short) w[1]);
            answers.put(id, m);
            if (m instanceof JoinGroupResponseData j && j.errorCode() == 0) {
                type = j.protocolType() == null ? type : j.protocolType();
                protocol = j.protocolName();
            }
            if (id == last) end = System.currentTimeMillis() + 60;
        }
    }

    @SuppressWarnings("unchecked")
    static <T extends ApiMessage> T got(int id) throws Exception {
        long end = System.currentTimeMillis() + 20_000;
        while (!answers.containsKey(id) && System.currentTimeMillis() < end) collect(100, -1);
        return (T) Objects.requireNonNull(answers.get(id), "no answer to " + id);
    }

    static void sleep(long ms) throws Exception {
        long end = System.currentTimeMillis() + ms;
        out.println("sleep " + ms);
        while (System.currentTimeMillis() < end) collect(end - System.currentTimeMillis(), -1);
    }

    static void note(String text) { out.println("# " + text); }

    static String hex(ByteBuffer b) {
        byte[] bytes = new byte[b.remaining()];
        b.get(bytes);
        return bytes.length == 0 ? "-" : HexFormat.of().formatHex(bytes);
    }

    // ---- requests ----
    static String group;
    static String type = "consumer";
    static String protocol = "range";
    static byte[] subscription = {0, 0, 0, 0, 0, 1, 0, 1, 't', -1, -1, -1, -1};

    static JoinGroupRequestData joining(String member, String instance, String... protocols) {
        JoinGroupRequestData r = new JoinGroupRequestData().setGroupId(group).setSessionTimeoutMs(30_000)
            .setRebalanceTimeoutMs(60_000).setMemberId(member).setGroupInstanceId(instance)
            .setProtocolType("consumer").setReason(null);
        for (String p : protocols.length == 0 ? new String[] {"range"} : protocols)
            r.protocols().add(new JoinGroupRequestData.JoinGroupRequestProtocol().setName(p).setMetadata(subscription));
        return r;
    }

    static String id() throws Exception {
        JoinGroupResponseData r = got(send(9, joining("", null)));
        return r.memberId();
    }

    static int sync(String member, int generation, String... assigned) throws Exception {
        SyncGroupRequestData r = new SyncGroupRequestData().setGroupId(group).setGenerationId(generation).setMemberId(member)
            .setProtocolType(type).setProtocolName(protocol);
        for (String a : assigned)
            r.assignments().add(new SyncGroupRequestData.SyncGroupRequestAssignment().setMemberId(a)
                .setAssignment(("for " + a).getBytes()));
        return send(5, r);
    }

    static void heartbeat(String member, String instance, int generation) throws Exception {
        send(4, new HeartbeatRequestData().setGroupId(group).setMemberId(member).setGroupInstanceId(instance).setGenerationId(generation));
    }

    static void leave(int version, String member, String instance) throws Exception {
        LeaveGroupRequestData r = new LeaveGroupRequestData().setGroupId(group);
        if (version < 3) r.setMemberId(member);
        else r.members().add(new LeaveGroupRequestData.MemberIdentity().setMemberId(member).setGroupInstanceId(instance).setReason(version < 5 ? null : "why"));
        send(version, r);
    }

    static Uuid topicId(String topic) { return ids.getOrDefault(topic, Uuid.ZERO_UUID); }
    static final Map<String, Uuid> ids = new HashMap<>();

    static void commit(int version, String member, int generation, String topic, long offset, String metadata) throws Exception {
        commit(version, member, null, generation, topic, offset, metadata, -1);
    }

    static void commit(int version, String member, String instance, int generation, String topic, long offset, String metadata, long retention) throws Exception {
        OffsetCommitRequestData r = new OffsetCommitRequestData().setGroupId(group).setMemberId(member)
            .setGroupInstanceId(instance).setGenerationIdOrMemberEpoch(generation).setRetentionTimeMs(retention);
        OffsetCommitRequestData.OffsetCommitRequestTopic t = new OffsetCommitRequestData.OffsetCommitRequestTopic().setName(topic).setTopicId(topicId(topic));
        for (int p = 0; p < 2; p++)
            t.partitions().add(new OffsetCommitRequestData.OffsetCommitRequestPartition().setPartitionIndex(p)
                .setCommittedOffset(offset + p).setCommittedLeaderEpoch(version >= 6 ? 0 : -1).setCommittedMetadata(p == 0 ? metadata : ""));
        r.topics().add(t);
        send(version, r);
    }

    static void fetch(int version, boolean stable, String... topics) throws Exception {
        OffsetFetchRequestData r = new OffsetFetchRequestData().setRequireStable(stable);
        if (version >= 8) {
            OffsetFetchRequestData.OffsetFetchRequestGroup g = new OffsetFetchRequestData.OffsetFetchRequestGroup().setGroupId(group);
            if (topics.length == 0) g.setTopics(null);
            for (String t : topics) g.topics().add(new OffsetFetchRequestData.OffsetFetchRequestTopics().setName(t).setTopicId(topicId(t)).setPartitionIndexes(List.of(0, 1, 7)));
            r.setGroups(List.of(g));
        } else {
            r.setGroupId(group);
            if (topics.length == 0) r.setTopics(null);
            for (String t : topics) r.topics().add(new OffsetFetchRequestData.OffsetFetchRequestTopic().setName(t).setPartitionIndexes(List.of(0, 1, 7)));
        }
        send(version, r);
    }

    static void describe(int version, String... groups) throws Exception {
        send(version, new DescribeGroupsRequestData().setGroups(List.of(groups)));
    }

    static void list(int version, List<String> states, List<String> types) throws Exception {
        send(version, new ListGroupsRequestData().setStatesFilter(states).setTypesFilter(types));
    }

    static void deleteOffsets(String... topics) throws Exception {
        OffsetDeleteRequestData r = new OffsetDeleteRequestData().setGroupId(group);
        for (String t : topics) {
            OffsetDeleteRequestData.OffsetDeleteRequestTopic topic = new OffsetDeleteRequestData.OffsetDeleteRequestTopic().setName(t);
            topic.partitions().add(new OffsetDeleteRequestData.OffsetDeleteRequestPartition().setPartitionIndex(0));
            topic.partitions().add(new OffsetDeleteRequestData.OffsetDeleteRequestPartition().setPartitionIndex(5));
            r.topics().add(topic);
        }
        send(0, r);
    }

    static void deleteGroups(String... groups) throws Exception {
        send(2, new DeleteGroupsRequestData().setGroupsNames(List.of(groups)));
    }

    // ---- scenarios ----
    static void oneMember() throws Exception {
        note("one member from birth to death");
        group = "one";
        heartbeat("nobody", null, 0);
        sync("nobody", 0);
        leave(5, "nobody", null);
        leave(2, "nobody", null);
        describe(6, "one");
        describe(5, "one");
        deleteGroups("one");
        deleteOffsets("t");
        fetch(9, true, "t");
        send(9, joining("nobody", null));
        send(9, joining("", null).setSessionTimeoutMs(99));
        send(9, joining("", null).setGroupId(""));
        String m = id();
        describe(6, "one");
        list(5, List.of("empty"), List.of());
        commit(9, m, 0, "t", 5, "x");
        heartbeat(m, null, 0);
        send(9, joining(m, null));
        describe(6, "one");
        heartbeat(m, null, 1);
        commit(9, m, 1, "t", 5, "x");
        sync(m, 0);
        sync(m, 1, m, "stranger");
        sync(m, 1);
        send(5, new SyncGroupRequestData().setGroupId(group).setGenerationId(1).setMemberId(m).setProtocolType("x").setProtocolName("range"));
        send(5, new SyncGroupRequestData().setGroupId(group).setGenerationId(1).setMemberId(m).setProtocolType("consumer").setProtocolName("x"));
        send(5, new SyncGroupRequestData().setGroupId(group).setGenerationId(1).setMemberId(m));
        send(4, new SyncGroupRequestData().setGroupId(group).setGenerationId(1).setMemberId(m));
        send(5, new SyncGroupRequestData().setGroupId("").setGenerationId(1).setMemberId(m));
        heartbeat(m, null, 1);
        heartbeat(m, null, 2);
        heartbeat("other", null, 1);
        describe(6, "one", "missing");
        list(5, List.of(), List.of());
        list(5, List.of("STABLE"), List.of("Classic"));
        list(5, List.of("stable"), List.of("consumer"));
        list(4, List.of("Dead"), List.of());
        commit(9, m, 1, "t", 10, "meta");
        commit(10, m, 1, "u", 20, null);
        commit(9, m, 2, "t", 11, "");
        commit(9, "other", 1, "t", 11, "");
        commit(9, "", -1, "t", 11, "");
        commit(8, m, 1, "t", 12, "é".repeat(4097));
        fetch(9, false, "t", "u");
        fetch(10, true, "t", "u");
        fetch(9, false);
        fetch(7, true, "t");
        fetch(1, false, "u");
        deleteOffsets("t", "u");
        deleteGroups("one");
        send(9, joining("", null).setProtocolType("connect"));
        send(9, joining("", null, "sticky"));
        send(9, joining(m, null, "sticky"));
        send(9, joining(m, null, "range", "sticky"));
        sync(m, 2, m);
        leave(5, m, null);
        describe(6, "one");
        heartbeat(m, null, 3);
        commit(9, "", -1, "t", 13, "");
        deleteOffsets("t");
        deleteGroups("one", "one");
        describe(5, "one");
    }

    static void three() throws Exception {
        note("three members, which rebalance");
        group = "three";
        String a = id();
        int ja = send(9, joining(a, null, "x", "y"));
        JoinGroupResponseData r = got(ja);
        sync(a, 1, a);
        String b = id();
        int jb = send(9, joining(b, null, "y", "x"));
        heartbeat(a, null, 1);
        commit(9, a, 1, "t", 1, "");
        sync(a, 1, a);
        ja = send(9, joining(a, null, "x", "y"));
        got(jb);
        sync(b, 2);
        commit(9, b, 2, "t", 1, "");
        int sa = sync(a, 2, a, b);
        describe(6, "three");
        send(9, joining(b, null, "y", "x"));
        String c = id();
        send(9, joining(c, null, "y"));
        send(9, joining("", null, "y"));
        send(9, joining(b, null, "y", "x"));
        send(9, joining(a, null, "y", "x"));
        send(9, joining("", null));
        send(9, joining(a, null, "y", "x"));
        send(9, joining(b, null, "x", "y"));
        send(9, joining(a, null, "y", "x"));
        send(9, joining(c, null, "y"));
        sync(b, 4);
        sync(c, 4);
        sync(a, 4, a, b, c);
        leave(5, b, null);
        heartbeat(a, null, 4);
        send(9, joining(a, null, "y", "x"));
        send(9, joining(c, null, "y"));
        sync(c, 5);
        leave(5, c, null);
        send(9, joining(a, null, "y", "x"));
        sync(a, 6, a);
        leave(2, a, null);
        describe(6, "three");
    }

    static void statics() throws Exception {
        note("static members");
        group = "static";
        int ja = send(9, joining("", "A").setSessionTimeoutMs(30_000));
        String a = ((JoinGroupResponseData) got(ja)).memberId();
        sync(a, 1, a);
        int jb = send(9, joining("", "B"));
        send(9, joining(a, "A"));
        String b = ((JoinGroupResponseData) got(jb)).memberId();
        sync(b, 2);
        sync(a, 2, a, b);
        note("a follower returns");
        String b2 = ((JoinGroupResponseData) got(send(9, joining("", "B")))).memberId();
        heartbeat(b, "B", 2);
        heartbeat(b, null, 2);
        commit(9, b, "B", 2, "t", 3, "", -1);
        commit(9, b2, "B", 2, "t", 4, "", -1);
        sync(b2, 2);
        note("the leader returns");
        String a2 = ((JoinGroupResponseData) got(send(9, joining("", "A")))).memberId();
        sync(a2, 2);
        String a3 = ((JoinGroupResponseData) got(send(8, joining("", "A")))).memberId();
        sync(a3, 2);
        describe(6, "static");
        note("wrong ids");
        send(9, joining(b2, "A"));
        send(6, joining(b2, "A"));
        send(9, joining(b2, "C"));
        leave(5, b2, "A");
        leave(5, "", "C");
        leave(5, "", null);
        note("removed from outside");
        leave(5, "", "B");
        heartbeat(b2, "B", 2);
        send(9, joining(a3, "A"));
        sync(a3, 3, a3);
        note("a change of protocol");
        String a4 = ((JoinGroupResponseData) got(send(9, joining("", "A", "sticky")))).memberId();
        String a5 = ((JoinGroupResponseData) got(send(9, joining("", "A", "sticky", "range")))).memberId();
        sync(a5, 4, a5);
        sync(a5, 5, a5);
        leave(3, a5, "A");
        describe(6, "static");
    }

    static void times() throws Exception {
        note("sessions and rebalances that end by time");
        group = "times";
        String a = id();
        send(9, joining(a, null).setSessionTimeoutMs(4_000).setRebalanceTimeoutMs(1_000));
        sync(a, 1, a);
        String b = id();
        int jb = send(9, joining(b, null).setSessionTimeoutMs(4_000).setRebalanceTimeoutMs(1_000));
        sleep(1_500);
        note("a did not rejoin in time");
        got(jb);
        heartbeat(a, null, 2);
        describe(6, "times");
        note("b does not sync in time");
        sleep(1_500);
        describe(6, "times");
        heartbeat(b, null, 2);
        String c = id();
        send(9, joining(c, null).setSessionTimeoutMs(1_000).setRebalanceTimeoutMs(1_000));
        sync(c, 4, c);
        sync(c, 3, c);
        describe(6, "times");
        sleep(1_600);
        note("c was silent");
        describe(6, "times");
        list(5, List.of("Empty"), List.of());
        note("an id that is not used");
        JoinGroupResponseData p = got(send(9, joining("", null).setSessionTimeoutMs(1_000)));
        sleep(1_500);
        send(9, joining(p.memberId(), null));
    }

    static void old() throws Exception {
        note("the oldest versions");
        group = "old";
        String a = ((JoinGroupResponseData) got(send(0, joining("", null).setRebalanceTimeoutMs(-1)))).memberId();
        send(0, new SyncGroupRequestData().setGroupId(group).setGenerationId(1).setMemberId(a).setAssignments(
            List.of(new SyncGroupRequestData.SyncGroupRequestAssignment().setMemberId(a).setAssignment(new byte[] {1}))));
        send(0, new HeartbeatRequestData().setGroupId(group).setGenerationId(1).setMemberId(a));
        commit(2, a, 1, "t", 7, "old");
        commit(2, a, null, 1, "u", 8, "old", 3_600_000);
        fetch(2, false);
        describe(0, "old", "missing");
        list(0, List.of(), List.of());
        leave(0, a, null);
        send(5, joining("", null, "range"));
    }

    static void offsets() throws Exception {
        note("offsets without members");
        group = "simple";
        fetch(9, false, "t");
        fetch(9, false);
        commit(9, "", 3, "t", 1, "");
        commit(8, "", 3, "t", 1, "");
        commit(9, "", -1, "t", 1, "m");
        commit(9, "who", -1, "u", 2, null);
        fetch(9, true, "t", "u");
        describe(6, "simple");
        list(5, List.of(), List.of());
        heartbeat("who", null, -1);
        heartbeat("", null, 0);
        sync("who", 0);
        leave(5, "who", null);
        deleteOffsets("t", "u");
        fetch(9, true);
        deleteGroups("simple", "missing");
        fetch(9, true);
        group = "";
        commit(9, "", -1, "t", 1, "m");
        fetch(9, true);
        describe(6, "");
        heartbeat("who", null, -1);
        leave(5, "who", null);
        leave(1, "who", null);
        deleteOffsets("t");
        deleteGroups("");
        note("a protocol without members is refused, but the group is there");
        group = "refused";
        send(9, joining("", null).setProtocols(new JoinGroupRequestData.JoinGroupRequestProtocolCollection()));
        describe(6, "refused");
        group = "workers";
        String w = ((JoinGroupResponseData) got(send(3, joining("", null, "sessioned").setProtocolType("connect")))).memberId();
        sync(w, 1, w);
        describe(6, "workers");
        deleteOffsets("t");
        leave(5, w, null);
    }

    static void transactions() throws Exception {
        note("offsets in transactions");
        group = "txn";
        InitProducerIdResponseData p;
        do {
            p = got(send(4, new InitProducerIdRequestData().setTransactionalId("x").setTransactionTimeoutMs(60_000)));
            System.err.println("producer: " + p);
            Thread.sleep(200);
        } while (p.errorCode() != 0);
        commit(9, "", -1, "t", 1, "");
        for (boolean commit : new boolean[] {true, false}) {
            send(3, new AddOffsetsToTxnRequestData().setTransactionalId("x").setProducerId(p.producerId()).setProducerEpoch(p.producerEpoch()).setGroupId(group));
            txnCommit(p, "", -1, commit ? 100 : 200);
            fetch(9, true, "t");
            fetch(9, false, "t");
            fetch(9, true);
            txnCommit(p, "", 0, 300);
            txnCommit(p, "who", -1, 150);
            if (!commit) commit(9, "", -1, "t", 50, "");
            EndTxnResponseData e = got(send(3, new EndTxnRequestData().setTransactionalId("x").setProducerId(p.producerId()).setProducerEpoch(p.producerEpoch()).setCommitted(commit)));
            System.err.println(e);
            Thread.sleep(500);
            out.println("marker " + p.producerId() + " " + p.producerEpoch() + " 0 " + (commit ? "commit" : "abort"));
            fetch(9, true, "t");
        }
    }

    static void txnCommit(InitProducerIdResponseData p, String member, int generation, long offset) throws Exception {
        TxnOffsetCommitRequestData r = new TxnOffsetCommitRequestData().setTransactionalId("x").setGroupId(group)
            .setProducerId(p.producerId()).setProducerEpoch(p.producerEpoch()).setMemberId(member).setGenerationId(generation);
        r.topics().add(new TxnOffsetCommitRequestData.TxnOffsetCommitRequestTopic().setName("t").setPartitions(List.of(
            new TxnOffsetCommitRequestData.TxnOffsetCommitRequestPartition().setPartitionIndex(0).setCommittedOffset(offset).setCommittedMetadata("in txn"))));
        send(3, r);
    }

    // ---- transactions, as their own coordinator sees them ----
    static long pid = -1;
    static short epoch = -1;

    static void init(int version, String id, int timeout, long pid, int epoch) throws Exception {
        InitProducerIdResponseData r = got(send(version, new InitProducerIdRequestData().setTransactionalId(id)
            .setTransactionTimeoutMs(timeout).setProducerId(pid).setProducerEpoch((short) epoch)));
        if (r.errorCode() == 0) {
            Recorder.pid = r.producerId();
            Recorder.epoch = r.producerEpoch();
        }
    }

    static void add(int version, boolean verify, String id, long pid, int epoch, String topic, Integer... partitions) throws Exception {
        AddPartitionsToTxnRequestData.AddPartitionsToTxnTopicCollection topics = new AddPartitionsToTxnRequestData.AddPartitionsToTxnTopicCollection();
        topics.add(new AddPartitionsToTxnRequestData.AddPartitionsToTxnTopic().setName(topic).setPartitions(List.of(partitions)));
        AddPartitionsToTxnRequestData r = new AddPartitionsToTxnRequestData();
        if (version < 4) {
            r.setV3AndBelowTransactionalId(id).setV3AndBelowProducerId(pid).setV3AndBelowProducerEpoch((short) epoch).setV3AndBelowTopics(topics);
        } else {
            r.transactions().add(new AddPartitionsToTxnRequestData.AddPartitionsToTxnTransaction().setTransactionalId(id)
                .setProducerId(pid).setProducerEpoch((short) epoch).setVerifyOnly(verify).setTopics(topics));
        }
        send(version, r);
    }

    static void addOffsets(int version, String id, long pid, int epoch, String group) throws Exception {
        send(version, new AddOffsetsToTxnRequestData().setTransactionalId(id).setProducerId(pid).setProducerEpoch((short) epoch).setGroupId(group));
    }

    static void end(int version, String id, long pid, int epoch, boolean commit) throws Exception {
        EndTxnResponseData r = got(send(version, new EndTxnRequestData().setTransactionalId(id).setProducerId(pid).setProducerEpoch((short) epoch).setCommitted(commit)));
        if (r.errorCode() == 0 && version >= 5) {
            Recorder.pid = r.producerId();
            Recorder.epoch = r.producerEpoch();
        }
        settle();
    }

    /** Lets the markers be written. */
    static void settle() throws Exception {
        Thread.sleep(300);
        out.println("settle");
    }

    static void look(String... ids) throws Exception {
        send(0, new DescribeTransactionsRequestData().setTransactionalIds(List.of(ids)));
    }

    static void listTxns(List<String> states, List<Long> pids, long duration) throws Exception {
        send(1, new ListTransactionsRequestData().setStateFilters(states).setProducerIdFilters(pids).setDurationFilter(duration));
    }

    static void transactionalIds() throws Exception {
        coordinator((byte) 0, "g");
        note("refused");
        init(5, "", 60_000, -1, -1);
        init(5, "a", 0, -1, -1);
        init(5, "a", 900_001, -1, -1);
        add(3, false, "a", 0, 0, "t", 0);
        addOffsets(3, "a", 0, 0, "g");
        end(5, "a", 0, 0, true);
        end(4, "a", 0, 0, true);
        look("a", "");
        note("born");
        do {
            init(5, "a", 60_000, -1, -1);
        } while (epoch < 0 || pid < 0);
        look("a");
        listTxns(List.of(), List.of(), -1);
        note("ended without having begun");
        end(5, "a", pid, epoch, true);
        end(4, "a", pid, epoch, true);
        end(4, "a", pid, epoch, false);
        end(5, "a", pid, epoch, false);
        note("begun");
        add(3, false, "", pid, epoch, "t", 0);
        add(3, false, "a", pid + 9, epoch, "t", 0);
        add(3, false, "a", pid, epoch - 1, "t", 0);
        add(3, false, "a", pid, epoch + 1, "t", 0);
        add(1, false, "a", pid, epoch - 1, "t", 0);
        add(3, false, "a", pid, epoch, "t", 0, 1);
        add(3, false, "a", pid, epoch, "t", 0);
        add(3, false, "a", pid, epoch, "u", 0);
        add(4, true, "a", pid, epoch, "t", 0);
        add(5, true, "a", pid, epoch, "u", 1);
        add(5, true, "a", pid + 1, epoch, "u", 1);
        add(5, true, "a", pid, epoch - 1, "u", 1);
        add(5, true, "b", pid, epoch, "u", 1);
        look("a");
        listTxns(List.of("Ongoing", "Nonsense"), List.of(), -1);
        listTxns(List.of("Empty"), List.of(), -1);
        listTxns(List.of(), List.of(pid), -1);
        listTxns(List.of(), List.of(pid + 1), -1);
        listTxns(List.of(), List.of(), 1_000_000);
        end(5, "a", pid, epoch - 1, true);
        end(5, "a", pid + 1, epoch, true);
        end(1, "a", pid, epoch - 1, true);
        note("committed, with the bump of version 2");
        short before = epoch;
        end(5, "a", pid, before, true);
        look("a");
        note("asked again");
        end(5, "a", pid, before, true);
        end(5, "a", pid, before, false);
        end(5, "a", pid, epoch, true);
        end(5, "a", pid, epoch, false);
        end(4, "a", pid, epoch, true);
        end(4, "a", pid, epoch, false);
        note("partitions added by a broker, and aborted");
        add(5, false, "a", pid, epoch, "t", 1);
        before = epoch;
        end(5, "a", pid, before, false);
        end(5, "a", pid, before, false);
        end(5, "a", pid, before, true);
        note("offsets added, and ended as old clients do");
        addOffsets(3, "a", pid, epoch, "g");
        look("a");
        end(4, "a", pid, epoch, true);
        look("a");
        end(4, "a", pid, epoch, true);
        end(4, "a", pid, epoch, false);
        add(3, false, "a", pid, epoch, "t", 0);
        end(3, "a", pid, epoch, false);
        note("a producer goes on after an error");
        long p = pid;
        short e = epoch;
        init(5, "a", 50_000, p, e);
        init(5, "a", 50_000, p, e);
        init(5, "a", 50_000, p, e - 1);
        init(3, "a", 50_000, p, e - 1);
        init(5, "a", 50_000, p + 5, e);
        init(5, "a", 40_000, -1, -1);
        init(5, "a", 40_000, p, e + 1);
        note("another one takes over in the middle of a transaction");
        add(3, false, "a", pid, epoch, "t", 0);
        init(5, "a", 40_000, -1, -1);
        settle();
        look("a");
        init(5, "a", 40_000, -1, -1);
        add(5, false, "a", pid, epoch, "t", 0);
        p = pid;
        e = epoch;
        init(5, "a", 40_000, p, e);
        settle();
        init(5, "a", 40_000, p, e);
        init(5, "a", 40_000, p, e + 1);
        note("time runs out");
        init(4, "b", 1_000, -1, -1);
        p = pid;
        e = epoch;
        add(3, false, "b", p, e, "t", 0, 1);
        sleep(1_600);
        settle();
        look("b");
        add(3, false, "b", p, e, "t", 0);
        end(5, "b", p, e, true);
        end(3, "b", p, e, true);
        init(5, "b", 1_000, p, e);
        init(5, "b", 1_000, -1, -1);
        listTxns(List.of(), List.of(), -1);
    }

    static void records(Path dir) throws Exception {
        note("the log");
        FileRecords log = FileRecords.open(dir.resolve("00000000000000000000.log").toFile(), false);
        for (RecordBatch batch : log.batches()) {
            for (org.apache.kafka.common.record.internal.Record r : batch) {
                if (batch.isControlBatch()) {
                    EndTransactionMarker m = EndTransactionMarker.deserialize(r);
                    out.println("marker " + batch.producerId() + " " + batch.producerEpoch() + " " + m.coordinatorEpoch() + " "
                        + (m.controlType() == ControlRecordType.COMMIT ? "commit" : "abort"));
                } else {
                    out.println("record " + batch.producerId() + " " + batch.producerEpoch() + " " + hex(r.key()) + " "
                        + (r.hasValue() ? hex(r.value()) : "-"));
                }
            }
        }
    }

    public static void main(String[] args) throws Exception {
        host = args[0].split(":")[0];
        port = Integer.parseInt(args[0].split(":")[1]);
        out = new PrintWriter(new FileWriter(args[2]), true);
        if (args[3].equals("log")) {
            records(Path.of(args[1]));
            return;
        }
        transactions = args[3].equals("txn");
        coordinator((byte) 0, "one");
        coordinator((byte) 1, "x");
        MetadataResponseData md = got(quietly(12, new MetadataRequestData().setTopics(null)));
        for (MetadataResponseData.MetadataResponseTopic t : md.topics()) {
            ids.put(t.name(), t.topicId());
        }
        for (String t : List.of("t", "u")) out.println("topic " + t + " " + topicId(t));
        if (transactions) {
            transactionalIds();
            records(Path.of(args[1]));
            System.exit(0);
        }
        oneMember();
        three();
        statics();
        old();
        offsets();
        transactions();
        times();
        records(Path.of(args[1]));
        System.exit(0);
    }

    /** Waits until the coordinator of a key is there; asking makes its topic. */
    static void coordinator(byte type, String key) throws Exception {
        while (true) {
            FindCoordinatorResponseData r = got(quietly(4, new FindCoordinatorRequestData().setKeyType(type).setCoordinatorKeys(List.of(key))));
            if (r.coordinators().get(0).errorCode() == 0) break;
            Thread.sleep(200);
        }
        Thread.sleep(1_000);
    }

    static int quietly(int version, ApiMessage request) throws Exception {
        PrintWriter real = out;
        out = new PrintWriter(Writer.nullWriter());
        int id = send(version, request);
        got(id);
        out = real;
        return id;
    }
}
