//! The walls of the house, kept by tests.
