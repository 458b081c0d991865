//! What must hold, a file each. All are looked at after every step that can break them.

pub mod agreement;
pub mod durable;
pub mod groups;
pub mod healing;
pub mod leadership;
pub mod metadata;
pub mod offsets;
pub mod one_leader;
pub mod reassignment;
pub mod sequence;
pub mod subscriptions;
pub mod transactions;
pub mod watermark;
