//! The principal that Envelope and delegation tokens carry.

use crate::Message;

/// The principal of a forwarded request in Envelope; its version stands before it in two bytes.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct DefaultPrincipalData {
    pub r#type: String,
    pub name: String,
    pub token_authenticated: bool,
}
