//! The layers for MCP: operations and what they need, sessions, origins, quotas, the whole stack.

mod announced;
mod details;
mod dialects;
mod headers;
mod lists;
mod members;
mod mixed;
mod operation;
mod origin;
mod policy;
mod probes;
mod quota;
mod result_dialect;
mod rmcp;
mod sealer;
mod session;
mod stack;
pub(crate) mod support;
mod uris;
