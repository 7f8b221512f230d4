//! What stands in a configuration. Whatever is left out has the default of the builders.

#[cfg(feature = "oauth")]
use std::collections::BTreeMap;

use serde::Deserialize;

use super::secret::{OlderKeys, SecretSource};
#[cfg(feature = "oauth")]
use super::units::Listed;
use super::units::{Name, Size, Span, Texts};
use crate::mcp::{McpPolicy, Show};
use crate::scopes::Strength;

/// One section: nothing in it is required by reading, and nothing unknown is passed over.
macro_rules! section {
    ($(#[$attribute:meta])* $name:ident {
        $($(#[$field_attribute:meta])* $field:ident: $kind:ty,)*
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(default, deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$field_attribute])* pub(super) $field: $kind,)*
        }
    };
}

pub(super) use section;

section! {
    /// The layers of an MCP server.
    Sections {
        /// The URL of the MCP endpoint: the resource that is protected.
        resource: Option<String>,
        /// Several resources, instead of one: a list, or a map by name.
        #[cfg(feature = "oauth")]
        resources: Listed<super::resources::ResourceSection>,
        /// What the metadata of the resource say besides.
        #[cfg(feature = "oauth")]
        metadata: Option<Metadata>,
        /// Whom is trusted to issue access tokens: a list, or a map by name.
        #[cfg(feature = "oauth")]
        authorization_servers: Listed<super::server::Server>,
        /// What holds for the access tokens of all authorization servers.
        #[cfg(feature = "oauth")]
        oauth: Option<OAuth>,
        /// JWTs signed with a key that is held here.
        #[cfg(feature = "jwt")]
        jwt: Option<super::jwt::Jwt>,
        /// API keys.
        api_keys: Option<super::api_keys::ApiKeys>,
        /// What holds for requests whatever their credential.
        auth: Auth,
        /// Credentials that are taken back before they expire; off without this section.
        revocation: Option<super::revocation::RevocationSection>,
        /// What the replicas of this server share.
        #[cfg(feature = "redis")]
        shared: Option<super::shared::Shared>,
        /// The proxies in front of this server, and what they may say.
        proxies: Option<Proxies>,
        /// Which hosts and origins are served.
        origin: Origin,
        /// Binds sessions to their principal.
        session: Option<Session>,
        /// How many calls callers have.
        quotas: Option<super::quotas::QuotasSection>,
        /// Which scopes each operation needs.
        #[cfg_attr(feature = "schema", schemars(with = "Option<super::schema::Policy>"))]
        policy: Option<McpPolicy>,
        /// How messages are read to be judged by the policy.
        operations: Option<Operations>,
        /// How lists are filtered by the policy.
        lists: Option<Lists>,
        /// Seals state that clients keep.
        sealer: Option<Sealer>,
        /// Stops hearing addresses that fail too often.
        failed_attempts: FailedAttempts,
    }
}

#[cfg(feature = "oauth")]
section! {
    /// Members of the protected resource metadata (RFC 9728).
    Metadata {
        /// The URL of the metadata that challenges name, instead of the one derived from the resource.
        advertised_metadata_url: Option<String>,
        /// Serves the metadata at the well-known path without that of the resource too.
        metadata_at_root: bool,
        /// The scopes clients may ask for.
        scopes_supported: Option<Texts>,
        /// The name of the resource, for people.
        resource_name: Option<Name>,
        /// A page for developers.
        resource_documentation: Option<String>,
        /// A page with the policy for clients.
        resource_policy_uri: Option<String>,
        /// A page with the terms of service.
        resource_tos_uri: Option<String>,
        /// The resource's own keys.
        jwks_uri: Option<String>,
        /// The algorithms it signs its answers with.
        resource_signing_alg_values_supported: Option<Texts>,
        /// Types of authorization details (RFC 9396).
        authorization_details_types_supported: Option<Texts>,
        /// Whether tokens may be bound to client certificates (RFC 8705).
        tls_client_certificate_bound_access_tokens: Option<bool>,
        /// The algorithms of DPoP proofs (RFC 9449).
        dpop_signing_alg_values_supported: Option<Texts>,
        /// Whether tokens must be bound to a key (RFC 9449).
        dpop_bound_access_tokens_required: Option<bool>,
        /// The same metadata as a signed JWT.
        signed_metadata: Option<Name>,
        /// Members of your own, texts, or in another language: `resource_name#de`.
        members: BTreeMap<String, String>,
    }
}

#[cfg(feature = "oauth")]
section! {
    /// What holds for the access tokens of all authorization servers.
    OAuth {
        /// The scopes every token needs.
        required_scopes: Option<Texts>,
        /// The header the token is in: one that a proxy at the edge sets.
        header_name: Option<String>,
        /// Whether `Bearer` stands before the token.
        require_bearer: Option<bool>,
        /// Serves a copy of the metadata of the only authorization server at the origin of the resource.
        copy_server_metadata: bool,
        /// The same of the authorization server with this issuer.
        copy_server_metadata_of: Option<String>,
        /// How long a token may be.
        max_token_bytes: Option<Size>,
        /// How long the JOSE header of a token may be.
        max_header_bytes: Option<Size>,
        /// Verified tokens that are remembered.
        token_cache: TokenCacheSection,
        /// How key sets are fetched and kept.
        jwks_options: super::jwks_options::JwksOptionsSection,
        /// DPoP proofs.
        dpop: Option<super::dpop::DpopSection>,
        /// Certificates of clients, where TLS ends at a proxy.
        forwarded_certificates: Option<super::binding::ForwardedSection>,
        /// How requests to authorization servers are made.
        fetch: super::fetch::FetchSection,
    }
}

#[cfg(feature = "oauth")]
section! {
    /// Verified tokens that are remembered.
    TokenCacheSection {
        /// Remembers none.
        disabled: bool,
        /// How many tokens.
        max_tokens: Option<u64>,
        /// How much memory.
        max_bytes: Option<Size>,
        /// For how long at most.
        max_ttl: Option<Span>,
    }
}

section! {
    /// What holds for requests whatever their credential.
    Auth {
        /// Paths that need no credential.
        public_paths: Texts,
        /// Lets `GET /` pass without a credential.
        dangerously_public_root: bool,
        /// The endpoints of the old HTTP+SSE transport.
        sse_endpoints: Option<Sse>,
        /// Names of query parameters that are refused, instead of the default ones.
        forbidden_query_names: Option<Texts>,
        /// Whether the inner service gets to see the credential.
        forward_credential: Option<bool>,
        /// Lets requests without a credential pass, as anonymous ones; by default where the policy
        /// opens something to them.
        optional: Option<bool>,
        /// How strongly and how lately every user must have signed in.
        #[cfg_attr(feature = "schema", schemars(with = "Option<super::schema::Strength>"))]
        required_strength: Option<Strength>,
        /// Whether gRPC requests are refused in gRPC's form; by default they are not.
        grpc_refusals: Option<bool>,
        /// How much longer than its credential an answer may take.
        stream_grace: Option<Span>,
        /// How long a stream may stay open with a credential that does not expire.
        stream_max_life: Option<Span>,
        /// Lets streams go on after their credential has expired.
        dangerously_streams_outlive_credentials: bool,
        /// Carries out no refusal, and tells of each.
        dangerously_report_only: bool,
        /// Carries out no refusal for these reasons, and tells of each.
        #[cfg_attr(feature = "schema", schemars(with = "Option<super::schema::ReasonCodes>"))]
        dangerously_report_only_for: Option<Texts>,
    }
}

section! {
    /// The endpoints of the old HTTP+SSE transport, and which need a credential.
    Sse {
        /// Whether the event stream needs one. It has to be said: for the layer alone it does
        /// not.
        sse: Option<bool>,
        /// Whether messages need one; by default they do.
        messages: Option<bool>,
        /// The path of the event stream; `/sse` by default.
        sse_path: Option<String>,
        /// The path of messages; `/messages` by default.
        messages_path: Option<String>,
    }
}

section! {
    /// The proxies in front of this server, and what they may say.
    Proxies {
        /// Which headers they write; the others are not read.
        headers: Option<HeaderFamily>,
        /// The networks they are in, or their addresses.
        networks: Texts,
        /// Trusts the headers of any peer, instead.
        dangerously_any_peer: bool,
        /// How many of them stand one behind the other.
        hops: Option<usize>,
        /// Whether a host that they name counts.
        forwarded_host: Option<bool>,
        /// The part of the path that a proxy takes away, where there are several resources, or
        /// DPoP proofs.
        stripped_prefix: Option<String>,
    }
}

/// The headers in which proxies say whom and what they forward.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum HeaderFamily {
    Forwarded,
    #[serde(rename = "X-Forwarded")]
    XForwarded,
}

section! {
    /// Which hosts and origins are served.
    Origin {
        /// Further hosts.
        allow_hosts: Texts,
        /// Further origins.
        allow_origins: Texts,
        /// Serves whatever host is asked for.
        dangerously_any_host: bool,
    }
}

section! {
    /// Binds sessions to their principal.
    Session {
        /// The key session ids are bound with, at least 32 bytes.
        key: Option<SecretSource>,
        /// Older keys: their sessions go on. A list, or a map by name.
        also_accept: OlderKeys,
        /// The name of the server, where several share the key; the resource by default.
        server: Option<Name>,
        /// Whether a principal can take over an anonymous session; not by default.
        anonymous_sessions_can_be_claimed: bool,
        /// How many claims are kept in memory at most; 100000 by default.
        max_claims: Option<usize>,
        /// Serves anonymous sessions while the engine of `shared` gives no answer, claimed or not.
        dangerously_allow_on_outage: bool,
    }
}

/// In which form a refusal asks to sign in.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum DialectName {
    /// HTTP 401 or 403.
    Http,
    /// HTTP 200 with the result of a tool that failed.
    Result,
    /// The one or the other, by what a client says of itself.
    ByClient,
}

section! {
    /// How messages are read to be judged by the policy, and how they are refused.
    Operations {
        /// How large a message may be.
        max_body_bytes: Option<Size>,
        /// How long reading it may take.
        read_timeout: Option<Span>,
        /// In which form clients are asked to sign in, or for more scope; `http` by default.
        dialect: Option<DialectName>,
        /// The clients that are answered with results where the dialect goes by client, or the
        /// beginnings of their names (`acme-*`).
        result_clients: Option<Texts>,
    }
}

section! {
    /// How lists are filtered by the policy.
    Lists {
        /// Which items of those that some scope opens are shown; `by_caller` by default.
        show: Option<Show>,
        /// How large a list may be.
        max_bytes: Option<Size>,
    }
}

section! {
    /// Seals state that clients keep.
    Sealer {
        /// The key it is sealed with, at least 32 bytes.
        key: Option<SecretSource>,
        /// Older keys: their seals are still good. A list, or a map by name.
        also_accept: OlderKeys,
        /// What is sealed, where one key seals several things.
        purpose: Option<Name>,
        /// How long a seal is good.
        lifetime: Option<Span>,
        /// How large what is sealed may be.
        max_bytes: Option<Size>,
    }
}

section! {
    /// Stops hearing addresses that fail too often.
    FailedAttempts {
        /// How many failures an address has within the window.
        max_failures: Option<u32>,
        /// The window.
        window: Option<Span>,
        /// For how long it is refused then.
        block_duration: Option<Span>,
        /// How many addresses are watched.
        max_addresses: Option<usize>,
        /// How many bits of an IPv6 address are one address.
        ipv6_prefix: Option<u8>,
        /// The secret that addresses are coded with in the engine of `shared`, where failures are
        /// counted with it, the same at all replicas; at least 32 bytes.
        secret: Option<SecretSource>,
        /// Whether gRPC requests are refused in gRPC's form; by default they are not.
        grpc_refusals: Option<bool>,
    }
}
