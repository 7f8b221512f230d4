//! `ProviderInfo`: the facts of a provider.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderName;

use super::CredentialMatcher;
use crate::clock::Clock;
use crate::credential::Location;
#[cfg(doc)]
use crate::credential::RequestHead;
use crate::error::{ConfigError, Reason};
use crate::refusal::Challenge;
use crate::resource::Resource;

/// The facts of a provider: its name, its credentials, its challenges.
///
/// A layer asks for them when it is built, and after each setting that changes them; never for a
/// request.
///
/// ```
/// use tower_mcp_auth::provider::*;
///
/// let info = ProviderInfo::new("badge")
///     .matcher(CredentialMatcher::prefixed(Location::bearer(), "badge-"))
///     .challenge(Challenge::bearer().realm("badges"));
/// # let _ = info;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ProviderInfo {
    /// Of one provider, or of those that were combined: the number of a leaf is its place here.
    pub(super) names: Vec<&'static str>,
    /// Empty: anything in `Authorization: Bearer`.
    matchers: Vec<CredentialMatcher>,
    /// `None`: derived from the matchers.
    challenges: Option<Vec<Challenge>>,
    pub(super) resource: Option<Arc<Resource>>,
    /// Those it chooses from, as far as they can be listed. `None`: it chooses none.
    pub(super) selects: Option<Vec<Arc<Resource>>>,
    /// Why its credentials are good at whatever resource another provider chooses. `None`: they
    /// are not.
    anywhere: Option<Anywhere>,
    /// Are set once the provider stands beside one that chooses the resource of each request.
    beside_several: Vec<Arc<AtomicBool>>,
    pub(super) reasons: Vec<Reason>,
    pub(super) clock: Clock,
    pub(super) consumed_headers: Vec<HeaderName>,
    pub(super) removed_headers: Vec<HeaderName>,
}

/// Why credentials are good at any resource, and the setting that mends it.
#[derive(Clone, Debug)]
struct Anywhere {
    setting: &'static str,
    why: Cow<'static, str>,
}

impl ProviderInfo {
    /// A provider of this name, which reads any `Authorization: Bearer` credential.
    ///
    /// The name is a short constant. Events and metrics call the provider by it, messages about
    /// configuration too, and [`Principal::builder`](crate::Principal::builder) should be given
    /// the same.
    pub fn new(name: &'static str) -> Self {
        Self {
            names: vec![name],
            matchers: Vec::new(),
            challenges: None,
            resource: None,
            selects: None,
            anywhere: Some(Anywhere {
                setting: "resource",
                why: Cow::Borrowed(
                    "it does not say that it judges the resource of a request \
                     (`ProviderInfo::judges_resources`)",
                ),
            }),
            beside_several: Vec::new(),
            reasons: Vec::new(),
            clock: Clock::system(),
            consumed_headers: Vec::new(),
            removed_headers: Vec::new(),
        }
    }

    /// Adds credentials that are this provider's. The layer reads the headers they stand in.
    ///
    /// Default: anything in `Authorization: Bearer`.
    pub fn matcher(mut self, matcher: CredentialMatcher) -> Self {
        self.matchers.push(matcher);
        self
    }

    /// Adds a challenge for refused clients, a line of `WWW-Authenticate`.
    ///
    /// Default: one for each place a credential is read from, `Bearer` for
    /// `Authorization: Bearer` and `ApiKey header="…"` for others. A `Bearer` challenge without
    /// metadata or scopes takes them from the [resource](Self::resource).
    pub fn challenge(mut self, challenge: Challenge) -> Self {
        self.challenges.get_or_insert_default().push(challenge);
        self
    }

    /// Replaces all challenges; with none, a refusal has no `WWW-Authenticate`.
    pub fn challenges(mut self, challenges: impl IntoIterator<Item = Challenge>) -> Self {
        self.challenges = Some(challenges.into_iter().collect());
        self
    }

    /// Sets the protected resource. No setting can make its path public.
    ///
    /// Default: none.
    pub fn resource(mut self, resource: impl Into<Arc<Resource>>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// Says that the provider chooses the resource of each request, by
    /// [`Route::Resource`](super::Route::Resource). `listed` are those that are known before. A
    /// [`ResourceSet`](crate::ResourceSet) chooses by host and path.
    ///
    /// Default: it chooses none.
    pub fn selects_resources(
        mut self,
        listed: impl IntoIterator<Item = impl Into<Arc<Resource>>>,
    ) -> Self {
        self.selects = Some(listed.into_iter().map(Into::into).collect());
        self
    }

    /// Says that the provider accepts a credential only at the
    /// [resource of the request](RequestHead::resource) that it is for.
    ///
    /// Beside a provider that [chooses resources](Self::selects_resources) this is asked of
    /// every other one: a credential for one resource must not be good at the next. Default: it
    /// does not say so.
    pub fn judges_resources(mut self) -> Self {
        self.anywhere = None;
        self
    }

    /// Says why some of its credentials would be good at all resources, and which setting of the
    /// provider mends it.
    pub(crate) fn good_anywhere(mut self, setting: &'static str, why: String) -> Self {
        let why = Cow::Owned(why);
        self.anywhere = Some(Anywhere { setting, why });
        self
    }

    /// Sets this flag once the provider stands beside one that chooses resources: from then on
    /// a credential has to say which it is for.
    pub(crate) fn tell_beside_several(mut self, flag: Arc<AtomicBool>) -> Self {
        self.beside_several.push(flag);
        self
    }

    /// Adds reasons of errors that the provider makes itself, for
    /// [`dangerously_report_only_for`](super::AuthLayer::dangerously_report_only_for), which
    /// accepts no others besides those of this crate.
    pub fn reasons(mut self, reasons: impl IntoIterator<Item = Reason>) -> Self {
        self.reasons.extend(reasons);
        self
    }

    /// Sets the clock that [the end of validity](super::Authenticated::valid_until) goes by.
    ///
    /// Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Adds a header that is removed like a credential: a proof that goes with one, say.
    ///
    /// With [`forward_credential`](super::AuthLayer::forward_credential) it is forwarded like one.
    pub fn consumed_header(mut self, name: HeaderName) -> Self {
        self.consumed_headers.push(name);
        self
    }

    /// Adds a header that is removed from every request, forwarded credentials or not: what the
    /// inner service must not believe, because any client can send it. So are its spellings with
    /// `_` in the place of `-`, which CGI, WSGI and their like take for the same name.
    pub fn removed_header(mut self, name: HeaderName) -> Self {
        self.removed_headers.push(name);
        self
    }

    /// The name, or those of the providers that were combined, as messages write them.
    pub(super) fn name(&self) -> String {
        match self.names.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        }
    }

    /// All resources that are known before a request is there.
    pub(super) fn all_resources(&self) -> Vec<Arc<Resource>> {
        let listed = self.selects.iter().flatten();
        self.resource.iter().chain(listed).cloned().collect()
    }

    pub(super) fn matchers(&self) -> Vec<CredentialMatcher> {
        match &self.matchers[..] {
            [] => vec![CredentialMatcher::any(Location::bearer())],
            given => given.to_vec(),
        }
    }

    /// The challenges, with what the resource adds to them.
    pub(super) fn all_challenges(&self) -> Vec<Challenge> {
        let mut challenges = self.challenges.clone().unwrap_or_else(|| {
            let places = self.matchers();
            let derived = places.iter().map(|matcher| {
                let location = matcher.location();
                match *location == Location::bearer() {
                    true => Challenge::bearer(),
                    false => Challenge::api_key(location.header().as_str().to_owned()),
                }
            });
            Challenge::merged(derived.collect(), Vec::new())
        });
        if let Some(resource) = &self.resource {
            for challenge in &mut challenges {
                challenge.fill_in(resource);
            }
        }
        challenges
    }

    /// The facts of two providers behind one layer.
    ///
    /// # Errors
    /// See [`Either::new`](super::Either::new).
    pub(super) fn merged(left: Self, right: Self) -> Result<Self, ConfigError> {
        check_resource(&left, &right)?;
        if !left.clock.is(&right.clock) {
            let (left, right) = (left.name(), right.name());
            return Err(ConfigError::new(
                "clock",
                format!("{left} and {right} go by different clocks; give both the same"),
            ));
        }
        let (left_matchers, mut right_matchers) = (left.numbered(), right.numbered());
        for matcher in &mut right_matchers {
            matcher.leaf += left.names.len();
        }
        for one in &left_matchers {
            for other in &right_matchers {
                one.check_disjoint(other)?;
            }
        }
        for (one, other) in [(&left, &right), (&right, &left)] {
            if one.selects.is_some() {
                let flags = other.beside_several.iter();
                flags.for_each(|flag| flag.store(true, Ordering::Relaxed));
            }
        }
        let challenges = Challenge::merged(left.all_challenges(), right.all_challenges());
        Ok(Self {
            names: [left.names, right.names].concat(),
            matchers: [left_matchers, right_matchers].concat(),
            challenges: Some(challenges),
            resource: fuller(left.resource, right.resource),
            selects: left.selects.or(right.selects),
            anywhere: left.anywhere.or(right.anywhere),
            beside_several: [left.beside_several, right.beside_several].concat(),
            reasons: [left.reasons, right.reasons].concat(),
            clock: left.clock,
            consumed_headers: [left.consumed_headers, right.consumed_headers].concat(),
            removed_headers: [left.removed_headers, right.removed_headers].concat(),
        })
    }

    /// The matchers, each with the number and the name of its leaf.
    pub(super) fn numbered(&self) -> Vec<CredentialMatcher> {
        let mut matchers = self.matchers();
        for matcher in &mut matchers {
            matcher.owner.get_or_insert(self.names[0]);
        }
        matchers
    }
}

/// Two resources, or two documents on one, would leave a client with half of the truth.
fn check_resource(left: &ProviderInfo, right: &ProviderInfo) -> Result<(), ConfigError> {
    let names = || format!("{} and {}", left.name(), right.name());
    if let (Some(one), Some(other)) = (&left.resource, &right.resource)
        && !is_same(one, other)
    {
        return Err(ConfigError::new(
            "resource",
            format!(
                "{} protect different resources, {:?} and {:?}; give each a layer of its own",
                names(),
                one.url(),
                other.url()
            ),
        ));
    }
    for (one, other) in [(left, right), (right, left)] {
        check_selection(one, other)?;
    }
    let publishes = |challenges: Vec<Challenge>| {
        let mut challenges = challenges.iter();
        challenges.any(Challenge::names_metadata)
    };
    if publishes(left.all_challenges()) && publishes(right.all_challenges()) {
        return Err(ConfigError::new(
            "resource",
            format!(
                "{} both publish metadata of a protected resource, and a client reads one; name \
                 all authorization servers in one `OAuthLayer::builder`",
                names()
            ),
        ));
    }
    Ok(())
}

/// What one provider accepts at the resources that the other one chooses.
fn check_selection(one: &ProviderInfo, other: &ProviderInfo) -> Result<(), ConfigError> {
    if one.selects.is_none() {
        return Ok(());
    }
    let (one_name, other_name) = (one.name(), other.name());
    if other.selects.is_some() || other.resource.is_some() {
        return Err(ConfigError::new(
            "resource",
            format!(
                "{one_name} chooses the resource of each request, and {other_name} has resources \
                 of its own; name all of them in one place: with OAuth, in `OAuthLayer::builder`"
            ),
        ));
    }
    match &other.anywhere {
        None => Ok(()),
        Some(Anywhere { setting, why }) => Err(ConfigError::new(
            setting,
            format!(
                "{one_name} has several resources, and a credential of {other_name} would be good \
                 at all of them: {why}"
            ),
        )),
    }
}

/// Whether both are one resource, as far as they say: some name a path alone.
fn is_same(one: &Resource, other: &Resource) -> bool {
    match is_absolute(one) && is_absolute(other) {
        true => one.url() == other.url(),
        false => one.path() == other.path(),
    }
}

fn is_absolute(resource: &Resource) -> bool {
    resource.url().contains("://")
}

/// Of two descriptions of one resource the one that says more: the whole URL, and where the
/// metadata are.
fn fuller(left: Option<Arc<Resource>>, right: Option<Arc<Resource>>) -> Option<Arc<Resource>> {
    // Of equals the last one counts.
    let both = right.into_iter().chain(left);
    both.max_by_key(|resource| (is_absolute(resource), resource.metadata().is_some()))
}
