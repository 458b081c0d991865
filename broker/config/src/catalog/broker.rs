//! Keys of the broker as a whole.

use crate::catalog::{keys, why};
use crate::key::{ClassName, Names, Text};
use crate::valid::{Emptiness, Valid};

keys! {
    /// Node id under its older name; it always follows `node.id`, and setting both to different
    /// numbers ends the start.
    BROKER_ID: i32 = "broker.id", .default("-1").high();
    /// Rack or zone of this broker, so that replicas can be spread over racks and consumers can
    /// find near ones.
    BROKER_RACK: Option<Text> = "broker.rack";
    /// Threads for background work of Kafka's broker.
    BACKGROUND_THREADS: i32 = "background.threads",
        .default("10").min(1).high().cluster_wide().no_effect(why::THREADS);
    /// Threads that Kafka's broker works requests with.
    NUM_IO_THREADS: i32 = "num.io.threads",
        .default("8").min(1).high().cluster_wide().no_effect(why::THREADS);
    /// How long this node waits for the answer to a request that it sent to another node.
    REQUEST_TIMEOUT_MS: i32 = "request.timeout.ms", .default("30000").high()
        .no_effect(why::AT_ONCE);
    /// Whether a client that asks for a missing topic's metadata, and allows it, gets the topic
    /// created.
    AUTO_CREATE_TOPICS_ENABLE: bool = "auto.create.topics.enable", .default("true").high();
    /// Whether topics may be deleted at all.
    DELETE_TOPIC_ENABLE: bool = "delete.topic.enable", .default("true").high();
    /// Partitions of a new topic when the request names no number.
    NUM_PARTITIONS: i32 = "num.partitions", .default("1").min(1);
    /// Replicas of each partition of a new topic when the request names no number.
    DEFAULT_REPLICATION_FACTOR: i32 = "default.replication.factor", .default("1");
    /// Most partitions that one DescribeTopicPartitions answer lists.
    MAX_REQUEST_PARTITION_SIZE_LIMIT: i32 = "max.request.partition.size.limit",
        .default("2000").min(1);
    /// Most bytes that one Fetch answer carries, whatever the client asks for; one oversized
    /// batch still passes.
    FETCH_MAX_BYTES: i32 = "fetch.max.bytes", .default("57671680").min(1024);
    /// Fetch sessions this broker keeps.
    MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS: i32 = "max.incremental.fetch.session.cache.slots",
        .default("1000").min(0);
    /// How often Kafka sweeps its waiting Fetch requests.
    FETCH_PURGATORY_PURGE_INTERVAL_REQUESTS: i32 = "fetch.purgatory.purge.interval.requests",
        .default("1000").no_effect(why::PURGATORY);
    /// How often Kafka sweeps its waiting Produce requests.
    PRODUCER_PURGATORY_PURGE_INTERVAL_REQUESTS: i32 = "producer.purgatory.purge.interval.requests",
        .default("1000").no_effect(why::PURGATORY);
    /// How often Kafka sweeps its waiting DeleteRecords requests.
    DELETE_RECORDS_PURGATORY_PURGE_INTERVAL_REQUESTS: i32 = "delete.records.purgatory.purge.interval.requests",
        .default("1").no_effect(why::PURGATORY);
    /// How often Kafka sweeps its waiting ShareFetch requests.
    SHARE_FETCH_PURGATORY_PURGE_INTERVAL_REQUESTS: i32 = "share.fetch.purgatory.purge.interval.requests",
        .default("1000").no_effect(why::PURGATORY);
    /// Whether a stopping broker first hands its leaderships to others.
    CONTROLLED_SHUTDOWN_ENABLE: bool = "controlled.shutdown.enable",
        .default("true");
    /// How often a broker tells the controller that it lives.
    BROKER_HEARTBEAT_INTERVAL_MS: i32 = "broker.heartbeat.interval.ms",
        .default("2000");
    /// How long the controller hears nothing from a broker before it fences it.
    BROKER_SESSION_TIMEOUT_MS: i32 = "broker.session.timeout.ms",
        .default("9000");
    /// How long a starting broker tries to register before it gives up.
    INITIAL_BROKER_REGISTRATION_TIMEOUT_MS: i32 = "initial.broker.registration.timeout.ms",
        .default("60000");
    /// Java class that may refuse a change of configuration.
    ALTER_CONFIG_POLICY_CLASS_NAME: Option<ClassName> = "alter.config.policy.class.name",
        .low().no_effect(why::CLASS);
    /// Java class that may refuse a new topic.
    CREATE_TOPIC_POLICY_CLASS_NAME: Option<ClassName> = "create.topic.policy.class.name",
        .low().no_effect(why::CLASS);
    /// Names of providers for `${name:...}` values; env, file and dir are always there.
    CONFIG_PROVIDERS: Names = "config.providers",
        .default("").valid(Valid::Distinct(&[], Emptiness::Allowed)).low().cluster_wide();
    /// Offers versions of APIs that are still in the making.
    UNSTABLE_API_VERSIONS_ENABLE: bool = "unstable.api.versions.enable",
        .default("false").high().internal().planned(why::UNSTABLE);
    /// Allows feature levels that are still in the making.
    UNSTABLE_FEATURE_VERSIONS_ENABLE: bool = "unstable.feature.versions.enable",
        .default("false").high().internal().planned(why::UNSTABLE);
    /// How long Kafka's server lets its own start take.
    SERVER_MAX_STARTUP_TIME_MS: i64 = "server.max.startup.time.ms",
        .default("9223372036854775807").min(0).internal().no_effect(why::STARTUP);
}
