//! `FailedAttemptsLayer`: the layer and its settings.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tower_layer::Layer;

use super::service::FailedAttempts;
use super::shared::SharedFailures;
use super::table::{Limit, Table};
use crate::clock::Clock;
use crate::credential::RequestHead;
use crate::error::{AuthError, ConfigError};
use crate::peer::{CountedAddr, PeerAddr, TrustedProxies};
use crate::refusal::RefusalContext;
use crate::store::QuotaStore;
use crate::telemetry::DecisionRecord;

/// The default for [`FailedAttemptsLayer::max_failures`].
const MAX_FAILURES: u32 = 60;
/// The default for [`FailedAttemptsLayer::window`], and for
/// [`FailedAttemptsLayer::block_duration`].
const MINUTE: Duration = Duration::from_secs(60);
/// The default for [`FailedAttemptsLayer::max_addresses`].
const MAX_ADDRESSES: usize = 65_536;
/// More than any server has clients, and more than 1 GiB.
const MOST_ADDRESSES: usize = 1 << 24;
/// The default for [`FailedAttemptsLayer::ipv6_prefix`].
const IPV6_PREFIX: u8 = 64;

/// A layer that answers 429 to addresses with too many failed attempts.
///
/// It goes outside an auth layer. All clones, and all services they make, count together; a
/// setter changes the layer it is called on, which then counts for itself.
///
/// See the [module docs](crate::failed_attempts) for an example.
#[derive(Clone)]
#[must_use]
pub struct FailedAttemptsLayer {
    state: Arc<State>,
}

/// Where the address of a client stands.
#[derive(Clone)]
enum Addresses {
    Peer,
    Client(TrustedProxies),
    Function(Arc<AddressOf>),
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer => f.write_str("Peer"),
            Self::Client(proxies) => proxies.fmt(f),
            Self::Function(_) => f.write_str("<fn>"),
        }
    }
}

type AddressOf = dyn Fn(RequestHead<'_>) -> Option<IpAddr> + Send + Sync;

pub(super) struct State {
    settings: Settings,
    /// Made when first asked for: settings come before.
    table: OnceLock<Table>,
}

#[derive(Clone)]
struct Settings {
    addresses: Addresses,
    limit: Limit,
    max_addresses: usize,
    ipv6_prefix: u8,
    shared: Option<SharedFailures>,
    clock: Clock,
    /// Whether gRPC requests are refused in gRPC's form, where that was said.
    grpc: Option<bool>,
    context: RefusalContext,
}

impl FailedAttemptsLayer {
    /// Counts by the address of the peer, its [`PeerAddr`].
    ///
    /// A [`SetPeerAddrLayer`](crate::peer::SetPeerAddrLayer) further out puts that into the
    /// extensions. 60 failures within a minute block an address for a minute. Behind a proxy the
    /// peer is the proxy: say so with [`trusted_proxies`](Self::trusted_proxies).
    pub fn from_peer_address() -> Self {
        Self::of(Addresses::Peer)
    }

    /// Counts by the address that `address_of` finds.
    ///
    /// The limits are those of [`from_peer_address`](Self::from_peer_address). A header is a good
    /// place only where a proxy of yours sets it, whatever the client sent, and no client reaches
    /// this server around that proxy. For `Forwarded` and `X-Forwarded-For` there is
    /// [`trusted_proxies`](Self::trusted_proxies). See [the module
    /// docs](crate::failed_attempts#addresses).
    pub fn new(
        address_of: impl Fn(RequestHead<'_>) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        Self::of(Addresses::Function(Arc::new(address_of)))
    }

    fn of(addresses: Addresses) -> Self {
        let clock = Clock::system();
        Self {
            state: Arc::new(State {
                settings: Settings {
                    addresses,
                    limit: Limit {
                        failures: MAX_FAILURES,
                        window: MINUTE,
                        block_duration: MINUTE,
                    },
                    max_addresses: MAX_ADDRESSES,
                    ipv6_prefix: IPV6_PREFIX,
                    shared: None,
                    grpc: None,
                    context: RefusalContext::new(Vec::new(), clock.clone()),
                    clock,
                },
                table: OnceLock::new(),
            }),
        }
    }

    /// Counts by the address of the client, as [these proxies](TrustedProxies::client) tell it.
    ///
    /// A header of theirs that cannot be read is 400. A client with an address that a proxy
    /// hides (`for=unknown`) is a logged 500, as is every request without an address.
    ///
    /// # Errors
    /// The layer was made with [`new`](Self::new), and has a function that finds the address.
    pub fn trusted_proxies(self, proxies: TrustedProxies) -> Result<Self, ConfigError> {
        if !self.counts_peers() {
            return Err(ConfigError::new(
                "trusted_proxies",
                "the function given to `new` finds the address: make the layer with \
                 `from_peer_address`",
            ));
        }
        Ok(self.edit(|settings| settings.addresses = Addresses::Client(proxies)))
    }

    /// Whether no function of the user finds the address.
    pub(crate) fn counts_peers(&self) -> bool {
        !matches!(self.state.settings.addresses, Addresses::Function(_))
    }

    /// How many failures within the window block an address; default 60.
    ///
    /// # Errors
    /// It is 0.
    pub fn max_failures(self, failures: u32) -> Result<Self, ConfigError> {
        if failures == 0 {
            return Err(ConfigError::new(
                "max_failures",
                "0 would block everybody: give a number of failures",
            ));
        }
        self.edit(|settings| settings.limit.failures = failures)
            .checked("max_failures")
    }

    /// How long failures are counted together, from the first one on; default one minute.
    ///
    /// # Errors
    /// The time is zero.
    pub fn window(self, window: Duration) -> Result<Self, ConfigError> {
        let window = some("window", window)?;
        self.edit(|settings| settings.limit.window = window)
            .checked("window")
    }

    /// How long an address is blocked; default one minute. It is not made longer by what the
    /// address sends meanwhile.
    ///
    /// # Errors
    /// The time is zero.
    pub fn block_duration(self, block_duration: Duration) -> Result<Self, ConfigError> {
        let block_duration = some("block_duration", block_duration)?;
        Ok(self.edit(|settings| settings.limit.block_duration = block_duration))
    }

    /// For about how many addresses failures are kept; default 65,536, for which up to 5 MiB
    /// are used. At most 16,777,216.
    ///
    /// # Errors
    /// It is 0, or more than the most.
    pub fn max_addresses(self, addresses: usize) -> Result<Self, ConfigError> {
        if addresses == 0 {
            return Err(ConfigError::new(
                "max_addresses",
                "0 counts no failures: leave the layer out for that",
            ));
        }
        if addresses > MOST_ADDRESSES {
            return Err(ConfigError::new(
                "max_addresses",
                format!("{addresses} would take all memory: give {MOST_ADDRESSES} at the most"),
            ));
        }
        Ok(self.edit(|settings| settings.max_addresses = addresses))
    }

    /// How many bits of an IPv6 address count; default 64. With 56 or 48 also those who hold
    /// many networks are one.
    ///
    /// # Errors
    /// It is less than 16, or more than 128.
    pub fn ipv6_prefix(self, bits: u8) -> Result<Self, ConfigError> {
        if !(16..=128).contains(&bits) {
            return Err(ConfigError::new(
                "ipv6_prefix",
                format!("{bits} bits name no network: give 16 to 128"),
            ));
        }
        Ok(self.edit(|settings| settings.ipv6_prefix = bits))
    }

    /// Counts failures in a store that all replicas have, too: a
    /// [`Redis`](crate::redis::Redis), say. See [several
    /// replicas](crate::failed_attempts#several-replicas).
    ///
    /// The secret has 32 bytes or more from a secure random source, and is the same at all replicas.
    /// Addresses are in the store as codes that are made with it.
    ///
    /// # Errors
    /// The secret has fewer than 32 bytes, or is an obvious placeholder; or the limit is more than
    /// 10,000 a second, or its window longer than 31 days.
    pub fn shared(
        self,
        store: impl QuotaStore,
        secret: impl AsRef<[u8]>,
    ) -> Result<Self, ConfigError> {
        let shared = SharedFailures::new(store, secret.as_ref())?;
        self.edit(|settings| settings.shared = Some(shared))
            .checked("shared")
    }

    /// Whether the shared store can count by the limit.
    fn checked(self, setting: &'static str) -> Result<Self, ConfigError> {
        let settings = &self.state.settings;
        if settings.shared.is_some()
            && let Err(error) = SharedFailures::limit(&settings.limit)
        {
            let why = format!("the shared store cannot count by this limit: {error}");
            return Err(ConfigError::new(setting, why));
        }
        Ok(self)
    }

    /// Calls `hook` with every decision of this layer, as
    /// [`AuthLayer::on_decision`](crate::AuthLayer::on_decision) does with those further in, of
    /// which this one is none.
    pub fn on_decision(self, hook: impl Fn(&DecisionRecord<'_>) + Send + Sync + 'static) -> Self {
        self.edit(|settings| settings.context.audit.add_hook(hook))
    }

    /// Whether a gRPC or grpc-web request is refused in gRPC's form; default true, and false in
    /// a configuration. See [`AuthLayer::grpc_refusals`](crate::AuthLayer::grpc_refusals).
    pub fn grpc_refusals(self, grpc: bool) -> Self {
        self.edit(|settings| {
            settings.grpc = Some(grpc);
            settings.context.grpc = grpc;
        })
    }

    /// The same where [`grpc_refusals`](Self::grpc_refusals) was not called.
    #[cfg(feature = "config")]
    pub(crate) fn grpc_refusals_unless_set(self, grpc: bool) -> Self {
        let grpc = self.state.settings.grpc.unwrap_or(grpc);
        self.grpc_refusals(grpc)
    }

    /// Replaces the clock; for tests.
    pub fn clock(self, clock: Clock) -> Self {
        self.edit(|settings| settings.clock = clock)
    }

    fn edit(self, edit: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.state.settings.clone();
        edit(&mut settings);
        Self {
            state: Arc::new(State {
                settings,
                table: OnceLock::new(),
            }),
        }
    }
}

fn some(setting: &'static str, time: Duration) -> Result<Duration, ConfigError> {
    if time.is_zero() {
        return Err(ConfigError::new(setting, "0 is no time: give it some"));
    }
    Ok(time)
}

impl State {
    /// `Ok(None)`: the request has no address.
    pub(super) fn client(&self, head: RequestHead<'_>) -> Result<Option<CountedAddr>, AuthError> {
        let address = match &self.settings.addresses {
            Addresses::Peer => PeerAddr::of(head),
            Addresses::Client(proxies) => proxies.client(head)?,
            Addresses::Function(address_of) => address_of(head),
        };
        Ok(address.map(|address| CountedAddr::of(address, self.settings.ipv6_prefix)))
    }

    /// How much longer a client is blocked, if it is.
    pub(super) fn blocked(&self, client: CountedAddr) -> Option<Duration> {
        self.table()
            .blocked(client, self.settings.clock.monotonic())
    }

    pub(super) fn failed(self: &Arc<Self>, client: CountedAddr) {
        let (limit, now) = (self.settings.limit, self.now());
        self.table().failed(client, now, limit);
        SharedFailures::count(self, client, now, limit);
    }

    /// All replicas together saw too many failures of a client, one of which was here at `since`.
    pub(super) fn block(&self, client: CountedAddr, since: Duration) {
        let now = self.now();
        self.table().block(client, since, now, self.settings.limit);
    }

    /// Whether a client is not heard until the shared store has answered.
    pub(super) fn waits(&self, client: CountedAddr) -> bool {
        self.shared().is_some_and(|shared| shared.waits(client))
    }

    pub(super) fn now(&self) -> Duration {
        self.settings.clock.monotonic()
    }

    pub(super) fn shared(&self) -> Option<&SharedFailures> {
        self.settings.shared.as_ref()
    }

    pub(super) fn context(&self) -> &RefusalContext {
        &self.settings.context
    }

    fn table(&self) -> &Table {
        self.table
            .get_or_init(|| Table::new(self.settings.max_addresses))
    }
}

impl<S> Layer<S> for FailedAttemptsLayer {
    type Service = FailedAttempts<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FailedAttempts::new(inner, Arc::clone(&self.state))
    }
}

impl fmt::Debug for FailedAttemptsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailedAttemptsLayer")
            .field("addresses", &self.state.settings.addresses)
            .field("limit", &self.state.settings.limit)
            .field("max_addresses", &self.state.settings.max_addresses)
            .field("ipv6_prefix", &self.state.settings.ipv6_prefix)
            .field("shared", &self.state.settings.shared)
            .finish_non_exhaustive()
    }
}
