//! AlterUserScramCredentials.

use crate::draft::Draft;
use crate::error::ApiError;
use bytes::Bytes;
use ottla_metadata::ScramMechanism;
use ottla_wire::ErrorCode;
use ottla_wire::api::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
    AlterUserScramCredentialsResult, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use ottla_wire::schema::metadata::{
    MetadataRecord, RemoveUserScramCredentialRecord, UserScramCredentialRecord,
};
use ring::{digest, hmac};
use std::collections::{BTreeMap, BTreeSet};

/// Sets and deletes credentials; those of each user all or none. Results stand in the order of the users.
pub(crate) fn alter_user_scram_credentials(
    draft: &mut Draft<'_>,
    request: &AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    let mut users: BTreeMap<&str, Result<Vec<MetadataRecord>, ApiError>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let deletions =
        request.deletions.iter().map(|d| (d.name.as_str(), d.mechanism, delete(draft, d)));
    let upsertions = request.upsertions.iter().map(|u| (u.name.as_str(), u.mechanism, upsert(u)));
    for (name, mechanism, done) in deletions.chain(upsertions) {
        let user = users.entry(name).or_insert_with(|| Ok(Vec::new()));
        let Ok(records) = user else { continue };
        match done {
            Ok(_) if !seen.insert((name, mechanism)) => {
                let text = "A user credential cannot be altered twice in the same request";
                *user = Err(ApiError::new(ErrorCode::DUPLICATE_RESOURCE, text));
            }
            Ok(record) => records.push(record),
            Err(e) => *user = Err(e),
        }
    }
    let supported = draft.image().features().version().has_scram();
    let results = users.into_iter().map(|(name, done)| {
        let done = done.and_then(|records| {
            if !supported {
                let text = "The current metadata.version does not support SCRAM";
                return Err(ApiError::new(ErrorCode::UNSUPPORTED_VERSION, text));
            }
            draft.extend(records);
            Ok(())
        });
        let (error_code, error_message) = ApiError::parts(done);
        AlterUserScramCredentialsResult { user: name.to_owned(), error_code, error_message }
    });
    let results = results.collect();
    AlterUserScramCredentialsResponse { results, ..AlterUserScramCredentialsResponse::default() }
}

fn check(name: &str, mechanism: i8) -> Result<ScramMechanism, ApiError> {
    if name.is_empty() {
        let text = "Username must not be empty";
        return Err(ApiError::new(ErrorCode::UNACCEPTABLE_CREDENTIAL, text));
    }
    let unknown = ApiError::new(ErrorCode::UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism");
    ScramMechanism::from_code(mechanism).ok_or(unknown)
}

fn delete(draft: &Draft<'_>, d: &ScramCredentialDeletion) -> Result<MetadataRecord, ApiError> {
    let mechanism = check(&d.name, d.mechanism)?;
    if draft.image().scram(mechanism, &d.name).is_none() {
        let text = "Attempt to delete a user credential that does not exist";
        return Err(ApiError::new(ErrorCode::RESOURCE_NOT_FOUND, text));
    }
    Ok(RemoveUserScramCredentialRecord { name: d.name.clone(), mechanism: d.mechanism }.into())
}

fn upsert(u: &ScramCredentialUpsertion) -> Result<MetadataRecord, ApiError> {
    let mechanism = check(&u.name, u.mechanism)?;
    let refuse = |text| Err(ApiError::new(ErrorCode::UNACCEPTABLE_CREDENTIAL, text));
    if u.iterations < mechanism.min_iterations() {
        return refuse("Too few iterations");
    }
    if u.iterations > mechanism.max_iterations() {
        return refuse("Too many iterations");
    }
    let (stored_key, server_key) = keys(mechanism, &u.salted_password);
    Ok(UserScramCredentialRecord {
        name: u.name.clone(),
        mechanism: u.mechanism,
        salt: u.salt.clone(),
        stored_key,
        server_key,
        iterations: u.iterations,
    }
    .into())
}

/// The stored key and the server key of a salted password (RFC 5802).
fn keys(mechanism: ScramMechanism, salted_password: &[u8]) -> (Bytes, Bytes) {
    let (mac, hash) = match mechanism {
        ScramMechanism::Sha256 => (hmac::HMAC_SHA256, &digest::SHA256),
        ScramMechanism::Sha512 => (hmac::HMAC_SHA512, &digest::SHA512),
    };
    let key = hmac::Key::new(mac, salted_password);
    let client_key = hmac::sign(&key, b"Client Key");
    let stored_key = digest::digest(hash, client_key.as_ref());
    let server_key = hmac::sign(&key, b"Server Key");
    (Bytes::copy_from_slice(stored_key.as_ref()), Bytes::copy_from_slice(server_key.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
        (0..text.len()).step_by(2).map(digit).collect()
    }

    #[test]
    fn keys_are_those_that_kafka_makes() {
        // The password "pencil" with the salt "0123456789" and 4096 iterations.
        let salted = hex("2d2540c5168f1c8d8c23049b9a7b65b7613acb2e7791667c3fb1afe1c9c6672a");
        let (stored, server) = keys(ScramMechanism::Sha256, &salted);
        assert_eq!(stored, hex("b08b10ebba16445d90c761e7cb6124768571595f39e6d1ef794c45130a596653"));
        assert_eq!(server, hex("86cc54dcc50978cfb0ba6bf1c61285e7f329f972586d82a7517d6f6cba21a5b8"));
        let salted = hex("fa3241747c2ce8879aea0626394b13deb73bd09c71f264c14b8c46beebb820f9\
             d04c2aa69d7e77e1517ff7106c91942c09a6decd6f403d3f1ece0d084492ae19");
        let (stored, server) = keys(ScramMechanism::Sha512, &salted);
        assert_eq!(
            stored,
            hex("61e3dcf97190aa2c6d56ca5b25bdb00dcb584c66fffcff9fbf8bb71225dc3e56\
                 bc58e45a2fbb1f90a3f19a48e626ed798e01fd1194c0dbb9d9f2f5f6c0b8ca95")
        );
        assert_eq!(
            server,
            hex("0ff6a36732a45b1eb62c2086a37b6d33b0253ecb1816f0b1828c1061513281ab\
                 67685decde8e4c2254115e0be631d3b0d9bed0bfa810d5434c30af391b516bab")
        );
    }
}
