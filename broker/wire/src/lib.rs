//! Bytes to values and back: the Kafka protocol, record batches and record schemas.

pub mod record;
