//! Keys of authorization, principals, delegation tokens and TLS.

use crate::catalog::{keys, why};
use crate::key::{ClassName, Names, Text};
use crate::valid::{Emptiness, Valid};
use crate::value::Secret;

keys! {
    /// Who decides what a client may do; Kafka's standard authorizer by its class name, nobody
    /// when empty.
    AUTHORIZER_CLASS_NAME: Text = "authorizer.class.name",
        .default("").valid(Valid::NonNullText).low().planned(why::AUTHZ);
    /// Java class that makes a client's name of its connection.
    PRINCIPAL_BUILDER_CLASS: ClassName = "principal.builder.class",
        .default("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder")
        .per_broker().no_effect(why::CLASS);
    /// Java security providers to install.
    SECURITY_PROVIDERS: Option<Text> = "security.providers", .low().no_effect(why::JCA);
    /// Secret that delegation tokens are signed with, the same on every node.
    DELEGATION_TOKEN_SECRET_KEY: Option<Secret> = "delegation.token.secret.key",
        .planned(why::TOKENS);
    /// Longest life of a delegation token.
    DELEGATION_TOKEN_MAX_LIFETIME_MS: i64 = "delegation.token.max.lifetime.ms",
        .default("604800000").min(1).planned(why::TOKENS);
    /// How long a delegation token lives without being renewed.
    DELEGATION_TOKEN_EXPIRY_TIME_MS: i64 = "delegation.token.expiry.time.ms",
        .default("86400000").min(1).planned(why::TOKENS);
    /// How often delegation tokens that expired are removed.
    DELEGATION_TOKEN_EXPIRY_CHECK_INTERVAL_MS: i64 = "delegation.token.expiry.check.interval.ms",
        .default("3600000").min(1).low().planned(why::TOKENS);
    /// Whether a changed certificate may name another subject.
    SSL_ALLOW_DN_CHANGES: bool = "ssl.allow.dn.changes", .default("false").low().planned(why::TLS);
    /// Whether a changed certificate may lack alternative names that the old one had.
    SSL_ALLOW_SAN_CHANGES: bool = "ssl.allow.san.changes",
        .default("false").low().planned(why::TLS);
    /// Cipher suites that are offered; the library's own when empty.
    SSL_CIPHER_SUITES: Names = "ssl.cipher.suites",
        .default("").valid(Valid::Distinct(&[], Emptiness::Allowed)).per_broker().planned(why::TLS);
    /// Whether clients must (`required`), may (`requested`) or need not (`none`) show a
    /// certificate.
    SSL_CLIENT_AUTH: Text = "ssl.client.auth",
        .default("none").valid(Valid::OneOf(&["required", "requested", "none"])).per_broker()
        .planned(why::TLS);
    /// Versions of TLS that are offered.
    SSL_ENABLED_PROTOCOLS: Names = "ssl.enabled.protocols",
        .default("TLSv1.2,TLSv1.3").valid(Valid::Distinct(&[], Emptiness::Allowed)).per_broker()
        .planned(why::TLS);
    /// How a server's name is checked against its certificate; empty does not check.
    SSL_ENDPOINT_IDENTIFICATION_ALGORITHM: Text = "ssl.endpoint.identification.algorithm",
        .default("https").low().per_broker().planned(why::TLS);
    /// Java class that makes TLS engines.
    SSL_ENGINE_FACTORY_CLASS: Option<ClassName> = "ssl.engine.factory.class",
        .low().per_broker().no_effect(why::CLASS);
    /// Password of the private key.
    SSL_KEY_PASSWORD: Option<Secret> = "ssl.key.password", .per_broker().planned(why::TLS);
    /// Java's algorithm for key managers.
    SSL_KEYMANAGER_ALGORITHM: Text = "ssl.keymanager.algorithm",
        .default("SunX509").per_broker().no_effect(why::JCA);
    /// Certificate chain in PEM, as the value itself.
    SSL_KEYSTORE_CERTIFICATE_CHAIN: Option<Secret> = "ssl.keystore.certificate.chain",
        .per_broker().planned(why::TLS);
    /// Private key in PEM, as the value itself.
    SSL_KEYSTORE_KEY: Option<Secret> = "ssl.keystore.key", .per_broker().planned(why::TLS);
    /// File of the certificate and the private key.
    SSL_KEYSTORE_LOCATION: Option<Text> = "ssl.keystore.location", .per_broker().planned(why::TLS);
    /// Password of that file.
    SSL_KEYSTORE_PASSWORD: Option<Secret> = "ssl.keystore.password",
        .per_broker().planned(why::TLS);
    /// Format of that file: PEM, PKCS12 or JKS.
    SSL_KEYSTORE_TYPE: Text = "ssl.keystore.type", .default("JKS").per_broker().planned(why::TLS);
    /// Rules that make a client's name of its certificate's subject.
    SSL_PRINCIPAL_MAPPING_RULES: Text = "ssl.principal.mapping.rules",
        .default("DEFAULT").low().planned(why::TLS);
    /// Version of TLS that is preferred.
    SSL_PROTOCOL: Text = "ssl.protocol", .default("TLSv1.3").per_broker().planned(why::TLS);
    /// Java's security provider for TLS.
    SSL_PROVIDER: Option<Text> = "ssl.provider", .per_broker().no_effect(why::JCA);
    /// Java's source of random numbers for TLS.
    SSL_SECURE_RANDOM_IMPLEMENTATION: Option<Text> = "ssl.secure.random.implementation",
        .low().per_broker().no_effect(why::JCA);
    /// Java's algorithm for trust managers.
    SSL_TRUSTMANAGER_ALGORITHM: Text = "ssl.trustmanager.algorithm",
        .default("PKIX").per_broker().no_effect(why::JCA);
    /// Certificates in PEM that are trusted, as the value itself.
    SSL_TRUSTSTORE_CERTIFICATES: Option<Secret> = "ssl.truststore.certificates",
        .per_broker().planned(why::TLS);
    /// File of the certificates that are trusted.
    SSL_TRUSTSTORE_LOCATION: Option<Text> = "ssl.truststore.location",
        .per_broker().planned(why::TLS);
    /// Password of that file.
    SSL_TRUSTSTORE_PASSWORD: Option<Secret> = "ssl.truststore.password",
        .per_broker().planned(why::TLS);
    /// Format of that file: PEM, PKCS12 or JKS.
    SSL_TRUSTSTORE_TYPE: Text = "ssl.truststore.type",
        .default("JKS").per_broker().planned(why::TLS);
}
