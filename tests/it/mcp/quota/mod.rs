//! Budgets: who is counted by what, what a request costs, and how it is refused.

mod costs;
mod fairness;
mod owners;
mod refusals;
mod settings;
mod shared;
pub(crate) mod support;
