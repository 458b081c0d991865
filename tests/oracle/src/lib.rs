//! The protocol compared with another implementation of it, the crate `kafka-protocol`.
//!
//! A package of its own, because the crate takes long to compile and nothing else needs it. There
//! is nothing here but `tests/messages.rs`.
