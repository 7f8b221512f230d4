//! `QuotaLayer`: the layer and its settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tower_layer::Layer;

use super::budget::Budget;
use super::health::{OnOutage, Outage, QuotaHealth};
use super::service::Quota;
use super::twice::Marked;
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::mcp::key::MacKey;
use crate::mcp::once::Once;
use crate::peer::TrustedProxies;
use crate::secret::check_strength;
use crate::store::{MOST_AT_ONCE, MOST_REPLICAS, MemoryQuotaStore, QuotaLimit, QuotaStore};
use crate::telemetry::{self, QuotaMeter};
use crate::util::Occasionally;

/// The default for [`QuotaLayer::max_body_bytes`].
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// The default for [`QuotaLayer::read_timeout`].
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A layer that refuses requests if their budget is used up. It belongs inside an auth layer.
///
/// All clones, and all services they make, count together. Put it around a service once: see [what
/// is counted](crate::mcp::quota#costs).
///
/// See the [module docs](crate::mcp::quota) for an example.
#[derive(Clone)]
#[must_use]
pub struct QuotaLayer {
    /// `None`: requests and responses are not touched.
    pub(super) quotas: Option<Arc<Quotas>>,
}

/// What the services have in common.
#[derive(Clone)]
pub(super) struct Quotas {
    pub(super) budgets: Vec<Counted>,
    pub(super) memory: MemoryQuotaStore,
    pub(super) shared: Option<SharedStore>,
    pub(super) on_outage: OnOutage,
    pub(super) allows_when_full: bool,
    pub(super) shows_on_success: bool,
    pub(super) requests_only: bool,
    pub(super) proxies: Option<TrustedProxies>,
    pub(super) max_body_bytes: usize,
    pub(super) read_timeout: Duration,
    pub(super) without_address: Once,
    pub(super) full: Arc<Occasionally>,
    pub(super) marked: Marked,
}

/// A budget, and what is kept for it.
#[derive(Clone)]
pub(super) struct Counted {
    pub(super) budget: Budget,
    /// The part of this replica while the shared store gives no answer.
    pub(super) share: Option<QuotaLimit>,
    pub(super) meter: QuotaMeter,
    pub(super) multiplies: Once,
}

#[derive(Clone)]
pub(super) struct SharedStore {
    pub(super) store: Arc<dyn QuotaStore>,
    /// Names of callers are in the store as codes.
    pub(super) key: MacKey,
    pub(super) outage: Arc<Outage>,
}

impl QuotaLayer {
    /// Budgets of this process alone, in a [`MemoryQuotaStore`] of its own.
    pub fn in_memory() -> Self {
        Self::with(None)
    }

    /// Budgets that all replicas with this store and this secret have together: a
    /// [`Redis`](crate::redis::Redis), say.
    ///
    /// While the store gives no answer, what it counts is refused with 503; with
    /// [`local_share`](Self::local_share) each replica goes on with its part.
    ///
    /// The secret has 32 bytes or more from a secure random source. Callers are in the store as
    /// codes that are made with it: a reader of the store does not learn who they are.
    ///
    /// # Errors
    /// The secret has fewer than 32 bytes, or is an obvious placeholder.
    pub fn shared(store: impl QuotaStore, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        check_strength("secret", "secret", secret.as_ref())?;
        let shared = SharedStore {
            store: Arc::new(store),
            key: MacKey::new(secret)?,
            outage: Arc::default(),
        };
        Ok(Self::with(Some(shared)))
    }

    fn with(shared: Option<SharedStore>) -> Self {
        Self {
            quotas: Some(Arc::new(Quotas {
                budgets: Vec::new(),
                memory: MemoryQuotaStore::default(),
                shared,
                on_outage: OnOutage::Reject,
                allows_when_full: false,
                shows_on_success: false,
                requests_only: false,
                proxies: None,
                max_body_bytes: MAX_BODY_BYTES,
                read_timeout: READ_TIMEOUT,
                without_address: Once::default(),
                full: Arc::default(),
                marked: Marked::default(),
            })),
        }
    }

    /// A disabled layer: requests and responses pass unchanged.
    #[cfg(feature = "config")]
    pub(crate) fn disabled() -> Self {
        Self { quotas: None }
    }

    fn edit(mut self, edit: impl FnOnce(&mut Quotas)) -> Self {
        if let Some(quotas) = &mut self.quotas {
            edit(Arc::make_mut(quotas));
        }
        self
    }

    fn try_edit(
        mut self,
        edit: impl FnOnce(&mut Quotas) -> Result<(), ConfigError>,
    ) -> Result<Self, ConfigError> {
        if let Some(quotas) = &mut self.quotas {
            edit(Arc::make_mut(quotas))?;
        }
        Ok(self)
    }

    /// Adds a budget. A request needs room in all that are for it.
    ///
    /// # Errors
    /// There is one with this name, there are 16 already, a call costs more than its burst, it is
    /// for operations and the layer counts [requests alone](Self::requests_only), or the
    /// [share](Self::local_share) of a replica would be less than one call.
    pub fn budget(self, budget: Budget) -> Result<Self, ConfigError> {
        let refuse = |why: String| Err(ConfigError::new("budget", why));
        self.try_edit(|quotas| {
            let name = &*budget.name;
            if quotas.budgets.iter().any(|own| *own.budget.name == *name) {
                return refuse(format!("there are two with the name `{name}`"));
            }
            if quotas.budgets.len() == MOST_AT_ONCE {
                return refuse(format!("there are {MOST_AT_ONCE} already"));
            }
            if quotas.requests_only && budget.reads_messages() {
                return Err(for_operations(name));
            }
            if quotas.shared.is_none() && budget.is_local {
                return refuse(format!(
                    "`{name}` is `local`, and all budgets of this layer are: leave it out, or \
                     make the layer with `shared`"
                ));
            }
            budget.check_cost()?;
            if budget.is_per_client() {
                telemetry::quota_id_multiplies(name, "client", CLIENT_FIX);
            }
            // It is another layer now, which may stand inside the one before.
            quotas.marked = Marked::default();
            quotas.budgets.push(Counted {
                meter: QuotaMeter::new(name),
                budget: budget.sorted(),
                share: None,
                multiplies: Once::default(),
            });
            quotas.set_shares()
        })
    }

    /// While the shared store gives no answer, this replica serves its part: the limits divided by
    /// the number of replicas. Default: it refuses with 503.
    ///
    /// The parts begin full, and are counted by themselves: around an outage a budget can be used
    /// once more. Where the store comes and goes, what it admits and what the parts admit are
    /// together at most twice the limit, however often. Give the greatest number of replicas there
    /// ever are: with more of them, they admit more together.
    ///
    /// # Errors
    /// The number is 0 or more than 10,000, the burst of a budget is smaller than it, there is no
    /// shared store, or something else is to be done.
    pub fn local_share(self, replicas: u32) -> Result<Self, ConfigError> {
        self.try_edit(|quotas| {
            if !(1..=MOST_REPLICAS).contains(&replicas) {
                let why = format!("{replicas} is none of 1 to {MOST_REPLICAS} replicas");
                return Err(ConfigError::new("local_share", why));
            }
            quotas.on_outage("local_share", OnOutage::LocalShare(replicas))?;
            quotas.set_shares()
        })
    }

    /// While the shared store gives no answer, its budgets are without limit. Default: requests are
    /// 503.
    ///
    /// # Errors
    /// There is no shared store, or something else is to be done.
    pub fn dangerously_allow_on_outage(self) -> Result<Self, ConfigError> {
        let layer = self
            .try_edit(|quotas| quotas.on_outage("dangerously_allow_on_outage", OnOutage::Allow))?;
        telemetry::weakened(
            "dangerously_allow_on_outage",
            "while the shared store gives no answer, budgets have no limit",
        );
        Ok(layer)
    }

    /// Serves callers for whom there is no room in the store, uncounted. Default: they are 503.
    ///
    /// A caller with many ids or addresses can fill the store, and is then without limit.
    pub fn dangerously_allow_when_full(self) -> Self {
        telemetry::weakened(
            "dangerously_allow_when_full",
            "callers are not counted for whom there is no room in the store of budgets",
        );
        self.edit(|quotas| quotas.allows_when_full = true)
    }

    /// Keeps what is counted here in this store: of another size, or one that a new layer goes on
    /// with. Default: one of [`MemoryQuotaStore::MAX_ENTRIES`].
    pub fn memory(self, store: MemoryQuotaStore) -> Self {
        self.edit(|quotas| quotas.memory = store)
    }

    /// Whether responses to requests that were admitted have the fields `RateLimit-Policy` and
    /// `RateLimit` as well; default false. Refusals always have them.
    pub fn headers_on_success(self, shows: bool) -> Self {
        self.edit(|quotas| quotas.shows_on_success = shows)
    }

    /// Counts each request as one, and reads no body: for services that do not speak MCP.
    ///
    /// # Errors
    /// A budget is for operations, or has a function that says what they cost.
    pub fn requests_only(self) -> Result<Self, ConfigError> {
        self.try_edit(|quotas| {
            let mut budgets = quotas.budgets.iter();
            if let Some(own) = budgets.find(|own| own.budget.reads_messages()) {
                return Err(for_operations(&own.budget.name));
            }
            quotas.requests_only = true;
            Ok(())
        })
    }

    /// Counts anonymous callers by the address of the client, as [these
    /// proxies](TrustedProxies::client) tell it. Default: by that of the peer.
    pub fn trusted_proxies(self, proxies: TrustedProxies) -> Self {
        self.edit(|quotas| quotas.proxies = Some(proxies))
    }

    /// How long the body of a POST may be, in bytes; 4 MiB by default. A longer one is 413.
    ///
    /// # Errors
    /// The limit is 0.
    pub fn max_body_bytes(self, bytes: usize) -> Result<Self, ConfigError> {
        if bytes == 0 {
            return Err(ConfigError::new(
                "max_body_bytes",
                "0 lets no message through: give a number of bytes",
            ));
        }
        Ok(self.edit(|quotas| quotas.max_body_bytes = bytes))
    }

    /// How long a POST may take to arrive once the layer has to wait for it; 30 s by default. A
    /// slower one is 400.
    ///
    /// # Errors
    /// The time is 0.
    pub fn read_timeout(self, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() {
            return Err(ConfigError::new(
                "read_timeout",
                "0 lets no message arrive: give it some seconds",
            ));
        }
        Ok(self.edit(|quotas| quotas.read_timeout = timeout))
    }

    /// Replaces the clock of what is counted here; for tests. The counts begin anew.
    pub fn clock(self, clock: Clock) -> Self {
        self.edit(|quotas| quotas.memory = quotas.memory.clone().clock(clock))
    }

    /// Whether all replicas count together now. It asks no store: it is what the last request was
    /// told.
    pub fn health(&self) -> QuotaHealth {
        let shared = self.quotas.as_ref().and_then(|quotas| {
            let shared = quotas.shared.as_ref()?;
            Some((&shared.outage, quotas.on_outage))
        });
        let now = self.quotas.as_ref().map(|quotas| quotas.memory.now());
        QuotaHealth::of(shared, now.unwrap_or(0))
    }
}

pub(super) const CLIENT_FIX: &str = "count by subject or tenant, or let no client register itself \
                                     at the authorization server";

impl Quotas {
    fn on_outage(&mut self, setting: &'static str, mode: OnOutage) -> Result<(), ConfigError> {
        if self.shared.is_none() {
            let why = "it is for budgets in a shared store, and these are in memory: make the \
                       layer with `shared`";
            return Err(ConfigError::new(setting, why));
        }
        if self.on_outage != OnOutage::Reject {
            let why = "`local_share` and `dangerously_allow_on_outage` exclude each other: leave \
                       one of them out";
            return Err(ConfigError::new(setting, why));
        }
        self.on_outage = mode;
        Ok(())
    }

    fn set_shares(&mut self) -> Result<(), ConfigError> {
        let OnOutage::LocalShare(replicas) = self.on_outage else {
            return Ok(());
        };
        for own in self.budgets.iter_mut().filter(|own| !own.budget.is_local) {
            let share = own.budget.limit.share_of(replicas);
            own.share = Some(share.ok_or_else(|| {
                let why = format!(
                    "of `{}` at most {} may come at once, so that one of {replicas} replicas has \
                     no share of it: raise its `burst`, or leave `local_share` out",
                    own.budget.name,
                    own.budget.limit.most_at_once()
                );
                ConfigError::new("local_share", why)
            })?);
        }
        Ok(())
    }
}

fn for_operations(budget: &str) -> ConfigError {
    let why = format!(
        "`{budget}` is for operations of MCP, and `requests_only` reads none of them: leave one of \
         the two out"
    );
    ConfigError::new("requests_only", why)
}

impl<S> Layer<S> for QuotaLayer {
    type Service = Quota<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Quota::new(inner, self.quotas.clone())
    }
}

impl fmt::Debug for QuotaLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("QuotaLayer");
        if let Some(quotas) = &self.quotas {
            let budgets: Vec<&Budget> = quotas.budgets.iter().map(|own| &own.budget).collect();
            debug
                .field("budgets", &budgets)
                .field("memory", &quotas.memory)
                .field("store", &quotas.shared.as_ref().map(|shared| &shared.store))
                .field("on_outage", &quotas.on_outage)
                .field("allows_when_full", &quotas.allows_when_full)
                .field("shows_on_success", &quotas.shows_on_success)
                .field("requests_only", &quotas.requests_only)
                .field("proxies", &quotas.proxies)
                .field("max_body_bytes", &quotas.max_body_bytes)
                .field("read_timeout", &quotas.read_timeout);
        }
        debug.finish()
    }
}
