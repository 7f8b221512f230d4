//! Keys kept elsewhere: the trait of a store, and what stands before it.

mod asking;
mod cache;
mod calls;
mod flight;
mod settings;

pub use self::asking::{ApiKeyStore, ApiKeyStoreError, KeyLookup, LookupFuture};
pub(super) use self::cache::{Lookup, StoreCache};
pub(super) use self::calls::Asked;
pub use self::settings::CachedApiKeyStore;
