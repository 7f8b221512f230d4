//! `Budget`: how much is allowed to whom, and what a request costs of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::targets::Targets;
use crate::error::{AuthError, AuthErrorKind, ConfigError, Reason};
use crate::mcp::operation::{Kind, Message};
use crate::mcp::policy::Operation;
use crate::principal::Principal;
use crate::store::QuotaLimit;

/// The longest name of a budget.
const MAX_NAME: usize = 64;
/// The most that one message costs.
const MAX_COST: u32 = 1_000_000;

/// So many calls in a window for each caller, of all operations or of some.
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_auth::mcp::Budget;
///
/// let minute = Duration::from_secs(60);
/// // 100 calls a minute for each user, 20 of them at once.
/// let calls = Budget::new("calls", 100, minute)?.burst(20)?;
/// // 5 of the expensive tool, for each organization.
/// let reports = Budget::new("reports", 5, minute)?
///     .tool("make_report")?
///     .tenant_claim("org_id")?;
/// # let _ = (calls, reports);
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Budget {
    pub(super) name: Box<str>,
    pub(super) limit: QuotaLimit,
    pub(super) key: BudgetKey,
    pub(super) tenant: Option<Box<str>>,
    pub(super) needs_tenant: bool,
    pub(super) callers: Callers,
    cost: Cost,
    targets: Targets,
    pub(super) is_local: bool,
    pub(super) reason: Reason,
}

/// Who has a bucket of his own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BudgetKey {
    /// The subject, or where there is none the client; anonymous callers by address.
    Caller,
    Client,
    Everyone,
}

/// Whom it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callers {
    All,
    Anonymous,
    Authenticated,
}

type CostOf = dyn Fn(&Operation<'_>) -> u32 + Send + Sync;

#[derive(Clone)]
enum Cost {
    Fixed(u32),
    Of(Arc<CostOf>),
}

impl Budget {
    /// `count` calls in each `window` for each caller, all of which may come at once.
    ///
    /// The name is in the `RateLimit` fields, in what a refused client is told, in events and in
    /// metrics; and in the keys of a shared store, so that a budget which is renamed begins anew.
    ///
    /// # Errors
    /// The name has other characters than lower case letters, digits, `_` and `-`, or more than 64;
    /// or the limit is none: see [`QuotaLimit::new`].
    pub fn new(name: impl Into<String>, count: u32, window: Duration) -> Result<Self, ConfigError> {
        let name = name.into();
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_good = |byte: u8| is_plain(byte) || b"_-".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_good) {
            return Err(ConfigError::new(
                "budget",
                format!(
                    "the name has 1 to {MAX_NAME} lower case letters, digits, `_` and `-`, because \
                     clients and metrics are told of it"
                ),
            ));
        }
        Ok(Self {
            name: name.into(),
            limit: QuotaLimit::new(count, window)?,
            key: BudgetKey::Caller,
            tenant: None,
            needs_tenant: false,
            callers: Callers::All,
            cost: Cost::Fixed(1),
            targets: Targets::default(),
            is_local: false,
            reason: Reason::QUOTA_EXCEEDED,
        })
    }

    /// How much may come at once, after a time without calls; default: what a window has.
    ///
    /// In any time `t` at most `burst + t * count / window` are admitted.
    ///
    /// # Errors
    /// It is 0, or takes more than 400 days to be regained.
    pub fn burst(mut self, burst: u32) -> Result<Self, ConfigError> {
        self.limit = self.limit.burst(burst)?;
        Ok(self)
    }

    /// What each call costs; default 1.
    ///
    /// # Errors
    /// It is 0, or more than 1,000,000.
    pub fn cost(mut self, cost: u32) -> Result<Self, ConfigError> {
        if !(1..=MAX_COST).contains(&cost) {
            return Err(ConfigError::new(
                "cost",
                format!("{cost} is none of 1 to {MAX_COST}"),
            ));
        }
        self.cost = Cost::Fixed(cost);
        Ok(self)
    }

    /// Asks this function what a request or a notification costs, by its tool, its arguments or
    /// its principal. It must not block.
    ///
    /// 0 counts as 1, and more than 1,000,000 as that. What costs more than the burst is never
    /// admitted. A call with arguments that were asked for, and are too long or ambiguous to be
    /// judged, is refused with 413 or 400, as a [`check`](crate::mcp::McpPolicyBuilder::check) does
    /// it.
    pub fn cost_by<F>(mut self, cost: F) -> Self
    where
        F: Fn(&Operation<'_>) -> u32 + Send + Sync + 'static,
    {
        self.cost = Cost::Of(Arc::new(cost));
        self
    }

    /// For calls of this tool, or of all with names that begin with what stands before a `*` at
    /// the end. With others that are named they have one budget together.
    ///
    /// Names are compared as a [policy](crate::mcp::McpPolicy) compares them, byte by byte, as the
    /// one strict reader of messages found them.
    ///
    /// # Errors
    /// The pattern matches nothing, or was named before.
    pub fn tool(mut self, pattern: &str) -> Result<Self, ConfigError> {
        self.targets.add_tool(pattern)?;
        Ok(self)
    }

    /// For uses of this prompt, its completion included; otherwise as [`tool`](Self::tool).
    ///
    /// # Errors
    /// The pattern matches nothing, or was named before.
    pub fn prompt(mut self, pattern: &str) -> Result<Self, ConfigError> {
        self.targets.add_prompt(pattern)?;
        Ok(self)
    }

    /// For uses of these resources: a URI, with `{…}` for one segment and `*` at the end for
    /// anything, as in a [policy](crate::mcp::McpPolicyBuilder::resource). A message that names
    /// several costs as often.
    ///
    /// A URI that servers may read in several ways counts as one of them.
    ///
    /// # Errors
    /// The pattern matches nothing, or was named before.
    pub fn resource(mut self, pattern: &str) -> Result<Self, ConfigError> {
        self.targets.add_resource(pattern)?;
        Ok(self)
    }

    /// Counts by tenant: by this claim, a text or a whole number, of the issuer of the token.
    ///
    /// A credential without it is counted by its subject; see
    /// [`require_tenant`](Self::require_tenant).
    ///
    /// # Errors
    /// The name is empty, or the budget is counted otherwise.
    pub fn tenant_claim(mut self, claim: impl Into<String>) -> Result<Self, ConfigError> {
        let claim = claim.into();
        if claim.is_empty() {
            return Err(ConfigError::new(
                "tenant_claim",
                "a claim has a name: `org_id`, say",
            ));
        }
        if self.key != BudgetKey::Caller {
            return Err(two_keys("tenant_claim"));
        }
        self.tenant = Some(claim.into());
        Ok(self)
    }

    /// Refuses credentials without the claim of the tenant, with 403, instead of counting them by
    /// their subject.
    ///
    /// # Errors
    /// There is no [`tenant_claim`](Self::tenant_claim).
    pub fn require_tenant(mut self) -> Result<Self, ConfigError> {
        if self.tenant.is_none() {
            return Err(ConfigError::new(
                "require_tenant",
                "no claim is named that has the tenant: call `tenant_claim` before",
            ));
        }
        self.needs_tenant = true;
        Ok(self)
    }

    /// Counts by OAuth client, for all its users together. Where clients register themselves, a
    /// caller gets more budget by another registration: a warning says so.
    ///
    /// # Errors
    /// The budget is counted otherwise.
    pub fn per_client(mut self) -> Result<Self, ConfigError> {
        self.key_by(BudgetKey::Client, "per_client")?;
        Ok(self)
    }

    /// One budget for all callers together, anonymous ones included.
    ///
    /// # Errors
    /// The budget is counted otherwise.
    pub fn shared_by_all(mut self) -> Result<Self, ConfigError> {
        self.key_by(BudgetKey::Everyone, "shared_by_all")?;
        Ok(self)
    }

    fn key_by(&mut self, key: BudgetKey, setting: &'static str) -> Result<(), ConfigError> {
        if self.tenant.is_some() || self.key != BudgetKey::Caller {
            return Err(two_keys(setting));
        }
        self.key = key;
        Ok(())
    }

    /// For callers without a principal alone, each by the address of the client.
    pub fn only_anonymous(mut self) -> Self {
        self.callers = Callers::Anonymous;
        self
    }

    /// For callers with a principal alone.
    pub fn only_authenticated(mut self) -> Self {
        self.callers = Callers::Authenticated;
        self
    }

    /// Counts in each replica by itself, and never asks the shared store: for limits that protect
    /// the machine, and not the service.
    pub fn local(mut self) -> Self {
        self.is_local = true;
        self
    }

    /// The reason of refusals, for metrics and for
    /// [report-only mode](crate::AuthLayer::dangerously_report_only); default
    /// [`Reason::QUOTA_EXCEEDED`].
    ///
    /// # Errors
    /// Its kind is not [`TooManyRequests`](AuthErrorKind::TooManyRequests).
    pub fn reason(mut self, reason: Reason) -> Result<Self, ConfigError> {
        if reason.kind() != AuthErrorKind::TooManyRequests {
            return Err(ConfigError::new(
                "reason",
                format!("{reason} is not of the kind `TooManyRequests`, which is a 429"),
            ));
        }
        self.reason = reason;
        Ok(self)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_per_client(&self) -> bool {
        self.key == BudgetKey::Client
    }

    /// Whether a call is ever admitted.
    pub(super) fn check_cost(&self) -> Result<(), ConfigError> {
        let most = self.limit.most_at_once();
        match self.cost {
            Cost::Fixed(cost) if cost > most => {
                let name = &self.name;
                let why = format!(
                    "a call costs {cost} of `{name}`, which never has more than {most}: raise its \
                     `burst`, or lower its `cost`"
                );
                Err(ConfigError::new("budget", why))
            }
            _ => Ok(()),
        }
    }

    /// Whether what it costs depends on messages of MCP.
    pub(super) fn reads_messages(&self) -> bool {
        matches!(self.cost, Cost::Of(_)) || !self.targets.is_empty()
    }

    /// Whether it is for such callers.
    pub(super) fn is_for(&self, principal: Option<&Principal>) -> bool {
        match self.callers {
            Callers::All => true,
            Callers::Anonymous => principal.is_none(),
            Callers::Authenticated => principal.is_some(),
        }
    }

    /// What a request without a message costs.
    pub(super) fn cost_of_request(&self) -> u64 {
        match self.cost {
            Cost::Fixed(cost) if self.targets.is_empty() => cost.into(),
            Cost::Of(_) if self.targets.is_empty() => 1,
            _ => 0,
        }
    }

    /// What these messages cost, together.
    pub(super) fn cost_of(
        &self,
        principal: Option<&Principal>,
        messages: &[Message<'_>],
    ) -> Result<u64, AuthError> {
        let mut sum = 0_u64;
        for message in messages {
            let times = self.targets.uses(message);
            if times == 0 {
                continue;
            }
            let cost = match &self.cost {
                Cost::Fixed(cost) => *cost,
                Cost::Of(_) if message.kind == Kind::Answer => 1,
                Cost::Of(cost) => {
                    let operation = Operation::new(principal, message);
                    let cost = cost(&operation);
                    if let Some(fault) = operation.into_fault() {
                        return Err(fault);
                    }
                    cost.clamp(1, MAX_COST)
                }
            };
            sum = sum.saturating_add(times.saturating_mul(cost.into()));
        }
        Ok(sum)
    }

    /// What it is for is found once it is sorted.
    pub(super) fn sorted(mut self) -> Self {
        self.targets.sort();
        self
    }
}

fn two_keys(setting: &'static str) -> ConfigError {
    ConfigError::new(
        setting,
        "a budget is counted by one thing: leave one of `tenant_claim`, `per_client` and \
         `shared_by_all`",
    )
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Budget");
        debug
            .field("name", &self.name)
            .field("limit", &self.limit)
            .field("key", &self.key)
            .field("tenant", &self.tenant)
            .field("needs_tenant", &self.needs_tenant)
            .field("callers", &self.callers)
            .field("targets", &self.targets)
            .field("is_local", &self.is_local)
            .field("reason", &self.reason);
        match &self.cost {
            Cost::Fixed(cost) => debug.field("cost", cost),
            Cost::Of(_) => debug.field("cost", &"<fn>"),
        };
        debug.finish()
    }
}
