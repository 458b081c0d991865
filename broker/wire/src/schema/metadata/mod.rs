//! The records of the metadata log, `__cluster_metadata-0`.

mod broker;
mod config;
mod security;
mod topic;
mod transaction;

pub use broker::*;
pub use config::*;
pub use security::*;
pub use topic::*;
pub use transaction::*;

use super::family::framed_records;

framed_records! {
    /// Any record of the metadata log, as the value of a record in a batch; the keys there are
    /// null.
    MetadataRecord {
        0 RegisterBroker(RegisterBrokerRecord),
        1 UnregisterBroker(UnregisterBrokerRecord),
        2 Topic(TopicRecord),
        3 Partition(PartitionRecord),
        4 Config(ConfigRecord),
        5 PartitionChange(PartitionChangeRecord),
        7 FenceBroker(FenceBrokerRecord),
        8 UnfenceBroker(UnfenceBrokerRecord),
        9 RemoveTopic(RemoveTopicRecord),
        10 DelegationToken(DelegationTokenRecord),
        11 UserScramCredential(UserScramCredentialRecord),
        12 FeatureLevel(FeatureLevelRecord),
        14 ClientQuota(ClientQuotaRecord),
        15 ProducerIds(ProducerIdsRecord),
        17 BrokerRegistrationChange(BrokerRegistrationChangeRecord),
        18 AccessControlEntry(AccessControlEntryRecord),
        19 RemoveAccessControlEntry(RemoveAccessControlEntryRecord),
        20 NoOp(NoOpRecord),
        21 ZkMigrationState(ZkMigrationStateRecord),
        22 RemoveUserScramCredential(RemoveUserScramCredentialRecord),
        23 BeginTransaction(BeginTransactionRecord),
        24 EndTransaction(EndTransactionRecord),
        25 AbortTransaction(AbortTransactionRecord),
        26 RemoveDelegationToken(RemoveDelegationTokenRecord),
        27 RegisterController(RegisterControllerRecord),
        28 ClearElr(ClearElrRecord),
    }
}
