//! Runs machines: replicas, shards, publishing, cleaning.
