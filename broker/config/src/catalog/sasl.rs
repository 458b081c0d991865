//! Keys of SASL and OAuth.

use crate::catalog::{keys, why};
use crate::key::{ClassName, Names, Text};
use crate::valid::{Emptiness, Valid};
use crate::value::Secret;

keys! {
    /// SASL mechanisms that are offered to clients.
    SASL_ENABLED_MECHANISMS: Names = "sasl.enabled.mechanisms",
        .default("GSSAPI").valid(Valid::Distinct(&[], Emptiness::Allowed)).per_broker()
        .planned(why::SASL);
    /// Login of one mechanism, in JAAS syntax; set by a listener's and a mechanism's prefix.
    SASL_JAAS_CONFIG: Option<Secret> = "sasl.jaas.config", .per_broker().planned(why::SASL);
    /// SASL mechanism that brokers use among themselves.
    SASL_MECHANISM_INTER_BROKER_PROTOCOL: Text = "sasl.mechanism.inter.broker.protocol",
        .default("GSSAPI").per_broker().planned(why::SASL);
    /// SASL mechanism that nodes use towards controllers.
    SASL_MECHANISM_CONTROLLER_PROTOCOL: Text = "sasl.mechanism.controller.protocol",
        .default("GSSAPI").high().planned(why::SASL);
    /// Largest message of a client before it is authenticated.
    SASL_SERVER_MAX_RECEIVE_SIZE: i32 = "sasl.server.max.receive.size",
        .default("524288").planned(why::SASL);
    /// Java class that answers the questions of a SASL client.
    SASL_CLIENT_CALLBACK_HANDLER_CLASS: Option<ClassName> = "sasl.client.callback.handler.class",
        .no_effect(why::CLASS);
    /// Java class that answers the questions of a login.
    SASL_LOGIN_CALLBACK_HANDLER_CLASS: Option<ClassName> = "sasl.login.callback.handler.class",
        .no_effect(why::CLASS);
    /// Java class of a login.
    SASL_LOGIN_CLASS: Option<ClassName> = "sasl.login.class", .no_effect(why::CLASS);
    /// Java class that answers the questions of a SASL server.
    SASL_SERVER_CALLBACK_HANDLER_CLASS: Option<ClassName> = "sasl.server.callback.handler.class",
        .no_effect(why::CLASS);
    /// How long connecting to the token's issuer may take.
    SASL_LOGIN_CONNECT_TIMEOUT_MS: Option<i32> = "sasl.login.connect.timeout.ms",
        .low().planned(why::OAUTH);
    /// How long the answer of the token's issuer may take.
    SASL_LOGIN_READ_TIMEOUT_MS: Option<i32> = "sasl.login.read.timeout.ms",
        .low().planned(why::OAUTH);
    /// How long before its end a token is renewed at the latest.
    SASL_LOGIN_REFRESH_BUFFER_SECONDS: i16 = "sasl.login.refresh.buffer.seconds",
        .default("300").per_broker().planned(why::OAUTH);
    /// Least time between two renewals of a token.
    SASL_LOGIN_REFRESH_MIN_PERIOD_SECONDS: i16 = "sasl.login.refresh.min.period.seconds",
        .default("60").per_broker().planned(why::OAUTH);
    /// Share of its life after which a token is renewed.
    SASL_LOGIN_REFRESH_WINDOW_FACTOR: f64 = "sasl.login.refresh.window.factor",
        .default("0.8").per_broker().planned(why::OAUTH);
    /// Random share of its life added to that.
    SASL_LOGIN_REFRESH_WINDOW_JITTER: f64 = "sasl.login.refresh.window.jitter",
        .default("0.05").per_broker().planned(why::OAUTH);
    /// Longest pause between two tries to get a token.
    SASL_LOGIN_RETRY_BACKOFF_MAX_MS: i64 = "sasl.login.retry.backoff.max.ms",
        .default("10000").low().planned(why::OAUTH);
    /// First pause between two tries to get a token.
    SASL_LOGIN_RETRY_BACKOFF_MS: i64 = "sasl.login.retry.backoff.ms",
        .default("100").low().planned(why::OAUTH);
    /// Path of the program kinit.
    SASL_KERBEROS_KINIT_CMD: Text = "sasl.kerberos.kinit.cmd",
        .default("/usr/bin/kinit").per_broker().no_effect(why::KERBEROS);
    /// Least time between two logins to Kerberos.
    SASL_KERBEROS_MIN_TIME_BEFORE_RELOGIN: i64 = "sasl.kerberos.min.time.before.relogin",
        .default("60000").per_broker().no_effect(why::KERBEROS);
    /// Rules that make a short name of a Kerberos principal.
    SASL_KERBEROS_PRINCIPAL_TO_LOCAL_RULES: Names = "sasl.kerberos.principal.to.local.rules",
        .default("DEFAULT").valid(Valid::Distinct(&[], Emptiness::Allowed)).per_broker()
        .no_effect(why::KERBEROS);
    /// Name that brokers have in Kerberos.
    SASL_KERBEROS_SERVICE_NAME: Option<Text> = "sasl.kerberos.service.name",
        .per_broker().no_effect(why::KERBEROS);
    /// Random share added to the renewal of a ticket.
    SASL_KERBEROS_TICKET_RENEW_JITTER: f64 = "sasl.kerberos.ticket.renew.jitter",
        .default("0.05").per_broker().no_effect(why::KERBEROS);
    /// Share of its life after which a ticket is renewed.
    SASL_KERBEROS_TICKET_RENEW_WINDOW_FACTOR: f64 = "sasl.kerberos.ticket.renew.window.factor",
        .default("0.8").per_broker().no_effect(why::KERBEROS);
    /// Algorithm that assertions are signed with.
    SASL_OAUTHBEARER_ASSERTION_ALGORITHM: Text = "sasl.oauthbearer.assertion.algorithm",
        .default("RS256").valid(Valid::OneOfIgnoreCase(&["ES256", "RS256"])).planned(why::OAUTH);
    /// Audience that an assertion claims.
    SASL_OAUTHBEARER_ASSERTION_CLAIM_AUD: Option<Text> = "sasl.oauthbearer.assertion.claim.aud",
        .planned(why::OAUTH);
    /// How long an assertion holds.
    SASL_OAUTHBEARER_ASSERTION_CLAIM_EXP_SECONDS: i32 = "sasl.oauthbearer.assertion.claim.exp.seconds",
        .default("300").range(0, 86_400).low().planned(why::OAUTH);
    /// Issuer that an assertion claims.
    SASL_OAUTHBEARER_ASSERTION_CLAIM_ISS: Option<Text> = "sasl.oauthbearer.assertion.claim.iss",
        .planned(why::OAUTH);
    /// Whether an assertion carries an id of its own.
    SASL_OAUTHBEARER_ASSERTION_CLAIM_JTI_INCLUDE: bool = "sasl.oauthbearer.assertion.claim.jti.include",
        .default("false").planned(why::OAUTH);
    /// How far back an assertion begins to hold.
    SASL_OAUTHBEARER_ASSERTION_CLAIM_NBF_SECONDS: i32 = "sasl.oauthbearer.assertion.claim.nbf.seconds",
        .default("60").range(0, 3600).low().planned(why::OAUTH);
    /// Subject that an assertion claims.
    SASL_OAUTHBEARER_ASSERTION_CLAIM_SUB: Option<Text> = "sasl.oauthbearer.assertion.claim.sub",
        .planned(why::OAUTH);
    /// File of an assertion that is ready to use.
    SASL_OAUTHBEARER_ASSERTION_FILE: Option<Text> = "sasl.oauthbearer.assertion.file",
        .planned(why::OAUTH);
    /// File of the key that assertions are signed with.
    SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE: Option<Text> = "sasl.oauthbearer.assertion.private.key.file",
        .planned(why::OAUTH);
    /// Password of that key.
    SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_PASSPHRASE: Option<Secret> = "sasl.oauthbearer.assertion.private.key.passphrase",
        .planned(why::OAUTH);
    /// File with claims and headers that every assertion gets.
    SASL_OAUTHBEARER_ASSERTION_TEMPLATE_FILE: Option<Text> = "sasl.oauthbearer.assertion.template.file",
        .planned(why::OAUTH);
    /// Client id for the client credentials grant.
    SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_ID: Option<Text> = "sasl.oauthbearer.client.credentials.client.id",
        .planned(why::OAUTH);
    /// Client secret for the client credentials grant.
    SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_SECRET: Option<Secret> = "sasl.oauthbearer.client.credentials.client.secret",
        .planned(why::OAUTH);
    /// How far two clocks may differ when a token is checked.
    SASL_OAUTHBEARER_CLOCK_SKEW_SECONDS: i32 = "sasl.oauthbearer.clock.skew.seconds",
        .default("30").low().planned(why::OAUTH);
    /// Audiences of which a token must name one.
    SASL_OAUTHBEARER_EXPECTED_AUDIENCE: Names = "sasl.oauthbearer.expected.audience",
        .default("").valid(Valid::Distinct(&[], Emptiness::Allowed)).high().planned(why::OAUTH);
    /// Issuer that a token must name.
    SASL_OAUTHBEARER_EXPECTED_ISSUER: Option<Text> = "sasl.oauthbearer.expected.issuer",
        .high().planned(why::OAUTH);
    /// How often the issuer's keys are read again.
    SASL_OAUTHBEARER_JWKS_ENDPOINT_REFRESH_MS: i64 = "sasl.oauthbearer.jwks.endpoint.refresh.ms",
        .default("3600000").low().planned(why::OAUTH);
    /// Longest pause between two tries to read the issuer's keys.
    SASL_OAUTHBEARER_JWKS_ENDPOINT_RETRY_BACKOFF_MAX_MS: i64 = "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",
        .default("10000").low().planned(why::OAUTH);
    /// First pause between two tries to read the issuer's keys.
    SASL_OAUTHBEARER_JWKS_ENDPOINT_RETRY_BACKOFF_MS: i64 = "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms",
        .default("100").low().planned(why::OAUTH);
    /// Where the issuer's keys are.
    SASL_OAUTHBEARER_JWKS_ENDPOINT_URL: Option<Text> = "sasl.oauthbearer.jwks.endpoint.url",
        .planned(why::OAUTH);
    /// Java class that gets tokens.
    SASL_OAUTHBEARER_JWT_RETRIEVER_CLASS: ClassName = "sasl.oauthbearer.jwt.retriever.class",
        .default("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever")
        .no_effect(why::CLASS);
    /// Java class that checks tokens.
    SASL_OAUTHBEARER_JWT_VALIDATOR_CLASS: ClassName = "sasl.oauthbearer.jwt.validator.class",
        .default("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator")
        .no_effect(why::CLASS);
    /// Scope that is asked for with a token.
    SASL_OAUTHBEARER_SCOPE: Option<Text> = "sasl.oauthbearer.scope", .planned(why::OAUTH);
    /// Claim of a token that holds its scope.
    SASL_OAUTHBEARER_SCOPE_CLAIM_NAME: Text = "sasl.oauthbearer.scope.claim.name",
        .default("scope").low().planned(why::OAUTH);
    /// Claim of a token that holds the client's name.
    SASL_OAUTHBEARER_SUB_CLAIM_NAME: Text = "sasl.oauthbearer.sub.claim.name",
        .default("sub").low().planned(why::OAUTH);
    /// Where tokens are issued.
    SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: Option<Text> = "sasl.oauthbearer.token.endpoint.url",
        .planned(why::OAUTH);
}
