//! The files beside a segment that make finding things in it quick. All can be rebuilt from the
//! segment, except the list of aborted transactions, for which older segments are needed too.

pub(crate) mod file;
pub(crate) mod offset;
pub(crate) mod time;
pub mod txn;
