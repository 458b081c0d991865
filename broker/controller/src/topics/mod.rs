//! Topics: created, grown and deleted.

mod assignment;
mod create;
mod delete;
mod grow;
mod name;

pub(crate) use assignment::{check_assignment, default_directory};
pub(crate) use create::create_topics;
pub(crate) use delete::delete_topics;
pub(crate) use grow::create_partitions;
pub use name::{MAX_TOPIC_NAME, check_topic_name};

/// The most partitions that one request may create.
pub const MAX_PARTITIONS_PER_REQUEST: usize = 10_000;

/// What a request for too many partitions is told.
const TOO_MANY_PARTITIONS: &str = "Excessively large number of partitions per request.";
