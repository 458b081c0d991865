//! File descriptors: how many the process may have, and who may have how many of them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fifths of the process's file descriptors that logs may hold open: less than half, because a file
/// that was closed can be opened again, while a client that is not let in can only wait.
const FIFTHS_OF_LOGS: u64 = 2;

/// What is left for everything else (the metadata log, answers that are being sent from files which
/// the cache has closed, HTTP) is this share, but at most [`MOST_SPARE`].
const SHARE_SPARE: u64 = 8;

/// Most file descriptors that are kept for everything else.
const MOST_SPARE: u64 = 512;

/// Open files of logs where the system tells no limit.
const DEFAULT_LOGS: usize = 1024;

/// Connections to the HTTP listener where the system tells no limit.
const DEFAULT_HTTP: usize = 128;

/// Who may have how many file descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Files of logs.
    pub(super) logs: usize,
    /// Connections of Kafka's protocol.
    pub(super) connections: u32,
    /// Connections of HTTP.
    pub(super) http: usize,
}

/// Raises the limit as far as the process may, and shares what it may have.
pub(super) fn share() -> Share {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // A process may go up to its hard limit; where it may not, it goes on with what it has.
    let _ = setrlimit(Resource::Nofile, most);
    share_of(getrlimit(Resource::Nofile).current)
}

fn share_of(limit: Option<u64>) -> Share {
    let Some(limit) = limit else {
        return Share { logs: DEFAULT_LOGS, connections: u32::MAX, http: DEFAULT_HTTP };
    };
    let logs = limit / 5 * FIFTHS_OF_LOGS;
    let spare = (limit / SHARE_SPARE).min(MOST_SPARE);
    let connections = (limit - logs).saturating_sub(spare).max(1);
    Share {
        logs: usize::try_from(logs).unwrap_or(usize::MAX),
        connections: u32::try_from(connections).unwrap_or(u32::MAX),
        http: usize::try_from(spare / 4).unwrap_or(usize::MAX).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_is_not_more_than_there_is() {
        for limit in [16, 256, 1024, 65_536, 1 << 20, u64::MAX] {
            let share = share_of(Some(limit));
            let all = share.logs as u64 + u64::from(share.connections) + share.http as u64;
            assert!(all < limit, "{limit}: {share:?}");
            assert!(share.connections > 0 && share.http > 0 && share.logs > 0);
        }
        let usual = share_of(Some(1024));
        assert_eq!(usual, Share { logs: 408, connections: 488, http: 32 });
        let many = share_of(Some(20_000));
        assert!(many.connections > 10_000, "{many:?}");
        assert_eq!(share_of(None).connections, u32::MAX);
    }
}
