//! Configurations: altered, checked, and what they come to.

mod alter;
mod defaults;

pub(crate) use alter::{alter_configs, check_new_topic, incremental_alter_configs};
pub(crate) use defaults::Defaults;
