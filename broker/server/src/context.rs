//! Whom handlers ask.

/// Handles to all that a handler may ask; one a node.
#[derive(Debug)]
pub struct Context {}
