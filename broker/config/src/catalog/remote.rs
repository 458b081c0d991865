//! Keys of tiered storage.

use crate::catalog::{keys, why};
use crate::key::Text;
use crate::valid::Valid;

keys! {
    /// Whether this cluster has a remote store for old segments.
    REMOTE_LOG_STORAGE_SYSTEM_ENABLE: bool = "remote.log.storage.system.enable",
        .default("false").planned(why::TIER);
    /// Java class of the remote store.
    REMOTE_LOG_STORAGE_MANAGER_CLASS_NAME: Option<Text> = "remote.log.storage.manager.class.name",
        .valid(Valid::NonEmptyText).no_effect(why::PLUGIN);
    /// Class path of that class.
    REMOTE_LOG_STORAGE_MANAGER_CLASS_PATH: Option<Text> = "remote.log.storage.manager.class.path",
        .no_effect(why::PLUGIN);
    /// Prefix of the keys that the remote store gets.
    REMOTE_LOG_STORAGE_MANAGER_IMPL_PREFIX: Text = "remote.log.storage.manager.impl.prefix",
        .default("rsm.config.").valid(Valid::NonEmptyText).planned(why::TIER);
    /// Java class that keeps the metadata of remote segments.
    REMOTE_LOG_METADATA_MANAGER_CLASS_NAME: Text = "remote.log.metadata.manager.class.name",
        .default("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager")
        .valid(Valid::NonEmptyText).no_effect(why::PLUGIN);
    /// Class path of that class.
    REMOTE_LOG_METADATA_MANAGER_CLASS_PATH: Option<Text> = "remote.log.metadata.manager.class.path",
        .no_effect(why::PLUGIN);
    /// Prefix of the keys that it gets.
    REMOTE_LOG_METADATA_MANAGER_IMPL_PREFIX: Text = "remote.log.metadata.manager.impl.prefix",
        .default("rlmm.config.").valid(Valid::NonEmptyText).planned(why::TIER);
    /// Listener over which it reaches the brokers.
    REMOTE_LOG_METADATA_MANAGER_LISTENER_NAME: Option<Text> = "remote.log.metadata.manager.listener.name",
        .valid(Valid::NonEmptyText).planned(why::TIER);
    /// Most bytes that the remote store may add to a segment's metadata.
    REMOTE_LOG_METADATA_CUSTOM_METADATA_MAX_BYTES: i32 = "remote.log.metadata.custom.metadata.max.bytes",
        .default("128").min(0).low().planned(why::TIER);
    /// Disk space for indexes of remote segments.
    REMOTE_LOG_INDEX_FILE_CACHE_TOTAL_SIZE_BYTES: i64 = "remote.log.index.file.cache.total.size.bytes",
        .default("1073741824").min(1).low().cluster_wide().planned(why::TIER);
    /// How long an index of a remote segment that nobody reads stays.
    REMOTE_LOG_INDEX_FILE_CACHE_TTL_MS: i64 = "remote.log.index.file.cache.ttl.ms",
        .default("900000").min(-1).low().internal().planned(why::TIER);
    /// Threads of the work on remote segments.
    REMOTE_LOG_MANAGER_THREAD_POOL_SIZE: i32 = "remote.log.manager.thread.pool.size",
        .default("2").min(1).planned(why::TIER);
    /// Threads that copy segments to the remote store.
    REMOTE_LOG_MANAGER_COPIER_THREAD_POOL_SIZE: i32 = "remote.log.manager.copier.thread.pool.size",
        .default("10").min(1).cluster_wide().planned(why::TIER);
    /// Threads that remove remote segments.
    REMOTE_LOG_MANAGER_EXPIRATION_THREAD_POOL_SIZE: i32 = "remote.log.manager.expiration.thread.pool.size",
        .default("10").min(1).cluster_wide().planned(why::TIER);
    /// Threads that keep followers' view of remote segments.
    REMOTE_LOG_MANAGER_FOLLOWER_THREAD_POOL_SIZE: i32 = "remote.log.manager.follower.thread.pool.size",
        .default("2").min(1).cluster_wide().planned(why::TIER);
    /// How often a partition's remote work is done.
    REMOTE_LOG_MANAGER_TASK_INTERVAL_MS: i64 = "remote.log.manager.task.interval.ms",
        .default("30000").min(1).low().planned(why::TIER);
    /// First pause after remote work that failed.
    REMOTE_LOG_MANAGER_TASK_RETRY_BACKOFF_MS: i64 = "remote.log.manager.task.retry.backoff.ms",
        .default("500").min(1).low().internal().planned(why::TIER);
    /// Longest pause after remote work that failed.
    REMOTE_LOG_MANAGER_TASK_RETRY_BACKOFF_MAX_MS: i64 = "remote.log.manager.task.retry.backoff.max.ms",
        .default("30000").min(1).low().internal().planned(why::TIER);
    /// Random share of that pause.
    REMOTE_LOG_MANAGER_TASK_RETRY_JITTER: f64 = "remote.log.manager.task.retry.jitter",
        .default("0.2").valid(Valid::Fraction(0.0, 0.5)).low().internal().planned(why::TIER);
    /// Most bytes a second that are copied to the remote store.
    REMOTE_LOG_MANAGER_COPY_MAX_BYTES_PER_SECOND: i64 = "remote.log.manager.copy.max.bytes.per.second",
        .default("9223372036854775807").min(1).cluster_wide().planned(why::TIER);
    /// Samples that this is measured over.
    REMOTE_LOG_MANAGER_COPY_QUOTA_WINDOW_NUM: i32 = "remote.log.manager.copy.quota.window.num",
        .default("11").min(1).planned(why::TIER);
    /// Length of one of those samples.
    REMOTE_LOG_MANAGER_COPY_QUOTA_WINDOW_SIZE_SECONDS: i32 = "remote.log.manager.copy.quota.window.size.seconds",
        .default("1").min(1).planned(why::TIER);
    /// Most bytes a second that are read from the remote store.
    REMOTE_LOG_MANAGER_FETCH_MAX_BYTES_PER_SECOND: i64 = "remote.log.manager.fetch.max.bytes.per.second",
        .default("9223372036854775807").min(1).cluster_wide().planned(why::TIER);
    /// Samples that this is measured over.
    REMOTE_LOG_MANAGER_FETCH_QUOTA_WINDOW_NUM: i32 = "remote.log.manager.fetch.quota.window.num",
        .default("11").min(1).planned(why::TIER);
    /// Length of one of those samples.
    REMOTE_LOG_MANAGER_FETCH_QUOTA_WINDOW_SIZE_SECONDS: i32 = "remote.log.manager.fetch.quota.window.size.seconds",
        .default("1").min(1).planned(why::TIER);
    /// Threads that read from the remote store.
    REMOTE_LOG_READER_THREADS: i32 = "remote.log.reader.threads",
        .default("10").min(1).cluster_wide().planned(why::TIER);
    /// Reads of the remote store that may wait.
    REMOTE_LOG_READER_MAX_PENDING_TASKS: i32 = "remote.log.reader.max.pending.tasks",
        .default("100").min(1).planned(why::TIER);
    /// How long a Fetch may wait for the remote store.
    REMOTE_FETCH_MAX_WAIT_MS: i32 = "remote.fetch.max.wait.ms",
        .default("500").min(1).cluster_wide().planned(why::TIER);
    /// How long a ListOffsets may wait for the remote store.
    REMOTE_LIST_OFFSETS_REQUEST_TIMEOUT_MS: i64 = "remote.list.offsets.request.timeout.ms",
        .default("30000").min(1).cluster_wide().planned(why::TIER);
    /// Whether an empty follower begins at the first offset that is not in the remote store
    /// yet.
    FOLLOWER_FETCH_LAST_TIERED_OFFSET_ENABLE: bool = "follower.fetch.last.tiered.offset.enable",
        .default("false").cluster_wide().planned(why::TIER);
}
