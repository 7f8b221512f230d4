//! Budgets: who is counted by what, what a request costs, and how it is refused.

mod costs;
mod extremes;
mod fairness;
mod owners;
mod refusals;
mod settings;
mod shared;
mod stores;
pub(crate) mod support;
