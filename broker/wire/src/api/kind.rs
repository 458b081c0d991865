//! Any request and any response, for code that carries messages without looking into them.

use super::table::each_api;
use super::{ApiKey, Request, Response};
use crate::{DecodeError, Decoder, EncodeError, Encoder, Message};

macro_rules! kinds {
    ($($name:ident: $module:ident::{$request:ident, $response:ident};)*) => {
        /// Any request.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(clippy::large_enum_variant)]
        pub enum RequestKind {
            $(#[doc = concat!("A request of ", stringify!($name), ".")] $name(super::$module::$request),)*
        }

        /// Any response.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(clippy::large_enum_variant)]
        pub enum ResponseKind {
            $(#[doc = concat!("A response of ", stringify!($name), ".")] $name(super::$module::$response),)*
        }

        impl RequestKind {
            /// The request's key.
            pub fn key(&self) -> ApiKey {
                match self {
                    $(RequestKind::$name(m) => key_of_request(m),)*
                }
            }

            /// Reads a request without its header.
            pub fn decode(key: ApiKey, d: &mut Decoder, version: i16) -> Result<Self, DecodeError> {
                match key {
                    $(ApiKey::$name => Message::decode(d, version).map(RequestKind::$name),)*
                }
            }

            /// Writes a request without its header.
            pub fn encode(&self, e: &mut Encoder, version: i16) -> Result<(), EncodeError> {
                match self {
                    $(RequestKind::$name(m) => m.encode(e, version),)*
                }
            }
        }

        impl ResponseKind {
            /// The response's key.
            pub fn key(&self) -> ApiKey {
                match self {
                    $(ResponseKind::$name(m) => key_of_response(m),)*
                }
            }

            /// Reads a response without its header.
            pub fn decode(key: ApiKey, d: &mut Decoder, version: i16) -> Result<Self, DecodeError> {
                match key {
                    $(ApiKey::$name => Message::decode(d, version).map(ResponseKind::$name),)*
                }
            }

            /// Writes a response without its header.
            pub fn encode(&self, e: &mut Encoder, version: i16) -> Result<(), EncodeError> {
                match self {
                    $(ResponseKind::$name(m) => m.encode(e, version),)*
                }
            }
        }

        $(
            impl From<super::$module::$request> for RequestKind {
                fn from(message: super::$module::$request) -> Self {
                    RequestKind::$name(message)
                }
            }
            impl From<super::$module::$response> for ResponseKind {
                fn from(message: super::$module::$response) -> Self {
                    ResponseKind::$name(message)
                }
            }
        )*
    };
}

fn key_of_request<R: Request>(_: &R) -> ApiKey {
    R::KEY
}

fn key_of_response<R: Response>(_: &R) -> ApiKey {
    R::KEY
}

each_api!(kinds);
