//! One handler an API key.
//!
//! A handler is `handle(call, request) -> Answer<response>`, in three paragraphs: authorize, ask the
//! engine, translate.

pub mod api_versions;
pub mod delete_groups;
pub mod describe_cluster;
pub mod describe_groups;
pub mod describe_topic_partitions;
pub mod fetch;
pub mod find_coordinator;
pub mod heartbeat;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_groups;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod produce;
pub mod sync_group;

pub(crate) mod groups;
pub(crate) mod operations;
pub(crate) mod topics;
