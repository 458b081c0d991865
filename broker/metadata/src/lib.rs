//! The cluster's metadata: what its records say, as one persistent value.
//!
//! Invariant: an [`Image`] is a function of the records applied to it, in order, and nothing else; a clone shares
//! all it can, so an image can be published for each change and kept by whoever reads it. The room knows no
//! controller: it applies what was decided and judges only whether a record fits.
//!
//! Start reading at [`Image`], then [`Image::apply`]; [`Loader`] reads a log of batches with transactions into
//! publications, [`Delta`] says what changed by one.

mod apply;
mod cluster;
mod config;
mod delta;
mod error;
pub mod features;
mod image;
mod intern;
mod loader;
mod partition;
mod quota;
mod replicas;
mod security;
mod snapshot;
mod topic;
mod version;

pub use cluster::{BrokerRegistration, ControllerRegistration, Endpoint};
pub use config::{ConfigResource, ConfigValues, ResourceType};
pub use delta::{Change, Delta, TopicDelta};
pub use error::ApplyError;
pub use features::{Features, VersionRange};
pub use image::{Image, Provenance, TopicChange};
pub use loader::{Loader, Publication};
pub use partition::{
    NO_LEADER, NO_LEADER_CHANGE, NO_RECOVERY_CHANGE, Partition, Recovery, directory,
};
pub use quota::{QuotaEntity, Quotas};
pub use replicas::Replicas;
pub use security::{Acl, AclFilter, DelegationToken, ScramCredential, ScramMechanism};
pub use snapshot::record_version;
pub use topic::{Partitions, Topic};
pub use version::MetadataVersion;
