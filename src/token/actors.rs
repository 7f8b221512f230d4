//! Who acts for the subject: `act` (RFC 8693 section 4.1), and the claims of Entra ID.

use std::borrow::Cow;

use crate::error::{AuthError, Reason};
use crate::json::object::{Refused, Value};
use crate::principal::Actor;

/// The longest chain of actors. Only the first decides, and each is a hop that a service made.
const MOST: usize = 4;

/// What stands before the claims that Entra ID adds to those of OpenID Connect.
pub(super) const ENTRA: &str = "xms_";

/// The fact about a client, or a subject, that it is an agent identity.
const AGENT_IDENTITY: &str = "11";

/// What the claims of a token say of those who act for its subject.
#[derive(Debug, Default)]
pub(crate) struct Acting<'p> {
    /// The current actor, and those it acts for, the last one first.
    chain: Vec<Actor>,
    /// Entra ID: whether the client is an agent identity.
    client_is_agent: bool,
    /// Whether the subject is one, which then acts for itself.
    subject_is_agent: bool,
    /// What the client was made from.
    blueprint: Option<Cow<'p, str>>,
}

impl<'p> Acting<'p> {
    /// Reads `act`: an object with another one inside, perhaps.
    pub(super) fn read_act(&mut self, act: Value<'p>) -> Result<(), Refused> {
        let mut next = Some(act);
        while let Some(act) = next.take() {
            if self.chain.len() == MOST {
                return Err(Refused::Says(
                    "act names more than 4 actors, one inside the other",
                ));
            }
            let (mut subject, mut issuer, mut client) = (None, None, None);
            act.object("act", |name, value| {
                match name {
                    _ if matches!(value, Value::Null) => {}
                    "sub" => subject = Some(value.text("sub")?),
                    "iss" => issuer = Some(value.text("iss")?),
                    "client_id" => client = Some(value.text("client_id")?),
                    "act" => next = Some(value),
                    // Other members describe the actor; none names it.
                    _ => {}
                }
                Ok(())
            })?;
            let actor = Actor::claimed(subject.as_deref(), issuer.as_deref(), client.as_deref());
            let actor = actor.ok_or(Refused::Says(
                "act has neither sub nor client_id, so it names no actor",
            ))?;
            self.chain.push(actor);
        }
        Ok(())
    }

    /// Reads a claim of Entra ID; its facts are numbers with spaces between, in no order.
    pub(super) fn read_entra(&mut self, name: &str, value: Value<'p>) -> Result<(), Refused> {
        let is_agent = |facts: &str| facts.split(' ').any(|fact| fact == AGENT_IDENTITY);
        match name {
            "xms_act_fct" => self.client_is_agent = is_agent(&value.text("xms_act_fct")?),
            "xms_sub_fct" => self.subject_is_agent = is_agent(&value.text("xms_sub_fct")?),
            "xms_par_app_azp" => self.blueprint = Some(value.text("xms_par_app_azp")?),
            _ => {}
        }
        Ok(())
    }

    /// The actors, the current one first. `client` is that of the token.
    pub(super) fn actors(&self, client: Option<&str>) -> Result<Box<[Actor]>, AuthError> {
        if !self.chain.is_empty() || !self.client_is_agent || self.subject_is_agent {
            return Ok(self.chain.as_slice().into());
        }
        let client = client.ok_or_else(|| {
            AuthError::new(Reason::MALFORMED_TOKEN).with_detail(
                "xms_act_fct says that the client is an agent, and no client is named: set \
                 `client_claim` to `azp`, or to `appid` for tokens of version 1",
            )
        })?;
        let agent = Actor::claimed(Some(client), None, self.blueprint.as_deref());
        Ok(agent.into_iter().collect())
    }
}
