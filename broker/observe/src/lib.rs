//! Metric and span declarations.
