//! What the handlers of transactions share: asking the coordinator of a transaction whether
//! partitions belong to it, and what clients are told of its answer.

use ottla_config::keys;
use ottla_engine::{Adding, Verification, Verified};
use ottla_wire::ErrorCode;

use crate::call::Call;

/// What a version of a request that writes to transactions knows of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Knows {
    /// Nothing of the errors of verification.
    Nothing,
    /// That a transaction may have to be aborted (KIP-1050).
    Abortable,
    /// Version 2 of transactions, whose partitions are added by the broker that is written to.
    ImplicitAdding,
}

impl Knows {
    /// By the version, and those since which clients know each.
    pub(crate) fn of(version: i16, abortable_since: i16, implicit_since: i16) -> Self {
        match version {
            _ if version >= implicit_since => Self::ImplicitAdding,
            _ if version >= abortable_since => Self::Abortable,
            _ => Self::Nothing,
        }
    }

    pub(crate) fn adding(self) -> Adding {
        match self {
            Self::ImplicitAdding => Adding::Implicit,
            Self::Nothing | Self::Abortable => Adding::Explicit,
        }
    }

    /// What producers know of what a coordinator said of their transaction.
    pub(crate) fn translate(self, code: ErrorCode) -> ErrorCode {
        match code {
            // Producers abort the transaction and go on; the other code ends them.
            ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
            ErrorCode::TRANSACTION_ABORTABLE if self == Self::Nothing => {
                ErrorCode::INVALID_TXN_STATE
            }
            // It is this broker that may not ask, and nothing that a client could mend.
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED => ErrorCode::INVALID_TXN_STATE,
            other => other,
        }
    }
}

/// Whether batches that begin transactions are taken only after the coordinator was asked.
pub(crate) fn is_required(call: &Call) -> bool {
    call.context.config().get(keys::TRANSACTION_PARTITION_VERIFICATION_ENABLE)
}

/// Asks the coordinator once.
pub(crate) async fn ask(call: &Call, asked: Verification) -> Vec<Verified> {
    match call.context.verifier.get() {
        Some(verifier) => verifier.verify(asked).await,
        None => all(&asked, ErrorCode::COORDINATOR_NOT_AVAILABLE),
    }
}

fn all(asked: &Verification, code: ErrorCode) -> Vec<Verified> {
    let of = |(topic, partitions): &(String, Vec<i32>)| {
        partitions.iter().map(|p| (topic.clone(), *p, code)).collect::<Vec<_>>()
    };
    asked.topics.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_what_they_know() {
        let [old, middle, new] = [10, 11, 12].map(|version| Knows::of(version, 11, 12));
        assert_eq!([old, middle, new], [Knows::Nothing, Knows::Abortable, Knows::ImplicitAdding]);
        assert_eq!(middle.adding(), Adding::Explicit);
        assert_eq!(new.adding(), Adding::Implicit);
        let told = |code: ErrorCode| [old, middle, new].map(|knows| knows.translate(code));
        assert_eq!(
            told(ErrorCode::TRANSACTION_ABORTABLE),
            [
                ErrorCode::INVALID_TXN_STATE,
                ErrorCode::TRANSACTION_ABORTABLE,
                ErrorCode::TRANSACTION_ABORTABLE
            ]
        );
        assert_eq!(told(ErrorCode::PRODUCER_FENCED), [ErrorCode::INVALID_PRODUCER_EPOCH; 3]);
        let unknown = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
        assert_eq!(told(unknown), [unknown; 3]);
    }
}
