//! ApiVersions: what this listener serves, and the cluster's features (KIP-35, KIP-511, KIP-584).

use ottla_metadata::{Features, MetadataVersion, features};
use ottla_wire::ErrorCode;
use ottla_wire::api::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

use crate::answer::Answer;
use crate::call::{Call, Software};
use crate::routes;

/// The characters that the name and version of a client's software may have, and must begin and end
/// with a letter or digit (KIP-511).
fn is_software(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    edge(text.chars().next()) && edge(text.chars().last()) && text.chars().all(inner)
}

/// Most bytes that a connection keeps of the name and of the version of its client's software.
const MOST_KEPT: usize = 256;

/// The beginning of a name or version, which is ASCII.
fn kept(mut text: String) -> String {
    text.truncate(MOST_KEPT);
    text.shrink_to_fit();
    text
}

/// Answers ApiVersions.
pub fn handle(call: Call, request: ApiVersionsRequest) -> Answer<ApiVersionsResponse> {
    if call.version >= 3
        && !(is_software(&request.client_software_name)
            && is_software(&request.client_software_version))
    {
        let error_code = ErrorCode::INVALID_REQUEST;
        return ApiVersionsResponse { error_code, ..Default::default() }.into();
    }
    if call.version >= 3 {
        // What a client says again is no other than before.
        let _ = call.session.software.set(Software {
            name: kept(request.client_software_name),
            version: kept(request.client_software_version),
        });
    }

    let image = call.context.image();
    let supported = features::supported();
    // Before version 4 a client cannot read that level 0 is the least one supported.
    let readable = |min: i16| min > 0 || call.version >= 4;
    ApiVersionsResponse {
        api_keys: keys(&call),
        supported_features: supported
            .into_iter()
            .filter(|(_, range)| readable(range.min))
            .map(|(name, range)| SupportedFeatureKey {
                name,
                min_version: range.min,
                max_version: range.max,
            })
            .collect(),
        finalized_features_epoch: image.provenance().offset,
        finalized_features: finalized(image.features()),
        ..Default::default()
    }
    .into()
}

/// The levels in force, that of metadata.version among them. Level 0 is as good as none.
fn finalized(features: &Features) -> Vec<FinalizedFeatureKey> {
    let version = features.recorded_version().map(|v| (MetadataVersion::FEATURE, v.level()));
    let others = features.finalized().iter().map(|(name, level)| (name.as_str(), *level));
    let all = others.filter(|(name, _)| *name != MetadataVersion::FEATURE).chain(version);
    all.map(|(name, level)| FinalizedFeatureKey {
        name: name.to_owned(),
        max_version_level: level,
        min_version_level: level,
    })
    .collect()
}

/// The answer to a version that is not served: which ones are, in version 0.
pub(crate) fn unsupported(call: &Call) -> Answer<ApiVersionsResponse> {
    let mut api_keys = keys(call);
    api_keys.retain(|k| k.api_key == ottla_wire::ApiKey::ApiVersions.code());
    ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys,
        ..Default::default()
    }
    .into()
}

fn keys(call: &Call) -> Vec<ApiVersion> {
    let row = |key: &ottla_wire::ApiKey| {
        let versions = key.spec().advertised(call.session.kind)?;
        Some(ApiVersion {
            api_key: key.code(),
            min_version: versions.min,
            max_version: versions.max,
        })
    };
    routes::SERVED.iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_keeps_little() {
        assert_eq!(kept("4.3.1".into()), "4.3.1");
        let long = kept("x".repeat(1 << 20));
        assert_eq!((long.len(), long.capacity()), (MOST_KEPT, MOST_KEPT));
    }

    #[test]
    fn names_of_software() {
        for good in ["apache-kafka-java", "4.3.1", "a"] {
            assert!(is_software(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "a/b"] {
            assert!(!is_software(bad), "{bad}");
        }
    }
}
