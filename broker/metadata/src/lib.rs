//! The cluster's metadata: records, image, delta, snapshots.
