//! In which form a refused client is told to sign in, or to ask for more scope.

/// The form of a refusal that a client can answer by signing in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// HTTP 401 or 403 with `WWW-Authenticate`.
    #[default]
    Http,
    /// HTTP 200 with the result of a tool that failed.
    Result,
}

/// The dialect of the client that opened a session: in the extensions of the response that names
/// the session, and of each later request in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SessionDialect(pub(super) Dialect);
