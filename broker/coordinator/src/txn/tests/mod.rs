//! The rules of transactions, one by one, and laws that hold whatever happens.

mod harness;
mod laws;
mod rules;
