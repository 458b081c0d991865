//! The metadata quorum: openraft over an ottla-log.
