//! Keys of how quotas are measured. The limits themselves are entities' settings, below.

use crate::catalog::{keys, why};
use crate::key::ClassName;

keys! {
    /// Samples that client quotas are measured over.
    QUOTA_WINDOW_NUM: i32 = "quota.window.num", .default("11").min(1).low().planned(why::QUOTA);
    /// Length of one of those samples.
    QUOTA_WINDOW_SIZE_SECONDS: i32 = "quota.window.size.seconds",
        .default("1").min(1).low().planned(why::QUOTA);
    /// Samples that replication throttles are measured over.
    REPLICATION_QUOTA_WINDOW_NUM: i32 = "replication.quota.window.num",
        .default("11").min(1).low().planned(why::QUOTA);
    /// Length of one of those samples.
    REPLICATION_QUOTA_WINDOW_SIZE_SECONDS: i32 = "replication.quota.window.size.seconds",
        .default("1").min(1).low().planned(why::QUOTA);
    /// Samples that the throttle of moves between log directories is measured over.
    ALTER_LOG_DIRS_REPLICATION_QUOTA_WINDOW_NUM: i32 = "alter.log.dirs.replication.quota.window.num",
        .default("11").min(1).low().planned(why::QUOTA);
    /// Length of one of those samples.
    ALTER_LOG_DIRS_REPLICATION_QUOTA_WINDOW_SIZE_SECONDS: i32 = "alter.log.dirs.replication.quota.window.size.seconds",
        .default("1").min(1).low().planned(why::QUOTA);
    /// Samples that quotas on changes of topics are measured over.
    CONTROLLER_QUOTA_WINDOW_NUM: i32 = "controller.quota.window.num",
        .default("11").min(1).low().planned(why::QUOTA);
    /// Length of one of those samples.
    CONTROLLER_QUOTA_WINDOW_SIZE_SECONDS: i32 = "controller.quota.window.size.seconds",
        .default("1").min(1).low().planned(why::QUOTA);
    /// Java class that decides client quotas.
    CLIENT_QUOTA_CALLBACK_CLASS: Option<ClassName> = "client.quota.callback.class",
        .low().no_effect(why::CLASS);
}
