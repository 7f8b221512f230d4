//! Budgets as data, and their counts, which outlive a reload.

use std::sync::Mutex;

use serde::Deserialize;

use super::Config;
use super::common::{missing, secret_at};
use super::engine::{Engine, counted_at};
use super::secret::SecretSource;
use super::sections::{Sections, section};
use super::units::{Listed, Name, Size, Span, Texts};
use crate::error::ConfigError;
use crate::mcp::{Budget, QuotaLayer};
use crate::store::{MemoryQuotaStore, WeakMemoryQuotaStore};
use crate::util::locked;

section! {
    /// How many calls callers have.
    QuotasSection {
        /// The budgets: a map by name, or a list.
        budgets: Listed<BudgetSection>,
        /// How many buckets are kept in memory at most; 100000 by default.
        max_entries: Option<usize>,
        /// Whether responses to requests that were admitted say what is left of budgets.
        headers_on_success: bool,
        /// Counts each request as one, and reads no body: for services that do not speak MCP.
        requests_only: bool,
        /// How large a message may be.
        max_body_bytes: Option<Size>,
        /// How long reading it may take.
        read_timeout: Option<Span>,
        /// The secret that callers are coded with in the engine of `shared`, the same at all
        /// replicas; at least 32 bytes.
        secret: Option<SecretSource>,
        /// How many replicas there are at most. While the engine gives no answer, each serves its
        /// part; without this number it refuses.
        replicas: Option<u32>,
        /// Serves callers without limit while the engine gives no answer.
        dangerously_allow_on_outage: bool,
        /// Serves callers uncounted for whom there is no room.
        dangerously_allow_when_full: bool,
    }
}

/// By whom a budget is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Per {
    /// The subject, or where there is none the client; anonymous callers by address.
    #[default]
    Caller,
    /// The OAuth client.
    Client,
    /// All callers together.
    Server,
}

/// The callers that are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Callers {
    #[default]
    All,
    Anonymous,
    Authenticated,
}

section! {
    /// So many calls in a window.
    BudgetSection {
        /// What it is called; of a map the name there.
        name: Option<Name>,
        /// How many calls.
        limit: Option<u32>,
        /// In which time.
        window: Option<Span>,
        /// How many at once; `limit` by default.
        burst: Option<u32>,
        /// What one costs; 1 by default.
        cost: Option<u32>,
        /// By whom it is counted.
        per: Option<Per>,
        /// The claim that has the tenant, by whom it is counted then.
        tenant_claim: Option<Name>,
        /// Refuses credentials without that claim.
        require_tenant: bool,
        /// The callers that are counted.
        callers: Callers,
        /// The tools it is for, or the beginnings of their names (`make_*`).
        tools: Texts,
        /// The prompts it is for.
        prompts: Texts,
        /// The URIs of resources it is for.
        resources: Texts,
        /// Counts in each replica by itself.
        local: bool,
    }
}

/// The counts of a server, by its URLs and their size: two configurations that have a URL in common
/// are of the same server.
struct Kept {
    urls: Vec<String>,
    max_entries: usize,
    store: WeakMemoryQuotaStore,
}

/// Those that some layer has. A reload builds the new layers while the old ones are in force, and
/// goes on with what these have counted; without it each reload would fill all budgets.
static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

fn store(urls: Vec<String>, max_entries: usize) -> MemoryQuotaStore {
    let mut kept = locked(&KEPT);
    kept.retain(|kept| kept.store.upgrade().is_some());
    let is_same = |kept: &&mut Kept| {
        kept.max_entries == max_entries && kept.urls.iter().any(|url| urls.contains(url))
    };
    if let Some(kept) = kept.iter_mut().find(is_same)
        && let Some(store) = kept.store.upgrade()
    {
        kept.urls = urls;
        return store;
    }
    let store = MemoryQuotaStore::new(max_entries);
    kept.push(Kept {
        urls,
        max_entries,
        store: store.downgrade(),
    });
    store
}

impl Config {
    /// The layer that counts calls, if `quotas` are configured, with the `proxies`.
    ///
    /// What is counted is in the engine of `shared`, or else in memory. There it outlives a
    /// [reload](crate::reload) that keeps one of the resources, and does not change `max_entries`.
    ///
    /// # Errors
    /// A budget is refused, or there is none; the secret is missing or cannot be read; or the
    /// configuration is not [connected](Self::connect).
    pub fn quota_layer(&self) -> Result<Option<QuotaLayer>, ConfigError> {
        let made = self
            .engine()
            .and_then(|engine| self.sections.quota_layer(engine));
        self.applied.settle(&["quotas"], made)
    }
}

impl Sections {
    fn quota_layer(&self, engine: Option<&Engine>) -> Result<Option<QuotaLayer>, ConfigError> {
        let Some(section) = &self.quotas else {
            return Ok(None);
        };
        let mut urls = self.urls();
        if urls.is_empty() {
            urls.push(self.server_name().unwrap_or_default());
        }
        let mut layer = section.layer(engine, urls)?;
        if let Some(proxies) = self.trusted_proxies()? {
            layer = layer.trusted_proxies(proxies);
        }
        Ok(Some(layer))
    }
}

fn at(setting: &'static str) -> impl Fn(ConfigError) -> ConfigError {
    move |error| error.at(format!("quotas.{setting}"))
}

impl QuotasSection {
    fn layer(&self, engine: Option<&Engine>, urls: Vec<String>) -> Result<QuotaLayer, ConfigError> {
        if self.budgets.items.is_empty() {
            let why = "there is nothing to count: give a budget, or leave the section out";
            return Err(missing("budgets", "quotas.budgets", why));
        }
        let mut layer = match (engine, &self.secret) {
            (Some(engine), Some(source)) => {
                let secret = secret_at(source, "quotas.secret")?;
                counted_at(engine, secret.expose()).map_err(at("secret"))?
            }
            (None, None) => QuotaLayer::in_memory(),
            (Some(_), None) => {
                let why = "callers are coded with it in the engine of `shared`: \
                           `openssl rand -base64 32` makes one";
                return Err(missing("secret", "quotas.secret", why));
            }
            (None, Some(_)) => return Err(without_engine("secret")),
        };
        match self.max_entries {
            Some(0) => {
                let why = "no caller could be counted: give 1 or more";
                return Err(at("max_entries")(ConfigError::new("max_entries", why)));
            }
            Some(entries) if entries > MemoryQuotaStore::MOST_ENTRIES => {
                let most = MemoryQuotaStore::MOST_ENTRIES;
                let why = format!("{entries} would take all memory: give {most} at the most");
                return Err(at("max_entries")(ConfigError::new("max_entries", why)));
            }
            _ => {}
        }
        let entries = self.max_entries.unwrap_or(MemoryQuotaStore::MAX_ENTRIES);
        layer = layer.memory(store(urls, entries));
        for (step, budget) in &self.budgets.items {
            let place = format!("quotas.budgets{step}");
            let made = budget.make(step, &place)?;
            layer = layer.budget(made).map_err(|error| error.at(place))?;
        }
        if let Some(replicas) = self.replicas {
            if engine.is_none() {
                return Err(without_engine("replicas"));
            }
            layer = layer.local_share(replicas).map_err(at("replicas"))?;
        }
        if self.dangerously_allow_on_outage {
            if engine.is_none() {
                return Err(without_engine("dangerously_allow_on_outage"));
            }
            let allowed = layer.dangerously_allow_on_outage();
            layer = allowed.map_err(at("dangerously_allow_on_outage"))?;
        }
        if self.dangerously_allow_when_full {
            layer = layer.dangerously_allow_when_full();
        }
        layer = layer.headers_on_success(self.headers_on_success);
        if self.requests_only {
            layer = layer.requests_only().map_err(at("requests_only"))?;
        }
        if let Some(size) = self.max_body_bytes {
            let bytes = size.bytes("quotas.max_body_bytes".to_owned())?;
            layer = layer.max_body_bytes(bytes).map_err(at("max_body_bytes"))?;
        }
        if let Some(Span(timeout)) = self.read_timeout {
            layer = layer.read_timeout(timeout).map_err(at("read_timeout"))?;
        }
        Ok(layer)
    }
}

impl BudgetSection {
    fn make(&self, step: &str, place: &str) -> Result<Budget, ConfigError> {
        let at = |setting: &str| {
            let path = format!("{place}.{setting}");
            move |error: ConfigError| error.at(path)
        };
        let of_map = step.strip_prefix('.');
        let name = self.name.as_ref().map(Name::as_str).or(of_map);
        let name = name.ok_or_else(|| {
            let why = "a budget has a name, which clients and metrics are told";
            missing("name", &format!("{place}.name"), why)
        })?;
        let why = "say how many calls there are: `limit` in each `window`";
        let limit = self.limit;
        let limit = limit.ok_or_else(|| missing("limit", &format!("{place}.limit"), why))?;
        let window = self.window;
        let Span(window) =
            window.ok_or_else(|| missing("window", &format!("{place}.window"), why))?;
        let made = Budget::new(name, limit, window);
        let mut budget = made.map_err(|error| match error.setting() {
            "budget" => error.at(format!("{place}.name")),
            setting => at(setting)(error),
        })?;
        if let Some(burst) = self.burst {
            budget = budget.burst(burst).map_err(at("burst"))?;
        }
        if let Some(cost) = self.cost {
            budget = budget.cost(cost).map_err(at("cost"))?;
        }
        if let Some(claim) = &self.tenant_claim {
            let counted = budget.tenant_claim(claim.as_str());
            budget = counted.map_err(at("tenant_claim"))?;
        }
        if self.require_tenant {
            budget = budget.require_tenant().map_err(at("require_tenant"))?;
        }
        budget = match self.per.unwrap_or_default() {
            Per::Caller => budget,
            Per::Client => budget.per_client().map_err(at("per"))?,
            Per::Server => budget.shared_by_all().map_err(at("per"))?,
        };
        budget = match self.callers {
            Callers::All => budget,
            Callers::Anonymous => budget.only_anonymous(),
            Callers::Authenticated => budget.only_authenticated(),
        };
        for tool in &self.tools.0 {
            budget = budget.tool(tool).map_err(at("tools"))?;
        }
        for prompt in &self.prompts.0 {
            budget = budget.prompt(prompt).map_err(at("prompts"))?;
        }
        for resource in &self.resources.0 {
            budget = budget.resource(resource).map_err(at("resources"))?;
        }
        Ok(match self.local {
            true => budget.local(),
            false => budget,
        })
    }
}

fn without_engine(setting: &'static str) -> ConfigError {
    let why = "it is for what replicas have in an engine, and there is none: configure `shared`, \
               or leave it out";
    at(setting)(ConfigError::new(setting, why))
}
