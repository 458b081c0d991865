//! Plans of replicas and the judgement of restarts, over images made of records.

mod common;
mod goals;
mod laws;
mod restart;
