//! Fetch sessions (KIP-227): what a consumer or follower asked for last time, so that it need say
//! only what changed, and is told only what changed.

mod cache;
mod state;

pub use cache::{CacheSettings, Owner, SessionCache};
pub use state::{
    Answer, FetchPartition, FetchSession, Key, Naming, News, Notice, SessionChange, Topic,
};

/// The session id of a request without a session.
pub const NO_SESSION: i32 = 0;

/// The epoch of a request that wants a new session.
pub const INITIAL_EPOCH: i32 = 0;

/// The epoch of a request that ends its session.
pub const FINAL_EPOCH: i32 = -1;

/// The epoch after `epoch`; behind the last comes 1, since 0 asks for a new session.
#[must_use]
pub fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        FINAL_EPOCH => FINAL_EPOCH,
        i32::MAX => 1,
        other => other + 1,
    }
}

/// What the session fields of a Fetch request ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionRequest {
    /// All partitions are named, and no session is wanted; `ends` names one that is over.
    Sessionless {
        /// A session to close, or [`NO_SESSION`].
        ends: i32,
    },
    /// All partitions are named, and a new session is wanted; `ends` names one that is over.
    New {
        /// A session to close, or [`NO_SESSION`].
        ends: i32,
    },
    /// Only changes are named, of a session that goes on.
    Incremental {
        /// The session.
        id: i32,
        /// Its epoch, counted up with each request.
        epoch: i32,
    },
}

impl SessionRequest {
    /// By the two fields of the request. Versions before 7 have neither: give
    /// ([`NO_SESSION`], [`FINAL_EPOCH`]).
    #[must_use]
    pub fn from_wire(id: i32, epoch: i32) -> Self {
        match epoch {
            FINAL_EPOCH => Self::Sessionless { ends: id },
            INITIAL_EPOCH => Self::New { ends: id },
            _ => Self::Incremental { id, epoch },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_skip_zero() {
        assert_eq!(next_epoch(INITIAL_EPOCH), 1);
        assert_eq!(next_epoch(i32::MAX), 1);
        assert_eq!(next_epoch(FINAL_EPOCH), FINAL_EPOCH);
    }

    #[test]
    fn the_two_fields_say_which_kind_it_is() {
        use SessionRequest::{Incremental, New, Sessionless};
        assert_eq!(SessionRequest::from_wire(0, -1), Sessionless { ends: 0 });
        assert_eq!(SessionRequest::from_wire(7, 0), New { ends: 7 });
        assert_eq!(SessionRequest::from_wire(7, 3), Incremental { id: 7, epoch: 3 });
    }
}
