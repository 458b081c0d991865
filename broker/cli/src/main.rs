//! The binary `ottla`: the broker and every tool.
fn main() {}
