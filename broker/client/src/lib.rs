//! An async client for the Kafka protocol, used by the tools.
