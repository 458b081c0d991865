//! CreateAcls and DeleteAcls. Whether an authorizer is configured is the server's to know.

use crate::draft::Draft;
use crate::error::ApiError;
use crate::waits::Waits;
use ottla_metadata::{Acl, AclFilter};
use ottla_wire::api::create_acls::{
    AclCreation, AclCreationResult, CreateAclsRequest, CreateAclsResponse,
};
use ottla_wire::api::delete_acls::{
    DeleteAclsFilter, DeleteAclsFilterResult, DeleteAclsMatchingAcl, DeleteAclsRequest,
    DeleteAclsResponse,
};
use ottla_wire::schema::metadata::RemoveAccessControlEntryRecord;
use ottla_wire::{ErrorCode, Uuid};
use std::collections::BTreeSet;

/// The most rules that one request deletes.
const MAX_DELETED: usize = 10_000;

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::INVALID_REQUEST, text)
}

/// Adds access rules; one that is there already is not added again, and that is no error.
pub(crate) fn create_acls(
    draft: &mut Draft<'_>,
    waits: &mut Waits,
    request: &CreateAclsRequest,
) -> CreateAclsResponse {
    let mut new: BTreeSet<Acl> = BTreeSet::new();
    let results = request.creations.iter().map(|creation| {
        let created = acl(creation).map(|acl| {
            if !draft.state().has_acl(&acl) && !new.contains(&acl) {
                draft.push(acl.to_record(waits.rng.uuid()));
                new.insert(acl);
            }
        });
        let (error_code, error_message) = ApiError::parts(created);
        AclCreationResult { error_code, error_message }
    });
    CreateAclsResponse { results: results.collect(), ..CreateAclsResponse::default() }
}

fn acl(c: &AclCreation) -> Result<Acl, ApiError> {
    // Codes 0 and 1 are unknown and any: they can be asked for, not set.
    let named = |code: i8| if code == 1 { "ANY" } else { "UNKNOWN" };
    if !(2..=7).contains(&c.resource_type) {
        return Err(invalid(format!("Invalid resourceType {}", named(c.resource_type))));
    }
    if c.resource_pattern_type != 3 && c.resource_pattern_type != 4 {
        let name =
            if c.resource_pattern_type == 2 { "MATCH" } else { named(c.resource_pattern_type) };
        return Err(invalid(format!("Invalid patternType {name}")));
    }
    if !(2..=15).contains(&c.operation) {
        return Err(invalid(format!("Invalid operation {}", named(c.operation))));
    }
    if c.permission_type != 2 && c.permission_type != 3 {
        return Err(invalid(format!("Invalid permissionType {}", named(c.permission_type))));
    }
    if c.resource_name.is_empty() {
        return Err(invalid("Resource name should not be empty"));
    }
    if !c.principal.contains(':') {
        let principal = &c.principal;
        return Err(invalid(format!(
            "Could not parse principal from `{principal}` (no colon is present separating the principal type from \
             the principal name)"
        )));
    }
    Ok(Acl {
        resource_type: c.resource_type,
        resource_name: c.resource_name.clone(),
        pattern_type: c.resource_pattern_type,
        principal: c.principal.clone(),
        host: c.host.clone(),
        operation: c.operation,
        permission_type: c.permission_type,
    })
}

/// Deletes the access rules that filters match, and tells which they were.
pub(crate) fn delete_acls(
    draft: &mut Draft<'_>,
    request: &DeleteAclsRequest,
) -> DeleteAclsResponse {
    let mut deleted: BTreeSet<Uuid> = BTreeSet::new();
    let filter_results = request.filters.iter().map(|filter| {
        let done = delete(draft, filter, &mut deleted);
        let (error_code, error_message) = match &done {
            Ok(_) => (ErrorCode::NONE, None),
            Err(e) => (e.code, e.message.clone()),
        };
        let matching_acls = done.unwrap_or_default();
        DeleteAclsFilterResult { error_code, error_message, matching_acls }
    });
    let filter_results = filter_results.collect();
    DeleteAclsResponse { filter_results, ..DeleteAclsResponse::default() }
}

fn delete(
    draft: &mut Draft<'_>,
    f: &DeleteAclsFilter,
    deleted: &mut BTreeSet<Uuid>,
) -> Result<Vec<DeleteAclsMatchingAcl>, ApiError> {
    let filter = AclFilter {
        resource_type: f.resource_type_filter,
        resource_name: f.resource_name_filter.clone(),
        pattern_type: f.pattern_type_filter,
        principal: f.principal_filter.clone(),
        host: f.host_filter.clone(),
        operation: f.operation,
        permission_type: f.permission_type,
    };
    if filter.resource_type == 0 || filter.pattern_type == 0 {
        return Err(invalid("Unknown patternFilter."));
    }
    if filter.operation == 0 || filter.permission_type == 0 {
        return Err(invalid("Unknown entryFilter."));
    }
    let before = draft.state().image();
    let matching: Vec<_> = before.acls().filter(|(_, acl)| filter.matches(acl)).collect();
    let new = matching.iter().filter(|(id, _)| !deleted.contains(id)).count();
    if deleted.len() + new > MAX_DELETED {
        return Err(invalid("Cannot remove more than 10000 acls in a single delete operation."));
    }
    let told = matching.into_iter().map(|(id, acl)| {
        if deleted.insert(id) {
            draft.push(RemoveAccessControlEntryRecord { id });
        }
        DeleteAclsMatchingAcl {
            resource_type: acl.resource_type,
            resource_name: acl.resource_name.clone(),
            pattern_type: acl.pattern_type,
            principal: acl.principal.clone(),
            host: acl.host.clone(),
            operation: acl.operation,
            permission_type: acl.permission_type,
            error_code: ErrorCode::NONE,
            error_message: None,
        }
    });
    Ok(told.collect())
}
