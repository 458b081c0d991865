import java.io.*;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.Callable;
import java.util.stream.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.internals.ConsumerProtocol;
import org.apache.kafka.common.*;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.requests.*;

/**
 * What a coordinator answers to requests about consumer groups, most of which no client would send: one line for each, in
 * which members and topics have the names that they were given here. The lines lie in golden/groups/answers.txt.
 * usage: java GroupAnswers BOOTSTRAP, of a node on which a group may have four members, and a new assignment needs no wait
 */
public class GroupAnswers {
    static final Map<Uuid, String> names = new HashMap<>();
    static final Map<String, Uuid> ids = new HashMap<>();
    static final Map<String, String> said = new LinkedHashMap<>();
    static DataInputStream in;
    static DataOutputStream out;
    static int correlation;

    // ---- asking --------------------------------------------------------------------------------

    static AbstractResponse ask(AbstractRequest request) throws IOException {
        RequestHeader header = new RequestHeader(request.apiKey(), request.version(), "answers", correlation++);
        ByteBuffer body = request.serializeWithHeader(header);
        out.writeInt(body.remaining());
        out.write(body.array(), body.arrayOffset() + body.position(), body.remaining());
        out.flush();
        byte[] answer = new byte[in.readInt()];
        in.readFully(answer);
        return AbstractResponse.parseResponse(ByteBuffer.wrap(answer), header);
    }

    static void title(String text) { System.out.println("# " + text); }

    static void tell(String what, Object answer) {
        String text = String.valueOf(answer);
        for (Map.Entry<String, String> e : said.entrySet()) text = text.replace(e.getKey(), e.getValue());
        for (Map.Entry<Uuid, String> e : names.entrySet()) text = text.replace(e.getKey().toString(), e.getValue());
        System.out.println(what + " -> " + text);
    }

    static String error(short code, String message) {
        return Errors.forCode(code) + (message == null ? "" : ": " + message);
    }

    // ---- heartbeats ----------------------------------------------------------------------------

    /** A heartbeat as a member sends it: the first says all, those after it only what is new. */
    static ConsumerGroupHeartbeatRequestData beat(String group, String member, int epoch) {
        ConsumerGroupHeartbeatRequestData d = new ConsumerGroupHeartbeatRequestData().setGroupId(group).setMemberId(member).setMemberEpoch(epoch);
        return epoch == 0 ? d.setRebalanceTimeoutMs(30000).setTopicPartitions(List.of()) : d;
    }

    static ConsumerGroupHeartbeatRequestData join(String group, String member, String... topics) {
        return beat(group, member, 0).setSubscribedTopicNames(List.of(topics));
    }

    /** Partitions as `t1:0,1`. */
    static List<ConsumerGroupHeartbeatRequestData.TopicPartitions> owned(String... parts) {
        return Arrays.stream(parts).map(part -> new ConsumerGroupHeartbeatRequestData.TopicPartitions()
            .setTopicId(ids.getOrDefault(part.split(":")[0], new Uuid(7, 7)))
            .setPartitions(Arrays.stream(part.split(":")[1].split(",")).map(Integer::parseInt).collect(Collectors.toList())))
            .collect(Collectors.toList());
    }

    static ConsumerGroupHeartbeatResponseData send(ConsumerGroupHeartbeatRequestData d, int version) throws IOException {
        return (ConsumerGroupHeartbeatResponseData) ask(new ConsumerGroupHeartbeatRequest.Builder(d, true).build((short) version)).data();
    }

    static String shown(ConsumerGroupHeartbeatResponseData d) {
        if (d.errorCode() != 0) return error(d.errorCode(), d.errorMessage());
        String has = d.assignment() == null ? "" : " assignment " + d.assignment().topicPartitions().stream()
            .map(p -> names.getOrDefault(p.topicId(), p.topicId().toString()) + p.partitions().stream().sorted().collect(Collectors.toList()))
            .sorted().collect(Collectors.joining(" "));
        return "member " + d.memberId() + " epoch " + d.memberEpoch() + " interval " + d.heartbeatIntervalMs() + has;
    }

    static ConsumerGroupHeartbeatResponseData hb(String what, ConsumerGroupHeartbeatRequestData d) throws IOException {
        ConsumerGroupHeartbeatResponseData got = send(d, 1);
        tell("heartbeat " + what, shown(got));
        return got;
    }

    /** Heartbeats until the answer has an assignment with partitions; the last answer is told. */
    static ConsumerGroupHeartbeatResponseData until(String what, Callable<ConsumerGroupHeartbeatRequestData> d) throws Exception {
        long end = System.nanoTime() + 20_000_000_000L;
        while (true) {
            ConsumerGroupHeartbeatResponseData got = send(d.call(), 1);
            if (got.errorCode() != 0 || got.assignment() != null && !got.assignment().topicPartitions().isEmpty() || System.nanoTime() > end) {
                tell("heartbeat " + what, shown(got));
                return got;
            }
            Thread.sleep(50);
        }
    }

    // ---- offsets -------------------------------------------------------------------------------

    static void commit(String what, int version, String group, String member, int epoch, String topic, int partition, String metadata) throws IOException {
        OffsetCommitRequestData d = new OffsetCommitRequestData().setGroupId(group).setMemberId(member).setGenerationIdOrMemberEpoch(epoch)
            .setTopics(List.of(new OffsetCommitRequestData.OffsetCommitRequestTopic().setName(topic).setTopicId(ids.getOrDefault(topic, new Uuid(7, 7)))
                .setPartitions(List.of(new OffsetCommitRequestData.OffsetCommitRequestPartition().setPartitionIndex(partition)
                    .setCommittedOffset(5).setCommittedMetadata(metadata)))));
        OffsetCommitResponseData got = (OffsetCommitResponseData) ask(OffsetCommitRequest.Builder.forTopicIdsOrNames(d).build((short) version)).data();
        tell("commit v" + version + " " + what, got.topics().stream().flatMap(t -> t.partitions().stream().map(p ->
            (version >= 10 ? t.topicId() : t.name()) + "-" + p.partitionIndex() + " " + error(p.errorCode(), null))).collect(Collectors.joining(" ")));
    }

    static void fetch(String what, int version, String group, String member, int epoch, String topic) throws IOException {
        OffsetFetchRequestData.OffsetFetchRequestGroup g = new OffsetFetchRequestData.OffsetFetchRequestGroup().setGroupId(group)
            .setMemberId(member).setMemberEpoch(epoch)
            .setTopics(topic == null ? null : List.of(new OffsetFetchRequestData.OffsetFetchRequestTopics().setName(topic)
                .setTopicId(ids.getOrDefault(topic, new Uuid(7, 7))).setPartitionIndexes(List.of(0))));
        OffsetFetchResponseData got = (OffsetFetchResponseData) ask(OffsetFetchRequest.Builder.forTopicIdsOrNames(
            new OffsetFetchRequestData().setGroups(List.of(g)), false).build((short) version)).data();
        tell("fetch v" + version + " " + what, got.groups().stream().map(o -> error(o.errorCode(), null) + " " + o.topics().stream().flatMap(t ->
            t.partitions().stream().map(p -> (version >= 10 ? t.topicId() : t.name()) + "-" + p.partitionIndex() + "=" + p.committedOffset()
                + " '" + p.metadata() + "' " + error(p.errorCode(), null))).collect(Collectors.joining(" "))).collect(Collectors.joining(" ")));
    }

    // ---- describing ----------------------------------------------------------------------------

    static String shown(ConsumerGroupDescribeResponseData.Assignment a) {
        return a.topicPartitions().stream().map(p -> names.getOrDefault(p.topicId(), p.topicId().toString()) + "(" + p.topicName() + ")"
            + p.partitions().stream().sorted().collect(Collectors.toList())).sorted().collect(Collectors.joining(" ", "{", "}"));
    }

    static void describe(int version, String... groups) throws IOException {
        ConsumerGroupDescribeRequestData d = new ConsumerGroupDescribeRequestData().setGroupIds(List.of(groups)).setIncludeAuthorizedOperations(true);
        ConsumerGroupDescribeResponseData got = (ConsumerGroupDescribeResponseData) ask(new ConsumerGroupDescribeRequest.Builder(d, true).build((short) version)).data();
        for (ConsumerGroupDescribeResponseData.DescribedGroup g : got.groups().stream()
            .sorted(Comparator.comparing(ConsumerGroupDescribeResponseData.DescribedGroup::groupId)).collect(Collectors.toList())) {
            tell("describe v" + version + " '" + g.groupId() + "'", error(g.errorCode(), g.errorMessage()) + " state '" + g.groupState() + "' epoch " + g.groupEpoch()
                + " assignment epoch " + g.assignmentEpoch() + " assignor '" + g.assignorName() + "' operations " + g.authorizedOperations());
            g.members().stream().sorted(Comparator.comparing(m -> said.getOrDefault(m.memberId(), m.memberId()))).forEach(m ->
                tell("    member", m.memberId() + " instance " + m.instanceId() + " rack " + m.rackId() + " epoch " + m.memberEpoch() + " client "
                    + m.clientId() + " " + m.clientHost() + " topics " + m.subscribedTopicNames().stream().sorted().collect(Collectors.toList()) + " regex '"
                    + m.subscribedTopicRegex() + "' has " + shown(m.assignment()) + " shall have " + shown(m.targetAssignment()) + " type " + m.memberType()));
        }
    }

    static void classicDescribe(int version, String group) throws IOException {
        DescribeGroupsResponseData got = (DescribeGroupsResponseData) ask(new DescribeGroupsRequest.Builder(
            new DescribeGroupsRequestData().setGroups(List.of(group))).build((short) version)).data();
        got.groups().forEach(g -> tell("describe as classic v" + version + " '" + group + "'", error(g.errorCode(), g.errorMessage()) + " state '" + g.groupState()
            + "' type '" + g.protocolType() + "' protocol '" + g.protocolData() + "' members " + g.members().size()));
    }

    static void list(int version, List<String> states, List<String> types) throws IOException {
        ListGroupsResponseData got = (ListGroupsResponseData) ask(new ListGroupsRequest.Builder(
            new ListGroupsRequestData().setStatesFilter(states).setTypesFilter(types)).build((short) version)).data();
        tell("list v" + version + " states " + states + " types " + types, error(got.errorCode(), null) + got.groups().stream()
            .map(g -> " " + g.groupId() + "/" + g.protocolType() + "/" + g.groupState() + "/" + g.groupType()).sorted().collect(Collectors.joining()));
    }

    static void delete(String... groups) throws IOException {
        DeleteGroupsResponseData got = (DeleteGroupsResponseData) ask(new DeleteGroupsRequest.Builder(
            new DeleteGroupsRequestData().setGroupsNames(List.of(groups))).build((short) 2)).data();
        tell("delete " + List.of(groups), got.results().stream().map(r -> r.groupId() + " " + error(r.errorCode(), null)).sorted().collect(Collectors.joining(" ")));
    }

    static void deleteOffset(String group, String topic) throws IOException {
        OffsetDeleteResponseData got = (OffsetDeleteResponseData) ask(new OffsetDeleteRequest.Builder(new OffsetDeleteRequestData().setGroupId(group)
            .setTopics(new OffsetDeleteRequestData.OffsetDeleteRequestTopicCollection(List.of(new OffsetDeleteRequestData.OffsetDeleteRequestTopic()
                .setName(topic).setPartitions(List.of(new OffsetDeleteRequestData.OffsetDeleteRequestPartition().setPartitionIndex(0)))).iterator())))
            .build((short) 0)).data();
        tell("delete the offset of " + topic + " in " + group, error(got.errorCode(), null) + got.topics().stream().flatMap(t -> t.partitions().stream()
            .map(p -> " " + t.name() + "-" + p.partitionIndex() + " " + error(p.errorCode(), null))).collect(Collectors.joining()));
    }

    // ---- members of the classic protocol -------------------------------------------------------

    static JoinGroupResponseData classicJoin(String what, String group, String member, String instance, String type, List<String> topics,
                                             List<TopicPartition> has, int generation) throws IOException {
        ByteBuffer metadata = ConsumerProtocol.serializeSubscription(new ConsumerPartitionAssignor.Subscription(topics, null, has, generation, Optional.empty()));
        JoinGroupRequestData d = new JoinGroupRequestData().setGroupId(group).setMemberId(member).setGroupInstanceId(instance).setProtocolType(type)
            .setSessionTimeoutMs(30000).setRebalanceTimeoutMs(30000)
            .setProtocols(new JoinGroupRequestData.JoinGroupRequestProtocolCollection(List.of(new JoinGroupRequestData.JoinGroupRequestProtocol()
                .setName("range").setMetadata(org.apache.kafka.common.utils.Utils.toArray(metadata))).iterator()));
        JoinGroupResponseData got = (JoinGroupResponseData) ask(new JoinGroupRequest.Builder(d).build((short) 9)).data();
        if (!got.memberId().isEmpty()) said.putIfAbsent(got.memberId(), "CLASSIC" + said.size());
        tell("classic join " + what, error(got.errorCode(), null) + " generation " + got.generationId() + " protocol " + got.protocolName() + " of "
            + got.protocolType() + " leader '" + got.leader() + "' member '" + got.memberId() + "' skips " + got.skipAssignment() + " members " + got.members().size());
        return got;
    }

    static void classicSync(String what, String group, String member, int generation) throws IOException {
        SyncGroupResponseData got = (SyncGroupResponseData) ask(new SyncGroupRequest.Builder(new SyncGroupRequestData().setGroupId(group).setMemberId(member)
            .setGenerationId(generation).setProtocolType("consumer").setProtocolName("range")).build((short) 5)).data();
        String has = got.assignment().length == 0 ? "" : " assignment " + ConsumerProtocol.deserializeAssignment(ByteBuffer.wrap(got.assignment()))
            .partitions().stream().map(TopicPartition::toString).sorted().collect(Collectors.joining(" "));
        tell("classic sync " + what, error(got.errorCode(), null) + " protocol " + got.protocolName() + " of " + got.protocolType() + has);
    }

    static void classicHeartbeat(String what, String group, String member, int generation) throws IOException {
        HeartbeatResponseData got = (HeartbeatResponseData) ask(new HeartbeatRequest.Builder(new HeartbeatRequestData().setGroupId(group).setMemberId(member)
            .setGenerationId(generation)).build((short) 4)).data();
        tell("classic heartbeat " + what, error(got.errorCode(), null));
    }

    static void classicLeave(String what, String group, String member, String instance) throws IOException {
        LeaveGroupResponseData got = (LeaveGroupResponseData) ask(new LeaveGroupRequest.Builder(group, List.of(
            new LeaveGroupRequestData.MemberIdentity().setMemberId(member).setGroupInstanceId(instance))).build((short) 5)).data();
        tell("classic leave " + what, error(got.errorCode(), null) + got.members().stream().map(m -> " '" + m.memberId() + "' " + m.groupInstanceId() + " "
            + error(m.errorCode(), null)).collect(Collectors.joining()));
    }

    // ---- the answers ---------------------------------------------------------------------------

    static void nonsense() throws IOException {
        title("heartbeats that make no sense");
        hb("without a group", join("", "a", "t1"));
        hb("without a member id", join("n", "", "t1"));
        hb("at epoch -3", beat("n", "a", -3));
        hb("joins without a rebalance timeout", join("n", "a", "t1").setRebalanceTimeoutMs(-1));
        hb("joins without its partitions", join("n", "a", "t1").setTopicPartitions(null));
        hb("joins with partitions", join("n", "a", "t1").setTopicPartitions(owned("t1:0")));
        hb("joins without topics", beat("n", "a", 0));
        hb("has an empty instance id", join("n", "a", "t1").setInstanceId(""));
        hb("has an empty rack", join("n", "a", "t1").setRackId(""));
        hb("has an empty assignor", join("n", "a", "t1").setServerAssignor(""));
        hb("has an unknown assignor", join("n", "a", "t1").setServerAssignor("nope"));
        hb("has no regular expression", beat("n", "a", 0).setSubscribedTopicRegex("(t"));
        hb("has one that Java alone knows", beat("n", "a", 0).setSubscribedTopicRegex("(?=t)t1"));
        hb("leaves as static without an instance id", beat("n", "a", -2));
        hb("is of a group that is not there", beat("n", "a", 3));
        hb("leaves a group that is not there", beat("n", "a", -1));
        tell("heartbeat v0 with a regular expression in spirit", shown(send(join("v0", "a").setSubscribedTopicNames(List.of()), 0)));
        ConsumerGroupHeartbeatResponseData got = send(join("v0", "", "t1"), 0);
        said.put(got.memberId(), "GIVEN");
        tell("heartbeat v0 without a member id", shown(got));
        hb("leaves", beat("v0", got.memberId(), -1));
    }

    static void life() throws Exception {
        title("a group of two");
        int a = hb("a joins", join("g", "a", "t1")).memberEpoch(), before = a;
        hb("a has them", beat("g", "a", a).setTopicPartitions(owned("t1:0,1,2,3")));
        hb("a again", beat("g", "a", a));
        describe(1, "g");
        int b = hb("b joins", join("g", "b", "t1").setRackId("r")).memberEpoch();
        describe(1, "g");
        hb("a shall give some back", beat("g", "a", a));
        hb("a says the same", beat("g", "a", a).setTopicPartitions(owned("t1:0,1,2,3")));
        hb("b waits", beat("g", "b", b));
        describe(0, "g");
        a = hb("a gives them back", beat("g", "a", a).setTopicPartitions(owned("t1:0,1"))).memberEpoch();
        hb("b takes them", beat("g", "b", b).setTopicPartitions(List.of()));
        hb("b has them", beat("g", "b", b).setTopicPartitions(owned("t1:2,3")));
        describe(1, "g");
        hb("a at the epoch before, with what it has", beat("g", "a", before).setTopicPartitions(owned("t1:0,1")));
        hb("a at the epoch before, with more", beat("g", "a", before).setTopicPartitions(owned("t1:0,1,2")));
        hb("a at the epoch before, silent", beat("g", "a", before));
        hb("a at an epoch to come", beat("g", "a", a + 5));
        hb("a says partitions of an unknown topic", beat("g", "a", a).setTopicPartitions(owned("t1:0,1", "nope:0")));
        hb("somebody unknown", beat("g", "z", a));
        hb("somebody unknown leaves", beat("g", "z", -1));
        hb("a joins again", join("g", "a", "t1"));
        a = hb("a changes its topics", beat("g", "a", a).setSubscribedTopicNames(List.of("t1", "t2"))).memberEpoch();
        hb("a has those, too", beat("g", "a", a).setTopicPartitions(owned("t1:0,1", "t2:0,1")));
        b = hb("b is told of the epoch", beat("g", "b", b)).memberEpoch();
        a = hb("a changes its assignor", beat("g", "a", a).setServerAssignor("range")).memberEpoch();
        b = hb("b changes its assignor", beat("g", "b", b).setServerAssignor("range")).memberEpoch();
        a = hb("a is told of the epoch", beat("g", "a", a)).memberEpoch();
        describe(1, "g");
        hb("a changes to an unknown assignor", beat("g", "a", a).setServerAssignor("nope"));
        b = hb("b subscribes to nothing", beat("g", "b", b).setSubscribedTopicNames(List.of())).memberEpoch();
        a = hb("a takes what is left", beat("g", "a", a)).memberEpoch();
        hb("b has nothing", beat("g", "b", b).setTopicPartitions(List.of()));
        a = hb("a takes what is left", beat("g", "a", a).setTopicPartitions(owned("t1:0,1", "t2:0,1"))).memberEpoch();
        describe(1, "g");

        title("its offsets");
        for (int v : new int[] {10, 9}) {
            commit("of a member", v, "g", "a", a, "t1", 0, "note");
            commit("at an epoch before", v, "g", "a", a - 1, "t1", 0, "");
            commit("at an epoch to come", v, "g", "a", a + 5, "t1", 0, "");
            commit("of somebody unknown", v, "g", "z", a, "t1", 0, "");
            commit("of nobody", v, "g", "", -1, "t1", 0, "");
            commit("of a topic that is not there", v, "g", "a", a, "nope", 0, "");
            commit("of a partition that is not there", v, "g", "a", a, "t1", 9, "");
            commit("with much metadata", v, "g", "a", a, "t1", 0, "x".repeat(5000));
            commit("of a group that is not there, by a member", v, "absent", "a", 4, "t1", 0, "");
            commit("of a group that is not there, by nobody", v, "simple", "", -1, "t1", 0, "");
        }
        commit("of a member", 8, "g", "a", a, "t1", 0, "note");
        commit("at an epoch before", 8, "g", "a", a - 1, "t1", 0, "note");
        commit("of somebody unknown", 8, "g", "z", a, "t1", 0, "note");
        for (int v : new int[] {10, 9}) {
            fetch("of a member", v, "g", "a", a, "t1");
            fetch("of all that a member has", v, "g", "a", a, null);
            fetch("at an epoch before", v, "g", "a", a - 1, "t1");
            fetch("at an epoch to come", v, "g", "a", a + 5, "t1");
            fetch("of somebody unknown", v, "g", "z", a, "t1");
            fetch("of nobody", v, "g", null, -1, "t1");
            fetch("of a topic that is not there", v, "g", "a", a, "nope");
            fetch("of a group that is not there, by a member", v, "absent", "a", 4, "t1");
            fetch("of a group that is not there, by nobody", v, "absent", null, -1, "t1");
        }
        fetch("of nobody", 8, "g", null, -1, "t1");

        title("what is asked about it");
        describe(1, "g", "absent", "simple", "");
        classicDescribe(6, "g");
        classicDescribe(5, "g");
        list(5, List.of(), List.of());
        list(5, List.of(), List.of("consumer"));
        list(5, List.of(), List.of("Classic"));
        list(5, List.of("empty"), List.of());
        list(5, List.of("Reconciling", "Stable", "Assigning"), List.of());
        list(4, List.of(), List.of());
        delete("g", "absent", "simple");
        deleteOffset("g", "t1");
        commit("of a member, for another topic", 10, "g", "a", a, "t3", 0, "");
        deleteOffset("g", "t3");
        deleteOffset("absent", "t1");

        title("its members leave");
        hb("a leaves", beat("g", "a", -1));
        hb("a is still heard", beat("g", "a", a));
        hb("b leaves", beat("g", "b", -1));
        describe(1, "g");
        commit("of nobody", 10, "g", "", -1, "t1", 0, "");
        deleteOffset("g", "t1");
        delete("g");
        describe(1, "g");
    }

    static void statics() throws Exception {
        title("static members");
        int epoch = hb("a joins as one", join("s", "a", "t1").setInstanceId("one")).memberEpoch();
        hb("a has them", beat("s", "a", epoch).setInstanceId("one").setTopicPartitions(owned("t1:0,1,2,3")));
        hb("b joins as one, too", join("s", "b", "t1").setInstanceId("one"));
        hb("b is heard as one", beat("s", "b", epoch).setInstanceId("one"));
        hb("a is heard as another one", beat("s", "a", epoch).setInstanceId("nobody"));
        hb("a without its name", beat("s", "a", epoch));
        hb("b leaves for a while as one", beat("s", "b", -2).setInstanceId("one"));
        hb("a leaves for a while", beat("s", "a", -2).setInstanceId("one"));
        describe(1, "s");
        hb("a is heard while it is away", beat("s", "a", epoch).setInstanceId("one"));
        commit("of one that is away", 10, "s", "a", epoch, "t1", 0, "");
        hb("b joins as one", join("s", "b", "t1").setInstanceId("one"));
        hb("a is heard after it was replaced", beat("s", "a", epoch).setInstanceId("one"));
        hb("a joins again", join("s", "a", "t1").setInstanceId("one"));
        describe(1, "s");
        hb("b leaves for a while", beat("s", "b", -2).setInstanceId("one"));
        hb("c joins as one with another topic", join("s", "c", "t2").setInstanceId("one"));
        describe(1, "s");
        classicLeave("of one, by its name", "s", "", "one");
        classicLeave("of one that is not there", "s", "", "two");
        hb("d joins as two", join("s", "d", "t1").setInstanceId("two"));
        hb("d leaves for good", beat("s", "d", -1).setInstanceId("two"));
        describe(1, "s");
    }

    static void expressions() throws Exception {
        title("regular expressions");
        // What a pattern stands for may be found out while a member joins, or after.
        int[] epoch = {send(beat("r", "a", 0).setSubscribedTopicRegex("t[12]"), 1).memberEpoch()};
        until("a has what it matches", () -> {
            ConsumerGroupHeartbeatRequestData d = beat("r", "a", epoch[0]).setRebalanceTimeoutMs(30000).setSubscribedTopicRegex("t[12]").setTopicPartitions(List.of());
            epoch[0] = send(d, 1).memberEpoch();
            return d.setMemberEpoch(epoch[0]);
        });
        hb("a says so", beat("r", "a", epoch[0]).setTopicPartitions(owned("t1:0,1,2,3", "t2:0,1")));
        describe(1, "r");
        hb("a changes to nonsense", beat("r", "a", epoch[0]).setSubscribedTopicRegex("t[12"));
        hb("a has a name besides", beat("r", "a", epoch[0]).setSubscribedTopicNames(List.of("t3")));
        hb("a leaves", beat("r", "a", -1));
    }

    static void size() throws IOException {
        title("more members than a group may have");
        for (String member : List.of("a", "b", "c", "d", "e")) hb(member + " joins", join("full", member, "t1"));
        hb("a leaves", beat("full", "a", -1));
        hb("e joins", join("full", "e", "t1"));
        ConsumerGroupHeartbeatResponseData got = send(join("full", "b", "t1"), 1);
        tell("heartbeat b joins again", error(got.errorCode(), got.errorMessage()));
        for (String member : List.of("b", "c", "d", "e")) hb(member + " leaves", beat("full", member, -1));
    }

    static void both() throws IOException {
        title("members of the classic protocol in a consumer group");
        int a = hb("a joins", join("m", "a", "t1")).memberEpoch();
        hb("a has them", beat("m", "a", a).setTopicPartitions(owned("t1:0,1,2,3")));
        classicJoin("of another type", "m", "", null, "connect", List.of("t1"), List.of(), -1);
        JoinGroupResponseData first = classicJoin("without an id", "m", "", null, "consumer", List.of("t1"), List.of(), -1);
        JoinGroupResponseData joined = classicJoin("with it", "m", first.memberId(), null, "consumer", List.of("t1"), List.of(), -1);
        String c = joined.memberId();
        classicSync("before there is something", "m", c, joined.generationId());
        classicHeartbeat("while a gives back", "m", c, joined.generationId());
        describe(1, "m");
        hb("a shall give some back", beat("m", "a", a));
        hb("a gives them back", beat("m", "a", a).setTopicPartitions(owned("t1:0,1")));
        classicHeartbeat("is told to join", "m", c, joined.generationId());
        joined = classicJoin("again", "m", c, null, "consumer", List.of("t1"), List.of(), joined.generationId());
        classicSync("gets its part", "m", c, joined.generationId());
        classicHeartbeat("all is well", "m", c, joined.generationId());
        classicHeartbeat("at an epoch before", "m", c, joined.generationId() - 1);
        classicHeartbeat("at an epoch to come", "m", c, joined.generationId() + 1);
        classicHeartbeat("of a member of the new protocol", "m", "a", joined.generationId());
        classicSync("of a member of the new protocol", "m", "a", joined.generationId());
        classicSync("at an epoch before", "m", c, joined.generationId() - 1);
        classicSync("of somebody unknown", "m", "z", joined.generationId());
        hb("as a member that is classic", beat("m", c, joined.generationId()));
        commit("of a classic member", 8, "m", c, joined.generationId(), "t1", 2, "");
        commit("of a classic member", 9, "m", c, joined.generationId(), "t1", 2, "");
        commit("of a classic member at an epoch before", 9, "m", c, joined.generationId() - 1, "t1", 2, "");
        describe(1, "m");
        describe(0, "m");
        classicDescribe(6, "m");
        hb("a leaves: a classic group is left", beat("m", "a", -1));
        describe(1, "m");
        classicDescribe(6, "m");
        classicHeartbeat("in the classic group", "m", c, joined.generationId());
        classicLeave("of the last", "m", c, null);

        title("members of the new protocol in a classic group");
        commit("of nobody makes a group", 9, "k", "", -1, "t1", 0, "");
        hb("a joins an empty classic group", join("k", "a", "t1"));
        describe(1, "k");
        hb("a leaves", beat("k", "a", -1));
        first = classicJoin("without an id, of a group of connectors", "w", "", null, "connect", List.of("t1"), List.of(), -1);
        joined = classicJoin("with it", "w", first.memberId(), null, "connect", List.of("t1"), List.of(), -1);
        hb("a joins a group of connectors", join("w", "a", "t1"));
        describe(1, "w");
        classicLeave("of the connector", "w", joined.memberId(), null);
        hb("a joins what is left", join("w", "a", "t1"));
        hb("a leaves", beat("w", "a", -1));
    }

    public static void main(String[] args) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            for (Map.Entry<String, Integer> e : new TreeMap<>(Map.of("t1", 4, "t2", 2, "t3", 1)).entrySet()) {
                Uuid id = admin.createTopics(List.of(new NewTopic(e.getKey(), e.getValue(), (short) 1))).topicId(e.getKey()).get();
                names.put(id, e.getKey());
                ids.put(e.getKey(), id);
            }
            // The topic of offsets is made, and its partitions are there, when a group has an answer.
            long end = System.nanoTime() + 60_000_000_000L;
            while (true) {
                try {
                    admin.alterConsumerGroupOffsets("warm", Map.of(new TopicPartition("t1", 0), new org.apache.kafka.clients.consumer.OffsetAndMetadata(1))).all().get();
                    admin.deleteConsumerGroups(List.of("warm")).all().get();
                    break;
                } catch (Exception e) {
                    if (System.nanoTime() > end) throw e;
                }
            }
        }
        String[] at = args[0].split(":");
        try (Socket socket = new Socket(at[0], Integer.parseInt(at[1]))) {
            socket.setSoTimeout(30_000);
            in = new DataInputStream(new BufferedInputStream(socket.getInputStream()));
            out = new DataOutputStream(new BufferedOutputStream(socket.getOutputStream()));
            nonsense();
            life();
            statics();
            expressions();
            size();
            both();
        }
    }
}
