//! Group and transaction coordinators as pure machines.
