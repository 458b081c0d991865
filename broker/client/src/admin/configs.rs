//! Calls about configurations of every kind, quotas and credentials.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_wire::api::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasRequestEntityData,
    AlterClientQuotasRequestEntryData, OpData,
};
use ottla_wire::api::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use ottla_wire::api::describe_client_quotas::{ComponentData, DescribeClientQuotasRequest};
use ottla_wire::api::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};
use ottla_wire::api::describe_user_scram_credentials::{
    DescribeUserScramCredentialsRequest, UserName,
};
use ottla_wire::api::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_wire::api::list_config_resources::ListConfigResourcesRequest;

use super::{DELETE, SET, may_pass};
use crate::retry::retry;
use crate::{ApiError, Client, ClientError};

/// A kind of resource that has configurations; the numbers are those of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    /// A topic.
    Topic = 2,
    /// A broker; the empty name is the default of all.
    Broker = 4,
    /// A broker's loggers.
    BrokerLogger = 8,
    /// A subscription of client metrics.
    ClientMetrics = 16,
    /// A group.
    Group = 32,
}

/// Where a value comes from; the numbers are those of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source(pub i8);

impl Source {
    /// Set on one broker at run time.
    pub const DYNAMIC_BROKER: Self = Self(2);
    /// Set for all brokers at run time.
    pub const DYNAMIC_DEFAULT_BROKER: Self = Self(3);

    /// Its name in Kafka's tools.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "DYNAMIC_TOPIC_CONFIG",
            2 => "DYNAMIC_BROKER_CONFIG",
            3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            4 => "STATIC_BROKER_CONFIG",
            5 => "DEFAULT_CONFIG",
            6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
            7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
            8 => "DYNAMIC_GROUP_CONFIG",
            _ => "UNKNOWN",
        }
    }
}

/// A value of a configuration, or one that stands below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synonym {
    /// The key.
    pub name: String,
    /// The value; `None` if it may not be shown.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
}

/// A key of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigDetail {
    /// The key, its value and where that comes from.
    pub entry: Synonym,
    /// Whether the value may not be shown.
    pub is_sensitive: bool,
    /// Whether it cannot be changed at run time.
    pub is_read_only: bool,
    /// The values that would hold one after the other if the ones before were not set; this one first.
    pub synonyms: Vec<Synonym>,
}

/// Whom a quota is for: by kind (`user`, `client-id`, `ip`) the name, or `None` for the default.
pub type Entity = BTreeMap<String, Option<String>>;

/// Which names of a kind are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// This name.
    Name(String),
    /// The default.
    Default,
    /// All.
    Any,
}

/// A credential to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewScram {
    /// The mechanism's number: 1 is SCRAM-SHA-256, 2 is SCRAM-SHA-512.
    pub mechanism: i8,
    /// The iterations.
    pub iterations: i32,
    /// The salt.
    pub salt: Bytes,
    /// The password with the salt, iterated.
    pub salted_password: Bytes,
}

impl Client {
    /// All keys of a resource.
    pub async fn describe_config(
        &self,
        kind: ResourceKind,
        name: &str,
    ) -> Result<Vec<ConfigDetail>, ClientError> {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: kind as i8,
                resource_name: name.to_owned(),
                configuration_keys: None,
            }],
            include_synonyms: true,
            include_documentation: false,
        };
        retry(self.options(), || async {
            let response = self.node(home_of(kind, name)).await?.send(&request).await?;
            let mut details = Vec::new();
            for result in response.results {
                let checked = ApiError::check(result.error_code, result.error_message);
                if let Some(refused) = refusal(checked)? {
                    return Ok(Err(refused));
                }
                details.extend(result.configs.into_iter().map(detail));
            }
            Ok(Ok(details))
        })
        .await?
        .map_err(ClientError::from)
    }

    /// Sets keys of a resource, and takes away those whose value is `None`.
    pub async fn alter_config(
        &self,
        kind: ResourceKind,
        name: &str,
        values: &BTreeMap<String, Option<String>>,
    ) -> Result<(), ClientError> {
        let configs = values.iter().map(|(key, value)| AlterableConfig {
            name: key.clone(),
            config_operation: if value.is_some() { SET } else { DELETE },
            value: value.clone(),
        });
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: kind as i8,
                resource_name: name.to_owned(),
                configs: configs.collect(),
            }],
            validate_only: false,
        };
        retry(self.options(), || async {
            let response = self.node(home_of(kind, name)).await?.send(&request).await?;
            for result in response.responses {
                let checked = ApiError::check(result.error_code, result.error_message);
                if let Some(refused) = refusal(checked)? {
                    return Ok(Err(refused));
                }
            }
            Ok(Ok(()))
        })
        .await?
        .map_err(ClientError::from)
    }

    /// The names of resources of a kind that have values set; of topics and brokers, all.
    pub async fn config_resources(&self, kind: ResourceKind) -> Result<Vec<String>, ClientError> {
        let request = ListConfigResourcesRequest { resource_types: vec![kind as i8] };
        retry(self.options(), || async {
            let response = self.any().await?.send(&request).await?;
            ApiError::check(response.error_code, None)?;
            Ok(response.config_resources.into_iter().map(|r| r.resource_name).collect())
        })
        .await
    }

    /// The quotas of entities that have exactly these kinds, with these names.
    pub async fn quotas(
        &self,
        filter: &BTreeMap<String, Match>,
    ) -> Result<Vec<(Entity, BTreeMap<String, f64>)>, ClientError> {
        let component = |(kind, name): (&String, &Match)| ComponentData {
            entity_type: kind.clone(),
            match_type: match name {
                Match::Name(_) => 0,
                Match::Default => 1,
                Match::Any => 2,
            },
            r#match: match name {
                Match::Name(name) => Some(name.clone()),
                Match::Default | Match::Any => None,
            },
        };
        let request = DescribeClientQuotasRequest {
            components: filter.iter().map(component).collect(),
            strict: true,
        };
        retry(self.options(), || async {
            let response = self.any().await?.send(&request).await?;
            ApiError::check(response.error_code, response.error_message)?;
            let entries = response.entries.unwrap_or_default().into_iter().map(|e| {
                let entity = e.entity.into_iter().map(|n| (n.entity_type, n.entity_name));
                let values = e.values.into_iter().map(|v| (v.key, v.value));
                (entity.collect(), values.collect())
            });
            Ok(entries.collect())
        })
        .await
    }

    /// Sets quotas of an entity, and takes away those whose value is `None`.
    pub async fn alter_quotas(
        &self,
        entity: &Entity,
        values: &BTreeMap<String, Option<f64>>,
    ) -> Result<(), ClientError> {
        let named = |(kind, name): (&String, &Option<String>)| AlterClientQuotasRequestEntityData {
            entity_type: kind.clone(),
            entity_name: name.clone(),
        };
        let op = |(key, value): (&String, &Option<f64>)| OpData {
            key: key.clone(),
            value: value.unwrap_or_default(),
            remove: value.is_none(),
        };
        let request = AlterClientQuotasRequest {
            entries: vec![AlterClientQuotasRequestEntryData {
                entity: entity.iter().map(named).collect(),
                ops: values.iter().map(op).collect(),
            }],
            validate_only: false,
        };
        retry(self.options(), || async {
            let response = self.any().await?.send(&request).await?;
            for entry in response.entries {
                ApiError::check(entry.error_code, entry.error_message)?;
            }
            Ok(())
        })
        .await
    }

    /// The credentials of users, or of all: by user, mechanism and iterations.
    pub async fn scram_credentials(
        &self,
        users: Option<&[String]>,
    ) -> Result<super::PerName<Vec<(i8, i32)>>, ClientError> {
        let named = |names: &[String]| names.iter().map(|n| UserName { name: n.clone() }).collect();
        let request = DescribeUserScramCredentialsRequest { users: users.map(named) };
        retry(self.options(), || async {
            let response = self.any().await?.send(&request).await?;
            ApiError::check(response.error_code, response.error_message)?;
            let results = response.results.into_iter().map(|r| {
                let known = r.credential_infos.iter().map(|c| (c.mechanism, c.iterations));
                let known = known.collect();
                (r.user, ApiError::check(r.error_code, r.error_message).map(|()| known))
            });
            Ok(results.collect())
        })
        .await
    }

    /// Sets credentials of a user, and takes away those of the mechanisms in `deleted`.
    pub async fn alter_scram(
        &self,
        user: &str,
        set: &[NewScram],
        deleted: &[i8],
    ) -> Result<(), ClientError> {
        let deletion = |m: &i8| ScramCredentialDeletion { name: user.to_owned(), mechanism: *m };
        let upsertion = |c: &NewScram| ScramCredentialUpsertion {
            name: user.to_owned(),
            mechanism: c.mechanism,
            iterations: c.iterations,
            salt: c.salt.clone(),
            salted_password: c.salted_password.clone(),
        };
        let request = AlterUserScramCredentialsRequest {
            deletions: deleted.iter().map(deletion).collect(),
            upsertions: set.iter().map(upsertion).collect(),
        };
        retry(self.options(), || async {
            let response = self.any().await?.send(&request).await?;
            for result in response.results {
                ApiError::check(result.error_code, result.error_message)?;
            }
            Ok(())
        })
        .await
    }
}

/// The broker that alone knows and changes a resource, if there is one.
fn home_of(kind: ResourceKind, name: &str) -> Option<i32> {
    match kind {
        ResourceKind::Broker | ResourceKind::BrokerLogger => name.parse().ok(),
        ResourceKind::Topic | ResourceKind::ClientMetrics | ResourceKind::Group => None,
    }
}

/// What a resource was refused with for good; an error that may pass is one to try again after.
fn refusal(checked: Result<(), ApiError>) -> Result<Option<ApiError>, ClientError> {
    match checked {
        Err(error) if may_pass(error.code) => Err(error.into()),
        other => Ok(other.err()),
    }
}

fn detail(config: DescribeConfigsResourceResult) -> ConfigDetail {
    let synonyms = config.synonyms.into_iter().map(|s| Synonym {
        name: s.name,
        value: s.value,
        source: Source(s.source),
    });
    ConfigDetail {
        synonyms: synonyms.collect(),
        is_sensitive: config.is_sensitive,
        is_read_only: config.read_only,
        entry: Synonym {
            name: config.name,
            value: config.value,
            source: Source(config.config_source),
        },
    }
}
