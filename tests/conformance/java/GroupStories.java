import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/**
 * What applications do in consumer groups of the new protocol (KIP-848) with Kafka's own Java client, one method a story.
 * usage: java GroupStories BOOTSTRAP [STORY...]; of a node on which a group may have four members
 */
public class GroupStories {
    static String bootstrap;
    static Admin admin;
    static int topics = 0;
    static final String RUN = Long.toString(System.nanoTime(), 36);
    /** Members of the story that runs, to be ended after it. */
    static final Queue<Member> members = new ConcurrentLinkedQueue<>();

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        Set<String> wanted = new TreeSet<>(Arrays.asList(args).subList(1, args.length));
        boolean failed = false;
        admin = Admin.create(Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", "30000"));
        List<Method> stories = Arrays.stream(GroupStories.class.getDeclaredMethods())
            .filter(m -> m.isAnnotationPresent(Story.class))
            .sorted(Comparator.comparing(Method::getName)).collect(Collectors.toList());
        for (Method m : stories) {
            if (!wanted.isEmpty() && !wanted.contains(m.getName())) continue;
            long begun = System.nanoTime();
            try {
                m.invoke(null);
                System.out.printf("ok groups/%s (%d ms)%n", m.getName(), (System.nanoTime() - begun) / 1_000_000);
            } catch (Throwable t) {
                failed = true;
                Throwable c = t.getCause() == null ? t : t.getCause();
                StackTraceElement at = Arrays.stream(c.getStackTrace())
                    .filter(e -> e.getClassName().startsWith("GroupStories")).findFirst().orElse(null);
                System.out.printf("not ok groups/%s: %s at %s%n", m.getName(), String.valueOf(c).replace('\n', ' '), at);
            }
            for (Member member; (member = members.poll()) != null; ) member.leave();
        }
        admin.close(Duration.ofSeconds(5));
        System.exit(failed ? 1 : 0);
    }

    @java.lang.annotation.Retention(java.lang.annotation.RetentionPolicy.RUNTIME)
    @interface Story {}

    // ---- helpers -------------------------------------------------------------------------------

    static void check(boolean ok, String what) { if (!ok) throw new AssertionError(what); }

    static void equal(Object got, Object want, String what) {
        if (!Objects.equals(got, want)) throw new AssertionError(what + ": got " + got + ", want " + want);
    }

    static <T extends Throwable> T fails(Class<T> with, Callable<?> what) throws Exception {
        try { what.call(); } catch (Throwable t) {
            Throwable c = t instanceof ExecutionException ? t.getCause() : t;
            if (with.isInstance(c)) return with.cast(c);
            throw new AssertionError("want " + with.getSimpleName() + ", got " + c, c);
        }
        throw new AssertionError("want " + with.getSimpleName() + ", but it succeeded");
    }

    static void until(String what, Callable<Boolean> holds) throws Exception { until(() -> what, holds); }

    static void until(java.util.function.Supplier<String> what, Callable<Boolean> holds) throws Exception {
        long end = System.nanoTime() + 40_000_000_000L;
        while (!holds.call()) {
            if (System.nanoTime() > end) throw new AssertionError("never: " + what.get());
            Thread.sleep(20);
        }
    }

    static String topic(int partitions) throws Exception {
        String name = "groups-" + RUN + "-" + topics++;
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all().get();
        return name;
    }

    static byte[] b(String s) { return s.getBytes(StandardCharsets.UTF_8); }

    static void fill(String topic, int partitions, int each, int from) throws Exception {
        try (KafkaProducer<byte[], byte[]> p = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap, "linger.ms", "5"),
                new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int i = 0; i < each; i++)
                for (int q = 0; q < partitions; q++) p.send(new ProducerRecord<>(topic, q, null, b("v" + (from + i))));
        }
    }

    static KafkaConsumer<byte[], byte[]> consumer(String protocol, String group, String... config) {
        Map<String, Object> c = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest", "group.id", group,
            "group.protocol", protocol, "metadata.max.age.ms", "1000"));
        if (protocol.equals("classic")) c.put("heartbeat.interval.ms", "200");
        for (int i = 0; i < config.length; i += 2) c.put(config[i], config[i + 1]);
        return new KafkaConsumer<>(c, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** The configuration of a group, by which its members hear of changes at once. */
    static String group(String what) throws Exception {
        String group = what + "-" + RUN + "-" + topics++;
        set(group, "consumer.heartbeat.interval.ms", "100", "consumer.session.timeout.ms", "45000");
        return group;
    }

    static void set(String group, String... config) throws Exception {
        List<AlterConfigOp> ops = new ArrayList<>();
        for (int i = 0; i < config.length; i += 2)
            ops.add(new AlterConfigOp(new ConfigEntry(config[i], config[i + 1]), config[i + 1] == null ? AlterConfigOp.OpType.DELETE : AlterConfigOp.OpType.SET));
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), ops)).all().get();
    }

    /** A consumer that polls on a thread of its own until it is told to end. */
    static class Member implements ConsumerRebalanceListener {
        final KafkaConsumer<byte[], byte[]> consumer;
        final Thread thread;
        final Set<TopicPartition> has = ConcurrentHashMap.newKeySet();
        final Queue<String> seen = new ConcurrentLinkedQueue<>();
        final List<String> events = Collections.synchronizedList(new ArrayList<>());
        volatile String id;
        volatile Throwable failure;
        volatile boolean ending;
        volatile CloseOptions how = CloseOptions.timeout(Duration.ofSeconds(10));

        Member(KafkaConsumer<byte[], byte[]> consumer, java.util.function.BiConsumer<KafkaConsumer<byte[], byte[]>, ConsumerRebalanceListener> subscribe) {
            this.consumer = consumer;
            subscribe.accept(consumer, this);
            thread = new Thread(this::run);
            thread.setDaemon(true);
            members.add(this);
            thread.start();
        }

        void run() {
            try {
                while (!ending) {
                    for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(100)))
                        seen.add(r.topic() + "-" + r.partition() + "@" + r.offset());
                    id = consumer.groupMetadata().memberId();
                }
            } catch (Throwable t) {
                failure = t;
            } finally {
                try { consumer.close(how); } catch (Throwable t) { if (failure == null) failure = t; }
            }
        }

        @Override public void onPartitionsAssigned(Collection<TopicPartition> p) { events.add("+" + p.size()); has.addAll(p); }
        @Override public void onPartitionsRevoked(Collection<TopicPartition> p) { events.add("-" + p.size()); has.removeAll(p); }
        @Override public void onPartitionsLost(Collection<TopicPartition> p) { events.add("lost" + p.size()); has.removeAll(p); }

        void leave() throws Exception {
            ending = true;
            thread.join(20_000);
            check(!thread.isAlive(), "a member ends");
        }

        Set<Integer> numbers() { return has.stream().map(TopicPartition::partition).collect(Collectors.toCollection(TreeSet::new)); }
    }

    static Member speaks(String protocol, String group, String topic, String... config) {
        return new Member(consumer(protocol, group, config), (c, l) -> c.subscribe(List.of(topic.split(",")), l));
    }

    static Member member(String group, String topic, String... config) { return speaks("consumer", group, topic, config); }

    /** Waits until the members have so many partitions together, each one alone, and as many as they shall. */
    static void settled(int partitions, List<Integer> sizes, Member... all) throws Exception {
        until(() -> "of " + partitions + ": " + Arrays.stream(all).map(m -> m.has + " " + m.failure).collect(Collectors.toList()), () -> {
            Set<TopicPartition> union = new HashSet<>();
            List<Integer> have = new ArrayList<>();
            for (Member m : all) {
                if (m.failure != null) throw new AssertionError("a member failed: " + m.failure, m.failure);
                union.addAll(m.has);
                have.add(m.has.size());
            }
            Collections.sort(have);
            return union.size() == partitions && have.equals(sizes);
        });
    }

    static ConsumerGroupDescription describe(String group) throws Exception {
        return admin.describeConsumerGroups(List.of(group)).all().get().get(group);
    }

    static void state(String group, GroupState state) throws Exception {
        until(() -> group + " is " + state, () -> describe(group).groupState() == state);
    }

    static Set<String> offsets(int partitions, int from, int to, String topic) {
        Set<String> all = new TreeSet<>();
        for (int q = 0; q < partitions; q++) for (int i = from; i < to; i++) all.add(topic + "-" + q + "@" + i);
        return all;
    }

    // ---- members come and go -------------------------------------------------------------------

    @Story static void membersShareAndNobodyReadsTwice() throws Exception {
        String t = topic(6), g = group("share");
        fill(t, 6, 50, 0);
        Member a = member(g, t);
        settled(6, List.of(6), a);
        until("a has read all", () -> a.seen.size() == 300);
        Member b = member(g, t);
        settled(6, List.of(3, 3), a, b);
        Member c = member(g, t);
        settled(6, List.of(2, 2, 2), a, b, c);
        state(g, GroupState.STABLE);
        fill(t, 6, 50, 50);
        until("all is read", () -> a.seen.size() + b.seen.size() + c.seen.size() >= 600);
        Set<String> all = new TreeSet<>(a.seen);
        all.addAll(b.seen);
        all.addAll(c.seen);
        equal(all, offsets(6, 0, 100, t), "what was read");
        equal(a.seen.size() + b.seen.size() + c.seen.size(), 600, "nothing twice: who gives a partition back commits first");
        // Nobody but who has to gave anything back.
        equal(a.events.stream().filter(e -> e.startsWith("-")).mapToInt(e -> Integer.parseInt(e.substring(1))).sum(), 4, "what a gave back");
        b.leave();
        settled(6, List.of(3, 3), a, c);
        a.leave();
        settled(6, List.of(6), c);
        c.leave();
        state(g, GroupState.EMPTY);
    }

    @Story static void membersWithSeveralTopics() throws Exception {
        String t = topic(4), u = topic(2), g = group("several");
        Member a = member(g, t), b = member(g, t + "," + u);
        until("each has what it asks for", () -> a.has.stream().allMatch(p -> p.topic().equals(t)) && a.has.size() + b.has.size() == 6
            && a.has.size() == 3 && b.has.size() == 3);
        // A topic that comes later, and partitions that do.
        String v = "groups-" + RUN + "-later";
        Member c = member(g, v, "allow.auto.create.topics", "false");
        until("c is in", () -> describe(g).members().size() == 3);
        equal(c.has, Set.of(), "there is nothing yet");
        admin.createTopics(List.of(new NewTopic(v, 2, (short) 1))).all().get();
        until("c has the new topic", () -> c.has.size() == 2);
        admin.createPartitions(Map.of(v, NewPartitions.increaseTo(5))).all().get();
        until("c has the new partitions", () -> c.has.size() == 5);
        admin.deleteTopics(List.of(v)).all().get();
        until("c has nothing", () -> c.has.isEmpty());
    }

    @Story static void memberThatPollsTooLateIsBack() throws Exception {
        String t = topic(2), g = group("late");
        KafkaConsumer<byte[], byte[]> late = consumer("consumer", g, "max.poll.interval.ms", "1000");
        Set<TopicPartition> lost = ConcurrentHashMap.newKeySet();
        late.subscribe(List.of(t), new ConsumerRebalanceListener() {
            @Override public void onPartitionsAssigned(Collection<TopicPartition> p) { }
            @Override public void onPartitionsRevoked(Collection<TopicPartition> p) { }
            @Override public void onPartitionsLost(Collection<TopicPartition> p) { lost.addAll(p); }
        });
        until("it has them", () -> { late.poll(Duration.ofMillis(50)); return late.assignment().size() == 2; });
        Member live = member(g, t);
        settled(2, List.of(2), live);
        until("it has lost them and is back", () -> { late.poll(Duration.ofMillis(50)); return late.assignment().size() == 1; });
        equal(lost.size(), 2, "what it lost");
        late.close();
    }

    @Story static void membersAreStatic() throws Exception {
        String t = topic(4), g = group("static");
        Member a = member(g, t, "group.instance.id", "one"), b = member(g, t, "group.instance.id", "two");
        settled(4, List.of(2, 2), a, b);
        Set<Integer> had = a.numbers();
        int epoch = describe(g).groupEpoch().get();
        // Somebody of its name is refused while it is there.
        Member z = member(g, t, "group.instance.id", "one");
        until("the name is taken", () -> z.failure instanceof UnreleasedInstanceIdException);
        a.leave();
        until("its place is kept", () -> describe(g).members().stream().anyMatch(m -> m.groupInstanceId().equals(Optional.of("one"))
            && m.memberEpoch().equals(Optional.of(-2))));
        equal(b.has.size(), 2, "nobody takes its partitions");
        Member c = member(g, t, "group.instance.id", "one");
        settled(4, List.of(2, 2), b, c);
        equal(c.numbers(), had, "it has what it had");
        equal(describe(g).groupEpoch().get(), epoch, "no rebalance");
        b.leave();
        admin.removeMembersFromConsumerGroup(g, new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("two")))).all().get();
        settled(4, List.of(4), c);
    }

    // ---- subscriptions by pattern --------------------------------------------------------------

    static Member matching(String group, String pattern, String... config) {
        return new Member(consumer("consumer", group, config), (c, l) -> c.subscribe(new SubscriptionPattern(pattern), l));
    }

    @Story static void patternsAreMatchedByTheBroker() throws Exception {
        String g = group("pattern"), p = "pattern-" + RUN;
        admin.createTopics(List.of(new NewTopic(p + "-a1", 2, (short) 1), new NewTopic(p + "-a2", 1, (short) 1), new NewTopic(p + "-b1", 3, (short) 1))).all().get();
        Member a = matching(g, p + "-a[0-9]+");
        until("it has what matches", () -> a.has.size() == 3);
        admin.createTopics(List.of(new NewTopic(p + "-a33", 4, (short) 1), new NewTopic("not-" + p + "-a4", 4, (short) 1), new NewTopic(p + "-a5-", 4, (short) 1))).all().get();
        until("and what comes: a whole name must match", () -> a.has.size() == 7);
        Member b = matching(g, p + "-a[0-9]+"), c = member(g, p + "-b1");
        until("members with the same pattern share", () -> a.has.size() + b.has.size() == 7 && Math.abs(a.has.size() - b.has.size()) == 1 && c.has.size() == 3);
        equal(describe(g).members().size(), 3, "members");
        // Internal topics are topics.
        Member all = matching(group("internal"), "__.*offsets");
        until("it has all its partitions", () -> all.has.size() == 50);
    }

    @Story static void patternThatIsNone() throws Exception {
        Member a = matching(group("nonsense"), "(unclosed");
        until("it is refused", () -> a.failure instanceof InvalidRegularExpression);
        // Java would know what follows; the broker's matching takes a time linear in the name, and knows none of it.
        Member b = matching(group("nonsense"), "(?=a)b");
        until("it is refused, too", () -> b.failure instanceof InvalidRegularExpression);
        // What would take another engine for ever takes none here.
        topic(1);
        String g = group("bomb");
        Member c = matching(g, "(g+)+(r+)+(o+)+([a-z0-9-]+)*" + "(x*)*".repeat(20) + "!");
        until("it is a member", () -> {
            try { return describe(g).members().stream().anyMatch(m -> m.memberEpoch().get() > 0); } catch (ExecutionException e) { return false; }
        });
        state(g, GroupState.STABLE);
        equal(c.has, Set.of(), "nothing matches");
    }

    // ---- assignors -----------------------------------------------------------------------------

    @Story static void assignorsOfTheBroker() throws Exception {
        String t = topic(5), u = topic(5), g = group("uniform");
        Member a = member(g, t + "," + u, "group.remote.assignor", "uniform"), b = member(g, t + "," + u, "group.remote.assignor", "uniform");
        settled(10, List.of(5, 5), a, b);
        equal(describe(g).partitionAssignor(), "uniform", "assignor");
        String h = group("range");
        Member c = member(h, t + "," + u, "group.remote.assignor", "range"), d = member(h, t + "," + u, "group.remote.assignor", "range");
        settled(10, List.of(4, 6), c, d);
        equal(describe(h).partitionAssignor(), "range", "assignor");
        for (Member m : List.of(c, d)) {
            Set<Integer> ofT = new TreeSet<>(), ofU = new TreeSet<>();
            m.has.forEach(tp -> (tp.topic().equals(t) ? ofT : ofU).add(tp.partition()));
            equal(ofT, ofU, "partitions of one number go together");
        }
    }

    @Story static void assignorThatIsNone() throws Exception {
        Member a = member(group("assignor"), topic(1), "group.remote.assignor", "nope");
        until("it is refused", () -> a.failure instanceof UnsupportedAssignorException);
        check(a.failure.getMessage().contains("Supported assignors: uniform, range."), "what is said: " + a.failure);
    }

    @Story static void groupIsFull() throws Exception {
        String t = topic(8), g = group("full");
        Member[] four = {member(g, t), member(g, t), member(g, t), member(g, t)};
        settled(8, List.of(2, 2, 2, 2), four);
        Member more = member(g, t);
        until("the fifth is refused", () -> more.failure instanceof GroupMaxSizeReachedException);
        four[0].leave();
        Member again = member(g, t);
        settled(8, List.of(2, 2, 2, 2), again, four[1], four[2], four[3]);
    }

    // ---- offsets -------------------------------------------------------------------------------

    @Story static void commitsOfMembers() throws Exception {
        String t = topic(2), g = group("commits");
        fill(t, 2, 100, 0);
        TopicPartition p = new TopicPartition(t, 0), q = new TopicPartition(t, 1);
        try (KafkaConsumer<byte[], byte[]> c = consumer("consumer", g, "enable.auto.commit", "false")) {
            c.subscribe(List.of(t));
            until("it has them", () -> { c.poll(Duration.ofMillis(50)); return c.assignment().size() == 2; });
            c.commitSync(Map.of(p, new OffsetAndMetadata(40, Optional.of(0), "note"), q, new OffsetAndMetadata(7)));
            equal(c.committed(Set.of(p, q)).get(p), new OffsetAndMetadata(40, Optional.of(0), "note"), "what it fetches");
            fails(OffsetMetadataTooLarge.class, () -> { c.commitSync(Map.of(p, new OffsetAndMetadata(1, "x".repeat(5000)))); return null; });
            equal(admin.listConsumerGroupOffsets(g).partitionsToOffsetAndMetadata().get().get(q).offset(), 7L, "what the admin sees");
            // Nobody else commits while there are members.
            fails(UnknownMemberIdException.class, () -> admin.alterConsumerGroupOffsets(g, Map.of(p, new OffsetAndMetadata(1))).all().get());
            fails(GroupSubscribedToTopicException.class, () -> admin.deleteConsumerGroupOffsets(g, Set.of(p)).all().get());
            fails(GroupNotEmptyException.class, () -> admin.deleteConsumerGroups(List.of(g)).all().get());
        }
        state(g, GroupState.EMPTY);
        Member again = member(g, t);
        until("it goes on at the commit", () -> again.seen.size() == 60 + 93);
        check(again.seen.contains(t + "-0@40") && !again.seen.contains(t + "-0@39") && again.seen.contains(t + "-1@7"), "where it goes on");
        again.leave();
        equal(admin.listConsumerGroupOffsets(g).partitionsToOffsetAndMetadata().get().get(p).offset(), 100L, "what it committed as it left");
        admin.alterConsumerGroupOffsets(g, Map.of(p, new OffsetAndMetadata(90))).all().get();
        equal(admin.listConsumerGroupOffsets(g).partitionsToOffsetAndMetadata().get().get(p).offset(), 90L, "what was altered");
        admin.deleteConsumerGroupOffsets(g, Set.of(p)).all().get();
        equal(admin.listConsumerGroupOffsets(g).partitionsToOffsetAndMetadata().get().keySet(), Set.of(q), "what is left");
        admin.deleteConsumerGroups(List.of(g)).all().get();
        fails(GroupIdNotFoundException.class, () -> describe(g));
    }

    @Story static void offsetsOfTopicsThatAreMadeAgain() throws Exception {
        String t = topic(1), g = group("again");
        fill(t, 1, 10, 0);
        Member a = member(g, t);
        until("it has read", () -> a.seen.size() == 10);
        a.leave();
        admin.deleteTopics(List.of(t)).all().get();
        until("its offsets are gone", () -> admin.listConsumerGroupOffsets(g).partitionsToOffsetAndMetadata().get().isEmpty());
        until("it is made again", () -> {
            try { admin.createTopics(List.of(new NewTopic(t, 1, (short) 1))).all().get(); return true; } catch (ExecutionException e) { return false; }
        });
        fill(t, 1, 5, 0);
        Member b = member(g, t);
        until("it begins at the beginning", () -> b.seen.size() == 5);
    }

    // ---- what is told of groups ----------------------------------------------------------------

    @Story static void groupsDescribedAndListed() throws Exception {
        String t = topic(4), g = group("described");
        Member a = member(g, t, "client.id", "first", "client.rack", "here"), b = member(g, t, "client.id", "second", "group.instance.id", "named");
        settled(4, List.of(2, 2), a, b);
        state(g, GroupState.STABLE);
        ConsumerGroupDescription d = describe(g);
        equal(d.type(), GroupType.CONSUMER, "type");
        equal(d.partitionAssignor(), "uniform", "assignor");
        check(!d.isSimpleConsumerGroup(), "not simple");
        equal(d.groupEpoch(), d.targetAssignmentEpoch(), "epochs");
        for (MemberDescription m : d.members()) {
            Member is = m.clientId().equals("first") ? a : b;
            equal(m.assignment().topicPartitions(), is.has, "assignment of " + m.clientId());
            equal(m.targetAssignment().get().topicPartitions(), is.has, "target of " + m.clientId());
            equal(m.memberEpoch(), d.groupEpoch(), "epoch of " + m.clientId());
            equal(m.groupInstanceId(), is == a ? Optional.empty() : Optional.of("named"), "instance");
            equal(m.rackId(), is == a ? Optional.of("here") : Optional.empty(), "rack");
            equal(m.upgraded(), Optional.of(true), "speaks the new protocol");
            equal(m.consumerId(), is.id, "the client's own id");
            equal(m.host(), "/127.0.0.1", "host");
        }
        GroupListing listed = admin.listGroups(new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER)).inGroupStates(Set.of(GroupState.STABLE)))
            .all().get().stream().filter(x -> x.groupId().equals(g)).findFirst().get();
        equal(listed.type(), Optional.of(GroupType.CONSUMER), "type in the list");
        equal(listed.protocol(), "consumer", "protocol in the list");
        check(admin.listGroups(new ListGroupsOptions().withTypes(Set.of(GroupType.CLASSIC))).all().get().stream().noneMatch(x -> x.groupId().equals(g)), "filtered by type");
        check(admin.listGroups(new ListGroupsOptions().inGroupStates(Set.of(GroupState.EMPTY))).all().get().stream().noneMatch(x -> x.groupId().equals(g)), "filtered by state");
        // The tools ask for classic groups, too.
        fails(GroupIdNotFoundException.class, () -> admin.describeClassicGroups(List.of(g)).all().get());
    }

    @Story static void groupsConfigured() throws Exception {
        String g = "configured-" + RUN;
        ConfigResource r = new ConfigResource(ConfigResource.Type.GROUP, g);
        Config c = admin.describeConfigs(List.of(r)).all().get().get(r);
        equal(c.get("consumer.session.timeout.ms").value(), "45000", "default");
        equal(c.get("consumer.heartbeat.interval.ms").source().toString(), "DEFAULT_CONFIG", "source");
        set(g, "consumer.session.timeout.ms", "50000");
        until("it is there", () -> admin.describeConfigs(List.of(r)).all().get().get(r).get("consumer.session.timeout.ms").value().equals("50000"));
        equal(admin.describeConfigs(List.of(r)).all().get().get(r).get("consumer.session.timeout.ms").source().toString(), "DYNAMIC_GROUP_CONFIG", "source");
        check(admin.listConfigResources(Set.of(ConfigResource.Type.GROUP), new ListConfigResourcesOptions()).all().get().contains(r), "listed");
        fails(InvalidConfigurationException.class, () -> { set(g, "consumer.session.timeout.ms", "70000"); return null; });
        fails(InvalidConfigurationException.class, () -> { set(g, "no.such", "1"); return null; });
        fails(InvalidConfigurationException.class, () -> { set(g, "consumer.heartbeat.interval.ms", "50"); return null; });
        set(g, "consumer.session.timeout.ms", null);
        until("it is gone", () -> admin.describeConfigs(List.of(r)).all().get().get(r).get("consumer.session.timeout.ms").value().equals("45000"));
    }

    // ---- both protocols ------------------------------------------------------------------------

    @Story static void groupIsUpgradedMemberByMember() throws Exception {
        String t = topic(6), g = group("upgrade");
        fill(t, 6, 20, 0);
        String cooperative = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
        Member a = speaks("classic", g, t, "partition.assignment.strategy", cooperative), b = speaks("classic", g, t, "partition.assignment.strategy", cooperative);
        settled(6, List.of(3, 3), a, b);
        until("all is read", () -> a.seen.size() + b.seen.size() == 120);
        equal(describe(g).type(), GroupType.CLASSIC, "type");
        Member c = member(g, t);
        settled(6, List.of(2, 2, 2), a, b, c);
        ConsumerGroupDescription d = describe(g);
        equal(d.type(), GroupType.CONSUMER, "type with one new member");
        equal(d.members().stream().filter(m -> m.upgraded().equals(Optional.of(false))).count(), 2L, "classic members");
        a.leave();
        Member e = member(g, t);
        settled(6, List.of(2, 2, 2), b, c, e);
        b.leave();
        settled(6, List.of(3, 3), c, e);
        equal(describe(g).members().stream().filter(m -> m.upgraded().equals(Optional.of(true))).count(), 2L, "new members");
        fill(t, 6, 20, 20);
        until("the rest is read", () -> c.seen.size() + e.seen.size() >= 120);
        equal(c.seen.size() + e.seen.size(), 120, "what was committed before holds");

        // And back again, while it is used.
        Member f = speaks("classic", g, t, "partition.assignment.strategy", cooperative);
        settled(6, List.of(2, 2, 2), c, e, f);
        c.leave();
        settled(6, List.of(3, 3), e, f);
        equal(describe(g).type(), GroupType.CONSUMER, "type while one is left");
        e.leave();
        settled(6, List.of(6), f);
        until("the last of the new protocol makes it classic", () -> describe(g).type() == GroupType.CLASSIC);
        fill(t, 6, 20, 40);
        until("all is read", () -> f.seen.size() >= 120);
        equal(f.seen.size(), 120, "nothing twice");
    }

    @Story static void groupWithoutMembersChangesItsProtocol() throws Exception {
        String t = topic(2), g = group("empty");
        fill(t, 2, 10, 0);
        for (String protocol : List.of("classic", "consumer", "classic", "consumer")) {
            Member m = speaks(protocol, g, t);
            settled(2, List.of(2), m);
            equal(describe(g).type(), protocol.equals("classic") ? GroupType.CLASSIC : GroupType.CONSUMER, "type");
            m.leave();
            state(g, GroupState.EMPTY);
        }
        equal(admin.listConsumerGroupOffsets(g).partitionsToOffsetAndMetadata().get().get(new TopicPartition(t, 0)).offset(), 10L, "its offsets stay");
    }

    @Story static void eagerMembersBesideNewOnes() throws Exception {
        String t = topic(6), g = group("eager");
        String range = "org.apache.kafka.clients.consumer.RangeAssignor";
        Member a = speaks("classic", g, t, "partition.assignment.strategy", range);
        settled(6, List.of(6), a);
        Member b = member(g, t);
        settled(6, List.of(3, 3), a, b);
        Member c = speaks("classic", g, t, "partition.assignment.strategy", range);
        settled(6, List.of(2, 2, 2), a, b, c);
        a.leave();
        settled(6, List.of(3, 3), b, c);
    }
}
