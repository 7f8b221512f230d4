//! The provider of API keys: reads the header, finds the key, makes the principal.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::HeaderName;
use http::header::AUTHORIZATION;

use super::demand::Demand;
#[cfg(feature = "api-key-store")]
use super::demand::OwnedDemand;
use super::digest::Pepper;
use super::expiry::ExpiryWarning;
#[cfg(feature = "api-key-store")]
use super::file::FileKeys;
use super::key::ApiKey;
use super::memory::Memory;
use super::protects::Protects;
use super::set::KeySet;
#[cfg(feature = "api-key-store")]
use super::store::{Asked, CachedApiKeyStore, Lookup, StoreCache};
use super::used::{ApiKeyUse, Hook, UseNotifier};
#[cfg(feature = "api-key-store")]
use crate::auth::Authenticated;
use crate::auth::{Authenticate, Authentication, CredentialMatcher, ProviderInfo, Route};
use crate::clock::Clock;
use crate::credential::{
    Credential, Location, RequestHead, check_header_name, is_b64token, is_filler_word,
    looks_like_jwt,
};
use crate::error::{AuthError, ConfigError, Reason};
use crate::refusal::Challenge;
use crate::resources::ResourceSet;

/// The provider of [`ApiKeyLayer`](super::ApiKeyLayer). Clones share one set of keys.
#[derive(Clone)]
pub struct ApiKeyProvider {
    source: Source,
    location: Location,
    /// As configured: header names lose their case otherwise.
    header: Arc<str>,
    scheme: Option<ApiKeyScheme>,
    /// The setting that placed the key, if any did.
    placed_by: Option<&'static str>,
    prefix: Option<Arc<str>>,
    realm: Arc<str>,
    protects: Protects,
    /// Whether a key that names no resource is good at all of them.
    all_resources: bool,
    notifier: UseNotifier,
    clock: Clock,
}

/// Where keys are.
#[derive(Clone)]
enum Source {
    Memory(Arc<Memory>),
    #[cfg(feature = "api-key-store")]
    File(FileKeys),
    #[cfg(feature = "api-key-store")]
    Store(Arc<StoreCache>),
}

/// How a key stands in the `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiKeyScheme {
    /// `Authorization: ApiKey …`
    ApiKey,
    /// `Authorization: Bearer …`
    Bearer,
}

impl ApiKeyProvider {
    pub(super) fn new<I>(keys: I, pepper: Option<Pepper>) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: TryInto<ApiKey>,
        ConfigError: From<<I::Item as TryInto<ApiKey>>::Error>,
    {
        let keys = KeySet::collect(keys)?;
        keys.check(pepper.as_ref())?;
        let memory = Memory::new(keys, pepper);
        Ok(Self::with_source(Source::Memory(Arc::new(memory))))
    }

    #[cfg(feature = "api-key-store")]
    pub(super) fn from_file(file: FileKeys) -> Self {
        Self::with_source(Source::File(file))
    }

    #[cfg(feature = "api-key-store")]
    pub(super) fn from_store(keys: CachedApiKeyStore) -> Self {
        Self::with_source(Source::Store(Arc::new(StoreCache::new(keys))))
    }

    fn with_source(source: Source) -> Self {
        Self {
            source,
            location: Location::bare(HeaderName::from_static("x-api-key")),
            header: "X-API-Key".into(),
            scheme: None,
            placed_by: None,
            prefix: None,
            realm: "MCP Server".into(),
            protects: Protects::default(),
            all_resources: false,
            notifier: UseNotifier::default(),
            clock: Clock::system(),
        }
    }

    /// Replaces all keys, for every clone of the layer and in the middle of serving.
    ///
    /// # Errors
    /// There is no key, a key is not good (see [`ApiKey::new`]), is there twice, or lacks the
    /// [`prefix`](super::ApiKeyLayer::prefix); one names no resource, and a layer with these keys
    /// has several; or the keys come from a file or a store. The old keys then stay.
    pub fn replace<I>(&self, keys: I) -> Result<(), ConfigError>
    where
        I: IntoIterator,
        I::Item: TryInto<ApiKey>,
        ConfigError: From<<I::Item as TryInto<ApiKey>>::Error>,
    {
        match &self.source {
            Source::Memory(memory) => {
                let keys = KeySet::collect(keys)?;
                keys.check(memory.pepper.as_ref())?;
                keys.check_prefix(self.prefix.as_deref())?;
                if memory.beside_several.load(Ordering::Relaxed) {
                    self.check_resources(&keys)?;
                }
                memory.replace(keys);
                Ok(())
            }
            #[cfg(feature = "api-key-store")]
            Source::File(_) => Err(ConfigError::new(
                "keys",
                "the keys come from a file; change the file",
            )),
            #[cfg(feature = "api-key-store")]
            Source::Store(_) => Err(ConfigError::new(
                "keys",
                "the keys come from a store; change them there, and call `invalidate_all`",
            )),
        }
    }

    /// Reads the key file now, whether or not it has changed: for a signal handler, say. The
    /// thread waits meanwhile. Without a file there is nothing to do.
    ///
    /// # Errors
    /// The file cannot be read, or not understood. The old keys then stay.
    #[cfg(feature = "api-key-store")]
    #[cfg_attr(docsrs, doc(cfg(feature = "api-key-store")))]
    pub fn reload(&self) -> Result<(), ConfigError> {
        match &self.source {
            Source::File(file) => file.reload(),
            _ => Ok(()),
        }
    }

    /// Forgets what a store said of this key, so that it is asked at the next request: after
    /// a revocation, say. Other processes are not told.
    #[cfg(feature = "api-key-store")]
    #[cfg_attr(docsrs, doc(cfg(feature = "api-key-store")))]
    pub fn invalidate(&self, digest: &super::KeyDigest) {
        if let Source::Store(cache) = &self.source {
            cache.invalidate(digest);
        }
    }

    /// Forgets all a store said.
    #[cfg(feature = "api-key-store")]
    #[cfg_attr(docsrs, doc(cfg(feature = "api-key-store")))]
    pub fn invalidate_all(&self) {
        if let Source::Store(cache) = &self.source {
            cache.invalidate_all();
        }
    }

    pub(super) fn set_header(&mut self, name: &str) -> Result<(), ConfigError> {
        self.place("header_name")?;
        self.location = Location::bare(check_header_name(name)?);
        self.header = name.into();
        Ok(())
    }

    pub(super) fn set_scheme(&mut self, scheme: ApiKeyScheme) -> Result<(), ConfigError> {
        self.place("authorization_scheme")?;
        self.location = match scheme {
            ApiKeyScheme::ApiKey => Location::scheme(AUTHORIZATION, "ApiKey"),
            ApiKeyScheme::Bearer => Location::bearer(),
        };
        self.header = "Authorization".into();
        self.scheme = Some(scheme);
        Ok(())
    }

    fn place(&mut self, setting: &'static str) -> Result<(), ConfigError> {
        match self.placed_by.replace(setting) {
            Some(other) if other != setting => Err(ConfigError::new(
                setting,
                format!("`{other}` says already where the key stands; set one of them"),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn set_prefix(&mut self, prefix: &str) -> Result<(), ConfigError> {
        if prefix.contains('=') || !is_b64token(prefix.as_bytes()) || prefix.len() > 64 {
            return Err(ConfigError::new(
                "prefix",
                format!("{prefix:?} cannot begin a key: use 1 to 64 of A-Z a-z 0-9 - . _ ~ + /"),
            ));
        }
        match &self.source {
            Source::Memory(memory) => memory.keys.load().check_prefix(Some(prefix))?,
            // Of these only digests are known.
            #[cfg(feature = "api-key-store")]
            Source::File(_) | Source::Store(_) => {}
        }
        self.prefix = Some(prefix.into());
        Ok(())
    }

    pub(super) fn set_resource(&mut self, url: &str) -> Result<(), ConfigError> {
        self.protects.set_one(url)
    }

    pub(super) fn set_resources(&mut self, resources: ResourceSet) -> Result<(), ConfigError> {
        self.protects.set_several(resources)?;
        match &self.source {
            Source::Memory(memory) => {
                self.check_resources(&memory.keys.load())?;
                memory.beside_several.store(true, Ordering::Relaxed);
            }
            // What it has later is judged when it comes.
            #[cfg(feature = "api-key-store")]
            Source::File(file) => self.check_resources(&file.memory().keys.load())?,
            #[cfg(feature = "api-key-store")]
            Source::Store(_) => {}
        }
        Ok(())
    }

    pub(super) fn set_all_resources(&mut self) {
        self.all_resources = true;
    }

    /// Refuses keys that would be good at all resources.
    fn check_resources(&self, keys: &KeySet) -> Result<(), ConfigError> {
        match self.without_resources(keys) {
            Some(why) => Err(ConfigError::new(
                "resources",
                format!("of the keys of a layer with several resources, {why}"),
            )),
            None => Ok(()),
        }
    }

    /// What these keys add to the facts of the provider.
    fn judges(&self, info: ProviderInfo, keys: &KeySet) -> ProviderInfo {
        match self.without_resources(keys) {
            Some(why) => info.good_anywhere("resources", why),
            None => info.judges_resources(),
        }
    }

    fn without_resources(&self, keys: &KeySet) -> Option<String> {
        match self.all_resources {
            true => None,
            false => keys.without_resources(),
        }
    }

    pub(super) fn set_realm(&mut self, realm: &str) {
        self.realm = realm.into();
    }

    pub(super) fn set_hook(
        &mut self,
        interval: Duration,
        hook: impl Fn(&ApiKeyUse<'_>) + Send + Sync + 'static,
    ) {
        self.notifier.hook = Some(Hook::new(interval, hook));
    }

    pub(super) fn set_expiry_warning(&mut self, before: Duration) {
        self.notifier.expiry = ExpiryWarning::new(before);
    }

    pub(super) fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    fn find(
        &self,
        memory: &Memory,
        credential: &Credential<'_>,
        demand: Demand<'_>,
    ) -> Authentication {
        let (keys, pepper) = (memory.keys.load(), memory.pepper.as_ref());
        let found = keys.find(credential.as_bytes(), pepper, &self.clock, demand);
        Authentication::Ready(match found {
            Ok(entry) => Ok(self.notifier.accept(entry, &self.clock)),
            Err(error) => Err(with_form(error, credential.as_bytes())),
        })
    }

    #[cfg(feature = "api-key-store")]
    fn ask(&self, cache: &Arc<StoreCache>, key: &str, demand: Demand<'_>) -> Authentication {
        match cache.lookup(key, &self.clock, demand) {
            Lookup::Found(entry) => {
                Authentication::Ready(Ok(self.notifier.accept(&entry, &self.clock)))
            }
            Lookup::Refused(error) => Authentication::Ready(Err(with_form(error, key.as_bytes()))),
            Lookup::Wait(asked) => Authentication::Pending(Box::pin(wait(
                asked,
                self.notifier.clone(),
                self.clock.clone(),
                demand.to_owned(),
            ))),
        }
    }
}

#[cfg(feature = "api-key-store")]
async fn wait(
    asked: Asked,
    notifier: UseNotifier,
    clock: Clock,
    demand: OwnedDemand,
) -> Result<Authenticated, AuthError> {
    let entry = asked.answer(&clock, demand.get()).await?;
    Ok(notifier.accept(&entry, &clock))
}

/// The error of a key that is not known, with what it may be instead.
fn with_form(error: AuthError, key: &[u8]) -> AuthError {
    // Looked at for all, so that all take the same time.
    let form = match (looks_like_jwt(key), is_filler_word(key)) {
        (true, _) => "it has the form of a JWT: a token sent as an API key?",
        (_, true) => "it is a word of programs for nothing: the variable of the client has no key",
        _ => return error,
    };
    match error.as_reason() {
        Reason::UNKNOWN_API_KEY => error.and_detail(form),
        _ => error,
    }
}

impl Authenticate for ApiKeyProvider {
    fn describe(&self) -> ProviderInfo {
        let location = self.location.clone();
        let matcher = match &self.prefix {
            Some(prefix) => CredentialMatcher::prefixed(location, &**prefix),
            None => CredentialMatcher::any(location),
        };
        let challenge = match self.scheme {
            Some(ApiKeyScheme::Bearer) => Challenge::bearer(),
            _ => Challenge::api_key(self.header.to_string()),
        };
        let challenge = challenge
            .realm(self.realm.to_string())
            .message("Invalid API key")
            .of_bad_credentials();
        let info = ProviderInfo::new("api_key")
            .matcher(matcher)
            .challenge(challenge)
            .clock(self.clock.clone());
        let info = self.protects.describe(info);
        match &self.source {
            Source::Memory(memory) => {
                let info = self.judges(info, &memory.keys.load());
                info.tell_beside_several(Arc::clone(&memory.beside_several))
            }
            // Each key is judged when it comes as well, as there can be others by then.
            #[cfg(feature = "api-key-store")]
            Source::File(file) => self.judges(info, &file.memory().keys.load()),
            #[cfg(feature = "api-key-store")]
            Source::Store(_) => info.judges_resources(),
        }
    }

    fn route(&self, head: RequestHead<'_>) -> Route {
        self.protects.route(head)
    }

    fn authenticate(&self, credential: &Credential<'_>, head: RequestHead<'_>) -> Authentication {
        let demand = Demand::of(head, self.all_resources);
        match &self.source {
            Source::Memory(memory) => self.find(memory, credential, demand),
            #[cfg(feature = "api-key-store")]
            Source::File(file) => self.find(file.watched(), credential, demand),
            #[cfg(feature = "api-key-store")]
            Source::Store(cache) => self.ask(cache, credential.value(), demand),
        }
    }
}

impl fmt::Debug for ApiKeyProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ApiKeyProvider");
        match &self.source {
            Source::Memory(memory) => debug.field("keys", &memory.keys.load().len()),
            #[cfg(feature = "api-key-store")]
            Source::File(file) => debug.field("file", file),
            #[cfg(feature = "api-key-store")]
            Source::Store(cache) => debug.field("store", cache),
        };
        debug.field("header", &self.header).finish_non_exhaustive()
    }
}
