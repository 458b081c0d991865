//! UpdateFeatures: levels of features go up or down (KIP-584).

use ottla_controller::{ApiError, Command, Reply};
use ottla_metadata::features;
use ottla_wire::ErrorCode;
use ottla_wire::api::update_features::{
    FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

use crate::answer::Answer;
use crate::api::forwarded::{PATIENCE, ask, forward};
use crate::api::voters;
use crate::call::Call;

/// The type of an update that is to raise a level.
const UPGRADE: i8 = 1;

/// Answers UpdateFeatures.
pub fn handle(call: Call, request: UpdateFeaturesRequest) -> Answer<UpdateFeaturesResponse> {
    if let Some(refusal) = refusal_to_lower_kraft(&call, &request) {
        return refusal.into();
    }
    if !request.validate_only && raises_kraft(&call, &request) {
        return Answer::later(raise(call, request));
    }
    let timeout = Some(request.timeout_ms);
    forward(call, timeout, Command::UpdateFeatures(request), taken, refused)
}

fn taken(reply: Reply) -> Option<UpdateFeaturesResponse> {
    match reply {
        Reply::UpdateFeatures(response) => Some(response),
        _ => None,
    }
}

fn refused(error: ApiError) -> UpdateFeaturesResponse {
    let (error_code, error_message) = (error.code, error.message);
    UpdateFeaturesResponse { error_code, error_message, ..Default::default() }
}

/// Whether a request is to raise `kraft.version`, whose level the quorum itself keeps, beside the voters (KIP-853).
fn raises_kraft(call: &Call, request: &UpdateFeaturesRequest) -> bool {
    let level = call.context.image().features().level(features::KRAFT);
    let mut updates = request.feature_updates.iter();
    updates.any(|update| update.feature == features::KRAFT && update.max_version_level > level)
}

/// What a request to lower `kraft.version` is told. A controller that was there when it was raised does not know of it.
fn refusal_to_lower_kraft(
    call: &Call,
    request: &UpdateFeaturesRequest,
) -> Option<UpdateFeaturesResponse> {
    let current = call.context.image().features().level(features::KRAFT);
    let lowers = |level: i16| (0..current).contains(&level);
    let mut updates = request.feature_updates.iter();
    let update = updates.find(|u| u.feature == features::KRAFT && lowers(u.max_version_level))?;
    let condition = if update.allow_downgrade || update.upgrade_type != UPGRADE {
        ""
    } else {
        " without setting the upgrade type to either safe or unsafe downgrade"
    };
    let text = format!(
        "The update failed for all features since the following feature had an error: Invalid update version {} for \
         feature {}. Can't downgrade the version of this feature{condition}.",
        update.max_version_level,
        features::KRAFT,
    );
    let error_code = ErrorCode::INVALID_UPDATE_VERSION;
    let result = |update: &FeatureUpdateKey| UpdatableFeatureResult {
        feature: update.feature.clone(),
        error_code,
        error_message: Some(text.clone()),
    };
    let results = request.feature_updates.iter().map(result).collect();
    let error_message = Some(text.clone());
    Some(UpdateFeaturesResponse { error_code, error_message, results, ..Default::default() })
}

/// Has the controller look at all of it, the quorum write its voters, and the controller do the rest.
async fn raise(call: Call, mut request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    if let Some(answer) = voters::elsewhere(&call, &request).await {
        return answer.unwrap_or_else(|code| refused(ApiError::bare(code)));
    }
    let looked_at = UpdateFeaturesRequest { validate_only: true, ..request.clone() };
    let mut response = update(&call, looked_at).await;
    let is_refused = response.error_code != ErrorCode::NONE
        || response.results.iter().any(|result| result.error_code != ErrorCode::NONE);
    if is_refused {
        return response;
    }
    let raised = match &call.context.raft {
        Some(raft) => raft.say_directories().await.map_err(|e| (e.code(), e.to_string())),
        None => Err((ErrorCode::NOT_CONTROLLER, "this node is no controller".to_owned())),
    };
    if let Err((code, why)) = raised {
        if code == ErrorCode::NOT_CONTROLLER {
            call.not_controller();
        }
        return refused(ApiError::new(code, why));
    }
    request.feature_updates.retain(|update| update.feature != features::KRAFT);
    if request.feature_updates.is_empty() {
        call.context.caught_up().await;
        return response;
    }
    let rest = update(&call, request).await;
    if rest.error_code != ErrorCode::NONE {
        return rest;
    }
    for result in rest.results {
        let same = |r: &&mut UpdatableFeatureResult| r.feature == result.feature;
        if let Some(told) = response.results.iter_mut().find(same) {
            *told = result;
        }
    }
    response
}

async fn update(call: &Call, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    match ask(call, Command::UpdateFeatures(request), PATIENCE).await {
        Ok(Reply::Failed(error)) => refused(error),
        Ok(reply) => {
            taken(reply).unwrap_or_else(|| refused(ApiError::bare(ErrorCode::UNKNOWN_SERVER_ERROR)))
        }
        Err(code) => refused(ApiError::bare(code)),
    }
}
