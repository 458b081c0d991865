//! Keys of streams groups.

use crate::catalog::{keys, why};

keys! {
    /// Session timeout of a streams group's members.
    GROUP_STREAMS_SESSION_TIMEOUT_MS: i32 = "group.streams.session.timeout.ms",
        .default("45000").min(1).planned(why::STREAMS);
    /// Least session timeout that a streams group may be set to.
    GROUP_STREAMS_MIN_SESSION_TIMEOUT_MS: i32 = "group.streams.min.session.timeout.ms",
        .default("45000").min(1).planned(why::STREAMS);
    /// Greatest session timeout that a streams group may be set to.
    GROUP_STREAMS_MAX_SESSION_TIMEOUT_MS: i32 = "group.streams.max.session.timeout.ms",
        .default("60000").min(1).planned(why::STREAMS);
    /// How often a streams group's members report.
    GROUP_STREAMS_HEARTBEAT_INTERVAL_MS: i32 = "group.streams.heartbeat.interval.ms",
        .default("5000").min(1).planned(why::STREAMS);
    /// Least heartbeat interval that a streams group may be set to.
    GROUP_STREAMS_MIN_HEARTBEAT_INTERVAL_MS: i32 = "group.streams.min.heartbeat.interval.ms",
        .default("5000").min(1).planned(why::STREAMS);
    /// Greatest heartbeat interval that a streams group may be set to.
    GROUP_STREAMS_MAX_HEARTBEAT_INTERVAL_MS: i32 = "group.streams.max.heartbeat.interval.ms",
        .default("15000").min(1).planned(why::STREAMS);
    /// Most members of a streams group.
    GROUP_STREAMS_MAX_SIZE: i32 = "group.streams.max.size",
        .default("2147483647").min(1).planned(why::STREAMS);
    /// Standby copies of each stateful task.
    GROUP_STREAMS_NUM_STANDBY_REPLICAS: i32 = "group.streams.num.standby.replicas",
        .default("0").min(0).planned(why::STREAMS);
    /// Most standby copies that a streams group may be set to.
    GROUP_STREAMS_MAX_STANDBY_REPLICAS: i32 = "group.streams.max.standby.replicas",
        .default("2").min(0).planned(why::STREAMS);
    /// How long an empty streams group waits for more members before its first assignment.
    GROUP_STREAMS_INITIAL_REBALANCE_DELAY_MS: i32 = "group.streams.initial.rebalance.delay.ms",
        .default("3000").min(0).planned(why::STREAMS);
    /// Least time between two new assignments of a streams group.
    GROUP_STREAMS_ASSIGNMENT_INTERVAL_MS: i32 = "group.streams.assignment.interval.ms",
        .default("1000").min(0).cluster_wide().planned(why::STREAMS);
    /// Least assignment interval that a streams group may be set to.
    GROUP_STREAMS_MIN_ASSIGNMENT_INTERVAL_MS: i32 = "group.streams.min.assignment.interval.ms",
        .default("0").min(0).planned(why::STREAMS);
    /// Greatest assignment interval that a streams group may be set to.
    GROUP_STREAMS_MAX_ASSIGNMENT_INTERVAL_MS: i32 = "group.streams.max.assignment.interval.ms",
        .default("15000").min(0).planned(why::STREAMS);
}
