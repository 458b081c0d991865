//! The cluster's controller as a pure machine over its metadata.
