//! What the log of one partition of `__transaction_state` rebuilds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::TxnRecord;
use super::transaction::Txn;

/// The transactional ids of one shard.
#[derive(Debug, Default, PartialEq)]
pub struct TxnState {
    pub(crate) txns: BTreeMap<Arc<str>, Txn>,
    skipped: u64,
}

impl TxnState {
    /// How many records of unknown type, version or status were skipped.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How many transactional ids there are.
    #[must_use]
    pub fn transactional_ids(&self) -> usize {
        self.txns.len()
    }

    pub(crate) fn apply(&mut self, record: &TxnRecord) {
        let TxnRecord::Txn { key, value, .. } = record else {
            self.skipped = self.skipped.saturating_add(1);
            return;
        };
        let id = key.transactional_id.as_str();
        match value.as_ref().map(Txn::from_value) {
            None => {
                self.txns.remove(id);
            }
            Some(None) => self.skipped = self.skipped.saturating_add(1),
            Some(Some(txn)) => match self.txns.get_mut(id) {
                Some(known) => *known = txn,
                None => {
                    self.txns.insert(Arc::from(id), txn);
                }
            },
        }
    }
}
