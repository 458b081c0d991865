//! Limits that are set for clients, addresses and brokers at run time, never in the file.

/// Throttles of one broker or all brokers, set as dynamic broker settings.
pub mod throttle {
    use crate::catalog::{keys, why};

    keys! {
        /// Bytes a second at which this broker serves followers of throttled replicas.
        LEADER_REPLICATION_THROTTLED_RATE: i64 = "leader.replication.throttled.rate",
            .default("9223372036854775807").min(0).cluster_wide().planned(why::QUOTA);
        /// Bytes a second at which this broker follows leaders of throttled replicas.
        FOLLOWER_REPLICATION_THROTTLED_RATE: i64 = "follower.replication.throttled.rate",
            .default("9223372036854775807").min(0).cluster_wide().planned(why::QUOTA);
        /// Bytes a second at which this broker moves replicas between its log directories.
        REPLICA_ALTER_LOG_DIRS_IO_MAX_BYTES_PER_SECOND: i64 =
            "replica.alter.log.dirs.io.max.bytes.per.second",
            .default("9223372036854775807").min(0).cluster_wide();
    }
}

/// Quotas of users and client ids.
pub mod client {
    use crate::catalog::{keys, why};

    keys! {
        /// Bytes a second that the client may write to one broker.
        PRODUCER_BYTE_RATE: i64 = "producer_byte_rate",
            .default("9223372036854775807").planned(why::QUOTA);
        /// Bytes a second that the client may read from one broker.
        CONSUMER_BYTE_RATE: i64 = "consumer_byte_rate",
            .default("9223372036854775807").planned(why::QUOTA);
        /// Share of one broker's time that the client may use, in per cent of one thread.
        REQUEST_PERCENTAGE: f64 = "request_percentage",
            .default("2.147483647E9").planned(why::QUOTA);
        /// Partitions a second that the client may create or delete.
        CONTROLLER_MUTATION_RATE: f64 = "controller_mutation_rate",
            .default("2.147483647E9").planned(why::QUOTA);
    }
}

/// Quotas of addresses.
pub mod ip {
    use crate::catalog::{keys, why};

    keys! {
        /// Connections a second that the address may open to one broker.
        CONNECTION_CREATION_RATE: i32 = "connection_creation_rate",
            .default("2147483647").min(0).planned(why::QUOTA);
    }
}
