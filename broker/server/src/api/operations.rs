//! The operations that a client is told it may carry out (KIP-430), as sets of bits.
//!
//! Without an authorizer everyone may do everything that the kind of resource knows.

const fn bits(codes: &[u32]) -> i32 {
    let mut set = 0;
    let mut i = 0;
    while i < codes.len() {
        set |= 1 << codes[i];
        i += 1;
    }
    set
}

const READ: u32 = 3;
const WRITE: u32 = 4;
const CREATE: u32 = 5;
const DELETE: u32 = 6;
const ALTER: u32 = 7;
const DESCRIBE: u32 = 8;
const CLUSTER_ACTION: u32 = 9;
const DESCRIBE_CONFIGS: u32 = 10;
const ALTER_CONFIGS: u32 = 11;
const IDEMPOTENT_WRITE: u32 = 12;

/// What an answer says when it was not asked.
pub(crate) const NOT_ASKED: i32 = i32::MIN;

/// All that may be done with a topic.
pub(crate) const TOPIC: i32 =
    bits(&[READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS]);

/// All that may be done with the cluster.
pub(crate) const CLUSTER: i32 = bits(&[
    CREATE,
    ALTER,
    DESCRIBE,
    CLUSTER_ACTION,
    DESCRIBE_CONFIGS,
    ALTER_CONFIGS,
    IDEMPOTENT_WRITE,
]);

/// The set, if the client asked for it.
pub(crate) fn asked(asked: bool, all: i32) -> i32 {
    if asked { all } else { NOT_ASKED }
}

/// All that may be done with a group.
pub(crate) const GROUP: i32 = bits(&[READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS]);
