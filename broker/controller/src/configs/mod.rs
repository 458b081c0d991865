//! Configurations: altered, checked, and what they come to.

mod alter;
mod defaults;
mod group;
mod rules;

pub(crate) use alter::{alter_configs, incremental_alter_configs};
pub(crate) use defaults::Defaults;
pub use defaults::{Effective, Source};
pub(crate) use rules::{Existence, validate};
