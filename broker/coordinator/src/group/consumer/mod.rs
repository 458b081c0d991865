//! Groups of the consumer protocol (KIP-848): the broker assigns, and leads each member by itself.
//!
//! Three epochs say where a group is. The *group's* grows when subscriptions or topics change; the
//! *target's* is that of the group for which the target assignment was made; each *member's* is
//! the target that it has reached. A member gives up first what is not its own any more, and is
//! given what nobody else has: so a partition is never of two.
//!
//! Invariant: the group is what its records say; in memory there are deadlines only. A decision
//! works on a copy ([`desk::Draft`]) to which each record is applied as it is written, so that the
//! rules see what they decided; the copy shares all that stays the same.
//!
//! Start reading at `heartbeat.rs`, then `update.rs` and `reconcile.rs`.

pub(crate) mod alarms;
mod assignor;
mod check;
mod classic;
mod commit;
mod describe;
pub(crate) mod desk;
pub(crate) mod fence;
mod group;
mod heartbeat;
mod member;
mod migrate;
pub(crate) mod protocol;
mod reconcile;
mod record;
mod regex;
pub(crate) mod topics;
mod update;

pub use self::record::ConsumerRecord;

pub(crate) use self::group::{Assignment, ConsumerGroup, Stage};
pub(crate) use self::member::{Held, Member, MemberState};
