//! What is compacted.
