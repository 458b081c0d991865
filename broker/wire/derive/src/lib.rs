//! `#[derive(Message)]`: the struct with its versions, tags and defaults *is* the schema.
//!
//! A struct with `#[message(versions = "3-13", flexible = "9+")]` is a message; one without it is a
//! struct inside of messages, and takes version and flexibility from the message it stands in.
//! Beside the codec the derive gives `Default`, with Kafka's defaults. Of each field say, with
//! `#[field(...)]`, where it differs from a field that is in all versions and never null:
//!
//! | attribute | meaning |
//! | --- | --- |
//! | `versions = "3-7"` | the versions that have the field; `"3+"` has no end |
//! | `nullable = "3+"` | the versions in which it may be null; its type is an `Option` |
//! | `tag = 0, tagged = "12+"` | a tagged field, in these versions and no others |
//! | `default = "-1"` | a number, `true`, `false`, or `null`; without it zero, false, empty, and never null |
//! | `ignorable` | left out silently by versions that lack it, even if it is not the default |
//! | `flexible = "none"` | keeps its old form in flexible versions |
//!
//! Invariant: what is generated only calls the codec's functions, field by field in order; no loop,
//! no length and no memory is managed in generated code. Start reading at [`derive_message`].

mod attributes;
mod generate;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// See the crate's documentation.
#[proc_macro_derive(Message, attributes(message, field))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    generate::message(&input).unwrap_or_else(|e| e.to_compile_error()).into()
}
